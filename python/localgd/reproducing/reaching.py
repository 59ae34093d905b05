"""What a run has at a round, and how many rounds it takes to a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

import localgd as lg

from .context import degrees

__all__ = ["angle_at", "angle_columns", "at", "at_decades", "late_slope", "rounds_to"]


def at(run: lg.Run, name: str, round: float) -> float:
    """An entry of the history at a recorded round."""
    return float(run.history[name][run.history["round"] == round][0])


def angle_at(run: lg.Run, round: float) -> float:
    """The angle in degrees at a recorded round."""
    return float(np.degrees(at(run, "angle", round)))


def late_slope(run: lg.Run) -> float:
    """The slope of log angle against log rounds over the last decade of them."""
    late = run.history["round"] >= run.round / 10
    k, angles = run.history["round"][late], run.history["angle"][late]
    return float(np.polyfit(np.log(k), np.log(angles), 1)[0])


def at_decades(run: lg.Run, exponents: Iterable[int]) -> dict[str, float]:
    """Angles in degrees after 10^n rounds, for a table: "at_6" is that after 10^6."""
    return {f"at_{n}": angle_at(run, 10.0**n) for n in exponents}


def angle_columns(runs: Mapping[str, lg.Run]) -> dict[str, np.ndarray]:
    """Angles in degrees of runs with the same records; round 0 has no direction."""
    first = next(iter(runs.values()))
    angles = {f"{name}_deg": degrees(run)[1:] for name, run in runs.items()}
    return {"round": first.history["round"][1:]} | angles


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
