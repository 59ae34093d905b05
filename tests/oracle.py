"""Every method in plain NumPy, straight from its formula: weights, float64, no Gram matrix.

Slow and literal on purpose. Nothing is imported from localgd: what the package computes is compared
with what is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

Client = tuple[np.ndarray, np.ndarray]  # rows (n_i, d), labels (n_i,) or targets (n_i, C)


@dataclass(frozen=True)
class Loss:
    """``f_i(w) = (1/n_i) Σ_j ℓ``: its value and gradient for the rows of one client."""

    value: Callable[[np.ndarray, np.ndarray, np.ndarray], float]
    gradient: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _exponential(X, y, w):
    return np.exp(-y * (X @ w)).mean()


def _exponential_gradient(X, y, w):
    return -(X.T @ (y * np.exp(-y * (X @ w)))) / len(y)


def _logistic(X, y, w):
    return np.logaddexp(0.0, -y * (X @ w)).mean()


def _logistic_gradient(X, y, w):
    return -(X.T @ (y / (1.0 + np.exp(y * (X @ w))))) / len(y)


def _of_targets(values):
    """The mean over the rows of the sum over their targets."""
    return values.sum() / len(values)


def _squared(X, y, w):
    return _of_targets(0.5 * (X @ w - y) ** 2)


def _squared_gradient(X, y, w):
    return (X.T @ (X @ w - y)) / len(y)


def _squared_hinge(X, y, w):
    return (0.5 * np.maximum(0.0, 1 - y * (X @ w)) ** 2).mean()


def _squared_hinge_gradient(X, y, w):
    return -(X.T @ (y * np.maximum(0.0, 1 - y * (X @ w)))) / len(y)


def _huber(X, y, w):
    size = np.abs(X @ w - y)
    return _of_targets(np.where(size <= 1, 0.5 * size**2, size - 0.5))


def _huber_gradient(X, y, w):
    return (X.T @ np.clip(X @ w - y, -1, 1)) / len(y)


def _poisson(X, y, w):
    return _of_targets(np.exp(X @ w) - y * (X @ w))


def _poisson_gradient(X, y, w):
    return (X.T @ (np.exp(X @ w) - y)) / len(y)


def _softmax(X, y, W):
    scores = X @ W
    of_label = np.take_along_axis(scores, y.astype(int)[:, None], axis=1)[:, 0]
    return (np.logaddexp.reduce(scores, axis=1) - of_label).mean()


def _softmax_gradient(X, y, W):
    scores = X @ W
    chances = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    onehot = y[:, None] == np.arange(W.shape[1])
    return X.T @ (chances - onehot) / len(y)


LOSSES = {
    "exponential": Loss(_exponential, _exponential_gradient),
    "logistic": Loss(_logistic, _logistic_gradient),
    "squared_hinge": Loss(_squared_hinge, _squared_hinge_gradient),
    "squared": Loss(_squared, _squared_gradient),
    "huber": Loss(_huber, _huber_gradient),
    "poisson": Loss(_poisson, _poisson_gradient),
    "softmax": Loss(_softmax, _softmax_gradient),
}


@dataclass(frozen=True)
class Objective:
    """``f_i(w) = (1/n_i) Σ_j ℓ + (λ/2)‖w‖²``, the last feature left out of λ if it is free."""

    loss: str
    l2: float = 0.0
    free_intercept: bool = False

    def intercept(self, w):
        """Where in w it is."""
        return slice(len(w) - 1, len(w))

    def penalized(self, w):
        pull = self.l2 * w
        if self.free_intercept:
            pull[self.intercept(w)] = 0
        return pull

    degree = 1  # of the scores in w

    @property
    def without_l2(self):
        return Objective(self.loss)

    def scores(self, X, w):
        return X @ w

    def value(self, X, y, w):
        return LOSSES[self.loss].value(X, y, w) + 0.5 * np.sum(w * self.penalized(w))

    def data_gradient(self, X, y, w):
        return LOSSES[self.loss].gradient(X, y, w)

    def gradient(self, X, y, w):
        return self.data_gradient(X, y, w) + self.penalized(w)


def objective(loss: str | Objective) -> Objective:
    """A loss by its name is the objective without λ."""
    return loss if isinstance(loss, Objective) else Objective(loss)


# -- Methods ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A method by its name in papers, and its numbers."""

    name: str
    lr: Callable[[int], float] | None = None
    local_steps: int | tuple[int, ...] | None = 1  # None: the exact local solve
    batch_size: int | None = None
    replacement: bool = False
    mu: float = 0.0
    beta: float = 0.0
    fednova: bool = True
    server: str = "Average"
    server_numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def solve(self) -> bool:
        return self.name == "LocalSolve" or self.local_steps is None

    def steps(self, i: int) -> int:
        """L_i."""
        return self.local_steps[i] if isinstance(self.local_steps, tuple) else self.local_steps

    def local_steps_per_round(self, p) -> float:
        """``Σ p_i L_i``; an exact solve counts as one."""
        if self.solve:
            return 1
        return self.steps(0) if isinstance(self.local_steps, int) else np.dot(p, self.local_steps)

    @property
    def vectors(self) -> int:
        """Vectors of the size of the model that a client sends, and is sent, per round."""
        return 2 if self.name in ("Scaffold", "FedGA", "GradAlign") else 1


