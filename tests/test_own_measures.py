"""Measures that see of a record what their arguments name."""

from __future__ import annotations

import numpy as np
import pytest
import registry

import localgd as lg

WEIGHTS = (0.5, 2.0, 0.25)
METHODS = tuple(case for case in registry.METHODS if ": " not in case.name) + tuple(
    case
    for case in registry.METHODS
    if case.name.partition(": ")[2] in ("two clients", "unequal", "adam", "momentum")
)


def squares(a: np.ndarray) -> np.ndarray:
    """Of the rows of some arrays."""
    return (a.reshape(len(a), -1) ** 2).sum(axis=1)


@pytest.mark.filterwarnings("ignore:participation")
@pytest.mark.parametrize("case", METHODS, ids=lambda case: case.name)
def test_models_and_gradients_agree_with_what_the_core_measures(case):
    for loss in set(case.losses) & {"logistic", "squared", "softmax"}:
        problem = registry.problem(loss, WEIGHTS)
        p, method = problem.weights, case.make(0.2)
        shares = registry.shares(problem, method, 12)

        def drift(round, weights, models, p=p, shares=shares):
            assert models.shape == (3, *weights.shape)
            if round == 0:
                return np.nan if np.isnan(models).all() else 0
            there = shares[round - 1] > 0
            assert (np.isnan(models.reshape(3, -1)).all(axis=1) == ~there).all()
            return shares[round - 1][there] @ squares(models[there] - weights)

        def variance(gradients, p=p):
            return p @ squares(gradients - np.tensordot(p, gradients, axes=1))

        def norm(gradients, p=p):
            return np.linalg.norm(np.tensordot(p, gradients, axes=1))

        for engine in case.engines:
            run = lg.run(
                problem,
                method,
                rounds=12,
                loss=loss,
                engine=engine,
                seed=registry.SEED,
                l2=0 if case.solve else 0.05,
                record=range(13),
                measures={"own_drift": drift, "own_norm": norm, "own_variance": variance},
            )
            where = f"{loss}, {engine}"
            assert_near(run, "own_drift", "drift", where)
            assert_near(run, "own_norm", "grad_norm", where)
            assert_near(run, "own_variance", "grad_variance", where)


def assert_near(run, own, known, where):
    want = run.history[known]
    np.testing.assert_allclose(
        run.history[own], want, rtol=1e-9, atol=1e-12 * (1 + np.nanmax(want)), err_msg=where
    )


def test_plain_averaging_of_the_models():
    problem = registry.problem("softmax", WEIGHTS)

    def off(weights, models, round):
        mean = np.tensordot(problem.weights, models, axes=1)
        return np.abs(mean - weights).max() if round else 0.0

    for engine in registry.ENGINES:
        method = lg.LocalGD(local_steps=3, lr=0.2)
        run = lg.run(problem, method, rounds=9, engine=engine, measures={"off": off})
        assert run.history["off"].max() < 1e-15


def test_by_name_or_the_weights_alone():
    problem = registry.problem("logistic")
    measures = {
        "alone": lambda w: w[0],
        "named": lambda weights: weights[0],
        "round_again": lambda round: round,
        "with_default": lambda w, scale=2.0: scale * w[0],
        "of_numpy": np.sum,
        "keyword": lambda *, round, weights: round * weights[0],
    }
    run = lg.run(problem, lg.LocalGD(3, 0.2), rounds=9, measures=measures)
    w = run.history["alone"]
    np.testing.assert_array_equal(run.history["named"], w)
    np.testing.assert_array_equal(run.history["round_again"], run.history["round"])
    np.testing.assert_array_equal(run.history["with_default"], 2 * w)
    np.testing.assert_array_equal(run.history["keyword"], run.history["round"] * w)
    assert run.history["of_numpy"][-1] == pytest.approx(run.weights.sum())


@pytest.mark.parametrize(
    ("measure", "message"),
    (
        (lambda w, models: 0.0, "'wrong' takes the arguments w, models; want the weights alone"),
        (lambda gradient, models: 0.0, "gradients by name: did you mean 'gradients'?"),
        (lambda weights: "much" and [1, 2], "'wrong' returned list; want a number"),
    ),
)
def test_what_is_no_measure(measure, message):
    with pytest.raises(TypeError, match=message):
        lg.run(
            registry.problem("logistic"),
            lg.LocalGD(3, 0.2),
            rounds=3,
            measures={"wrong": measure},
        )


def test_stop_and_fast_forward():
    problem = registry.problem("logistic")

    def apart(models, round):
        return np.ptp(models, axis=0).max() if round else np.inf

    settings = {"measures": {"apart": apart}, "record": range(1000)}
    method = lg.LocalGD(3, 0.2)
    run = lg.run(problem, method, rounds=1000, stop={"apart": 0.05}, **settings)
    assert 0 < run.round < 1000
    assert run.history["apart"][-1] <= 0.05
    with pytest.raises(lg.UnsupportedError, match="sees the clients' models"):
        lg.fast_forward(problem, method, rounds=1e9, measures={"apart": apart})
    rows = lg.datasets.make_separable(n_clients=3, n_samples=4, n_features=30, seed=0)
    largest = {"largest": lambda gradients: np.abs(gradients).max()}
    far = lg.fast_forward(rows, method, rounds=1e9, measures=largest)
    assert far.history["largest"][-1] < 1e-7


def test_checkpoint(tmp_path):
    problem, method = registry.problem("logistic"), lg.LocalGD(3, 0.2)
    measures = {
        "apart": lambda models: np.ptp(models, axis=0).max(),
        "steep": lambda gradients: np.abs(gradients).max(),
    }
    settings = {"measures": measures, "record": lg.log_spaced(per_decade=3), "engine": "gram"}
    lg.run(problem, method, rounds=20, checkpoint=tmp_path / "run.npz", **settings)
    got = lg.run(problem, method, rounds=40, checkpoint=tmp_path / "run.npz", **settings)
    registry.assert_same_bits(got, lg.run(problem, method, rounds=40, **settings))


def test_sparse_and_float32_rows():
    from scipy import sparse

    X, y = registry.problem("logistic").X, registry.problem("logistic").y
    for rows in (sparse.csr_array(X), X.astype(np.float32)):
        problem = lg.Problem.from_arrays(rows, y, np.arange(len(y)) % 3)
        measures = {"steep": lambda gradients: np.linalg.norm(gradients.mean(axis=0))}
        run = lg.run(problem, lg.LocalGD(3, 0.2), rounds=5, measures=measures)
        even = problem.with_weights("equal")
        want = lg.run(even, lg.GD(0.2), rounds=0, init=run.weights, dtype="float64")
        np.testing.assert_allclose(run.history["steep"][-1], want.history["grad_norm"][0], 1e-6)
