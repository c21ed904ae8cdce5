import sqlite3
from pathlib import Path

import optuna
import pytest
from sqlalchemy import create_engine, text

from search.store.sqlite import absolute_database, open_storage, read_only, sqlite_url
from search.store.trials import StudyStore


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def test_sqlite_files_lie_where_their_path_says(odd_folder):
    folder = odd_folder
    optuna.create_study(storage=open_storage(folder / "study.db"), study_name="one")
    engine = create_engine(sqlite_url(folder / "other.db"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine (x INTEGER)"))
    engine.dispose()
    assert list(folder.parent.iterdir()) == [folder]
    assert "studies" in tables(folder / "study.db")
    assert tables(folder / "other.db") == {"mine"}


def test_read_only_connection_reads_and_cannot_write(odd_folder):
    path = odd_folder / "a.db"
    with pytest.raises(sqlite3.OperationalError):
        read_only(path, timeout=1)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
    reading = read_only(path, timeout=1)
    assert reading.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reading.execute("INSERT INTO t VALUES (1)")
    reading.close()


def test_storage_without_locks_opens_a_file_that_another_process_has_locked(tmp_path):
    path = tmp_path / "why?.db"
    optuna.create_study(storage=open_storage(path, lock=False), study_name="one")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert [study.study_name for study in open_storage(path, lock=False).get_all_studies()] == ["one"]
    holder.close()


def test_study_address_with_braces_is_taken_literally(tmp_path):
    StudyStore(f"sqlite:///{tmp_path}/{{SCHEMA_VERSION}}.db", {"loss": "minimize"}).close()
    assert (tmp_path / "{SCHEMA_VERSION}.db").exists()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("sqlite:///a.db", "sqlite:///{here}/a.db"),
        ("sqlite:////x/a.db", "sqlite:////x/a.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:a.db?uri=true", "sqlite:///file:a.db?uri=true"),
        ("postgresql://u:p@h/n", "postgresql://u:p@h/n"),
    ],
)
def test_absolute_database_makes_the_path_of_a_sqlite_file_whole(monkeypatch, tmp_path, address, expected):
    monkeypatch.chdir(tmp_path)
    assert absolute_database(address) == expected.format(here=tmp_path)
