"""Images to train on: scikit-learn's digits, and MNIST, CIFAR-100 and Omniglot where the user has them on disk.

Vocabulary
----------
image set
    Images as they are stored (bytes), their labels, and which of them the publisher set aside for testing. The order
    is that of the files, because neighbours in a file are often alike (one writer, one alphabet).
white
    The byte value that means full intensity; models see ``image / white``, between 0 and 1.

Nothing here is downloaded and nothing that is read is executed: pickled batches are refused.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

import numpy as np

from bigbench_meta.errors import SourceError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# A file that promises more than this is damaged or hostile; MNIST is 47 MB, CIFAR-100 is 184 MB.
MAX_BYTES = 1 << 30
# Omniglot drawings are 105 x 105; decoding anything much larger is not reading Omniglot.
MAX_PNG_SIDE = 1024
# Omniglot is commonly reduced to 28 x 28, the size of MNIST (Vinyals et al. 2016, arXiv 1606.04080, sec. 4.1).
OMNIGLOT_SIDE = 28

_IDX_IMAGES, _IDX_LABELS = 0x0803, 0x0801
_CIFAR_RECORD = 2 + 3 * 32 * 32


@dataclass(frozen=True)
class ImageSet:
    """Images with labels.

    Attributes
    ----------
    name : str
        Word that names the set in task names.
    images : NDArray[uint8], shape (n, channels, height, width)
        In the order of the files.
    labels : NDArray[int64], shape (n,)
        Class of each image, 0 to ``n_classes - 1``.
    white : int
        Byte value of full intensity.
    published_test : NDArray[bool], shape (n,), or None
        The images the publisher set aside for testing; None where the set has no such split.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    white: int
    published_test: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or len(self.images) != len(self.labels) or not len(self.labels):
            raise SourceError(
                f"image set {self.name}: images have shape {self.images.shape} and labels {self.labels.shape}; "
                "expected (n, channels, height, width) and (n,) with the same n of at least 1"
            )

    @property
    def n_classes(self) -> int:
        """Number of classes, the largest label plus one."""
        return int(self.labels.max()) + 1

    @property
    def digest(self) -> str:
        """SHA-256 over images and labels: two runs with the same digest saw the same data."""
        state = hashlib.sha256(repr((self.name, self.images.shape, self.white)).encode())
        state.update(np.ascontiguousarray(self.images).tobytes())
        state.update(np.ascontiguousarray(self.labels.astype("<i8")).tobytes())
        return state.hexdigest()


def load_images(name: str, folder: Path | str | None = None) -> ImageSet:
    """Return the image set ``name``.

    Parameters
    ----------
    name : {"digits", "mnist", "cifar100", "omniglot"}
        ``digits`` comes with scikit-learn (extra ``train``); the others are read from ``folder``.
    folder : path, optional
        MNIST: a folder with the four idx files, plain or ``.gz``. CIFAR-100: the *binary version*, a folder with
        ``train.bin`` and ``test.bin`` or its ``.tar.gz``. Omniglot: a folder or a ``.zip`` of
        ``alphabet/character/drawing.png``.

    Returns
    -------
    ImageSet

    Raises
    ------
    SourceError
        If the name is unknown, the folder is missing where one is needed, or a file is not in its published format.
    MissingExtraError
        If the package that holds or decodes the images is not installed.
    """
    if name not in READERS:
        raise SourceError(f"unknown image set {name!r}; expected one of {', '.join(READERS)}")
    if name == "digits":
        if folder is not None:
            raise SourceError(
                f"digits come with scikit-learn, so {folder} would not be read; give --images {', '.join(READERS[1:])}, or no --data"
            )
        return _digits()
    if folder is None:
        raise SourceError(f"{name} does not come with a package: give the folder that holds it (--data DIR)")
    path = Path(folder)
    if not os.path.exists(path):  # noqa: PTH110 - False, not an error, where a name is too long
        raise SourceError(f"{name}: {path} does not exist; expected the folder or archive as published")
    return {"mnist": read_mnist, "cifar100": read_cifar100, "omniglot": read_omniglot}[name](path)


READERS = ("digits", "mnist", "cifar100", "omniglot")


