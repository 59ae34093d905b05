"""E12: rounds and bytes to a given angle and to a given loss, against the number of local steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table
from ..reaching import rounds_to
from ..real_rows import about, own_or_digits

ANGLES = (20.0, 10.0, 5.0)  # degrees
LOSSES = (1e-2, 1e-4, 1e-6)
FAR = 1e40
MANY = 1000  # rounds after which the loss should follow ‖ŵ‖²/(ηLk)
FACTOR = 4  # from one L to the next
PER_CLASS = 100
LR = 1.0


@dataclass(frozen=True)
class Communication(Experiment):
    """Rounds and bytes to six targets, for L = 1, 4, 16, …

    ``method`` makes the method of L local steps.
    """

    method: Callable[[int], Any] = lambda L: lg.LocalGD(local_steps=L, lr=LR)

    id = "E12"
    title = "Communication: where do more local steps stop paying?"
    question = (
        "How many rounds and bytes does it take to a given angle and to a given loss, against L, "
        "and where do more local steps stop paying?"
    )
    claim = (
        "Prediction: the loss is ‖ŵ‖²/(ηLk), so L times as many local steps save a factor L in "
        "rounds and bytes while there are about a thousand rounds or more. The angle is "
        "‖ρ across ŵ‖/(‖ŵ‖ log(ηLk)), and the part of ρ that depends on L grows with L: the "
        "number of local steps in all grows with L, and savings in rounds fade. However large L "
        "is, no fewer rounds reach an angle than exact local solves take; an angle that these "
        "never reach needs many rounds with any L."
    )
    open = True
    sources = (
        sources.LOCAL_GD,
        sources.IMPLICIT_BIAS,
        sources.FEDAVG,
        sources.GRADALIGN,
        sources.NOT_SEPARABLE,
        sources.TWO_STAGE,
        sources.ANY_STEP,
        sources.LOCAL_SGD,
        sources.SCAFFOLD,
    )
    criterion = (
        Condition(
            "loss: rounds × L to 10^-4 and 10^-6 are ‖ŵ‖²/η over the loss, to 10 %, for every L "
            "that takes 1,000 rounds or more (synthetic rows)",
            "loss_law_error_percent",
            "<",
            10.0,
            unit="%",
        ),
        Condition(
            "loss: and so in every step from L to 4L the rounds to 10^-6 fall by a factor of "
            "3 or more while there are 1,000 or more (synthetic rows)",
            "least_loss_saving",
            ">=",
            3.0,
        ),
        Condition(
            "angle: to 5° more local steps always cost more of them: rounds × L does not fall "
            "from any L to 4L, by more than the 1 % that the records resolve (synthetic rows)",
            "least_step_growth",
            ">=",
            0.99,
        ),
        Condition(
            "angle: to 20° and to 10° there is an L from which on four times as many local steps "
            "save less than half of the rounds (synthetic rows)",
            "last_angle_saving",
            "<",
            2.0,
        ),
        Condition(
            "angle: no L takes fewer rounds to 20° or 10° than exact local solves (synthetic rows)",
            "least_rounds_over_solves",
            ">=",
            1.0,
        ),
        Condition(
            "real rows: every step from L to 4L saves rounds to 10° and to the loss 10^-4",
            "real_least_saving",
            ">",
            1.0,
            otherwise="On the real rows there are L whose fourfold saves no rounds.",
        ),
    )
    limits = (
        "The limits on the synthetic rows were set after a pilot on the same rows; those on "
        "real rows were not.",
        "Rounds and bytes are counted, not seconds. Computing has a price too: a round of L local "
        "steps costs L gradients on every client, and for an angle the number of steps in all "
        "grows with L. Where a round costs as much as s steps, the best L is where rounds × "
        "(s + L) is least; the CSV has the rounds.",
        "Bytes are those of history['bytes']: one model to each client and one back, float64, "
        "nothing compressed.",
        "One constant η for all L, full batches, all clients, no momentum on the server.",
        "Rounds are interpolated between 20 records per decade: they are right to a percent.",
    )
    tasks = ("binary",)
    code = """\
