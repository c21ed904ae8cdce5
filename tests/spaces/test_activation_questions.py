"""Several activations in one candidate: which there are, how many, and the answers that lead to each."""

import itertools

import optuna
import pytest
from optuna.trial import FixedTrial

from leni.errors import CandidateError, SpaceError
from leni.placement import Placement
from spaces import Candidate, SearchSpace, backbone, build, cost
from spaces.assigned import Assigned

NETWORK = "small_networks:plain"  # a ReLU at the stem, a SiLU in stage 2


@pytest.mark.parametrize(
    ("name", "activations", "per"),
    [
        ("resnet8", ["relu", "leni", "prelu"], "stage"),
        ("resnet8", ["leni", "crelu"], "role"),
        ("resnet8", ["relu", "silu"], "site"),
        (NETWORK, ["own", "relu", "silu", "leni"], "site"),
        ("small_networks:Residual", ["own", "leni"], "stage"),
    ],
)
def test_size_counts_what_a_listing_finds_and_each_has_its_own_answers(name, activations, per):
    options = {"leni": {"init_std": [0.0, 0.01]}} if "leni" in activations else {}
    space = SearchSpace("s", name, activations, activation_per=per, options=options)
    found = list(space.candidates())
    assert len(set(found)) == len(found) == space.size
    for candidate in found:
        parameters, distributions = space.parameters(candidate)
        assert set(parameters) == set(distributions)
        assert space.suggest(FixedTrial(parameters)) == candidate
        assert Candidate.from_json(candidate.to_json()) == candidate


def test_stages_have_the_activations_that_were_chosen_for_them():
    space = SearchSpace("s", "resnet8", ["relu", "leni", "prelu"], activation_per="stage")
    chosen = {"activation.0": "leni", "activation.1": "leni", "activation.2": "relu", "activation.3": "prelu"}
    candidate = space.suggest(FixedTrial(chosen))
    assert [(part.activation, part.placement) for part in candidate.parts] == [
        ("leni", "stage:0-1"), ("prelu", "stage:3"),
    ]  # fmt: skip
    network = build(candidate, in_channels=1, classes=10)
    kinds = [type(network.get_submodule(site.name)).__name__ for site in backbone("resnet8").sites]
    assert kinds == ["LENI", "LENI", "LENI", "ReLU", "ReLU", "PReLU", "PReLU"]
    columns = candidate.columns()
    assert (columns["activation"], columns["placement"]) == ("leni+prelu", "stage:0-1 / stage:3")
    assert columns["init_std"] == 0.01


def test_placement_says_which_sites_are_chosen_for_and_gates_keep_their_own_unless_named():
    pytest.importorskip("timm")
    name = "timm:mobilenetv3_small_100"
    space = SearchSpace("s", name, ["own", "silu"], "all+head", activation_per="role")
    assert [each for each in space.dimensions() if each.startswith("activation")] == [
        "activation.stem", "activation.inner", "activation.head",
    ]  # fmt: skip
    chosen = {"activation.stem": "own", "activation.inner": "own", "activation.head": "silu"}
    candidate = space.suggest(FixedTrial(chosen))
    assert candidate.placement == "head"
    assert space.size == 8


def test_assignments_that_say_the_same_are_one_candidate():
    network, widths = "small_networks:Residual", (16, 16, 16, 32)
    two = Candidate(network, widths, "prelu", "outer", also=(Assigned("leni", "stem"), Assigned("relu", "inner")))
    assert [part.activation for part in two.parts] == ["leni", "prelu"]
    merged = Candidate(network, widths, "leni", "stem", also=(Assigned("leni", "inner"),))
    assert merged == Candidate(network, widths, "leni", "stem+inner")
    with pytest.raises(CandidateError, match="site relu has two activations"):
        Candidate(network, widths, "leni", "all", also=(Assigned("prelu", "stem"),))


def test_cost_of_several_activations_is_the_sum_over_their_sites():
    name, widths = "small_networks:Residual", (9, 16, 5, 32)
    sites = backbone(name).sites
    plain = cost(Candidate(name, widths, "own"), input_shape=(1, 8, 8), classes=10)
    gains = {}
    for activation, placement in itertools.product(("leni", "prelu"), ("stem", "outer")):
        found = cost(Candidate(name, widths, activation, placement), input_shape=(1, 8, 8), classes=10)
        gains[activation, placement] = found.params - plain.params
    both = Candidate(name, widths, "leni", "stem", also=(Assigned("prelu", "outer"),))
    total = cost(both, input_shape=(1, 8, 8), classes=10).params - plain.params
    assert total == gains["leni", "stem"] + gains["prelu", "outer"]
    assert gains["leni", "outer"] == 10 * 9 * len(Placement.parse("outer").select(sites))


def test_several_placements_beside_activation_per_are_refused():
    with pytest.raises(SpaceError, match="placement must be one value"):
        SearchSpace("s", "resnet8", ["relu", "leni"], ["all", "stem"], activation_per="stage")
    with pytest.raises(SpaceError, match="activation_per must be"):
        SearchSpace("s", "resnet8", ["relu", "leni"], activation_per="layer")


def test_samplers_find_their_way_through_the_conditions():
    space = SearchSpace("s", "small_networks:Residual", ["own", "leni", "prelu"], activation_per="site", width=[0.5, 1])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=4))
    for _ in range(20):
        trial = study.ask()
        candidate = space.suggest(trial)
        assert space.suggest(FixedTrial(space.parameters(candidate)[0])) == candidate
        study.tell(trial, 0.0)
