"""The objective with λ, and with weights of rows: every engine, loss, method, server and dtype."""

import itertools

import numpy as np
import pytest
import registry

import localgd as lg

L2, ROUNDS = 0.05, 60
INIT = (0.6, -0.8, 0.3, 0.0, 0.7)
CASES = [
    (case, loss, weights)
    for case in registry.METHODS
    if not case.solve
    for loss, weights in zip(case.losses, itertools.cycle(registry.WEIGHTS), strict=False)
]


@pytest.mark.parametrize(
    ("case", "loss", "weights"), CASES, ids=lambda value: getattr(value, "name", None)
)
def test_every_method_agrees_with_the_oracle(case, loss, weights):
    weights, init = registry.WEIGHTS[weights], registry.model(loss, INIT)
    settings = {"rounds": ROUNDS, "init": init, "record": (1, 2, 17, 59), "l2": L2}
    want = registry.expected(case, loss, weights=weights, rate=lambda k: 0.2, **settings)
    problem = registry.problem(loss, weights)
    for run, tolerance, where in registry.runs_of(case, loss, problem, 0.2, settings):
        registry.assert_close(run.weights, want.weights, tolerance, where)
        registry.assert_history(run, want, problem, tolerance, where)
        assert (run.coefficients is None) == (run.engine != "gram"), where


def weighted(loss, repeated, **options):
    """The same rows with whole weights, or each row as often as it weighs."""
    pairs = registry.clients(loss, sizes=(4, 6, 3))
    rng = np.random.default_rng(8)
    v = [rng.integers(1, 4, len(y)) for _, y in pairs]
    if repeated:
        pairs = [
            (np.repeat(X, n, axis=0), np.repeat(y, n)) for (X, y), n in zip(pairs, v, strict=True)
        ]
        return lg.Problem(pairs, task=registry.task(loss), **options)
    return lg.Problem(pairs, task=registry.task(loss), sample_weight=v, **options)


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize("weights", ["samples", "equal"])
def test_a_row_of_weight_two_is_the_row_twice(loss, weights):
    once, twice = weighted(loss, False, weights=weights), weighted(loss, True, weights=weights)
    np.testing.assert_allclose(once.weights, twice.weights, rtol=1e-15)
    for case in registry.METHODS:
        if case.batches or case.solve or loss not in case.losses:
            continue
        for engine, l2 in itertools.product(case.engines, (0.0, 0.05)):
            runs = [
                lg.run(problem, case.make(0.2), rounds=30, loss=loss, engine=engine, l2=l2, seed=2)
                for problem in (once, twice)
            ]
            where = f"{case.name}, {loss}, {engine}"
            registry.assert_close(runs[0].weights, runs[1].weights, 1e-11, where)
            for name in ("loss", "norm", "grad_variance", "drift"):
                one, other = (run.history[name] for run in runs)
                np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-14, err_msg=where)


def test_balanced_classes_count_the_same():
    X, y = np.eye(6), np.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
    problem = lg.Problem.from_arrays(X, y, [0, 0, 1, 1, 1, 0], class_weight="balanced")
    for label in (-1, 1):
        assert problem.row_weights[problem.y == label].sum() == pytest.approx(0.5)
    given = lg.Problem.from_arrays(X, y, [0, 0, 1, 1, 1, 0], class_weight={1: 0.75, -1: 1.5})
    np.testing.assert_allclose(given.row_weights, problem.row_weights, rtol=1e-15)


def test_lambda_is_known_to_presets_of_the_learning_rate():
    problem = registry.problem("logistic")
    H = lg.analysis.smoothness(problem, "logistic")
    settings = {"rounds": 5, "loss": "logistic", "l2": 0.3}
    named = lg.run(problem, lg.LocalGD(4, "1/H"), **settings)
    given = lg.run(problem, lg.LocalGD(4, 1 / (H + 0.3)), **settings)
    np.testing.assert_array_equal(named.weights, given.weights)


