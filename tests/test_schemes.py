"""Schemes that cut rows in order, go by targets or sizes, or are the caller's own; and scales."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import registry
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from test_partition import check_deal, rows

import localgd as lg
from localgd.partitioning.shares import proportional_sizes


def quietly(*args, **kwargs):
    """partition without its warning of rows that are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return lg.partition(*args, **kwargs)


@pytest.mark.parametrize("kind", registry.PARTICULAR_SCHEMES)
@given(n=st.integers(8, 60), n_clients=st.integers(2, 4), seed=st.integers(0, 2**70))
@settings(max_examples=40, deadline=None)
def test_particular_schemes_deal_each_row_once(kind, n, n_clients, seed):
    X, y = rows(n)
    scheme = registry.PARTICULAR_SCHEMES[kind](y, n_clients)
    problem = lg.partition(X, y, n_clients=n_clients, scheme=scheme, seed=seed)
    check_deal(problem, X, y, n_clients)
    np.testing.assert_array_equal(problem.X, X[problem.row_order])
    again = lg.partition(X, y, n_clients=n_clients, scheme=scheme, seed=seed)
    assert again.fingerprint == problem.fingerprint


# -- Contiguous ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", registry.DROPPING_SCHEMES, ids=str)
@given(n=st.integers(1, 60), data=st.data())
@settings(max_examples=60, deadline=None)
def test_equal_sizes_drop_the_last_rows_of_the_order_and_say_so(scheme, n, data):
    n_clients = data.draw(st.integers(1, n))
    X, y = rows(n)
    v = np.arange(1.0, n + 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        problem = lg.partition(
            X, y, n_clients=n_clients, scheme=scheme, task="binary", sample_weight=v
        )
    assert problem.sizes.tolist() == [n // n_clients] * n_clients
    order = np.argsort(y, kind="stable") if scheme.sort else np.arange(n)
    kept = n - n % n_clients
    blocks = np.sort(order[:kept].reshape(n_clients, -1), axis=1)  # as rows came
    assert problem.row_order.tolist() == blocks.ravel().tolist()
    np.testing.assert_array_equal(problem.X, X[blocks.ravel()])
    np.testing.assert_array_equal(problem.sample_weight, v[blocks.ravel()])
    assert len(caught) == (kept < n)
    for warning in caught:
        text = str(warning.message)
        assert text == f"partition: {scheme} leaves {n - kept} of {n} rows out"
        assert warning.filename == __file__


def test_blocks_in_the_order_of_the_file():
    X, y = rows(7)
    problem = lg.partition(X, y, n_clients=3, scheme=lg.Contiguous(equal=False))
    assert problem.row_order.tolist() == list(range(7))
    assert sorted(problem.sizes.tolist()) == [2, 2, 3]


def test_sorted_blocks_hold_one_label_but_for_one_client():
    X, y = rows(60, positive=33)
    problem = lg.partition(X, y, n_clients=6, scheme=lg.Contiguous(sort="label"))
    labels = [np.unique(problem.y[problem.rows(i)]).tolist() for i in range(6)]
    assert labels == [[-1.0]] * 2 + [[-1.0, 1.0]] + [[1.0]] * 3


def test_row_weights_of_another_shape_are_refused_where_rows_are_dropped():
    X, y = rows(7)
    with pytest.raises(ValueError, match=r"sample_weight: got shape \(3,\)"):
        quietly(X, y, n_clients=2, scheme=lg.Contiguous(), sample_weight=np.ones(3))


def test_contiguous_options():
    with pytest.raises(ValueError, match="sort: got 'labels'; want one of 'label'"):
        lg.Contiguous(sort="labels")
    with pytest.raises(TypeError, match="equal: got 1; want True or False"):
        lg.Contiguous(equal=1)


# -- Shards ----------------------------------------------------------------------------------------


@given(n=st.integers(1, 80), k=st.integers(1, 4), seed=st.integers(0, 1000), data=st.data())
@settings(max_examples=100, deadline=None)
def test_shards_are_pieces_of_the_sorted_labels(n, k, seed, data):
    n_clients = data.draw(st.integers(1, n))
    y = np.random.default_rng(seed).integers(0, 5, n).astype(float)
    rng = np.random.default_rng(seed)
    if k * n_clients > n:
        with pytest.raises(ValueError, match=rf"Shards\(k={k}\): .* need {k * n_clients} rows"):
            lg.Shards(k).assign(y, n_clients, rng)
        return
    clients = lg.Shards(k).assign(y, n_clients, rng)
    assert np.bincount(clients, minlength=n_clients).min() >= k * (n // (k * n_clients))
    assert np.bincount(clients).max() <= k * -(-n // (k * n_clients))
    # In some order of the sorted rows each client has at most k runs.
    label_counts = [len(np.unique(y[clients == i])) for i in range(n_clients)]
    per_shard = -(-n // (k * n_clients))
    fewest = np.unique(y, return_counts=True)[1].min()
    if fewest >= per_shard:
        assert max(label_counts) <= 2 * k


def test_the_papers_shards():
    """100 clients, 200 shards of 300 of the 60,000 digits: most have two labels."""
    y = np.repeat(np.arange(10.0), 6000)
    clients = lg.Shards(2).assign(y, 100, np.random.default_rng(0))
    assert (np.bincount(clients) == 600).all()
    labels = [len(np.unique(y[clients == i])) for i in range(100)]
    assert set(labels) == {1, 2} and labels.count(2) > 75


def test_who_gets_which_shard_is_random():
    y = np.repeat([0.0, 1.0], 6)
    pairs = {
        tuple(sorted(set(y[lg.Shards(2).assign(y, 2, np.random.default_rng(s)) == 0])))
        for s in range(40)
    }
    assert pairs == {(0.0,), (1.0,), (0.0, 1.0)}


# -- Targets ---------------------------------------------------------------------------------------


def spread_of_means(alpha: float) -> float:
    """How far the mean targets of clients lie apart, by the targets' standard deviation."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal(3000)
    found = []
    for seed in range(10):
        scheme = lg.ByTarget(alpha)
        clients = scheme.assign(y, 10, np.random.default_rng(seed))
        means = [y[clients == i].mean() for i in range(10)]
        found.append(np.sqrt(np.average(np.square(means), weights=np.bincount(clients))))
    return float(np.mean(found))


def test_target_skew_falls_with_alpha():
    # Bins of a tenth each explain nearly all of the variance, but some clients hold two or three;
    # even shares leave 1/sqrt(300).
    assert spread_of_means(0.01) > 0.7
    assert spread_of_means(1e6) < 0.1
    assert 0.1 < spread_of_means(1.0) < 0.7


def test_equal_targets_share_a_bin():
    y = np.repeat([1.0, 2.0, 3.0], [500, 300, 200])
    clients = lg.ByTarget(1e-9).assign(y, 3, np.random.default_rng(1))
    for target in (1.0, 2.0, 3.0):
        shares = np.bincount(clients[y == target], minlength=3)
        assert shares.max() >= shares.sum() - 2  # all but rows that empty clients took


def test_by_target_deals_regression_problems():
    X, _ = rows(30)
    problem = lg.partition(X, X @ [0.1, 1.0, 2.0], n_clients=3, scheme=lg.ByTarget(0.1))
    assert problem.task == "regression"
    with pytest.raises(ValueError, match="bins: got 0; want an integer of at least 1"):
        lg.ByTarget(0.1, bins=0)


# -- Sizes by a law --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "n", "sizes"),
    [
        ("linear", 100, [10, 20, 30, 40]),
        ("square", 300, [10, 40, 90, 160]),
        ("exponential", 85, [3, 7, 20, 55]),  # 2.7, 7.4, 20.1, 54.7
        ("exponential", 4, [1, 1, 1, 1]),
        ("exponential", 6, [1, 1, 1, 3]),
    ],
)
def test_sizes_by_a_law(law, n, sizes):
    X, y = rows(n)
    problem = lg.partition(X, y, n_clients=4, scheme=lg.Quantity(law=law), seed=3)
    assert problem.sizes.tolist() == sizes
    assert sorted(problem.row_order.tolist()) == list(range(n))
    other = lg.partition(X, y, n_clients=4, scheme=lg.Quantity(law=law), seed=4)
    assert other.sizes.tolist() == sizes
    assert (other.row_order != problem.row_order).any() or n == 4


@given(
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=40).filter(any), extra=st.integers(0, 500)
)
def test_proportional_sizes_are_whole_positive_and_near(shares, extra):
    shares, total = np.array(shares), len(shares) + extra
    sizes = proportional_sizes(shares, total)
    assert sizes.sum() == total and sizes.min() >= 1
    large = sizes > 1
    if large.sum() > 1:  # those above the least are in proportion, to one row
        rest = sizes[large].sum() * shares[large] / shares[large].sum()
        assert np.abs(sizes[large] - rest).max() <= 1 + large.sum() / 2


def test_many_clients_by_the_exponential_law():
    sizes = np.bincount(
        lg.Quantity(law="exponential").assign(np.ones(5000), 2000, np.random.default_rng(0))
    )
    assert sizes.min() == 1 and sizes.sum() == 5000 and (np.diff(sizes) >= 0).all()


@pytest.mark.parametrize("options", [{}, {"alpha": 1.0, "law": "linear"}])
def test_sizes_are_drawn_or_by_a_law(options):
    with pytest.raises(ValueError, match=r"alpha, law: got .* want one of them"):
        lg.Quantity(**options)
    with pytest.raises(ValueError, match="law: got 'cubic'; want one of 'linear', 'square', 'exp"):
        lg.Quantity(law="cubic")


# -- Natural clients, and functions ----------------------------------------------------------------


def test_natural_clients_keep_their_names():
    X, y = rows(6)
    ids = ["b", "a", "b", "c", "a", "b"]
    problem = lg.partition(X, y, scheme=lg.Natural(ids), weights="equal")
    same = lg.Problem.from_arrays(X, y, ids, weights="equal")
    assert problem.client_ids == same.client_ids == ("a", "b", "c")
    assert problem.fingerprint == same.fingerprint
    assert problem.row_order.tolist() == same.row_order.tolist()
    assert repr(lg.Natural(np.array([7, 7, 2]))) == "Natural(2 clients, 3 rows)"
    assert lg.Natural(np.array(ids)) == lg.Natural(ids)


def test_natural_clients_that_do_not_fit():
    X, y = rows(4)
    with pytest.raises(ValueError, match=r"n_clients: got 3; Natural\(2 clients, 4 rows\) has 2"):
        lg.partition(X, y, n_clients=3, scheme=lg.Natural([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="Natural: got 2 ids for 4 rows; want one for each"):
        lg.partition(X, y, scheme=lg.Natural([0, 1]))
    with pytest.raises(ValueError, match="clients: no id at row 1"):
        lg.Natural(["a", None])


def test_a_function_as_a_scheme():
    X, y = rows(9)
    seen = {}

    def deal(labels, n_clients, rng):
        seen.update(y=labels.copy(), n=n_clients, word=rng.integers(2**60))
        return np.where(labels > 0, 0, np.where(np.arange(len(labels)) == 8, -1, 1))

    with pytest.warns(UserWarning, match=r"partition: .*deal leaves 1 of 9 rows out"):
        problem = lg.partition(X, y, n_clients=2, scheme=deal, seed=5)
    assert problem.row_order.tolist() == list(range(8))
    word = seen["word"]
    quietly(X, y, n_clients=2, scheme=deal, seed=5)
    assert seen["word"] == word and seen["n"] == 2 and (seen["y"] == y).all()


@pytest.mark.parametrize(
    ("dealt", "error", "message"),
    [
        ([0, 1], ValueError, r"gave shape \(2,\); want \(4,\), a client for each row"),
        ([0.0, 1, 0, 1], TypeError, r"gave dtype float64; want integers from 0 to 1, or -1"),
        ([0, 0, 0, 0], ValueError, "dealt rows to 1 clients; want every client from 0 to 1"),
        ([0, 1, 2, 0], ValueError, "dealt rows to 3 clients; want every client from 0 to 1"),
        ([0, 1, -2, 0], ValueError, "dealt rows to 3 clients; want every client from 0 to 1"),
        ([-1, -1, -1, 0], ValueError, "dealt rows to 1 clients; want every client from 0 to 1"),
    ],
)
def test_functions_that_deal_something_else(dealt, error, message):
    with pytest.raises(error, match=message):
        lg.partition(*rows(4), n_clients=2, scheme=lambda y, n_clients, rng: dealt)


def test_functions_of_other_arguments_deal_nothing():
    with pytest.raises(TypeError, match=r"scheme: .*; want a function of y, n_clients and rng"):
        lg.partition(*rows(4), n_clients=2, scheme=lambda y, n_clients: [0, 0, 1, 1])


# -- Scales ----------------------------------------------------------------------------------------


def scaled(X, scale, *, as_sparse=False):
    """The rows of a problem in the order in which they came."""
    given = sparse.csr_array(X) if as_sparse else X
    y = np.where(np.arange(len(X)) % 2, 1.0, -1.0)
    problem = lg.partition(given, y, n_clients=1, scheme=lg.Contiguous(), scale=scale)
    return problem.X.toarray() if as_sparse else problem.X


@pytest.fixture(params=[(30, 4), (5, 9), (600, 550)], ids=str)
def some_rows(request):
    rng = np.random.default_rng(2)
    X = rng.standard_normal(request.param) * 10.0 ** rng.integers(-3, 3, request.param[1])
    X[rng.random(X.shape) < 0.4] = 0.0
    X[1] = 0.0
    X[:, 2] = 0.0
    return X


@pytest.mark.parametrize("as_sparse", [False, True], ids=["dense", "sparse"])
def test_scales_of_rows(some_rows, as_sparse):
    X = some_rows
    norms = np.linalg.norm(X, axis=1)
    unit = scaled(X, "rows", as_sparse=as_sparse)
    np.testing.assert_allclose(unit, X / np.where(norms > 0, norms, 1)[:, None], rtol=1e-14)
    by_largest = scaled(X, "max_norm", as_sparse=as_sparse)
    np.testing.assert_allclose(by_largest, X / norms.max(), rtol=1e-14)
    spectral = scaled(X, "spectral", as_sparse=as_sparse)
    curvature = np.linalg.eigvalsh(spectral.T @ spectral / len(X))[-1]
    assert curvature == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(spectral * np.linalg.norm(X, 2), X * np.sqrt(len(X)), rtol=1e-12)
    np.testing.assert_array_equal(scaled(X, None, as_sparse=as_sparse), X)


def test_standard_columns(some_rows):
    X = some_rows
    spread = X.std(axis=0)
    factors = 1 / np.where(spread > 0, spread, 1)
    np.testing.assert_allclose(
        scaled(X, "standard"), (X - X.mean(axis=0)) * factors, rtol=1e-12, atol=1e-12
    )
    uncentred = scaled(X, "standard", as_sparse=True)
    np.testing.assert_allclose(uncentred, X * factors, rtol=1e-12)


def test_constant_columns_are_0_when_centred_and_stay_when_not():
    X = np.column_stack([np.full(7, 0.1), np.arange(7.0)])
    assert (scaled(X, "standard")[:, 0] == 0).all()
    assert (scaled(X, "standard", as_sparse=True)[:, 0] == 0.1).all()


@pytest.mark.parametrize("as_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_scales_at_the_ends_of_the_floating_range(size, as_sparse):
    X = np.array([[3.0, 4.0], [0.0, 2.0]]) * size
    unit = [[0.6, 0.8], [0.0, 1.0]]
    np.testing.assert_allclose(scaled(X, "rows", as_sparse=as_sparse), unit, rtol=1e-14)
    by_largest = scaled(X, "max_norm", as_sparse=as_sparse)
    np.testing.assert_allclose(by_largest, [[0.6, 0.8], [0.0, 0.4]], rtol=1e-14)
    spectral = scaled(X, "spectral", as_sparse=as_sparse)
    assert np.linalg.norm(spectral, 2) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("scale", ["max_norm", "rows", "spectral", "standard"])
def test_rows_of_0_stay(scale):
    assert not scaled(np.zeros((4, 3)), scale).any()


def test_an_unknown_scale():
    with pytest.raises(ValueError, match="scale: got 'unit'; want one of 'max_norm', 'rows', 'sp"):
        lg.partition(*rows(4), n_clients=2, scale="unit")


def test_unit_curvature_is_the_smoothness_of_pooled_rows():
    X, y = rows(40, d=6)
    problem = lg.partition(X, y, n_clients=1, scale="spectral")
    assert lg.analysis.smoothness(problem, "logistic") == pytest.approx(0.25)


def test_schemes_deal_sparse_rows_and_labels_of_any_kind():
    X, y = rows(11)
    names = np.where(y > 0, "yes", "no").tolist()
    for scheme in (lg.Contiguous(sort="label"), lg.Shards(2), deal_all_but_one):
        dense = quietly(X, y, n_clients=2, scheme=scheme, scale="rows")
        sparse_rows = quietly(
            sparse.csr_array(X),
            names,
            n_clients=2,
            scheme=scheme,
            scale="rows",
            labels=("no", "yes"),
        )
        assert sparse_rows.sparse and sparse_rows.labels == ("no", "yes")
        np.testing.assert_allclose(sparse_rows.X.toarray(), dense.X, rtol=1e-14)
        np.testing.assert_array_equal(sparse_rows.y, dense.y)
        np.testing.assert_array_equal(sparse_rows.row_order, dense.row_order)


def deal_all_but_one(y, n_clients, rng):
    return np.where(np.arange(len(y)) == 4, -1, np.arange(len(y)) % n_clients)


@pytest.mark.parametrize("scale", ["max_norm", "rows", "spectral", "standard"])
def test_scales_keep_float32_and_take_integers(scale):
    X = np.arange(12).reshape(4, 3) ** 2
    y = [1, -1, 1, -1]
    whole = lg.partition(X, y, n_clients=2, scale=scale)
    single = lg.partition(X.astype(np.float32), y, n_clients=2, scale=scale)
    assert (whole.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single.X, whole.X, rtol=1e-5, atol=1e-6)
