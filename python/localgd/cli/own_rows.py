"""Rows of the user's own file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.columns import client_ids, read_labels
from ..datasets.files import guessed, kind_of, read_raw
from ..datasets.tables import Word

__all__ = ["OwnRows", "read_own"]


@dataclass(frozen=True)
class OwnRows:
    """Rows (N, d), labels (N,), ids of clients or None, and the column that holds them.

    ``guessed``: a line, or none.
    """

    X: Any  # an array, or CSR
    y: np.ndarray
    ids: np.ndarray | None
    client: str | None
    guessed: str


def read_own(path: Path, label: str | None, client: str | None, **options: Any) -> OwnRows:
    """The rows of a file; the client ids of an .npz file are used without being asked for."""
    kind = options.get("kind") or kind_of(path)
    if client is None and kind == "npz" and path.is_file() and zipfile.is_zipfile(path):
        client = "clients" if _holds(path, "clients.npy") else None
    in_order = kind in ("csv", "parquet")
    path, raw = read_raw(path, _column(label, in_order), _column(client, in_order), **options)
    y = read_labels(raw.labels, raw.location).array
    ids = None if raw.clients is None else client_ids(raw.clients, raw.location)
    return OwnRows(raw.X, y, ids, client, guessed(path, raw) if raw.guesses else "")


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
