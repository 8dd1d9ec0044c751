"""Image sets are read from small files in their published formats, and nothing else is read."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bigbench_meta.errors import SourceError
from bigbench_meta.experiments.vision.datasets import ImageSet, load_images


def idx(values: np.ndarray) -> bytes:
    """Encode as the idx format of the MNIST page: 0, 0, type 8, dimensions, big-endian sizes, bytes."""
    return (
        bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.astype("u1").tobytes()
    )


def write_mnist(folder: Path, *, zipped: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (7, 28, 28)), np.arange(7)
    for part, rows in (("train", slice(0, 5)), ("t10k", slice(5, 7))):
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            body = idx(values[rows])
            path = folder / f"{part}-{kind}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(body) if zipped else body)
    return images, labels


@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_is_read_from_idx_files(tmp_path, zipped):
    """Four idx files, gzipped or not: pixels, labels and the published test images come out as they went in."""
    images, labels = write_mnist(tmp_path, zipped=zipped)
    found = load_images("mnist", tmp_path)
    assert (found.images[:, 0] == images).all()
    assert (found.labels == labels).all()
    assert found.published_test.tolist() == [False] * 5 + [True] * 2
    assert (found.white, found.n_classes) == (255, 7)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda body: body[:10], "cut short"),
        (lambda body: body[:-1], "header says 3920"),
        (lambda body: body + b"x", "more than 3920"),
        (lambda body: b"\0\0\x0d\x03" + body[4:], "expected 0x803"),
        (lambda body: body[:4] + b"\xff" * 12 + body[16:], "at most"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, damage, says):
    """A header that does not fit the file is an error that names the file, not a wrong picture."""
    write_mnist(tmp_path, zipped=False)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match=says) as caught:
        load_images("mnist", tmp_path)
    assert "train-images-idx3-ubyte" in str(caught.value)


def test_a_truncated_gzip_file_is_refused(tmp_path):
    """Half a download is not read as fewer images."""
    write_mnist(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match="not a whole gzip file"):
        load_images("mnist", tmp_path)


def test_a_missing_idx_file_is_named(tmp_path):
    """The message names the file that is expected."""
    with pytest.raises(SourceError, match="train-images-idx3-ubyte"):
        load_images("mnist", tmp_path)


def cifar_records(n: int, *, seed: int) -> tuple[bytes, np.ndarray]:
    """Records as the CIFAR page describes the binary version: coarse label, fine label, 3072 bytes by channel."""
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (n, 3074)).astype("u1")
    records[:, 0] %= 20
    records[:, 1] %= 100
    return records.tobytes(), records


@pytest.mark.parametrize("layout", ["folder", "inner folder", "tar"])
def test_cifar100_is_read_from_the_binary_version(tmp_path, layout):
    """The folder, the folder around it and the archive give the same images, channels first, with fine labels."""
    (train, a), (test, b) = cifar_records(4, seed=1), cifar_records(2, seed=2)
    source = tmp_path
    if layout == "tar":
        source = tmp_path / "cifar-100-binary.tar.gz"
        with tarfile.open(source, "w:gz") as archive:
            for name, body in (("test.bin", test), ("train.bin", train)):
                member = tarfile.TarInfo(f"cifar-100-binary/{name}")
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))
    else:
        inner = tmp_path / "cifar-100-binary" if layout == "inner folder" else tmp_path
        inner.mkdir(exist_ok=True)
        (inner / "train.bin").write_bytes(train)
        (inner / "test.bin").write_bytes(test)
    found = load_images("cifar100", source)
    records = np.concatenate([a, b])
    assert (found.labels == records[:, 1]).all()
    assert found.images.shape == (6, 3, 32, 32)
    assert found.images[3, 2, 0, 1] == records[3, 2 + 2 * 1024 + 1]  # blue, first row, second column
    assert found.published_test.tolist() == [False] * 4 + [True] * 2


class Bomb:
    """Unpickling this would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.mkdir, (self.path,)


def test_pickled_cifar100_is_refused_and_not_loaded(tmp_path):
    """The python version is pickled: the message says where the same images are without one, and nothing runs."""
    inner = tmp_path / "cifar-100-python"
    inner.mkdir()
    (inner / "train").write_bytes(pickle.dumps(Bomb(tmp_path / "was here")))
    with pytest.raises(SourceError, match="binary version"):
        load_images("cifar100", tmp_path)
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize("body", [b"", b"x" * 3073, cifar_records(2, seed=3)[0] + b"y"])
def test_cifar100_of_the_wrong_length_is_refused(tmp_path, body):
    """Records are 3,074 bytes."""
    for part in ("train", "test"):
        (tmp_path / f"{part}.bin").write_bytes(body)
    with pytest.raises(SourceError, match="multiple of 3074"):
        load_images("cifar100", tmp_path)