@pytest.mark.parametrize("loss", [loss for loss in registry.LOSSES if loss != "poisson"])
def test_lambda_from_the_smoothness_constant(loss):
    problem = registry.problem(loss)
    H = lg.analysis.smoothness(problem, loss)
    for l2, want in (
        ("κ=1e2", H / 99),
        ("kappa=100", H / 99),
        ("H/N", H / problem.n_samples),
        (0.25, 0.25),
    ):
        run = lg.run(problem, lg.LocalGD(2, "1/(LH)"), rounds=3, loss=loss, l2=l2)
        assert run.config["l2"] == pytest.approx(want, rel=1e-14)
        assert run.config["lr"] == pytest.approx(1 / (2 * (H + want)), rel=1e-14)
        same = lg.run(problem, lg.LocalGD(2, run.config["lr"]), rounds=3, loss=loss, l2=want)
        registry.assert_close(run.weights, same.weights, 1e-12, str(l2))


def test_named_lambda_in_a_sweep_and_in_the_reference():
    problem = registry.problem("logistic")
    best = lg.reference.minimizer(problem, loss="logistic", l2="κ=50")
    assert best.l2 == pytest.approx(lg.analysis.smoothness(problem, "logistic") / 49)
    run = lg.run(problem, lg.GD("1/H"), rounds=2000, loss="logistic", l2="κ=50", reference=best)
    assert run.history["suboptimality"][-1] < 1e-12
    table = lg.sweep(problem, lg.GD("1/H"), grid={"l2": ["κ=50", "H/N"]}, rounds=5, loss="logistic")
    assert [entry.values["l2"] for entry in table] == ["κ=50", "H/N"]
    assert [entry.status for entry in table] == ["completed"] * 2


@pytest.mark.parametrize("l2", ["κ=1", "κ=0.5", "κ=", "kappa=x", "N/H", "1e-3", "κ=inf", "κ=nan"])
def test_lambda_that_is_not_known(l2):
    problem = registry.problem("logistic")
    for asked in (
        lambda: lg.run(problem, lg.GD(1.0), rounds=1, loss="logistic", l2=l2),
        lambda: lg.reference.minimizer(problem, loss="logistic", l2=l2),
    ):
        with pytest.raises(
            ValueError, match=r"l2: got '.*'; want a finite number of at least 0, 'H"
        ):
            asked()
    with pytest.raises(TypeError, match=r"l2: got None; want a finite number of at least 0, 'H/N'"):
        lg.run(problem, lg.GD(1.0), rounds=1, loss="logistic", l2=None)


@pytest.mark.parametrize("threads", [2, 7])
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_the_bits_are_those_of_one_thread(engine, threads):
    rows = [(X, y) for X, y in registry.clients("logistic", sizes=(3,) * 70)]
    v = [np.linspace(0.5, 2.0, 3)] * 70
    problem = lg.Problem(rows, sample_weight=v)
    for method in (lg.LocalGD(5, 0.3), lg.Scaffold(5, 0.3, participation=20)):
        runs = [
            lg.run(problem, method, rounds=20, loss="logistic", l2=0.01, engine=engine, threads=n)
            for n in (1, threads)
        ]
        registry.assert_same_bits(*runs)


def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    problem = weighted("logistic", False)
    method = lg.Scaffold(5, 0.3, server=lg.ServerSGD(0.6, 0.5), participation=2)
    for engine in registry.ENGINES:
        settings = {"loss": "logistic", "l2": 0.02, "engine": engine, "record": (0, 9)}
        whole = lg.run(problem, method, rounds=30, **settings)
        path = tmp_path / f"{engine}.npz"
        lg.run(problem, method, rounds=11, checkpoint=path, **settings)
        again = lg.run(problem, method, rounds=30, checkpoint=path, **settings)
        np.testing.assert_array_equal(whole.weights, again.weights)
        with pytest.raises(ValueError, match="checkpoint"):
            lg.run(problem, method, rounds=30, checkpoint=path, **{**settings, "l2": 0.03})


