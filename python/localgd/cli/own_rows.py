"""Rows of the user's own file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _validation as check
from ..datasets.columns import NotNumericError, read_labels
from ..datasets.files import guessed, kind_of, read_raw
from ..datasets.tables import Word
from ..frames import Columns, read_columns

__all__ = ["OwnRows", "naming_drop", "read_own"]


@dataclass(frozen=True)
class OwnRows:
    """Rows (N, d), labels (N,), ids of clients or None, and the column that holds them.

    ``y_elsewhere``: labels that there are in other parts of the file. ``guessed``: a line, or none.
    """

    X: Any  # an array, CSR, or columns of any kind
    y: np.ndarray
    y_elsewhere: np.ndarray
    ids: np.ndarray | None
    client: str | None
    guessed: str


def read_own(
    path: Path,
    label: str | None,
    client: str | None,
    *,
    texts: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    **options: Any,
) -> OwnRows:
    """The rows of a file; the client ids of an .npz file are used without being asked for.

    ``part`` is that of ``datasets.read``.
    ``texts``: columns of any kind are read, these as texts; ``drop`` are left out then.
    """
    kind = options.get("kind") or ("parquet" if path.is_dir() else kind_of(path))
    if client is None and kind == "npz" and path.is_file() and zipfile.is_zipfile(path):
        client = "clients" if _holds(path, "clients.npy") else None
    in_order = kind in ("csv", "parquet")
    if texts is not None:
        if not in_order:
            raise ValueError(f"categorical, impute, drop: got {path.name}; want .csv or .parquet")
        options["as_columns"] = True
    try:
        path, raw = read_raw(path, _column(label, in_order), _column(client, in_order), **options)
    except NotNumericError as error:
        raise ValueError(
            f"{error} (categorical='onehot' takes texts, impute='median' fills gaps)"
        ) from None
    if texts is not None:
        raw = raw._replace(X=_columns(path, raw.X, texts, drop))
    y = read_labels(raw.all_labels, raw.location).array
    here = len(raw.labels)
    said = guessed(path, raw) if raw.guesses else ""
    return OwnRows(raw.X, y[:here], y[here:], raw.client_ids(), client, said)


def _columns(
    path: Path, table: dict[str | int, Any], texts: Sequence[str], drop: Sequence[str]
) -> Columns:
    names = {str(name): name for name in table}
    for role, wanted in (("categorical", texts), ("drop", drop)):
        for name in wanted:
            if name not in names:
                raise ValueError(
                    f"{role}: there is no feature {name!r} in {path.name}; "
                    f"{check.suggestion(name, names)}"
                )
    kept = {key: table[key] for name, key in names.items() if name not in drop}
    if not kept:
        raise ValueError(f"drop: no column of {path.name} is left for features")
    with naming_drop():
        return read_columns(path.name, kept, [names[name] for name in texts])


@contextmanager
def naming_drop() -> Iterator[None]:
    """What is wrong with a column is an error of the user's, and says how to do without it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{error} (drop='NAME' leaves a column out)") from None


def _column(location: str | None, in_order: bool) -> str | Word | None:
    """A column by its name, or by its index where the file has columns in order."""
    if location is None or not in_order:
        return location
    return Word(location) if location.removeprefix("-").isdecimal() else location


def _holds(path: Path, name: str) -> bool:
    try:
        with zipfile.ZipFile(path) as stored:
            return name in stored.namelist()
    except Exception:  # the reader says what is wrong with it
        return False
