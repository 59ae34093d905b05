"""What is kept of a run, ``bench/results/networks/*.json``, and its table in the README."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from throughput.clocked import Kept
from throughput.measure import Entrant
from throughput.readme import NONE, SPACE, rate, ratio
from throughput.results import rounded
from throughput.table import Group

__all__ = ["KEPT"]

RIVALS = (("jax", "people"), ("torch", "people"), ("jax", "expert"))
COLUMNS = (
    "case",
    "type",
    "`run`",
    "Gflop/s",
    "of limit",
    "JAX, people",
    "ratio",
    "PyTorch, people",
    "ratio",
    "JAX, expert",
    "ratio",
)


def _case(group: Group) -> dict[str, Any]:
    best = {f"{name}, {who}": _best(group, name, who) for name, who in RIVALS}
    return {
        "case": group.case.name,
        "dtype": group.dtype,
        "steps_per_second": rounded(group.ours.rate),
        "gflops": rounded(group.ours.rate * group.case.flops_per_step / 1e9),
        "limit": rounded(group.limits["products"].steps_per_second),
        "rivals": {
            name: None
            if rival is None
            else {
                "form": rival.name,
                "steps_per_second": rounded(rival.rate),
                "ratio": rounded(group.ratio(rival)),
            }
            for name, rival in best.items()
        },
        "note": group.ours.note,
    }


def _best(group: Group, name: str, who: str) -> Entrant | None:
    of = [e for e in group.entrants if e.remote.name == name and e.name.startswith(who) and e.rates]
    return max(of, key=lambda e: e.rate, default=None)


def _rows(found: dict[str, Any]) -> Iterator[list[str]]:
    for case in found["cases"]:
        steps = case["steps_per_second"]
        row = [case["case"], case["dtype"], rate(steps), f"{case['gflops']:.0f}"]
        row.append(f"{100 * steps / case['limit']:.0f}{SPACE}%")
        for rival in case["rivals"].values():
            row += (
                [NONE, NONE]
                if rival is None
                else [
                    rate(rival["steps_per_second"]),
                    ratio(rival["ratio"]),
                ]
            )
        yield row


KEPT = Kept("networks", _case, COLUMNS, _rows)
