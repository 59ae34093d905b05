"""What is kept of a run, ``bench/results/networks/*.json``, and its table in the README."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sparse_rows.results import FACTS
from throughput.measure import Entrant
from throughput.readme import NONE, README, rate, ratio, replaced, table
from throughput.results import RESULTS as ALL_RESULTS
from throughput.results import about_run, rounded
from throughput.table import Group

__all__ = ["README", "RESULTS", "renewed", "results"]

RESULTS = ALL_RESULTS / "networks"
BEGIN = "<!-- made of results/networks/*.json by python bench/networks --table -->"
END = "<!-- end of the networks -->"
RIVALS = (("jax", "people"), ("torch", "people"), ("jax", "expert"))
COLUMNS = (
    "case",
    "type",
    "`run`",
    "Gflop/s",
    "JAX, people",
    "ratio",
    "PyTorch, people",
    "ratio",
    "JAX, expert",
    "ratio",
)


def results(
    report: dict[str, Any],
    groups: Sequence[Group],
    arguments: Sequence[str],
    clock: str,
    threads: int,
) -> dict[str, Any]:
    command = " ".join(["python bench/networks", *arguments])
    kept = about_run(report, command)
    return {**kept, "clock": clock, "threads": threads, "cases": [_case(group) for group in groups]}


def _case(group: Group) -> dict[str, Any]:
    best = {f"{name}, {who}": _best(group, name, who) for name, who in RIVALS}
    per_step = group.case.flops_per_round / group.case.steps_per_round
    return {
        "case": group.case.name,
        "dtype": group.dtype,
        "steps_per_second": rounded(group.ours.rate),
        "gflops": rounded(group.ours.rate * per_step / 1e9),
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


def renewed(page: str, folder: Path = RESULTS) -> str:
    """The page with the tables of each file of results, as they are now."""
    made = []
    for file in sorted(folder.glob("*.json")):
        found = json.loads(file.read_text("utf-8"))
        facts = [[label, fact(found)] for label, fact in FACTS.items()]
        made += [table(COLUMNS, _rows(found)), table(["", file.stem], facts)]
    return replaced(page, BEGIN, END, "\n\n".join(made))


def _rows(found: dict[str, Any]) -> Iterator[list[str]]:
    for case in found["cases"]:
        row = [case["case"], case["dtype"], rate(case["steps_per_second"]), f"{case['gflops']:.0f}"]
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
