"""Gram matrices of kernels as rows with those inner products."""

from __future__ import annotations

import numpy as np

__all__ = ["kernel_coordinates"]


def kernel_coordinates(K: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Rows X with ``X Xᵀ = K``, by pivoted Cholesky: as many columns as K has rank.

    Raises ValueError if K is not symmetric, or has an eigenvalue below 0 beyond the rounding of the
    type that K was computed in.
    """
    from scipy.linalg.lapack import dpstrf

    scale = float(np.abs(K).max())
    gap = np.abs(K - K.T)
    rounding, slack = len(K) * float(np.finfo(np.float64).eps), 100
    if dtype.kind == "f" and dtype.itemsize < 8:
        # Errors of either sign; N times as much, or 100 times, would be a share of K.
        rounding, slack = np.sqrt(len(K)) * float(np.finfo(dtype).eps), 4
    if gap.max() > max(1e-10, rounding) * scale:
        j, k = (int(i) for i in np.unravel_index(gap.argmax(), gap.shape))
        raise ValueError(
            f"K: {K[j, k]:g} at ({j}, {k}) but {K[k, j]:g} at ({k}, {j}); want a symmetric matrix"
        )
    K = (K + K.T) / 2
    tolerance = rounding * scale
    factor, pivots, rank, _ = dpstrf(K, lower=1, tol=tolerance)
    X = np.zeros((len(K), max(rank, 1)))
    X[pivots - 1] = np.tril(factor)[:, : X.shape[1]] if rank else 0.0
    # What pivoted Cholesky leaves of a semidefinite matrix is rounding.
    left = np.abs(K - X @ X.T).max()
    if left > slack * tolerance:
        lowest = float(np.linalg.eigvalsh(K)[0])
        raise ValueError(
            f"K: its smallest eigenvalue is {lowest:.3g}, beyond the rounding of a {dtype} matrix; "
            "want a positive semidefinite one"
        )
    return X
