"""Files as bytes, compressed or not."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["COMPRESSIONS", "opened", "suffix"]

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}  # suffix -> module with an `open`


def suffix(path: Path) -> str:
    """The suffix, in small letters, that a file has apart from its compression."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() if last in COMPRESSIONS else last


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed by its suffix."""
    name = COMPRESSIONS.get(path.suffix.lower())
    if name is None:
        with path.open("rb") as stream:
            yield stream
        return
    module = importlib.import_module(name)  # a Python may be built without it
    broken = (EOFError, OSError, zlib.error, getattr(module, "LZMAError", EOFError))
    stream = module.open(path, "rb")
    try:
        with stream:
            yield stream
    except broken as error:
        kind = path.suffix[1:].lower()
        raise ValueError(f"{path.name}: not a whole {kind} file: {error}") from None
