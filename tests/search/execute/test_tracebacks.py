import traceback

import pytest

from search.execute.tracebacks import LONGEST, kept_traceback


def caught(function, *values):
    try:
        function(*values)
    except BaseException as error:  # noqa: BLE001 - the one that is asked about
        return error
    raise AssertionError("it raised nothing")


def divide(a, b):
    return a / b


def test_traceback_is_pythons_own_without_the_frame_that_caught_it():
    error = caught(divide, 1, 0)
    whole = traceback.format_exception(error)
    assert kept_traceback(error) == "".join([whole[0], *whole[2:]]).rstrip("\n")
    assert "in divide" in kept_traceback(error)
    assert "in caught" not in kept_traceback(error)


def test_causes_and_groups_are_kept():
    def chained():
        try:
            divide(1, 0)
        except ZeroDivisionError as error:
            raise KeyError("x") from error

    def grouped():
        raise ExceptionGroup("two", [ValueError("one"), TypeError("other")])

    assert "direct cause" in kept_traceback(caught(chained))
    assert all(text in kept_traceback(caught(grouped)) for text in ("ValueError: one", "TypeError: other"))


def test_secrets_escapes_and_surrogates_are_not_kept():
    def leak():
        raise OSError("postgresql://ada:s3cret@h/d \x1b[31mred /data/caf\udce9.csv")

    kept = kept_traceback(caught(leak)).splitlines()[-1]
    assert kept.startswith("OSError: postgresql://ada:")
    assert "s3cret" not in kept
    assert kept.isprintable()
    kept.encode()


def recursive(depth):
    return 1 / 0 if depth == 0 else recursive(depth - 1) + depth


@pytest.mark.parametrize("function", [lambda: recursive(500), lambda: divide("x" * 10**6, 1), lambda: exec("1/0\n")])
def test_long_traceback_keeps_its_beginning_and_its_end(function):
    error = caught(function)
    kept = kept_traceback(error)
    assert len(kept) <= LONGEST
    assert kept.startswith("Traceback (most recent call last):")
    assert type(error).__name__ in kept.splitlines()[-1]


def test_message_of_a_megabyte_is_cut_in_the_middle():
    def loud():
        raise ValueError("\n".join(f"line {number} {'y' * 3000}" for number in range(400)))

    kept = kept_traceback(caught(loud))
    assert len(kept) <= LONGEST
    assert "in loud" in kept


def test_exception_that_cannot_say_what_it_is_is_kept_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def fail():
        raise Mute

    assert "Mute" in kept_traceback(caught(fail)).splitlines()[-1]