import numpy as np
import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
best = lg.reference.max_margin(problem)
for L in (1, 16, 256, 4096):
    far = lg.fast_forward(problem, lg.LocalGD(local_steps=L, lr=1.0), rounds=1e40,
                          loss="exponential", reference=best,
                          record=lg.log_spaced(per_decade=20))
    h = far.history
    by_angle = np.flatnonzero(np.degrees(h["angle"][1:]) <= 10)[0] + 1
    by_loss = np.flatnonzero(h["loss"][1:] <= 1e-6)[0] + 1
    print(f"L = {L}: {h['bytes'][by_angle]:.2g} bytes to 10°, "
          f"{h['bytes'][by_loss]:.2g} to a loss of 10^-6")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        most, real_most = _steps(context)[-1], _real_steps(context)[-1]
        return {
            "synthetic rows": "lg.datasets.make_separable: Gaussian rows, labelled by a plane; "
            "M = 5 clients, n = 10 rows each, d = 100 features",
            "real rows": f"{about(context, PER_CLASS)}; M = 10 clients by Dirichlet(0.3); your "
            "own rows in their place with --data",
            "method": f"Local-GD, η = 1, w_0 = 0, exponential loss, {context.shares}; L = 1, 4, "
            f"16, … {most:,} (real rows: {real_most:,})",
            "targets": "angle to ŵ 20°, 10°, 5°; loss 10^-2, 10^-4, 10^-6",
            "rounds": "as many as it takes, by lg.fast_forward; the first hundreds are run",
            "exact local solves": "lg.LocalSolve, plain averaging, 1,000 rounds",
            "seed": f"{1 + context.seed} for the synthetic rows, and for dealing the real ones",
        }

    def measure(self, context: Context) -> Measured:
        """Rounds and bytes to every target for every L."""
        synthetic = lg.datasets.make_separable(
            n_clients=5, n_samples=10, n_features=100, seed=1 + context.seed
        )
        best = lg.reference.max_margin(synthetic)
        found = self._targets(context, synthetic, best, _steps(context), "synthetic rows")
        solves = context.run(
            synthetic,
            lg.LocalSolve(),
            rounds=1000,
            loss="exponential",
            reference=best,
            record=range(1001),
        )
        solved = {
            angle: rounds_to(solves.history["round"], np.degrees(solves.history["angle"]), angle)
            for angle in ANGLES
        }
        real, name, notes = own_or_digits(context, PER_CLASS)
        real_best = lg.reference.max_margin(real)
        real_found = self._targets(context, real, real_best, _real_steps(context), name)
        L = found["local_steps"]
        savings = {column: k[:-1] / k[1:] for column, k in found.items() if column in TARGETS}
        late = found["loss 1e-06"][1:] >= MANY
        near = [savings[f"angle {angle:g}°"][-1] for angle in (20.0, 10.0)]
        reached = [found[f"angle {a:g}°"].min() / solved[a] for a in (20.0, 10.0)]
        real_savings = [
            real_found[c][:-1] / real_found[c][1:] for c in ("angle 10°", "loss 0.0001")
        ]
        total = L * found["angle 5°"]
        return Measured(
            numbers={
                "loss_law_error_percent": _law_error(found, best),
                "least_loss_saving": float(np.min(savings["loss 1e-06"][late])),
                "least_step_growth": float(np.min(total[1:] / total[:-1])),
                "last_angle_saving": float(np.max(near)),
                "least_rounds_over_solves": float(np.min(reached)),
                "real_least_saving": float(np.min(real_savings)),
                "largest_local_steps": int(L[-1]),
                "angle_saving": float(found["angle 5°"][0] / found["angle 5°"][-1]),
                "loss_saving": float(found["loss 1e-06"][0] / found["loss 1e-06"][-1]),
                "bytes_per_round": float(found["bytes per round"][0]),
            },
            series={
                "synthetic": found,
                "real": real_found,
                "exact_local_solves": {
                    "angle_deg": np.array(list(solved)),
                    "rounds": np.array(list(solved.values())),
                },
            },
            tables=[
                _rounds("Synthetic rows: rounds to each target", found, solved),
                _bytes("Synthetic rows: megabytes to each target, all clients, both ways", found),
                _rounds(f"Real rows ({name}): rounds to each target", real_found, {}),
                _pays({"synthetic": found, name: real_found}),
            ],
            notes=notes,
        )

    def _targets(
        self,
        context: Context,
        problem: lg.Problem,
        best: Any,
        steps: Sequence[int],
        name: str,
    ) -> dict[str, np.ndarray]:
        """One row for each L: rounds to each target, and bytes per round."""
        columns: dict[str, list[float]] = {target: [] for target in TARGETS}
        columns["bytes per round"] = []
        for L in steps:
            context.status(f"{name}, L = {L:,}")
            run = context.fast_forward(
                problem,
                self.method(L),
                rounds=FAR,
                loss="exponential",
                reference=best,
                record=lg.log_spaced(per_decade=20),
            )
            history, k = run.history, run.history["round"]
            for angle in ANGLES:
                rounds = rounds_to(k, np.degrees(history["angle"]), angle)
                columns[f"angle {angle:g}°"].append(rounds)
            for loss in LOSSES:
                columns[f"loss {loss:g}"].append(rounds_to(k, history["loss"], loss))
            columns["bytes per round"].append(history["bytes"][1] / k[1])
        return {"local_steps": np.array(steps)} | {c: np.array(v) for c, v in columns.items()}

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        return (
            f"L = {numbers['largest_local_steps']:,} in place of 1 saves a factor of "
            f"{numbers['loss_saving']:,.0f} in rounds and bytes to a loss of 10^-6, but of "
            f"{numbers['angle_saving']:,.0f} to an angle of 5°, and four times L saves only a "
            f"factor of {numbers['last_angle_saving']:.1f} at last to 20° or 10°."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Rounds against L, for angles and for losses."""
        synthetic, real = measured.series["synthetic"], measured.series["real"]
        solves = measured.series["exact_local_solves"]
        solved = dict(zip(solves["angle_deg"], solves["rounds"], strict=True))
        linear = "Grey: a factor L saved."
        return [
            Picture(
                "loss",
                f"Synthetic rows: rounds to a given loss. {linear} It pays in full until some "
                "hundreds of rounds are left.",
                _draw(synthetic, "loss", {}, measured.numbers["bytes_per_round"]),
            ),
            Picture(
                "angle",
                f"Synthetic rows: rounds to a given angle. {linear} Savings fade; dotted: rounds "
                "of exact local solves, where these reach the angle at all.",
                _draw(synthetic, "angle", solved, measured.numbers["bytes_per_round"]),
            ),
            Picture(
                "real",
                f"Real rows: rounds to a given angle. {linear}",
                _draw(real, "angle", {}, real["bytes per round"][0]),
            ),
        ]


TARGETS = (*(f"angle {a:g}°" for a in ANGLES), *(f"loss {v:g}" for v in LOSSES))
MARKERS = ("o", "s", "^")


def _steps(context: Context) -> list[int]:
    return [FACTOR**j for j in range(context.pick(7, 9))]


def _real_steps(context: Context) -> list[int]:
    return [FACTOR**j for j in range(context.pick(4, 6))]


def _law_error(found: Mapping[str, np.ndarray], best: Any) -> float:
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


def _rounds(caption: str, found: Mapping[str, np.ndarray], solved: Mapping[float, float]) -> Table:
    rows = [
        [f"{L:,}", *(_count(found[target][j]) for target in TARGETS)]
        for j, L in enumerate(found["local_steps"])
    ]
    if solved:
        solves = [_count(solved[angle]) for angle in ANGLES]
        rows.append(["exact local solves", *solves, *("–" for _ in LOSSES)])
    return Table(caption, ["L", *HEADINGS], rows)


def _bytes(caption: str, found: Mapping[str, np.ndarray]) -> Table:
    each = found["bytes per round"] / 1e6
    rows = [
        [f"{L:,}", *(f"{found[target][j] * each[j]:.3g}" for target in TARGETS)]
        for j, L in enumerate(found["local_steps"])
    ]
    return Table(caption, ["L", *HEADINGS], rows)


HEADINGS = ("20°", "10°", "5°", "loss 10^-2", "loss 10^-4", "loss 10^-6")


def _pays(problems: Mapping[str, Mapping[str, np.ndarray]]) -> Table:
    """The largest L to which every quadrupling saved half of the rounds or more."""
    rows = []
    for name, found in problems.items():
        cells = []
        for target in TARGETS:
            pays = np.logical_and.accumulate(found[target][:-1] / found[target][1:] >= 2)
            j = int(pays.sum())
            more = "≥ " if j == len(pays) else ""
            cells.append(f"{more}{found['local_steps'][j]:,}")
        rows.append([name, *cells])
    return Table(
        "Where it stops paying: the L up to which every step from L to 4L saved half of the rounds "
        "or more (≥: to the largest L tried)",
        ["rows", *HEADINGS],
        rows,
    )


def _draw(
    columns: Mapping[str, np.ndarray], kind: str, solved: Mapping[float, float], each: Any
) -> Any:
    ax = figures.panel(x="Local steps per round L", y="Communication rounds", height=2.9)
    L = columns["local_steps"]
    targets = [target for target in TARGETS if target.startswith(kind)]
    for target, colour, marker in zip(targets, figures.COLOURS, MARKERS, strict=False):
        k = columns[target]
        ax.plot(L, k[0] / L, color="#BBBBBB", linewidth=0.8)
        ax.plot(L, k, marker=marker, markersize=3, color=colour, label=_label(target))
        floor = solved.get(float(target.removeprefix("angle ").rstrip("°")) if solved else 0.0)
        if floor is not None and np.isfinite(floor):
            ax.axhline(floor, color=colour, linestyle=":", linewidth=1.0)
    ax.set_ylim(bottom=1)
    ax.set_xscale("log", base=2)
    ax.set_xticks(L[::2])
    right = ax.secondary_yaxis("right", functions=(lambda k: k * each, lambda b: b / each))
    right.set_ylabel("Bytes communicated", fontsize=8)
    right.tick_params(labelsize=7)
    right.tick_params(which="minor", right=False)
    ax.tick_params(which="minor", left=False)
    figures.legend(ax)
    return ax.figure


def _label(target: str) -> str:
    kind, value = target.split()
    return value if kind == "angle" else f"loss $10^{{{round(np.log10(float(value)))}}}$"


EXPERIMENT = Communication()
