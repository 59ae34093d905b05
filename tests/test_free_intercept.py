"""An intercept that λ leaves alone: every engine, loss, method, server and dtype."""

import numpy as np
import pytest
import registry
import scipy.sparse as sp
from test_l2 import CASES, INIT, L2, ROUNDS

import localgd as lg


@pytest.mark.parametrize(
    ("case", "loss", "weights"), CASES, ids=lambda value: getattr(value, "name", None)
)
def test_every_method_agrees_with_the_oracle(case, loss, weights):
    weights, init = registry.WEIGHTS[weights], registry.model(loss, INIT)
    settings = {"rounds": ROUNDS, "init": init, "record": (1, 2, 17, 59), "l2": L2}
    want = registry.expected(
        case, loss, weights=weights, rate=lambda k: 0.2, intercept="free", **settings
    )
    problem = registry.problem(loss, weights, intercept="free")
    for run, tolerance, where in registry.runs_of(case, loss, problem, 0.2, settings):
        registry.assert_close(run.weights, want.weights, tolerance, where)
        registry.assert_history(run, want, problem, tolerance, where)


def rows_of(loss, intercept, **options):
    return registry.problem(loss, "samples", intercept=intercept, sizes=(20, 5, 15), **options)


@pytest.mark.parametrize("loss", registry.LOSSES)
def test_without_lambda_it_is_a_column(loss):
    for engine in registry.ENGINES:
        free, column = (
            lg.run(rows_of(loss, name), lg.LocalGD(7, 0.1), rounds=20, loss=loss, engine=engine)
            for name in ("free", "column")
        )
        np.testing.assert_array_equal(free.weights, column.weights)


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize("sparse", [False, True])
def test_the_minimiser_has_no_gradient_and_runs_lead_there(loss, sparse):
    problem = rows_of(loss, "free", d=8)
    if sparse:
        rows = [
            (sp.csr_array(problem.X[problem.rows(i), :-1]), problem.y[problem.rows(i)])
            for i in range(3)
        ]
        problem = lg.Problem(rows, task=problem.task, labels=problem.labels, intercept="free")
    best = lg.reference.minimizer(problem, loss=loss, l2=0.1)
    assert best.grad_norm < 1e-14
    assert 0 <= best.gap < 1e-26
    assert best.margin_error < 1e-11
    np.testing.assert_array_equal(best.intercept, best.weights[-1])
    run = lg.run(
        problem, lg.Scaffold(5, 0.2), rounds=2500, loss=loss, l2=0.1, reference=best, record=()
    )
    assert run.history["distance"][-1] < 1e-12
    assert abs(run.history["suboptimality"][-1]) < 1e-14
    assert run.history["grad_norm"][-1] < 1e-12


@pytest.mark.parametrize("shape", [(60, 6), (9, 30)], ids=["tall", "wide"])
def test_the_minimisers_are_those_of_scikit_learn(shape):
    linear_model = pytest.importorskip("sklearn.linear_model")
    n, d = shape
    rng = np.random.default_rng(0)
    X, clients = rng.standard_normal((n, d)), np.arange(n) % 3
    v, l2 = rng.uniform(0.5, 2, n), 0.01
    score = X[:, 0] + 2 + rng.standard_normal(n)
    for loss, y in (("logistic", np.where(score > 1.5, 1.0, -1.0)), ("squared", score)):
        problem = lg.Problem.from_arrays(X, y, clients, sample_weight=v, intercept="free")
        best = lg.reference.minimizer(problem, loss=loss, l2=l2)
        if loss == "logistic":
            theirs = linear_model.LogisticRegression(
                C=1 / (l2 * v.sum()), solver="newton-cholesky", tol=1e-13
            ).fit(X, y, sample_weight=v)
        else:
            theirs = linear_model.Ridge(alpha=l2 * v.sum()).fit(X, y, sample_weight=v)
        np.testing.assert_allclose(best.weights[:-1], np.ravel(theirs.coef_), rtol=1e-8, atol=1e-9)
        assert best.intercept == pytest.approx(float(np.ravel(theirs.intercept_)[0]), rel=1e-8)


def test_the_gap_bounds_what_is_missing():
    from localgd.reference._losses import Margins
    from localgd.reference._regularised import _free_gap, _Penalty

    problem = rows_of("logistic", "free")
    best = lg.reference.minimizer(problem, loss="logistic", l2=0.1)
    Z, loss = problem.signed_rows, lg.losses.LOSSES["logistic"]
    objective = Margins(problem.row_weights, np.ones(len(Z)), loss)
    for size in (1e-1, 1e-2, 1e-3):
        w = best.weights + size * np.random.default_rng(1).standard_normal(best.weights.shape)
        value = objective.value(Z @ w) + 0.05 * np.sum(w[:-1] ** 2)
        gap, _ = _free_gap(Z, objective, _Penalty(0.1, True, 1), w)
        assert value - best.value <= gap * (1 + 10 * size)
        assert gap < 10 * (value - best.value)


