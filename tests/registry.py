"""The one list of engines, losses, methods, dtypes and schemes that drives the tests.

An engine, loss, method, server or scheme is tested everywhere once it stands here; test_registry.py
fails while one that the package has does not.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import oracle

import localgd as lg
from localgd.participation import Participation

ENGINES = ("gram", "hybrid", "primal")
LOSSES = ("exponential", "logistic", "squared_hinge", "squared", "huber", "poisson", "softmax")
REGRESSION = ("squared", "huber", "poisson")
UNSOLVED = ("huber", "poisson", "softmax")  # without an exact local solve
DTYPES = ("float64", "float32")

# Largest relative difference from the oracle after ROUNDS.
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
ROUNDS = 400
FEWER_ROUNDS = 200

SEED = 11
SIZES = (1, 6, 3)
N_FEATURES = 5
N_CLASSES = 3
WEIGHTS = {"equal": "equal", "samples": "samples", "given": (0.5, 2.0, 0.25), "zero": (1, 0, 3)}


# -- Methods ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MethodCase:
    """A method by its class's name, in the package and in the oracle, with the same numbers.

    The name says it all: the class, and after a colon the VARIATIONS of its usual NUMBERS.
    """

    name: str

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]

    @cached_property
    def options(self) -> dict[str, Any]:
        """All but the learning rate, with (name, numbers) for the server."""
        options = dict(NUMBERS[self.kind])
        for variation in filter(None, self.name.partition(": ")[2].split(", ")):
            options |= VARIATIONS[variation]
        return options

    @property
    def type(self) -> type:
        return getattr(lg, self.kind)

    @property
    def solve(self) -> bool:
        """Whether it is the exact local solve, which has no learning rate."""
        return self.kind == "LocalSolve" or self.options.get("local_steps", 1) is None

    @property
    def batches(self) -> bool:
        return self.options.get("batch_size") is not None

    @property
    def coordinate_wise(self) -> bool:
        return self.options.get("server") in (ADAM, YOGI, ADAGRAD)

    @property
    def engines(self) -> tuple[str, ...]:
        if self.coordinate_wise:
            return ("primal",)
        return ("gram", "hybrid") if self.solve else ENGINES

    @property
    def losses(self) -> tuple[str, ...]:
        return tuple(loss for loss in LOSSES if not (self.solve and loss in UNSOLVED))

    def tolerance(self, loss: str, dtype: str) -> float:
        """TOLERANCE; less for solves, which divide by small eigenvalues of the Gram blocks."""
        ill_conditioned = self.solve and (loss == "squared" or dtype == "float32")
        return TOLERANCE[dtype] * (30 if ill_conditioned else 1)

    def fits(self, n_clients: int) -> bool:
        """Whether it can be run on so many clients."""
        steps = self.options.get("local_steps")
        if isinstance(steps, tuple) and len(steps) != n_clients:
            return False
        try:
            drawn = Participation(lg.Problem([([[1.0]], [1.0])] * n_clients), self.make(0.1), 0)
            drawn.of(0, 6)  # a function names clients that there may not be
        except ValueError:  # more clients a round than there are, or others
            return False
        return True

    @property
    def rounds(self) -> int:
        """Fewer where the oracle is slow: it draws batches number by number."""
        return FEWER_ROUNDS if self.batches or self.solve else ROUNDS

    def make(self, lr: Any) -> lg.methods.Method:
        """The package's method, with a learning rate if it takes one."""
        options = dict(self.options if self.solve else {**self.options, "lr": lr})
        if "server" in options:
            name, numbers = options["server"]
            options["server"] = getattr(lg, name)(**numbers)
        return self.type(**options)

    def step(self, rate: Any, p: np.ndarray, *, seed: int = SEED) -> oracle.Rounds:
        """The oracle's rounds, for a rate as a function of the round."""
        options = dict(self.options)
        for name in ("participation", "sampling", "shares"):  # the oracle is given them
            options.pop(name, None)
        server, numbers = options.pop("server", ("Average", {}))
        method = oracle.Method(self.kind, lr=rate, server=server, server_numbers=numbers, **options)
        return oracle.Rounds(method, p, seed=seed)


