"""Local steps on sparse rows, localgd beside its rivals.

    python bench/sparse_rows [--data FOLDER] [--clock cpu] [--results]

``--help`` lists the other options.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from throughput.command import about, contestants, shared_options
from throughput.measure import measure
from throughput.results import default_file, write
from throughput.table import Group

from .cases import CASES, SparseCase
from .results import README, RESULTS, nanoseconds, renewed, results
from .rivals import OURS, RIVALS
from .sets import found_set

__all__ = ["main"]


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/sparse_rows", description=__doc__.splitlines()[0])
    shared_options(parser, list(CASES), list(RIVALS), RESULTS)
    parser.add_argument("--data", type=Path, help="folder with a9a and w8a of LIBSVM's collection")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: seconds of all threads of a contestant, for a machine that is shared",
    )
    return parser.parse_args(arguments)


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


def compare(args: argparse.Namespace) -> list[Group]:
    """Measure and print case after case."""
    groups = []
    with ExitStack() as stack:
        rivals = [RIVALS[name] for name in args.rivals]
        remotes = contestants(stack, OURS, rivals, args.threads, worker="sparse_rows.worker")
        for remote in remotes:
            remote.ask("take_time_by", args.clock)
        for case in chosen(args):
            for dtype in args.dtypes:
                entrants = measure(case, dtype, remotes, args.threads, args.repeats, args.least)
                groups.append(Group(case, dtype, entrants, {}))
                print("\n" + "\n".join(lines(groups[-1])), flush=True)
    return groups


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


def main(arguments: list[str] | None = None) -> None:
    args = options(arguments)
    if args.table:
        README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
        return
    report = about()
    print(
        f"{args.threads} threads, load {report['load_average'][0]:.1f}, "
        f"{report['build_info']['instruction_set']}; local steps of all clients per second "
        f"({args.clock}), median of {args.repeats}; ns per entry and local step; localgd over it"
    )
    groups = compare(args)
    if args.json:
        cases = [
            {
                "case": asdict(replace(group.case, file=None)),
                "dtype": group.dtype,
                "entrants": [entrant.as_dict() for entrant in group.entrants],
            }
            for group in groups
        ]
        args.json.write_text(json.dumps({**report, "cases": cases}, indent=2))
    if args.results is not None:
        kept = results(report, groups, shown(sys.argv[1:], args.data), args.clock, args.threads)
        file = default_file(kept, RESULTS) if args.results == Path() else args.results
        write(file, kept)
        print(f"\nwritten: {file}; python bench/sparse_rows --table puts it into the README")


def shown(arguments: list[str], data: Path | None) -> list[str]:
    """The command without the folder of this machine."""
    return ["FOLDER" if argument == str(data) else argument for argument in arguments]
