"""E10: the last layer on MNIST digits with more features than rows, softmax, skewed clients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import localgd as lg

from .. import figures, sources
from ..context import Context
from ..experiment import Condition, Experiment, Measured, Numbers, Picture, Table

STEPS = (1, 10, 100, 1000)
ROUNDS = {1: 100, 10: 100, 100: 100, 1000: 10}
TOGETHER = 10  # rounds after which all L are compared
TOTALS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)  # total steps L k that are recorded
POOLED_GROWTH = 0.1  # the pooled step size is max(1, 0.1 j), which stays stable as the loss falls
SMALL = (100, 150)  # rows and features of the problem whose limit is computed
GROWTH = {1: 1.003, 10: 1.02, 100: 1.05, 1000: 1.05}  # of η from round to round
MIDDLE, FAR = 1e4, 1e12  # Σ η L


@dataclass(frozen=True)
class LastLayer(Experiment):
    """Local-GD and pooled GD on random features of digits, and the limit on a small problem.

    ``method`` makes the method of L local steps and a learning rate.
    """

    method: Callable[[int, Any], Any] = lg.LocalGD

    id = "E10"
    title = "Training the last layer on MNIST digits"
    question = (
        "Does Local-GD on the last layer of a wide network, with skewed clients, end at the model "
        "of the pooled rows for any L, and how near is it after the rounds that one can afford?"
    )
    claim = (
        "With more features than rows every labelling is separable, and in the limit the direction "
        "of Local-GD is that of GD on the pooled rows, their max-margin direction, for any L. The "
        "proof is for two classes; here it is tried with ten. Finite rounds: accuracy and "
        "predictions close to those of the pooled model after as many steps in total."
    )
    sources = (sources.LOCAL_GD, sources.IMPLICIT_BIAS)
    criterion = (
        Condition(
            "small problem: from Σ ηL = 10^4 to 10^12 the angle to the max-margin direction of the "
            "pooled rows falls to half or less for every L, where 1/log asks for a third",
            "limit_worst_ratio",
            "<=",
            0.5,
        ),
        Condition(
            f"digits: after {TOGETHER} rounds every L > 1 is more accurate on held-out rows than "
            "pooled GD after as many rounds",
            "same_rounds_worst_gain_points",
            ">",
            0.0,
            unit="points",
        ),
        Condition(
            "digits: at the last round no L is more than 1 point less accurate on held-out rows "
            "than pooled GD after as many steps in total",
            "worst_accuracy_gap_points",
            "<=",
            1.0,
            unit="points",
            otherwise="After the rounds taken here some L is still less accurate than pooled GD "
            "with as many steps in total.",
        ),
        Condition(
            "digits: both models predict the same for 95 % of the held-out rows or more",
            "worst_agreement_percent",
            ">=",
            95.0,
            unit="%",
            otherwise="Predictions do not agree on 95 % of the held-out rows yet.",
        ),
        Condition(
            "digits: the angle between the two models is below 5° for every L",
            "worst_angle_deg",
            "<",
            5.0,
            unit="°",
            otherwise="The directions are not near yet: their angle closes like 1/log in the end, "
            "but not yet over the rounds taken here.",
        ),
    )
    limits = (
        "Random features instead of a trained network: one layer of Gaussian weights and ReLU.",
        "The limit is computed on 100 digits, where the max-margin problem of ten classes is "
        "solved to rounding; its far models come from step sizes that grow by a constant factor "
        "per round. That keeps the limit as long as the steps stay stable, and shows where it "
        "lies, not how many rounds a constant step would need: about Σ ηL / L of them.",
        "The pooled model takes growing steps too, up to the same Σ η; the row of L = 1, which is "
        "pooled GD with a constant step, shows how far that changes it.",
        "One dealing of the rows; single precision for the local steps on the digits.",
    )
    tasks = ("multiclass",)
    code = """\
