"""The documents name what is there: README's tree, files, links, make's targets and a run's files."""

import re
from pathlib import Path

import pytest

from search.store.folder import RunFolder

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS if path.name != "CHANGELOG.md"]  # it tells of what was
FILE = re.compile(r"(?<![\w/.-])((?:leni|spaces|search|results|tests|docs)/[\w/.*-]+\.(?:py|md|toml|parquet))\b")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def packages() -> set[str]:
    """Every package that is installed, by its folder."""
    rooms = ("leni", "spaces", "search", "results")
    return {str(path.parent.relative_to(ROOT)) for room in rooms for path in ROOT.glob(f"{room}/**/__init__.py")}


def tree(text: str) -> list[str]:
    """The folders of an indented tree, two spaces a level."""
    found: list[str] = []
    above: list[str] = []
    for line in text.splitlines():
        indent, name = re.match(r"( *)(\w+)/ ", line).groups()
        above = [*above[: len(indent) // 2], name]
        found.append("/".join(above))
    return found


def test_tree_of_the_readme_has_every_package_once():
    (text,) = re.findall(r"```text\n(leni/.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert sorted(tree(text)) == sorted(packages())


def test_tree_reads_levels_by_their_indent():
    assert tree("a/  x\n  b/  y\n    c/  z\n  d/  w\ne/  v") == ["a", "a/b", "a/b/c", "a/d", "e"]


@pytest.mark.parametrize("name", NAMES)
def test_files_that_a_document_names_are_there(name):
    named = [path for path in FILE.findall((ROOT / name).read_text()) if "NAME" not in path]
    assert [path for path in named if not list(ROOT.glob(path))] == []


@pytest.mark.parametrize("name", NAMES)
def test_links_of_a_document_lead_somewhere(name):
    place = (ROOT / name).parent
    assert [link for link in LINK.findall((ROOT / name).read_text()) if not (place / link).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_of_a_document_exist(name):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / name).read_text(), re.MULTILINE))
    assert named
    assert named <= targets


def test_architecture_names_every_file_of_a_run(tmp_path):
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text[text.index("## A run's folder") : text.index("## Failures")]
    values = [value for value in vars(RunFolder(tmp_path)).values() if value != tmp_path]
    files = {path.name for value in values for path in (value if isinstance(value, tuple) else (value,))}
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)) == sorted(files)
