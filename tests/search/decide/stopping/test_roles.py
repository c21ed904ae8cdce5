"""Objectives by role, with their signs."""

from search.decide.stopping.roles import Roles

OBJECTIVES = {"latency_ms": "minimize", "accuracy": "maximize", "params": "minimize", "speed": "maximize"}


def test_roles_named_measured_objective_comes_first_and_others_are_signed() -> None:
    roles = Roles.of(OBJECTIVES, known=["params", "macs"], measured="accuracy")
    values = {"latency_ms": 3, "accuracy": 0.5, "params": 7, "macs": 9, "speed": 2}
    assert roles.costs(values) == (7.0,)
    assert roles.finals(values) == (0.5, 3.0, -2.0)
    assert roles.maximise


def test_roles_first_uncertain_objective_is_measured_unless_named() -> None:
    roles = Roles.of(OBJECTIVES, known=["latency_ms"], measured="absent")
    assert list(roles.measured) == ["accuracy"]
    assert list(Roles.of({"params": "minimize"}, known=["params"]).measured) == ["params"]


def test_roles_known_objective_that_is_maximised_is_turned() -> None:
    roles = Roles.of({"loss": "minimize", "gain": "maximize"}, known=["gain"])
    assert roles.costs({"loss": 1.0, "gain": 4.0}) == (-4.0,)
    assert not roles.maximise
