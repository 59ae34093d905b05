"""How many rounds a run takes to a target."""

from __future__ import annotations

import numpy as np

__all__ = ["rounds_to"]


def rounds_to(rounds: np.ndarray, values: np.ndarray, target: float) -> float:
    """The round at which the values come down to the target, and stay below it at every record.

    Between two records log values are taken as linear in log rounds. NaN if they never do; 1 if
    they are below from the first round on.

    Parameters
    ----------
    rounds, values : arrays of one length
        Records of a run; those of round 0 are left out.
    target : float > 0
    """
    rounds, values = rounds[rounds > 0], values[rounds > 0]
    above = np.flatnonzero(~(values <= target))  # NaN is not below
    if not len(above):
        return 1.0
    last = above[-1]
    if last == len(values) - 1:
        return float("nan")
    k, v = np.log(rounds[last : last + 2]), np.log(values[last : last + 2])
    between = k[0] + (k[1] - k[0]) * (v[0] - np.log(target)) / (v[0] - v[1])
    return float(np.ceil(np.exp(between) - 1e-9))
