"""The store of a sweep as an SQLite database, for several processes of one machine at once.

Whoever is to take runs claims them first. A claim ends with its runs, with its process where that
can be seen, and otherwise when nobody has renewed its lease, so that runs of a process that was
killed are taken by others, and no other run is taken twice.
"""

from __future__ import annotations

import errno
import os
import platform
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .entry import Entry
from .store import Claim, Store

__all__ = ["Database", "claimed", "is_database", "read_database"]

MAGIC = b"SQLite format 3\0"
SUFFIXES = (".sqlite", ".sqlite3", ".db")
VERSION = 1
APPLICATION = 0x6C676473  # "lgds", for the file to be told from other databases
SCHEMA = f"""
create table if not exists runs (
    key text primary key,
    status text not null,
    finished real not null,  -- seconds since 1970
    entry text not null      -- as a line of JSON
);
create table if not exists claims (
    key text primary key,
    owner text not null,
    place text not null,     -- machine on which the owner runs
    process integer not null,
    until real not null      -- seconds since 1970, unless it is renewed
);
pragma application_id = {APPLICATION};
pragma user_version = {VERSION};
"""
LEASE = 60.0  # seconds; renewed four times in between
PATIENCE = 60.0  # seconds to wait for others who write
AT_ONCE = 500  # keys in a question, of which SQLite takes 999
MOST_READ = 1000  # entries at once


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database, or is to be one by its name."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError:
        head = b""
    return head == MAGIC or (not head and path.suffix in SUFFIXES)


def read_database(path: Path) -> Iterator[Entry]:
    """All entries in the order in which they finished; others may write meanwhile."""
    with _errors(path), _connected(path) as connection:
        if not _check(connection, path):
            return
        last = 0
        while True:
            rows = connection.execute(
                "select rowid, entry from runs where rowid > ? order by rowid limit ?",
                (last, MOST_READ),
            ).fetchall()
            if not rows:
                return
            for last, text in rows:  # noqa: B007
                yield _read(path, text)


def claimed(path: Path) -> int:
    """How many runs a process is at."""
    with _errors(path), _connected(path) as connection:
        if not _check(connection, path):
            return 0
        rows = connection.execute("select place, process, until from claims").fetchall()
        return sum(_alive(*row) for row in rows)


