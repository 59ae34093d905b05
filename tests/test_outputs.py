"""Regression with several targets of each row: models of a column for each."""

from __future__ import annotations

import itertools

import network_oracle
import numpy as np
import oracle
import pytest
import registry
import scipy.sparse as sp

import localgd as lg
from localgd.losses import client_gradients

TARGETS = 3
ROUNDS = 60
RECORD = (1, 2, 17, 59)
INIT = (0.6, -0.8, 0.3, 0.0, 0.7)
REST = [None, "column", "free"]  # intercepts
CASES = [
    (case, loss, weights)
    for case in registry.METHODS
    for loss, weights in zip(
        registry.REGRESSION, itertools.cycle(("given", "samples", "zero")), strict=False
    )
    if loss in case.losses
]


def name(value):
    return getattr(value, "name", None)


def problem_of(loss="squared", weights="samples", **shape):
    return registry.problem(loss, weights, targets=TARGETS, **shape)


def alone(problem, k, **options):
    """The same rows with one of the targets."""
    pairs = [
        (problem.X[problem.rows(i)], problem.y[problem.rows(i), k])
        for i in range(problem.n_clients)
    ]
    return lg.Problem(pairs, weights=problem.weights, task="regression", **options)


# -- Runs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "loss", "weights"), CASES, ids=name)
def test_every_method_agrees_with_the_oracle(case, loss, weights):
    weights, init = registry.WEIGHTS[weights], registry.model(loss, INIT, several=True)
    settings = {"rounds": ROUNDS, "init": init, "record": RECORD}
    want = registry.expected(
        case, loss, weights=weights, rate=lambda k: 0.2, targets=TARGETS, **settings
    )
    problem = problem_of(loss, weights)
    for run, tolerance, where in registry.runs_of(case, loss, problem, 0.2, settings):
        registry.assert_model(run, want, problem, init, tolerance, where)
        registry.assert_history(run, want, problem, tolerance, where)


@pytest.mark.parametrize("intercept", REST)
@pytest.mark.parametrize(
    ("case", "loss", "weights"), [c for c in CASES if not c[0].solve][::2], ids=name
)
def test_lambda_and_intercepts_agree_with_the_oracle(case, loss, weights, intercept):
    weights = registry.WEIGHTS[weights]
    settings = {"rounds": 30, "record": (1, 17), "l2": 0.05}
    shape = {"intercept": intercept, "targets": TARGETS}
    want = registry.expected(case, loss, weights=weights, rate=lambda k: 0.1, **settings, **shape)
    problem = registry.problem(loss, weights, **shape)
    for run, tolerance, where in registry.runs_of(case, loss, problem, 0.1, settings):
        registry.assert_close(run.weights, want.weights, tolerance, where)
        registry.assert_history(run, want, problem, tolerance, where)


@pytest.mark.parametrize("loss", registry.REGRESSION)
@pytest.mark.parametrize("case", [c for c in registry.METHODS if not c.solve], ids=name)
def test_weighted_and_sparse_rows_agree_with_repeated_dense_ones(case, loss):
    pairs = registry.clients(loss, sizes=(4, 6, 3), targets=TARGETS)
    rng = np.random.default_rng(8)
    v = [rng.integers(1, 4, len(y)) for _, y in pairs]
    dense = lg.Problem(pairs, task="regression", sample_weight=v)
    sparse = lg.Problem(
        [(sp.csr_array(X), y) for X, y in pairs], task="regression", sample_weight=v
    )
    repeated = lg.Problem(
        [
            (np.repeat(X, n, axis=0), np.repeat(y, n, axis=0))
            for (X, y), n in zip(pairs, v, strict=True)
        ],
        task="regression",
    )
    problems = [dense, sparse] if case.batches else [dense, sparse, repeated]
    for engine in case.engines:
        runs = [
            lg.run(p, case.make(0.2), rounds=20, loss=loss, engine=engine, l2=0.02, seed=2)
            for p in problems
        ]
        for other in runs[1:]:
            where = f"{engine}, {other.config['problem']}"
            registry.assert_close(other.weights, runs[0].weights, 1e-10, where)
            for column in ("loss", "norm", "grad_norm", "grad_variance"):
                np.testing.assert_allclose(
                    other.history[column], runs[0].history[column], rtol=1e-8, atol=1e-14
                )


