import sys

import pytest

from leni.user_modules import PREFIX, hidden_file, import_user_module


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A folder at the end of the path, as the command has its own; what is imported from it is forgotten."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.filterwarnings("ignore:Setuptools is replacing distutils")  # setuptools has an import hook for pip
@pytest.mark.parametrize("name", ["random", "torch", "results", "leni", "wave", "pip"])
def test_import_user_module_prefers_the_users_file_and_leaves_the_other(folder, name):
    before = sys.modules.get(name)
    write(folder / f"{name}.py", "mine = 3")
    assert import_user_module(name).mine == 3
    assert import_user_module(name) is import_user_module(name)
    assert sys.modules.get(name) is before
    assert hidden_file(name) == str(folder / f"{name}.py")


def test_import_user_module_under_a_free_name_is_an_ordinary_import(folder):
    write(folder / "my_own_evaluator.py", "mine = 4")
    module = import_user_module("my_own_evaluator")
    assert module.mine == 4
    assert sys.modules["my_own_evaluator"] is module
    assert hidden_file("my_own_evaluator") is None


def test_import_user_module_of_a_package_whose_name_is_taken_has_its_relative_imports(folder):
    write(folder / "email" / "__init__.py", "")
    write(folder / "email" / "part.py", "value = 7")
    write(folder / "email" / "whole.py", "from .part import value")
    assert import_user_module("email.whole").value == 7
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'email\.missing'$"):
        import_user_module("email.missing")


def test_import_user_module_ignores_a_folder_without_code(folder):
    (folder / "json").mkdir()
    assert import_user_module("json").loads("1") == 1


def test_import_user_module_that_raises_leaves_nothing_behind(folder):
    write(folder / "random.py", "import no_such_module_at_all")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        import_user_module("random")
    assert f"{PREFIX}random" not in sys.modules
