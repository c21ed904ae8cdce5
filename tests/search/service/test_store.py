"""The database; in PostgreSQL as well where LENI_SEARCH_POSTGRES has the address of an empty one."""

import os
import threading

import pytest

from leni.errors import StorageError
from search.service.store import Store, facts, metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'a.db'}" if request.param == "sqlite" else os.environ.get("LENI_SEARCH_POSTGRES")
    if url is None:
        pytest.skip("LENI_SEARCH_POSTGRES is not set")
    made = Store(url)
    yield made
    if request.param == "postgresql":
        metadata.drop_all(made.engine)
    made.close()


def add(store, **values):
    given = {"spec": {}, "trials": 3, "name": "", "owner": "", "key": None, "priority": 0, **values}
    return store.add(**given)


def test_search_comes_back_as_it_was_added(store):
    search, new = add(store, spec={"fix": {"width": [0.5, 1.0]}}, name="ä <b>", priority=-3)
    assert new
    assert store.get(search.id) == search
    assert (search.spec, search.name, search.priority, search.state) == (
        {"fix": {"width": [0.5, 1.0]}},
        "ä <b>",
        -3,
        "queued",
    )


def test_same_key_of_one_owner_is_one_search_of_another_another(store):
    first, _ = add(store, owner="a", key="k")
    assert add(store, owner="a", key="k") == (first, False)
    assert add(store, owner="b", key="k")[0].id != first.id
    assert add(store, owner="a")[0].id != add(store, owner="a")[0].id


def test_two_hundred_submissions_at_once_are_two_hundred_searches(store):
    threads = [threading.Thread(target=add, args=(store,), kwargs={"key": f"{n % 200}"}) for n in range(400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.page(limit=1000)) == 200


def test_change_of_what_somebody_else_has_changed_does_nothing(store):
    search, _ = add(store)
    assert store.change(search, state="starting").state == "starting"
    assert store.change(search, state="ended") is None
    assert store.get(search.id).state == "starting"


def test_next_is_of_the_highest_priority_the_oldest(store):
    ids = [add(store, priority=priority)[0].id for priority in (0, 5, -1, 5)]
    order = []
    while (search := store.next_queued()) is not None:
        order.append(search.id)
        store.change(search, state="ended")
    assert order == [ids[1], ids[3], ids[0], ids[2]]


def test_ahead_counts_those_that_start_earlier(store):
    made = [add(store, priority=priority)[0] for priority in (0, 5, -1, 5)]
    assert [store.ahead(search) for search in made] == [2, 0, 3, 1]


def test_page_goes_from_new_to_old_without_those_being_deleted(store):
    made = [add(store)[0] for _ in range(5)]
    store.change(made[2], state="deleting")
    first = store.page(limit=2)
    rest = store.page(limit=9, before=first[-1].seq)
    assert [search.id for search in first + rest] == [made[n].id for n in (4, 3, 1, 0)]
    assert store.counts() == {"queued": 4, "starting": 0, "running": 0, "ended": 0, "deleting": 1}


def test_secret_is_the_same_after_a_restart(tmp_path):
    url = f"sqlite:///{tmp_path / 'a.db'}"
    assert Store(url).secret() == Store(url).secret() != Store(f"sqlite:///{tmp_path / 'b.db'}").secret()


def test_database_of_a_newer_version_is_refused(tmp_path, store):
    with store.engine.begin() as connection:
        connection.execute(facts.update().where(facts.c.name == "schema_version").values(value="7"))
    with pytest.raises(StorageError, match="version 7"):
        Store(str(store.engine.url))


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all.db", "oracle9://x"])
def test_database_that_cannot_be_opened_is_a_sentence(url):
    with pytest.raises(StorageError, match="database"):
        Store(url)
