"""Learning rates that are too large: a status, a warning that names the round, the history kept."""

from functools import partial

import numpy as np
import oracle
import pytest
import registry

import localgd as lg

# Two clients that disagree, the first of which weighs more: large steps are wrong for the second.
ROWS = [(np.array([[1.0, 0.2]]), np.array([1.0])), (np.array([[-0.9, 0.3]]), np.array([1.0]))]
WEIGHTS = (0.9, 0.1)


def models_until_overflow(step, w):
    """w_0, w_1, … of the oracle as long as they are finite."""
    models = [np.array(w)]
    with np.errstate(over="raise", invalid="raise"):
        try:
            while len(models) < 100:
                models.append(step(ROWS, WEIGHTS, "exponential", models[-1], len(models))[0])
        except FloatingPointError:
            return models
    raise AssertionError("the oracle does not diverge")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", registry.ENGINES)
@pytest.mark.parametrize(("lr", "local_steps", "init"), [(3.0, 5, (0.0, -3.0)), (300.0, 1, (0, 0))])
def test_exponential_loss_diverges_in_the_round_of_the_oracle(
    engine, threads, lr, local_steps, init
):
    step = partial(oracle.local_gd_round, lr=lambda k: lr, local_steps=local_steps)
    models = models_until_overflow(step, init)
    last = len(models) - 1
    assert last >= 1
    message = (
        rf"diverged in round {last + 1} of 1,000: .* \(a margin below -709\); use a smaller lr"
    )
    with pytest.warns(RuntimeWarning, match=message):
        run = lg.run(
            lg.Problem(ROWS, weights=WEIGHTS),
            lg.LocalGD(local_steps=local_steps, lr=lr),
            rounds=1000,
            init=init,
            engine=engine,
            threads=threads,
            record=range(1000),
        )
    assert (run.status, run.round) == ("diverged", last)
    assert f"The result is that of round {last}" in run.message
    np.testing.assert_allclose(run.weights, models[last], rtol=1e-9)
    # The loss of the last model may be infinite already; such a record is left out.
    recorded = run.history["round"]
    assert recorded.tolist() == list(range(len(recorded)))
    assert len(recorded) >= last
    for k in recorded:
        loss, *_, norm, _ = oracle.measures(ROWS, WEIGHTS, "exponential", models[k], None)
        np.testing.assert_allclose(run.history["loss"][k], loss, rtol=1e-9)
        np.testing.assert_allclose(run.history["norm"][k], norm, rtol=1e-9)
    with pytest.raises(lg.DivergedError, match="diverged in round") as raised:
        run.raise_for_status()
    assert raised.value.round == last


@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_squared_loss_above_its_step_size_bound(engine, dtype):
    X = np.random.default_rng(1).standard_normal((12, 6))
    problem = lg.Problem.from_arrays(X, X.sum(axis=1) + 0.25, np.arange(12) % 3)
    bound = 2 / np.linalg.eigvalsh(X.T @ X / 12)[-1]
    stable, unstable = lg.GD(lr=0.95 * bound), lg.GD(lr=1.2 * bound)
    settings = {"rounds": 20_000, "loss": "squared", "engine": engine, "dtype": dtype}
    assert lg.run(problem, stable, **settings).status == "completed"
    with pytest.warns(RuntimeWarning, match=r"diverged in round [\d,]+ of 20,000"):
        run = lg.run(problem, unstable, **settings)
    assert run.status == "diverged"
    assert 50 < run.round < 20_000
    assert np.isfinite(run.weights).all()
    assert np.isfinite(run.coefficients).all()
    assert len(run.history["round"]) > 15
    assert np.isfinite(run.history["loss"]).all()
    assert run.history["loss"][-1] > 1e6 * run.history["loss"][0]


@pytest.mark.filterwarnings("ignore:diverged:RuntimeWarning")
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_result_of_a_diverged_run_is_that_of_its_last_whole_round(engine):
    settings = {"loss": "squared", "engine": engine, "record": []}
    problem = lg.Problem([([[1.0, 2.0]], [0.5]), ([[3.0, -1.0]], [0.25])])
    method = lg.LocalGD(local_steps=2, lr=1.5)
    run = lg.run(problem, method, rounds=10_000, **settings)
    assert run.status == "diverged"
    again = lg.run(problem, method, rounds=run.round, **settings)
    np.testing.assert_array_equal(run.weights, again.weights)
    np.testing.assert_array_equal(run.coefficients, again.coefficients)


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_nan_only_where_it_is_documented(engine, dtype, loss):
    run = lg.run(
        registry.problem(loss),
        lg.LocalGD(local_steps=2, lr=0.1),
        rounds=50,
        loss=loss,
        engine=engine,
        dtype=dtype,
        reference=np.ones(registry.problem(loss).weights_shape),
    )
    for name, column in run.history.items():
        assert np.isfinite(column[1:]).all(), name
        assert np.isnan(column[0]) == (name in ("margin", "angle", "drift")), name
    assert run.history["norm"][0] == 0


