"""At which rounds a run is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _validation as check

__all__ = ["LogSpaced", "log_spaced"]


@dataclass(frozen=True)
class LogSpaced:
    """Rounds at equal distances on a log axis; made by :func:`log_spaced`.

    ``k ∈ {0} ∪ {round(10^(j / per_decade)), j = 0, 1, …} ∪ {R}``

    Attributes
    ----------
    per_decade : int
        Records per factor of ten in rounds.
    """

    per_decade: int = 10

    def rounds(self, last: int) -> np.ndarray:
        """Round 0, the log-spaced ones up to ``last``, and ``last`` itself (int64, increasing)."""
        return _spaced(self.per_decade, last).astype(np.int64)


def log_spaced(*, per_decade: int = 10) -> LogSpaced:
    """Record at rounds that are equally spaced on a log axis.

    ``k ∈ {0} ∪ {round(10^(j / per_decade)), j = 0, 1, …} ∪ {R}``

    Parameters
    ----------
    per_decade : int >= 1, default 10
        Records per factor of ten in rounds.

    Returns
    -------
    LogSpaced
        What ``record=`` of :func:`localgd.run` takes.

    Raises
    ------
    ValueError, TypeError
        If ``per_decade`` is not an integer of at least 1.

    References
    ----------
    The error decays like 1/log(rounds): Soudry et al., JMLR 19 (2018), arXiv:1710.10345.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.log_spaced(per_decade=3).rounds(1000).tolist()
    [0, 1, 2, 5, 10, 22, 46, 100, 215, 464, 1000]
    """
    return LogSpaced(check.integer("per_decade", per_decade, 1))


def record_rounds(record: Any, last: float) -> np.ndarray:
    """The rounds to record in a run of ``last`` rounds; 0 and ``last`` are always among them.

    float64: there may be too many for integers.
    """
    if isinstance(record, LogSpaced):
        return _spaced(record.per_decade, last)
    record = [*record] if isinstance(record, range) else record
    rounds = check.real_array("record", record, 1, advice="")
    if (rounds != np.rint(rounds)).any() or (rounds < 0).any() or (rounds > last).any():
        shown = last if isinstance(last, int) else f"{last:g}"
        raise ValueError(
            f"record: want rounds, integers from 0 to {shown}; "
            f"got {rounds.min():g} to {rounds.max():g}"
        )
    return np.unique(np.concatenate([[0.0], rounds, [last]]))


def _spaced(per_decade: int, last: float) -> np.ndarray:
    steps = int(np.ceil(per_decade * np.log10(max(last, 1)))) + 1
    spaced = np.rint(10.0 ** (np.arange(steps) / per_decade))
    return np.unique(np.concatenate([[0.0], spaced[spaced < last], [last]]))
