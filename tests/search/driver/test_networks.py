"""A search over networks by name, end to end: two activations, a width per stage, records, and the networks again."""

import pytest

import results
import search
from search.followup.recorded import recorded_candidate
from spaces import build, cost

pytestmark = pytest.mark.usefixtures("ray_session")


def search_of(name: str, folder, **keys: object) -> results.Run:
    space = {"backbone": name, "width": [0.125, 0.25], "width_per": "stage", "lr_factor": 1.0, **keys}
    return search.run(
        space=space, data="digits", train_size=64, trials=4, epochs=1, quiet=True, references=False, out=folder
    )


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("torchvision:resnet18", {"activation": ["relu", "leni"]}),
        ("timm:mobilenetv3_small_100", {"activation": ["own", "leni"], "activation_per": "stage"}),
        ("small_networks:plain", {"activation": ["own", "prelu"], "network": {"channels": 1}}),
    ],
)
def test_search_over_a_network_by_name_trains_and_records_it(name, keys, tmp_path):
    if name.startswith("timm"):
        pytest.importorskip("timm")
    run = search_of(name, tmp_path / "run", **keys)
    assert list(run.trials["state"]) == ["completed"] * 4
    for record in run.trials.to_dict("records"):
        candidate = recorded_candidate(record)
        network = build(candidate, in_channels=1, classes=10)
        assert record["params"] == sum(parameter.numel() for parameter in network.parameters())
        assert cost(candidate, input_shape=(1, 8, 8), classes=10).macs == record["macs"]
    notes = run.environment.get("notes", [])
    assert any("is built anew for" in note for note in notes) == (not name.startswith("timm"))
