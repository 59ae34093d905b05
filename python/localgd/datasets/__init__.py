"""Problems made from a seed, real data that packages carry, and files of your own.

``make_*`` return a :class:`localgd.Problem`; ``load_*`` and ``read`` return rows and labels, to be
dealt to clients with :func:`localgd.partition`.
"""

from __future__ import annotations

from .files import read
from .real import load_breast_cancer, load_digits, load_mnist
from .synthetic import make_nonseparable, make_regression, make_separable

__all__ = [
    "load_breast_cancer",
    "load_digits",
    "load_mnist",
    "make_nonseparable",
    "make_regression",
    "make_separable",
    "read",
]
