"""Files that appear whole or not at all, and streams whose reader may go away."""

from __future__ import annotations

import errno
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

ABANDONED = 3600.0  # seconds without a write

__all__ = ["Stream", "probed", "replaced", "write_text"]


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` once it is whole and on the disk.

    If ``path`` is a link, it stays one and what it points to is replaced.
    """
    with _beside(path) as (file, temporary, target):
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()  # an open file cannot be renamed everywhere
        os.replace(temporary, target)


@contextmanager
def probed(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file like that of :func:`replaced` which is thrown away: whether it could be written."""
    with _beside(path) as (file, _, _):
        yield file
        file.flush()


@contextmanager
def _beside(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, Path, Path]]:
    target = Path(os.path.realpath(path))
    # Short, since the name of the target may be as long as the system takes.
    start = f".{zlib.crc32(os.fsencode(target.name)):08x}"
    temporary = target.with_name(f"{start}-{os.urandom(4).hex()}.tmp")
    try:
        if target.exists() and not target.is_file():
            kind = "is a folder" if target.is_dir() else "is not a regular file"
            raise OSError(errno.EINVAL, f"cannot be written: it {kind}")
        if len(os.fsencode(target.name)) > _longest_name(target.parent):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        _clear_away(target.parent, start)
        try:
            with open(temporary, "xb") as file:
                yield file, temporary, target
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:  # often without a name, or with that of the temporary file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _clear_away(folder: Path, start: str) -> None:
    """What processes that were killed while they wrote have left; who still writes is younger."""
    for path in folder.glob(f"{start}-*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()


def _longest_name(folder: Path) -> int:
    """Bytes of the longest file name that a folder takes."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, ValueError, OSError):  # not POSIX, or the folder is not there
        return 2**15


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Text in UTF-8 with plain line ends, whole or not at all."""
    with replaced(path) as file:
        file.write(text.encode("utf-8"))


class Stream:
    """Standard output or error, whose reader may close it, or which may not be there.

    What cannot be written is dropped, so that work goes on; ``lost`` is given the first error
    that is not a closed pipe.
    """

    def __init__(self, name: str, lost: Callable[[OSError], None] | None = None):
        self._stream, self._lost = getattr(sys, name), lost
        self._closed = self._stream is None

    def write(self, text: str) -> int:
        """Write while that is possible."""
        self._try(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush while that is possible."""
        self._try(lambda stream: stream.flush())

    def _try(self, action: Callable[[Any], Any]) -> None:
        if self._closed:
            return
        try:
            action(self._stream)
        except OSError as error:
            self._closed = True
            _discard(self._stream)
            if self._lost is not None and not isinstance(error, BrokenPipeError):
                self._lost(error)

    def __getattr__(self, name: str) -> Any:  # encoding, isatty, fileno
        return getattr(self.__dict__["_stream"], name)


def _discard(stream: Any) -> None:
    """Let what is still in the buffers of a stream go nowhere, also when Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
