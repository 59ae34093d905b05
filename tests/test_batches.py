"""The rows of batches: NumPy's Philox keyed by (seed, client, round), in every engine."""

import numpy as np
import oracle
import pytest
import registry

import localgd as lg
from localgd.randomness import batch_keys

SIZES = (4, 1, 9)


def problem():
    """A feature of its own for each row: what it moves to says how often the row was drawn."""
    rows = np.split(np.eye(sum(SIZES)), np.cumsum(SIZES)[:-1])
    return lg.Problem([(own, np.ones(len(own))) for own in rows], task="regression")


METHODS = {
    "with replacement": lg.LocalSGD(5, 1e-4, batch_size=3, replacement=True),
    "dealt": lg.LocalSGD(5, 1e-4, batch_size=3),
    "more than a block": lg.LocalSGD(50, 1e-5, batch_size=2),
    "unequal": lg.LocalSGD((2, 7, 1), 1e-4, batch_size=3, fednova=False),
    "large": lg.LocalSGD(2, 1e-4, batch_size=100),
    "sampled": lg.LocalSGD(5, 1e-4, batch_size=2, participation=2),
}


@pytest.mark.parametrize("engine", registry.ENGINES)
@pytest.mark.parametrize("seed", [0, 2**80])
@pytest.mark.parametrize("name", METHODS)
def test_rows_are_the_documented_ones(name, seed, engine):
    method, rounds = METHODS[name], 6
    run = lg.run(
        problem(),
        method,
        rounds=rounds,
        seed=seed,
        engine=engine,
        record=range(rounds + 1),
        keep_weights=True,
    )
    moved = np.diff(run.recorded_weights, axis=0)
    steps = np.broadcast_to(method.local_steps, len(SIZES))
    for k in range(rounds):
        taken_part = []
        for i, own in enumerate(np.split(moved[k], np.cumsum(SIZES)[:-1])):
            draws = int(steps[i] * method.rule.batches(np.array(SIZES))[i])
            # All draws of a client move their weights by almost the same.
            times = own / own.sum() * draws if own.any() else own
            taken_part.append(own.any())
            if not own.any():
                continue
            rows = oracle.drawn_rows(
                seed, i, k, SIZES[i], draws, replacement=method.rule.replacement
            )
            want = np.bincount(rows, minlength=SIZES[i])
            np.testing.assert_allclose(times, want, atol=0.1)
        assert sum(taken_part) == (2 if name == "sampled" else 3)


def test_keys_differ_by_seed_and_client():
    keys = [tuple(key) for seed in (0, 1, 2**80) for key in batch_keys(seed, range(5))]
    assert len(set(keys)) == 15
    assert batch_keys(3, range(5))[:2] == batch_keys(3, range(2))


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


# -- Kernels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("engine", ["gram", "hybrid"])
@pytest.mark.parametrize("sizes", [(9, 8, 30, 8, 17), (40, 3, 8, 5, 12)], ids=["equal", "unequal"])
@pytest.mark.parametrize("batch_size", [1, 5, 8, 13])
def test_clients_in_turn_take_the_steps_of_the_primal_engine(sizes, batch_size, engine, dtype):
    """Batches of one and of eight rows have kernels of their own, others have not."""
    rng = np.random.default_rng(3)
    problem = lg.Problem(
        [(rng.standard_normal((n, 20)), rng.choice([-1.0, 1.0], n)) for n in sizes]
    )
    method = lg.LocalSGD(150, 0.05, batch_size=batch_size)
    settings = {"rounds": 4, "loss": "logistic", "threads": 2}
    want = lg.run(problem, method, engine="primal", dtype="float64", **settings).weights
    got = lg.run(problem, method, engine=engine, dtype=dtype, **settings).weights
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())
