import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.training import cpus
from search.training.cpus import usable_cpus


@pytest.fixture
def eight(monkeypatch, tmp_path):
    """A machine that lets this process on eight CPUs; its control group's folder."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(3, 11)), raising=False)
    monkeypatch.setattr(cpus, "group_folders", lambda controller: [tmp_path / "none", tmp_path])
    return tmp_path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "2000000 100000\n"}, 8),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.cfs_quota_us": "150000\n", "cpu.cfs_period_us": "50000\n"}, 3),
        ({"cpu.cfs_quota_us": "150000\n"}, 8),
        ({"cpu.max": ""}, 8),
    ],
)
def test_usable_cpus_is_the_lesser_of_mask_and_quota(eight: Path, files, expected):
    for name, text in files.items():
        (eight / name).write_text(text)
    assert usable_cpus() == expected


def test_usable_cpus_takes_the_narrowest_of_nested_groups(eight: Path):
    (eight / "none").mkdir()
    (eight / "none" / "cpu.max").write_text("500000 100000")
    (eight / "cpu.max").write_text("300000 100000")
    assert usable_cpus() == 3


def test_usable_cpus_without_masks_is_the_machines(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    monkeypatch.setattr(cpus, "group_folders", lambda controller: [])
    assert usable_cpus() == 5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_usable_cpus_of_a_process_bound_to_one_cpu_is_one():
    one = min(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, {{{one}}}); from search.training.cpus import usable_cpus; "
        "print(usable_cpus())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
