import pytest

from leni.errors import DataError
from search.training import memory


def _machine(monkeypatch, tmp_path, *, free_kib=None, limit=None, used=0, cached=0):
    """A machine whose files say this; None leaves the file out."""
    if free_kib is not None:
        (tmp_path / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemFree: 7 kB\nMemAvailable:  {free_kib} kB\n")
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{used}\n")
        (tmp_path / "memory.stat").write_text(f"anon 5\nactive_file {cached}\ninactive_file 1\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "group_folders", lambda controller: [tmp_path] if controller == "memory" else [])


def test_available_memory_is_the_systems_estimate(monkeypatch, tmp_path):
    _machine(monkeypatch, tmp_path, free_kib=2000, limit="max")
    assert memory.available_memory() == 2000 * 1024


@pytest.mark.parametrize(("used", "cached", "left"), [(600, 0, 401), (600, 300, 701), (2000, 0, 0)])
def test_available_memory_in_a_container_is_its_limit_less_what_is_used(monkeypatch, tmp_path, used, cached, left):
    _machine(monkeypatch, tmp_path, free_kib=2000, limit=1000, used=used, cached=cached)
    assert memory.available_memory() == left


def test_available_memory_without_linux_files_is_the_machines(monkeypatch, tmp_path):
    _machine(monkeypatch, tmp_path)
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}.__getitem__)
    assert memory.available_memory() == 40960


def test_available_memory_of_a_system_that_does_not_say_is_none_and_allows_all(monkeypatch, tmp_path):
    _machine(monkeypatch, tmp_path)
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available_memory() is None
    memory.require_memory(2**60, "much")


def test_require_memory_refuses_more_than_half(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**31)
    memory.require_memory(2**30, "half")
    with pytest.raises(DataError, match=r"too much would take 1\.50 GiB .* half of the 2\.00 GiB .*smaller image size"):
        memory.require_memory(3 * 2**29, "too much")


def test_available_memory_in_a_version_1_container_is_its_limit_less_what_is_used(monkeypatch, tmp_path):
    _machine(monkeypatch, tmp_path, free_kib=2000)
    (tmp_path / "memory.limit_in_bytes").write_text("1000\n")
    (tmp_path / "memory.usage_in_bytes").write_text("600\n")
    (tmp_path / "memory.stat").write_text("inactive_file 9\ntotal_inactive_file 200\ntotal_active_file 100\n")
    assert memory.available_memory() == 700
    (tmp_path / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert memory.available_memory() == 2000 * 1024


def test_available_memory_is_what_the_narrowest_of_nested_groups_leaves(monkeypatch, tmp_path):
    _machine(monkeypatch, tmp_path, free_kib=2000)
    for name, limit in (("inner", "max"), ("outer", "500")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.max").write_text(limit)
        (tmp_path / name / "memory.current").write_text("100")
        (tmp_path / name / "memory.stat").write_text("anon 1\n")
    monkeypatch.setattr(memory, "group_folders", lambda _: [tmp_path / "inner", tmp_path / "outer"])
    assert memory.available_memory() == 400
