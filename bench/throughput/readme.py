"""The tables in ``bench/README.md``, made from the files of ``bench/results/``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .results import BENCH, RESULTS

__all__ = ["NONE", "README", "SPACE", "rate", "ratio", "renewed", "replaced", "table"]

README = BENCH / "README.md"
BEGIN = "<!-- made of results/*.json by python bench/throughput --table -->"
END = "<!-- end of what is made -->"
NONE = "–"
SPACE = "\u00a0"  # no line ends here
COLUMNS = (
    "machine",
    "case",
    "type",
    "`run`",
    "every step",
    "of limit",
    "strongest rival",
    "ratio",
    "ratio, every step",
    "ratio, weights kept",
)

Results = dict[str, Any]
Row = Iterable[str]


def renewed(page: str, folder: Path = RESULTS) -> str:
    """The page with the tables of the results as they are now, the latest first."""
    found = [(file.stem, json.loads(file.read_text("utf-8"))) for file in folder.glob("*.json")]
    found.sort(key=lambda named: (named[1]["date"], named[0]), reverse=True)
    rates = [row for name, results in found for row in _rates(name, results)]
    names = ["", *(name for name, _ in found)]
    facts = [[label, *(fact(results) for _, results in found)] for label, fact in FACTS.items()]
    return replaced(page, BEGIN, END, f"{table(COLUMNS, rates)}\n\n{table(names, facts)}")


def replaced(page: str, begin: str, end: str, made: str) -> str:
    """The page with what stands between two of its lines made anew."""
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"


def table(head: Row, rows: Iterable[Row]) -> str:
    head = list(head)
    lines = [head, ["--"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rates(machine: str, results: Results) -> Iterator[Row]:
    for case in results["cases"]:
        every, limit, rival = case["every_step"], case["limit"], case["rival_steps_per_second"]
        yield (
            machine,
            case["case"],
            case["dtype"],
            rate(case["steps_per_second"]),
            rate(every),
            f"{100 * every / limit:.0f}{SPACE}%" if limit else NONE,
            f"{rate(rival)}{SPACE}{case['rival'].split(',')[0]}" if rival else NONE,
            ratio(case["ratio"]),
            ratio(case["ratio_of_every_step"]),
            ratio(case["ratio_to_weights_kept"]),
        )


def rate(value: float) -> str:
    """Three digits; in millions or thousands where it is large."""
    if value >= 1e6:
        return f"{_digits(value / 1e6)}{SPACE}M"
    return f"{_digits(value / 1e3)}{SPACE}k" if value >= 1e4 else f"{value:,.0f}"


def _digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):,g}"


def ratio(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.1f}" if value < 20 else f"{value:.0f}"


def _by_type(values: dict[str, float], unit: float = 1) -> str:
    return ", ".join(f"{_digits(value / unit)} {dtype}" for dtype, value in values.items())


def _scaling(results: Results, name: str) -> Any:
    return results.get("scaling", {}).get(name)


def _empty_round(results: Results) -> str:
    found = _scaling(results, "round_microseconds") or {}
    words = {"1": "on one thread", "2": "on two", "auto": "by default"}
    return ", ".join(f"{_digits(value)} {words[key]}" for key, value in found.items()) or NONE


def _client_step(results: Results) -> str:
    found = _scaling(results, "client_step_nanoseconds")
    return f"{found[0]:.0f} to {found[1]:.0f}" if found else NONE


def _busy(results: Results) -> str:
    found = results.get("busy", {})
    return ", ".join(f"{_digits(value)} {case}" for case, value in found.items()) or NONE


FACTS = {
    "processor": lambda results: results["machine"],
    "instruction set": lambda results: results["instruction_set"],
    "measured": lambda results: results["date"],
    "commit": lambda results: results["commit"],
    "command": lambda results: f"`{results['command']}`",
    "note": lambda results: results.get("note", NONE),
    "matrix products, Gflop/s": lambda results: _by_type(results["flops_per_second"], 1e9),
    "memory, GB/s": lambda results: f"{results['bytes_per_second'] / 1e9:.1f}",
    "a round with hardly any work, µs": _empty_round,
    "W1, speed on all threads over one": lambda results: (
        _by_type(_scaling(results, "speedup_W1") or {}) or NONE
    ),
    "W6, ns per client step, 100 to 100,000 clients": _client_step,
    "time on all threads over one, beside busy loops": _busy,
}
