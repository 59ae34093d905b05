"""The federated model beside that of the pooled rows and each client's own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import localgd as lg
from localgd import scoring
from localgd.evaluation.measures import MEASURES, measured
from localgd.plot.evaluations import calibration_points
from localgd.sklearn import FederatedClassifier, FederatedRegressor

L2 = 0.02


def rows_of(n=200, n_classes=2, d=4, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    X = rng.standard_normal((n, d)) + 0.7 * y[:, None] * np.linspace(1, -1, d)
    return X, y, np.where(rng.random(n) < 0.7, y, rng.integers(0, 3, n))


def trained(X, y, clients, *, rounds=30, **options):
    problem = lg.Problem.from_arrays(X, y, clients, **options)
    loss = "softmax" if problem.task == "multiclass" else "logistic"
    return problem, lg.run(problem, lg.LocalGD(5, "1/H"), rounds=rounds, loss=loss, l2=L2)


def line(found, client, model):
    """The measures of one line, by name."""
    here = (found.columns["client"] == client) & (found.columns["model"] == model)
    assert here.sum() == 1
    return {name: column[here][0] for name, column in found.columns.items()}


@pytest.mark.parametrize("seed", range(3))
def test_measures_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(80) < 0.4, 1.0, -1.0)
    scores = np.round(y + 2 * rng.standard_normal(80), 1) + 0.01
    p = 1 / (1 + np.exp(-scores))
    found = dict(zip(MEASURES, measured(y, scores, np.ones((1, 80)), True)[0], strict=True))
    slope = LogisticRegression(C=np.inf, tol=1e-10).fit(scores[:, None], y).coef_[0, 0]
    assert found == pytest.approx(
        {
            "accuracy": scoring.accuracy(y, scores),
            "balanced_accuracy": scoring.balanced_accuracy(y, scores),
            "auc": metrics.roc_auc_score(y, scores),
            "log_loss": metrics.log_loss(y, p),
            "brier": metrics.brier_score_loss(y, p, pos_label=1),
            "calibration_slope": slope,
        },
        rel=1e-6,
    )


def test_measures_of_several_classes_are_those_of_scikit_learn():
    y, rng = np.arange(60) % 3, np.random.default_rng(0)
    scores = rng.standard_normal((60, 3)) + (y[:, None] == np.arange(3))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = dict(zip(MEASURES, measured(y, scores, np.ones((1, 60)), True)[0], strict=True))
    assert found["balanced_accuracy"] == pytest.approx(scoring.balanced_accuracy(y, scores))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p))
    assert found["brier"] == pytest.approx(((p - np.eye(3)[y]) ** 2).sum(axis=1).mean())
    assert np.isnan([found["auc"], found["calibration_slope"]]).all()


def test_counts_are_rows_that_occur_so_often():
    rng = np.random.default_rng(0)
    y = np.where(rng.random(40) < 0.5, 1.0, -1.0)
    scores = y + 2 * rng.standard_normal(40)
    counts = rng.integers(0, 4, (5, 40)).astype(float)
    for k, found in enumerate(measured(y, scores, counts, True)):
        times = counts[k].astype(int)
        y_k, scores_k = np.repeat(y, times), np.repeat(scores, times)
        wanted = measured(y_k, scores_k, np.ones((1, times.sum())), True)[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("scores", "slope"),
    [
        ([-2.0, -1.0, 1.0, 2.0], np.inf),
        ([2.0, 1.0, -1.0, -2.0], -np.inf),
        ([-2.0, 0.5, 0.5, 2.0], np.inf),  # a tie at the boundary
        ([1.0, 1.0, 1.0, 1.0], np.nan),
    ],
)
def test_slopes_of_scores_that_tell_all_labels(scores, slope):
    y = np.array([-1.0, -1.0, 1.0, 1.0])
    found = measured(y, np.array(scores), np.ones((1, 4)), True)[0, -1]
    np.testing.assert_equal(found, slope)


def test_measures_of_one_class_alone():
    found = measured(np.ones(3), np.array([1.0, -1.0, 2.0]), np.ones((1, 3)), True)[0]
    assert found[:2] == pytest.approx(2 / 3) and np.isnan(found[[2, 5]]).all()


def pooled_scores(X, y, l2=L2):
    model = LogisticRegression(C=1 / (l2 * len(y)), fit_intercept=False, tol=1e-12)
    return model.set_params(solver="newton-cg").fit(X, y).decision_function(X)


def test_the_models_that_are_compared():
    X, y, clients = rows_of()
    problem, run = trained(X, y, clients)
    found = lg.evaluate(run, X, y, clients=clients, bootstrap=0)
    assert found.models == ("federated", "pooled", "own")
    assert (found.scores["federated"] == run.decision_function(X)).all()
    np.testing.assert_allclose(found.scores["pooled"], pooled_scores(X, y), atol=1e-7)
    for client in range(3):
        here = clients == client
        np.testing.assert_allclose(
            found.scores["own"][here], pooled_scores(X[here], y[here]), atol=1e-7
        )
        own = line(found, client, "own")
        assert own["n"] == here.sum() and own["prevalence"] == pytest.approx(y[here].mean())
        assert own["auc"] == pytest.approx(
            metrics.roc_auc_score(y[here], found.scores["own"][here])
        )
    best = lg.reference.minimizer(problem, loss="logistic", l2=L2)
    assert (found.scores["pooled"] == X @ best.weights).all()
    assert line(found, "all", "pooled")["accuracy"] == np.mean((X @ best.weights > 0) == y)


def test_client_weights_of_another_kind_make_another_pooled_model():
    X, y, clients = rows_of()
    problem, run = trained(X, y, clients, weights="equal", intercept="column")
    found = lg.evaluate(run, problem, bootstrap=0)
    assert found.models == ("federated", "pooled", "client-weighted", "own")
    ones = np.column_stack([X, np.ones(len(X))])[problem.row_order]
    wanted = pooled_scores(ones, problem.y)
    np.testing.assert_allclose(found.scores["pooled"], wanted, atol=1e-7)
    weighted = lg.reference.minimizer(problem, loss="logistic", l2=L2).weights
    np.testing.assert_allclose(found.scores["client-weighted"], ones @ weighted)


def test_intervals_are_those_of_samples():
    X, y, clients = rows_of(600)
    _, run = trained(X, y, clients)
    found = lg.evaluate(run, X, y, bootstrap=2000, level=0.9, seed=1)
    assert len(found) == 2  # all rows, federated and pooled
    for model in found.models:
        got = line(found, "all", model)
        for name in MEASURES:
            assert got[f"{name}_low"] < got[name] < got[f"{name}_high"]
        half = (got["accuracy_high"] - got["accuracy_low"]) / 2
        normal = 1.645 * np.sqrt(got["accuracy"] * (1 - got["accuracy"]) / 600)
        assert half == pytest.approx(normal, rel=0.1)


def test_intervals_depend_on_the_seed_alone():
    X, y, clients = rows_of()
    problem, run = trained(X, y, clients)
    first, again, other = (
        lg.evaluate(run, problem, bootstrap=50, seed=seed).to_markdown() for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize("n_classes", [2, 3])
def test_held_out_rows_of_known_and_new_clients(n_classes):
    X, y, clients = rows_of(300, n_classes)
    names = np.array(["north", "south", "west"])
    problem, run = trained(csr_array(X[:200]), y[:200], names[clients[:200]])
    new = np.where(np.arange(100) < 5, "east", names[clients[200:]])
    found = lg.evaluate(run, X[200:], y[200:], clients=new, train=problem, bootstrap=0)
    best = lg.reference.minimizer(problem, loss=run.config["loss"], l2=L2).weights
    np.testing.assert_allclose(found.scores["pooled"], X[200:] @ best)
    assert line(found, "east", "pooled")["accuracy"] >= 0
    assert np.isnan(line(found, "east", "own")["accuracy"])
    assert line(found, "west", "own")["n"] == (new == "west").sum()
    assert np.isnan(line(found, "all", "pooled")["prevalence"]) == (n_classes == 3)
    same = lg.evaluate(
        run,
        X[200:],
        y[200:],
        clients=new,
        train=(X[:200], y[:200], names[clients[:200]]),
        bootstrap=0,
    )
    np.testing.assert_allclose(same.scores["own"], found.scores["own"], atol=1e-9)
    without = lg.evaluate(
        run, X[200:], y[200:], clients=clients[200:], train=(X[:200], y[:200]), bootstrap=0
    )
    assert without.models == ("federated", "pooled")  # it is not known which rows were whose


def test_estimators_pipelines_and_searches():
    X, y, clients = rows_of()
    texts = np.array(["no", "yes"])[y]
    model = FederatedClassifier(l2=L2, weights="equal", class_weight="balanced")
    pipe = make_pipeline(StandardScaler(), model)
    pipe.fit(X * 100, texts, federatedclassifier__clients=clients)
    found = lg.evaluate(pipe, X * 100, texts, clients=clients, bootstrap=0)
    assert found.models == ("federated", "pooled", "client-weighted", "own")
    np.testing.assert_allclose(found.scores["federated"], pipe.decision_function(X * 100))
    np.testing.assert_allclose(
        found.scores["federated"], found.scores["client-weighted"], atol=0.05
    )
    search = GridSearchCV(FederatedClassifier(n_clients=3), {"l2": [1e-2, 1.0]}, cv=2).fit(X, y)
    found = lg.evaluate(search, X, y, bootstrap=0)  # dealt by itself: nobody's own
    assert found.models == ("federated", "pooled")
    np.testing.assert_allclose(found.scores["federated"], found.scores["pooled"], atol=0.05)


def test_losses_without_probabilities():
    X, y, clients = rows_of()
    problem = lg.Problem.from_arrays(X, y, clients)
    run = lg.run(problem, lg.GD("1/H"), rounds=10, loss="squared_hinge", l2=L2)
    found = line(lg.evaluate(run, problem, bootstrap=10), "all", "pooled")
    assert (
        found["auc"] > 0.5 and np.isnan([found["log_loss"], found["calibration_slope_low"]]).all()
    )


def test_rows_that_are_separable_want_a_penalty():
    problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    run = lg.run(problem, lg.GD(lr=1.0), rounds=10, loss="logistic")
    with pytest.raises(ValueError, match="l2: got 0, with which there is no pooled model"):
        lg.evaluate(run, problem)
    found = lg.evaluate(run, problem, l2=0.1, bootstrap=0)
    assert line(found, "all", "pooled")["auc"] > 0.9


def test_a_client_whose_rows_are_separable_has_no_model_of_its_own_without_penalty():
    X, y, clients = rows_of()
    clients = np.where(np.arange(len(y)) == 0, 9, clients)
    problem = lg.Problem.from_arrays(X, y, clients)
    run = lg.run(problem, lg.GD("1/H"), rounds=10, loss="logistic")
    found = lg.evaluate(run, problem, bootstrap=0)
    assert np.isnan(line(found, 9, "own")["accuracy"])
    assert line(found, 0, "own")["accuracy"] > 0.5


def test_texts_of_the_table():
    X, y, clients = rows_of(60)
    problem, run = trained(X, y, np.array(["a|b_1", "c&d", "e"])[clients])
    found = lg.evaluate(run, problem, bootstrap=20)
    lines = found.to_markdown(digits=2).splitlines()
    assert len(lines) == 2 + 4 * 3 and all(row.count(" | ") == 9 for row in lines)
    got = line(found, "all", "federated")
    low, high = got["accuracy_low"], got["accuracy_high"]
    assert f"| {got['accuracy']:.2f} [{low:.2f}, {high:.2f}] |" in lines[2]
    assert str(found) == found.to_markdown() and "a\\|b_1" in str(found)
    latex = found.to_latex(intervals=False)
    assert r"a|b\_1 & own & " in latex and r"c\&d" in latex and "[" not in latex
    assert {row.count(" & ") for row in latex.splitlines() if " & " in row} == {9}
    frame = found.to_frame()
    assert frame.shape == (12, 4 + 3 * len(MEASURES)) and len(found) == 12
    assert repr(found) == "Evaluation(federated, pooled, own: 60 rows, 3 clients)"


def test_what_does_not_fit_is_refused():
    X, y, clients = rows_of()
    problem, run = trained(X, y, clients)
    with pytest.raises(ValueError, match="train: the objective at the model is"):
        lg.evaluate(run, X[:100], y[:100], clients=clients[:100])
    with pytest.raises(ValueError, match=r"train: the model has shape \(4,\)"):
        lg.evaluate(run, X, y, train=(X[:, :3], y))
    with pytest.raises(TypeError, match="train: got int"):
        lg.evaluate(run, X, y, train=3)
    with pytest.raises(TypeError, match="model: got str"):
        lg.evaluate("run", X, y)
    with pytest.raises(TypeError, match="model: got FederatedClassifier"):
        lg.evaluate(FederatedClassifier(), X, y)
    with pytest.raises(ValueError, match="y: got None"):
        lg.evaluate(run, X)
    with pytest.raises(ValueError, match="y: label 2"):
        lg.evaluate(run, X, y + 1, train=problem)
    with pytest.raises(ValueError, match="y, clients: got them beside a problem"):
        lg.evaluate(run, problem, y)
    with pytest.raises(ValueError, match="X: got 199 rows for 200 labels"):
        lg.evaluate(run, X[:-1], y, train=problem)
    with pytest.raises(ValueError, match="level"):
        lg.evaluate(run, problem, level=95)
    numbers = FederatedRegressor(n_clients=2).fit(X, X[:, 0])
    with pytest.raises(lg.UnsupportedError, match="model: it is of numbers"):
        lg.evaluate(numbers, X, X[:, 0])


def test_the_plot_of_clients_shows_the_table():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    X, y, clients = rows_of()
    problem, run = trained(X, y, clients)
    found = lg.evaluate(run, problem, bootstrap=20)
    ax = lg.plot.clients_compare(found, "log_loss", models=["own", "pooled"])
    assert [one.get_label() for one in ax.get_lines()[:2]] == ["own", "pooled"]
    drawn = ax.get_lines()[0].get_xdata()
    assert drawn.tolist() == [line(found, c, "own")["log_loss"] for c in ("all", 0, 1, 2)]
    (ends,) = {tuple(segment[:, 0]) for segment in ax.collections[1].get_segments()[:1]}
    pooled = line(found, "all", "pooled")
    assert ends == (pooled["log_loss_low"], pooled["log_loss_high"])
    with pytest.raises(ValueError, match="measure: got 'recall'"):
        lg.plot.clients_compare(found, "recall")
    with pytest.raises(ValueError, match="models: got 'best'"):
        lg.plot.clients_compare(found, models=["best"])
    with pytest.raises(TypeError, match="evaluation: got Run"):
        lg.plot.clients_compare(run)


def test_points_of_calibration_are_those_of_scikit_learn():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    X, y, clients = rows_of()
    problem, run = trained(X, y, clients)
    found = lg.evaluate(run, problem, bootstrap=0)
    points = calibration_points(found, "pooled", 5)
    p = 1 / (1 + np.exp(-found.scores["pooled"]))
    observed, predicted = calibration_curve(found.y > 0, p, n_bins=5, strategy="quantile")
    np.testing.assert_allclose(points.observed, observed)
    np.testing.assert_allclose(points.predicted, predicted)
    assert (points.low < points.observed).all() and (points.observed < points.high).all()
    ax = lg.plot.calibration(found, bins=5, models=["pooled"])
    assert ax.get_lines()[1].get_ydata().tolist() == points.observed.tolist()
    three = rows_of(n_classes=3)
    problem, run = trained(*three)
    with pytest.raises(lg.UnsupportedError, match="no probabilities of two classes"):
        lg.plot.calibration(lg.evaluate(run, problem, bootstrap=0))
