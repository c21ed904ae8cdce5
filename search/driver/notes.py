"""What a reader of a run should know although nothing failed: said on screen, in run.log and in environment.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from search.engine.asker import Asker
from search.store.folder import RunFolder

__all__ = ["Notes", "restore_sampler"]


class Notes:
    """Sentences about one run, each said once.

    Args:
        folder: of the run.
        say: shows a sentence on screen.
        earlier: sentences that were said before the run was resumed.
    """

    def __init__(self, folder: RunFolder, say: Callable[[str], None], earlier: Iterable[str] = ()) -> None:
        self.folder, self.say = folder, say
        self.texts = list(earlier)
        self.said: set[str] = set()

    def add(self, text: str) -> None:
        """Say a sentence, unless this process has said it."""
        if text in self.said:
            return
        self.said.add(text)
        self.texts.append(text)
        self.say(text)
        self.folder.write_log(text)


def restore_sampler(asker: Asker, folder: RunFolder, notes: Notes, *, trials: int) -> None:
    """Let a resumed run's sampler continue where it was; where that is not possible, reseed it, and say so.

    Args:
        asker: with the run's trials replayed into it.
        folder: of the run.
        notes: where it is said.
        trials: that the run had begun, from which new random numbers follow together with the seed.
    """
    state = folder.sampler_state()
    if asker.keepable and state is not None and asker.restore(state):
        return
    if not asker.keepable:
        why = f"the state of {asker.study.sampler} cannot be kept as data"
    elif state is not None:
        why = f"{folder.sampler.name} cannot be read"
    elif folder.sampler.with_suffix(".pickle").exists():
        why = "sampler.pickle, of an older version, is not read, since such a file can run code"
    else:
        why = f"{folder.sampler.name} is missing"
    asker.reseed(trials)
    notes.add(f"{why}: the sampler continues with other random numbers, from seed {asker.seed} and {trials} trials")
