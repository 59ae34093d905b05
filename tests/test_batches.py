"""The random words of the batches: keyed by (seed, client, round), whatever is asked together."""

import itertools

import numpy as np
import oracle
import pytest
import registry
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg
from localgd.batches import Batches
from localgd.methods import LocalRule

SIZES = (4, 1, 9)
FULL = np.full((1, 3), 1 / 3)


def problem(sizes=SIZES):
    return lg.Problem([(np.ones((n, 1)), np.ones(n)) for n in sizes])


def philox_words(seed, client, k, count):
    """The words of a client in a round, from NumPy alone."""
    key = np.random.SeedSequence(seed, spawn_key=(0, client)).generate_state(2, np.uint64)
    blocks = (count + 3) // 4
    return np.random.Philox(key=key, counter=k * blocks).random_raw(4 * blocks)[:count]


RULES = {
    "with replacement": (LocalRule(local_steps=5, batch_size=3, replacement=True), (15, 15, 15)),
    "dealt": (LocalRule(local_steps=5, batch_size=3), (15, 5, 15)),
    "unequal": (LocalRule(local_steps=(2, 7, 1), batch_size=3), (6, 7, 3)),
    "whole round": (LocalRule(local_steps=5, batch_size=3, whole_round=True), (15, 5, 15)),
    "large": (LocalRule(local_steps=2, batch_size=100), (8, 2, 18)),
}


@pytest.mark.parametrize("seed", [0, 3, 2**80])
@pytest.mark.parametrize("rule", RULES)
def test_words_are_the_documented_ones(rule, seed):
    rule, rows = RULES[rule]
    words = Batches(problem(), rule, seed, 3).words(10, 14, FULL)
    assert words.dtype == np.uint64
    assert words.shape == (4, 3, (max(rows) + 1) // 2)
    for k in range(10, 14):
        for i, count in enumerate(rows):
            want = philox_words(seed, i, k, (count + 1) // 2)
            np.testing.assert_array_equal(words[k - 10, i, : len(want)], want)
            assert not words[k - 10, i, len(want) :].any()


@given(cuts=st.lists(st.integers(0, 30), max_size=4), name=st.sampled_from(sorted(RULES)))
def test_rounds_may_be_prepared_in_any_pieces(cuts, name):
    batches = Batches(problem(), RULES[name][0], 1, 3)
    whole = batches.words(0, 30, FULL)
    edges = sorted({0, 30, *cuts})
    pieces = [batches.words(a, b, FULL) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_slots_belong_to_the_clients_of_the_round():
    shares = np.array([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    batches = Batches(problem(), RULES["unequal"][0], 1, 3)
    whole = batches.words(5, 8, FULL)
    some = batches.words(5, 8, shares)
    for k, clients in enumerate(([0, 2], [1], [0, 1, 2])):
        np.testing.assert_array_equal(some[k, : len(clients)], whole[k, clients])
        assert not some[k, len(clients) :].any()


def test_clients_of_a_round_draw_different_rows():
    words = Batches(problem((8, 8, 8)), LocalRule(local_steps=4, batch_size=2), 0, 3).words(
        0, 100, FULL
    )
    assert len(np.unique(words)) == words.size


def test_oracle_reads_the_same_words():
    """Half words, low half first: with replacement row ⌊u n / 2^32⌋."""
    words = Batches(problem(), RULES["with replacement"][0], 3, 3).words(10, 11, FULL)
    halves = words.view("<u4") if np.little_endian else words.view(">u4")[..., ::-1]
    for i, n in enumerate(SIZES):
        rows = (halves[0, i, :15].astype(np.uint64) * np.uint64(n)) >> np.uint64(32)
        np.testing.assert_array_equal(oracle.drawn_rows(3, i, 10, n, 15, replacement=True), rows)


def test_rounds_at_once_bound_the_memory():
    few = Batches(problem(), RULES["dealt"][0], 0, 3)
    many = Batches(problem((400,) * 3), LocalRule(local_steps=10_000, batch_size=100), 0, 3)
    for batches, width in ((few, 8), (many, 500_000)):
        memory = batches.rounds_at_once * 3 * width * 8
        assert memory <= max(2**24, 3 * width * 8)
        assert batches.rounds_at_once >= 1
    assert few.rounds_at_once > many.rounds_at_once == 1


def test_rounds_of_too_many_draws_are_refused():
    rule = LocalRule(local_steps=10**9, batch_size=4, replacement=True)
    message = r"batch_size: the rows drawn in one round \(4,000,000,000 per client\) take 16\.0 GB"
    with pytest.raises(lg.UnsupportedError, match=message):
        Batches(problem(), rule, 0, 1)


# -- In a run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_seed_decides_the_batches(small_problem, engine, replacement):
    method = lg.LocalSGD(5, 0.3, batch_size=2, replacement=replacement)
    runs = [
        lg.run(small_problem, method, rounds=20, engine=engine, seed=seed) for seed in (0, 0, 1)
    ]
    registry.assert_same_bits(runs[0], runs[1])
    assert np.abs(runs[0].weights - runs[2].weights).max() > 1e-3


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_minibatch_sgd_takes_the_rows_of_local_sgd(engine):
    """With L = 1 the two are the same method; any other rows would tell them apart."""
    rows = registry.problem("logistic")
    settings = {"rounds": 30, "loss": "logistic", "engine": engine, "seed": 4}
    one = lg.run(rows, lg.LocalSGD(1, 0.3, batch_size=2), **settings)
    other = lg.run(rows, lg.MinibatchSGD(1, 0.3, batch_size=2), **settings)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-12)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_batches_of_all_rows_are_local_gd(small_problem, engine):
    settings = {"rounds": 30, "engine": engine}
    plain = lg.run(small_problem, lg.LocalGD(4, 0.3), **settings)
    registry.assert_same_bits(
        lg.run(small_problem, lg.LocalSGD(4, 0.3, batch_size=None), **settings), plain
    )
    for batch_size in (10, 1000):
        run = lg.run(small_problem, lg.LocalSGD(4, 0.3, batch_size=batch_size), **settings)
        np.testing.assert_allclose(run.weights, plain.weights, rtol=1e-11)


@pytest.mark.parametrize("engine", registry.ENGINES)
@pytest.mark.parametrize(
    "method",
    [
        lg.LocalSGD(5, 0.3, batch_size=3),
        lg.LocalSGD(5, 0.3, batch_size=3, participation=2),
        lg.Scaffold(5, 0.3, batch_size=3, replacement=True, participation=2, sampling="weight"),
    ],
    ids=repr,
)
def test_bits_do_not_depend_on_threads(small_problem, engine, method):
    a, b = (
        lg.run(small_problem, method, rounds=60, engine=engine, threads=threads)
        for threads in (1, 3)
    )
    registry.assert_same_bits(a, b)
