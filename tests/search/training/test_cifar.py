import os
import pickle

import numpy as np
import pytest

from leni.errors import DataError
from search.training.cifar import CIFAR10, CIFAR100

FORMS = {"cifar10": CIFAR10, "cifar100": CIFAR100}


def _batch(count=4, **changes):
    batch = {"data": np.zeros((count, 3072), dtype=np.uint8), "labels": [3] * count}
    return {**batch, **changes}


def _read_with(written, content):
    path = written.folder / "data_batch_3"
    path.write_bytes(content)
    return CIFAR10.read(written.folder, None)


@pytest.mark.parametrize("name", FORMS)
def test_read_gives_what_was_written(name, request):
    written, form = request.getfixturevalue(name), FORMS[name]
    raw = form.read(written.folder, None)
    for part, (images, labels) in written.parts.items():
        labelled = getattr(raw, part)
        assert np.array_equal(labelled.labels, labels)
        assert np.array_equal(labelled.take(np.arange(len(labels))).images, images)
    assert (len(raw.classes), raw.input_shape, raw.validation) == (form.classes, (3, 32, 32), None)


@pytest.mark.parametrize(("name", "kind"), [("cifar10", "CIFAR10"), ("cifar100", "CIFAR100")])
def test_read_agrees_with_torchvision(name, kind, request, monkeypatch):
    import torchvision.datasets

    written, cls = request.getfixturevalue(name), getattr(torchvision.datasets, kind)
    monkeypatch.setattr(cls, "_check_integrity", lambda self: True)
    monkeypatch.setattr(cls, "_load_meta", lambda self: None)
    theirs, ours = cls(written.folder.parent, train=True), FORMS[name].read(written.folder, None).train
    assert np.array_equal(ours.take(np.arange(len(theirs))).images, theirs.data.transpose(0, 3, 1, 2))
    assert ours.labels.tolist() == theirs.targets


def test_find_takes_the_folder_or_its_parent_and_wants_every_file(cifar10):
    assert CIFAR10.find(cifar10.folder) == CIFAR10.find(cifar10.folder.parent) == cifar10.folder
    assert CIFAR100.find(cifar10.folder) is CIFAR10.find(None) is None
    cifar10.files[2].unlink()
    assert CIFAR10.find(cifar10.folder) is None


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_read_truncated_file_is_named(name, share, request):
    written = request.getfixturevalue(name)
    for path in written.files:
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match=f"{path.name} cannot be unpickled"):
            FORMS[name].read(written.folder, None)
        path.write_bytes(whole)


@pytest.mark.parametrize("protocol", [2, 4])
def test_read_accepts_files_pickled_again_by_python_3(cifar10, protocol):
    pixels = np.arange(2 * 3072).astype(np.uint8).reshape(2, 3072)
    raw = _read_with(cifar10, pickle.dumps(_batch(2, data=pixels), protocol=protocol))
    place = int(np.flatnonzero((raw.train.take(np.arange(20)).images.reshape(20, -1) == pixels[0]).all(1))[0])
    assert raw.train.labels[place] == 3


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [
        ([1, 2], "holds list"),
        (
            {"data": np.zeros((1, 3072), np.uint8), "fine_labels": [1]},
            r"\['data', 'fine_labels'\].*'data' and 'labels'",
        ),
        (_batch(data=np.zeros((4, 1024), np.uint8)), r"uint8 \(4, 1024\).*uint8 \(images, 3072\)"),
        (_batch(data=np.zeros((4, 3072), np.int16)), "int16"),
        (_batch(data=[1, 2]), "pixels of the form list"),
        (_batch(labels=[0, 1, 2, 10]), "integers 0..9"),
        (_batch(labels=[0, 1, 2, -1]), "integers 0..9"),
        (_batch(labels=[0, 1, 2, "3"]), "integers 0..9"),
        (_batch(labels=[0, 1, 2]), "4 images and 3 labels"),
    ],
)
def test_read_wrong_content_is_named(cifar10, batch, complaint):
    with pytest.raises(DataError, match=f"data_batch_3 .*{complaint}"):
        _read_with(cifar10, pickle.dumps(batch, protocol=2))


class _Command:
    """Runs a command when it is unpickled without restriction."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_read_pickle_that_runs_code_is_refused_and_does_not_run(cifar10, tmp_path):
    content = pickle.dumps(_batch(labels=_Command(tmp_path / "made")))
    with pytest.raises(DataError, match=r"data_batch_3 .*it names \w+\.mkdir"):
        _read_with(cifar10, content)
    assert not (tmp_path / "made").exists()
    pickle.loads(content)
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("operation", [b"r\xff\xff\xff\x7f", b"p2147483647\n"])
def test_read_pickle_that_asks_for_gigabytes_is_refused_before_it_gets_them(cifar10, operation):
    with pytest.raises(DataError, match=r"data_batch_3 .*it numbers an object 2147483647, and has \d+ bytes"):
        _read_with(cifar10, b"\x80\x02}" + operation + b".")


def test_read_array_of_a_foreign_type_is_refused(cifar10):
    content = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\x00\x85U\x01b\x87R."
    with pytest.raises(DataError, match=r"data_batch_3 .*an array of the type"):
        _read_with(cifar10, content)


def test_read_accepts_what_python_3_14_writes(cifar10):
    path = cifar10.files[-1]
    batch = pickle.loads(path.read_bytes(), encoding="latin1")
    path.write_bytes(pickle.dumps(batch, protocol=5))
    labelled = CIFAR10.read(cifar10.folder, None).test
    assert np.array_equal(labelled.take(np.arange(10)).images, cifar10.parts["test"][0])


@pytest.mark.parametrize(
    "value",
    [np.array(["text"], dtype=object), np.zeros(3, dtype="U5"), np.zeros(2), np.zeros(2, dtype=[("a", "u1")])],
)
def test_read_array_of_anything_but_integers_is_refused(cifar10, value):
    cifar10.files[0].write_bytes(pickle.dumps({"data": value, "labels": [0]}, protocol=2))
    with pytest.raises(DataError, match=r"data_batch_1 cannot be unpickled \(it holds values of the type"):
        CIFAR10.read(cifar10.folder, None)


@pytest.mark.parametrize("seed", range(8))
def test_read_damaged_file_is_read_or_named(cifar10, seed):
    """Numpy's own unpickling reads and writes beyond its memory for some of these, and ends the process."""
    path, draw = cifar10.files[-1], np.random.default_rng(seed)
    whole, said = path.read_bytes(), []
    for _ in range(100):
        content = bytearray(whole)
        for place in draw.integers(0, 250, 2) - draw.integers(0, 2, 2) * 250:
            content[place] = draw.integers(0, 256)
        path.write_bytes(content)
        try:
            CIFAR10.read(cifar10.folder, None)
        except DataError as error:
            said.append(str(error))
    assert all(path.name in sentence for sentence in said)
    assert said
