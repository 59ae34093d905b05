"""Rows of the user's own file, with what its labels were called."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..datasets.columns import RawRows, client_ids, is_number, listed, numeric_labels
from ..datasets.files import READERS

__all__ = ["OwnRows", "read_own"]


@dataclass(frozen=True)
class OwnRows:
    """Rows (N, d) and labels (N,); ids of clients or None, and the column that holds them.

    ``names``: what the labels -1 and +1, or 0, 1, …, C-1, were in the file; none if they stand
    there as they are, or are numbers to predict.
    """

    X: np.ndarray
    y: np.ndarray
    ids: np.ndarray | None
    client: str | None
    names: tuple[str, ...]


def read_own(path: Path, label: str | None, client: str | None, task: str | None) -> OwnRows:
    """The rows of a file; the client ids of an .npz file are used without being asked for."""
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ValueError(f"data: {path.name} ends in {path.suffix!r}; want {', '.join(READERS)}")
    if not path.is_file():
        raise FileNotFoundError(f"data: no file at {path.absolute()}")
    if path.stat().st_size == 0:
        raise ValueError(f"data: {path.name} is empty; want rows")
    if client is None and suffix == ".npz" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as stored:
            client = "clients" if "clients.npy" in stored.namelist() else None
    indices = suffix in (".csv", ".parquet")
    raw = READERS[suffix][0](path, _column(label, indices), _column(client, indices))
    y, names = _labels(raw, task)
    ids = None if raw.clients is None else client_ids(raw.clients, raw.place)
    return OwnRows(raw.X, y, ids, client, names)


def _column(place: str | None, indices: bool) -> str | int | None:
    """A column name, or an index where the file has columns in order."""
    if place is None or not indices:
        return place
    return int(place) if place.removeprefix("-").isdecimal() else place


def _labels(raw: RawRows, task: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as numbers, and what they were."""
    texts = _texts(raw)
    words = sorted(set(texts)) if not any(is_number(text) for text in texts) else []
    if task == "multiclass" or (task is None and len(words) > 2):
        return _classes(raw, texts, words)
    y = numeric_labels(raw.labels, task, raw.place)
    if len(words) == 2:
        return y, tuple(words)
    if task == "regression" or not np.isin(y, (-1.0, 1.0)).all():
        return y, ()
    numbers = sorted({float(text) for text in texts})
    return y, tuple(f"{k:g}" for k in numbers) if len(numbers) == 2 and numbers != [-1, 1] else ()


def _classes(
    raw: RawRows, texts: list[str], words: list[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The places 0, 1, …, C-1 of labels in sorted order: of texts, or of whole numbers."""
    if "" in words:
        raise ValueError(f"{raw.place(texts.index(''), 'label')}: no label; want one per row")
    if words:
        y = np.searchsorted(np.array(words), np.array(texts)).astype(np.float64)
        names = tuple(words)
    else:
        numbers = numeric_labels(raw.labels, "regression", raw.place)
        wrong = np.flatnonzero(numbers != np.rint(numbers))
        if len(wrong):
            raise ValueError(
                f"{raw.place(int(wrong[0]), 'label')}: label {numbers[wrong[0]]:g}; want whole "
                "numbers or texts, one for each class"
            )
        classes, places = np.unique(numbers, return_inverse=True)
        y, names = places.astype(np.float64), tuple(f"{k:.0f}" for k in classes)
    if len(names) < 2:
        raise ValueError(f"labels: all are {listed(names)}; want two or more classes")
    return y, names


def _texts(raw: RawRows) -> list[str]:
    """The labels as they stand in the file."""
    array = np.asarray(raw.labels)
    if array.dtype.kind == "S":
        array = array.astype(np.str_)
    return ["" if value is None else str(value).strip() for value in array.tolist()]
