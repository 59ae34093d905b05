"""Local steps of two-layer networks, localgd beside its rivals.

    python bench/networks [--cases N1 N5] [--clock cpu] [--results]

``--help`` lists the other options.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from throughput.command import about, contestants, shared_options
from throughput.measure import measure
from throughput.results import default_file, write
from throughput.table import Group

from .cases import CASES
from .results import README, RESULTS, renewed, results
from .rivals import OURS, RIVALS

__all__ = ["main"]


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/networks", description=__doc__.splitlines()[0])
    shared_options(parser, list(CASES), list(RIVALS), RESULTS)
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: seconds of all threads of a contestant, for a machine that is shared",
    )
    return parser.parse_args(arguments)


def compare(args: argparse.Namespace) -> list[Group]:
    """Measure and print case after case."""
    groups = []
    with ExitStack() as stack:
        rivals = [RIVALS[name] for name in args.rivals]
        remotes = contestants(stack, OURS, rivals, args.threads, worker="networks.worker")
        for remote in remotes:
            remote.ask("take_time_by", args.clock)
        for name in args.cases:
            case = CASES[name].small() if args.small else CASES[name]
            for dtype in args.dtypes:
                entrants = measure(case, dtype, remotes, args.threads, args.repeats, args.least)
                groups.append(Group(case, dtype, entrants, {}))
                print("\n" + "\n".join(lines(groups[-1])), flush=True)
    return groups


def lines(group: Group) -> list[str]:
    """Local steps per second, and how many times those of localgd."""
    found = [f"{group.case.name} {group.dtype}: {group.case.shape}"]
    for entrant in sorted(group.entrants, key=lambda e: (not e.ours, -e.rate)):
        name = f"{entrant.remote.name:8} {entrant.name:14}"
        if not entrant.rates:
            found.append(f"{name} {entrant.problem}")
            continue
        flops = entrant.rate / group.case.steps_per_round * group.case.flops_per_round / 1e9
        ratio = f"{flops:.0f} Gflop/s" if entrant.ours else f"{group.ratio(entrant):.2f}"
        found.append(f"{name} {entrant.rate:12,.0f} {ratio:>12}  {entrant.note}")
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
        f"({args.clock}), median of {args.repeats}; localgd over it"
    )
    groups = compare(args)
    if args.json:
        cases = [
            {
                "case": asdict(group.case),
                "dtype": group.dtype,
                "entrants": [entrant.as_dict() for entrant in group.entrants],
            }
            for group in groups
        ]
        args.json.write_text(json.dumps({**report, "cases": cases}, indent=2))
    if args.results is not None:
        kept = results(report, groups, sys.argv[1:], args.clock, args.threads)
        file = default_file(kept, RESULTS) if args.results == Path() else args.results
        write(file, kept)
        print(f"\nwritten: {file}; python bench/networks --table puts it into the README")
