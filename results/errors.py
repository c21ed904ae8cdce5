"""Errors of results, in one tree of its own: this room imports no other.

    ResultsError(ValueError)       also: a figure asked for in an unknown format
    ├── RunUnreadable      a run folder that is empty, half-written, damaged, or of another schema version
    ├── RecordError        a row that is not a record: a field missing, unknown or of the wrong type
    └── ObjectiveError     an objective that the records do not have, without direction or without bounds

Every message is one sentence that says what was wrong, where, and what would be right.
"""


class ResultsError(ValueError):
    """The base of every error of this room that a user can mend.

    Attributes:
        code: short and stable name of the kind of situation; docs/faq.md explains each. A class has one for its errors
            in general, and a place that raises may give a more specific one.

    Args:
        words: the message.
        code: a more specific code.
    """

    code: str = "LS-RESULTS"

    def __init__(self, *words: object, code: str | None = None) -> None:
        super().__init__(*words)
        if code is not None:
            self.code = code


class RunUnreadable(ResultsError):
    """A run folder from which no results can be read."""

    code = "LS-RUN"


class RecordError(ResultsError):
    """A row that cannot be a record."""

    code = "LS-RECORD"


class ObjectiveError(ResultsError):
    """Objectives that cannot be computed from the records at hand."""

    code = "LS-OBJECTIVE"
