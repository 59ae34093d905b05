"""What is kept of a run, ``bench/results/sparse_rows/*.json``, and its table in the README."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from throughput.measure import Entrant
from throughput.readme import NONE, README, SPACE, rate, ratio, replaced, table
from throughput.results import RESULTS as ALL_RESULTS
from throughput.results import about_run, rounded
from throughput.table import Group

__all__ = ["README", "RESULTS", "nanoseconds", "renewed", "results"]

RESULTS = ALL_RESULTS / "sparse_rows"
BEGIN = "<!-- made of results/sparse_rows/*.json by python bench/sparse_rows --table -->"
END = "<!-- end of the sparse rows -->"
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
FACTS = {
    "processor": lambda found: found["machine"],
    "instruction set": lambda found: found["instruction_set"],
    "measured": lambda found: found["date"],
    "commit": lambda found: found["commit"],
    "command": lambda found: f"`{found['command']}`",
    "clock": lambda found: found["clock"],
    "threads": lambda found: f"{found['threads']}",
    "load of the machine": lambda found: f"{found['load_average']:.1f}",
}


def nanoseconds(group: Group, entrant: Entrant | None) -> float | None:
    """For each entry of the rows and local step."""
    if entrant is None or not entrant.rates:
        return None
    per_step = group.case.n_rows * group.case.entries / group.case.n_clients
    return 1e9 / (entrant.rate * per_step)


def results(
    report: dict[str, Any],
    groups: Sequence[Group],
    arguments: Sequence[str],
    clock: str,
    threads: int,
) -> dict[str, Any]:
    command = " ".join(["python bench/sparse_rows", *arguments])
    kept = about_run(report, command)
    return {**kept, "clock": clock, "threads": threads, "cases": [_case(group) for group in groups]}


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
