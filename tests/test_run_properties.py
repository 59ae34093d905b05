"""Symmetries of Local-GD on random problems: what leaves the model alone, what changes it how."""

import numpy as np
import pytest
import registry
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg

CASES = st.sampled_from([(engine, loss) for engine in registry.ENGINES for loss in registry.LOSSES])
N_CLASSES = 3
# One of each local rule, and a server that remembers; nothing stochastic.
METHODS = st.sampled_from(
    [
        lg.LocalGD(3, 0.1),
        lg.LocalGD(3, 0.1, server=lg.ServerSGD(0.7, momentum=0.5)),
        lg.ModifiedLocalGD(3, 0.1),
        lg.FedProx(3, 0.1, mu=0.5),
        lg.Scaffold(3, 0.1),
        lg.GradAlign(0.1, beta=0.2),
        lg.FedGA(3, 0.1, beta=0.2),
    ]
)


@st.composite
def problems(draw):
    """(clients, p, w_0, loss, engine) of one to five clients with one to six rows."""
    engine, loss = draw(CASES)
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    d = draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    clients = []
    for n in sizes:
        X = rng.standard_normal((n, d)) / np.sqrt(d)
        clients.append((X, labels(loss, n, rng)))
    shape = (d, N_CLASSES) if loss == "softmax" else (d,)
    return clients, rng.uniform(0.1, 1, len(sizes)), rng.standard_normal(shape) / 4, loss, engine


def labels(loss, n, rng):
    if loss == "poisson":
        return rng.poisson(1.5, n)
    if loss in registry.REGRESSION:
        return rng.standard_normal(n)
    if loss == "softmax":
        return rng.integers(N_CLASSES, size=n)
    return rng.choice([-1, 1], n)


def column(w):
    """A vector, of a model with several columns the first."""
    return w if w.ndim == 1 else w[:, 0]


def made(clients, p, loss):
    task = "regression" if loss in registry.REGRESSION else registry.task(loss)
    labels = range(N_CLASSES) if loss == "softmax" else None
    return lg.Problem(clients, weights=p, task=task, labels=labels)


LOCAL_GD = lg.LocalGD(3, 0.1)


def final(clients, p, w0, loss, engine, *, method=LOCAL_GD, dtype="float64", rounds=25):
    """The model and the history after some rounds."""
    run = lg.run(
        made(clients, p, loss),
        method,
        rounds=rounds,
        loss=loss,
        init=w0,
        engine=engine,
        dtype=dtype,
    )
    assert run.status == "completed"
    return run


def assert_same_model(a, b):
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-9, atol=1e-11)


def assert_same_history(a, b, but=()):
    """Squared distances and ratios of small gradients have fewer digits than the rest."""
    for name in set(a.history) - set(but):
        want, got = a.history[name], b.history[name]
        if name in ("grad_alignment", "grad_dissimilarity"):
            known = a.history["grad_dissimilarity"] < 1e6
            np.testing.assert_allclose(got[known], want[known], rtol=1e-6, err_msg=name)
        else:
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11, err_msg=name)


@given(problems(), st.randoms(use_true_random=False), METHODS)
def test_order_of_clients_does_not_matter(case, random, method):
    clients, p, *rest = case
    order = random.sample(range(len(clients)), len(clients))
    a = final(clients, p, *rest, method=method)
    b = final([clients[i] for i in order], p[order], *rest, method=method)
    assert_same_model(a, b)
    assert_same_history(a, b)


@given(problems(), st.randoms(use_true_random=False), METHODS)
def test_order_of_rows_inside_a_client_does_not_matter(case, random, method):
    clients, *rest = case
    orders = [random.sample(range(len(y)), len(y)) for _, y in clients]
    a = final(clients, *rest, method=method)
    b = final(
        [(X[o], y[o]) for (X, y), o in zip(clients, orders, strict=True)], *rest, method=method
    )
    assert_same_model(a, b)
    assert_same_history(a, b)
    for i, order in enumerate(orders):
        start = sum(len(o) for o in orders[:i])
        np.testing.assert_allclose(
            b.coefficients[start : start + len(order)],
            a.coefficients[start : start + len(order)][order],
            rtol=1e-9,
            atol=1e-11,
        )


@given(problems(), st.integers(0, 2**32), METHODS)
def test_rotated_features_give_the_rotated_model(case, seed, method):
    clients, p, w0, *rest = case
    d = len(w0)
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))
    a = final(clients, p, w0, *rest, method=method)
    b = final([(X @ Q, y) for X, y in clients], p, Q.T @ w0, *rest, method=method)
    np.testing.assert_allclose(b.weights, Q.T @ a.weights, rtol=1e-9, atol=1e-11)
    assert_same_history(a, b)


@given(problems(), METHODS)
def test_feature_that_is_always_zero_changes_nothing(case, method):
    clients, p, w0, *rest = case
    a = final(clients, p, w0, *rest, method=method)
    b = final(
        [(np.insert(X, 0, 0.0, axis=1), y) for X, y in clients],
        p,
        np.insert(w0, 0, 7.0, axis=0),
        *rest,
        method=method,
    )
    np.testing.assert_allclose(b.weights[0], 7.0, rtol=1e-13)
    np.testing.assert_allclose(b.weights[1:], a.weights, rtol=1e-9, atol=1e-11)


@given(problems(), st.integers(0, 4), st.integers(2, 3), METHODS)
def test_repeating_all_rows_of_a_client_changes_nothing(case, which, times, method):
    """f_i is a mean: with p given it does not know how often each row is there."""
    clients, *rest = case
    i = which % len(clients)
    X, y = clients[i]
    repeated = [*clients[:i], (np.tile(X, (times, 1)), np.tile(y, times)), *clients[i + 1 :]]
    a, b = final(clients, *rest, method=method), final(repeated, *rest, method=method)
    assert_same_model(a, b)
    assert_same_history(a, b)


