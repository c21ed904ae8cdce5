"""Errors of leni, spaces and search, in one tree.

    LeniSearchError(ValueError)
    ├── ActivationError    an unknown activation, or an option it does not have
    ├── ShapeError         a tensor of the wrong rank or channel count
    ├── PlacementError     a placement that cannot be parsed, or matches no site
    ├── NetworkError       a network that cannot be found, traced or converted
    ├── CandidateError     a candidate with unknown, missing or impossible fields
    │   ├── InfeasibleWidth    a stage would have no channel, or half a channel
    │   └── Impossible         what a user's cost function raises for a configuration that cannot be
    ├── SpaceError         a search space that cannot be read
    ├── DataError          a data set that is missing, truncated or of another form
    ├── SpecError          a search that cannot run as it is described
    ├── FolderError        a run folder that cannot be written or read
    ├── StorageError       a study's database that cannot be opened, or does not answer
    └── EvaluationError    a training that came to nothing: a loss that is not finite

Every message is one sentence that says what was wrong, where, and what would be right; the command prints it with the
error's code and exits with 2.
"""


class LeniSearchError(ValueError):
    """The base of every error that a user can mend.

    Attributes:
        code: short and stable name of the kind of situation, such as LS-FOLDER-TAKEN; docs/faq.md explains each. A
            class has one for its errors in general, and a place that raises may give a more specific one.

    Args:
        words: the message.
        code: a more specific code.
    """

    code: str = "LS-ERROR"

    def __init__(self, *words: object, code: str | None = None) -> None:
        super().__init__(*words)
        if code is not None:
            self.code = code


class ActivationError(LeniSearchError):
    """An activation that is unknown, registered twice, or asked for an option that it does not have."""

    code = "LS-ACTIVATION"


class ShapeError(LeniSearchError):
    """A tensor whose rank or channel count is not what a module was built for."""

    code = "LS-SHAPE"


class PlacementError(LeniSearchError):
    """A placement that cannot be parsed, or that matches no call site."""

    code = "LS-PLACEMENT"


class NetworkError(LeniSearchError):
    """A network that cannot be found, traced, converted or narrowed."""

    code = "LS-NETWORK"


class CandidateError(LeniSearchError):
    """A candidate with unknown, missing or impossible fields."""

    code = "LS-CANDIDATE"


class InfeasibleWidth(CandidateError):
    """A width at which a stage would have no channel, or half a channel."""

    code = "LS-WIDTH"


class Impossible(CandidateError):
    """A configuration that cannot be: raised by a user's cost function, so that it is refused without a trial."""

    code = "LS-IMPOSSIBLE"


class SpaceError(LeniSearchError):
    """A search space that cannot be read, or that holds no candidate."""

    code = "LS-SPACE"


class DataError(LeniSearchError):
    """A data set that is missing, truncated, or not in the form that was expected."""

    code = "LS-DATA"


class SpecError(LeniSearchError):
    """A search that cannot run as it is described."""

    code = "LS-SPEC"


class FolderError(LeniSearchError):
    """A run folder that cannot be written or read."""

    code = "LS-FOLDER"


class EvaluationError(LeniSearchError):
    """A training that came to nothing, for example because its loss is not finite."""

    code = "LS-EVALUATION"


class StorageError(LeniSearchError):
    """A study's database that cannot be opened, or that has not answered for too long."""

    code = "LS-STORAGE"


def reason_of(error: BaseException) -> str:
    """What an exception of another library says, as a part of a sentence.

    Args:
        error: of any kind; messages of torch run over many lines.

    Returns:
        Its first sentence, without the full stop; the exception's class where it says nothing.
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__).split(". ")[0].removesuffix(".")
