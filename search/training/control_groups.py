"""Where Linux keeps the limits of this process's control groups, versions 1 and 2, in a container or outside one."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

__all__ = ["group_folders"]

PROC = Path("/proc/self")


def group_folders(controller: str, *, proc: Path | None = None) -> list[Path]:
    """The folders of a controller's limits for this process: its own group first, then the groups above it.

    A limit holds for a group and everything below it, so the least of all folders is the one that counts.

    Args:
        controller: "cpu" or "memory".
        proc: the process's folder under /proc; None for this process's.

    Returns:
        Folders that exist; none where the system has no control groups.
    """
    proc = PROC if proc is None else proc
    try:
        memberships = (proc / "cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        mounts = (proc / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for mount in mounts:
        fields, _, tail = mount.partition(" - ")
        kind, _, options = tail.partition(" ")
        root, point = (_unescaped(text) for text in fields.split(" ")[3:5])
        for membership in memberships:
            number, controllers, group = membership.split(":", 2)
            unified = kind == "cgroup2" and number == "0"
            named = controller in controllers.split(",") and controller in re.split("[ ,]", options)
            if unified or (kind == "cgroup" and named):
                found += _upwards(Path(point), PurePosixPath(root), PurePosixPath(group))
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def _upwards(point: Path, root: PurePosixPath, group: PurePosixPath) -> list[Path]:
    """A group's folder below a mount point that shows the tree from `root` on, and those above it."""
    # A container may see its own group at the mount point, while /proc names the group by the host's tree.
    inside = group.relative_to(root) if group.is_relative_to(root) else PurePosixPath()
    if ".." in inside.parts:
        inside = PurePosixPath()
    own = point / inside
    return [own, *(above for above in own.parents if above.is_relative_to(point))]


def _unescaped(text: str) -> str:
    r"""A path of mountinfo, where a blank is written \040."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
