"""One case in numbers: the problem that localgd is given, and the arrays of every rival."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import localgd as lg

from .cases import NetworkCase

__all__ = ["NetworkJob", "make_job"]


@dataclass(frozen=True)
class NetworkJob:
    """Rows and options of a case in one dtype.

    Attributes
    ----------
    rows, labels : ndarray of shape (M, n, d) and (M, n)
    first, second : ndarray of shape (d, h) and (h,)
        W and V at the start.
    """

    case: NetworkCase
    dtype: str
    threads: int
    rows: np.ndarray
    labels: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @cached_property
    def problem(self) -> lg.Problem:
        return lg.Problem(list(zip(self.rows, self.labels, strict=True)))

    @property
    def method(self) -> lg.LocalGD:
        return lg.LocalGD(local_steps=self.case.local_steps, lr=self.case.lr)

    @property
    def objective(self) -> dict[str, Any]:
        return {
            "loss": "logistic",
            "model": lg.TwoLayer(self.case.hidden),
            "init": (self.first, self.second),
        }


def make_job(case: NetworkCase, dtype: str, threads: int) -> NetworkJob:
    """Rows of length about 1 with the labels of a teacher, and He's start."""
    rng = np.random.default_rng(0)
    d, h = case.n_features, case.hidden
    rows = rng.standard_normal((case.n_clients, case.n_samples, d)) / np.sqrt(d)
    labels = np.sign(rows @ rng.standard_normal(d))
    first = rng.standard_normal((d, h)) * np.sqrt(2 / d)
    second = rng.standard_normal(h) / np.sqrt(h)
    arrays = (array.astype(dtype) for array in (rows, labels, first, second))
    return NetworkJob(case, dtype, threads, *arrays)
