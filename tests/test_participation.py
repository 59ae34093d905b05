"""Which clients take part in a round: the documented draws, their distribution, any chunks."""

import itertools

import numpy as np
import pytest
import registry
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg
from localgd.participation import Participation
from localgd.randomness import RoundStream


def problem(weights):
    """One row for each client."""
    return lg.Problem([([[1.0]], [1])] * len(weights), weights=weights)


def drawn(weights, participation, sampling="uniform", *, seed=0, first=0, until=50):
    method = lg.GD(0.1, participation=participation, sampling=sampling)
    drawing = Participation(problem(weights), method, seed)
    return registry.dense_shares(drawing, first, until, len(weights))


def words_of_round(seed, k, count):
    """Philox keyed by (seed, (1, 0)), advanced by a fixed number of blocks per round."""
    key = np.random.SeedSequence(seed, spawn_key=(1, 0)).generate_state(2, np.uint64)
    blocks = (count + 3) // 4
    return np.random.Philox(key=key, counter=k * blocks).random_raw(4 * blocks)[:count]


def uniform_by_hand(p, count, seed, k):
    """Floyd's sample of the clients with p_i > 0, a word for each; their p divided by the sum."""
    eligible = [i for i in range(len(p)) if p[i] > 0]
    chosen = set()
    last = len(eligible) - int(count)
    for word in words_of_round(seed, k, count).tolist():
        one = word * (last + 1) >> 64
        chosen.add(last if one in chosen else one)
        last += 1
    shares = np.zeros(len(p))
    for nr in chosen:
        shares[eligible[nr]] = p[eligible[nr]]
    return shares / shares.sum()


def by_weight_by_hand(p, count, seed, k):
    """Each word is a number in [0, 1), which falls on a client's piece of [0, 1) of length p_i."""
    shares, ends = np.zeros(len(p)), np.cumsum(p) / np.sum(p)
    for word in words_of_round(seed, k, count).tolist():
        u = (word >> 11) * 2.0**-53
        shares[next(i for i, end in enumerate(ends) if u < end)] += 1 / count
    return shares


WEIGHTS = st.lists(st.integers(0, 5), min_size=1, max_size=9).filter(any)


@given(p=WEIGHTS, seed=st.integers(0, 2**70), data=st.data())
def test_uniform_draws_are_the_documented_ones(p, seed, data):
    count = data.draw(st.integers(1, len(p)))
    p = np.array(p) / sum(p)
    got = drawn(p, count, seed=seed, first=3, until=9)
    wanted = min(count, np.count_nonzero(p))
    want = [uniform_by_hand(p, wanted, seed, k) for k in range(3, 9)]
    np.testing.assert_allclose(got, want[: len(got)], rtol=1e-14)


@given(p=WEIGHTS, seed=st.integers(0, 2**70), data=st.data())
def test_draws_by_weight_are_the_documented_ones(p, seed, data):
    count = data.draw(st.integers(1, len(p)))
    p = np.array(p) / sum(p)
    got = drawn(p, count, "weight", seed=seed, first=3, until=9)
    np.testing.assert_allclose(
        got, [by_weight_by_hand(p, count, seed, k) for k in range(3, 9)], rtol=1e-14
    )


@pytest.mark.parametrize("sampling", ["uniform", "weight"])
@given(p=WEIGHTS, cuts=st.lists(st.integers(0, 40), max_size=4), data=st.data())
def test_rounds_may_be_asked_for_in_any_pieces(sampling, p, cuts, data):
    count = data.draw(st.integers(1, len(p)))
    method = lg.GD(0.1, participation=count, sampling=sampling)
    drawing = Participation(problem(p), method, 5)
    whole = registry.dense_shares(drawing, 0, 40, len(p))
    edges = sorted({0, 40, *cuts})
    for first, until in itertools.pairwise(edges):
        piece = registry.dense_shares(drawing, first, until, len(p))
        np.testing.assert_array_equal(piece, whole[first:until])


