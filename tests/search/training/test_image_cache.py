import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest

from leni.errors import DataError
from search.training import decoding, image_cache
from search.training.decoding import decode
from search.training.image_cache import CacheUnavailable, ImageCache, cache_folder, cached_folders, clean


@pytest.fixture(autouse=True)
def own_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("LENI_SEARCH_CACHE", str(tmp_path / "caches"))


@pytest.fixture
def images(write_images):
    return sorted(write_images("set", {"a": 7, "b": 5}).rglob("*.png"))


@pytest.fixture
def decoded(monkeypatch):
    """The paths that are decoded."""
    found, inner = [], decoding._decode_one
    monkeypatch.setattr(decoding, "_decode_one", lambda path, size: (found.append(path), inner(path, size))[1])
    return found


def _cache(images, size=8):
    return ImageCache(images[0].parent.parent, images, size)


def test_take_gives_what_decoding_gives(images):
    rows = np.array([9, 2, 11, 2, 0])
    found = _cache(images).take(rows).images
    assert found.shape == (5, 3, 8, 8)
    assert np.array_equal(found[:].numpy(), decode([images[row] for row in rows], 8).images)


def test_take_decodes_each_image_once(images, decoded):
    _cache(images).take(np.array([4, 5]))
    _cache(images).take(np.array([5, 6, 4]))
    assert decoded == [images[4], images[5], images[6]]


@pytest.mark.parametrize("change", ["time", "content", "name", "size"])
def test_take_decodes_again_what_has_changed(images, decoded, change):
    before = _cache(images)
    if change == "time":
        os.utime(images[3], ns=(1, 1))
    elif change == "content":
        images[3].write_bytes(images[4].read_bytes())
    elif change == "name":
        images[3] = images[3].rename(images[3].with_name("z.png"))
    after = _cache(images, size=9 if change == "size" else 8)
    assert before.folder != after.folder
    assert np.array_equal(after.take(np.array([3])).images[:].numpy(), decode([images[3]], after.shape[1]).images)


def test_take_takes_room_for_what_is_decoded_alone(images):
    cache = _cache(images, size=256)
    cache.take(np.array([11]))
    assert cache.pixels.stat().st_size == 12 * 3 * 256**2
    assert cache.pixels.stat().st_blocks * 512 < 3 * 3 * 256**2


def test_take_broken_image_is_named_or_skipped_and_tried_again(images):
    whole = images[5].read_bytes()
    stamp = images[5].stat().st_mtime_ns
    images[5].write_bytes(b"x" * len(whole))
    os.utime(images[5], ns=(stamp, stamp))
    rows = np.array([3, 5, 7])
    with pytest.raises(DataError, match=r"5\.png is not an image"):
        _cache(images).take(rows)
    taken = _cache(images).take(rows, skip_broken=True)
    assert list(taken.broken) == [1]
    assert np.array_equal(
        taken.images.some(np.array([True, False, True]))[:].numpy(), decode([images[3], images[7]], 8).images
    )
    images[5].write_bytes(whole)
    os.utime(images[5], ns=(stamp, stamp))
    assert _cache(images).take(rows).broken == {}


def test_take_tells_how_many_images_are_there(images):
    told = []
    _cache(images).take(np.arange(5))
    _cache(images).take(np.arange(12), advance=lambda *pair: told.append(pair))
    assert told == [(5, False), (7, True)]


KILLED = """
import os, signal, sys
from pathlib import Path
from search.training import image_cache
from search.training.image_cache import ImageCache
import numpy as np
image_cache._CHUNK_BYTES = 3 * 3 * 8 * 8
paths, inner = sorted(Path(sys.argv[1]).rglob("*.png")), image_cache._write

def killed_at(moment):
    written = 0
    def write(descriptor, content, offset):
        nonlocal written
        inner(descriptor, content[: len(content) // 2 or 1], offset)
        written += 1
        if written == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        inner(descriptor, content, offset)
    image_cache._write = write
    ImageCache(Path(sys.argv[1]), paths, 8).take(np.arange(len(paths)))

for moment in map(int, sys.argv[2:]):
    os.environ["LENI_SEARCH_CACHE"] = f"{sys.argv[1]}-{moment}"
    if (child := os.fork()) == 0:
        killed_at(moment)
        os._exit(0)
    print(-os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
MOMENTS = (2, 5, 23)  # in an image, in a mark, in the last mark but one


def test_take_goes_on_after_a_process_was_killed_while_it_wrote(images, decoded, monkeypatch):
    root = images[0].parent.parent
    words = [sys.executable, "-c", KILLED, str(root), *map(str, MOMENTS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(int(signal.SIGKILL))] * 3
    for moment in MOMENTS:
        monkeypatch.setenv("LENI_SEARCH_CACHE", f"{root}-{moment}")
        found = _cache(images).take(np.arange(12)).images
        assert 0 < len(decoded) <= 12
        assert (len(decoded) < 12) == (moment > 3)
        decoded.clear()
        assert np.array_equal(found[:].numpy(), decode(images, 8).images)
        decoded.clear()


def test_take_disk_without_room_is_one_sentence(images, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, image_cache._SPARE_BYTES + 3 * 3 * 8 * 8))
    _cache(images).take(np.array([1, 2, 3]))
    with pytest.raises(CacheUnavailable, match=r"would take 0\.00 GiB more in .*caches, which has 0\.06 GiB free"):
        _cache(images).take(np.array([1, 2, 3, 4, 5, 6, 7]))


def test_take_folder_that_cannot_be_made_is_one_sentence(images, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LENI_SEARCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(CacheUnavailable, match=r"cannot be kept in .*file \(Not a directory\)"):
        _cache(images).take(np.array([1]))


def test_clean_removes_caches_but_for_those_in_use(images):
    used, unused = _cache(images).take(np.arange(12)).images, _cache(images, size=9)
    unused.take(np.arange(3))
    assert used[:1].shape == (1, 3, 8, 8)  # which opens the file
    assert {cache.place for cache in cached_folders()} == {used.file.parent, unused.folder}
    assert {cache.place: cache.removed for cache in clean()} == {used.file.parent: False, unused.folder: True}
    assert not unused.folder.exists()
    assert used.available()
    del used
    assert [cache.removed for cache in clean()] == [True]
    assert list(cache_folder().iterdir()) == cached_folders() == []


def test_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("LENI_SEARCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "leni-search" / "images"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "leni-search" / "images"
