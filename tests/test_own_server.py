"""Servers of one's own, beside those of the package that they are copies of."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import registry

import localgd as lg
from localgd.own_server import flat_state, whole_state


@dataclasses.dataclass(frozen=True)
class Momentum(lg.Server):
    """``v ← m v + Δ``, ``w + lr v``."""

    lr: float = 0.6
    momentum: float = 0.5

    def start(self, w):
        return np.zeros_like(w)

    def step(self, w, change, state, round):
        v = self.momentum * state + change
        return w + self.lr * v, v


class Adam(lg.Server):
    """As ServerAdam, its state a dict."""

    def __init__(self, lr=0.03, beta1=0.8, beta2=0.95, tau=0.1):
        self.lr, self.beta1, self.beta2, self.tau = lr, beta1, beta2, tau

    def step(self, w, change, state, round):
        if state is None:
            state = {"m": np.zeros_like(w), "v": np.full_like(w, self.tau**2), "rounds": 0}
        m = self.beta1 * state["m"] + (1 - self.beta1) * change
        v = self.beta2 * state["v"] + (1 - self.beta2) * change**2
        new = w + self.lr * m / (np.sqrt(v) + self.tau)
        return new, {"m": m, "v": v, "rounds": state["rounds"] + 1}


class Anchored(lg.Server):
    def start(self, w):
        return w

    def step(self, w, change, state, round):
        a = (round + 1) / (round + 2)
        return (1 - a) * state + a * (w + change), state


COPIES = {
    "momentum": (Momentum(), lg.ServerSGD(lr=0.6, momentum=0.5)),
    "adam": (Adam(), lg.ServerAdam(lr=0.03, beta1=0.8, beta2=0.95, tau=0.1)),
    "anchored": (Anchored(), lg.Anchored()),
}
METHODS = {
    "steps": (lg.LocalGD, {"local_steps": 3}),
    "other steps": (lg.LocalGD, {"local_steps": (2, 1, 4)}),
    "batches": (lg.LocalSGD, {"local_steps": 3, "batch_size": 2}),
    "two clients": (lg.LocalGD, {"local_steps": 3, "participation": 2}),
    "nobody at times": (lg.LocalGD, {"local_steps": 3, "participation": lg.Markov(0.3, 0.4)}),
    "proximal": (lg.FedProx, {"local_steps": 3, "mu": 0.4}),
    "control": (lg.Scaffold, {"local_steps": 3, "participation": 2}),
    "displaced": (lg.FedGA, {"local_steps": 3, "beta": 0.3}),
}


@pytest.mark.filterwarnings("ignore:participation")
@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("method", METHODS)
def test_beside_the_package(name, method):
    own, known = COPIES[name]
    kind, numbers = METHODS[method]
    for loss in ("logistic", "squared", "softmax"):
        problem = registry.problem(loss, (0.5, 2.0, 0.25))
        init = registry.model(loss, (0.6, -0.8, 0.3, 0.0, 0.7))
        for dtype in registry.DTYPES:
            got, want = (
                lg.run(
                    problem,
                    kind(lr=0.2, server=server, **numbers),
                    rounds=50,
                    loss=loss,
                    init=init,
                    dtype=dtype,
                    l2=0.01,
                    engine="primal",
                    threads=2,
                )
                for server in (own, known)
            )
            registry.assert_close(got.weights, want.weights, 1e-11, f"{loss}, {dtype}")
            for column in ("loss", "drift"):
                registry.assert_close(got.history[column], want.history[column], 1e-9, column)
            assert got.coefficients is None


def test_sparse_rows_and_threads():
    from scipy import sparse

    rng = np.random.default_rng(2)
    X = sparse.random(40, 20, 0.3, random_state=rng, format="csr")
    problem = lg.Problem.from_arrays(X, rng.standard_normal(40), np.arange(40) % 8)
    method = lg.LocalGD(3, 0.3, server=Momentum())
    one, two = (lg.run(problem, method, rounds=30, threads=threads) for threads in (1, 2))
    registry.assert_same_bits(one, two)
    want = lg.run(problem, lg.LocalGD(3, 0.3, server=COPIES["momentum"][1]), rounds=30)
    registry.assert_close(one.weights, want.weights, 1e-11, "sparse")


def test_it_is_named_in_the_config_and_takes_the_primal_engine():
    problem = registry.problem("logistic")
    run = lg.run(problem, lg.LocalGD(3, 0.1, server=Adam(lr=0.5)), rounds=1)
    wanted = {"name": "Adam", "lr": 0.5, "beta1": 0.8, "beta2": 0.95, "tau": 0.1}
    assert run.config["method"]["server"] == wanted
    assert run.engine == "primal"
    for engine in ("gram", "hybrid"):
        with pytest.raises(lg.UnsupportedError, match="Adam is your own"):
            lg.run(problem, lg.LocalGD(3, 0.1, server=Adam()), rounds=1, engine=engine)
    with pytest.raises(lg.UnsupportedError, match="LocalSolve"):
        lg.run(problem, lg.LocalSolve(server=Adam()), rounds=1)
    with pytest.raises(lg.UnsupportedError, match="leaves the span"):
        lg.fast_forward(problem, lg.LocalGD(3, 0.1, server=Adam()), rounds=1e9)


def test_runs_of_a_sweep_have_states_of_their_own():
    problem, method = registry.problem("logistic"), lg.LocalGD(3, 0.1, server=Momentum())
    table = lg.sweep(problem, method, grid={"lr": [0.1, 0.2]}, rounds=20)
    for entry, lr in zip(table, (0.1, 0.2), strict=True):
        alone = lg.run(problem, lg.LocalGD(3, lr, server=Momentum()), rounds=20)
        np.testing.assert_array_equal(entry.history["loss"], alone.history["loss"])


@pytest.mark.parametrize("name", COPIES)
def test_checkpoint(name, tmp_path):
    problem, method = registry.problem("softmax"), lg.LocalGD(3, 0.1, server=COPIES[name][0])
    path = tmp_path / "run.npz"
    lg.run(problem, method, rounds=15, checkpoint=path)
    resumed = lg.run(problem, method, rounds=40, checkpoint=path)
    registry.assert_same_bits(resumed, lg.run(problem, method, rounds=40))


def test_a_checkpoint_knows_the_class_and_its_attributes(tmp_path):
    def take(server):
        method = lg.LocalGD(3, 0.1, server=server)
        lg.run(registry.problem("logistic"), method, rounds=5, checkpoint=tmp_path / "run.npz")

    take(Adam())
    take(Adam())
    for other in (Adam(lr=0.5), Momentum()):
        with pytest.raises(ValueError, match="another run"):
            take(other)


class Keeping(lg.Server):
    """What a checkpoint cannot hold."""

    def start(self, w):
        return {"seen": {1, 2}}

    def step(self, w, change, state, round):
        return w + change, state


def test_what_a_checkpoint_cannot_hold_is_refused_before_the_run(tmp_path):
    problem, method = registry.problem("logistic"), lg.LocalGD(3, 0.1, server=Keeping())
    with pytest.raises(TypeError, match="the state of the server has a set"):
        lg.run(problem, method, rounds=5, checkpoint=tmp_path / "run.npz")
    lg.run(problem, method, rounds=5)


@pytest.mark.parametrize(
    "state",
    (None, 3, 0.1, "x", [1.0, None], (np.arange(3), {"a": np.float32(2), "b": []}), np.zeros(0)),
    ids=str,
)
def test_states_as_they_are_saved(state):
    plan, arrays = flat_state(state)
    assert repr(whole_state(plan, arrays)) == repr(state)


class Wrong(lg.Server):
    def __init__(self, found, at=0):
        self.found, self.at = found, at

    def step(self, w, change, state, round):
        return self.found(w) if round >= self.at else (w + change, state)


@pytest.mark.parametrize(
    ("found", "error", "message"),
    (
        (lambda w: w, TypeError, r"Wrong.step: it returned ndarray; want a tuple \(w, state\)"),
        (lambda w: (w[1:], None), ValueError, r"of shape \(4,\); want \(5,\)"),
        (lambda w: (w + 1j, None), TypeError, "complex128"),
    ),
)
def test_errors_end_the_run(found, error, message):
    method = lg.LocalGD(3, 0.1, server=Wrong(found, at=7))
    with pytest.raises(error, match=message):
        lg.run(registry.problem("logistic"), method, rounds=20, record=[20])


class Failing(Momentum):
    rounds = (7,)

    def step(self, w, change, state, round):
        if round in type(self).rounds:
            raise KeyError("nothing there")
        return super().step(w, change, state, round)


def test_after_an_error_a_checkpoint_has_what_was_there(tmp_path, monkeypatch):
    problem, method = registry.problem("logistic"), lg.LocalGD(3, 0.1, server=Failing())
    settings = {"rounds": 20, "record": [0, 20]}
    with pytest.raises(KeyError, match="nothing there"):
        lg.run(problem, method, checkpoint=tmp_path / "run.npz", **settings)
    monkeypatch.setattr(Failing, "rounds", range(7))  # which are not taken again
    resumed = lg.run(problem, method, checkpoint=tmp_path / "run.npz", **settings)
    monkeypatch.setattr(Failing, "rounds", ())
    registry.assert_same_bits(resumed, lg.run(problem, method, **settings))


def test_a_model_that_is_not_finite_diverges():
    problem = registry.problem("logistic")
    server = Wrong(lambda w: (w * np.inf, None), at=7)
    with pytest.warns(RuntimeWarning, match="diverged in round 8"):
        run = lg.run(problem, lg.LocalGD(3, 0.1, server=server), rounds=20)
    assert run.round == 7
    assert np.isfinite(run.weights).all()


def test_a_diverging_client_never_reaches_it():
    problem = registry.problem("squared")
    seen = []

    class Watching(lg.Server):
        def step(self, w, change, state, round):
            seen.append(change)
            return w + change, state

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = lg.run(problem, lg.LocalGD(100, 50.0, server=Watching()), rounds=50)
    assert run.status == "diverged"
    assert np.isfinite(seen).all()
