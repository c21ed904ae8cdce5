import optuna
import pytest

from search.decide.samplers import sampler
from search.driver.notes import Notes, restore_sampler
from search.engine.asker import Asker
from search.store.folder import RunFolder
from spaces import space

CONTINUOUS = space({"name": "unit", "parameters": {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}})


def asker(which="random", seed=5) -> Asker:
    chosen = sampler(which, seed=seed) if isinstance(which, str) else which
    return Asker(CONTINUOUS, chosen, directions=["maximize", "minimize"], seed=seed, check=lambda _: {})


def drawn(source: Asker, count: int = 3):
    return [source.ask().candidate for _ in range(count)]


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.fixture
def notes(folder) -> Notes:
    said: list[str] = []
    made = Notes(folder, said.append)
    made.shown = said
    return made


def test_sentence_is_said_once_on_screen_and_in_the_log_and_kept_behind_earlier_ones(folder):
    said = []
    notes = Notes(folder, said.append, ("before",))
    for text in ("one\udce9", "two", "one\udce9"):
        notes.add(text)
    assert said == ["one\udce9", "two"]
    assert notes.texts == ["before", "one\udce9", "two"]
    assert [line.partition(" ")[2] for line in folder.log.read_text().splitlines()] == ["one\\udce9", "two"]


def test_sampler_goes_on_where_its_state_says_without_a_word(folder, notes):
    first = asker()
    drawn(first)
    folder.keep_sampler(first.state())
    later = asker()
    restore_sampler(later, folder, notes, trials=3)
    assert drawn(later) == drawn(first)
    assert notes.texts == []


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("sampler.json", b"\x80\x04K\x01.", "sampler.json cannot be read"),
        ("sampler.json", b'{"version": 99}', "sampler.json cannot be read"),
        ("sampler.json", b"[" * 10_000, "sampler.json cannot be read"),
        ("sampler.pickle", b"\x80\x04K\x01.", "sampler.pickle, of an older version, is not read"),
        ("other", b"", "sampler.json is missing"),
    ],
)
def test_state_that_cannot_be_read_is_said_and_the_numbers_follow_from_seed_and_trials(
    folder, notes, name, content, sentence
):
    (folder.path / name).write_bytes(content)
    one, again, further, fresh = asker(), asker(), asker(), asker()
    restore_sampler(one, folder, notes, trials=7)
    restore_sampler(again, folder, notes, trials=7)
    restore_sampler(further, folder, notes, trials=8)
    found = drawn(one)
    assert found == drawn(again)
    assert not {*found} & {*drawn(further), *drawn(fresh)}
    assert notes.texts[0].startswith(sentence)
    assert "from seed 5 and 7 trials" in notes.texts[0]
    assert notes.texts == notes.shown


def test_sampler_whose_state_is_more_than_its_generators_is_reseeded_and_said(folder, notes):
    made = [asker(optuna.samplers.GPSampler(seed=1)) for _ in range(2)]
    assert not made[0].keepable
    folder.keep_sampler(made[0].state())
    for one in made:
        restore_sampler(one, folder, notes, trials=4)
    assert drawn(made[0]) == drawn(made[1])
    assert len(notes.texts) == 1
    assert "cannot be kept as data" in notes.texts[0]


@pytest.mark.parametrize("which", ["known-cost", "gp", "tpe", "nsga2", "nsga3", "qmc", "random"])
def test_every_sampler_by_name_can_be_kept(which):
    assert asker(which).keepable
