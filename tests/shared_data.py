"""The sets of LIBSVM's collection, where they are beside the checkout."""

from __future__ import annotations

import io
import lzma
from functools import cache

import numpy as np
import pytest
from project import ROOT
from scipy.sparse import csr_array
from sklearn.datasets import load_svmlight_file

import localgd as lg

FOLDERS = [parent / "shared" / "data" for parent in ROOT.parents]


@cache
def shared_set(name: str) -> tuple[csr_array, np.ndarray]:
    """Rows and labels -1 and +1."""
    file = next((at for folder in FOLDERS if (at := folder / f"{name}.xz").exists()), None)
    if file is None:
        pytest.skip(f"{name}.xz is in no folder shared/data beside this checkout")
    X, y = load_svmlight_file(io.BytesIO(lzma.decompress(file.read_bytes())))
    return csr_array(X), np.where(y == y.max(), 1.0, -1.0)


def shared_problem(name: str) -> lg.Problem:
    """All rows on one client."""
    X, y = shared_set(name)
    return lg.Problem.from_arrays(X, y, np.zeros(len(y), dtype=int))
