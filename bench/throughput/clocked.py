"""A comparison timed by the clock or by CPU time, with a folder of results and a table of its own.

``bench/networks`` and ``bench/sparse_rows`` are such.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .command import about, contestants, shared_options
from .limits import Limit, Machine
from .measure import measure
from .readme import README, replaced, table
from .results import RESULTS, about_run, default_file, write
from .rivals import Contestant
from .table import Group

__all__ = ["Comparison", "Kept"]

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


@dataclass(frozen=True)
class Kept:
    """What is kept of a run, ``bench/results/<name>/*.json``, and its tables in the README."""

    name: str  # of the folder of the bench
    case: Callable[[Group], dict[str, Any]]
    columns: Sequence[str]
    rows: Callable[[dict[str, Any]], Iterable[list[str]]]  # of the table, of what is kept

    @property
    def folder(self) -> Path:
        return RESULTS / self.name

    def results(
        self,
        report: dict[str, Any],
        groups: Sequence[Group],
        arguments: Sequence[str],
        clock: str,
        threads: int,
    ) -> dict[str, Any]:
        command = " ".join([f"python bench/{self.name}", *arguments])
        cases = [self.case(group) for group in groups]
        return {**about_run(report, command), "clock": clock, "threads": threads, "cases": cases}

    def renewed(self, page: str, folder: Path | None = None) -> str:
        """The page with the tables of each file of results, as they are now."""
        made = []
        for file in sorted((self.folder if folder is None else folder).glob("*.json")):
            found = json.loads(file.read_text("utf-8"))
            facts = [[label, fact(found)] for label, fact in FACTS.items()]
            made += [table(self.columns, self.rows(found)), table(["", file.stem], facts)]
        begin = f"<!-- made of results/{self.name}/*.json by python bench/{self.name} --table -->"
        end = f"<!-- end of the {self.name.replace('_', ' ')} -->"
        return replaced(page, begin, end, "\n\n".join(made))


@dataclass(frozen=True)
class Comparison:
    """localgd beside its rivals, case after case."""

    kept: Kept
    about: str
    cases: Mapping[str, Any]
    ours: Contestant
    rivals: Mapping[str, Contestant]
    lines: Callable[[Group], list[str]]  # of a group, and what their numbers are
    numbers: str
    as_dict: Callable[[Any], dict[str, Any]]  # of a case
    # What the machine can do of a case in a dtype.
    limits: Callable[[Machine, Any, str], dict[str, Limit]] = lambda *_: {}

    def parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=f"bench/{self.kept.name}", description=self.about)
        shared_options(parser, list(self.cases), list(self.rivals), self.kept.folder)
        parser.add_argument(
            "--clock",
            choices=("wall", "cpu"),
            default="wall",
            help="cpu: seconds of all threads of a contestant, for a machine that is shared",
        )
        return parser

    def carry_out(
        self, args: argparse.Namespace, cases: Iterable[Any], arguments: Sequence[str]
    ) -> None:
        """``arguments``: those of the command, as they are kept."""
        if args.table:
            page = self.kept.renewed(README.read_text(encoding="utf-8"))
            README.write_text(page, encoding="utf-8")
            return
        report = about()
        print(
            f"{args.threads} threads, load {report['load_average'][0]:.1f}, "
            f"{report['build_info']['instruction_set']}; local steps of all clients per second "
            f"({args.clock}), median of {args.repeats}; {self.numbers}"
        )
        groups = self._compare(args, cases)
        if args.json:
            measured = [
                {
                    "case": self.as_dict(group.case),
                    "dtype": group.dtype,
                    "entrants": [entrant.as_dict() for entrant in group.entrants],
                }
                for group in groups
            ]
            args.json.write_text(json.dumps({**report, "cases": measured}, indent=2))
        if args.results is not None:
            found = self.kept.results(report, groups, arguments, args.clock, args.threads)
            default = default_file(found, self.kept.folder)
            file = default if args.results == Path() else args.results
            write(file, found)
            name = self.kept.name
            print(f"\nwritten: {file}; python bench/{name} --table puts it into the README")

    def _compare(self, args: argparse.Namespace, cases: Iterable[Any]) -> list[Group]:
        """Measure and print case after case."""
        groups = []
        machine = Machine(args.threads)
        worker = f"{self.kept.name}.worker"
        with ExitStack() as stack:
            rivals = [self.rivals[name] for name in args.rivals]
            remotes = contestants(stack, self.ours, rivals, args.threads, worker=worker)
            for remote in remotes:
                remote.ask("take_time_by", args.clock)
            for case in cases:
                for dtype in args.dtypes:
                    entrants = measure(case, dtype, remotes, args.threads, args.repeats, args.least)
                    groups.append(Group(case, dtype, entrants, self.limits(machine, case, dtype)))
                    print("\n" + "\n".join(self.lines(groups[-1])), flush=True)
        return groups
