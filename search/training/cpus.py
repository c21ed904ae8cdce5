"""How many CPUs this process may use."""

from __future__ import annotations

import os
from pathlib import Path

from search.training.control_groups import group_folders

__all__ = ["usable_cpus"]


def usable_cpus() -> int:
    """CPUs that this process may use: the machine's, less what its affinity mask and its control groups withhold.

    An affinity mask comes from `taskset`, a batch system or a container's CPU set; a control group's quota from
    `docker run --cpus`, a Kubernetes limit or systemd's CPUQuota.

    Returns:
        At least 1; a quota of 2.5 CPUs counts as 2.
    """
    # macOS has no affinity masks.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in group_folders("cpu") if (quota := _quota(folder)) is not None]
    return max(1, int(min([allowed, *quotas])))


def _quota(folder: Path) -> float | None:
    """The CPUs that a control group allows; None for no limit."""
    try:
        if (unified := folder / "cpu.max").exists():
            quota, period = unified.read_text(encoding="ascii").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return None
