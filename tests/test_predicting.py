"""Intercepts by a column of ones, and what a run says of other rows."""

import numpy as np
import pytest
import registry
from scipy.sparse import csr_array

import localgd as lg

X = np.random.default_rng(0).standard_normal((9, registry.N_FEATURES))


def run_of(loss, **options):
    pairs = registry.clients(loss, sizes=(20, 30))
    problem = lg.Problem(pairs, task=registry.task(loss), **options)
    return problem, lg.run(problem, lg.LocalGD(3, 0.2), rounds=200, loss=loss, l2=0.01)


@pytest.mark.parametrize("loss", registry.LOSSES)
def test_an_intercept_is_a_column_of_ones(loss, tmp_path):
    problem, run = run_of(loss, intercept="column")
    assert problem.n_features == registry.N_FEATURES + 1
    assert (problem.X[:, -1] == 1).all()
    pairs = [
        (np.column_stack([rows, np.ones(len(rows))]), y)
        for rows, y in registry.clients(loss, sizes=(20, 30))
    ]
    by_hand = lg.Problem(pairs, task=registry.task(loss))
    want = lg.run(by_hand, lg.LocalGD(3, 0.2), rounds=200, loss=loss, l2=0.01)
    np.testing.assert_array_equal(run.weights, want.weights)
    scores = np.column_stack([X, np.ones(len(X))]) @ run.weights
    again = lg.load(run.save(tmp_path / "run.npz"))
    for one in (run, again):
        np.testing.assert_allclose(one.decision_function(X), scores, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(
        want.decision_function(np.column_stack([X, np.ones(len(X))])), scores, rtol=1e-13
    )


@pytest.mark.parametrize("loss", registry.LOSSES)
def test_labels_and_probabilities_follow_from_scores(loss):
    _, run = run_of(loss)
    scores = run.decision_function(X)
    np.testing.assert_allclose(scores, X @ run.weights, rtol=1e-14)
    labels = run.predict(X)
    if loss in registry.REGRESSION:
        means = np.exp(scores) if loss == "poisson" else scores
        np.testing.assert_array_equal(labels, means)
    elif loss == "softmax":
        np.testing.assert_array_equal(labels, scores.argmax(axis=1))
    else:
        np.testing.assert_array_equal(labels, np.sign(scores))
    if loss not in ("logistic", "softmax"):
        with pytest.raises(lg.UnsupportedError, match="probabilities"):
            run.predict_proba(X)
        return
    chances = run.predict_proba(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-14)
    ratio = np.log(chances[:, 1] / chances[:, 0])
    want = scores if loss == "logistic" else scores[:, 1] - scores[:, 0]
    np.testing.assert_allclose(ratio, want, rtol=1e-10, atol=1e-12)


def test_what_does_not_fit_is_refused():
    _, run = run_of("logistic", intercept="column")
    with pytest.raises(ValueError, match="X: got rows of 6 features; want 5"):
        run.predict(np.ones((2, 6)))
    with pytest.raises(
        ValueError, match=r"\(datasets\.read\(…, n_features=5\) makes them of a file\)"
    ):
        run.predict(csr_array(np.ones((2, 4))))
    with pytest.raises(ValueError, match="X"):
        run.predict(np.full((2, 5), np.nan))
    with pytest.raises(ValueError, match="intercept"):
        run_of("logistic", intercept="line")
    kernel = lg.Problem.from_gram(np.eye(2), [1, -1], [0, 1])
    with pytest.raises(lg.UnsupportedError, match="kernel"):
        lg.run(kernel, lg.GD(0.1), rounds=1).predict(np.ones((1, 2)))


def test_partition_deals_with_an_intercept():
    y = np.where(X[:, 0] > 0, 1.0, -1.0)
    problem = lg.partition(X, y, n_clients=3, intercept="column", class_weight="balanced")
    assert problem.intercept == "column"
    assert problem.n_features == 6
