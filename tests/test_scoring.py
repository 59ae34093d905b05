"""Accuracy, F1 and AUC against scikit-learn, on held-out rows and on clients."""

import numpy as np
import pytest
import registry

import localgd as lg
from localgd.losses import LOSSES

BINARY = ("test_accuracy", "test_balanced_accuracy", "test_f1", "test_auc")


def labelled(n, seed, rounding=1):
    """Labels, more of one kind, and scores that go with them; rounded ones tie."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < 0.3, 1.0, -1.0)
    scores = np.round(y + 1.5 * rng.standard_normal(n), rounding)
    return y, np.where(scores == 0, 0.05, scores)


def classes(n, seed, C=4):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, C, n).astype(float)
    return y, rng.standard_normal((n, C)) + 1.5 * (y[:, None] == np.arange(C))


@pytest.mark.parametrize("rounding", [0, 1, 9])
@pytest.mark.parametrize("n", [2, 7, 500])
def test_two_classes_are_scored_as_scikit_learn_does(n, rounding):
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(20):
        y, scores = labelled(n, seed, rounding)
        if len(set(y)) < 2:
            continue
        found, told = lg.analysis.prediction_scores(y, scores), np.sign(scores)
        assert found.accuracy == pytest.approx(metrics.accuracy_score(y, told))
        assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(y, told))
        assert found.f1 == pytest.approx(metrics.f1_score(y, told))
        assert found.auc == pytest.approx(metrics.roc_auc_score(y, scores))
        np.testing.assert_allclose(
            found.class_accuracy, metrics.recall_score(y, told, average=None)
        )
        np.testing.assert_allclose(found.class_f1, metrics.f1_score(y, told, average=None))


@pytest.mark.parametrize("n", [12, 400])
def test_several_classes_are_scored_as_scikit_learn_does(n):
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(10):
        y, scores = classes(n, seed)
        found, told = lg.analysis.prediction_scores(y, scores), scores.argmax(axis=1)
        labels = np.union1d(y, told)
        assert found.accuracy == pytest.approx(metrics.accuracy_score(y, told))
        assert found.f1 == pytest.approx(metrics.f1_score(y, told, average="macro", labels=labels))
        recalls = metrics.recall_score(y, told, average=None, labels=np.unique(y))
        assert found.balanced_accuracy == pytest.approx(recalls.mean())
        np.testing.assert_allclose(found.class_accuracy[np.unique(y).astype(int)], recalls)
        assert np.isnan(found.auc)


def test_what_is_not_defined_is_nan():
    one = lg.analysis.prediction_scores([1, 1], [0.5, -2.0])
    assert np.isnan(one.auc) and np.isnan(one.class_accuracy[0]) and one.balanced_accuracy == 0.5
    none = lg.analysis.prediction_scores([-1, -1], [-0.5, -2.0])
    assert np.isnan(none.f1) and none.class_f1[0] == 1.0
    undecided = lg.analysis.prediction_scores([1, -1], [0.0, 0.0])
    assert (undecided.accuracy, undecided.f1, undecided.auc) == (0.5, pytest.approx(2 / 3), 0.5)
    third = lg.analysis.prediction_scores([0, 1], [[1.0, 0, 0], [0, 2.0, 0]])
    assert np.isnan(third.class_f1[2]) and third.f1 == 1.0


@pytest.mark.parametrize(
    ("y", "scores", "message"),
    [
        ([1, -1], [1.0], "scores: got 1 for 2 labels"),
        ([], [], "scores: got 0 for 0 labels"),
        ([1, 2, 0], [1.0, 2.0, 3.0], "y: 3 distinct labels in all"),
        ([0, 2], [[1.0, 2.0], [1.0, 2.0]], "y: label 2 at row 1; the problem has 0, 1"),
        ([1, -1], [[[1.0]]], "scores: got 3 axes"),
        ([1, -1], [1.0, np.nan], "scores: "),
    ],
)
def test_scores_that_do_not_fit_are_refused(y, scores, message):
    with pytest.raises(ValueError, match=message):
        lg.analysis.prediction_scores(y, scores)


def test_runs_record_the_scores_of_held_out_rows():
    X, y = lg.datasets.load_digits(classes=(3, 8))
    problem, test = lg.partition(X[:200], y[:200], n_clients=4, seed=0), (X[200:], y[200:])
    run = lg.run(
        problem,
        lg.LocalGD(5, 0.3),
        rounds=30,
        loss="logistic",
        l2=0.1,
        test=test,
        keep_weights=True,
    )
    assert [name for name in run.history if name.startswith("test_")] == ["test_loss", *BINARY]
    for place, w in enumerate(run.recorded_weights):
        found = lg.analysis.prediction_scores(test[1], test[0] @ w)
        for name in BINARY:
            assert run.history[name][place] == getattr(found, name.removeprefix("test_")), name
        loss = np.logaddexp(0, -test[1] * (test[0] @ w)).mean()  # without λ
        assert run.history["test_loss"][place] == pytest.approx(loss, rel=1e-13)
    assert run.history["test_auc"][0] == 0.5 and run.history["test_auc"][-1] > 0.95


def test_fast_forward_has_the_same_columns():
    problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    test = (problem.X + 0.3, problem.y)
    options = {"rounds": 2000, "test": test, "record": (0, 10, 2000)}
    near = lg.run(problem, lg.LocalGD(3, 1.0), **options)
    far = lg.fast_forward(problem, lg.LocalGD(3, 1.0), **options)
    for name in ("test_loss", *BINARY):
        np.testing.assert_allclose(far.history[name], near.history[name], rtol=1e-6)


@pytest.mark.parametrize("loss", registry.LOSSES)
def test_held_out_loss_is_that_of_the_run(loss):
    problem = registry.problem(loss)
    run = lg.run(problem, lg.LocalGD(3, 0.2), rounds=9, loss=loss, test=(problem.X, problem.y))
    wanted = LOSSES[loss].values(problem.X @ run.weights, problem.y).mean()
    assert run.history["test_loss"][-1] == pytest.approx(wanted, rel=1e-12)
    assert ("test_accuracy" in run.history) == (problem.task != "regression")
    assert ("test_auc" in run.history) == (problem.task == "binary")


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_clients_have_the_loss_of_the_run_in_the_mean(loss, weighted):
    rows = registry.clients(loss)
    weights = [np.arange(1.0, len(y) + 1) for _, y in rows] if weighted else None
    problem = lg.Problem(
        rows, weights=(0.5, 2.0, 0.25), task=registry.task(loss), sample_weight=weights
    )
    run = lg.run(problem, lg.LocalGD(3, 0.2), rounds=9, loss=loss)
    found = lg.analysis.client_scores(problem, run.weights, loss)
    assert found.loss.shape == (3,)
    assert problem.weights @ found.loss == pytest.approx(run.history["loss"][-1], rel=1e-12)
    if loss in registry.REGRESSION:
        assert found.accuracy is None
        return
    for i, (X, y) in enumerate(rows):
        right = run.predict(X) == y
        share = np.average(right, weights=None if weights is None else weights[i])
        assert found.accuracy[i] == pytest.approx(share)


def test_client_scores_refuse_what_does_not_fit():
    problem = registry.problem("logistic")
    with pytest.raises(ValueError, match="w: got shape"):
        lg.analysis.client_scores(problem, [1.0], "logistic")
    with pytest.raises(ValueError, match="loss: 'softmax' does not fit"):
        lg.analysis.client_scores(problem, np.zeros(5), "softmax")
    kernel = lg.Problem.from_gram(np.eye(2), [1, -1], [0, 1])
    with pytest.raises(lg.UnsupportedError, match="a kernel problem has no weights"):
        lg.analysis.client_scores(kernel, np.zeros(2), "logistic")


def test_passes_are_rows_of_gradients_over_rows():
    problem = registry.problem("logistic")  # clients of different sizes
    M, N = problem.n_clients, problem.n_samples

    def last(method, rounds=4):
        return lg.run(problem, method, rounds=rounds).history["passes"][-1]

    assert last(lg.LocalGD(5, 0.1)) == 20
    assert last(lg.LocalGD(5, 0.1, participation=1)) == pytest.approx(20 / M)
    assert last(lg.LocalSGD(5, 0.1, 1)) == pytest.approx(20 * M / N)
    assert last(lg.MinibatchSGD(5, 0.1, 1)) == pytest.approx(20 * M / N)
    assert last(lg.FedGA(5, 0.1, 0.1)) == 24  # and the gradient that displaces the start
    steps = tuple(range(1, M + 1))
    each = np.array(steps) @ problem.sizes / N
    assert last(lg.LocalGD(steps, 0.1)) == pytest.approx(4 * each)
    assert "passes" not in lg.run(problem, lg.LocalSolve(), rounds=2).history


@pytest.mark.parametrize("correction", [False, True])
def test_bits_are_those_of_the_bytes_up_and_down(correction):
    problem = registry.problem("logistic")
    method = lg.Scaffold(3, 0.1) if correction else lg.LocalGD(3, 0.1, participation=2)
    history = lg.run(problem, method, rounds=10, record=range(11)).history
    np.testing.assert_array_equal(history["bits"], 8 * history["bytes"])
    np.testing.assert_array_equal(history["bits"], history["bits_up"] + history["bits_down"])
    each = (3 if correction else 2) * (2 if correction else 1) * 5 * 64  # of a round, each way
    assert np.diff(history["bits_up"]).tolist() == np.diff(history["bits_down"]).tolist()
    assert np.diff(history["bits_up"]).tolist() == [each] * 10
