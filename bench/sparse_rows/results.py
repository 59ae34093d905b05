"""What is kept of a run, ``bench/results/sparse_rows/*.json``, and its table in the README."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from throughput.clocked import Kept
from throughput.measure import Entrant
from throughput.readme import NONE, SPACE, rate, ratio
from throughput.results import rounded
from throughput.table import Group

__all__ = ["KEPT", "nanoseconds"]

COLUMNS = (
    "case",
    "type",
    "`run`",
    "every step",
    "ns per entry",
    "every step",
    "strongest rival",
    "ns per entry",
    "ratio",
    "ratio, every step",
)


def nanoseconds(group: Group, entrant: Entrant | None) -> float | None:
    """For each entry of the rows and local step."""
    if entrant is None or not entrant.rates:
        return None
    per_step = group.case.n_rows * group.case.entries / group.case.n_clients
    return 1e9 / (entrant.rate * per_step)


def _case(group: Group) -> dict[str, Any]:
    best = group.strongest()
    found = {
        "steps_per_second": group.ours.rate,
        "every_step": group.stepwise.rate,
        "nanoseconds": nanoseconds(group, group.ours),
        "nanoseconds_every_step": nanoseconds(group, group.stepwise),
        "rival_nanoseconds": nanoseconds(group, best),
        "ratio": group.ratio(best) if best else None,
        "ratio_of_every_step": group.ratio(best, group.stepwise) if best else None,
    }
    return {
        "case": group.case.name,
        "dtype": group.dtype,
        "rival": f"{best.remote.name}, {best.name}" if best else None,
        "note": group.ours.note,
        **{name: None if value is None else rounded(value) for name, value in found.items()},
    }


def _rows(found: dict[str, Any]) -> Iterator[list[str]]:
    for case in found["cases"]:
        rival = case["rival"]
        yield [
            case["case"],
            case["dtype"],
            rate(case["steps_per_second"]),
            rate(case["every_step"]),
            _nanoseconds(case["nanoseconds"]),
            _nanoseconds(case["nanoseconds_every_step"]),
            rival.replace(" ", SPACE) if rival else NONE,
            _nanoseconds(case["rival_nanoseconds"]),
            ratio(case["ratio"]),
            ratio(case["ratio_of_every_step"]),
        ]


def _nanoseconds(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


KEPT = Kept("sparse_rows", _case, COLUMNS, _rows)