class Database(Store):
    """A table of runs, and one of claims."""

    def __init__(self, path: str | os.PathLike[str], *, lease: float = LEASE):
        super().__init__(path)
        self._lease = lease
        self._owner = uuid.uuid4().hex
        self._began = time.time()
        self._mine: set[str] = set()
        self._lock = threading.Lock()  # of the connection, which two threads use
        self._closed = threading.Event()
        with _errors(self.path):
            self._connection = _connect(self.path)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise
        self._renewing = threading.Thread(target=self._renew, daemon=True, name="localgd-lease")
        self._renewing.start()

    def _prepare(self) -> None:
        _check(self._connection, self.path)
        self._share()
        self._connection.execute("pragma synchronous = normal")
        self._connection.executescript(f"begin immediate; {SCHEMA} commit;")

    def _share(self) -> None:
        """Readers see whole runs while one process writes, and none of them waits.

        SQLite does not wait for others who do this at the same time.
        """
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self._connection.execute("pragma journal_mode = wal")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    @property
    def empty(self) -> bool:
        """Whether there is none yet."""
        with self._used():
            return self._connection.execute("select 1 from runs").fetchone() is None

    def found(self, keys: Iterable[str]) -> dict[str, Entry]:
        """The runs that are there; those that failed only if that was meanwhile."""
        found: dict[str, Entry] = {}
        with self._used():
            for some in _in_parts(list(keys)):
                rows = self._connection.execute(
                    f"select key, entry from runs where key in ({_marks(some)}) "
                    "and (status <> 'failed' or finished > ?)",
                    (*some, self._began),
                )
                found |= {key: _read(self.path, text) for key, text in rows}
        return found

    def claim(self, keys: Iterable[str]) -> Claim:
        """Take all of them in one transaction; what is done by others need not be taken."""
        try:
            return self._claim(list(keys))
        except OSError as error:  # better twice than not at all
            self._warn(error)
            return Claim.OURS

    def _claim(self, keys: list[str]) -> Claim:
        with self._used(), self._writing():
            left = [key for some in _in_parts(keys) for key in self._left(some)]
            if not left:
                return Claim.DONE
            if any(self._is_theirs(some) for some in _in_parts(left)):
                return Claim.THEIRS
            until = time.time() + self._lease
            owner = (self._owner, _place(), os.getpid(), until)
            self._connection.executemany(
                "insert or replace into claims values (?, ?, ?, ?, ?)",
                [(key, *owner) for key in left],
            )
            self._mine.update(left)
        return Claim.OURS

    def release(self, keys: Iterable[str]) -> None:
        """Let others have them."""
        given = [key for key in keys if key in self._mine]
        if not given:
            return
        with suppress(OSError), self._used(), self._writing():
            self._forget(given)

    def close(self) -> None:
        """Write what is left, and give back what was not finished."""
        super().close()
        self.release(list(self._mine))
        self._closed.set()
        self._renewing.join()
        with self._lock:
            with suppress(sqlite3.Error):  # one file again, if no other process is at it
                self._connection.execute("pragma journal_mode = delete")
            self._connection.close()

    def _write(self, entries: list[Entry]) -> None:
        with self._used(), self._writing():
            # What somebody else has finished stays, be it that a lease has ended too early.
            self._connection.executemany(
                "insert into runs values (?, ?, ?, ?) on conflict (key) do update set "
                "status = excluded.status, finished = excluded.finished, entry = excluded.entry "
                "where runs.status = 'failed'",
                [(entry.key, entry.status, time.time(), entry.to_json()) for entry in entries],
            )
            self._forget([entry.key for entry in entries])

    def _forget(self, keys: list[str]) -> None:
        self._connection.executemany(
            "delete from claims where key = ? and owner = ?", [(key, self._owner) for key in keys]
        )
        self._mine.difference_update(keys)

    def _left(self, keys: Sequence[str]) -> list[str]:
        """Those of some that nobody has finished."""
        rows = self._connection.execute(
            f"select key from runs where key in ({_marks(keys)}) "
            "and (status <> 'failed' or finished > ?)",
            (*keys, self._began),
        )
        done = {key for (key,) in rows}
        return [key for key in keys if key not in done]

    def _is_theirs(self, keys: Sequence[str]) -> bool:
        """Whether others who live have claims to some."""
        rows = self._connection.execute(
            f"select place, process, until from claims where key in ({_marks(keys)}) "
            "and owner <> ?",
            (*keys, self._owner),
        )
        return any(_alive(*row) for row in rows.fetchall())

    def _renew(self) -> None:
        while not self._closed.wait(self._lease / 4):
            with suppress(OSError), self._used(), self._writing():
                self._connection.execute(
                    "update claims set until = ? where owner = ?",
                    (time.time() + self._lease, self._owner),
                )

    @contextmanager
    def _used(self) -> Iterator[None]:
        with self._lock, _errors(self.path):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction that nobody else writes in."""
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")


def _connect(path: Path) -> sqlite3.Connection:
    # In transactions of our own, which begin where we say so.
    return sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    if os.access(path.parent, os.W_OK):
        connection = _connect(path)
    else:  # where nobody can write, nobody does, and SQLite cannot make its files
        where = f"{path.resolve().as_uri()}?immutable=1"
        connection = sqlite3.connect(where, uri=True, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _check(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether there are tables yet; an error if they are not those of a sweep."""
    if not connection.execute("select 1 from sqlite_master").fetchone():
        return False
    (application,) = connection.execute("pragma application_id").fetchone()
    (version,) = connection.execute("pragma user_version").fetchone()
    if application != APPLICATION:
        raise ValueError(f"{path}: this database is not of a sweep of localgd")
    if version > VERSION:
        raise ValueError(f"{path}: this database is of a later localgd; want that, or a newer one")
    return True


def _read(path: Path, text: str) -> Entry:
    try:
        return Entry.from_json(text)
    except ValueError as error:
        raise ValueError(f"{path}: a run is not of a sweep of localgd ({error})") from error


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """What SQLite says as other files would: an OSError, or a ValueError for another file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise OSError(errno.EIO, str(error), str(path)) from error
        raise ValueError(f"{path}: not an SQLite database of a sweep ({error})") from error


def _alive(place: str, process: int, until: float) -> bool:
    """Whether a claim holds: its lease has not ended, and its process is not seen to have."""
    if until < time.time():
        return False
    if place != _place() or os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _place() -> str:
    """Where numbers of processes mean the same."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return f"{platform.node()} {space}".strip()


def _in_parts(keys: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(keys), AT_ONCE):
        yield keys[begin : begin + AT_ONCE]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
