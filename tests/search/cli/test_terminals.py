"""Texts that a terminal's encoding does not have are written out, in results as in errors."""

import io
import json
import sys

import pytest

import results
import search.cli.app as app_module


def in_ascii(monkeypatch, *words: str) -> tuple[int, str, str]:
    """Exit code and what stands on both streams, as PYTHONIOENCODING=ascii makes them."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["leni-search", *words])
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        with pytest.raises(SystemExit) as end:
            app_module.main()
    for stream in streams:
        stream.flush()
    out, err = (stream.buffer.getvalue().decode("ascii") for stream in streams)
    return int(end.value.code or 0), out, err


def test_front_with_any_text_reaches_an_ascii_terminal(tmp_path, monkeypatch):
    row = {"number": 0, "state": "completed", "loss": 0.5, "größe": "\x1b[31mrot", "note": "a\nb"}
    results.write(results.to_frame([row]), tmp_path / "trials.parquet")
    results.write(results.to_curves([]), tmp_path / "curves.parquet")
    (tmp_path / "environment.json").write_text(json.dumps({"objectives": {"loss": "minimize"}}))
    code, out, _ = in_ascii(monkeypatch, "front", str(tmp_path))
    assert code == 0
    assert "gr\\xf6\\xdfe" in out
    assert "\x1b" not in out
    assert "rot" in out


def test_error_with_any_text_is_one_sentence(monkeypatch):
    code, _, err = in_ascii(monkeypatch, "front", "caf\udce9\x1b[2J")
    assert code == 2
    assert err.startswith("leni-search: caf\\xe9 is not a folder")
    assert err.count("\n") == 1
