"""Engine gram keeps its digits where the loss stays above 0, for ever: coefficients grow then."""

from __future__ import annotations

import numpy as np
import pytest

import localgd as lg

METHODS = {
    "LocalGD": lg.LocalGD(5, 0.2),
    "anchored": lg.LocalGD(5, 0.2, server=lg.Anchored()),
    "momentum": lg.LocalGD(5, 0.1, server=lg.ServerSGD(lr=0.5, momentum=0.9)),
    "batches": lg.LocalSGD(5, 0.1, batch_size=2),
    "sampled": lg.LocalGD(5, 0.2, participation=2),
    "FedProx": lg.FedProx(5, 0.2, mu=0.1),
    "Scaffold": lg.Scaffold(5, 0.2),
    "FedGA": lg.FedGA(5, 0.2, beta=0.1),
}
ROUNDS = 30_000  # 1e-9 to 1e-7 would be lost of these


def not_separable(loss: str) -> lg.Problem:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, 10, 3))
    if loss == "softmax":
        labels = rng.integers(0, 3, (4, 10))
    elif loss == "squared":
        labels = rng.standard_normal((4, 10))
    else:
        labels = rng.choice([-1.0, 1.0], (4, 10))
    tasks = {"softmax": "multiclass", "squared": "regression"}
    rows = list(zip(X, labels, strict=True))
    return lg.Problem(rows, weights=[1, 2, 3, 4], task=tasks.get(loss, "binary"))


def weights(engine: str, loss: str, method: lg.methods.Method, **how) -> np.ndarray:
    run = lg.run(
        not_separable(loss), method, rounds=ROUNDS, loss=loss, engine=engine, record=[], **how
    )
    assert run.status == "completed"
    return run.weights


def assert_near(got: np.ndarray, want: np.ndarray, tolerance: float) -> None:
    assert np.abs(got - want).max() < tolerance * np.abs(want).max()


@pytest.mark.parametrize("name", METHODS)
def test_gram_stays_with_the_weights(name):
    got, want = (weights(engine, "logistic", METHODS[name]) for engine in ("gram", "primal"))
    assert_near(got, want, 1e-12)


@pytest.mark.parametrize("loss", ["exponential", "squared", "softmax"])
def test_gram_stays_with_the_weights_of_every_loss(loss):
    method = lg.LocalGD(5, 0.1)
    got, want = (weights(engine, loss, method) for engine in ("gram", "primal"))
    # Nothing brings back what the sum over the classes drifts by, in any engine.
    assert_near(got, want, 1e-11 if loss == "softmax" else 1e-12)


def test_gram_in_float32_stays_at_the_rows_precision():
    got, want = (
        weights(e, "logistic", METHODS["LocalGD"], dtype="float32") for e in ("gram", "primal")
    )
    assert_near(got, want, 1e-5)


def test_coefficients_still_lead_to_the_model():
    problem = not_separable("logistic")
    run = lg.run(problem, METHODS["LocalGD"], rounds=ROUNDS, loss="logistic", engine="gram")
    size = np.abs(run.coefficients).max()
    assert size > 100
    off = problem.signed_rows.T @ run.coefficients - run.weights
    assert np.abs(off).max() < 1e-12 * size


@pytest.mark.parametrize("every_step", [False, True])
def test_runs_side_by_side_stay_with_the_weights(every_step):
    problem, rates = not_separable("logistic"), [0.05, 0.1, 0.2]
    table = lg.sweep(
        problem,
        lg.LocalGD(5, 0.1),
        grid={"lr": rates},
        rounds=ROUNDS,
        loss="logistic",
        engine="gram",
        record=[ROUNDS],
        every_step=every_step,
    )
    for lr, entry in zip(rates, table, strict=True):
        alone = lg.run(
            problem,
            lg.LocalGD(5, lr),
            rounds=ROUNDS,
            loss="logistic",
            engine="primal",
            record=[ROUNDS],
        )
        for column in ("loss", "norm", "margin"):
            want = alone.history[column][-1]
            assert entry.history[column][-1] == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize("stop", [31, 32, 500, 1601])
def test_a_resumed_run_has_the_same_bits(stop, tmp_path):
    """Wherever it was between two rounds at which margins are made anew."""
    problem = not_separable("logistic")
    for name in ("LocalGD", "anchored", "momentum"):
        method, file = METHODS[name], tmp_path / f"{name}.ckpt"
        settings = {"loss": "logistic", "engine": "gram", "record": []}
        whole = lg.run(problem, method, rounds=3000, **settings)
        lg.run(problem, method, rounds=stop, checkpoint=file, **settings)
        resumed = lg.run(problem, method, rounds=3000, checkpoint=file, **settings)
        np.testing.assert_array_equal(whole.weights, resumed.weights)
        np.testing.assert_array_equal(whole.coefficients, resumed.coefficients)
