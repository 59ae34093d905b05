"""E12: rounds and bytes to a given angle and to a given loss, against the number of local steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns, records
from ..context import Context, degrees
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest, smallest
from ..reaching import rounds_to
from ..words import read

ANGLES = (20.0, 10.0, 5.0)  # degrees
LOSSES = (1e-2, 1e-4, 1e-6)
FAR = 1e40
SEEN = 1e8  # rounds that the figures show; beyond nobody takes them
MANY = 1000  # rounds after which the loss should follow ‖ŵ‖²/(ηLk)
FACTOR = 4  # from one L to the next
LR = 1.0


@dataclass(frozen=True)
class Communication(Experiment):
    """Rounds and bytes to six targets, for L = 1, 4, 16, …

    ``method`` makes the method of L local steps.
    """

    method: Callable[[int], Any] = lambda L: lg.LocalGD(local_steps=L, lr=LR)

    words = read(__file__)

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """The largest L."""
        return {"most": _steps(context)[-1], "real_most": _real_steps(context)[-1]}

    def measure(self, context: Context) -> Measured:
        """Rounds and bytes to every target for every L, draw by draw."""
        real = self.own_or_digits(context)
        found = [self._synthetic(context, seed) for seed in context.seeds()]
        on_real = [
            self._targets(
                context,
                problem,
                lg.reference.max_margin(problem),
                _real_steps(context),
                f"{real.name}, draw {draw}",
            )
            for draw, problem in enumerate(real.used, 1)
        ]
        draws = [_of_draw(*one) for one in found]
        real_draws = [_of_real(table) for table in on_real]
        first, solved, _ = found[0]
        solves_rounds = [_count(solved[angle]) for angle in ANGLES] + ["–"] * len(LOSSES)
        solves_row = {"L": "exact local solves", **dict(zip(HEADINGS, solves_rounds, strict=True))}
        return Measured(
            numbers={
                **over_draws(draws),
                **over_draws(real_draws, "real_"),
                "largest_local_steps": int(first["local_steps"][-1]),
                "real_largest_local_steps": int(on_real[0]["local_steps"][-1]),
            },
            series={
                "synthetic": first,
                "real": on_real[0],
                "exact_local_solves": {
                    "angle_deg": np.array(list(solved)),
                    "rounds": np.array(list(solved.values())),
                },
                "draws": columns(draws),
                "real_draws": columns(real_draws),
            },
            tables=[
                self._table("rounds", [*_rounds(first), solves_row], name="Synthetic rows"),
                self._table("bytes", _megabytes(first)),
                self._table("rounds", _rounds(on_real[0]), name=f"Real rows ({real.name})"),
                self._table("pays", [_pays("synthetic", first), _pays(real.name, on_real[0])]),
            ],
            **real.told,
        )

    def _synthetic(
        self, context: Context, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[float, float], Any]:
        """The targets on the rows of a seed, rounds of exact local solves, and ŵ."""
        problem = rows.synthetic(seed)
        best = lg.reference.max_margin(problem)
        name = f"synthetic rows of seed {seed}"
        found = self._targets(context, problem, best, _steps(context), name)
        solves = context.run(
            problem,
            lg.LocalSolve(),
            rounds=1000,
            loss="exponential",
            reference=best,
            record=range(1001),
        )
        k, angles = solves.history["round"], degrees(solves)
        return found, {angle: rounds_to(k, angles, angle) for angle in ANGLES}, best

    def _targets(
        self,
        context: Context,
        problem: lg.Problem,
        best: Any,
        steps: Sequence[int],
        name: str,
    ) -> dict[str, np.ndarray]:
        """One row for each L: rounds to each target, and bytes per round."""
        found = []
        for L in context.each(f"{name}, L = ", steps):
            run = context.fast_forward(
                problem,
                self.method(L),
                rounds=FAR,
                loss="exponential",
                reference=best,
                record=lg.log_spaced(per_decade=20),
            )
            k, angle, loss = (run.history[key] for key in ("round", "angle", "loss"))
            found.append(
                {
                    "local_steps": L,
                    **{f"angle {a:g}°": rounds_to(k, np.degrees(angle), a) for a in ANGLES},
                    **{f"loss {v:g}": rounds_to(k, loss, v) for v in LOSSES},
                    "bytes per round": run.history["bytes"][1] / k[1],
                }
            )
        return columns(found)

    def _table(self, name: str, found: Sequence[Mapping[str, str]], /, **places: str) -> Any:
        """A table with a column for each target."""
        cells = [(heading, f"{{{heading}}}") for heading in HEADINGS]
        return self.table(name, found, more=cells, **places)

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Rounds against L, for angles and for losses."""
        synthetic, real = measured.series["synthetic"], measured.series["real"]
        solves = measured.series["exact_local_solves"]
        solved = {f"angle {row['angle_deg']:g}°": row["rounds"] for row in records(solves)}
        return {
            "loss": _draw(synthetic, "loss", {}),
            "angle": _draw(synthetic, "angle", solved),
            "real": _draw(real, "angle", {}),
        }


TARGETS = (*(f"angle {a:g}°" for a in ANGLES), *(f"loss {v:g}" for v in LOSSES))
HEADINGS = ("20°", "10°", "5°", "loss 10^-2", "loss 10^-4", "loss 10^-6")


