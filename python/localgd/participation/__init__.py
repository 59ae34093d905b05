"""Which clients take part in a round, and with which share of its mean.

A rule (``rules.py``, ``markov.py``) says who; :class:`Participation` makes their shares of it, and
draws clients where there is no rule.
"""

from __future__ import annotations

from .markov import Markov
from .rules import Cyclic, Periodic
from .shares import BIASED, Participation, RoundShares, is_biased

__all__ = ["BIASED", "Cyclic", "Markov", "Participation", "Periodic", "RoundShares", "is_biased"]
