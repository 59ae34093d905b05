"""Sparse rows: sets of LIBSVM's collection in a folder, and drawn ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

import localgd as lg

__all__ = ["drawn_set", "found_set", "read_set"]


def found_set(folder: Path | None, name: str) -> Path | None:
    """The file of a set, compressed or not: ``a9a``, ``a9a.svm``, ``a9a.xz``, …"""
    if folder is None:
        return None
    endings = ("", ".xz", ".bz2", ".gz", ".txt", ".svm", ".libsvm")
    return next((at for ending in endings if (at := folder / f"{name}{ending}").is_file()), None)


def read_set(file: Path, n_features: int | None = None) -> tuple[csr_array, np.ndarray]:
    """Rows and labels -1 and +1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # indices of LIBSVM's sets start at 1
        X, y = lg.datasets.read(file, kind="svmlight", sparse=True, n_features=n_features)
    return X, y


def drawn_set(
    n_rows: int, n_features: int, entries: int, ones: bool, seed: int = 0
) -> tuple[csr_array, np.ndarray]:
    """Rows with as many entries in distinct columns, drawn by a chance proportional to 1/rank.

    Values are 1, or exponential ones that make rows of norm 1; labels those of a random w.
    """
    rng = np.random.default_rng(seed)
    heights = np.cumsum(1 / np.arange(1, n_features + 1))
    columns = np.empty((n_rows, entries), np.int32)
    for row in columns:
        found = np.zeros(0, np.int64)
        while len(found) < entries:  # the first that differ
            more = np.searchsorted(heights, heights[-1] * rng.random(3 * entries))
            drawn = np.concatenate([found, np.minimum(more, n_features - 1)])
            found = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
        row[:] = np.sort(found[:entries])
    values = np.ones(columns.shape)
    if not ones:
        values = rng.exponential(size=columns.shape)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
    ends = np.arange(n_rows + 1) * entries
    X = csr_array((values.ravel(), columns.ravel(), ends), shape=(n_rows, n_features))
    scores = X @ rng.standard_normal(n_features)
    return X, np.where(scores > np.median(scores), 1.0, -1.0)
