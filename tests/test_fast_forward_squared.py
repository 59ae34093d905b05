"""fast_forward with the squared loss: powers of the round map, against many digits."""

from __future__ import annotations

import numpy as np
import pytest

import localgd as lg

mp = pytest.importorskip("mpmath")

CLIENTS, FEATURES = 3, 4
FAR = 10**12
MOMENTUM = lg.ServerSGD(lr=0.5, momentum=0.9)
METHODS = [
    lg.GD(lr=0.3),
    lg.LocalGD(4, 0.3),
    lg.LocalGD((1, 4, 2), 0.3),
    lg.LocalGD(4, 1e-9),
    lg.FedProx(4, 0.3, 0.5),
    lg.FedGA(4, 0.3, 0.2),
    lg.GradAlign(0.3, 0.2),
    lg.Scaffold(2, 0.3),
    lg.ModifiedLocalGD(4, 0.3),
    lg.LocalGD(4, 0.3, server=lg.ServerSGD(lr=0.5)),
    lg.LocalGD(4, 0.3, server=MOMENTUM),
    lg.LocalGD(4, 0.3, server=lg.ServerSGD(lr=0.5, momentum=0.5, nesterov=True)),
]


def make(n_samples):
    """More features than rows, or fewer."""
    return lg.datasets.make_regression(
        n_clients=CLIENTS, n_samples=n_samples, n_features=FEATURES, seed=1
    )


class Rounds:
    """One round at a time in numbers of 60 digits, by plain loops; y_0 = 0 is w_0 = 0."""

    def __init__(self, problem, method):
        self.method, self.kind = method, type(method).__name__
        self.steps = [int(L) for L in method.rule.steps(CLIENTS)]
        self.lr, self.mu, self.beta = (
            mp.mpf(method.lr),
            method.rule.prox,
            method.rule.parameters.get("beta", 0.0),
        )
        self.p = [mp.mpf(float(u)) for u in problem.weights]
        taus = [mp.mpf(L) for L in self.steps]
        tau = mp.fsum(u * t for u, t in zip(self.p, taus, strict=True))
        # FedNova's shares where the numbers of steps differ
        self.u = [u * tau / t for u, t in zip(self.p, taus, strict=True)]
        self.H, self.b = [], []
        for i in range(CLIENTS):
            X = mp.matrix(problem.X[problem.rows(i)].tolist())
            y = mp.matrix(problem.y[problem.rows(i)].tolist())
            self.H.append(X.T * X / X.rows)
            self.b.append(X.T * y / X.rows)
        self.momentum = mp.mpf(getattr(method.server, "momentum", 0))
        memories = CLIENTS if self.kind == "Scaffold" else int(self.momentum > 0)
        self.size = FEATURES * (1 + memories)

    def mean(self, vectors, shares=None):
        return sum(
            (u * v for u, v in zip(shares or self.p, vectors, strict=True)), mp.zeros(FEATURES, 1)
        )

    def step(self, parts, constant):
        w, memory = parts[0], parts[1:]
        g = [H * w - constant * b for H, b in zip(self.H, self.b, strict=True)]
        common = self.mean(g)
        controls = memory if self.kind == "Scaffold" else None
        c = self.mean(controls) if controls else None
        ends, after = [], []
        for i in range(CLIENTS):
            v = w + self.beta * (g[i] - common)
            for _ in range(self.steps[i]):
                gradient = self.H[i] * v - constant * self.b[i] + self.mu * (v - w)
                v = v - self.lr * (gradient - controls[i] + c if controls else gradient)
            ends.append(v - w)
            if controls:
                after.append(controls[i] - c - ends[i] / (self.steps[i] * self.lr))
        change = self.mean(ends, self.u)
        rate = mp.mpf(getattr(self.method.server, "lr", 1))
        if self.momentum > 0:
            velocity = self.momentum * memory[0] + change
            step = change + self.momentum * velocity
            return [w + rate * (step if self.method.server.nesterov else velocity), velocity]
        return [w + rate * change, *after]

    def map(self):
        """T and t of the affine map of all parts, as one matrix of a further 1."""

        def image(column, constant):
            split = [mp.matrix(column[i : i + FEATURES]) for i in range(0, self.size, FEATURES)]
            return [entry for part in self.step(split, constant) for entry in part]

        zero = [mp.mpf(0)] * self.size
        columns = [
            image([mp.mpf(int(i == j)) for i in range(self.size)], 0) for j in range(self.size)
        ]
        columns.append(image(zero, 1))
        T = mp.matrix(self.size + 1, self.size + 1)
        for j, column in enumerate(columns):
            for i, entry in enumerate(column):
                T[i, j] = entry
        T[self.size, self.size] = 1
        return T

    def weights(self, rounds):
        T, n = self.map(), self.size
        if not isinstance(self.method.server, lg.Anchored):
            return [(power(T, rounds))[i, n] for i in range(FEATURES)]
        # z = (k + 1) w obeys z ← T z + (k + 1) t: two further entries, k + 1 and 1
        A = mp.matrix(n + 2, n + 2)
        A[:n, : n + 1] = T[:n, :]
        A[n, n] = A[n, n + 1] = A[n + 1, n + 1] = 1
        found = power(A, rounds)
        return [(found[i, n] + found[i, n + 1]) / (rounds + 1) for i in range(FEATURES)]


