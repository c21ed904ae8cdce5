"""The folder and the environment variables that every call of a user's function begins with.

Ray runs a trial in a folder of its own, and a function may change folder and environment. A relative path means the
folder where the command was started, in the first call as in every later one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["Surroundings"]


class Surroundings:
    """What is put back before each call in this process.

    Args:
        folder: where the command was started; None for wherever the process is.
        program: what `sys.argv` names, so that a function which parses a command line finds an empty one.
    """

    def __init__(self, folder: str | None, program: str) -> None:
        self.folder, self.program = folder, program
        self.variables: dict[str, str] | None = None

    def restore(self) -> str:
        """Put folder, variables and arguments back; the first time, take note of the variables.

        Returns:
            A sentence where the folder is not on this machine; empty otherwise.
        """
        if self.variables is None:
            self.variables = dict(os.environ)
        elif self.variables != dict(os.environ):
            for name in set(os.environ) - set(self.variables):
                del os.environ[name]
            os.environ.update(self.variables)
        sys.argv[:] = [self.program]
        if self.folder is None:
            return ""
        try:
            os.chdir(self.folder)
        except OSError as error:
            home = Path.home()  # a folder that another call has left may be gone
            os.chdir(home)
            return f"relative paths mean {home}: {self.folder} cannot be entered on this machine ({error.strerror})"
        return ""
