import errno

import pytest

from leni.errors import SpecError
from search.service.home import Home
from search.service.queue import Conflict, Queue
from search.service.settings import Settings


@pytest.fixture
def queue(service):
    return service.queue


def submit(queue, count=1, **keys):
    return [queue.submit({"trials": 3}, **keys)[0].id for _ in range(count)]


def states(queue, ids):
    return [queue.store.get(search_id).state for search_id in ids]


def anew(queue, puppets) -> Queue:
    """What a service that was started again knows: the database and the folders."""
    return Queue(queue.store, queue.settings, puppets)


def test_no_more_than_the_limit_run_at_once_and_the_next_follows(queue, puppets):
    ids = submit(queue, 4)
    queue.tick()
    assert states(queue, ids) == ["running", "running", "queued", "queued"]
    puppets.end(queue.store.get(ids[0]), queue.home(ids[0]))
    queue.tick()
    assert states(queue, ids) == ["ended", "running", "running", "queued"]
    assert [search_id for search_id, _ in puppets.launched] == ids[:3]


def test_submission_says_what_the_process_is_to_do(queue):
    search, _ = queue.submit({"trials": 3, "data": "digits", "epochs": None})
    queue.tick()
    home = queue.home(search.id)
    assert home.read(home.job) == {
        "attempt": 1, "spec": {"trials": 3, "data": "digits"}, "trials": 3, "address": None,
    }  # fmt: skip


def test_repeated_submission_is_the_same_and_a_different_one_a_conflict(queue):
    first, new = queue.submit({"trials": 3}, key="k")
    again, second = queue.submit({"trials": 3, "epochs": None}, key="k")
    assert (first.id, new, second) == (again.id, True, False)
    for other in (
        {"keys": {"trials": 4}},
        {"keys": {"trials": 3}, "name": "x"},
        {"keys": {"trials": 3}, "priority": 1},
    ):
        with pytest.raises(Conflict, match="key"):
            queue.submit(other.pop("keys"), key="k", **other)


def test_queued_search_is_cancelled_at_once_and_never_starts(queue, puppets):
    (search_id,) = submit(queue)
    assert queue.cancel(search_id).outcome == "cancelled"
    queue.tick()
    assert puppets.launched == []


def test_running_search_is_told_to_end_also_by_a_service_started_anew(queue, puppets):
    (search_id,) = submit(queue)
    queue.tick()
    assert queue.cancel(search_id).cancel
    assert not queue.home(search_id).cancel.exists()  # killed here: the wish is in the database
    anew(queue, puppets).tick()
    assert queue.home(search_id).cancel.exists()
    puppets.end(queue.store.get(search_id), queue.home(search_id), "interrupted")
    queue.tick()
    search = queue.store.get(search_id)
    assert (search.state, search.outcome, search.cancel) == ("ended", "cancelled", False)


def test_search_that_ends_by_itself_while_being_cancelled_is_complete(queue, puppets):
    (search_id,) = submit(queue)
    queue.tick()
    queue.cancel(search_id)
    puppets.end(queue.store.get(search_id), queue.home(search_id), "complete")
    queue.tick()
    assert queue.store.get(search_id).outcome == "complete"


def test_process_that_does_not_listen_is_killed_in_time(service, puppets, tmp_path):
    settings = Settings(tmp_path / "service", cancel_s=0.0)
    queue = Queue(service.store, settings, puppets)
    (search_id,) = submit(queue)
    queue.tick()
    queue.cancel(search_id)
    queue.tick()
    assert puppets.killed == [search_id]
    queue.tick()
    assert queue.store.get(search_id).outcome == "cancelled"


def test_resumed_search_goes_on_in_a_new_attempt_without_the_old_wish(queue, puppets):
    (search_id,) = submit(queue)
    queue.tick()
    queue.cancel(search_id)
    queue.tick()
    puppets.end(queue.store.get(search_id), queue.home(search_id), "interrupted")
    queue.tick()
    queue.resume(search_id)
    queue.tick()
    assert puppets.launched == [(search_id, 1), (search_id, 2)]
    assert not queue.home(search_id).cancel.exists()
    assert states(queue, [search_id]) == ["running"]  # the old attempt's end is not taken for this one's


