"""The sets of LIBSVM's collection, where they are beside the checkout or where a variable says."""

from __future__ import annotations

import io
import lzma
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from project import ROOT
from scipy.sparse import csr_array

import localgd as lg

FOLDERS = [parent / "shared" / "data" for parent in ROOT.parents]
if "LOCALGD_SHARED_DATA" in os.environ:
    FOLDERS = [Path(os.environ["LOCALGD_SHARED_DATA"])]


def shared_file(name: str) -> Path:
    """The file of a set; a test that wants one that is not there is skipped."""
    file = next((at for folder in FOLDERS if (at := folder / name).exists()), None)
    if file is None:
        pytest.skip(
            f"no {name} in {FOLDERS[0]}: put it there, or its folder in LOCALGD_SHARED_DATA"
        )
    return file


@cache
def shared_set(name: str) -> tuple[csr_array, np.ndarray]:
    """Rows and labels -1 and +1."""
    from sklearn.datasets import load_svmlight_file

    text = lzma.decompress(shared_file(f"{name}.xz").read_bytes())
    X, y = load_svmlight_file(io.BytesIO(text))
    return csr_array(X), np.where(y == y.max(), 1.0, -1.0)


def shared_problem(name: str) -> lg.Problem:
    """All rows on one client."""
    X, y = shared_set(name)
    return lg.Problem.from_arrays(X, y, np.zeros(len(y), dtype=int))