def _digits() -> ImageSet:
    """Return the 1,797 test images (8 x 8, 17 grey levels) of the UCI handwritten digits that scikit-learn carries."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as err:
        raise missing_extra("the digits come with scikit-learn, which is not installed", "train") from err
    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[:, None]
    return ImageSet("digits", images, bunch.target.astype(np.int64), white=16)


def read_mnist(folder: Path) -> ImageSet:
    """Return MNIST from its four idx files in ``folder``; train first, then the published test images."""
    parts = [
        (_read_idx(folder, f"{part}-images", 3), _read_idx(folder, f"{part}-labels", 1)) for part in ("train", "t10k")
    ]
    for part, (images, labels) in zip(("train", "t10k"), parts, strict=True):
        if len(images) != len(labels):
            raise SourceError(f"{folder}: {part} has {len(images)} images and {len(labels)} labels; expected as many")
    return ImageSet(
        "mnist",
        np.concatenate([images for images, _ in parts])[:, None],
        np.concatenate([labels for _, labels in parts]).astype(np.int64),
        white=255,
        published_test=np.repeat([False, True], [len(labels) for _, labels in parts]),
    )


def _read_idx(folder: Path, stem: str, n_dims: int) -> NDArray[np.uint8]:
    """Read ``<stem>-idx<n_dims>-ubyte``, plain or gzipped: a big-endian header, then one byte a value."""
    name = f"{stem}-idx{n_dims}-ubyte"
    # Some copies name the files with a dot, as the archive on the publisher's page unpacks in old browsers.
    found = [folder / n for n in (name, f"{name}.gz", f"{stem}.idx{n_dims}-ubyte") if (folder / n).is_file()]
    if not found:
        raise SourceError(f"{folder} has no {name} or {name}.gz; expected the four idx files of MNIST")
    path = found[0]
    expected_magic = _IDX_IMAGES if n_dims == 3 else _IDX_LABELS
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        try:
            header = stream.read(4 + 4 * n_dims)
            if len(header) < 4 + 4 * n_dims:
                raise SourceError(
                    f"{path}: {len(header)} bytes of header; expected {4 + 4 * n_dims}: the file is cut short"
                )
            magic, *shape = struct.unpack(f">{1 + n_dims}I", header)
            if magic != expected_magic:
                raise SourceError(
                    f"{path}: starts with {magic:#x}; expected {expected_magic:#x} (unsigned bytes, {n_dims} dimensions)"
                )
            size = int(np.prod(shape, dtype=object))
            if size > MAX_BYTES:
                raise SourceError(f"{path}: promises {size} bytes; at most {MAX_BYTES} are read")
            body = stream.read(size + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as err:
            raise SourceError(f"{path}: not a whole gzip file ({err}); get it again") from err
    if len(body) != size:
        raise SourceError(
            f"{path}: holds {'more than ' if len(body) > size else ''}{min(len(body), size)} values; its header says {size}"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def read_cifar100(path: Path) -> ImageSet:
    """Return CIFAR-100 with its 100 fine labels from the binary version: a folder or the ``.tar.gz``."""
    train, test = (_cifar_records(path, part) for part in ("train", "test"))
    records = np.concatenate([train, test])
    labels = records[:, 1].astype(np.int64)
    if labels.max() > 99:
        raise SourceError(
            f"{path}: fine label {labels.max()}; expected 0 to 99: this is not the CIFAR-100 binary version"
        )
    return ImageSet(
        "cifar100",
        np.ascontiguousarray(records[:, 2:]).reshape(-1, 3, 32, 32),
        labels,
        white=255,
        published_test=np.repeat([False, True], [len(train), len(test)]),
    )


def _cifar_records(path: Path, part: str) -> NDArray[np.uint8]:
    """Return the records of ``<part>.bin``: coarse label, fine label, 3 x 32 x 32 bytes."""
    if path.is_dir():
        folders = [path, path / "cifar-100-binary"]
        found = [folder / f"{part}.bin" for folder in folders if (folder / f"{part}.bin").is_file()]
        if not found and any((folder / part).is_file() for folder in (*folders, path / "cifar-100-python")):
            raise SourceError(
                f"{path} holds the python version of CIFAR-100, whose batches are pickles: loading one runs whatever it "
                "says. Get the binary version (cifar-100-binary.tar.gz) from the same page; it holds the same images"
            )
        if not found:
            raise SourceError(f"{path} has no {part}.bin; expected the binary version of CIFAR-100")
        with found[0].open("rb") as stream:
            body = stream.read(MAX_BYTES + 1)
    else:
        body = _tar_member(path, f"{part}.bin")
    if len(body) > MAX_BYTES or not body or len(body) % _CIFAR_RECORD:
        raise SourceError(
            f"{path}: {part}.bin has {len(body)} bytes; expected a multiple of {_CIFAR_RECORD} up to {MAX_BYTES}"
        )
    return np.frombuffer(body, np.uint8).reshape(-1, _CIFAR_RECORD)


def _tar_member(path: Path, name: str) -> bytes:
    """Read the one file ``name`` of a tar archive without unpacking anything."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and PurePosixPath(member.name).name == name:
                    stream: IO[bytes] | None = archive.extractfile(member)
                    return stream.read(MAX_BYTES + 1) if stream else b""
    except (tarfile.TarError, EOFError, OSError, zlib.error) as err:
        raise SourceError(
            f"{path}: not a whole tar archive ({err}); expected cifar-100-binary.tar.gz or its folder"
        ) from err
    raise SourceError(
        f"{path} has no {name}; expected the binary version of CIFAR-100 (the python version is pickled and is not read)"
    )