def test_rows_without_a_label_have_no_minimiser():
    X = np.eye(3)
    for options in (
        {"y": [1.0, 1, 1], "task": "binary", "loss": "logistic"},
        {"y": [0, 1, 1], "task": "multiclass", "labels": [0, 1, 2], "loss": "softmax"},
        {"y": [0.0, 0, 0], "task": "regression", "loss": "poisson"},
    ):
        y, loss = options.pop("y"), options.pop("loss")
        problem = lg.Problem([(X, y)], intercept="free", **options)
        with pytest.raises(ValueError, match=r"with a free intercept the .* loss has no minimiser"):
            lg.reference.minimizer(problem, loss=loss, l2=0.1)


def test_a_huber_minimiser_is_found_from_far_away():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30, 4))
    y = X @ [1.0, 2, 3, 4] + 500
    problem = lg.Problem([(X, y)], intercept="free")
    best = lg.reference.minimizer(problem, loss="huber", l2=1e-3)
    assert best.grad_norm < 1e-13
    assert best.intercept == pytest.approx(500, abs=1)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_saved_runs_threads_and_checkpoints(engine, tmp_path):
    problem = registry.problem("logistic", intercept="free", sizes=(3,) * 70)
    method = lg.Scaffold(5, 0.3, participation=20)
    settings = {"loss": "logistic", "l2": 0.05, "engine": engine}
    whole = lg.run(problem, method, rounds=20, threads=1, **settings)
    registry.assert_same_bits(whole, lg.run(problem, method, rounds=20, threads=7, **settings))
    path = tmp_path / "run.npz"
    lg.run(problem, method, rounds=11, checkpoint=path, **settings)
    again = lg.run(problem, method, rounds=20, checkpoint=path, **settings)
    np.testing.assert_array_equal(whole.weights, again.weights)
    column = registry.problem("logistic", intercept="column", sizes=(3,) * 70)
    assert column.fingerprint != problem.fingerprint
    with pytest.raises(ValueError, match="checkpoint"):
        lg.run(column, method, rounds=30, checkpoint=path, **settings)


def test_the_offset_of_local_steps_is_foreseen():
    problem = rows_of("squared", "free")
    best = lg.reference.minimizer(problem, loss="squared", l2=0.1)
    method = lg.LocalGD(local_steps=20, lr=0.1)
    run = lg.run(problem, method, rounds=3000, loss="squared", l2=0.1, reference=best, record=())
    found = lg.analysis.local_offset(problem, method, best)
    np.testing.assert_allclose(run.weights, found.weights, atol=1e-12)
    assert found.distance == pytest.approx(run.history["distance"][-1], rel=1e-9)
    assert found.grad_norm == pytest.approx(run.history["grad_norm"][-1], rel=1e-9)
    assert found.distance > 1e-4


def test_rates_that_see_the_state_see_the_objective_without_the_intercept():
    problem, w = rows_of("logistic", "free"), np.array(INIT)
    seen = []
    settings = {"rounds": 1, "loss": "logistic", "l2": 0.3, "init": w, "record": (0,)}
    run = lg.run(
        problem,
        lg.GD(lambda loss, grad_norm: seen.append((loss, grad_norm)) or 0.1),
        **settings,
    )
    recorded = (run.history["loss"][0], run.history["grad_norm"][0])
    assert seen[0] == pytest.approx(recorded, rel=1e-13)
    shared = lg.run(problem, lg.GD(lg.RiskAdapted(0.1)), **settings)
    same = lg.run(problem, lg.GD(0.1 / recorded[0]), **settings)
    np.testing.assert_allclose(shared.weights, same.weights, rtol=1e-12)
    polyak = lg.run(problem, lg.GD(lg.Polyak()), **settings)
    same = lg.run(problem, lg.GD(recorded[0] / recorded[1] ** 2), **settings)
    np.testing.assert_allclose(polyak.weights, same.weights, rtol=1e-12)


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_measures_of_gradients_leave_the_intercept_out_of_lambda(loss):
    problem = rows_of(loss, "free")

    def mean_norm(gradients):
        return np.linalg.norm(np.tensordot(problem.weights, gradients, 1))

    run = lg.run(
        problem,
        lg.LocalGD(3, 0.1),
        rounds=20,
        loss=loss,
        l2=0.3,
        init=registry.model(loss, INIT),
        measures={"mean": mean_norm},
    )
    np.testing.assert_allclose(run.history["mean"], run.history["grad_norm"], rtol=1e-12)
