"""Dealing rows to clients: nothing lost, nobody empty, the skew that was asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import registry
from hypothesis import given, settings
from hypothesis import strategies as st

import localgd as lg
from localgd.partitioning import Scheme
from localgd.partitioning.shares import dirichlet_shares, whole_numbers
from localgd.randomness import random_generator

LABEL_SCHEMES = [lg.Dirichlet(0.3), lg.ByClass(1)]


def rows(n: int, *, positive: int | None = None, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are told apart by their first entry, the first ``positive`` of them labelled +1."""
    X = np.random.default_rng(5).standard_normal((n, d))
    X[:, 0] = np.arange(n)
    positive = n // 2 if positive is None else positive
    return X, np.where(np.arange(n) < positive, 1.0, -1.0)


def check_deal(problem: lg.Problem, X: np.ndarray, y: np.ndarray, n_clients: int) -> None:
    assert problem.n_clients == n_clients
    assert problem.client_ids == tuple(range(n_clients))
    assert problem.sizes.min() >= 1
    np.testing.assert_array_equal(np.sort(problem.row_order), np.arange(len(y)))
    np.testing.assert_array_equal(problem.y, y[problem.row_order])


def skew(problem: lg.Problem) -> float:
    """Mean distance of the clients' share of +1 to the global share, weighted by size."""
    share = [(problem.y[problem.rows(i)] > 0).mean() for i in range(problem.n_clients)]
    return float(
        np.average(np.abs(np.array(share) - (problem.y > 0).mean()), weights=problem.sizes)
    )


@given(data=st.data(), n=st.integers(1, 60), seed=st.integers(0, 2**70))
@settings(max_examples=150, deadline=None)
def test_each_row_is_dealt_once_and_no_client_is_empty(data, n, seed):
    n_clients = data.draw(st.integers(1, n))
    scheme = data.draw(st.sampled_from(registry.SCHEMES))
    X, y = rows(n, positive=data.draw(st.integers(0, n)))
    problem = lg.partition(X, y, n_clients=n_clients, scheme=scheme, seed=seed, task="binary")
    check_deal(problem, X, y, n_clients)
    if not isinstance(scheme, lg.FeatureShift):
        np.testing.assert_array_equal(problem.X, X[problem.row_order])
    again = lg.partition(X, y, n_clients=n_clients, scheme=scheme, seed=seed, task="binary")
    assert again.X.tobytes() == problem.X.tobytes()
    assert again.row_order.tobytes() == problem.row_order.tobytes()


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    n_clients=st.integers(1, 20),
    k=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
@settings(max_examples=200, deadline=None)
def test_by_class_gives_exactly_k_classes_or_says_why_not(counts, n_clients, k, seed):
    y = np.repeat(np.arange(len(counts), dtype=float), counts)
    room = sum(min(n, n_clients) for n in counts)
    possible = k <= len(counts) <= k * n_clients <= room
    rng = np.random.default_rng(seed)
    if not possible:
        with pytest.raises(ValueError, match=rf"ByClass\(k={k}\)"):
            lg.ByClass(k).assign(y, n_clients, rng)
        return
    clients = lg.ByClass(k).assign(y, n_clients, rng)
    assert clients.min() >= 0
    assert [len(np.unique(y[clients == i])) for i in range(n_clients)] == [k] * n_clients


@pytest.mark.parametrize("alpha", [5e-324, 1e-300, 1e-6, 0.01, 1.0, 1e6, 1e300])
@pytest.mark.parametrize("scheme", [lg.Dirichlet, lg.Quantity])
def test_any_alpha_ends_with_500_clients(scheme, alpha):
    X, y = rows(2000)
    problem = lg.partition(X, y, n_clients=500, scheme=scheme(alpha), seed=3)
    check_deal(problem, X, y, 500)


def test_one_row_per_client_is_possible_at_the_smallest_alpha():
    X, y = rows(300)
    for scheme in (lg.Dirichlet(1e-6), lg.Quantity(1e-6)):
        assert lg.partition(X, y, n_clients=300, scheme=scheme).sizes.tolist() == [1] * 300


