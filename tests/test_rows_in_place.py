"""Sparse rows that are read where they are, for lack of memory for copies of them."""

import numpy as np
import pytest
import registry
from scipy.sparse import csr_array

import localgd as lg

ROUNDS = 30
METHODS = [case for case in registry.METHODS if not case.make(1.0).rule.solve]


def sparse_problem(loss, **options):
    """Of clients of different sizes, with rows without entries and a column that nobody has."""
    given = registry.clients(loss, registry.SIZES)
    labels = range(registry.N_CLASSES) if loss == "softmax" else None
    rng = np.random.default_rng(4)
    rows = []
    for X, y in given:
        X = np.where(rng.random(X.shape) < 0.4, 0, X)
        X[0], X[:, 2] = 0, 0
        rows.append((csr_array(X), y))
    return lg.Problem(rows, task=registry.task(loss), labels=labels, **options)


def run(problem, method, memory_limit, **options):
    return lg.run(
        problem, method, rounds=ROUNDS, engine="primal", memory_limit=memory_limit, **options
    )


# Every method with some loss, and every loss with Local-GD.
CASES = [
    *((case, registry.LOSSES[k % len(registry.LOSSES)]) for k, case in enumerate(METHODS)),
    *((METHODS[0], loss) for loss in registry.LOSSES),
]


@pytest.mark.parametrize(("case", "loss"), CASES, ids=lambda x: getattr(x, "name", x))
def test_every_method_agrees_with_copies_of_the_rows(case, loss):
    problem = sparse_problem(loss, weights=registry.WEIGHTS["given"])
    for dtype in registry.DTYPES:
        options = {"loss": loss, "dtype": dtype, "seed": registry.SEED}
        copied, in_place = (run(problem, case.make(0.05), m, **options) for m in (2**30, 1))
        assert (copied.status, copied.round) == (in_place.status, in_place.round)
        tolerance = case.tolerance(loss, dtype)
        np.testing.assert_allclose(
            in_place.weights, copied.weights, rtol=tolerance, atol=tolerance * 10
        )


@pytest.mark.parametrize("dtype", registry.DTYPES)
def test_bits_do_not_depend_on_the_threads(dtype):
    problem = sparse_problem("logistic", intercept="free")
    method = lg.Scaffold(6, 0.3)
    one, two, seven = (run(problem, method, 1, l2=0.1, threads=t, dtype=dtype) for t in (1, 2, 7))
    registry.assert_same_bits(one, two)
    registry.assert_same_bits(one, seven)


def test_a_checkpoint_goes_on_with_rows_read_alike(tmp_path):
    problem, method, path = sparse_problem("logistic"), lg.LocalGD(6, 0.3), tmp_path / "state.npz"
    whole = run(problem, method, 1)
    options = {"engine": "primal", "checkpoint": path}
    lg.run(problem, method, rounds=10, memory_limit=1, **options)
    registry.assert_same_bits(
        lg.run(problem, method, rounds=ROUNDS, memory_limit=2, **options), whole
    )
    with pytest.raises(ValueError, match=r"rows_in_place|memory_limit"):
        lg.run(problem, method, rounds=2 * ROUNDS, **options)
