"""Further measures of a run: held-out rows, the residual, functions of the user, and bytes."""

import numpy as np
import pytest
import registry

import localgd as lg

METHOD = lg.LocalGD(local_steps=5, lr=1.0)


def test_functions_of_the_weights_are_recorded(small_problem):
    run = lg.run(
        small_problem,
        METHOD,
        rounds=50,
        measures={"first": lambda w: w[0], "size": lambda w: np.linalg.norm(w)},
        keep_weights=True,
    )
    np.testing.assert_array_equal(run.history["first"], run.recorded_weights[:, 0])
    np.testing.assert_allclose(run.history["size"], run.history["norm"], rtol=1e-14)


@pytest.mark.parametrize("record", [None, [3, 10], [0], range(30)])
def test_measures_change_nothing_else(small_problem, record):
    settings = {"rounds": 30, "record": record}
    plain = lg.run(small_problem, METHOD, **settings)
    more = lg.run(small_problem, METHOD, measures={"one": lambda w: 1.0}, **settings)
    assert (more.history.pop("one") == 1.0).all()
    registry.assert_same_bits(plain, more)


def test_accuracy_on_held_out_rows():
    X, y = lg.datasets.load_digits(classes=(3, 8))
    problem = lg.partition(X[:200], y[:200], n_clients=4, seed=0)
    run = lg.run(problem, METHOD, rounds=100, test=(X[200:], y[200:]))
    at_zero = lg.run(problem, METHOD, rounds=0).predict(X[200:])
    assert run.history["test_accuracy"][0] == np.mean(at_zero == y[200:]) > 0.4
    wanted = np.mean(np.sign(X[200:] @ run.weights) == y[200:])
    assert run.history["test_accuracy"][-1] == wanted > 0.9


def test_accuracy_of_several_classes():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    y = np.arange(60) % 3
    problem = lg.Problem.from_arrays(X[:40], y[:40], np.arange(40) % 4)
    run = lg.run(problem, METHOD, rounds=100, test=(X[40:], y[40:]))
    wanted = np.mean(np.argmax(X[40:] @ run.weights, axis=1) == y[40:])
    assert run.history["test_accuracy"][-1] == wanted


def test_loss_on_held_out_rows_of_a_regression():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((9, 4)), rng.standard_normal(9)
    run = lg.run(lg.Problem([(X[:6], y[:6])]), lg.GD(lr=0.1), rounds=10, test=(X[6:], y[6:]))
    wanted = 0.5 * np.mean((X[6:] @ run.weights - y[6:]) ** 2)
    np.testing.assert_allclose(run.history["test_loss"][-1], wanted, rtol=1e-14)


def test_residual_and_its_distance_to_the_limit():
    problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
    limit = lg.reference.asymptote(problem)
    ref = lg.reference.max_margin(problem)
    run = lg.run(problem, METHOD, rounds=3000, asymptote=limit, record=[0, 1, 1000, 3000])
    history = run.history
    rho = run.weights - ref.weights * np.log(5 * 3000)
    np.testing.assert_allclose(history["residual"][-1], np.linalg.norm(rho), rtol=1e-12)
    assert np.isnan(history["residual"][0])
    basis = limit.basis
    left = basis @ rho - basis @ limit.rho
    wanted = np.linalg.norm(left) / np.linalg.norm(limit.rho)
    np.testing.assert_allclose(history["residual_distance"][-1], wanted, rtol=1e-10)
    assert history["residual_distance"][-1] < history["residual_distance"][-2] < 0.5


@pytest.mark.parametrize("stop", [0, 17, 100])
def test_measures_go_through_a_checkpoint(small_problem, tmp_path, stop):
    settings = {"measures": {"first": lambda w: w[0]}, "engine": "gram"}
    whole = lg.run(small_problem, METHOD, rounds=150, **settings)
    file = tmp_path / "run.ckpt"
    lg.run(small_problem, METHOD, rounds=stop, checkpoint=file, **settings)
    again = lg.run(small_problem, METHOD, rounds=150, checkpoint=file, **settings)
    registry.assert_same_bits(again, whole)
    with pytest.raises(ValueError, match=r"another run \(different: measures\)"):
        lg.run(small_problem, METHOD, rounds=150, checkpoint=file, engine="gram")


def test_measures_of_an_interrupted_run(small_problem):
    stops = iter([KeyboardInterrupt])

    def first(w):
        if np.linalg.norm(w) > 1:
            for stop in stops:
                raise stop
        return w[0]

    run = lg.run(small_problem, METHOD, rounds=1000, measures={"first": first})
    assert run.status == "interrupted"
    assert len(run.history["first"]) == len(run.history["round"])
    assert np.isfinite(run.history["first"]).all() or np.isnan(run.history["first"][-2])