def test_dirichlet_skew_falls_with_alpha():
    X, y = rows(2000, positive=800)

    def mean_skew(scheme):
        return np.mean(
            [skew(lg.partition(X, y, n_clients=10, scheme=scheme, seed=s)) for s in range(20)]
        )

    iid, flat, sharp = (mean_skew(s) for s in (lg.Iid(), lg.Dirichlet(100), lg.Dirichlet(0.05)))
    # 200 rows per client: an iid share strays by sqrt(2/pi · 0.24/200) = 0.028 on average. The
    # largest value there is, for clients of one class each, is 2 · 0.4 · 0.6 = 0.48.
    assert iid < 0.035
    assert flat < 0.04
    assert sharp > 0.4


def test_dirichlet_shares_have_the_moments_of_the_distribution():
    rng = np.random.default_rng(0)
    for alpha in (0.05, 0.7, 3.0):
        q = np.array([dirichlet_shares(alpha, 5, rng) for _ in range(4000)])
        np.testing.assert_allclose(q.sum(axis=1), 1.0, rtol=1e-12)
        variance = 0.2 * 0.8 / (5 * alpha + 1)
        np.testing.assert_allclose(q.mean(axis=0), 0.2, atol=4 * np.sqrt(variance / 4000))
        np.testing.assert_allclose(q.var(axis=0), variance, rtol=0.12)


def test_whole_numbers_are_unbiased_and_off_by_less_than_one():
    rng = np.random.default_rng(1)
    shares = np.array([0.03, 0.47, 0.0, 0.25, 0.25])
    counts = np.array([whole_numbers(shares, 10, rng) for _ in range(4000)])
    assert (counts.sum(axis=1) == 10).all() and (counts >= 0).all()
    assert np.abs(counts - 10 * shares).max() < 1
    np.testing.assert_allclose(counts.mean(axis=0), 10 * shares, atol=0.04)


def test_empty_clients_take_from_the_largest():
    # One class and a vanishing alpha: one client gets all 10 rows, three others one each.
    X, y = rows(10, positive=10)
    problem = lg.partition(X, y, n_clients=4, scheme=lg.Dirichlet(1e-9), seed=0)
    assert sorted(problem.sizes.tolist()) == [1, 1, 1, 7]


def test_iid_sizes_differ_by_at_most_one_and_labels_mix():
    X, y = rows(1003)
    problem = lg.partition(X, y, n_clients=10)
    assert sorted(problem.sizes.tolist()) == [100] * 7 + [101] * 3
    assert skew(problem) < 0.1


def test_iid_deals_every_row_to_every_client_equally_often():
    X, y = rows(6)
    owner = np.zeros((6, 3))
    for seed in range(600):
        problem = lg.partition(X, y, n_clients=3, seed=seed)
        for i in range(3):
            owner[problem.row_order[problem.rows(i)], i] += 1
    np.testing.assert_allclose(owner / 600, 1 / 3, atol=5 * np.sqrt(2 / 9 / 600))


def test_by_class_one_splits_two_classes_over_clients_by_their_rows():
    X, y = rows(100, positive=80)
    problem = lg.partition(X, y, n_clients=10, scheme=lg.ByClass(1), seed=0)
    check_deal(problem, X, y, 10)
    assert problem.sizes.tolist() == [10] * 10  # 8 holders of 80 rows, 2 holders of 20
    labels = [set(problem.y[problem.rows(i)]) for i in range(10)]
    assert sorted(map(tuple, labels)) == [(-1.0,)] * 2 + [(1.0,)] * 8


def test_by_class_pairs_classes_at_random():
    y = np.repeat(np.arange(10.0), 50)
    pairs = set()
    for seed in range(30):
        clients = lg.ByClass(2).assign(y, 10, np.random.default_rng(seed))
        assert np.bincount(clients).tolist() == [50] * 10
        pairs |= {tuple(np.unique(y[clients == i])) for i in range(10)}
    assert len(pairs) == 45


