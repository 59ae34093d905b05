"""Dealing the rows of one data set to clients.

A scheme is one class (``scheme.py`` says what it owes); :func:`partition` checks the input, lets
the scheme deal, and builds the problem.
"""

from __future__ import annotations

from .dealing import partition
from .even import Iid, Quantity
from .features import FeatureShift
from .labels import ByClass, Dirichlet
from .scheme import Scheme

__all__ = ["ByClass", "Dirichlet", "FeatureShift", "Iid", "Quantity", "Scheme", "partition"]
