"""Errors of results, in one tree of its own: this room imports no other.

    ResultsError(ValueError)       also: a figure asked for in an unknown format
    ├── RunUnreadable      a run folder that is empty, half-written, damaged, or of another schema version
    ├── RecordError        a row that is not a record: a field missing, unknown or of the wrong type
    └── ObjectiveError     an objective that the records do not have, without direction or without bounds

Every message is one sentence that says what was wrong, where, and what would be right.
"""


class ResultsError(ValueError):
    """The base of every error of this room that a user can mend."""


class RunUnreadable(ResultsError):
    """A run folder from which no results can be read."""


class RecordError(ResultsError):
    """A row that cannot be a record."""


class ObjectiveError(ResultsError):
    """Objectives that cannot be computed from the records at hand."""