def test_quantity_skews_sizes_not_labels():
    X, y = rows(5000)
    sharp = lg.partition(X, y, n_clients=10, scheme=lg.Quantity(0.2), seed=0)
    flat = lg.partition(X, y, n_clients=10, scheme=lg.Quantity(1e6), seed=0)
    assert sharp.sizes.max() > 5 * np.median(sharp.sizes)
    assert flat.sizes.min() >= 495
    assert skew(sharp) < 0.03


def test_feature_shift_displaces_each_client_by_one_vector_of_the_stated_length():
    X, y = rows(40, d=7)
    problem = lg.partition(X, y, n_clients=4, scheme=lg.FeatureShift(1.5), seed=2)
    shift = problem.X - X[problem.row_order]
    length = 1.5 * np.sqrt((X**2).sum(axis=1).mean())
    firsts = []
    for i in range(4):
        own = shift[problem.rows(i)]
        np.testing.assert_allclose(own, own[:1].repeat(len(own), axis=0), atol=1e-12 * length)
        np.testing.assert_allclose(np.linalg.norm(own, axis=1), length, rtol=1e-12)
        firsts.append(own[0])
    assert np.linalg.matrix_rank(np.array(firsts)) == 4
    unmoved = lg.partition(X, y, n_clients=4, scheme=lg.FeatureShift(0), seed=2)
    plain = lg.partition(X, y, n_clients=4, scheme=lg.Iid(), seed=2)
    assert unmoved.X.tobytes() == plain.X.tobytes()


@pytest.mark.parametrize("size", [1e-200, 1e200, 0.0])
def test_feature_shift_works_at_the_ends_of_the_floating_range(size):
    X, y = np.full((4, 2), size), [1, -1, 1, -1]
    problem = lg.partition(X, y, n_clients=2, scheme=lg.FeatureShift(1.0))
    length = np.hypot(*((problem.X - size) / (size or 1)).T)
    np.testing.assert_allclose(length, np.sqrt(2) * (size > 0), rtol=1e-12)


def test_feature_shift_keeps_a_margin_that_exceeds_the_shift_along_it():
    X, y = rows(50, d=4)
    X[:, 1] = y * 3.0
    problem = lg.partition(X, y, n_clients=5, scheme=lg.FeatureShift(0.01), seed=0)
    shift = (problem.X - X[problem.row_order])[:, 1]
    assert np.abs(shift).max() < 3
    assert (problem.signed_rows[:, 1] > 0).all()


def test_regression_targets():
    X, _ = rows(30)
    target = X @ [0.1, 1.0, 2.0]
    for scheme in (lg.Iid(), lg.Quantity(0.5), lg.FeatureShift(0.1)):
        assert lg.partition(X, target, n_clients=3, scheme=scheme).task == "regression"
    for scheme in LABEL_SCHEMES:
        with pytest.raises(ValueError, match=r"goes by class and the task is regression"):
            lg.partition(X, target, n_clients=3, scheme=scheme)
        with pytest.raises(ValueError, match=r"goes by class and the task is regression"):
            lg.partition(X, np.sign(target), n_clients=3, scheme=scheme, task="regression")


def test_weights_and_task_reach_the_problem():
    X, y = rows(10)
    problem = lg.partition(X, y, n_clients=2, scheme=lg.Quantity(0.5), weights="samples")
    np.testing.assert_allclose(problem.weights, problem.sizes / 10)
    assert lg.partition(X, y, n_clients=2, task="regression").task == "regression"


def test_seeds():
    X, y = rows(200)

    def order(seed):
        return lg.partition(X, y, seed=seed).row_order.tolist()

    assert order(7) == order(np.int64(7)) != order(8)
    sequence = np.random.SeedSequence(3)
    assert order(sequence) == order(np.random.SeedSequence(3))
    generator = np.random.default_rng(4)
    assert order(generator) != order(generator)  # it advances
    assert order(None) != order(None)


