import inspect

import pytest

from leni.errors import SpecError
from search.cli.runs import run_command
from search.spec import Spec

NOT_KEYS = {"file", "add_trials", "dry_run", "quiet", "verbose", "logger", "lr", "batch_size", "cuda_graph"}
WITHOUT_FLAG = {"training", "candidates", "test", "keep_weights"}  # of the file, or of follow-up commands alone


def test_every_flag_of_run_reaches_the_spec_under_its_own_name(monkeypatch):
    names = set(inspect.signature(run_command).parameters) - NOT_KEYS
    asked: list[dict] = []

    def read(file, **flags):
        asked.append(flags)
        raise SpecError("read enough")

    monkeypatch.setattr("search.spec.Spec.read", read)
    parsed = {"objectives": ("loss:min,size:min", ("loss:min", "size:min")), "bounds": (["loss=0:1"], {"loss": (0, 1)}),
              "fix": (["width=1"], {"width": 1})}  # fmt: skip
    given = {name: parsed.get(name, (object(),))[0] for name in names}
    with pytest.raises(SpecError, match="read enough"):
        run_command(**given)
    for name in names:
        assert asked[0][name] == parsed.get(name, (None, given[name]))[1], name
    assert set(asked[0]) - {"training"} == names | {"loggers"} == set(Spec.model_fields) - WITHOUT_FLAG