def read_omniglot(path: Path) -> ImageSet:
    """Return Omniglot from a folder or ``.zip`` of ``alphabet/character/drawing.png``, reduced to 28 x 28, ink white.

    Every character of every alphabet is a class, numbered in sorted order; the published background and evaluation
    sets hold different characters, so neither is a test set for classification and ``published_test`` is None.
    """
    try:
        from PIL import Image
    except ImportError as err:
        raise missing_extra("reading PNG files needs Pillow", "train") from err

    images: list[NDArray[np.uint8]] = []
    classes: list[str] = []
    for name, body in _png_files(path):
        parts = PurePosixPath(name).parts
        if len(parts) < 3:
            raise SourceError(f"{path}: {name} is not inside alphabet/character/; expected Omniglot's folders")
        try:
            with Image.open(io.BytesIO(body), formats=["PNG"]) as picture:
                if max(picture.size) > MAX_PNG_SIDE:
                    raise SourceError(
                        f"{path}: {name} is {picture.size[0]} x {picture.size[1]}; expected about 105 x 105"
                    )
                grey = picture.convert("L").resize((OMNIGLOT_SIDE, OMNIGLOT_SIDE), Image.Resampling.BOX)
        except (OSError, SyntaxError, ValueError, zlib.error) as err:
            raise SourceError(f"{path}: {name} is not a whole PNG file ({err})") from err
        images.append(255 - np.asarray(grey, np.uint8))
        classes.append("/".join(parts[-3:-1]))
    if not images:
        raise SourceError(f"{path} holds no PNG file; expected Omniglot's alphabet/character/drawing.png")
    _, labels = np.unique(classes, return_inverse=True)
    return ImageSet("omniglot", np.stack(images)[:, None], labels.astype(np.int64), white=255)


def _png_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each PNG file, sorted by name, from a folder or a zip archive."""
    limit = 1 << 20  # a drawing is a few hundred bytes
    if path.is_dir():
        for file in sorted(path.rglob("*.png")):
            if file.stat().st_size > limit:
                raise SourceError(f"{file} has {file.stat().st_size} bytes; expected a small drawing of Omniglot")
            yield file.relative_to(path.parent).as_posix(), file.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(n for n in archive.namelist() if n.lower().endswith(".png") and "__MACOSX" not in n):
                if archive.getinfo(name).file_size > limit:
                    raise SourceError(f"{path}: {name} unpacks to more than {limit} bytes; expected a small drawing")
                yield name, archive.read(name)
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, NotImplementedError) as err:
        raise SourceError(
            f"{path}: not a whole zip archive ({err}); expected images_background.zip or its folder"
        ) from err