METHODS = {
    "GD": lg.GD(0.3),
    "LocalGD": lg.LocalGD(40, 0.1),
    "LocalSGD": lg.LocalSGD(4, 0.1, batch_size=2),
    "Scaffold": lg.Scaffold(5, 0.2, participation=2),
    "FedProx": lg.FedProx(12, 0.2, mu=0.3),
    "LocalSolve": lg.LocalSolve(),
    "adam": lg.LocalGD(3, 0.1, server=lg.ServerAdam(0.03)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", registry.REGRESSION)
@pytest.mark.parametrize("dtype", registry.DTYPES)
def test_a_run_is_a_run_of_each_target(method, loss, dtype):
    if method == "LocalSolve" and loss in registry.UNSOLVED:
        return
    engines = {"LocalSolve": ("gram", "hybrid"), "adam": ("primal",)}.get(method, registry.ENGINES)
    problem = problem_of(loss, (0.5, 2.0, 0.25), sizes=(7, 20, 9), d=40)
    for engine in engines:
        settings = {
            **{"rounds": 50, "loss": loss, "engine": engine, "dtype": dtype},
            **{"seed": 3, "record": (10, 50)},
        }
        run = lg.run(problem, METHODS[method], **settings)
        each = [lg.run(alone(problem, k), METHODS[method], **settings) for k in range(TARGETS)]
        tolerance = 1e-12 if dtype == "float64" else 2e-5
        for k, own in enumerate(each):
            registry.assert_close(run.weights[:, k], own.weights, tolerance, f"{engine}, {k}")
        registry.assert_close(
            run.history["loss"], sum(own.history["loss"] for own in each), tolerance, engine
        )
        squares = sum(own.history["norm"] ** 2 for own in each)
        registry.assert_close(run.history["norm"] ** 2, squares, tolerance, engine)


@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("engine", ["gram", "hybrid"])
def test_many_targets_read_blocks_in_another_order(engine, dtype):
    """From four of them on, and 96 rows."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((330, 12)) / 3, rng.standard_normal((330, 13))
    problem = lg.Problem.from_arrays(X, y, np.repeat(np.arange(3), (100, 130, 100)))
    for method in (METHODS["LocalGD"], METHODS["LocalSGD"], METHODS["Scaffold"]):
        settings = {"rounds": 20, "loss": "squared", "engine": engine, "dtype": dtype}
        run = lg.run(problem, method, every_step=True, **settings)
        for k in range(13):
            own = lg.run(alone(problem, k), method, every_step=True, **settings)
            tolerance = 1e-12 if dtype == "float64" else 2e-5
            registry.assert_close(run.weights[:, k], own.weights, tolerance, f"{method}, {k}")


@pytest.mark.parametrize("engine", registry.ENGINES)
@pytest.mark.parametrize("method", METHODS)
def test_bits_depend_neither_on_threads_nor_on_an_interruption(method, engine, tmp_path):
    if (method, engine) in {("LocalSolve", "primal"), ("adam", "gram"), ("adam", "hybrid")}:
        return
    problem = problem_of(sizes=(7, 20, 9, 3, 1), d=40)
    settings = {"loss": "squared", "engine": engine, "seed": 3}
    whole = lg.run(problem, METHODS[method], rounds=30, threads=1, **settings)
    for threads in (2, 7):
        other = lg.run(problem, METHODS[method], rounds=30, threads=threads, **settings)
        registry.assert_same_bits(whole, other)
    path = tmp_path / "run.npz"
    lg.run(problem, METHODS[method], rounds=11, checkpoint=path, **settings)
    resumed = lg.run(problem, METHODS[method], rounds=30, checkpoint=path, **settings)
    np.testing.assert_array_equal(resumed.weights, whole.weights)


def test_targets_in_any_units_are_as_exact_as_alone():
    """Also where steps are extrapolated, whose error is not hidden by the largest target."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 60)) / 8
    units = np.array([1.0, 1e6, 1e-6])
    y = (X @ rng.standard_normal((60, 3)) + rng.standard_normal((90, 3))) * units
    clients = np.arange(90) % 3
    problem = lg.Problem.from_arrays(X, y, clients)
    for engine, dtype, steps in itertools.product(registry.ENGINES, registry.DTYPES, (12, 60)):
        settings = {"rounds": 40, "loss": "squared", "engine": engine, "dtype": dtype}
        run = lg.run(problem, lg.LocalGD(steps, 0.05), **settings)
        for k in range(3):
            own = lg.run(alone(problem, k), lg.LocalGD(steps, 0.05), **settings)
            tolerance = 1e-11 if dtype == "float64" else 1e-4
            registry.assert_close(run.weights[:, k], own.weights, tolerance, f"{engine} {dtype}")


def test_rates_that_see_the_loss_see_that_of_all_targets():
    problem = problem_of(sizes=(7, 20, 9))
    rule = lg.LocalGD(3, lr=lambda round, loss, grad_norm: 0.1 / (1 + loss))
    runs = [
        lg.run(problem, rule, rounds=20, loss="squared", engine=engine)
        for engine in registry.ENGINES
    ]
    rows = registry.clients("squared", sizes=(7, 20, 9), targets=TARGETS)
    p, w = problem.weights, np.zeros(problem.weights_shape)
    for k in range(20):
        f = sum(
            p_i * oracle.LOSSES["squared"].value(*pair, w)
            for p_i, pair in zip(p, rows, strict=True)
        )
        w, _ = oracle.local_gd_round(
            rows, p, "squared", w, k, lr=lambda _, f=f: 0.1 / (1 + f), local_steps=3
        )
    for run in runs:
        registry.assert_close(run.weights, w, 1e-10, run.engine)
    least = lg.reference.minimizer(problem, loss="squared").value
    polyak = lg.run(problem, lg.GD(lg.Polyak(f_star=least)), rounds=500, loss="squared")
    assert polyak.history["loss"][-1] == pytest.approx(least, rel=1e-12)


def test_runs_of_a_sweep_are_single_runs():
    problem = problem_of(sizes=(7, 20, 9))
    grid = {"lr": [0.1, 0.2, 0.3]}
    table = lg.sweep(problem, lg.LocalGD(3, 0.1), grid=grid, rounds=20, loss="squared")
    for entry, lr in zip(table, grid["lr"], strict=True):
        run = lg.run(problem, lg.LocalGD(3, lr), rounds=20, loss="squared")
        assert entry.status == "completed"
        np.testing.assert_allclose(entry.history["loss"], run.history["loss"], rtol=1e-12)


def test_what_a_run_offers(tmp_path):
    problem = problem_of(sizes=(7, 20, 9), intercept="column")
    X, y = np.ones((2, 4)), np.zeros((2, TARGETS))
    best = lg.reference.minimizer(problem, loss="squared", l2=0.1)
    run = lg.run(
        problem,
        lg.Scaffold(5, 0.2),
        rounds=5000,
        loss="squared",
        l2=0.1,
        reference=best,
        test=(X, y),
        stop={"grad_norm": 1e-12},
        measures={"largest": lambda weights: np.abs(weights).max()},
        keep_weights=True,
    )
    assert "margin" not in run.history
    assert run.history["distance"][-1] < 1e-10
    assert run.history["angle"][-1] < 1e-10
    assert run.weights.shape == run.recorded_weights[0].shape == (5, TARGETS)
    np.testing.assert_array_equal(run.history["largest"][-1], np.abs(run.weights).max())
    predicted = run.predict(X)
    assert predicted.shape == (2, TARGETS)
    np.testing.assert_allclose(predicted, X @ run.weights[:4] + run.weights[4], rtol=1e-14)
    np.testing.assert_array_equal(run.decision_function(X), predicted)
    np.testing.assert_allclose(
        run.history["test_loss"][-1], 0.5 * (predicted**2).sum(axis=1).mean(), rtol=1e-12
    )
    again = lg.load(run.save(tmp_path / "run.npz"))
    np.testing.assert_array_equal(again.predict(X), predicted)
    with pytest.raises(lg.UnsupportedError, match="numbers"):
        lg.evaluate(run, problem)
    scores = lg.analysis.client_scores(problem, run.weights, "squared")
    assert scores.accuracy is None
    np.testing.assert_allclose(
        problem.weights @ scores.loss + 0.05 * np.sum(run.weights**2), run.history["loss"][-1]
    )
    for draw in (lg.plot.convergence, lg.plot.clients):
        draw(run if draw is lg.plot.convergence else problem)


def test_counts_are_predicted_by_their_means():
    problem = problem_of("poisson", sizes=(7, 20, 9))
    run = lg.run(problem, lg.GD(0.1), rounds=20, loss="poisson")
    np.testing.assert_allclose(run.predict(np.eye(5)), np.exp(run.weights), rtol=1e-14)


def test_a_loss_of_ones_own_takes_one_target_after_the_other():
    problem = problem_of(sizes=(7, 20, 9), d=40)
    own = lg.Loss(
        value=lambda u, y: (u - y) ** 2 / 2,
        slope=lambda u, y: u - y,
        curvature=lambda u, y: 0 * u + 1,
        largest_curvature=1.0,
        concordance=0.0,
    )
    for method in (lg.LocalGD(4, 0.1), lg.LocalSGD(4, 0.1, batch_size=2)):
        for engine in registry.ENGINES:
            settings = {"rounds": 20, "engine": engine, "seed": 1}
            got = lg.run(problem, method, loss=own, **settings)
            want = lg.run(problem, method, loss="squared", **settings)
            registry.assert_close(got.weights, want.weights, 1e-12, engine)
            registry.assert_close(got.history["loss"], want.history["loss"], 1e-12, engine)
    got, want = (lg.reference.minimizer(problem, loss=loss, l2=0.1) for loss in (own, "squared"))
    registry.assert_close(got.weights, want.weights, 1e-12, "minimizer")


@pytest.mark.parametrize("engine", ["hybrid", "primal"])
@pytest.mark.parametrize("loss", registry.REGRESSION)
@pytest.mark.parametrize("method", ["GD", "LocalSGD: replacement", "Scaffold: unequal", "FedGA"])
def test_networks_of_several_targets_agree_with_the_oracle(method, loss, engine):
    case, rows = registry.MethodCase(method), registry.clients(loss, targets=TARGETS)
    problem = problem_of(loss, (0.5, 2.0, 0.25))
    rng, hidden = np.random.default_rng(5), 4
    layers = rng.standard_normal((5, hidden)) / 2, rng.standard_normal((hidden, TARGETS)) / 8
    theta = np.concatenate([layer.ravel() for layer in layers])
    target = network_oracle.NetworkObjective(
        "network", 0.1, of=loss, hidden=hidden, outputs=TARGETS, activation="tanh"
    )
    want = oracle.simulate(
        rows,
        problem.weights,
        loss=target,
        step=case.step(lambda k: 0.02, problem.weights),
        rounds=25,
        init=theta,
        shares=registry.shares(problem, case.make(0.02), 25),
    )
    run = lg.run(
        problem,
        case.make(0.02),
        **{"rounds": 25, "loss": loss, "l2": 0.1, "engine": engine, "seed": registry.SEED},
        model=lg.TwoLayer(hidden, "tanh"),
        init=layers,
    )
    registry.assert_close(run.weights, want.weights, 1e-9, engine)
    registry.assert_close(run.history["loss"][-1:], want.history["loss"][-1:], 1e-9, engine)
    assert run.predict(np.eye(5)).shape == (5, TARGETS)


# -- Fast-forward ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        lg.GD(0.3),
        lg.LocalGD(5, 0.1),
        lg.LocalGD(5, 0.1, server=lg.ServerSGD(0.7, momentum=0.5)),
        lg.ModifiedLocalGD(5, 0.1),
        lg.Scaffold(3, 0.1),
        lg.FedGA(3, 0.1, beta=0.2),
    ],
    ids=repr,
)
def test_fast_forward_takes_powers_of_one_round_map(method):
    problem = problem_of(weights=(0.5, 2.0, 0.25))
    init = registry.model("squared", INIT, several=True)
    settings = {"loss": "squared", "init": init, "record": (1, 10, 300)}
    far = lg.fast_forward(problem, method, rounds=300, **settings)
    run = lg.run(problem, method, rounds=300, **settings)
    registry.assert_close(far.weights, run.weights, 1e-9, "weights")
    for column in ("loss", "norm", "grad_norm"):
        registry.assert_close(far.history[column], run.history[column], 1e-8, column)
    np.testing.assert_allclose(far.history["drift"], run.history["drift"], rtol=1e-6, atol=1e-14)
    moved = problem.X.T @ far.coefficients
    registry.assert_close(init + moved, far.weights, 1e-9, "coefficients")