def _steps(context: Context) -> list[int]:
    return [FACTOR**j for j in range(context.pick(7, 9))]


def _real_steps(context: Context) -> list[int]:
    return [FACTOR**j for j in range(context.pick(4, 6))]


def _of_draw(found: Columns, solved: Mapping[float, float], best: Any) -> dict[str, float]:
    """Of the synthetic rows."""
    savings = {target: _savings(found, target) for target in TARGETS}
    late = found["loss 1e-06"][1:] >= MANY
    total = found["local_steps"] * found["angle 5°"]
    reached = [a for a in (20.0, 10.0) if np.isfinite(solved[a])]
    return {
        "loss_law_error_percent": _law_error(found, best),
        "least_loss_saving": smallest(savings["loss 1e-06"][late]),
        "least_step_growth": smallest(total[1:] / total[:-1]),
        "last_angle_saving": largest(savings[target][-1] for target in ("angle 20°", "angle 10°")),
        "least_rounds_over_solves": smallest(
            found[f"angle {a:g}°"].min() / solved[a] for a in reached
        )
        if reached
        else float("nan"),
        "angle_saving": float(found["angle 5°"][0] / found["angle 5°"][-1]),
        "angle_saving_10": float(found["angle 10°"][0] / found["angle 10°"][-1]),
        "rounds_to_angle_log10": float(np.log10(found["angle 5°"][0])),
        "loss_saving": float(found["loss 1e-06"][0] / found["loss 1e-06"][-1]),
        "bytes_per_round": float(found["bytes per round"][0]),
    }


def _of_real(found: Columns) -> dict[str, float]:
    savings = {target: _savings(found, f"{target}") for target in ("angle 10°", "loss 0.0001")}
    return {
        "least_saving": smallest(np.concatenate(list(savings.values()))),
        "angle_saving": float(found["angle 10°"][0] / found["angle 10°"][-1]),
        "loss_saving": float(found["loss 0.0001"][0] / found["loss 0.0001"][-1]),
    }


def _savings(found: Columns, target: str) -> np.ndarray:
    """By which factor each step from L to 4L lowers the rounds."""
    ratios: np.ndarray = found[target][:-1] / found[target][1:]
    return ratios


def _law_error(found: Columns, best: Any) -> float:
    """How far rounds × L is from ‖ŵ‖²/(η loss), in percent, where there are many rounds."""
    errors = []
    for loss in (1e-4, 1e-6):
        k = found[f"loss {loss:g}"]
        late = k >= MANY
        predicted = 1 / (best.margin**2 * LR * loss)
        errors.append(np.abs(k * found["local_steps"] / predicted - 1)[late].max())
    return 100 * float(np.max(errors))


def _count(k: float) -> str:
    if np.isnan(k):
        return "never"
    return f"{k:,.0f}" if k < 1e5 else f"{k:.3g}"


def _rounds(found: Columns) -> list[dict[str, str]]:
    return [_cells(f"{row['local_steps']:,}", row, _count) for row in records(found)]


def _megabytes(found: Columns) -> list[dict[str, str]]:
    def written(each: float) -> Callable[[float], str]:
        return lambda k: f"{k * (each / 1e6):.3g}"

    return [
        _cells(f"{row['local_steps']:,}", row, written(row["bytes per round"]))
        for row in records(found)
    ]


def _pays(name: str, found: Columns) -> dict[str, str]:
    """The largest L to which every quadrupling saved half of the rounds or more."""
    cells = {}
    for target in TARGETS:
        pays = np.logical_and.accumulate(_savings(found, target) >= 2)
        j = int(pays.sum())
        cells[target] = ("≥ " if j == len(pays) else "") + f"{found['local_steps'][j]:,}"
    return _cells(name, cells, str)


def _cells(name: str, row: Mapping[str, Any], written: Callable[[Any], str]) -> dict[str, str]:
    """A row of a table with a column for each target."""
    targets = zip(HEADINGS, TARGETS, strict=True)
    return {"L": name, **{heading: written(row[target]) for heading, target in targets}}


def _draw(table: Columns, kind: str, solved: Mapping[str, float]) -> Any:
    """Rounds to each target, as far as anyone could take them."""
    ax = figures.panel(x="Local steps per round L", y="Communication rounds", height=2.9)
    L = table["local_steps"]
    targets = [target for target in TARGETS if target.startswith(kind)]
    for target, style in zip(targets, figures.MARKED, strict=False):
        k = np.where(table[target] <= SEEN, table[target], np.nan)
        ax.plot(L, table[target][0] / L, color="#BBBBBB", linewidth=0.8)
        figures.lines(ax, L, {_label(target): k}, [style])
        if np.isfinite(solved.get(target, np.nan)):
            ax.axhline(solved[target], color=style["color"], linestyle=":", linewidth=1.0)
    ax.set_ylim(bottom=1, top=SEEN)
    ax.set_xscale("log", base=2)
    ax.set_xticks(L[::2])
    ax.tick_params(which="minor", left=False)
    return ax


def _label(target: str) -> str:
    kind, value = target.split()
    return value if kind == "angle" else f"loss $10^{{{round(np.log10(float(value)))}}}$"


EXPERIMENT = Communication()
