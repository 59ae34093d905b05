"""Ten thousand clients of a few rows each: right, in little memory, whatever the threads."""

import numpy as np
import pytest
import registry

import localgd as lg

CLIENTS, ROWS, FEATURES, STEPS, LR = 10_000, 5, 20, 4, 0.5


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(7)
    rows = rng.standard_normal((CLIENTS * ROWS, FEATURES)) / np.sqrt(FEATURES)
    labels = np.where(rng.random(len(rows)) < 0.5, -1, 1)
    return lg.Problem.from_arrays(rows, labels, np.repeat(np.arange(CLIENTS), ROWS))


def local_gd(problem, shares, rounds):
    """Rounds of Local-GD for the logistic loss, all clients at once."""
    z = problem.signed_rows.reshape(CLIENTS, ROWS, FEATURES)
    w = np.zeros(FEATURES)
    for _ in range(rounds):
        local = np.tile(w, (CLIENTS, 1))
        for _ in range(STEPS):
            e = 1 / (1 + np.exp(np.einsum("ijk,ik->ij", z, local)))
            local += LR / ROWS * np.einsum("ij,ijk->ik", e, z)
        w = shares @ local
    return w


@pytest.mark.parametrize("engine", ["auto", "hybrid", "primal"])
def test_rounds_are_those_of_the_formula(problem, engine):
    method = lg.LocalGD(local_steps=STEPS, lr=LR)
    got = lg.run(problem, method, rounds=3, loss="logistic", engine=engine)
    want = local_gd(problem, np.full(CLIENTS, 1 / CLIENTS), 3)
    np.testing.assert_allclose(got.weights, want, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("engine", ["hybrid", "primal"])
def test_threads_do_not_change_the_bits(problem, engine, dtype):
    method = lg.LocalGD(local_steps=STEPS, lr=LR)
    first, *others = (
        lg.run(problem, method, rounds=4, engine=engine, dtype=dtype, threads=t) for t in (1, 2, 3)
    )
    for other in others:
        registry.assert_same_bits(first, other)


def test_memory_is_proportional_to_the_rows(run_python):
    """Beyond the problem: signed rows, the changes of the clients, their blocks, records."""
    script = f"""
import resource
import numpy as np, localgd as lg
rng = np.random.default_rng(0)
rows = rng.standard_normal(({CLIENTS} * 5, 50))
problem = lg.Problem.from_arrays(rows, np.sign(rows[:, 0]), np.repeat(np.arange({CLIENTS}), 5))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
lg.run(problem, lg.LocalGD(local_steps=10, lr=0.1), rounds=20)
print((peak() - before) / rows.nbytes)
"""
    done = run_python(script)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 2