def test_fast_forward_with_lambda_and_what_it_refuses():
    problem = problem_of(weights=(0.5, 2.0, 0.25))
    far = lg.fast_forward(problem, lg.Scaffold(3, 0.1), rounds=1e9, loss="squared", l2=0.1)
    best = lg.reference.minimizer(problem, loss="squared", l2=0.1)
    np.testing.assert_allclose(far.weights, best.weights, rtol=1e-7, atol=1e-9)
    for loss, why in (("huber", "jumps"), ("poisson", "geometrically")):
        with pytest.raises(lg.UnsupportedError, match=why):
            lg.fast_forward(problem_of(loss), lg.GD(0.1), rounds=1e9, loss=loss)


# -- References ------------------------------------------------------------------------------------


@pytest.mark.parametrize("intercept", REST)
@pytest.mark.parametrize("loss", registry.REGRESSION)
@pytest.mark.parametrize("sparse", [False, True])
def test_the_minimiser_is_that_of_each_target(loss, intercept, sparse):
    pairs = registry.clients(loss, sizes=(20, 5, 15), d=8, targets=TARGETS)
    rng = np.random.default_rng(1)
    v = [rng.uniform(0.5, 2, len(y)) for _, y in pairs]
    options = {"weights": (0.5, 2.0, 0.25), "task": "regression", "sample_weight": v}
    options["intercept"] = intercept
    stored = sp.csr_array if sparse else np.array
    problem = lg.Problem([(stored(X), y) for X, y in pairs], **options)
    for l2 in (0.1, 0.0):
        if l2 == 0 and loss == "huber":
            continue
        best = lg.reference.minimizer(problem, loss=loss, l2=l2)
        each = [
            lg.reference.minimizer(
                lg.Problem([(stored(X), y[:, k]) for X, y in pairs], **options), loss=loss, l2=l2
            )
            for k in range(TARGETS)
        ]
        np.testing.assert_array_equal(best.weights, np.stack([m.weights for m in each], axis=1))
        assert best.value == pytest.approx(sum(m.value for m in each), rel=1e-14)
        assert best.gap == sum(m.gap for m in each)
        assert best.rank == each[0].rank
        gradients = client_gradients(problem, loss, l2, best.weights)
        length = np.linalg.norm(np.tensordot(problem.weights, gradients, 1))
        assert length == pytest.approx(best.grad_norm, abs=1e-13)
        assert best.grad_norm < 1e-12
        if intercept is not None:
            np.testing.assert_array_equal(best.intercept, best.weights[-1])


