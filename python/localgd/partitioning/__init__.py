"""Dealing the rows of one data set to clients.

A scheme is one class (``scheme.py`` says what it owes); :func:`partition` checks the input, brings
rows to scale, lets the scheme deal, and builds the problem.
"""

from __future__ import annotations

from .dealing import partition
from .even import Iid, Quantity
from .features import FeatureShift
from .labels import ByClass, Dirichlet
from .natural import Natural
from .ordered import Contiguous, Shards
from .scheme import Scheme
from .targets import ByTarget

__all__ = [
    "ByClass",
    "ByTarget",
    "Contiguous",
    "Dirichlet",
    "FeatureShift",
    "Iid",
    "Natural",
    "Quantity",
    "Scheme",
    "Shards",
    "partition",
]
