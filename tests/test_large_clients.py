"""A client of many rows, which the primal engine shares out among the threads."""

import numpy as np
import pytest
import registry

import localgd as lg
from localgd._backend import core

N, D = 1400, 800  # over 4 MB of rows in either type


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((N + 3, D)) / np.sqrt(D)
    labels = np.where(rng.random(len(rows)) < 0.5, -1, 1)
    return lg.Problem.from_arrays(rows, labels, np.repeat([0, 1], [N, 3]))


def run(problem, method, **settings):
    return lg.run(problem, method, rounds=4, loss="logistic", **settings)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "method", [lg.LocalGD(local_steps=5, lr=2.0), lg.Scaffold(local_steps=5, lr=2.0)], ids=repr
)
def test_more_threads_than_clients_give_the_same_bits(problem, method, dtype):
    first, *others = (
        run(problem, method, engine="primal", dtype=dtype, threads=t) for t in (1, 2, 5)
    )
    for other in others:
        registry.assert_same_bits(first, other)
    if core.build_info()["openmp"]:
        assert [r.threads for r in (first, *others)] == [1, 2, 5]
    want = run(problem, method, engine="hybrid").weights
    tolerance = {"float64": 1e-12, "float32": 1e-5}[dtype]
    np.testing.assert_allclose(first.weights, want, atol=tolerance * np.abs(want).max())


def test_batches_of_a_large_client_take_a_thread_for_each_client(problem):
    method = lg.LocalSGD(local_steps=5, lr=0.5, batch_size=2)
    assert run(problem, method, engine="primal", threads=7).threads <= 2