def test_the_time_of_a_minimiser_is_that_of_all_targets():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4000, 300)), rng.poisson(1.0, (4000, TARGETS)).astype(float)
    problem = lg.Problem([(X, y)], task="regression")
    with pytest.raises(lg.TimeLimitError) as caught:
        lg.reference.minimizer(problem, loss="poisson", l2=0.1, time_limit=1e-9)
    assert caught.value.best.shape == problem.weights_shape


@pytest.mark.parametrize("sparse", [False, True])
def test_the_interpolant_of_least_norm_is_that_of_numpy(sparse):
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((9, 30)), rng.standard_normal((9, TARGETS))
    if sparse:
        X[rng.random(X.shape) < 0.5] = 0
    init = rng.standard_normal((30, TARGETS))
    stored = sp.csr_array(X) if sparse else X
    problem = lg.Problem.from_arrays(stored, y, np.arange(9) % 2)
    for start in (None, init):
        found = lg.reference.min_norm(problem, init=start)
        w0 = np.zeros((30, TARGETS)) if start is None else start
        want = w0 + np.linalg.pinv(X) @ (y - X @ w0)
        np.testing.assert_allclose(found.weights, want, rtol=1e-10, atol=1e-12)
        assert found.residual < 1e-12
        assert found.row_space_residual < 1e-12
        run = lg.run(problem, lg.GD("1/H"), rounds=5000, loss="squared", init=start)
        np.testing.assert_allclose(run.weights, want, rtol=1e-8, atol=1e-10)
    with pytest.raises(ValueError, match="init: got shape"):
        lg.reference.min_norm(problem, init=init[:, 0:2])
    tall = lg.Problem.from_arrays(X.T, rng.standard_normal((30, TARGETS)), np.arange(30) % 2)
    with pytest.raises(ValueError, match="no w interpolates"):
        lg.reference.min_norm(tall)