NUMBERS: dict[str, dict[str, Any]] = {
    "GD": {},
    "LocalGD": {"local_steps": 3},
    "LocalSGD": {"local_steps": 3, "batch_size": 2},
    "MinibatchSGD": {"local_steps": 3, "batch_size": 2},
    "ModifiedLocalGD": {"local_steps": 3},
    "LocalSolve": {},
    "FedProx": {"local_steps": 3, "mu": 0.4},
    "Scaffold": {"local_steps": 3},
    "GradAlign": {"beta": 0.3},
    "FedGA": {"local_steps": 3, "beta": 0.3},
}
ADAM = ("ServerAdam", {"lr": 0.03, "beta1": 0.8, "beta2": 0.95, "tau": 0.1})
YOGI = ("ServerYogi", {"lr": 0.03, "beta1": 0.8, "beta2": 0.95, "tau": 0.1})
ADAGRAD = ("ServerAdagrad", {"lr": 0.1, "beta1": 0.3, "tau": 0.1})
VARIATIONS: dict[str, dict[str, Any]] = {
    "average": {"server": ("Average", {})},
    "anchored": {"server": ("Anchored", {})},
    "rate": {"server": ("ServerSGD", {"lr": 0.7})},
    "momentum": {"server": ("ServerSGD", {"lr": 0.6, "momentum": 0.5})},
    "nesterov": {"server": ("ServerSGD", {"lr": 0.6, "momentum": 0.5, "nesterov": True})},
    "adam": {"server": ADAM},
    "yogi": {"server": YOGI},
    "adagrad": {"server": ADAGRAD},
    "one client": {"participation": 1},
    "two clients": {"participation": 2},
    "half": {"participation": 0.5},
    "by weight": {"participation": 2, "sampling": "weight"},
    "unbiased": {"shares": "unbiased"},
    "cyclic": {"participation": lg.Cyclic()},
    "pairs in turn": {"participation": lg.Cyclic([2, 0, 1], count=2)},
    "groups": {"participation": lg.Periodic([[0, 2], [1], []], period=2)},
    "two groups": {"participation": lg.Periodic(2)},
    "markov": {"participation": lg.Markov(0.3, 0.4)},
    "function": {"participation": lambda k: [1] if k % 3 == 0 else [0, 2] if k % 3 == 1 else []},
    "all by weight": {"sampling": "weight"},
    "unequal": {"local_steps": (2, 1, 4)},
    "plain": {"fednova": False},
    "solve": {"local_steps": None},
    "seven steps": {"local_steps": 7},
    "batch 1": {"batch_size": 1},
    "batch 2": {"batch_size": 2},
    "batch 5": {"batch_size": 5},  # more than some clients have
    "all rows": {"batch_size": None},
    "replacement": {"replacement": True},
}
METHODS = tuple(
    MethodCase(name)
    for name in (
        "GD",
        "GD: one client",
        "LocalGD",
        "LocalGD: average",
        "LocalGD: anchored",
        "LocalGD: rate",
        "LocalGD: momentum",
        "LocalGD: nesterov",
        "LocalGD: adam",
        "LocalGD: yogi",
        "LocalGD: adagrad",
        "LocalGD: two clients",
        "LocalGD: half",
        "LocalGD: by weight",
        "LocalGD: all by weight",
        "LocalGD: two clients, unbiased",
        "LocalGD: cyclic",
        "LocalGD: pairs in turn, unbiased",
        "LocalGD: groups, momentum",
        "LocalGD: groups, unbiased, anchored",
        "LocalGD: two groups, unequal",
        "LocalGD: markov, adam",
        "LocalGD: markov, unequal, plain, unbiased",
        "LocalGD: function, nesterov",
        "LocalGD: unequal",
        "LocalGD: unequal, plain",
        "LocalGD: unequal, momentum, two clients",
        "LocalSGD",
        "LocalSGD: batch 1",
        "LocalSGD: batch 5",
        "LocalSGD: batch 5, seven steps",
        "LocalSGD: all rows",
        "LocalSGD: replacement",
        "LocalSGD: replacement, batch 5",
        "LocalSGD: unequal",
        "LocalSGD: adam",
        "LocalSGD: nesterov, by weight",
        "MinibatchSGD",
        "MinibatchSGD: all rows",
        "MinibatchSGD: unequal",
        "LocalSGD: markov, unbiased, momentum",
        "MinibatchSGD: replacement, two clients",
        "MinibatchSGD: unequal, two clients, unbiased",
        "ModifiedLocalGD",
        "ModifiedLocalGD: unequal",
        "ModifiedLocalGD: two clients",
        "ModifiedLocalGD: solve",
        "LocalSolve",
        "LocalSolve: momentum",
        "LocalSolve: two clients",
        "LocalSolve: cyclic",
        "FedProx",
        "FedProx: anchored",
        "FedProx: yogi",
        "FedProx: batch 2",
        "FedProx: unequal",
        "FedProx: unequal, plain",
        "FedProx: momentum, two clients",
        "Scaffold",
        "Scaffold: anchored",
        "Scaffold: adagrad",
        "Scaffold: two clients",
        "Scaffold: by weight",
        "Scaffold: markov",
        "Scaffold: two clients, unbiased",
        "Scaffold: unequal",
        "Scaffold: batch 2",
        "Scaffold: batch 2, replacement, momentum, two clients",
        "GradAlign",
        "GradAlign: momentum",
        "GradAlign: two clients",
        "GradAlign: two clients, unbiased",
        "GradAlign: groups",
        "FedGA",
        "FedGA: adam",
        "FedGA: unequal",
        "FedGA: batch 2",
        "FedGA: batch 2, replacement, anchored, by weight",
        "FedGA: markov, unbiased",
    )
)


