"""What trials of different sizes share."""

import pytest

from search.engine.needs import Capacity, Needs

TWO = Capacity((Needs(4, 1), Needs(2, 0)))


@pytest.mark.parametrize(
    ("needs", "running", "fits"),
    [
        (Needs(4, 1), [], True),
        (Needs(5, 0), [], False),  # 6 CPUs in all, and no machine has 5
        (Needs(2, 1), [Needs(4, 0)], True),
        (Needs(2, 1), [Needs(1, 1)], False),
        (Needs(3, 0), [Needs(4, 1)], False),
        (Needs(0.1, 0), [Needs(0.1, 0)] * 59, True),
        (Needs(0.1, 0), [Needs(0.1, 0)] * 60, False),
    ],
)
def test_trial_fits_where_a_machine_holds_it_and_enough_is_free(needs, running, fits):
    assert TWO.fits(needs, running) == fits


def test_capacity_is_full_without_a_free_cpu():
    assert TWO.full([Needs(4, 1), Needs(2, 0)])
    assert not TWO.full([Needs(4, 1), Needs(1.5, 0)])


def test_needs_are_shown_in_words():
    assert (str(Needs(1)), str(Needs(0.5, 1)), str(Needs(2, 4))) == ("1 CPU", "0.5 CPUs and 1 GPU", "2 CPUs and 4 GPUs")
