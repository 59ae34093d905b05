"""Local steps on sparse rows, localgd beside its rivals.

    python bench/sparse_rows [--data FOLDER] [--clock cpu] [--results]

``--help`` lists the other options.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from throughput.clocked import Comparison
from throughput.table import Group

from .cases import CASES, SparseCase
from .results import KEPT, nanoseconds
from .rivals import OURS, RIVALS
from .sets import found_set

__all__ = ["main"]


def chosen(args: argparse.Namespace) -> list[SparseCase]:
    """The cases whose rows are there."""
    found = []
    for name in args.cases:
        case = CASES[name].small() if args.small else CASES[name]
        file = found_set(args.data, case.data) if case.data else None
        if case.data and file is None:
            print(f"{name} is left out: no file of {case.data} in --data {args.data or 'FOLDER'}")
            continue
        found.append(replace(case, file=file))
    return found


def lines(group: Group) -> list[str]:
    """Local steps per second, ns per entry and local step, and how many times those of localgd."""
    found = [f"{group.case.name} {group.dtype}: {group.case.title}, {group.case.shape}"]
    for entrant in sorted(group.entrants, key=lambda e: (not e.ours, -e.rate)):
        name = f"{entrant.remote.name:8} {entrant.name:26}"
        nanos = nanoseconds(group, entrant)
        if nanos is None:
            found.append(f"{name} {entrant.problem}")
            continue
        ratio = "" if entrant.ours else f"{group.ratio(entrant):.2f}"
        found.append(f"{name} {entrant.rate:12,.0f} {nanos:8.3f} {ratio:>6}  {entrant.note}")
    return found


def as_dict(case: SparseCase) -> dict[str, Any]:
    return asdict(replace(case, file=None))


COMPARISON = Comparison(
    kept=KEPT,
    about=__doc__.splitlines()[0],
    cases=CASES,
    ours=OURS,
    rivals=RIVALS,
    lines=lines,
    numbers="ns per entry and local step; localgd over it",
    as_dict=as_dict,
)


def main(arguments: list[str] | None = None) -> None:
    parser = COMPARISON.parser()
    parser.add_argument("--data", type=Path, help="folder with a9a and w8a of LIBSVM's collection")
    args = parser.parse_args(arguments)
    cases = [] if args.table else chosen(args)
    COMPARISON.carry_out(args, cases, shown(sys.argv[1:], args.data))


def shown(arguments: list[str], data: Path | None) -> list[str]:
    """The command without the folder of this machine."""
    return ["FOLDER" if argument == str(data) else argument for argument in arguments]
