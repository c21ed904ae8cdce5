"""Folders whose names mean something in an address, a pattern or a template."""

from pathlib import Path

import pytest

NAMES = ["why?", "a#b", "50%41", "{SCHEMA_VERSION}", "%s {} &mode=ro", "quote'\" ", "line\nbreak", "ünïcode", "-out",
         "a::b", "file:x", "[0-9]*", "semi;colon", "~", "back\\slash", "x" * 200, "u:p@h"]  # fmt: skip


@pytest.fixture(params=NAMES)
def odd_folder(request, tmp_path) -> Path:
    """An empty folder; it is the only entry of the one above it."""
    folder = tmp_path / request.param
    folder.mkdir()
    return folder
