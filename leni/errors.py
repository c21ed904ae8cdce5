"""Errors of leni, spaces and search, in one tree.

    LeniSearchError(ValueError)
    ├── ActivationError    an unknown activation, or an option it does not have
    ├── ShapeError         a tensor of the wrong rank or channel count
    ├── PlacementError     a placement that cannot be parsed, or matches no site
    ├── NetworkError       a network that cannot be found, traced or converted
    ├── CandidateError     a candidate with unknown, missing or impossible fields
    │   └── InfeasibleWidth    a stage would have no channel, or half a channel
    ├── SpaceError         a search space that cannot be read
    ├── DataError          a data set that is missing, truncated or of another form
    ├── SpecError          a search that cannot run as it is described
    ├── FolderError        a run folder that cannot be written or read
    ├── StorageError       a study's database that cannot be opened, or does not answer
    └── EvaluationError    a training that came to nothing: a loss that is not finite

Every message is one sentence that says what was wrong, where, and what would be right; the command prints it and
exits with 2.
"""


class LeniSearchError(ValueError):
    """The base of every error that a user can mend."""


class ActivationError(LeniSearchError):
    """An activation that is unknown, registered twice, or asked for an option that it does not have."""


class ShapeError(LeniSearchError):
    """A tensor whose rank or channel count is not what a module was built for."""


class PlacementError(LeniSearchError):
    """A placement that cannot be parsed, or that matches no call site."""


class NetworkError(LeniSearchError):
    """A network that cannot be found, traced, converted or narrowed."""


class CandidateError(LeniSearchError):
    """A candidate with unknown, missing or impossible fields."""


class InfeasibleWidth(CandidateError):
    """A width at which a stage would have no channel, or half a channel."""


class SpaceError(LeniSearchError):
    """A search space that cannot be read, or that holds no candidate."""


class DataError(LeniSearchError):
    """A data set that is missing, truncated, or not in the form that was expected."""


class SpecError(LeniSearchError):
    """A search that cannot run as it is described."""


class FolderError(LeniSearchError):
    """A run folder that cannot be written or read."""


class EvaluationError(LeniSearchError):
    """A training that came to nothing, for example because its loss is not finite."""


class StorageError(LeniSearchError):
    """A study's database that cannot be opened, or that has not answered for too long."""


def reason_of(error: BaseException) -> str:
    """What an exception of another library says, as a part of a sentence.

    Args:
        error: of any kind; messages of torch run over many lines.

    Returns:
        Its first sentence, without the full stop; the exception's class where it says nothing.
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__).split(". ")[0].removesuffix(".")