def test_bytes_count_what_is_sent(small_problem):
    models = 100 * 30 * 8 * 2  # a model each way

    def sent(method, **settings):
        return lg.run(small_problem, method, rounds=100, **settings).history["bytes"][-1]

    assert sent(METHOD) == 5 * models
    assert sent(METHOD, dtype="float32") == 5 * models / 2
    assert sent(lg.LocalGD(5, 1.0, participation=2)) == 2 * models
    assert sent(lg.Scaffold(5, 1.0)) == sent(lg.FedGA(5, 1.0, 0.1)) == 2 * 5 * models
    by_weight = sent(lg.LocalGD(5, 1.0, participation=2, sampling="weight"))
    assert models < by_weight < 2 * models  # now and then both draws fall on one client


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"test": 3}, TypeError, r"test: got int; want a pair"),
        ({"test": ([[1.0]], [1])}, ValueError, "test: X: got rows of 1 features; want 30"),
        (
            {"test": (np.ones((2, 30)), [1, 2])},
            ValueError,
            r"test: y: label 2 at row 1; the problem has -1.0, 1.0",
        ),
        ({"asymptote": 3}, TypeError, "asymptote: got int; want the result of"),
        ({"measures": [1]}, TypeError, "measures: got .* want a mapping"),
        ({"measures": {"a": 1}}, TypeError, "measures: got 'a': 1; want a name and a function"),
        ({"measures": {"loss": len}}, ValueError, "measures: 'loss' is a column already"),
    ],
)
def test_bad_measures(small_problem, settings, error, message):
    with pytest.raises(error, match=message):
        lg.run(small_problem, METHOD, rounds=3, **settings)


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (lg.LocalSolve(), "LocalSolve"),
        (lg.FedProx(3, 1.0, 0.1), "FedProx"),
        (lg.GD(lr=lg.Polynomial(1.0, 0.5)), "not constant"),
        (lg.LocalGD([1, 2, 3, 4, 5], 1.0), "different numbers of local steps"),
        (lg.ModifiedLocalGD(3, 1.0), "ModifiedLocalGD"),
    ],
)
def test_residual_is_refused_where_it_is_not_known(small_problem, method, why):
    limit = lg.reference.asymptote(small_problem)
    with pytest.raises(lg.UnsupportedError, match=f"asymptote: .* is not known for .*{why}"):
        lg.run(small_problem, method, rounds=3, asymptote=limit)


def test_held_out_rows_of_a_kernel_problem_are_refused():
    problem = lg.Problem.from_gram(np.eye(2), [1, -1], [0, 1])
    with pytest.raises(lg.UnsupportedError, match="test: a kernel problem has no weights"):
        lg.run(problem, lg.GD(lr=0.1), rounds=3, test=([[1.0, 0.0]], [1]))


