"""NPZ files."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..rows import as_floats, read_rows
from .columns import RawRows, listed

__all__ = ["read_npz"]


def read_npz(path: Path, label: str | int | None, client: str | int | None) -> RawRows:
    """Arrays ``X`` (N, d), ``y`` (N,) and client ids (N,) of an NPZ file; pickles are refused."""
    label = "y" if label is None else label
    if not isinstance(label, str):
        raise TypeError(f"label: got {label!r} for {path.name}; want the name of an array")
    if not (client is None or isinstance(client, str)):
        raise TypeError(f"client: got {client!r} for {path.name}; want the name of an array")
    with path.open("rb") as file:  # NumPy leaves the file open where it fails
        X, labels, clients = _arrays(path, file, label, client)
    for name, array in ((label, labels), (client, clients)):
        if array is not None and array.shape != (len(X),):
            raise ValueError(
                f"{path.name}: {name} has shape {array.shape}; want ({len(X)},), as X has "
                f"{len(X)} rows"
            )
    if 0 in X.shape:
        raise ValueError(f"{path.name}: X has shape {X.shape}; want a row and a feature at least")

    def location(i: int, role: str) -> str:
        return f"{path.name}: {label if role == 'label' else client}[{i}]"

    return RawRows(X, labels, clients, location)


def _arrays(
    path: Path, file: BinaryIO, label: str, client: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """X, labels and client ids."""
    try:
        stored = np.load(file, allow_pickle=False)
    except Exception as error:  # whatever zipfile and NumPy make of broken bytes
        raise ValueError(f"{path.name}: not an NPZ file: {error}") from None
    if not isinstance(stored, np.lib.npyio.NpzFile):
        raise ValueError(f"{path.name}: one NPY array; want an NPZ file with arrays X and {label}")
    with stored:
        X = _real_rows(f"{path.name}: X", _array(path, stored, "X"))
        labels = _array(path, stored, label)
        return X, labels, None if client is None else _array(path, stored, client)


def _array(path: Path, stored: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    if name not in stored:
        raise ValueError(f"{path.name}: no array {name!r}; it holds {listed(sorted(stored))}")
    try:
        array = stored[name]
    except Exception as error:  # whatever zipfile and NumPy make of broken bytes
        raise ValueError(f"{path.name}: array {name!r} cannot be read: {error}") from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path.name}: {name!r} is no array; want an array of NumPy")
    return array


def _real_rows(name: str, value: np.ndarray) -> np.ndarray:
    try:
        rows: np.ndarray = as_floats(read_rows(name, value).X)
        return rows
    except TypeError as error:  # in a file it is a value that is wrong
        raise ValueError(str(error)) from None
