"""How much memory a data set may take."""

import os
from pathlib import Path

from leni.errors import DataError
from search.training.control_groups import group_folders

_MEMINFO = Path("/proc/meminfo")
UNLIMITED = 2**60  # version 1 writes "no limit" as the largest number of pages


def available_memory() -> int | None:
    """Bytes that can be had without swapping, within this container's limit; None where the system does not say."""
    limits = [limit for limit in (_system(), _container()) if limit is not None]
    return min(limits, default=None)


def require_memory(needed: int, what: str, *, because: str = "") -> None:
    """Refuses a data set of `needed` bytes that would take over half of the memory; the rest is for the training.

    Args:
        needed: bytes.
        what: the data set, as the start of a sentence.
        because: why it has to be in memory, as a part of a sentence; empty where it always is.

    Raises:
        DataError: it would.
    """
    available = available_memory()
    if available is not None and needed > available / 2:
        raise DataError(
            f"{what} would take {needed / 2**30:.2f} GiB as pixels in memory, over half of the "
            f"{available / 2**30:.2f} GiB available{f' ({because})' if because else ''}; a smaller image size or a "
            "smaller train size would fit.",
            code="LS-DATA-MEMORY",
        )


def _system() -> int | None:
    """Linux's own estimate; elsewhere all of the machine's memory, where it can be asked for."""
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return None
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _container() -> int | None:
    """What the control groups' limits leave; None without one."""
    return min((left for folder in group_folders("memory") if (left := _left(folder)) is not None), default=None)


def _left(group: Path) -> int | None:
    """What one control group's limit leaves; None where it has none ("max", a number past any machine, or no file).

    Files that the system merely keeps in memory are given up on demand, so they do not count as used.
    """
    unified = (group / "memory.max").exists()
    names = ("memory.max", "memory.current") if unified else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    try:
        limit, used = ((group / name).read_text(encoding="ascii").strip() for name in names)
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    if not limit.isdigit() or int(limit) >= UNLIMITED:
        return None
    stat = {key: int(value) for key, value in (line.split() for line in lines)}
    prefix = "" if unified else "total_"
    kept = sum(stat.get(f"{prefix}{kind}_file", 0) for kind in ("active", "inactive"))
    return max(0, int(limit) - int(used) + kept)
