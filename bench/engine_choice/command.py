"""How often ``engine="auto"`` is the fastest engine, or nearly, over problems of a grid.

    python bench/engine_choice [--problems 300] [--seed 0] [--again FILE] [--results] [--calibrate]

Each engine takes each problem in turn, whole runs on one thread, several times; the least CPU time
counts, so that the machine may be busy. Prints the share of problems where the engine that is
chosen takes at most 10 % longer than the fastest, and the worst of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from throughput.results import commit, processor

import localgd as lg
from localgd._backend import core

from .choice import Timed, Verdict, calibrated, share, verdict
from .measure import times
from .problems import Case, draw
from .readme import README, RESULTS, renewed

__all__ = ["main", "read", "summary"]

WORST = 15


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/engine_choice",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--problems", type=int, default=300, help="how many are drawn")
    parser.add_argument("--seed", type=int, default=0, help="that they are drawn from")
    parser.add_argument("--repeats", type=int, default=3, help="timings of each engine")
    parser.add_argument("--again", type=Path, nargs="+", help="times of these files: none is taken")
    parser.add_argument("--json", type=Path, help="keep the times there")
    parser.add_argument("--results", action="store_true", help="keep them in bench/results")
    parser.add_argument(
        "--calibrate", action="store_true", help="print the constants that fit best"
    )
    parser.add_argument("--table", action="store_true", help="make the table of bench/README.md")
    return parser.parse_args(arguments)


def read(file: Path) -> list[Timed]:
    """The times of a file."""
    problems = json.loads(file.read_text("utf-8"))["problems"]
    return [
        Timed(Case(**case), {name: value or float("inf") for name, value in seconds.items()})
        for case, seconds in problems
    ]


def take(wanted: argparse.Namespace) -> Iterator[Timed]:
    for case in draw(wanted.problems, wanted.seed):
        timed = Timed(*times(case, wanted.repeats))
        found = verdict(timed)
        print(f"{found.ratio:6.2f} {found.engine:<6} {timed.case.title}", file=sys.stderr)
        yield timed


def summary(verdicts: Sequence[Verdict]) -> str:
    """In a line."""
    shares = " and ".join(
        f"within {percent} % of the fastest in {100 * share(verdicts, 1 + percent / 100):.1f} %"
        for percent in (10, 25)
    )
    return f"{shares} of {len(verdicts)} problems"


def kept(timed: Sequence[Timed], verdicts: Sequence[Verdict], command: str) -> dict[str, Any]:
    return {
        "machine": processor(),
        "instruction_set": core.build_info()["instruction_set"],
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": commit(),
        "command": command,
        "summary": summary(verdicts),
        # seconds per round, null: too long
        "problems": [
            [
                problem.case.as_dict(),
                {
                    name: float(f"{value:.3g}") if value < float("inf") else None
                    for name, value in problem.seconds.items()
                },
            ]
            for problem in timed
        ],
    }


def write(file: Path, results: dict[str, Any]) -> None:
    """A line for each problem."""
    problems = ",\n".join("  " + json.dumps(problem) for problem in results["problems"])
    head = json.dumps({**results, "problems": []}, indent=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        head.replace('"problems": []', f'"problems": [\n{problems}\n ]') + "\n", "utf-8"
    )


def main(arguments: list[str] | None = None) -> None:
    wanted = options(arguments)
    if wanted.table:
        README.write_text(renewed(README.read_text("utf-8")), "utf-8")
        return
    command = " ".join(["python bench/engine_choice", *(arguments or sys.argv[1:])])
    again = [problem for file in wanted.again or () for problem in read(file)]
    timed, verdicts = [], []
    for problem in again or take(wanted):
        timed.append(problem)
        verdicts.append(verdict(problem))
        if wanted.json:  # as they come: a run that is ended leaves what it has
            write(wanted.json, kept(timed, verdicts, command))
    results = kept(timed, verdicts, command)
    if wanted.results:
        write(RESULTS / f"{results['instruction_set']}.json", results)
    for found in sorted(verdicts, key=lambda found: -found.ratio)[:WORST]:
        seconds = ", ".join(f"{n} {1e6 * s:.3g}" for n, s in found.timed.seconds.items())
        print(f"{found.ratio:6.2f} {found.engine:<6} {found.timed.case.title}: {seconds} µs")
    print(f"localgd {lg.__version__}, {results['instruction_set']}: {results['summary']}")
    if wanted.calibrate:
        now = core.nanoseconds()
        for name, value in calibrated(timed).items():
            print(f"{name:<14} {value:8.2g} ns, now {now[name]:.2g}")
