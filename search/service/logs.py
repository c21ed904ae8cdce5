"""The service's log: a JSON object a line, without secrets, and with nothing in it that a terminal would obey."""

from __future__ import annotations

import json
import logging
import re
import sys
import time

from search.store import secrets

__all__ = ["log_json", "masked"]

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_OURS = (
    (re.compile(r"\b(leni_[0-9a-f]{1,16}_)[A-Za-z0-9_-]+"), r"\1***"),  # a token of ours: its id stays
    (re.compile(r"\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]+", re.IGNORECASE), r"\1***"),
)


def masked(text: str) -> str:
    """A text without the tokens, the passwords of addresses and the like that may stand in it."""
    for pattern, instead in _OURS:
        text = pattern.sub(instead, text)
    return secrets.masked(text)


class _JsonLines(logging.Formatter):
    """A record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        further = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **further,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        shown = {
            name: value if isinstance(value, (int, float)) or value is None else masked(str(value))
            for name, value in line.items()
        }
        return json.dumps(shown)  # which escapes control characters, lone surrogates and everything beyond ASCII


def log_json(level: int = logging.INFO) -> None:
    """Log to standard error, a JSON object a line: ours and the server's."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    for name in ("leni_search", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
