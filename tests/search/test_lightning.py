import pytest
import torch
from torch import nn

lightning = pytest.importorskip("lightning.pytorch")


@pytest.fixture
def trained():
    """Trains a line on eight points with a report, and gives the trainer."""
    from search.lightning import ReportCallback

    class Line(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def training_step(self, batch, _):
            return nn.functional.mse_loss(self.layer(batch[0]), batch[1])

        def validation_step(self, batch, _):
            self.log("val_loss", nn.functional.mse_loss(self.layer(batch[0]), batch[1]))
            self.log("epoch_squared", float(self.current_epoch**2))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    points = torch.linspace(-1, 1, 8)[:, None]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(points, 3 * points), batch_size=4)

    def train(report, **how):
        trainer = lightning.Trainer(
            max_epochs=4, callbacks=[ReportCallback(report, **how)], logger=False, accelerator="cpu",
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(Line(), loader, loader)
        return trainer

    return train


pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers and devices


def test_report_callback_reports_what_is_logged_after_every_epoch(trained):
    seen = []
    trained(lambda metrics, checkpoint=None, step=None: seen.append((step, dict(metrics))) or False)
    assert [step for step, _ in seen] == [1, 2, 3, 4]
    assert [float(metrics["epoch_squared"]) for _, metrics in seen] == [0, 1, 4, 9]
    assert float(seen[-1][1]["val_loss"]) < float(seen[0][1]["val_loss"])


def test_report_callback_renames_metrics_and_leaves_out_the_rest(trained):
    seen = []
    trained(lambda metrics, **_: seen.append(set(metrics)) or False, metrics={"val_loss": "error", "missing": "x"})
    assert seen == [{"error"}] * 4


def test_report_callback_ends_the_training_where_the_trial_is_to_stop(trained):
    trainer = trained(lambda metrics, checkpoint=None, step=None: step == 2)
    assert trainer.current_epoch == 2


def test_report_callback_brings_a_checkpoint_that_lightning_can_load(trained):
    states = []

    def report(metrics, checkpoint=None, step=None):
        states.append(torch.load(f"{checkpoint}/lightning.ckpt", weights_only=False)["epoch"])
        return False

    trained(report, checkpoint=True)
    assert states == [0, 1, 2, 3]
