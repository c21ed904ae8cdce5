import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from leni.errors import DataError
from search.training.idx import find_idx, read_idx


def test_read_idx_plain_and_gzipped_give_the_array(tmp_path, idx_form):
    array = np.random.default_rng(0).integers(0, 256, (5, 3, 4), dtype=np.uint8)
    (tmp_path / "a").write_bytes(idx_form(array))
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx_form(array)))
    for name in ("a", "b.gz"):
        assert np.array_equal(read_idx(tmp_path / name, dimensions=3), array)


def test_read_idx_sizes_are_big_endian(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 1, 2]) + bytes(range(256)) + b"\x07\x09")
    assert read_idx(path, dimensions=1).tolist() == [*range(256), 7, 9]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "bytes of an empty file"),
        (b"\x89PNG....", "89 50 4e 47"),
        (b"\0\0\x08\x03" + bytes(12), "starts with 00 00 08 01"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "00 00 0d 01"),
        (b"\0\0\x08\x01\0\0", "within its header, after 6 of 8 bytes"),
        (b"\0\0\x08\x01\0\0\0\x05abcd", "4 bytes of values.* means 5: it is truncated"),
        (b"\0\0\x08\x01\0\0\0\x03abcd", "means 3: it is followed by something else"),
    ],
)
def test_read_idx_wrong_content_is_named(tmp_path, content, complaint):
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(DataError, match=f"labels.*{complaint}"):
        read_idx(tmp_path / "labels", dimensions=1)


@pytest.mark.parametrize("kept", [0, 5, 15, -1, -9])
def test_read_idx_truncated_gzip_is_named(tmp_path, idx_form, kept):
    whole = gzip.compress(idx_form(np.arange(200, dtype=np.uint8)))
    (tmp_path / "x.gz").write_bytes(whole[:kept])
    with pytest.raises(DataError, match=r"x\.gz"):
        read_idx(tmp_path / "x.gz", dimensions=1)


def test_read_idx_corrupt_gzip_is_named(tmp_path, idx_form):
    whole = bytearray(gzip.compress(idx_form(np.arange(200, dtype=np.uint8))))
    whole[-6] ^= 0xFF  # the checksum
    (tmp_path / "x.gz").write_bytes(whole)
    with pytest.raises(DataError, match=r"x\.gz is not a whole gzip file"):
        read_idx(tmp_path / "x.gz", dimensions=1)


def test_read_idx_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="gone cannot be read"):
        read_idx(tmp_path / "gone", dimensions=1)


def test_read_idx_result_is_writable_and_its_own(tmp_path):
    (tmp_path / "x").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 2) + b"ab")
    array = read_idx(tmp_path / "x", dimensions=1)
    array[0] = 0
    assert array.flags.owndata


def test_find_idx_prefers_the_plain_file(tmp_path):
    assert find_idx(tmp_path, "x") is None
    (tmp_path / "x.gz").touch()
    assert find_idx(tmp_path, "x") == tmp_path / "x.gz"
    (tmp_path / "x").touch()
    assert find_idx(Path(tmp_path), "x") == tmp_path / "x"


def test_read_idx_goes_by_the_content_not_the_name(tmp_path, idx_form):
    array = np.random.default_rng(0).integers(0, 256, (3, 5, 2), dtype=np.uint8)
    (tmp_path / "plain.gz").write_bytes(idx_form(array))
    (tmp_path / "zipped").write_bytes(gzip.compress(idx_form(array)))
    for name in ("plain.gz", "zipped"):
        assert np.array_equal(read_idx(tmp_path / name, dimensions=3), array)
