from pathlib import Path

import pytest

from search.training.control_groups import group_folders


def process(folder: Path, *, groups: str, mounts: list[str]) -> Path:
    """A process's folder under /proc whose files say this."""
    folder.mkdir()
    (folder / "cgroup").write_text(groups)
    lines = [f"{30 + row} 25 0:{row} {mount}\n" for row, mount in enumerate(mounts)]
    (folder / "mountinfo").write_text("".join(lines))
    return folder


def test_group_folders_version_2_gives_the_group_and_those_above(tmp_path):
    point = tmp_path / "cg"
    (point / "user.slice" / "job").mkdir(parents=True)
    proc = process(
        tmp_path / "proc",
        groups="0::/user.slice/job\n",
        mounts=["/ / rw - ext4 /dev/sda rw", f"/ {point} rw,nosuid shared:9 - cgroup2 cgroup2 rw"],
    )
    assert group_folders("cpu", proc=proc) == [point / "user.slice" / "job", point / "user.slice", point]


def test_group_folders_version_1_takes_the_controllers_own_mount(tmp_path):
    cpu, memory = tmp_path / "cpu,cpuacct", tmp_path / "memory"
    (cpu / "batch").mkdir(parents=True)
    memory.mkdir()
    proc = process(
        tmp_path / "proc",
        groups="4:memory:/\n3:cpuset:/elsewhere\n2:cpu,cpuacct:/batch\n0::/\n",
        mounts=[f"/ {memory} rw - cgroup cgroup rw,memory", f"/ {cpu} rw - cgroup cgroup rw,cpu,cpuacct"],
    )
    assert group_folders("cpu", proc=proc) == [cpu / "batch", cpu]
    assert group_folders("memory", proc=proc) == [memory]


@pytest.mark.parametrize("group", ["/docker/abc", "/docker/other", "/../../host"])
def test_group_folders_in_a_container_whose_mount_shows_its_own_group_is_the_mount_point(tmp_path, group):
    point = tmp_path / "with blank"
    point.mkdir()
    escaped = str(point).replace(" ", "\\040")
    proc = process(
        tmp_path / "proc", groups=f"2:cpu:{group}\n", mounts=[f"/docker/abc {escaped} ro - cgroup cgroup ro,cpu"]
    )
    assert group_folders("cpu", proc=proc) == [point]


def test_group_folders_without_linux_files_is_empty(tmp_path):
    assert group_folders("cpu", proc=tmp_path / "missing") == []
