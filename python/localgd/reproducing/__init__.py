"""The theory's claims and open questions as experiments: ``localgd reproduce``.

An experiment is two files of ``experiments/``: TOML with its words, among them the claims and the
conditions that judge them, and Python that measures; ``report/`` writes what came out.
"""

from __future__ import annotations

from .context import Context, OwnRows, weights
from .criterion import Condition, Verdict
from .experiment import Experiment
from .measured import Measured, Picture, Table
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
