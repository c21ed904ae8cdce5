"""Known costs against what a function returns under the same names."""

import pytest

from search.engine.agreement import agreed
from spaces import Candidate, Configuration

POINT = Configuration({"width": 4})


@pytest.mark.parametrize("measured", [144, 144.0, 144.00001])
def test_equal_value_is_the_known_one_without_a_note(measured):
    assert agreed(POINT, {"params": 144}, {"params": measured, "loss": 0.5}) == ({"loss": 0.5}, ())


@pytest.mark.parametrize("measured", [150, "many", None, [144]])
def test_other_value_is_kept_beside_the_known_one_with_a_note(measured):
    metrics, (note,) = agreed(POINT, {"metric:error": 144}, {"metric:error": measured, "loss": 0.5})
    assert metrics == {"loss": 0.5, "measured_error": measured}
    assert note.startswith(f"error was known to be 144 before a trial that returned {measured!r}")


def test_count_of_a_users_network_replaces_ours_and_nothing_else():
    candidate = Candidate("resnet8", (4, 8, 16), "relu")
    metrics, notes = agreed(candidate, {"params": 10, "macs": 20, "energy": 3}, {"params": 12, "energy": 4})
    assert (metrics, len(notes)) == ({"params": 12, "measured_energy": 4}, 1)