def png(ink: tuple[int, int]) -> bytes:
    """A 105 x 105 black-and-white drawing like those of Omniglot: white paper, a black square of 15 x 15."""
    from PIL import Image

    picture = np.full((105, 105), 255, np.uint8)
    row, column = ink
    picture[row : row + 15, column : column + 15] = 0
    stream = io.BytesIO()
    Image.fromarray(picture).convert("1").save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
def test_omniglot_is_read_from_its_folders(tmp_path, zipped):
    """alphabet/character/drawing.png, in a folder or a zip: a class per character, ink bright, 28 x 28."""
    pytest.importorskip("PIL")
    drawings = {
        f"images_background/{alphabet}/character0{c}/000{c}_0{d}.png": png((45, 30 * d))
        for alphabet in ("Greek", "Bengali")
        for c in (1, 2)
        for d in (1, 2, 3)
    }
    source = tmp_path / "images_background"
    if zipped:
        source = tmp_path / "images_background.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for name, body in drawings.items():
                archive.writestr(name, body)
            archive.writestr("__MACOSX/images_background/Greek/character01/._0001_01.png", b"junk")
    else:
        for name, body in drawings.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(body)
    found = load_images("omniglot", source)
    assert found.images.shape == (12, 1, 28, 28)
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert found.published_test is None
    # 15 x 15 of 105 x 105 pixels of ink: the mean brightness of the reduced drawing is 225/11025 of white.
    assert found.images[0].mean() == pytest.approx(255 * 225 / 11025, abs=0.5)
    assert found.images[0, 0, 14, 10] == 255  # row 52, column 37 of the drawing lies in the square at (45, 30)


@pytest.mark.parametrize(("name", "body"), [("a/b/broken.png", b"\x89PNG\r\n\x1a\n junk"), ("a/b/text.png", b"hello")])
def test_a_broken_drawing_is_named(tmp_path, name, body):
    """A file that is no PNG stops the reading with its name."""
    pytest.importorskip("PIL")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / name).write_bytes(body)
    with pytest.raises(SourceError, match=Path(name).name):
        load_images("omniglot", tmp_path)


def test_a_picture_too_large_for_omniglot_is_refused(tmp_path):
    """Decoding stops before a picture that unpacks to gigabytes."""
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "a" / "b").mkdir(parents=True)
    image.new("1", (2000, 2000)).save(tmp_path / "a" / "b" / "huge.png")
    with pytest.raises(SourceError, match="2000 x 2000"):
        load_images("omniglot", tmp_path)


@pytest.mark.parametrize(("name", "says"), [("imagenet", "digits, mnist, cifar100, omniglot"), ("mnist", "--data DIR")])
def test_what_cannot_be_read_is_said(name, says):
    """An unknown set lists the known ones; a set that needs a folder asks for it."""
    with pytest.raises(SourceError, match=says):
        load_images(name)


def test_a_missing_folder_is_named(tmp_path):
    """The message names the path."""
    with pytest.raises(SourceError, match="nowhere"):
        load_images("cifar100", tmp_path / "nowhere")


def test_digest_changes_with_any_pixel_label_or_level():
    """Two runs with the same digest saw the same data."""
    images, labels = np.zeros((2, 1, 4, 4), np.uint8), np.array([0, 1])
    plain = ImageSet("a", images, labels, 16).digest
    other = images.copy()
    other[1, 0, 3, 3] = 1
    assert plain == ImageSet("a", images.copy(), labels.copy(), 16).digest
    assert len({plain, ImageSet("a", other, labels, 16).digest, ImageSet("a", images, labels[::-1], 16).digest,
                ImageSet("a", images, labels, 17).digest}) == 4  # fmt: skip


@pytest.mark.train
def test_digits_come_with_scikit_learn():
    """1,797 images of 8 x 8 in ten classes, values 0 to 16, as its documentation says."""
    found = load_images("digits")
    assert found.images.shape == (1797, 1, 8, 8)
    assert found.n_classes == 10
    assert (found.images.min(), found.images.max(), found.white) == (0, 16, 16)
