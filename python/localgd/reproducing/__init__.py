"""The theory's claims and open questions as experiments: ``localgd reproduce``.

An experiment is one file of ``experiments/``, which says what is claimed, measures it, and applies
a criterion that was fixed beforehand; ``report/`` writes what came out.
"""

from __future__ import annotations

from .context import Context, OwnRows, weights
from .experiment import Condition, Experiment, Measured, Picture, Table, Verdict
from .registry import all_experiments, find
from .running import Outcome, carry_out

__all__ = [
    "Condition",
    "Context",
    "Experiment",
    "Measured",
    "Outcome",
    "OwnRows",
    "Picture",
    "Table",
    "Verdict",
    "all_experiments",
    "carry_out",
    "find",
    "weights",
]