@pytest.mark.parametrize("loss", registry.LOSSES)
def test_gradient_alignment_is_what_runs_record(loss):
    problem = registry.problem(loss, (0.5, 2.0, 0.25))
    run = lg.run(problem, lg.LocalGD(3, 0.2), rounds=20, loss=loss)
    found = lg.analysis.gradient_alignment(problem, run.weights, loss)
    for name in ("variance", "alignment", "dissimilarity"):
        np.testing.assert_allclose(
            getattr(found, name), run.history[f"grad_{name}"][-1], rtol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("loss", ["logistic", "squared", "softmax"])
def test_smoothness_is_the_largest_curvature(loss):
    """No second difference of the loss exceeds H."""
    problem = registry.problem(loss)
    H = lg.analysis.smoothness(problem, loss)
    rng = np.random.default_rng(0)
    curvature = {"logistic": 0.25, "squared": 1.0, "softmax": 0.5}[loss]
    steepest = 0.0
    for i in range(problem.n_clients):
        X = problem.X[problem.rows(i)]
        steepest = max(steepest, np.linalg.norm(X, 2) ** 2 / len(X))
    np.testing.assert_allclose(H, curvature * steepest, rtol=1e-12)
    one = lg.Problem([(problem.X[problem.rows(1)], problem.y[problem.rows(1)])], task=problem.task)
    for _ in range(20):
        w, v = rng.standard_normal((2, *one.weights_shape))
        if one.weights_shape != problem.weights_shape:
            continue
        v *= 1e-3 / np.linalg.norm(v)
        values = [
            lg.run(one, lg.GD(lr=0.1), rounds=0, loss=loss, init=w + t * v).history["loss"][0]
            for t in (-1, 0, 1)
        ]
        assert (values[0] - 2 * values[1] + values[2]) / 1e-6 <= H * (1 + 1e-6)


def test_presets_of_the_learning_rate(small_problem):
    H = lg.analysis.smoothness(small_problem, "logistic")
    settings = {"rounds": 20, "loss": "logistic"}
    for lr, number in (("1/H", 1 / H), ("1/(LH)", 1 / (5 * H))):
        preset = lg.run(small_problem, lg.LocalGD(5, lr), **settings)
        plain = lg.run(small_problem, lg.LocalGD(5, number), **settings)
        np.testing.assert_allclose(preset.weights, plain.weights, rtol=1e-13)
        assert preset.config["method"]["lr"] == lr


def test_asymptote_of_another_problem_is_refused(small_problem):
    limit = lg.reference.asymptote(small_problem)
    wide = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=40, seed=0)
    longer = lg.datasets.make_separable(n_clients=5, n_samples=11, n_features=30, seed=0)
    other = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=30, seed=1)
    heavier = small_problem.with_weights([0.3, 0.3, 0.2, 0.1, 0.1])
    for problem in (wide, longer, other, heavier):
        assert not limit.fits(problem)
        with pytest.raises(
            ValueError, match=r"asymptote: got Asymptote.*other rows or client weig"
        ):
            lg.run(problem, METHOD, rounds=10, asymptote=limit)
    assert limit.fits(small_problem)
    with pytest.raises(TypeError, match="problem: got int"):
        limit.fits(3)


def test_residual_of_sampled_clients_where_it_has_a_limit():
    clients = [([[1.0, 0.0]], [1]), ([[0.0, 1.0]], [1])]
    uneven, even = (lg.Problem(clients, weights=p) for p in ([0.9, 0.1], [0.5, 0.5]))
    with pytest.raises(lg.UnsupportedError, match="drawn uniformly, whose mean shares are not p"):
        limit = lg.reference.asymptote(uneven)
        lg.run(uneven, lg.GD(1.0, participation=1), rounds=10, asymptote=limit)
    for problem, options in (
        (even, {"participation": 1}),
        (uneven, {"participation": 1, "sampling": "weight"}),
        (uneven, {"participation": 2}),
    ):
        limit = lg.reference.asymptote(problem)
        run = lg.run(problem, lg.GD(1.0, **options), rounds=100_000, asymptote=limit)
        assert run.history["residual_distance"][-1] < 0.02


# Gradients that are rounding, and rows of any scale ----------------------------------------------


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_a_gradient_that_is_rounding_has_no_direction(engine):
    """A client whose rows come with both labels: at w = 0 its gradient is 0."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = rng.standard_normal((3, 6))
        both = np.vstack([rows, rows]), [1, 1, 1, -1, -1, -1]
        other = rng.standard_normal((2, 6)), [1, 1]
        problem = lg.Problem([both, other], weights="equal")
        history = lg.run(problem, lg.GD(0.1), rounds=0, engine=engine).history
        gradient = other[0].mean(axis=0)
        assert history["grad_alignment"][0] == pytest.approx(0.5, rel=1e-12)
        assert history["grad_dissimilarity"][0] == pytest.approx(2, rel=1e-12)
        assert history["grad_variance"][0] == pytest.approx(gradient @ gradient / 4, rel=1e-12)
        nobody = lg.Problem([both, both], weights="equal")
        history = lg.run(nobody, lg.GD(0.1), rounds=0, engine=engine).history
        assert np.isnan([history["grad_alignment"][0], history["grad_dissimilarity"][0]]).all()


@pytest.mark.parametrize("engine", registry.ENGINES)
@pytest.mark.parametrize("k", [1e-200, 1e-160, 1e-20, 1.0, 1e20, 1e100])
def test_alignment_of_rows_of_any_scale(engine, k):
    problem = lg.Problem([([[k, 0.0]], [1]), ([[k, k]], [1])], weights="equal")
    run = lg.run(problem, lg.GD(0.1), rounds=0, engine=engine, init=[1 / k, 0.0])
    assert run.history["grad_alignment"][0] == pytest.approx(
        (2 / 5**0.5 + 3 / 10**0.5) / 2, rel=1e-12
    )
    assert run.history["grad_dissimilarity"][0] == pytest.approx(1.2, rel=1e-12)