# -- Problems --------------------------------------------------------------------------------------


def test_problems_hold_several_targets():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 2)), rng.standard_normal((6, TARGETS))
    ids = np.array([1, 0, 1, 0, 0, 1])
    problem = lg.Problem.from_arrays(X, y, ids)
    assert problem.task == "regression"
    assert (problem.n_outputs, problem.weights_shape) == (TARGETS, (2, TARGETS))
    np.testing.assert_array_equal(problem.y, y[problem.row_order])
    assert not problem.y.flags.writeable
    for order in "CF":  # the caller's array stays the caller's
        own = np.array(y, order=order)
        lg.Problem.from_arrays(X, own, np.sort(ids))
        own[0] = 0.0
    assert repr(problem) == (
        "Problem(regression of 3 targets: 2 clients, 6 rows (3 per client), 2 features)"
    )
    same = lg.Problem([(X[ids == k], y[ids == k]) for k in (0, 1)])
    assert same.fingerprint == problem.fingerprint
    other = lg.Problem.from_arrays(X, y[:, ::-1], ids)
    assert other.fingerprint != problem.fingerprint
    one = lg.Problem.from_arrays(X, y[:, :1], ids)
    assert (one.n_outputs, one.weights_shape) == (1, (2, 1))
    assert one.fingerprint != lg.Problem.from_arrays(X, y[:, 0], ids).fingerprint
    run = lg.run(one, lg.LocalGD(3, 0.1), rounds=5, loss="squared")
    flat = lg.run(alone(one, 0), lg.LocalGD(3, 0.1), rounds=5, loss="squared")
    np.testing.assert_array_equal(run.weights[:, 0], flat.weights)
    assert run.predict(X).shape == (6, 1)


