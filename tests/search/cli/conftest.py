"""What the tests of the command share."""

import sys

import pytest

import search.cli.app as app_module


@pytest.fixture
def command(monkeypatch, capsys):
    """Call the command in this process; give its exit code, standard output and standard error."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["leni-search", *words])
        monkeypatch.setattr(sys, "path", [*sys.path])
        with pytest.raises(SystemExit) as ended:
            app_module.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call
