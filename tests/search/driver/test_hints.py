"""Hints of a run: earlier runs without Ray, as a study that is written here, and proxies of random candidates."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from leni.errors import FolderError, SpecError
from search.driver.hints import MEASURED, prior_hints, proxy_hints
from search.driver.prepare import make_sampler, prepare
from search.engine.asker import Asker
from search.spec import Spec
from search.store.folder import RunFolder, write_environment, write_text
from search.store.outcome import Outcome
from search.store.trials import StudyStore
from search.training.data import load
from search.training.proxies import measure
from spaces import cost

WIDTHS = [0.25, 0.5, 0.75, 1.0]
SPACE = {"backbone": "resnet8", "activation": ["relu", "leni", "gelu"], "placement": ["all"], "width": WIDTHS}


def worth(parameters):
    return parameters["width"] + {"relu": 0.0, "leni": 0.3, "gelu": -0.2}[parameters["activation"]]


def spec_of(**keys):
    return Spec(**{"data": "digits", "space": SPACE, **keys})


@pytest.fixture
def earlier(tmp_path):
    """A run's folder with a study of nine completed trials, of networks that were trained on other data."""
    spec = spec_of(data="fashion-mnist", epochs=3, objectives=("accuracy", "macs"))
    folder = RunFolder(tmp_path / "earlier")
    folder.create()
    write_text(folder.spec, spec.to_toml())
    write_environment(folder.environment, {"trials": 9})
    store = StudyStore(folder.study, spec.directions())
    space = spec.search_space()
    for candidate in list(space.candidates())[::-1][:9]:
        parameters, distributions = space.parameters(candidate)
        number = store.begin(candidate, {"macs": 10}, parameters, distributions)
        store.end(number, Outcome("completed", {"accuracy": worth(parameters)}, []))
    store.close()
    return folder.path


def every(spec):
    space = spec.search_space()
    return [space.parameters(candidate)[0] for candidate in space.candidates()]


def test_an_earlier_run_on_other_data_tells_which_candidates_are_good(earlier):
    spec = spec_of(prior=(earlier,))
    (hint,) = prior_hints(spec, known=["params", "macs"])
    assert (hint.name, hint.objective) == (f"accuracy of {earlier}", 0)
    assert spearmanr(hint.values(every(spec)), list(map(worth, every(spec)))).statistic > 0.8


def test_an_earlier_run_over_fewer_choices_tells_of_those(earlier):
    wider = {**SPACE, "activation": ["mish", "leni", "relu"], "width": [*WIDTHS, 0.375]}
    spec = spec_of(prior=(earlier,), space=wider, objectives=("params", "accuracy"))
    (hint,) = prior_hints(spec, known=["params", "macs"])
    assert hint.objective == 1
    known = [one for one in every(spec) if one["activation"] != "mish" and one["width"] in WIDTHS]
    assert spearmanr(hint.values(known), list(map(worth, known))).statistic > 0.8
    assert np.isfinite(hint.values(every(spec))).all()


def test_an_earlier_run_without_a_measured_objective_of_this_one_is_refused(earlier):
    other = spec_of(prior=(earlier,), evaluator="plugin_evaluators:zdt1", objectives=("error:min", "macs"))
    with pytest.raises(SpecError, match="objectives accuracy, macs, none of which this run measures") as caught:
        prior_hints(other, known=["macs"])
    assert caught.value.code == "LS-PRIOR"


def test_an_earlier_run_over_another_space_is_refused(earlier):
    own = {"name": "own", "parameters": {"x": [1, 2, 3]}}
    spec = spec_of(prior=(earlier,), space=own, evaluator="plugin_evaluators:zdt1", objectives=("accuracy:max",))
    with pytest.raises(SpecError, match="at least 5 completed trials over dimensions of this space, x, got 0"):
        prior_hints(spec, known=[])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FolderError):
        prior_hints(spec_of(prior=(tmp_path,)), known=[])


def test_proxies_of_random_candidates_estimate_those_of_all(monkeypatch):
    spec = spec_of(proxies=("synflow", "grad"))
    data, counted = load("digits"), []

    def check(candidate):
        counted.append(candidate)
        return cost(candidate, input_shape=(1, 8, 8), classes=10)

    hints = proxy_hints(spec, data, check=check)
    assert not counted  # nothing is measured before the sampler asks
    assert [(hint.name, hint.objective) for hint in hints] == [("synflow", 0), ("grad", 0)]
    found = hints[0].values(every(spec))
    exact = [measure(candidate, data, ["synflow"])["synflow"] for candidate in spec.search_space().candidates()]
    assert spearmanr(found, exact).statistic > 0.8
    hints[1].values(every(spec))
    assert 0 < len(set(counted)) <= MEASURED


def test_without_proxies_there_are_no_hints():
    assert proxy_hints(spec_of(), load("digits"), check=lambda candidate: None) == []


def test_a_run_hands_its_hints_to_its_sampler(earlier):
    spec = spec_of(prior=(earlier,), proxies=("synflow",), references=False)
    prepared = prepare(spec, quiet=True)
    assert [hint.name for hint in prepared.hints] == [f"accuracy of {earlier}", "synflow"]
    made = make_sampler(spec, prepared.known, prepared.hints)
    assert made.hints == list(prepared.hints)
    asker = Asker(spec.search_space(), made, directions=["maximize", "minimize"], seed=0, check=prepared.known.allowed)
    asked = [asker.ask() for _ in range(9)]
    assert len({one.candidate for one in asked}) == 9
    for one in asked:
        asker.tell(one, "completed", [worth(one.parameters), prepared.costs(one.candidate)["params"]])
    assert asker.ask() is not None
