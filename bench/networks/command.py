"""Local steps of two-layer networks, localgd beside its rivals.

    python bench/networks [--cases N1 N5] [--clock cpu] [--results]

``--help`` lists the other options.
"""

from __future__ import annotations

import sys
from dataclasses import asdict

from throughput.clocked import Comparison
from throughput.limits import Limit, Machine
from throughput.table import Group

from .cases import CASES, NetworkCase
from .results import KEPT
from .rivals import OURS, RIVALS

__all__ = ["main"]


def limits(machine: Machine, case: NetworkCase, dtype: str) -> dict[str, Limit]:
    """Local steps per second at the rate of a large matrix product."""
    steps = machine.product_rate(dtype) / case.flops_per_step
    return {"products": Limit(steps, steps, "products")}


def lines(group: Group) -> list[str]:
    """Local steps per second, and how many times those of localgd."""
    found = [f"{group.case.name} {group.dtype}: {group.case.shape}"]
    for entrant in sorted(group.entrants, key=lambda e: (not e.ours, -e.rate)):
        name = f"{entrant.remote.name:8} {entrant.name:14}"
        if not entrant.rates:
            found.append(f"{name} {entrant.problem}")
            continue
        share = 100 * entrant.rate / group.limits["products"].steps_per_second
        ratio = f"{share:.0f} %" if entrant.ours else f"{group.ratio(entrant):.2f}"
        found.append(f"{name} {entrant.rate:12,.0f} {ratio:>12}  {entrant.note}")
    return found


COMPARISON = Comparison(
    kept=KEPT,
    about=__doc__.splitlines()[0],
    cases=CASES,
    ours=OURS,
    rivals=RIVALS,
    lines=lines,
    numbers="localgd over it; % of the machine's rate of products",
    limits=limits,
    as_dict=asdict,
)


def main(arguments: list[str] | None = None) -> None:
    args = COMPARISON.parser().parse_args(arguments)
    cases = [CASES[name].small() if args.small else CASES[name] for name in args.cases]
    COMPARISON.carry_out(args, cases, sys.argv[1:])