class Rounds:
    """The rounds of one run: the ``step`` of :func:`simulate`, with what a method remembers."""

    def __init__(self, method: Method, p: Sequence[float], *, seed: int = 0):
        self.method, self.p, self.seed = method, p, seed
        self.controls = [0.0] * len(p)  # c_i of SCAFFOLD
        self.gradients = {}  # of the last steps of each client: Σ_l (1 - ηλ)^(L-1-l) g_l
        numbers = dict(method.server_numbers)
        self.server = SERVERS["Anchored" if method.name == "ModifiedLocalGD" else method.server](
            **numbers
        )

    def __call__(self, clients, shares, loss, w, k):
        """``w_{k+1} = server(w_k, Σ p̃_i (w_{k,i} - w_k))``; w_{k,i} = w_k for who sits out."""
        control = sum(p_i * c_i for p_i, c_i in zip(self.p, self.controls, strict=True))
        models, starts = [w] * len(clients), [w] * len(clients)
        for i, start in self.starts(clients, shares, loss, w):
            starts[i] = start
            correction = self.controls[i] - control
            models[i] = self.local_model(i, clients[i], loss, w, k, start, correction)
            if self.method.name == "Scaffold":  # control variates are of the data part alone
                l2 = objective(loss).l2
                tau = sum(
                    (1.0 - self.method.lr(k) * l2) ** step for step in range(self.method.steps(i))
                )
                mean = (w - models[i]) / (tau * self.method.lr(k)) - l2 * w
                if objective(loss).free_intercept:  # with the weights of the other features
                    own = objective(loss).intercept(w)
                    mean[own] = (self.gradients[i] / tau - correction)[own]
                self.controls[i] = correction + mean
        factors = self.factors(shares, k, objective(loss).l2)
        # What the steps did: displacements cancel in the mean, so they are not normalised.
        change = sum(
            a * (model - start) for a, model, start in zip(factors, models, starts, strict=True)
        )
        return self.server(w, change, k), models

    def starts(self, clients, shares, loss, w) -> Iterator[tuple[int, np.ndarray]]:
        """Who takes part, and the point from which the local steps begin."""
        taking_part = [i for i, share in enumerate(shares) if share > 0]
        if self.method.name not in ("GradAlign", "FedGA"):
            return [(i, w) for i in taking_part]
        data = objective(loss).without_l2  # λ is the same for all, and cancels
        gradients = {i: data.gradient(*clients[i], w) for i in taking_part}
        mean = sum(shares[i] * gradients[i] for i in taking_part)
        return [(i, w + self.method.beta * (gradients[i] - mean)) for i in taking_part]

    def local_model(self, i, client, loss, w, k, start, correction):
        """w_{k,i}."""
        method = self.method
        if method.solve:
            return (
                interpolant(*client, w)
                if objective(loss).loss == "squared"
                else projection(*client, w)
            )
        local, of = start, objective(loss)
        self.gradients[i] = np.zeros_like(w)
        for X, y in self.batches(i, client, k):
            own = of.data_gradient(X, y, local)
            self.gradients[i] = (1 - method.lr(k) * of.l2) * self.gradients[i] + own
            gradient = own + of.penalized(local) + method.mu * (local - w)
            local = local - method.lr(k) * (gradient - correction)
        return local

    def batches(self, i, client, k) -> Iterator[Client]:
        """The rows of every local step."""
        X, y = client
        method, steps = self.method, self.method.steps(i)
        if method.batch_size is None:
            return [client] * (1 if method.name == "MinibatchSGD" else steps)
        b = method.batch_size if method.replacement else min(method.batch_size, len(y))
        rows = drawn_rows(self.seed, i, k, len(y), b * steps, replacement=method.replacement)
        if method.name == "MinibatchSGD":
            return [(X[rows], y[rows])]
        return [(X[batch], y[batch]) for batch in rows.reshape(steps, b)]

    def factors(self, shares, k, l2=0.0):
        """p̃_i, or FedNova's ``p̃_i τ̄ / τ_i`` where the clients' numbers of steps differ."""
        method = self.method
        if not isinstance(method.local_steps, tuple) or not method.fednova:
            return shares
        if method.name == "MinibatchSGD":  # which takes one step, on more rows or on fewer
            return shares
        decay = 1.0 - method.lr(k) * (method.mu + l2)
        tau = np.array([sum(decay**step for step in range(L)) for L in method.local_steps])
        return shares * np.dot(shares, tau) / tau