def test_extension_says_the_new_total_once(queue, puppets):
    (search_id,) = submit(queue)
    queue.tick()
    puppets.end(queue.store.get(search_id), queue.home(search_id))
    queue.tick()
    with pytest.raises(Conflict, match="extend"):
        queue.resume(search_id)
    assert queue.resume(search_id, add_trials=4).trials == 7
    with pytest.raises(Conflict, match="queued"):
        queue.resume(search_id, add_trials=4)
    queue.tick()
    assert queue.home(search_id).read(queue.home(search_id).job)["trials"] == 7
    puppets.end(queue.store.get(search_id), queue.home(search_id))
    queue.tick()
    with pytest.raises(SpecError, match="at most"):
        queue.resume(search_id, add_trials=10**6)


def test_killed_between_choosing_and_starting_starts_once(queue, puppets):
    (search_id,) = submit(queue)
    search = queue.store.get(search_id)
    queue.store.change(search, state="starting", attempt=1)  # and killed here
    for _ in range(3):
        anew(queue, puppets).tick()
    assert puppets.launched == [(search_id, 1)]
    assert states(queue, [search_id]) == ["running"]


def test_killed_between_starting_and_writing_it_down_starts_nothing_twice(queue, puppets):
    (search_id,) = submit(queue)
    queue.store.change(queue.store.get(search_id), state="starting", attempt=1)
    starting = queue.store.get(search_id)
    queue.home(search_id).path.mkdir(parents=True)
    puppets.launch(starting, queue.home(search_id))  # and killed here
    anew(queue, puppets).tick()
    assert puppets.launched == [(search_id, 1)]
    assert states(queue, [search_id]) == ["running"]


def test_search_that_ended_while_no_service_was_there_is_found_ended(queue, puppets):
    (search_id,) = submit(queue)
    queue.tick()
    puppets.end(queue.store.get(search_id), queue.home(search_id), "failed", "the data is gone")
    anew(queue, puppets).tick()
    search = queue.store.get(search_id)
    assert (search.state, search.outcome, search.note) == ("ended", "failed", "the data is gone")


def test_process_that_died_is_gone_on_with_but_not_for_ever(queue, puppets):
    (search_id,) = submit(queue)
    for attempt in range(1, 5):
        queue.tick()
        assert puppets.launched[-1] == (search_id, attempt)
        queue.home(search_id).log.write_text("Killed\n")
        puppets.die(queue.store.get(search_id))
        queue.tick()
    search = queue.store.get(search_id)
    assert (search.state, search.outcome, len(puppets.launched)) == ("ended", "lost", 4)
    assert search.note == "its process died 4 times without a result; the last thing it said was: Killed"


def test_machine_that_was_shut_down_goes_on_with_its_searches(queue, puppets):
    (search_id,) = submit(queue)
    queue.tick()
    puppets.end(queue.store.get(search_id), queue.home(search_id), "interrupted")
    queue.tick()
    queue.tick()
    assert puppets.launched == [(search_id, 1), (search_id, 2)]


def test_full_disk_keeps_the_search_and_says_so(queue, puppets):
    (search_id,) = submit(queue)
    puppets.error = OSError(errno.ENOSPC, "No space left on device")
    queue.tick()
    search = queue.store.get(search_id)
    assert (search.state, search.note) == (
        "starting",
        "it cannot start yet: No space left on device; it is tried again",
    )
    puppets.error, queue._not_before = None, 0.0
    queue.tick()
    search = queue.store.get(search_id)
    assert (search.state, search.note, puppets.launched) == ("running", "", [(search_id, 1)])


def test_cluster_that_does_not_answer_loses_nothing(queue, puppets):
    (search_id,) = submit(queue)
    queue.tick()
    puppets.unknown = True
    queue.tick()
    assert "does not answer" in queue.store.get(search_id).note
    puppets.unknown = False
    queue.tick()
    assert (queue.store.get(search_id).note, len(puppets.launched)) == ("", 1)


def test_delete_waits_for_the_end_and_leaves_nothing(queue, puppets):
    (search_id,) = submit(queue)
    queue.tick()
    with pytest.raises(Conflict, match="cancel"):
        queue.delete(search_id)
    puppets.end(queue.store.get(search_id), queue.home(search_id))
    queue.tick()
    assert queue.delete(search_id).state == "deleting"
    anew(queue, puppets).tick()
    assert queue.store.get(search_id) is None
    assert not queue.home(search_id).path.exists()


def test_wishes_for_what_is_not_there_are_none(queue):
    assert [queue.cancel("x"), queue.resume("x"), queue.delete("x")] == [None, None, None]


def test_lock_says_who_lives(tmp_path):
    import fcntl

    home = Home(tmp_path)
    assert not home.alive()
    with home.lock.open("a") as stream:
        assert not home.alive()
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert home.alive()
    assert not home.alive()
