"""Codes of errors: the registry, what is raised, and the page agree."""

import ast
import importlib
import inspect
from http import HTTPStatus
from pathlib import Path

import pytest

from leni.errors import FolderError, LeniSearchError
from results.errors import ResultsError, RunUnreadable
from search.cli.error_codes import CODES
from search.cli.errors import markdown

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [path for room in ("leni", "spaces", "search", "results") for path in (ROOT / room).rglob("*.py")]


def codes_of(path: Path) -> set[str]:
    """Every code that a file gives: to a class, as an argument, or as a default."""
    texts = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and text.startswith("LS-") and text.isupper()}


def classes(base: type) -> set[type]:
    return {base}.union(*map(classes, base.__subclasses__()))


def test_every_code_that_is_given_is_explained_and_every_explained_one_is_given():
    given = {code: path for path in SOURCES if path.name != "error_codes.py" for code in codes_of(path)}
    given.pop("LS-HTTP-", None)
    given |= {f"LS-HTTP-{status.value}": None for status in HTTPStatus if f"LS-HTTP-{status.value}" in CODES}
    assert set(given) - set(CODES) == set()
    assert set(CODES) - set(given) == set()


def test_every_status_that_the_service_documents_has_a_code():
    documented = importlib.import_module("search.service.problems").DOCUMENTED
    assert {f"LS-HTTP-{status}" for status in documented if status >= 400} <= set(CODES)


def test_every_public_error_class_has_a_code_of_its_own():
    for name in ("search.service.client", "search.store.locks", "leni.tracing"):
        importlib.import_module(name)
    every = classes(LeniSearchError) | classes(ResultsError)
    found = {each for each in every if "code" in vars(each)}
    assert {each for each in every if each.__module__ in ("leni.errors", "results.errors")} <= found
    assert len({each.code for each in found}) == len(found)
    assert {each.code for each in every} <= set(CODES)


def test_page_is_what_the_rows_say():
    page = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    assert page == markdown(), "make it again: leni-search errors --markdown >docs/faq.md"
    assert page.count("\n## LS-") == len(CODES)


def test_rows_are_whole_sentences():
    for row in CODES.values():
        for text in (row.sentence, row.cause, row.remedy):
            assert text[0].isupper() or text[0] in "`$", (row.code, text)
            assert text.endswith("."), (row.code, text)


def test_more_specific_code_survives_a_copy_and_names_no_other_error():
    import copy
    import pickle

    error = FolderError("x is taken", code="LS-FOLDER-TAKEN")
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(same), same.code) == ("x is taken", "LS-FOLDER-TAKEN")
    assert FolderError("y").code == "LS-FOLDER"
    assert RunUnreadable("z", code="LS-RUN-SCHEMA").code != RunUnreadable("z").code == "LS-RUN"
    assert "code" in inspect.signature(LeniSearchError).parameters


def test_command_prints_the_code_behind_the_sentence(command, tmp_path):
    (tmp_path / "x").touch()
    for words, code in [
        (("front", str(tmp_path / "none")), "LS-RUN-NO-RESULTS"),
        (("run", "--out", str(tmp_path)), "LS-FOLDER-TAKEN"),
        (("run", "--sampler", "no"), "LS-SAMPLER-UNKNOWN"),
        (("run", "--no-such-option"), "LS-USAGE"),
        (("sites", "torchvision:resnet1"), "LS-NETWORK-UNKNOWN"),
    ]:
        status, _, err = command(*words)
        assert (status, err.splitlines()[-1].rpartition(" ")[2]) == (2, f"[{code}]")


def test_spec_in_a_file_keeps_the_code_of_what_is_wrong_in_it(command, tmp_path):
    (tmp_path / "s.toml").write_text("trails = 3\n")
    assert command("run", str(tmp_path / "s.toml"))[2].endswith("did you mean 'trials'? [LS-SPEC-KEY]\n")


@pytest.mark.parametrize("word", ["LS-FOLDER-TAKEN", "[ls-folder-taken]"])
def test_errors_command_explains_a_code(command, word):
    row = CODES["LS-FOLDER-TAKEN"]
    expected = f"LS-FOLDER-TAKEN: {row.sentence}\nCause: {row.cause}\nRemedy: {row.remedy}\n"
    assert command("errors", word) == (0, expected, "")


def test_errors_command_lists_all_and_knows_the_nearest(command):
    code, out, _ = command("errors")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, list(CODES))
    assert "the nearest is LS-FOLDER-BUSY" in command("errors", "LS-FOLDER-BUSSY")[2]