def test_kernel_problems_have_coefficients_of_each_target():
    rng = np.random.default_rng(0)
    A, y = rng.standard_normal((6, 9)), rng.standard_normal((6, TARGETS))
    ids = np.arange(6) % 2
    kernel = lg.Problem.from_gram(A @ A.T, y, ids)
    run = lg.run(kernel, lg.LocalGD(3, 0.01), rounds=20, loss="squared")
    plain = lg.run(lg.Problem.from_arrays(A, y, ids), lg.LocalGD(3, 0.01), rounds=20, engine="gram")
    assert run.weights is None
    registry.assert_close(run.coefficients, plain.coefficients, 1e-10, "coefficients")


def test_tables_name_the_columns_of_targets():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((20, 5)), columns=list("abcde"))
    frame["who"] = np.arange(20) % 3
    problem = lg.Problem.from_frame(frame, label=["d", "b"], client="who", scale=None)
    assert problem.feature_names == ("a", "c", "e")
    np.testing.assert_array_equal(problem.y, frame[["d", "b"]].to_numpy()[problem.row_order])
    run = lg.run(problem, lg.LocalGD(3, 0.1), rounds=9, loss="squared", test=frame)
    np.testing.assert_allclose(run.history["test_loss"][-1], run.history["loss"][-1], rtol=1e-12)
    assert run.predict(frame).shape == (20, 2)
    for label, why in (
        (["d", "d"], "a list of several"),
        (["d", "x"], "no column 'x'"),
        ([], "a list"),
    ):
        with pytest.raises(ValueError, match=why):
            lg.Problem.from_frame(frame, label=label, client="who")
    frame["b"] = "text"
    with pytest.raises(TypeError, match="column 'b': want numbers"):
        lg.Problem.from_frame(frame, label=["d", "b"], client="who")