def test_logistic_loss_survives_huge_rates():
    """Its derivative is bounded: margins of ±1e6 are right or wrong, never NaN."""
    problem = lg.Problem(ROWS, weights=WEIGHTS)
    run = lg.run(problem, lg.LocalGD(local_steps=3, lr=1e6), rounds=500, loss="logistic")
    assert run.status == "completed"
    flat = run.history["grad_variance"] == 0  # no row is wrong: the gradient is 0 in float64
    assert flat.any()
    for name, column in run.history.items():
        compared = ~flat if name in ("grad_alignment", "grad_dissimilarity") else slice(1, None)
        assert np.isfinite(column[compared][1:]).all(), name


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_start_with_an_infinite_loss_is_refused(small_problem, engine):
    wrong = -1e5 * small_problem.signed_rows.sum(axis=0)
    with pytest.raises(ValueError, match="init: its exponential loss is not finite; start closer"):
        lg.run(small_problem, lg.GD(lr=0.1), rounds=5, init=wrong, engine=engine)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_float32_overflows_earlier(engine):
    """A margin of -100: exp(100) fits into float64 but not into float32."""
    problem, method = lg.Problem([([[1.0]], [1])]), lg.GD(lr=1e-43)
    settings = {"rounds": 5, "init": [-100.0], "engine": engine}
    assert lg.run(problem, method, **settings).status == "completed"
    with pytest.warns(RuntimeWarning, match=r"round 1 of 5: .*a margin below -88"):
        run = lg.run(problem, method, dtype="float32", **settings)
    assert (run.status, run.round, run.weights.tolist()) == ("diverged", 0, [-100.0])


def noisy(task):
    """Rows that no model separates."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 5)), rng.integers(0, 3, 30).astype(float)
    if task == "binary":
        y = np.where(y > 0, 1.0, -1.0)
    return lg.Problem([(X[:15], y[:15]), (X[15:], y[15:])], task=task)


BOUNDED = [("softmax", "multiclass"), ("logistic", "binary")]


@pytest.mark.parametrize(("loss", "task"), BOUNDED)
@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
@pytest.mark.parametrize("lr", [1e30, 1e300, 1.7e308])
def test_losses_that_cannot_overflow_diverge_as_well(loss, task, engine, dtype, lr):
    """Their derivatives are bounded: nothing overflows, but margins are lost in rounding."""
    with pytest.warns(RuntimeWarning, match="diverged (within|in round)"):
        run = lg.run(
            noisy(task), lg.LocalGD(5, lr), rounds=20, loss=loss, engine=engine, dtype=dtype
        )
    assert run.status == "diverged"
    assert np.isfinite(run.weights).all()
    with pytest.raises(lg.DivergedError, match="use a smaller lr"):
        run.raise_for_status()


@pytest.mark.filterwarnings("ignore:diverged:RuntimeWarning")
@pytest.mark.parametrize(("loss", "task"), BOUNDED)
def test_divergence_without_overflow_is_the_same_from_a_checkpoint_and_a_sweep(
    tmp_path, loss, task
):
    problem, options = noisy(task), {"rounds": 20, "loss": loss, "engine": "gram"}
    file = tmp_path / "c"
    statuses = [
        lg.run(problem, lg.LocalGD(5, 1e300), checkpoint=file, **options).status for _ in range(2)
    ]
    lrs = [0.1, *np.geomspace(1e250, 1e300, 9)]
    table = lg.sweep(problem, lg.LocalGD(5, 0.1), grid={"lr": lrs}, **options)
    statuses += [entry.status for entry in table]
    assert statuses == ["diverged"] * 2 + ["completed"] + ["diverged"] * 9


@pytest.mark.parametrize(("loss", "task"), BOUNDED)
def test_a_start_that_is_far_off_has_not_diverged(loss, task):
    """Its loss is as large, but it does not grow."""
    problem = noisy(task)
    init = np.full(problem.weights_shape, 1e20) * np.arange(problem.weights_shape[-1])
    run = lg.run(problem, lg.LocalGD(5, 0.1), rounds=20, loss=loss, init=init)
    assert run.status == "completed"


def test_huge_rates_that_separate_the_rows_are_no_divergence():
    problem = lg.Problem([([[1.0, 0.1]], [1]), ([[-1.0, 0.1]], [-1])])
    run = lg.run(problem, lg.GD(1e300), rounds=20, loss="logistic")
    assert (run.status, run.history["loss"][-1]) == ("completed", 0.0)
