"""The folder in which the command is run: its modules are found, after everything that is installed.

This file is imported before anything that a file of that folder could hide, so it imports nothing but `os` and `sys`,
which Python itself has loaded.
"""

import os
import sys

__all__ = ["search_last"]

OWN = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # noqa: PTH120


def search_last() -> None:
    """Look for modules in the current folder last, wherever `python -m` or PYTHONPATH has put it on the path.

    So a user's results.py or random.py hides neither this package nor what it needs. Nothing changes in a checkout of
    this package, or where the current folder no longer exists.
    """
    try:
        here = os.path.realpath(os.getcwd())  # noqa: PTH109
    except OSError:
        return
    if here == OWN:
        return
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != here]
    sys.path.append(here)