def test_schemes_deal_rows_of_several_targets_unless_they_go_by_it():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal((40, TARGETS))
    deals = (
        lg.Iid(),
        lg.Quantity(0.5),
        lg.FeatureShift(0.1),
        lg.Contiguous(),
        registry.deal_in_turn,
    )
    for scheme in (*deals, lg.Natural(np.arange(40) % 4)):
        problem = lg.partition(X, y, n_clients=4, scheme=scheme)
        np.testing.assert_array_equal(problem.y, y[problem.row_order])
        anew = lg.partition(problem, n_clients=4, scheme=lg.Iid(), seed=1)
        assert anew.weights_shape == problem.weights_shape
    for scheme in (lg.ByTarget(0.3), lg.Shards(2), lg.Contiguous(sort="label")):
        with pytest.raises(ValueError, match="goes by the target and rows have 3"):
            lg.partition(X, y, n_clients=4, scheme=scheme)
    for scheme in (lg.Dirichlet(0.3), lg.ByClass(1)):
        with pytest.raises(ValueError, match="goes by class and the task is regression"):
            lg.partition(X, y, n_clients=4, scheme=scheme)


X2, Y2 = np.eye(4, 2), np.arange(8.0).reshape(4, 2) / 3


@pytest.mark.parametrize(
    ("make", "error", "why"),
    [
        (
            lambda: lg.Problem([(X2, np.ones((4, 2)))]),
            ValueError,
            "of whole numbers; want one label",
        ),
        (lambda: lg.Problem([(X2, Y2)], task="binary"), ValueError, "want one label of each row"),
        (lambda: lg.Problem([(X2, Y2)], labels=[0, 1]), ValueError, "want one label of each row"),
        (lambda: lg.Problem([(X2, Y2 > 1)]), ValueError, "want 1 dimension"),
        (lambda: lg.Problem([(X2, Y2[:, :0])]), ValueError, "want 1 dimension"),
        (lambda: lg.Problem([(X2, np.zeros((4, 2, 2)))]), ValueError, "want 1 dimension"),
        (lambda: lg.Problem([(X2, np.array([["a", "b"]] * 4))]), ValueError, "want 1 dimension"),
        (lambda: lg.Problem([(X2, Y2[:3])]), ValueError, "4 rows but 3 labels"),
        (lambda: lg.Problem([(X2, np.where(Y2 > 2, np.nan, Y2))]), ValueError, "row 3, column 1"),
        (
            lambda: lg.Problem([(X2, Y2), (X2, Y2[:, :1])]),
            ValueError,
            "client 1 has 1 targets and client 0 2 targets",
        ),
        (
            lambda: lg.Problem([(X2, Y2), (X2, Y2[:, 0])]),
            ValueError,
            "client 1 has one label or target and client 0 2 targets",
        ),
        (
            lambda: lg.Problem([(X2, Y2)], class_weight="balanced"),
            ValueError,
            "the task is regression",
        ),
        (lambda: lg.Problem([(X2, Y2)], sample_weight=[Y2]), ValueError, "sample_weight"),
        (
            lambda: lg.run(lg.Problem([(X2, Y2)]), lg.GD(0.1), rounds=1, loss="logistic"),
            ValueError,
            "does not fit a regression task",
        ),
        (
            lambda: lg.run(lg.Problem([(X2, -Y2)]), lg.GD(0.1), rounds=1, loss="poisson"),
            ValueError,
            "wants targets of at least 0",
        ),
        (
            lambda: lg.run(lg.Problem([(X2, Y2)]), lg.GD(0.1), rounds=1, init=np.zeros(2)),
            ValueError,
            "init",
        ),
        (
            lambda: lg.run(lg.Problem([(X2, Y2)]), lg.GD(0.1), rounds=1, test=(X2, Y2[:, 0])),
            ValueError,
            "rows have one label or target; the problem's have 2 targets",
        ),
        (
            lambda: lg.run(lg.Problem([(X2, Y2[:, 0])]), lg.GD(0.1), rounds=1, test=(X2, Y2)),
            ValueError,
            "rows have 2 targets; the problem's have one label or target",
        ),
        (
            lambda: lg.analysis.local_offset(
                lg.Problem([(X2, Y2)]),
                lg.LocalGD(2, 0.1),
                lg.reference.minimizer(lg.Problem([(X2, Y2)]), loss="squared", l2=0.1),
            ),
            ValueError,
            "want a model of one output",
        ),
        (lambda: lg.reference.max_margin(lg.Problem([(X2, Y2)])), ValueError, "regression"),
        (lambda: lg.plot.margins(lg.Problem([(X2, Y2)]), [1.0, 1.0]), ValueError, "binary"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, why):
    with pytest.raises(error, match=why):
        make()


# -- The estimator ---------------------------------------------------------------------------------


def test_the_estimator_is_ridge_regression_of_all_targets():
    linear_model = pytest.importorskip("sklearn.linear_model")
    from localgd.sklearn import FederatedRegressor

    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    y = (
        X @ rng.standard_normal((4, TARGETS))
        + [3.0, -1.0, 0.0]
        + rng.standard_normal((60, TARGETS))
    )
    v = rng.uniform(0.5, 2, 60)
    for fit_intercept in (True, False):
        for targets in (y, y[:, :1], y[:, 0]):
            model = FederatedRegressor(l2=0.1, tol=1e-11, fit_intercept=fit_intercept)
            model.fit(X, targets, sample_weight=v)
            ridge = linear_model.Ridge(alpha=0.1 * v.sum(), fit_intercept=fit_intercept)
            ridge.fit(X, targets, sample_weight=v)
            assert model.coef_.shape == (*targets.shape[1:], 4)
            for got, want in ((model.coef_, ridge.coef_), (model.intercept_, ridge.intercept_)):
                got, want = np.squeeze(got), np.squeeze(want)
                np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)
            assert model.predict(X).shape == targets.shape
            np.testing.assert_allclose(model.score(X, targets), ridge.score(X, targets), rtol=1e-7)
    with pytest.raises(lg.UnsupportedError, match="numbers"):
        lg.evaluate(model, X, y)