def test_an_int_seed_does_not_replay_the_stream_that_made_the_rows():
    assert random_generator(0).random() == np.random.default_rng(0).random()
    assert random_generator(0, stream=1).random() != np.random.default_rng(0).random()


@pytest.mark.parametrize("seed", [1.5, True, "0", [1, 2]])
def test_a_seed_of_another_kind_is_refused(seed):
    with pytest.raises(TypeError, match=r"seed: got .* want an integer of at least 0"):
        lg.partition(*rows(4), n_clients=2, seed=seed)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed: got -1; want an integer of at least 0"):
        lg.partition(*rows(4), n_clients=2, seed=-1)


@pytest.mark.parametrize("scheme", [*registry.SCHEMES, lg.ByClass(1)])
def test_more_clients_than_rows(scheme):
    with pytest.raises(ValueError, match=r"n_clients: got 5 for 4 rows; want at most 4"):
        lg.partition(*rows(4), n_clients=5, scheme=scheme)


@pytest.mark.parametrize(
    ("k", "n_clients", "positive", "message"),
    [
        (3, 4, 10, r"k=3\): y has 2 classes; want k <= 2"),
        (1, 1, 10, r"k=1\): 1 clients hold 1 of 2 classes .* want k >= 2 or more clients"),
        (2, 8, 3, r"8 clients of 2 classes need 16 pairs .* classes of \[17, 3\] rows .* only 11"),
    ],
)
def test_by_class_that_cannot_be_dealt(k, n_clients, positive, message):
    with pytest.raises(ValueError, match=message):
        lg.partition(*rows(20, positive=positive), n_clients=n_clients, scheme=lg.ByClass(k))


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("scheme", [lg.Dirichlet, lg.Quantity])
def test_alpha_out_of_range(scheme, value):
    with pytest.raises(ValueError, match=r"alpha: got .* want a finite number above 0"):
        scheme(value)


def test_other_options_out_of_range():
    with pytest.raises(TypeError, match="alpha: got '1'"):
        lg.Dirichlet("1")
    with pytest.raises(ValueError, match="k: got 0; want an integer of at least 1"):
        lg.ByClass(0)
    with pytest.raises(ValueError, match=r"scale: got -0.1; want a finite number of at least 0"):
        lg.FeatureShift(-0.1)
    with pytest.raises(ValueError, match="n_clients: got 0; want an integer of at least 1"):
        lg.partition(*rows(4), n_clients=0)
    with pytest.raises(TypeError, match=r"scheme: got 'iid'; want an instance such as Iid\(\)"):
        lg.partition(*rows(4), n_clients=2, scheme="iid")
    with pytest.raises(TypeError, match="scheme: got the class Iid; want an instance"):
        lg.partition(*rows(4), n_clients=2, scheme=lg.Iid)
    with pytest.raises(ValueError, match="y: integer label 0 at row 0, 1 distinct label in all"):
        lg.partition(np.eye(2), [0, 0], n_clients=2)
    with pytest.raises(ValueError, match="4 rows but 3 labels"):
        lg.partition(np.eye(4), [1, -1, 1], n_clients=2)


@pytest.mark.parametrize("scheme", [*registry.SCHEMES, *registry.DROPPING_SCHEMES])
def test_schemes_are_frozen_and_equal_by_value(scheme):
    assert dataclasses.replace(scheme) == scheme
    with pytest.raises(dataclasses.FrozenInstanceError):
        scheme.alpha = 2.0


def test_a_scheme_of_the_users_own():
    class Sorted(Scheme):
        def assign(self, y, n_clients, rng):
            return np.arange(len(y)) * n_clients // len(y)

    class Careless(Scheme):
        def assign(self, y, n_clients, rng):
            return np.arange(len(y)) % (n_clients - 1)

    problem = lg.partition(*rows(9), n_clients=3, scheme=Sorted())
    assert problem.row_order.tolist() == list(range(9))
    with pytest.raises(ValueError, match="dealt rows to 3 clients; want every client from 0 to 3"):
        lg.partition(*rows(9), n_clients=4, scheme=Careless())