@given(p=WEIGHTS, data=st.data())
def test_shares_of_a_round(p, data):
    count = data.draw(st.integers(1, len(p)))
    for sampling in ("uniform", "weight"):
        method = lg.GD(0.1, participation=count, sampling=sampling)
        drawing = Participation(problem(p), method, 1)
        shares = registry.dense_shares(drawing, 0, 20, len(p))
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-14)
        assert (shares >= 0).all()
        assert not shares[:, np.array(p) == 0].any()
        present = np.count_nonzero(shares, axis=1)
        assert present.max() <= min(count, np.count_nonzero(p)) <= count
        if sampling == "uniform":
            assert (present == min(count, np.count_nonzero(p))).all()
            assert drawing.full == (count >= np.count_nonzero(p))


@pytest.mark.parametrize("participation", [1.0, 3, 4])
def test_full_participation_is_p_for_all_rounds(participation):
    drawing = Participation(problem([1, 2, 0, 5]), lg.GD(0.1, participation=participation), 0)
    assert drawing.full
    drawn = drawing.of(7, 100)
    np.testing.assert_array_equal(drawn.shares, [0.125, 0.25, 0, 0.625])
    assert drawn.clients is None and drawn.offsets is None


def test_uniform_sample_draws_each_client_equally_often():
    shares = drawn([1, 2, 3, 4, 0], 2, until=6000)
    present = np.count_nonzero(shares, axis=0)
    np.testing.assert_allclose(present[:4], 3000, atol=5 * np.sqrt(1500))
    pairs = {tuple(np.flatnonzero(row)) for row in shares}
    assert len(pairs) == 6


def test_sample_by_weight_is_unbiased():
    p = np.array([0.1, 0.2, 0.3, 0.4])
    shares = drawn(p, 2, "weight", until=6000)
    np.testing.assert_allclose(shares.mean(axis=0), p, atol=5 * 0.5 / np.sqrt(6000 * 2))
    assert set(np.unique(shares)) == {0.0, 0.5, 1.0}


def test_seeds_give_other_draws():
    draws = [drawn([1] * 10, 5, seed=seed) for seed in (0, 1, 2**64)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (draws[a] != draws[b]).any(axis=1).mean() > 0.9


def test_consecutive_rounds_draw_different_clients():
    shares = drawn([1] * 10, 5, until=1000)
    assert len({row.tobytes() for row in shares}) > 230  # of 252 sets


def test_late_rounds():
    """The counter of Philox is 256 bits wide."""
    late = drawn([1] * 10, 5, first=2**53 - 3, until=2**53)
    np.testing.assert_allclose(late[2], uniform_by_hand(np.full(10, 0.1), 5, 0, 2**53 - 1))


@pytest.mark.parametrize("sampling", ["uniform", "weight"])
def test_lists_name_each_client_once_in_order(sampling):
    method = lg.GD(0.1, participation=7, sampling=sampling)
    drawn = Participation(problem([1] * 9 + [20]), method, 0).of(0, 100)
    assert drawn.clients.dtype == np.int64
    for first, until in itertools.pairwise(drawn.offsets):
        clients = drawn.clients[first:until]
        assert 0 < len(clients) <= 7 and (np.diff(clients) > 0).all()
        np.testing.assert_allclose(drawn.shares[first:until].sum(), 1, rtol=1e-14)


def test_as_many_clients_as_the_problem_has():
    with pytest.raises(ValueError, match="participation: got 5 clients per round; the problem has"):
        drawn([1] * 4, 5)


# -- The words themselves --------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**70),
    key=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    words=st.integers(1, 11),
    first=st.integers(0, 1000),
)
def test_round_stream_is_philox(seed, key, words, first):
    got = RoundStream(seed, key, words).draw(first, first + 3)
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(2, np.uint64)
    blocks = (words + 3) // 4
    for k, row in enumerate(got):
        philox = np.random.Philox(key=state, counter=(first + k) * blocks)
        assert row.dtype == np.uint64
        np.testing.assert_array_equal(row, philox.random_raw(words))


def test_streams_of_other_keys_share_no_words():
    streams = [RoundStream(0, (a, i), 8).draw(0, 50) for a in (0, 1) for i in range(4)]
    every = np.concatenate([stream.ravel() for stream in streams])
    assert len(np.unique(every)) == len(every)
