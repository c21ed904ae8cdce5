import pytest

from search.training.printable import printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [("plain näme 新", "plain näme 新"), ("a\nb\x1b[1m", r"a\nb\x1b[1m"), ("caf\udce9", r"caf\udce9"), ("", "")],
)
def test_printable_escapes_what_a_terminal_cannot_show(name, shown):
    assert printable(name) == shown
    shown.encode("utf-8")