import numpy as np
import localgd as lg

X, y = lg.datasets.load_mnist(classes=None)
rows = np.random.default_rng(1).permutation(len(y))[:1000]
features = np.maximum(X[rows] @ np.random.default_rng(2).standard_normal((784, 1200)), 0)
options = dict(n_clients=10, scheme=lg.Dirichlet(0.3), seed=1, weights="samples")
H = lg.analysis.smoothness(lg.partition(features[:800], y[rows[:800]], **options), "softmax")
features /= np.sqrt(H)  # now a step of 1 is stable on every client
problem = lg.partition(features[:800], y[rows[:800]], **options)
for L in (1, 10, 100):
    run = lg.run(problem, lg.LocalGD(L, 1.0), rounds=30, test=(features[800:], y[rows[800:]]))
    print(f"L = {L}: test accuracy {run.history['test_accuracy'][-1]:.3f} after 30 rounds")
"""

    def setting(self, context: Context) -> Mapping[str, str]:
        """Data, M, n, d, methods, rounds, seeds."""
        train, test, d = _sizes(context)
        seed = 1 + context.seed
        rounds = ", ".join(f"{k} for L = {L}" for L, k in ROUNDS.items())
        return {
            "digits": f"MNIST, ten classes: {train:,} rows to train on, {test:,} held out; d = "
            f"{d:,} features max(0, G x) with Gaussian G, scaled so that 1 is 1/H, H the largest "
            "curvature bound of a client; your own rows of several classes in their place with "
            "--data",
            "clients": "M = 10 by Dirichlet(0.3), weighted by their rows, so that L = 1 is GD on "
            "the pooled rows",
            "method": f"Local-GD, softmax, w_0 = 0, η = 1; rounds: {rounds}",
            "pooled model": "GD on the pooled rows until its Σ η is Lk, step sizes max(1, j/10)",
            "limit": f"{SMALL[0]} of the rows, d = {SMALL[1]}, the same clients' scheme; "
            "lg.reference.max_margin; η grows per round by 0.3 %, 2 %, 5 %, 5 % for L = 1, 10, "
            "100, 1000",
            "seeds": f"{seed} for the choice and the dealing of rows, {seed + 1} for G",
        }

    def measure(self, context: Context) -> Measured:
        """The limit on few rows, then the digits."""
        problem, test, small, notes = _problems(context)
        limit = self._limit(context, small)
        context.status("pooled GD")
        pooled = _pooled(context, problem)
        columns = self._digits(context, problem, test, pooled)
        last = {L: _rows(columns, L)[-1] for L in STEPS}
        ends = {name: np.array([columns[name][row] for row in last.values()]) for name in columns}
        together = {L: _at(columns, L, TOGETHER) for L in STEPS}
        accuracy = columns["test_accuracy_percent"]
        gains = [accuracy[together[L]] - accuracy[together[1]] for L in STEPS[1:]]
        gaps = ends["pooled_test_accuracy_percent"] - ends["test_accuracy_percent"]
        ratios = [_limit_at(limit, L, FAR) / _limit_at(limit, L, MIDDLE) for L in STEPS]
        return Measured(
            numbers={
                "limit_worst_ratio": float(np.max(ratios)),
                "limit_worst_angle_deg": float(np.max([_limit_at(limit, L, FAR) for L in STEPS])),
                "same_rounds_worst_gain_points": float(np.min(gains)),
                "worst_accuracy_gap_points": float(np.max(gaps)),
                "worst_agreement_percent": float(np.min(ends["agreement_percent"])),
                "worst_angle_deg": float(np.max(ends["angle_deg"])),
            },
            series={"digits": columns, "limit": limit},
            tables=[
                _ends_table(columns, last),
                _together_table(columns, together),
                _limit_table(limit),
            ],
            notes=notes,
        )

    def _limit(self, context: Context, problem: lg.Problem) -> dict[str, np.ndarray]:
        """Angles to the max-margin direction, far out by growing steps."""
        best = lg.reference.max_margin(problem)
        totals = 10.0 ** np.arange(1, 12.1, 0.5)
        parts = []
        for L, growth in GROWTH.items():
            context.status(f"limit, L = {L}")
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
            done = np.isin(run.history["round"], record)
            reached = L * np.expm1(record * math.log(growth)) / (growth - 1)
            angles = np.full(len(record), np.nan)
            angles[: done.sum()] = np.degrees(run.history["angle"][done])
            parts.append((np.full(len(record), L), record, reached, angles))
        names = ("local_steps", "round", "eta_times_steps", "angle_deg")
        return {
            name: np.concatenate(columns)
            for name, columns in zip(names, zip(*parts, strict=True), strict=True)
        }

    def _digits(
        self, context: Context, problem: lg.Problem, test: Any, pooled: Mapping[int, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Every L beside the pooled model of as many steps: a row for each record."""
        X, y = test
        predicted = {total: np.argmax(X @ W, axis=1) for total, W in pooled.items()}
        rows = []
        for L, rounds in ROUNDS.items():
            context.status(f"L = {L}, {rounds} rounds")
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
                rows.append(
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
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def finding(self, numbers: Numbers) -> str:
        """The summary's sentence."""
        return (
            f"Against pooled GD with as many steps: accuracy lower by at most "
            f"{numbers['worst_accuracy_gap_points']:.1f} points, predictions the same on "
            f"{numbers['worst_agreement_percent']:.0f} % or more, angle up to "
            f"{numbers['worst_angle_deg']:.0f}°; on 100 digits the angle to the limit falls to "
            f"{numbers['limit_worst_angle_deg']:.1f}° or less."
        )

    def pictures(self, measured: Measured) -> Sequence[Picture]:
        """Accuracy, agreement and angle on the digits; the limit on few of them."""
        digits, limit = measured.series["digits"], measured.series["limit"]
        accuracy = _draw(digits, "test_accuracy_percent", "Test accuracy (%)", "round")
        accuracy.set_xlabel("Communication rounds k")
        agreement = _draw(digits, "agreement_percent", "Same predictions (%)", "round")
        agreement.set_xlabel("Communication rounds k")
        angle = _draw(digits, "angle_deg", "Angle to pooled GD (°)", "total_steps", first=1)
        angle.set_xlabel("Local steps in total, Lk")
        angle.set_ylim(bottom=0)
        far = _draw(limit, "angle_deg", "Angle to max-margin (°)", "eta_times_steps")
        far.set(xlabel="Step sizes in total, Σ ηL", yscale="log")
        far.set_yticks([5, 10, 20, 50], ["5", "10", "20", "50"])
        far.tick_params(axis="y", which="minor", labelleft=False)
        return [
            Picture(
                "accuracy",
                "Digits: accuracy on held-out rows. L = 1 is pooled GD.",
                accuracy.figure,
            ),
            Picture(
                "agreement",
                "Digits: held-out rows for which Local-GD and pooled GD after as many steps in "
                "total predict the same.",
                agreement.figure,
            ),
            Picture(
                "angle",
                "Digits: angle between Local-GD and pooled GD after as many steps in total.",
                angle.figure,
            ),
            Picture(
                "limit",
                "100 digits: angle to the max-margin direction of the pooled rows, by growing "
                "steps.",
                far.figure,
            ),
        ]


STYLES: Sequence[Mapping[str, Any]] = tuple(
    {"color": colour, "linestyle": line, "marker": marker, "markersize": 3.5}
    for colour, line, marker in zip(figures.COLOURS, ("-", "--", "-.", ":"), "osD^", strict=False)
)


def _sizes(context: Context) -> tuple[int, int, int]:
    """Rows to train on and to test, and features."""
    return context.pick((800, 1000, 1200), (4000, 1000, 5000))


def _problems(context: Context) -> tuple[lg.Problem, Any, lg.Problem, list[str]]:
    own = context.own_problem("multiclass")
    notes = []
    if own is not None:
        try:
            longest = np.linalg.norm(own.X, axis=1).max()
            made = _make(context, own.X / longest, own.y)
            lg.reference.max_margin(made[2])
        except ValueError as error:
            notes.append(f"Your own rows are not used: {error}.")
        else:
            return *made, ["Your own rows, dealt again, are used in place of the digits."]
    return *_make(context, *lg.datasets.load_mnist(classes=None)), notes


def _make(context: Context, X: np.ndarray, y: np.ndarray) -> tuple[lg.Problem, Any, lg.Problem]:
    """The problem, held-out rows of features, and the small problem."""
    train, test, d = _sizes(context)
    seed = 1 + context.seed
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


def _rows(columns: Mapping[str, np.ndarray], L: int) -> np.ndarray:
    return np.flatnonzero(columns["local_steps"] == L)


def _at(columns: Mapping[str, np.ndarray], L: int, round: int) -> int:
    rows = _rows(columns, L)
    return int(rows[columns["round"][rows] == round][0])


def _limit_at(limit: Mapping[str, np.ndarray], L: int, total: float) -> float:
    """The angle at the first record with Σ ηL as large."""
    rows = _rows(limit, L)
    found = rows[limit["eta_times_steps"][rows] >= total * (1 - 1e-9)]
    return float(limit["angle_deg"][found[0]])


def _ends_table(columns: Mapping[str, np.ndarray], last: Mapping[int, int]) -> Table:
    rows = []
    for L, row in last.items():
        value = {name: column[row] for name, column in columns.items()}
        rows.append([f"{L:,}", f"{value['round']:,}", f"{value['train_accuracy_percent']:.1f} %"])
        rows[-1] += [
            f"{value['test_accuracy_percent']:.1f} %",
            f"{value['pooled_test_accuracy_percent']:.1f} %",
            f"{value['agreement_percent']:.1f} %",
            f"{value['angle_deg']:.2f}°",
        ]
    return Table(
        "Digits at the last round, beside pooled GD with as many steps in total (Σ η = Lk)",
        ["L", "k", "training", "test", "test, pooled", "same predictions", "angle to pooled"],
        rows,
    )


def _together_table(columns: Mapping[str, np.ndarray], rows: Mapping[int, int]) -> Table:
    names = ("train_accuracy_percent", "test_accuracy_percent", "agreement_percent")
    return Table(
        f"Digits after {TOGETHER} rounds: the same communication for every L",
        ["L", "training", "test", "same predictions as pooled after 10 L steps", "angle to it"],
        [
            [
                f"{L:,}",
                *(f"{columns[name][row]:.1f} %" for name in names),
                f"{columns['angle_deg'][row]:.2f}°",
            ]
            for L, row in rows.items()
        ],
    )


def _limit_table(limit: Mapping[str, np.ndarray]) -> Table:
    totals = (1e3, 1e4, 1e8, 1e12)
    return Table(
        f"{SMALL[0]} digits: angle to the max-margin direction of the pooled rows at Σ ηL",
        ["L", "10^3", "10^4", "10^8", "10^12"],
        [[f"{L:,}", *(f"{_limit_at(limit, L, t):.2f}°" for t in totals)] for L in STEPS],
    )


def _draw(
    columns: Mapping[str, np.ndarray], name: str, label: str, x: str, *, first: int = 0
) -> Any:
    ax = figures.panel(x="", y=label, yscale="linear")
    for L, style in list(zip(STEPS, STYLES, strict=True))[first:]:
        rows = _rows(columns, L)
        ax.plot(columns[x][rows], columns[name][rows], label=f"L = {L}", **style)
    figures.legend(ax)
    return ax


EXPERIMENT = LastLayer()
