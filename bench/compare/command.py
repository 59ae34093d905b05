"""Two commits built side by side and timed in turn: how fast the new one is beside the old one.

    python bench/compare OLD [NEW] [--cases W1 W4] [--kernels] [--repeats 3] [--pairs 3]

OLD and NEW are commits of this repository (NEW: HEAD if not given), or folders that hold a
built localgd. Ratios are old seconds over new ones: above 1 the new version is faster. Where the
system places a process in memory makes it some percent slower or faster for its whole life, so each
pair of processes is a draw of its own: the figures are over the turns of all pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from throughput.cases import CASES, DTYPES, case_names
from throughput.processes import Remote
from throughput.rivals import OURS, Contestant

from .versions import folder_of

PAUSE = 0.02  # seconds between timings: spinning threads of the last one go to sleep
BENCH = Path(__file__).resolve().parents[1]

Sides = tuple[Remote, Remote]
Timing = Callable[[Remote], float]
Figures = dict[str, list[tuple[float, float]]]


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old")
    parser.add_argument("new", nargs="?", default="HEAD")
    parser.add_argument("--cases", nargs="*", default=list(CASES), help="default: all")
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=DTYPES)
    parser.add_argument("--kernels", action="store_true", help="also those of test_kernels.py")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each pair of processes")
    parser.add_argument(
        "--pairs", type=int, default=3, help="pairs of processes, one after another"
    )
    parser.add_argument("--least", type=float, default=0.25, help="seconds of one timing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--instruction-set", help="build and compare this one alone: avx2, …")
    parser.add_argument("--small", action="store_true", help="tiny cases: does it all work?")
    parser.add_argument("--json", type=Path, help="write all figures here")
    return parser.parse_args(arguments)


def side(name: str, folder: Path, wanted: argparse.Namespace) -> Remote:
    environment = {**OURS.environment, "PYTHONPATH": os.pathsep.join(map(str, (folder, BENCH)))}
    if wanted.instruction_set:
        environment["LOCALGD_INSTRUCTION_SET"] = wanted.instruction_set
    contestant = Contestant(name, "", environment)
    return Remote(contestant, wanted.threads, worker="compare.worker")


def timings(sides: Sides, wanted: argparse.Namespace) -> Iterator[tuple[str, Timing]]:
    """Each case with how to time it on one side, made ready on both."""
    for name in case_names(wanted.cases):
        case = CASES[name].small() if wanted.small else CASES[name]
        for dtype in wanted.dtypes:
            for form in sides[1].ask("forms", case):
                for remote in sides:
                    remote.ask("load", case, dtype, wanted.threads, form)
                rounds = long_enough(sides, wanted.least, "seconds")
                yield f"{name} {dtype} {form}", lambda r, k=rounds: r.ask("seconds", k)
    for threads in (1, None):
        title = f"hardly any work, {'1 thread' if threads else 'default threads'}"
        yield title, lambda r, t=threads: r.ask("hardly_any_work", t)
    for name in sides[1].ask("kernels") if wanted.kernels else ():
        calls = long_enough(sides, wanted.least, "kernel_seconds", name)
        yield name, lambda r, n=name, c=calls: r.ask("kernel_seconds", n, c)


def long_enough(sides: Sides, least: float, method: str, *arguments: Any) -> int:
    """How many rounds or calls take long enough on both sides: the same for both."""
    count = 1
    while True:
        seconds = min(remote.ask(method, *arguments, count) for remote in sides)
        if seconds >= least:
            return count
        count = max(count + 1, int(count * min(20.0, 1.2 * least / max(seconds, 1e-9))))


def in_turn(sides: Sides, seconds: Timing, repeats: int) -> list[tuple[float, float]]:
    """Old and new seconds, A B B A A B …: neither always goes first."""
    found = []
    for turn in range(repeats):
        pair = [0.0, 0.0]
        for which in (0, 1) if turn % 2 == 0 else (1, 0):
            time.sleep(PAUSE)
            pair[which] = seconds(sides[which])
        found.append((pair[0], pair[1]))
    return found


def of_a_pair(folders: list[Path], wanted: argparse.Namespace, number: int) -> Figures:
    """The seconds of all turns of a new pair of processes."""
    figures: Figures = {}
    with side("old", folders[0], wanted) as old, side("new", folders[1], wanted) as new:
        for remote, folder in ((old, folders[0]), (new, folders[1])):
            assert remote.ask("about").startswith(str(folder)), remote.ask("about")
        for title, seconds in timings((old, new), wanted):
            figures[title] = in_turn((old, new), seconds, wanted.repeats)
            ratio = statistics.median(before / after for before, after in figures[title])
            print(f"pair {number}: {title:<36} {ratio:7.3f}", file=sys.stderr, flush=True)
    return figures


def main(arguments: list[str] | None = None) -> None:
    wanted = options(arguments)
    folders = [folder_of(version, wanted.instruction_set) for version in (wanted.old, wanted.new)]
    pairs = [of_a_pair(folders, wanted, number + 1) for number in range(wanted.pairs)]
    record: dict[str, Any] = {name: getattr(wanted, name) for name in ("old", "new", "repeats")}
    record["cases"] = {title: [figures[title] for figures in pairs] for title in pairs[0]}
    print(f"{'case':<36} {'median':>7} {'min':>7} {'max':>7}   old ms   new ms")
    for title, found in record["cases"].items():
        turns = [turn for pair in found for turn in pair]
        ratios = [before / after for before, after in turns]
        middle = [1e3 * statistics.median(times) for times in zip(*turns, strict=True)]
        print(
            f"{title:<36} {statistics.median(ratios):7.3f} {min(ratios):7.3f} {max(ratios):7.3f} "
            f"{middle[0]:8.4g} {middle[1]:8.4g}"
        )
    if wanted.json:
        wanted.json.write_text(json.dumps(record, indent=1) + "\n")
