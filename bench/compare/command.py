"""Two commits built side by side and timed in turn: how fast the new one is beside the old one.

    python bench/compare OLD [NEW] [--cases W1 W4] [--kernels] [--repeats 7] [--json FILE]

OLD and NEW are commits of this repository (NEW: HEAD if not given), or folders that hold a
built localgd. Ratios are old seconds over new ones: above 1 the new version is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
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
    parser.add_argument("--repeats", type=int, default=7)
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


def main(arguments: list[str] | None = None) -> None:
    wanted = options(arguments)
    folders = [folder_of(version, wanted.instruction_set) for version in (wanted.old, wanted.new)]
    figures: dict[str, Any] = {}
    print(f"{'case':<36} {'median':>7} {'min':>7} {'max':>7}   old ms   new ms", flush=True)
    with side("old", folders[0], wanted) as old, side("new", folders[1], wanted) as new:
        for remote, folder in ((old, folders[0]), (new, folders[1])):
            assert remote.ask("about").startswith(str(folder)), remote.ask("about")
        for title, seconds in timings((old, new), wanted):
            pairs = in_turn((old, new), seconds, wanted.repeats)
            ratios = [before / after for before, after in pairs]
            middle = [1e3 * statistics.median(times) for times in zip(*pairs, strict=True)]
            print(
                f"{title:<36} {statistics.median(ratios):7.3f} {min(ratios):7.3f} "
                f"{max(ratios):7.3f} {middle[0]:8.4g} {middle[1]:8.4g}",
                flush=True,
            )
            figures[title] = {"ratios": ratios, "seconds": pairs}
    if wanted.json:
        record = {"old": wanted.old, "new": wanted.new, "repeats": wanted.repeats}
        wanted.json.write_text(json.dumps({**record, "cases": figures}, indent=1) + "\n")