# -- Learning rates and starts ---------------------------------------------------------------------

# name -> (for the package, the same as a function of the round). Large enough to get somewhere
# in 1,000 rounds, small enough to be stable for every loss.
SCHEDULES: dict[str, tuple] = {
    "constant": (0.2, lambda k: 0.2),
    "two-stage": (lg.TwoStage(0.02, 0.25, 300), lambda k: 0.02 if k < 300 else 0.25),
    "polynomial": (lg.Polynomial(0.5, 0.3), lambda k: 0.5 / (k + 1) ** 0.3),
}

# (schedule, w_0) pairs: every schedule, and each kind of start with a constant rate.
STARTS = (
    ("constant", None),
    ("constant", (0.6, -0.8, 0.3, 0.0, 0.7)),
    ("two-stage", (0.6, -0.8, 0.3, 0.0, 0.7)),
    ("polynomial", None),
)


def model(loss: str, column: Any, several: bool = False) -> np.ndarray | None:
    """A start or direction for a loss: the column itself, or C different ones made of it."""
    if column is None:
        return None
    column = np.array(column, dtype=np.float64)
    return np.outer(column, [1.0, -0.5, 0.2]) if loss == "softmax" or several else column


def reference(loss: str, problem: lg.Problem) -> np.ndarray:
    """A direction to measure angles to."""
    d = problem.n_features
    return model(loss, np.arange(1.0, d + 1) * (-1.0) ** np.arange(d), problem.y.ndim > 1)


# -- Schemes ---------------------------------------------------------------------------------------

# With options at which they accept any rows of a binary task, N >= M.
SCHEMES = (
    lg.Iid(),
    lg.Dirichlet(1e-6),
    lg.Dirichlet(0.3),
    lg.Dirichlet(1e6),
    lg.Quantity(1e-6),
    lg.Quantity(0.5),
    lg.Quantity(1e6),
    lg.Quantity(law="linear"),
    lg.Quantity(law="square"),
    lg.Quantity(law="exponential"),
    lg.FeatureShift(0.0),
    lg.FeatureShift(2.0),
    lg.Contiguous(equal=False),
    lg.Contiguous(sort="label", equal=False),
    lg.Shards(1),
    lg.ByTarget(1e-6),
    lg.ByTarget(0.3, bins=3),
)
DROPPING_SCHEMES = (lg.Contiguous(), lg.Contiguous(sort="label"))  # what equal sizes leave over
# That want something of the rows; made for y and M.
PARTICULAR_SCHEMES = {
    "ByClass": lambda y, n_clients: lg.ByClass(1),
    "Shards": lambda y, n_clients: lg.Shards(2),
    "Natural": lambda y, n_clients: lg.Natural(np.arange(len(y)) % n_clients),
    "Function": lambda y, n_clients: deal_in_turn,
}


def deal_in_turn(y, n_clients, rng):
    """A scheme of the user's own."""
    return np.arange(len(y)) % n_clients


# -- Problems --------------------------------------------------------------------------------------