@given(problems(), st.integers(0, 4))
def test_repeating_all_rows_of_a_client_doubles_its_weight_by_samples(case, which):
    clients, _, *rest = case
    i = which % len(clients)
    X, y = clients[i]
    repeated = [*clients[:i], (np.vstack([X, X]), np.hstack([y, y])), *clients[i + 1 :]]
    p = np.array([len(y) for _, y in clients], dtype=float)
    p[i] *= 2
    a, b = final(clients, p, *rest), final(repeated, "samples", *rest)
    assert_same_model(a, b)
    assert_same_history(a, b)


@given(problems(), st.integers(0, 4), METHODS)
def test_client_listed_twice_is_a_client_of_double_weight(case, which, method):
    clients, _, *rest = case
    i = which % len(clients)
    p = np.ones(len(clients))
    p[i] = 2
    a, b = (
        final(clients, p, *rest, method=method),
        final([*clients, clients[i]], "equal", *rest, method=method),
    )
    assert_same_model(a, b)
    assert_same_history(a, b, but=["passes", "bytes", "bits", "bits_up", "bits_down"])


@given(problems(), st.integers(0, 4), METHODS)
def test_client_of_weight_zero_does_not_move_the_model(case, which, method):
    clients, p, *rest = case
    i = which % len(clients)
    a = final(clients, p, *rest, method=method)
    b = final([*clients[:i], clients[i], *clients[i:]], np.insert(p, i, 0.0), *rest, method=method)
    assert_same_model(a, b)
    assert_same_history(a, b)


@given(problems(), st.floats(0.01, 100), METHODS)
def test_only_the_ratios_of_the_weights_count(case, factor, method):
    clients, p, *rest = case
    assert_same_model(
        final(clients, p, *rest, method=method), final(clients, factor * p, *rest, method=method)
    )


@given(problems())
def test_one_local_step_is_gradient_descent_however_rows_are_dealt(case):
    """With L = 1 and p_i = n_i / N the round is a step on the pooled mean."""
    clients, _, w0, loss, engine = case
    pooled = [(np.vstack([X for X, _ in clients]), np.hstack([y for _, y in clients]))]
    a = final(clients, "samples", w0, loss, engine, method=lg.LocalGD(1, 0.1))
    b = final(pooled, "equal", w0, loss, engine, method=lg.LocalGD(1, 0.1))
    assert_same_model(a, b)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-9)


@given(problems())
def test_local_gd_of_one_step_is_gd_bit_for_bit(case):
    clients, p, w0, loss, engine = case
    a = final(clients, p, w0, loss, engine, method=lg.LocalGD(1, 0.1))
    problem = made(clients, p, loss)
    b = lg.run(problem, lg.GD(lr=0.1), rounds=25, loss=loss, init=w0, engine=engine)
    registry.assert_same_bits(a, b)


@given(problems(), st.integers(1, 6))
def test_rounds_of_a_single_client_are_local_steps(case, local_steps):
    clients, _, w0, loss, engine = case
    a = final(clients[:1], [1], w0, loss, engine, method=lg.LocalGD(local_steps, 0.1), rounds=6)
    b = final(clients[:1], [1], w0, loss, engine, method=lg.LocalGD(1, 0.1), rounds=6 * local_steps)
    assert_same_model(a, b)


@given(problems())
def test_shifted_start_is_a_shift_of_the_targets(case):
    """Squared loss: the deviation w - w_0 solves the problem with targets y - X w_0."""
    clients, p, w0, _, engine = case
    w0 = column(w0)
    clients = [(X, X @ np.ones(X.shape[1]) + 0.25 * y) for X, y in clients]
    shifted = [(X, y - X @ w0) for X, y in clients]
    a = final(clients, p, w0, "squared", engine)
    b = final(shifted, p, np.zeros_like(w0), "squared", engine)
    np.testing.assert_allclose(a.weights, w0 + b.weights, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(a.history["drift"], b.history["drift"], rtol=1e-7, atol=1e-18)


@given(problems())
def test_flipping_rows_with_their_labels_changes_no_bit(case):
    clients, p, w0, loss, engine = case
    loss, w0 = "logistic" if loss == "logistic" else "exponential", column(w0)
    clients = [(X, np.where(y < 0, -1.0, 1.0)) for X, y in clients]
    a = final(clients, p, w0, loss, engine)
    b = final([(-X, -y) for X, y in clients], p, w0, loss, engine)
    registry.assert_same_bits(a, b)


@pytest.mark.parametrize("dtype", registry.DTYPES)
@given(case=problems(), exponent=st.integers(-3, 3))
def test_rescaled_features_rescale_the_model_bit_for_bit(case, exponent, dtype):
    """X ← sX, w_0 ← w_0/s, η ← η/s²: w ← w/s; no rounding when s is a power of two."""
    clients, p, w0, *rest = case
    s = 2.0**exponent
    a = final(clients, p, w0, *rest, method=lg.LocalGD(3, 0.1), dtype=dtype)
    b = final(
        [(s * X, y) for X, y in clients],
        p,
        w0 / s,
        *rest,
        method=lg.LocalGD(3, 0.1 / s**2),
        dtype=dtype,
    )
    np.testing.assert_array_equal(b.weights * s, a.weights)
    np.testing.assert_array_equal(b.history["loss"], a.history["loss"])
