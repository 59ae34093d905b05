"""Local steps per second of localgd beside its rivals: one table.

    python bench/throughput [--cases W1 W4] [--dtypes float64] [--rivals jax numba] [--results]

``--help`` lists the other options.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

# Measurements of reading share out the cores themselves. Read when BLAS is loaded.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import localgd as lg  # noqa: E402
from localgd._backend import core  # noqa: E402

from .alone import busy, scaling  # noqa: E402
from .cases import CASES, DTYPES, case_names  # noqa: E402
from .limits import Machine  # noqa: E402
from .measure import measure  # noqa: E402
from .processes import Refused, Remote  # noqa: E402
from .readme import README, renewed  # noqa: E402
from .results import BENCH, RESULTS, default_file, processor, results, write  # noqa: E402
from .rivals import OURS, RIVALS, Contestant  # noqa: E402
from .table import HEAD, Group, summary  # noqa: E402

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "torch", "jax", "jaxlib")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/throughput", description=__doc__.splitlines()[0])
    shared_options(parser, list(CASES), list(RIVALS), RESULTS)
    parser.add_argument("--scaling", action="store_true", help="also localgd by itself")
    parser.add_argument("--busy", action="store_true", help="also beside busy loops")
    return parser.parse_args(arguments)


def shared_options(
    parser: argparse.ArgumentParser, cases: list[str], rivals: list[str], folder: Path
) -> None:
    """Those of every comparison with rivals, whose results are kept in a folder."""
    file = f"{folder.relative_to(BENCH.parent)}/<processor>.json"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("--cases", nargs="*", default=cases, help="default: all")
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=DTYPES)
    parser.add_argument("--rivals", nargs="*", default=rivals, choices=rivals)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=cores, help="of every contestant")
    parser.add_argument("--least", type=float, default=1.0, help="seconds of one timing")
    parser.add_argument("--small", action="store_true", help="tiny cases: does it all work?")
    parser.add_argument("--json", type=Path, help="write everything that was measured here")
    parser.add_argument(
        "--results",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help=f"write the figures of the README's table; default: {file}",
    )
    parser.add_argument(
        "--table", action="store_true", help="measure nothing, make the README's table anew"
    )


def contestants(
    stack: ExitStack,
    ours: Contestant,
    rivals: list[Contestant],
    threads: int,
    worker: str = "throughput.worker",
) -> list[Remote]:
    """localgd and the rivals that are installed, each in its process."""
    remotes = [stack.enter_context(Remote(ours, threads, worker))]
    for rival in rivals:
        try:
            remotes.append(stack.enter_context(Remote(rival, threads, worker)))
        except Refused as error:
            print(f"{rival.name} is left out: {error}")
    return remotes


def about() -> dict[str, Any]:
    """What a record of figures must hold: machine, versions, build, load."""
    versions = {"localgd": lg.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "build_info": core.build_info(),
        "versions": versions,
        "machine": {"platform": platform.platform(), "processor": processor()},
        "load_average": os.getloadavg(),
    }


def compare(args: argparse.Namespace, machine: Machine) -> list[Group]:
    """Measure and print case after case."""
    groups = []
    with ExitStack() as stack:
        remotes = contestants(stack, OURS, [RIVALS[name] for name in args.rivals], args.threads)
        print(HEAD)
        for name in case_names(args.cases):
            case = CASES[name].small() if args.small else CASES[name]
            for dtype in args.dtypes:
                limits = machine.limits(case, dtype)
                entrants = measure(case, dtype, remotes, args.threads, args.repeats, args.least)
                groups.append(Group(case, dtype, entrants, limits))
                print("\n" + "\n".join(groups[-1].lines()), flush=True)
    return groups


def main(arguments: list[str] | None = None) -> None:
    args = options(arguments)
    if args.table:
        README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
        return
    report = about()
    machine = Machine(args.threads)
    memory = 2**24 if args.small else 2**29  # bytes, beyond all caches
    rates = ", ".join(f"{dtype} {machine.product_rate(dtype) / 1e9:.1f}" for dtype in args.dtypes)
    print(
        f"{args.threads} threads, load {report['load_average'][0]:.1f}, "
        f"{core.build_info()['instruction_set']}; matrix products {rates} Gflop/s, "
        f"memory {machine.read_rate(memory) / 1e9:.1f} GB/s; "
        f"local steps of all clients per second, median of {args.repeats}"
    )
    groups = compare(args, machine) if args.cases else []
    if groups:
        print("\n" + "\n".join(summary(groups)))
    for name, part in (("scaling", scaling), ("busy", busy)):
        if getattr(args, name):
            lines, report[name] = part(args.threads, args.repeats)
            print("\n".join(lines), flush=True)
    report |= {
        "limits": machine.as_dict(),
        "cases": [group.as_dict() for group in groups],
        "load_average_after": os.getloadavg(),
        "command": sys.argv[1:],
    }
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))
    if args.results is not None:
        kept = results(report, groups, machine.read_rate(memory), sys.argv[1:])
        file = default_file(kept) if args.results == Path() else args.results
        write(file, kept)
        print(f"\nwritten: {file}; python bench/throughput --table puts it into the README")