def test_what_does_not_fit_is_refused():
    problem = registry.problem("logistic")
    for wrong in (-1e-9, np.nan, np.inf):
        with pytest.raises(ValueError, match="l2"):
            lg.run(problem, lg.LocalGD(2, 0.1), rounds=1, l2=wrong)
    with pytest.raises(lg.UnsupportedError, match="l2"):
        lg.run(problem, lg.LocalSolve(), rounds=1, l2=0.1)
    rows = [([[1.0, 0.0]], [1]), ([[0.0, 1.0], [1.0, 1.0]], [-1, 1])]
    with pytest.raises(ValueError, match="sample_weight: all rows of client 1 weigh 0"):
        lg.Problem(rows, sample_weight=[[1.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="sample_weight"):
        lg.Problem(rows, sample_weight=[[1.0], [1.0]])
    with pytest.raises(ValueError, match="sample_weight: -1 for row 2"):
        lg.Problem(rows, sample_weight=[[1.0], [1.0, -1.0]])
    with pytest.raises(ValueError, match="class_weight: there is no label 3"):
        lg.Problem(rows, class_weight={3: 1.0})
    with pytest.raises(lg.UnsupportedError, match="weights of their own"):
        weighted_rows = lg.Problem(rows, sample_weight=[[1.0], [1.0, 2.0]])
        lg.fast_forward(weighted_rows, lg.LocalGD(2, 0.1), rounds=10)


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize("shape", [(60, 6), (8, 30)], ids=["tall", "wide"])
def test_the_minimiser_has_no_gradient_and_every_start_leads_there(loss, shape):
    n, d = shape
    problem = registry.problem(loss, sizes=(n // 4, n // 2, n // 4), d=d)
    best = lg.reference.minimizer(problem, loss=loss, l2=0.1)
    assert best.grad_norm < 1e-14
    assert best.gap < 1e-26
    init = np.random.default_rng(0).standard_normal(problem.weights_shape)
    run = lg.run(
        problem, lg.GD(0.4), rounds=1500, loss=loss, l2=0.1, init=init, reference=best, record=()
    )
    assert run.history["distance"][-1] < 1e-12
    assert run.history["suboptimality"][-1] < 1e-14
    assert run.history["grad_norm"][-1] < 1e-12
    start = np.linalg.norm(init - best.weights)
    assert run.history["distance"][0] == pytest.approx(start, rel=1e-14)


def test_the_minimiser_of_many_unknowns_takes_products_of_the_hessian(monkeypatch):
    from localgd.reference import _regularised

    for loss in registry.LOSSES:
        problem = registry.problem(loss, sizes=(20, 30), d=12)
        factored = lg.reference.minimizer(problem, loss=loss, l2=1e-3)
        monkeypatch.setattr(_regularised, "LARGEST_HESSIAN", 3)
        iterated = lg.reference.minimizer(problem, loss=loss, l2=1e-3)
        monkeypatch.undo()
        assert iterated.grad_norm < 1e-12
        np.testing.assert_allclose(iterated.weights, factored.weights, atol=1e-9)


def test_the_minimiser_is_that_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    problem = registry.problem("logistic", "samples", sizes=(40, 25, 35))
    v = np.random.default_rng(1).uniform(0.5, 2.0, problem.n_samples)
    weighted_rows = lg.Problem.from_arrays(
        problem.X, problem.y, np.arange(problem.n_samples) % 3, sample_weight=v
    )
    l2 = 0.01
    best = lg.reference.minimizer(weighted_rows, loss="logistic", l2=l2)
    theirs = linear_model.LogisticRegression(
        C=1 / (l2 * v.sum()), fit_intercept=False, solver="newton-cholesky", tol=1e-13
    ).fit(problem.X, problem.y, sample_weight=v)
    np.testing.assert_allclose(theirs.coef_[0], best.weights, rtol=1e-9)


def test_control_variates_reach_the_minimiser_and_local_steps_alone_do_not():
    problem = registry.problem("logistic", "samples", sizes=(20, 5, 15))
    best = lg.reference.minimizer(problem, loss="logistic", l2=0.01)
    settings = {"rounds": 4000, "loss": "logistic", "l2": 0.01, "reference": best, "record": ()}
    for engine in registry.ENGINES:
        drifting = lg.run(problem, lg.LocalGD(20, 0.5), engine=engine, **settings)
        controlled = lg.run(problem, lg.Scaffold(20, 0.5), engine=engine, **settings)
        assert drifting.history["grad_norm"][-1] > 1e-4
        assert controlled.history["grad_norm"][-1] < 1e-12


def test_the_minimiser_of_another_objective_is_refused_as_reference():
    problem = registry.problem("logistic")
    best = lg.reference.minimizer(problem, loss="logistic", l2=0.01)
    with pytest.raises(ValueError, match="reference: got the minimiser for loss='logistic'"):
        lg.run(problem, lg.GD(0.1), rounds=1, loss="logistic", l2=0.02, reference=best)
    run = lg.run(problem, lg.GD(0.1), rounds=1, loss="logistic", l2=0.02, reference=best.weights)
    assert "suboptimality" not in run.history


def test_a_sweep_over_lambda():
    problem = registry.problem("logistic")
    table = lg.sweep(
        problem, lg.LocalGD(5, 0.3), grid={"l2": [0.0, 0.1]}, rounds=40, loss="logistic"
    )
    for entry, l2 in zip(table, (0.0, 0.1), strict=True):
        run = lg.run(problem, lg.LocalGD(5, 0.3), rounds=40, loss="logistic", l2=l2)
        assert entry.history["loss"][-1] == pytest.approx(run.history["loss"][-1], rel=1e-12)


def test_a_run_stops_when_a_column_is_small_enough(tmp_path):
    problem = registry.problem("logistic")
    settings = {"loss": "logistic", "l2": 0.1, "record": range(0, 500, 5)}
    whole = lg.run(problem, lg.GD(0.4), rounds=500, **settings)
    due = int(np.argmax(whole.history["grad_norm"] <= 1e-6))
    stops = [{"grad_norm": 1e-6}, lambda record: record["grad_norm"] <= 1e-6]
    for engine, stop in itertools.product(registry.ENGINES, stops):
        run = lg.run(problem, lg.GD(0.4), rounds=500, stop=stop, engine=engine, **settings)
        assert run.status == "completed"
        assert run.round == whole.history["round"][due] == run.history["round"][-1]
        assert run.message.startswith(f"stopped after round {run.round} of 500: ")
        assert len(run.history["loss"]) == due + 1
    best = lg.reference.minimizer(problem, loss="logistic", l2=0.1)
    for name in ("suboptimality", "distance"):
        run = lg.run(problem, lg.GD(0.4), rounds=500, reference=best, stop={name: 1e-4}, **settings)
        assert run.history[name][-1] <= 1e-4 < run.history[name][-2]
    at_once = lg.run(problem, lg.GD(0.4), rounds=500, stop={"loss": 1.0}, **settings)
    assert at_once.round == 0
    path = tmp_path / "run.npz"
    lg.run(problem, lg.GD(0.4), rounds=500, stop={"grad_norm": 1e-3}, checkpoint=path, **settings)
    on = lg.run(problem, lg.GD(0.4), rounds=500, checkpoint=path, **settings)
    np.testing.assert_array_equal(on.weights, whole.weights)


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ({"gradnorm": 1.0}, "stop: there is no column 'gradnorm'; want loss"),
        ({"angle": 1.0}, "stop: there is no column 'angle'"),
        ({"suboptimality": 1.0}, "stop: there is no column 'suboptimality'"),
        ({"loss": "small"}, "stop"),
        (1e-8, "stop: got 1e-08; want a mapping"),
    ],
)
def test_stops_that_do_not_fit_are_refused(stop, message):
    with pytest.raises((ValueError, TypeError), match=message):
        lg.run(registry.problem("logistic"), lg.GD(0.1), rounds=1, stop=stop)
