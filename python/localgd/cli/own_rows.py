"""Rows of the user's own file, with what its labels were called."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.columns import Labels, Location, client_ids, listed, numeric_labels, read_labels
from ..datasets.files import guessed, kind_of, read_raw
from ..datasets.tables import Word

__all__ = ["OwnRows", "read_own"]


@dataclass(frozen=True)
class OwnRows:
    """Rows (N, d) and labels (N,); ids of clients or None, and the column that holds them.

    ``names``: what the labels -1 and +1, or 0, 1, …, C-1, were in the file; none if they stand
    there as they are, or are numbers to predict. ``guessed``: a line, or none.
    """

    X: np.ndarray
    y: np.ndarray
    ids: np.ndarray | None
    client: str | None
    names: tuple[str, ...]
    guessed: str


def read_own(
    path: Path, label: str | None, client: str | None, task: str | None, **options: Any
) -> OwnRows:
    """The rows of a file; the client ids of an .npz file are used without being asked for."""
    kind = options.get("kind") or kind_of(path)
    if client is None and kind == "npz" and path.is_file() and zipfile.is_zipfile(path):
        client = "clients" if _holds(path, "clients.npy") else None
    in_order = kind in ("csv", "parquet")
    path, raw = read_raw(path, _column(label, in_order), _column(client, in_order), **options)
    y, names = _labels(read_labels(raw.labels, raw.location), task, raw.location)
    ids = None if raw.clients is None else client_ids(raw.clients, raw.location)
    return OwnRows(raw.X, y, ids, client, names, guessed(path, raw) if raw.guesses else "")


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


def _labels(
    labels: Labels, task: str | None, location: Location
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as numbers, and what they were."""
    values = labels.values
    if task == "multiclass" or (task is None and labels.are_texts and len(values) > 2):
        return _classes(labels, location)
    y = numeric_labels(labels, task, location)
    as_classes = task != "regression" and len(values) == 2 and np.isin(y, (-1.0, 1.0)).all()
    if not as_classes or list(values) == [-1, 1]:
        return y, ()
    return y, tuple(map(_name, values))


def _classes(labels: Labels, location: Location) -> tuple[np.ndarray, tuple[str, ...]]:
    """The places 0, 1, …, C-1 of labels in sorted order: of texts, or of whole numbers."""
    for k, value in enumerate(labels.values):
        if not isinstance(value, str) and value != int(value):
            raise ValueError(
                f"{location(int(np.argmax(labels.which == k)), 'label')}: label {value:g}; want "
                "whole numbers or texts, one for each class"
            )
    if len(labels.values) < 2:
        raise ValueError(
            f"{location(0, 'label')}: all labels are {listed(labels.values)}; want two or more "
            "classes"
        )
    return labels.which.astype(np.float64), tuple(map(_name, labels.values))


def _name(label: bool | float | str) -> str:
    """A label as people write it."""
    if isinstance(label, float):
        return str(int(label)) if label == int(label) else f"{label:g}"
    return str(label)
