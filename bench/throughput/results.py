"""What is kept of a run of the bench: one JSON file per machine, in ``bench/results/``."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .table import Group

__all__ = [
    "RESULTS",
    "about_run",
    "commit",
    "default_file",
    "processor",
    "results",
    "rounded",
    "write",
]

BENCH = Path(__file__).resolve().parents[1]
RESULTS = BENCH / "results"


def results(
    report: dict[str, Any], groups: Sequence[Group], memory_rate: float, arguments: Sequence[str]
) -> dict[str, Any]:
    """The figures that the README shows, from all that a run has found."""
    kept = {
        **about_run(report, " ".join(["python bench/throughput", *arguments])),
        "flops_per_second": report["limits"]["flops_per_second"],
        "bytes_per_second": memory_rate,
        "cases": [_case(group) for group in groups],
    }
    for name, part in (("scaling", _scaling), ("busy", _busy)):
        if name in report:
            kept[name] = part(report[name])
    return kept


def about_run(report: dict[str, Any], command: str) -> dict[str, Any]:
    """Where, when and of what figures are."""
    return {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "instruction_set": report["build_info"]["instruction_set"],
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": commit(),
        "command": command,
        "versions": report["versions"],
        "load_average": report["load_average"][0],
    }


def write(file: Path, kept: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def default_file(kept: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Named after the processor and the instruction set."""
    words = re.findall(r"[a-z0-9]+", f"{processor()} {kept['instruction_set']}".lower())
    return folder / f"{'-'.join(words)}.json"


def processor() -> str:
    """Its name; with family and model, as that of a virtual machine may say little."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    fields = dict(re.findall(r"^([^:\n]+?)\s*: *(.*)$", cpuinfo.read_text(), re.MULTILINE))
    name = fields.get("model name", platform.machine())
    numbers = [fields[key] for key in ("cpu family", "model") if key in fields]
    return f"{name} (family {numbers[0]}, model {numbers[1]})" if len(numbers) == 2 else name


def _case(group: Group) -> dict[str, Any]:
    best, kept = group.strongest(), group.strongest("weights")
    limit = group.limits.get(group.stepwise.keeps)
    return {
        "case": group.case.name,
        "dtype": group.dtype,
        "steps_per_second": rounded(group.ours.rate),
        "every_step": rounded(group.stepwise.rate),
        "limit": rounded(limit.whole_round) if limit else None,
        "rival": f"{best.remote.name}, {best.keeps} {best.name}" if best else None,
        "rival_steps_per_second": rounded(best.rate) if best else None,
        "ratio": rounded(group.ratio(best)) if best else None,
        "ratio_of_every_step": rounded(group.ratio(best, group.stepwise)) if best else None,
        "ratio_to_weights_kept": rounded(group.ratio(kept)) if kept else None,
    }


def _scaling(figures: dict[str, float]) -> dict[str, Any]:
    def named(prefix: str) -> dict[str, float]:
        return {
            name.removeprefix(prefix): rounded(value)
            for name, value in figures.items()
            if name.startswith(prefix)
        }

    steps = named("client_step_nanoseconds_M_").values()
    return {
        "round_microseconds": named("round_microseconds_threads_"),
        "speedup_W1": named("speedup_W1_"),
        "client_step_nanoseconds": [min(steps), max(steps)],
    }


def _busy(figures: dict[str, Any]) -> dict[str, float]:
    return {name: rounded(statistics.median(case["ratios"])) for name, case in figures.items()}


def rounded(value: float) -> float:
    """To the four digits that a timing may have."""
    return float(f"{value:.4g}")


def commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, cwd=BENCH, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