def fitting_labels(
    loss: str, X: np.ndarray, rng: np.random.Generator, targets: int | None = None
) -> np.ndarray:
    """Labels for a loss: those of a teacher, or numbers that no model fits exactly.

    ``targets``: of each row in regression, (N, targets).
    """
    if targets is not None:
        return np.stack([fitting_labels(loss, X, rng) for _ in range(targets)], axis=1)
    if loss == "softmax":
        labels = (X @ rng.standard_normal((X.shape[1], N_CLASSES))).argmax(axis=1).astype(float)
        labels[0] = N_CLASSES - 1  # so that there are as many classes in however few rows
        return labels
    scores = X @ rng.standard_normal(X.shape[1])
    if loss == "poisson":
        return rng.poisson(np.exp(scores / 2)).astype(float)
    if loss in REGRESSION:
        return scores + 0.5 * rng.standard_normal(len(X))
    return np.where(scores < 0, -1.0, 1.0)


@cache
def clients(
    loss: str,
    sizes: tuple[int, ...] = SIZES,
    d: int = N_FEATURES,
    seed: int = 3,
    intercept: str | None = None,
    targets: int | None = None,
):
    """Rows of length about 1 dealt to clients of these sizes; 1 is their last number with one."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((sum(sizes), d)) / np.sqrt(d)
    y = fitting_labels(loss, X, rng, targets)
    if intercept is not None:
        X[:, -1] = 1
    cuts = np.cumsum(sizes)[:-1]
    return list(zip(np.split(X, cuts), np.split(y, cuts), strict=True))


def task(loss: str) -> str | None:
    """What has to be said about the labels of ``clients``."""
    return {"softmax": "multiclass", "poisson": "regression"}.get(loss)  # counts may be classes


def problem(loss: str, weights="equal", intercept: str | None = None, **shape) -> lg.Problem:
    """The same rows as a Problem."""
    labels = range(N_CLASSES) if loss == "softmax" else None
    rows = clients(loss, intercept=intercept, **shape)
    if intercept is not None:
        rows = [(X[:, :-1], y) for X, y in rows]
    return lg.Problem(rows, weights=weights, task=task(loss), labels=labels, intercept=intercept)


def client_weights(weights, sizes) -> np.ndarray:
    """The p_i for a value of ``weights``."""
    named = {"equal": np.ones(len(sizes)), "samples": np.array(sizes)}
    p = np.array(named.get(weights, weights), dtype=np.float64)
    return p / p.sum()


def shares(problem: lg.Problem, method: lg.methods.Method, rounds: int, *, seed: int = SEED):
    """The p̃ of every round, shape (rounds, M); test_participation.py checks them."""
    return dense_shares(Participation(problem, method, seed), 0, rounds, problem.n_clients)


def dense_shares(drawing: Participation, first: int, until: int, clients: int) -> np.ndarray:
    """The p̃ of some rounds, one row of M numbers each."""
    drawn = drawing.of(first, until)
    if drawing.full:
        return np.broadcast_to(drawn.shares, (until - first, clients))
    shares = np.zeros((until - first, clients))
    rounds = np.repeat(np.arange(until - first), np.diff(drawn.offsets))
    shares[rounds, drawn.clients] = drawn.shares
    return shares


def expected(
    case: MethodCase, loss: str, *, weights, rate, rounds, init=None, record=(), l2=0.0, **shape
) -> oracle.Result:
    """The oracle's run of a case on ``problem(loss, weights, **shape)``."""
    made, rows = problem(loss, weights, **shape), clients(loss, **shape)
    p = client_weights(weights, made.sizes)
    return oracle.simulate(
        rows,
        p,
        loss=oracle.Objective(loss, l2, made.free_intercept),
        step=case.step(rate, p),
        rounds=rounds,
        init=init,
        record=record,
        reference=reference(loss, made),
        shares=shares(made, case.make(1.0), rounds),
    )


# -- Comparisons -----------------------------------------------------------------------------------


def assert_close(got: np.ndarray, want: np.ndarray, tolerance: float, what: str) -> None:
    """Equal to ``tolerance`` relative to each entry; entries near 0 relative to the largest one."""
    largest = np.nanmax(np.abs(want), initial=0.0)
    np.testing.assert_allclose(
        got, want, rtol=tolerance, atol=tolerance * 1e-2 * largest, err_msg=what
    )


