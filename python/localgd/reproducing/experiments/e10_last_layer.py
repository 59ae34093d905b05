"""E10: the last layer on MNIST digits with more features than rows, softmax, skewed clients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, rows
from ..columns import Columns, columns, part, records
from ..context import Context, degrees
from ..experiment import Experiment
from ..intervals import over_draws
from ..measured import Measured, largest, smallest
from ..words import read

STEPS = (1, 10, 100, 1000)
ROUNDS = {1: 100, 10: 100, 100: 100, 1000: 10}
TOGETHER = 10  # rounds after which all L are compared
TOTALS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)  # total steps L k that are recorded
POOLED_GROWTH = 0.1  # the pooled step size is max(1, 0.1 j), which stays stable as the loss falls
SMALL = (100, 150)  # rows and features of the problem whose limit is computed
GROWTH = {1: 1.003, 10: 1.02, 100: 1.05, 1000: 1.05}  # of η from round to round
MIDDLE, FAR = 1e4, 1e12  # Σ η L

Made = tuple[lg.Problem, tuple[np.ndarray, np.ndarray], lg.Problem]


@dataclass(frozen=True)
class LastLayer(Experiment):
    """Local-GD and pooled GD on random features of digits, and the limit on a small problem.

    ``method`` makes the method of L local steps and a learning rate.
    """

    method: Callable[[int, Any], Any] = lg.LocalGD

    words = read(__file__, together=TOGETHER, few=SMALL[0], few_d=SMALL[1])

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """Sizes and rounds."""
        train, test, d = _sizes(context)
        rounds = ", ".join(f"{k} for L = {L}" for L, k in ROUNDS.items())
        seeds = rows.draws(_seeds(context))
        return {"train": train, "test": test, "d": d, "rounds": rounds, "draws": seeds}

    def measure(self, context: Context) -> Measured:
        """The limit on few rows, then the digits, draw by draw."""
        made = self.problems(context)
        each = [
            self._draw(context, *one, f"draw {draw}, ") for draw, one in enumerate(made.used, 1)
        ]
        draws = [_numbers(digits, limit) for digits, limit in each]
        digits, limit = each[0]
        last, together = _last(digits), part(digits, round=TOGETHER)
        return Measured(
            numbers=over_draws(draws),
            series={"digits": digits, "limit": limit, "draws": columns(draws)},
            tables=[
                self.table("ends", records(last)),
                self.table("together", records(together)),
                self.table("limit", _limit_records(limit)),
            ],
            **made.told,
        )

    def problems(self, context: Context) -> rows.Rows[list[Made]]:
        """For each draw the problem, held-out rows of features, and the small problem."""

        def made(X: np.ndarray, y: np.ndarray) -> list[Made]:
            return [_make(context, X, y, seed) for seed in _seeds(context)]

        def own(problem: lg.Problem) -> list[Made]:
            longest = np.linalg.norm(problem.X, axis=1).max()
            found = made(problem.X / longest, problem.y)
            for _, _, small in found:
                lg.reference.max_margin(small)  # refuses rows that it cannot solve
            return found

        return self.own_or(
            context, own, lambda: made(*lg.datasets.load_mnist(classes=None)), "MNIST"
        )

    def _draw(
        self, context: Context, problem: lg.Problem, test: Any, small: lg.Problem, name: str
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Every L beside pooled GD, and the limit on few rows."""
        limit = self._limit(context, small, name)
        context.status(f"{name}pooled GD")
        pooled = _pooled(context, problem)
        return self._digits(context, problem, test, pooled, name), limit

    def _limit(
        self, context: Context, problem: lg.Problem, name: str = ""
    ) -> dict[str, np.ndarray]:
        """Angles to the max-margin direction, far out by growing steps."""
        best = lg.reference.max_margin(problem)
        totals = 10.0 ** np.arange(1, 12.1, 0.5)
        found = []
        for L in context.each(f"{name}limit, L = ", GROWTH):
            growth = GROWTH[L]
            wanted = totals[totals >= L]
            # Σ_{i<k} L g^i = L (g^k - 1)/(g - 1)
            k = np.log1p(wanted * (growth - 1) / L) / math.log(growth)
            record = np.unique(np.ceil(k - 1e-9).astype(int))
            run = context.run(
                problem,
                self.method(L, lambda k, growth=growth: growth**k),
                rounds=int(record[-1]),
                record=record,
                reference=best,
            )
            angles = dict(zip(run.history["round"], degrees(run), strict=True))
            found += [
                {
                    "local_steps": L,
                    "round": k,
                    "eta_times_steps": L * np.expm1(k * math.log(growth)) / (growth - 1),
                    "angle_deg": angles.get(k, math.nan),  # of a run that diverged
                }
                for k in record
            ]
        return columns(found)

    def _digits(
        self,
        context: Context,
        problem: lg.Problem,
        test: Any,
        pooled: Mapping[int, np.ndarray],
        name: str,
    ) -> dict[str, np.ndarray]:
        """Every L beside the pooled model of as many steps: a row for each record."""
        X, y = test
        predicted = {total: np.argmax(X @ W, axis=1) for total, W in pooled.items()}
        found = []
        for L in context.each(f"{name}digits, L = ", ROUNDS):
            rounds = ROUNDS[L]
            record = [total // L for total in TOTALS if L <= total <= L * rounds]
            run = context.run(
                problem,
                self.method(L, 1.0),
                rounds=rounds,
                record=record,
                keep_weights=True,
                dtype="float32",
            )
            for k, W, loss in zip(
                run.history["round"], _recorded(run), run.history["loss"], strict=True
            ):
                if k == 0:
                    continue
                total = int(L * k)
                says = np.argmax(X @ W, axis=1)
                found.append(
                    {
                        "local_steps": L,
                        "round": int(k),
                        "total_steps": total,
                        "loss": float(loss),
                        "train_accuracy_percent": _accuracy(
                            np.argmax(problem.X @ W, axis=1), problem.y
                        ),
                        "test_accuracy_percent": _accuracy(says, y),
                        "pooled_test_accuracy_percent": _accuracy(predicted[total], y),
                        "agreement_percent": _accuracy(says, predicted[total]),
                        "angle_deg": math.degrees(lg.angle(W.ravel(), pooled[total].ravel())),
                    }
                )
        return columns(found)

    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """Accuracy, agreement and angle on the digits; the limit on few of them."""
        digits, limit = measured.series["digits"], measured.series["limit"]
        rounds, total = figures.ROUNDS, "Local steps in total, Lk"
        angle = _draw(digits, "total_steps", "angle_deg", total, "Angle to pooled GD (°)", first=1)
        angle.set_ylim(bottom=0)
        far = _draw(
            limit,
            "eta_times_steps",
            "angle_deg",
            "Step sizes in total, Σ ηL",
            "Angle to max-margin (°)",
        )
        far.set_yscale("log")
        far.set_yticks([5, 10, 20, 50], ["5", "10", "20", "50"])
        far.tick_params(axis="y", which="minor", labelleft=False)
        return {
            "accuracy": _draw(
                digits, "round", "test_accuracy_percent", rounds, "Test accuracy (%)"
            ),
            "agreement": _draw(
                digits, "round", "agreement_percent", rounds, "Same predictions (%)"
            ),
            "angle": angle,
            "limit": far,
        }


STYLES = figures.styles(linestyle=("-", "--", "-.", ":"), marker="osD^", markersize=4 * (3.5,))


def _seeds(context: Context) -> range:
    return context.seeds(quick=1)


def _sizes(context: Context) -> tuple[int, int, int]:
    """Rows to train on and to test, and features."""
    return context.pick((800, 1000, 1200), (4000, 1000, 5000))


def _last(digits: Columns) -> dict[str, np.ndarray]:
    """The last record of each L."""
    return columns([list(records(part(digits, local_steps=L)))[-1] for L in STEPS])


def _numbers(digits: Columns, limit: Columns) -> dict[str, float]:
    """The worst of all L."""
    last = _last(digits)
    accuracy = part(digits, round=TOGETHER)["test_accuracy_percent"]
    gaps = last["pooled_test_accuracy_percent"] - last["test_accuracy_percent"]
    far, middle = ([_limit_at(limit, L, total) for L in STEPS] for total in (FAR, MIDDLE))
    return {
        "limit_worst_ratio": largest(a / b for a, b in zip(far, middle, strict=True)),
        "limit_middle_angle_deg": largest(middle),
        "limit_worst_angle_deg": largest(far),
        "same_rounds_worst_gain_points": smallest(accuracy[1:] - accuracy[0]),
        "worst_accuracy_gap_points": largest(gaps),
        "worst_agreement_percent": smallest(last["agreement_percent"]),
        "worst_angle_deg": largest(last["angle_deg"]),
    }


def _make(context: Context, X: np.ndarray, y: np.ndarray, seed: int) -> Made:
    """The problem, held-out rows of features, and the small problem."""
    train, test, d = _sizes(context)
    rows = np.random.default_rng(seed).permutation(len(y))[: train + test]
    train = min(train, int(0.8 * len(rows)))
    few, wide = SMALL
    if train < few:
        raise ValueError(f"of {len(rows)} rows {train} are to train on; want {few} or more")
    gaussian = np.random.default_rng(seed + 1).standard_normal((X.shape[1], d))
    features = np.maximum(X[rows] @ gaussian, 0)
    labels = y[rows]
    problem, unit = _dealt(features[:train], labels[:train], seed)
    small, _ = _dealt(features[:few, :wide], labels[:few], seed)
    if y.max() >= small.n_classes:
        raise ValueError(f"some class has no row among {few} drawn at random")
    return problem, (features[train:] / unit, labels[train:]), small


def _dealt(features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[lg.Problem, float]:
    """Rows scaled so that H = 1 on ten clients, and the number that they were divided by."""
    options: dict[str, Any] = {"n_clients": 10, "scheme": lg.Dirichlet(0.3), "seed": seed}
    options |= {"weights": "samples", "task": "multiclass"}
    plain = lg.partition(features, labels, **options)
    unit = math.sqrt(lg.analysis.smoothness(plain, "softmax"))
    return lg.partition(features / unit, labels, **options), unit


def _pooled(context: Context, problem: lg.Problem) -> dict[int, np.ndarray]:
    """Pooled GD at each of the total steps, by steps that grow and land on each total."""
    steps: list[float] = []
    record = []
    total = 0.0
    for wanted in TOTALS:
        while total < wanted:
            steps.append(min(max(1.0, POOLED_GROWTH * len(steps)), wanted - total))
            total += steps[-1]
        total = float(wanted)
        record.append(len(steps))
    run = context.run(
        problem,
        lg.GD(lambda j: steps[j]),
        rounds=len(steps),
        record=record,
        keep_weights=True,
        dtype="float32",
    )
    kept = dict(zip(run.history["round"].tolist(), _recorded(run), strict=True))
    return {wanted: kept[j] for wanted, j in zip(TOTALS, record, strict=True)}


def _recorded(run: lg.Run) -> np.ndarray:
    """The weights of all records, (records, d, C)."""
    kept = run.recorded_weights
    if kept is None:
        raise ValueError("run: keeps no weights; want keep_weights=True")
    return kept


def _accuracy(says: np.ndarray, y: np.ndarray) -> float:
    return 100 * float(np.mean(says == y))


def _limit_at(limit: Columns, L: int, total: float) -> float:
    """The angle at the first record with Σ ηL as large."""
    mine = part(limit, local_steps=L)
    return float(mine["angle_deg"][mine["eta_times_steps"] >= total * (1 - 1e-9)][0])


def _limit_records(limit: Columns) -> list[dict[str, Any]]:
    return [
        {"L": L} | {f"at_{n}": _limit_at(limit, L, 10.0**n) for n in (3, 4, 8, 12)} for L in STEPS
    ]


def _draw(table: Columns, x: str, y: str, x_label: str, y_label: str, *, first: int = 0) -> Any:
    """Curves of every L, from the one at this place on."""
    ax = figures.panel(x=x_label, y=y_label, yscale="linear")
    for L, style in list(zip(STEPS, STYLES, strict=True))[first:]:
        mine = part(table, local_steps=L)
        figures.lines(ax, mine[x], {f"L = {L}": mine[y]}, [style])
    return ax


EXPERIMENT = LastLayer()