def power(T, k):
    """T^k by repeated squaring."""
    found = mp.eye(T.rows)
    while k:
        if k & 1:
            found = T * found
        k >>= 1
        if k:
            T = T * T
    return found


@pytest.mark.parametrize("n_samples", [1, 3])
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_1e12_rounds_to_sixty_digits(method, n_samples):
    problem = make(n_samples)
    far = lg.fast_forward(
        problem, method, rounds=FAR, record=[1, 1000], keep_weights=True, threads=1
    )
    with mp.workdps(60):
        rounds = Rounds(problem, method)
        for k, w, error in zip(
            far.history["round"][1:],
            far.recorded_weights[1:],
            far.history["error"][1:],
            strict=True,
        ):
            want = np.array([float(entry) for entry in rounds.weights(int(k))])
            gap = np.linalg.norm(w - want) / np.linalg.norm(want)
            assert gap < 1e-9
            assert gap <= 3 * error < 1e-8


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_few_rounds_are_those_of_run(method):
    problem = make(3)
    start = np.random.default_rng(2).standard_normal(FEATURES)
    options = {"rounds": 300, "init": start, "keep_weights": True, "threads": 1}
    far, near = lg.fast_forward(problem, method, **options), lg.run(problem, method, **options)
    np.testing.assert_allclose(far.recorded_weights, near.recorded_weights, rtol=1e-11, atol=1e-12)
    assert list(far.history) == [*near.history, "error"]
    for name in ("loss", "norm", "grad_variance", "bytes", "local_steps"):
        np.testing.assert_allclose(far.history[name], near.history[name], rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(
        start + problem.X.T @ far.coefficients, far.weights, rtol=1e-10, atol=1e-12
    )


def test_the_limit_is_the_nearest_solution():
    problem = lg.datasets.make_regression(n_clients=2, n_samples=5, n_features=30, seed=0)
    start = np.random.default_rng(2).standard_normal(30)
    far = lg.fast_forward(problem, lg.LocalGD(7, "1/H"), rounds=1e300, init=start, threads=1)
    want = start + np.linalg.pinv(problem.X) @ (problem.y - problem.X @ start)
    np.testing.assert_allclose(far.weights, want, rtol=1e-10, atol=1e-12)
    assert far.history["error"].max() < 1e-10
    assert far.config["fast_forward"]["how"] == "powers of the round map"


def test_too_large_a_rate_is_an_error():
    problem = make(3)
    with pytest.raises(lg.DivergedError, match=r"overflow before round .*smaller lr"):
        lg.fast_forward(problem, lg.GD(lr=100.0), rounds=1e6, threads=1)


def test_what_has_no_closed_form_is_refused():
    problem = make(3)
    for method, reason in (
        (lg.GD(lr=lg.Polynomial(1.0, 0.5)), "constant learning rate"),
        (lg.Scaffold(4, 0.3, server=lg.Anchored()), "no closed form"),
        (lg.LocalSGD(4, 0.3, 1), "batches are random"),
    ):
        with pytest.raises(lg.UnsupportedError, match=reason):
            lg.fast_forward(problem, method, rounds=1e6)


def test_a_tiny_proximal_term_leaves_fednova_its_weights():
    problem = lg.datasets.make_regression(n_clients=3, n_samples=4, n_features=20, seed=0)
    none, tiny = (
        lg.fast_forward(problem, lg.FedProx([1, 2, 3], 0.1, mu=mu), rounds=100).weights
        for mu in (0.0, 1e-30)
    )
    np.testing.assert_allclose(tiny, none, rtol=1e-12)