def assert_history(
    run: lg.Run, want: oracle.Result, problem: lg.Problem, tolerance: float, where: str
) -> None:
    """Each column that belongs there, and no other."""
    history, names = want.history, set(want.history) - {"participations", "least_gradient"}
    if problem.task == "regression":
        names -= {"margin"}
    sent = {"bytes", "bits", "bits_up", "bits_down"}
    passes = set() if "passes" not in run.history else {"passes"}
    assert set(run.history) == names | {"local_steps", *passes, *sent}, where
    for name in names:
        assert_measure(name, run.history[name], history, tolerance, where)


def assert_measure(name, got, history, tolerance, where) -> None:
    """One column; those that are differences of larger numbers to the digits which these leave."""
    want, what = history[name], f"{name}, {where}"
    error = tolerance * 1e-2 * (1 + history["norm"])  # of models and, with such rows, gradients
    with np.errstate(divide="ignore"):
        relative = error / history["least_gradient"]
    known = np.full(len(want), True)
    if name in ("drift", "grad_variance"):  # squared distances
        slack = tolerance * want + 2 * error * np.sqrt(want) + error**2
    elif name in ("grad_alignment", "grad_dissimilarity"):
        slack = tolerance * np.abs(want) + 4 * relative * np.maximum(np.abs(want), 1)
        known = relative < 0.1  # beyond that a gradient is but rounding
    elif name == "grad_norm":
        slack = tolerance * want + 4 * error
    elif name == "log_loss":  # as far off as the loss is, relative to itself
        loss = np.abs(history["loss"])
        unsure = 1e-2 * tolerance * loss.max()
        known = loss > 10 * unsure
        slack = 2 * (tolerance + unsure / np.maximum(loss, 1e-300))
    else:
        assert_close(got, want, tolerance, what)
        return
    np.testing.assert_array_equal(np.isnan(got[known]), np.isnan(want[known]), err_msg=what)
    slack = np.broadcast_to(slack, want.shape)
    wrong = known.copy()
    wrong[known] = np.abs(got[known] - want[known]) > slack[known]
    assert not wrong.any(), f"{what}: got {got[wrong]}; want {want[wrong]}"


def assert_model(
    run: lg.Run, want: oracle.Result, problem: lg.Problem, init: Any, tolerance: float, where: str
) -> None:
    """Weights, margins, and the coefficients of a run inside the span of the rows."""
    rows = problem.signed_rows if problem.task == "binary" else problem.X
    w0 = np.zeros(problem.weights_shape) if init is None else np.array(init)
    assert_close(run.weights, want.weights, tolerance, where)
    assert_close(rows @ run.weights, rows @ want.weights, tolerance, where)
    if run.coefficients is not None:
        assert run.coefficients.shape == (len(rows), *want.weights.shape[1:])
        assert_close(w0 + rows.T @ run.coefficients, want.weights, tolerance, where)


def runs_of(case: MethodCase, loss: str, problem: lg.Problem, lr: Any, settings: dict):
    """(run, tolerance, where) of a case in each of its engines and dtypes."""
    for engine, dtype in itertools.product(case.engines, DTYPES):
        run = lg.run(
            problem,
            case.make(lr),
            **settings,
            loss=loss,
            engine=engine,
            dtype=dtype,
            seed=SEED,
            reference=reference(loss, problem),
        )
        assert run.engine == engine
        yield run, case.tolerance(loss, dtype), f"{case.name}, {loss}, {engine}, {dtype}"


def engine_cases(*columns):
    """(engine, dtype, …) for every engine, dtype and member of further lists."""
    return list(itertools.product(ENGINES, DTYPES, *columns))


def assert_same_bits(a: lg.Run, b: lg.Run) -> None:
    """Weights, coefficients and history, NaN in the same places and 0.0 apart from -0.0."""
    assert list(a.history) == list(b.history)
    pairs = {name: (a.history[name], b.history[name]) for name in a.history}
    pairs |= {"weights": (a.weights, b.weights), "coefficients": (a.coefficients, b.coefficients)}
    for name, (one, other) in pairs.items():
        if one is None or other is None:
            assert one is other, name
        else:
            np.testing.assert_array_equal(one.view(np.int64), other.view(np.int64), err_msg=name)