@cache
def stream_key(seed, i):
    """The key of client i's batches."""
    return np.random.SeedSequence(seed, spawn_key=(0, i)).generate_state(2, np.uint64)


def drawn_rows(seed, i, k, n, count, *, replacement):
    """The first ``count`` rows that client i draws from its n rows in round k."""
    blocks = -(-count // 8)  # of four words with two numbers each
    philox = np.random.Philox(key=stream_key(seed, i), counter=k * blocks)
    halves = [
        half
        for word in philox.random_raw(4 * blocks).tolist()
        for half in (word & MASK, word >> 32)
    ]
    if replacement:
        return np.array([(half * n) >> 32 for half in halves[:count]])
    order, rows = list(range(n)), []
    for draw, half in enumerate(halves[:count]):
        t = draw % n
        j = t + ((half * (n - t)) >> 32)
        order[t], order[j] = order[j], order[t]
        rows.append(order[t])
    return np.array(rows)


MASK = 2**32 - 1


def projection(X, y, w):
    """``argmin ½‖v - w‖²  s.t.  y_j x_j·v ≥ 1``, by Lawson and Hanson's reduction to NNLS."""
    from scipy.optimize import nnls

    A = X * y[:, None]
    r = 1.0 - A @ w
    if (r <= 0).all():
        return w
    E, f = np.vstack([A.T, r]), np.append(np.zeros(len(w)), 1.0)
    active = nnls(E, f)[0] > 0
    # The rows that hold with equality are known now; the step is solved for again with all digits.
    return w + np.linalg.lstsq(A[active], r[active], rcond=1e-12)[0]


def interpolant(X, y, w):
    """``w + X⁺ (y - X w)``."""
    return w + np.linalg.pinv(X) @ (y - X @ w)


# -- Servers: w_{k+1} from w_k and Δ = Σ p̃_i (w_{k,i} - w_k) --------------------------------------


def average():
    return lambda w, change, k: w + change


def anchored():
    memory = {}

    def apply(w, change, k):
        w_0 = memory.setdefault("w_0", w)
        a = (k + 1) / (k + 2)
        return (1 - a) * w_0 + a * (w + change)

    return apply


def server_sgd(lr=1.0, momentum=0.0, nesterov=False):
    memory = {"v": 0.0}

    def apply(w, change, k):
        v = memory["v"] = momentum * memory["v"] + change
        return w + lr * (change + momentum * v if nesterov else v)

    return apply


def adaptive(second_moment):
    """The three servers of Reddi et al., which differ in v."""

    def make(lr, beta1, tau, **numbers):
        memory = {"m": 0.0, "v": tau**2}

        def apply(w, change, k):
            m = memory["m"] = beta1 * memory["m"] + (1 - beta1) * change
            v = memory["v"] = second_moment(memory["v"], change**2, **numbers)
            return w + lr * m / (np.sqrt(v) + tau)

        return apply

    return make


SERVERS = {
    "Average": average,
    "Anchored": anchored,
    "ServerSGD": server_sgd,
    "ServerAdam": adaptive(lambda v, square, beta2: beta2 * v + (1 - beta2) * square),
    "ServerYogi": adaptive(lambda v, square, beta2: v - (1 - beta2) * square * np.sign(v - square)),
    "ServerAdagrad": adaptive(lambda v, square: v + square),
}


# -- Runs ------------------------------------------------------------------------------------------


@dataclass
class Result:
    """w_R, and one list per measure with an entry for each recorded round."""

    weights: np.ndarray
    history: dict[str, np.ndarray]


def gd_round(clients, p, loss, w, k, *, lr):
    """``w_{k+1} = w_k - η ∇f(w_k)``; the clients' models are those of one step of their own."""
    gradients = [objective(loss).gradient(X, y, w) for X, y in clients]
    models = [w - lr(k) * g for g in gradients]
    return w - lr(k) * sum(p_i * g for p_i, g in zip(p, gradients, strict=True)), models


def local_gd_round(clients, p, loss, w, k, *, lr, local_steps):
    """L steps w ← w - η ∇f_i(w) on every client from w_k, then ``w_{k+1} = Σ p_i w_{k,i}``."""
    models = []
    for X, y in clients:
        local = w
        for _ in range(local_steps):
            local = local - lr(k) * objective(loss).gradient(X, y, local)
        models.append(local)
    return sum(p_i * model for p_i, model in zip(p, models, strict=True)), models


def simulate(
    clients: Sequence[Client],
    p: Sequence[float],
    *,
    loss: str | Objective,
    step: Callable,
    rounds: int,
    init: np.ndarray | None = None,
    record: Sequence[int] = (),
    reference: np.ndarray | None = None,
    shares: np.ndarray | None = None,
) -> Result:
    """Rounds of ``step(clients, p̃, loss, w, k) -> (w_{k+1}, client models)``, measured at some.

    ``shares`` holds the p̃ of each round, shape (rounds, M); p, if not given. The model, and the
    drift, stay in a round without any. A gradient that overflows raises FloatingPointError.
    """
    p = np.asarray(p, dtype=np.float64) / np.sum(p)
    shares = np.broadcast_to(p if shares is None else shares, (rounds, len(p)))
    w = np.zeros(model_shape(clients, loss)) if init is None else np.array(init, dtype=np.float64)
    history: dict[str, list] = {name: [] for name in COLUMNS}
    last, participations = None, 0
    wanted = {0, rounds, *record}
    # Underflow of exp(-m) far on the right side is what the formula says.
    with np.errstate(over="raise", invalid="raise", divide="raise", under="ignore"):
        for k in range(rounds + 1):
            if k in wanted:
                values = (
                    k,
                    *measures(clients, p, loss, w, reference),
                    np.nan if last is None else client_drift(*last),
                    *gradient_measures(clients, p, loss, w),
                    participations,
                    least_gradient(clients, p, loss, w),
                )
                for name, value in zip(COLUMNS, values, strict=True):
                    history[name].append(value)
            if k < rounds and shares[k].any():
                w, models = step(clients, shares[k], loss, w, k)
                last = shares[k], models, w
                participations += np.count_nonzero(shares[k])
    return Result(w, {name: np.array(column) for name, column in history.items()})


def model_shape(clients, loss):
    """(d,), or (d, C) for softmax and several targets."""
    d = clients[0][0].shape[1]
    classes = objective(loss).loss == "softmax"
    targets = clients[0][1].shape[1:]
    return (d, int(max(y.max() for _, y in clients)) + 1) if classes else (d, *targets)


# -- Measures --------------------------------------------------------------------------------------

COLUMNS = (
    *("round", "loss", "log_loss", "margin", "norm", "angle", "drift"),
    *("grad_norm", "grad_variance", "grad_alignment", "grad_dissimilarity"),
    *("participations", "least_gradient"),  # which the package does not record as such
)


def measures(clients, p, loss, w, reference):
    """Loss, its logarithm, normalised margin, norm and angle of a model."""
    value = sum(
        p_i * objective(loss).value(X, y, w) for p_i, (X, y) in zip(p, clients, strict=True)
    )
    log = np.log(value) if value > 0 else (-np.inf if value == 0 else np.nan)
    norm = np.linalg.norm(w)
    if norm == 0:
        return value, log, np.nan, 0.0, np.nan
    margins = [least_margin(objective(loss).scores(X, w), y) for X, y in clients]
    margin = min(margins) / norm ** objective(loss).degree
    return value, log, margin, norm, np.nan if reference is None else angle(w, reference)


def least_margin(scores, y):
    """``min_j y_j u_j``, or ``min_{j, c ≠ y_j} u_{j y_j} - u_{jc}``."""
    if scores.shape == y.shape:
        return (y * scores).min()
    return min(
        row[label] - np.delete(row, label).max()
        for row, label in zip(scores, y.astype(int), strict=True)
    )


def gradient_measures(clients, p, loss, w):
    """``‖∇f‖``, ``Σ p_i‖∇f_i - ∇f‖²``, ``Σ p_i cos(∇f_i, ∇f)``, ``Σ p_i‖∇f_i‖² / ‖∇f‖²``."""
    gradients = [objective(loss).gradient(X, y, w) for X, y in clients]
    mean = sum(p_i * g for p_i, g in zip(p, gradients, strict=True))
    variance = sum(p_i * np.sum((g - mean) ** 2) for p_i, g in zip(p, gradients, strict=True))
    length = np.linalg.norm(mean)
    if length == 0:
        return length, variance, np.nan, np.nan
    alignment = sum(
        p_i * np.sum(g * mean) / (np.linalg.norm(g) * length)
        for p_i, g in zip(p, gradients, strict=True)
        if g.any()
    )
    squares = sum(p_i * np.sum(g**2) for p_i, g in zip(p, gradients, strict=True))
    return length, variance, alignment, squares / length**2


def least_gradient(clients, p, loss, w):
    """The smallest of ‖∇f‖ and the ‖∇f_i‖ of clients that count: what cosines are divided by."""
    gradients = [objective(loss).gradient(X, y, w) for X, y in clients]
    mean = sum(p_i * g for p_i, g in zip(p, gradients, strict=True))
    counted = [g for p_i, g in zip(p, gradients, strict=True) if p_i > 0]
    return min(np.linalg.norm(g) for g in (mean, *counted))


def client_drift(p, models, average):
    """``Σ p_i ‖w_{k,i} - w_{k+1}‖²``."""
    return sum(p_i * np.sum((model - average) ** 2) for p_i, model in zip(p, models, strict=True))


def angle(u, v):
    """``2·atan2(‖û - v̂‖, ‖û + v̂‖)``."""
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    return 2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))


# -- Closed forms and data -------------------------------------------------------------------------


def affine_round(clients, p, *, lr, local_steps):
    """A and b of ``w_{k+1} = A w_k + b``: one round of Local-GD with the squared loss."""
    d = clients[0][0].shape[1]
    A, b = np.zeros((d, d)), np.zeros(d)
    for p_i, (X, y) in zip(p, clients, strict=True):
        step = np.eye(d) - lr * X.T @ X / len(y)
        powers = [np.linalg.matrix_power(step, k) for k in range(local_steps + 1)]
        A += p_i * powers[-1]
        b += p_i * sum(powers[:-1]) @ (lr * X.T @ y / len(y))
    return A, b


def separable_rows(seed, M, n, d):
    """The fixed separable data of the tests, as rows (M, n, d) and labels (M, n)."""
    r = np.random.default_rng(seed)
    v = r.standard_normal(d)
    X = r.standard_normal((M, n, d)) / np.sqrt(d)
    return X, np.sign(X @ v)
