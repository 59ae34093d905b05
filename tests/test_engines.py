"""Which engine is chosen, and that its Gram matrices stay within the memory allowed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import registry
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg
from localgd.engines import choose_engine


def shape(sizes, d):
    """What the choice looks at, without the rows."""
    sizes = np.array(sizes)
    return SimpleNamespace(
        sizes=sizes,
        n_clients=len(sizes),
        n_samples=int(sizes.sum()),
        n_features=d,
        n_classes=1,
    )


def choose(problem, local_steps, rounds, **options):
    settings = {"engine": "auto", "itemsize": 8, "memory_limit": 2**32, **options}
    method = lg.LocalGD(local_steps, 1.0)
    return choose_engine(problem, method, rounds, loss="exponential", **settings)


def flops(problem, local_steps, rounds):
    """Total flops: the table of engines.py, less the margins after the last step."""
    n, N = problem.sizes.astype(float), float(problem.n_samples)
    M, d, L = problem.n_clients, problem.n_features, local_steps
    span = (L - 1) * (2 * n**2).sum()
    return {
        "gram": 2 * N**2 * d + rounds * (span + 2 * N**2),
        "hybrid": 2 * (n**2).sum() * d + rounds * (span + 4 * N * d),
        "primal": rounds * (L * (4 * n * d).sum() + 2 * M * d),
    }


SHAPES = st.builds(
    shape,
    st.lists(st.integers(1, 3000), min_size=1, max_size=60),
    st.integers(1, 100_000),
)


@given(SHAPES, st.integers(1, 10_000), st.integers(0, 10**9))
def test_clear_winner_by_flops_is_chosen(problem, local_steps, rounds):
    """Memory speed shifts the balance by less than a factor of 20."""
    counts = flops(problem, local_steps, rounds)
    best = min(counts, key=counts.get)
    if all(counts[best] * 20 < counts[engine] for engine in counts if engine != best):
        assert choose(problem, local_steps, rounds, memory_limit=2**62).engine == best


@given(SHAPES, st.integers(1, 10_000), st.integers(0, 10**9), st.integers(1, 2**40))
def test_memory_limit_is_never_exceeded(problem, local_steps, rounds, memory_limit):
    blocks, N = float((problem.sizes.astype(float) ** 2).sum()), float(problem.n_samples)
    need = {
        "gram": blocks + N**2,
        "hybrid": blocks + problem.n_clients * problem.n_features,
        "primal": 0,
    }
    for itemsize in (8, 4):
        options = {"memory_limit": memory_limit, "itemsize": itemsize}
        plan = choose(problem, local_steps, rounds, **options)
        assert itemsize * need[plan.engine] <= memory_limit
        for engine in ("gram", "hybrid"):
            if itemsize * need[engine] > memory_limit:
                with pytest.raises(lg.UnsupportedError, match=f"engine: '{engine}' needs"):
                    choose(problem, local_steps, rounds, engine=engine, **options)
            else:
                assert choose(problem, local_steps, rounds, engine=engine, **options).bytes


CASES = {
    "few rows, many features, many rounds": ((10,) * 5, 5000, 100, 10**6, "gram"),
    "many small clients": ((20,) * 200, 100, 10, 10**5, "hybrid"),
    "many rows, few features": ((20_000,), 5, 10, 10**4, "primal"),
    "a single round is not worth a Gram matrix": ((500, 500), 2000, 1, 1, "primal"),
}


@pytest.mark.parametrize("case", CASES)
def test_run_takes_and_reports_the_engine(case):
    sizes, d, local_steps, rounds, engine = CASES[case]
    problem = registry.problem("exponential", sizes=sizes, d=d)

    def stop(round):
        raise KeyboardInterrupt

    method = lg.LocalGD(local_steps=local_steps, lr=1e-3)
    run = lg.run(problem, method, rounds=rounds, progress=stop)
    assert (run.engine, run.config["engine"]) == (engine, "auto")
    # With next to no memory only the weights are left.
    run = lg.run(problem, method, rounds=rounds, progress=stop, memory_limit=1000)
    assert run.engine == "primal"


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_engine_may_be_forced(small_problem, engine):
    run = lg.run(small_problem, lg.GD(lr=0.1), rounds=3, engine=engine)
    assert (run.engine, run.config["engine"]) == (engine, engine)


def test_gram_matrix_of_10_gb_asked_for_by_force():
    X, y = np.ones((50_200, 1)), np.ones(50_200)
    problem = lg.Problem.from_arrays(X, y, np.arange(50_200) % 1000)
    message = (
        r"engine: 'gram' needs 10\.1 GB of Gram matrices for 50,200 rows, the limit is 4\.3 GB; "
        r"use engine='auto' \(here 'primal'\) or raise memory_limit \(in bytes\)"
    )
    with pytest.raises(lg.UnsupportedError, match=message):
        lg.run(problem, lg.GD(lr=0.1), rounds=1, engine="gram")
    with pytest.raises(lg.UnsupportedError, match=r"'gram' needs 5\.1 GB"):
        lg.run(problem, lg.GD(lr=0.1), rounds=1, engine="gram", dtype="float32")
    with pytest.raises(lg.UnsupportedError, match=r"'hybrid' needs 20\.2 GB"):
        lg.run(lg.Problem([(X, y)]), lg.GD(lr=0.1), rounds=1, engine="hybrid")
    assert lg.run(problem, lg.GD(lr=0.1), rounds=1).engine == "primal"


@pytest.mark.parametrize("engine", ["gram", "hybrid"])
def test_memory_limit_at_its_edge(engine):
    problem = registry.problem("exponential", sizes=(3, 4), d=6)
    need = int(8 * {"gram": 3**2 + 4**2 + 7**2 / 2, "hybrid": 3**2 + 4**2 + 2 * 6}[engine])
    settings = {"rounds": 2, "engine": engine}
    assert lg.run(problem, lg.GD(lr=0.1), memory_limit=need, **settings).engine == engine
    with pytest.raises(lg.UnsupportedError, match="memory_limit"):
        lg.run(problem, lg.GD(lr=0.1), memory_limit=need - 1, **settings)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space")
@pytest.mark.parametrize("threads", [1, 2])
def test_memory_that_the_system_refuses(run_python, threads):
    """Room for one of four Gram blocks: a MemoryError, not the end of the process."""
    script = f"""
import resource
from pathlib import Path
import numpy as np, localgd as lg
n = 5000
problem = lg.Problem([(np.ones((n, 5)), np.ones(n)) for _ in range(4)])
small = lg.Problem([(np.ones((4, 5)), np.ones(4)) for _ in range(4)])
run = lambda p: lg.run(p, lg.GD(lr=1e-9), rounds=1, engine="hybrid", threads={threads})
run(small)  # starts the threads
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 8 * n**2 * 3 // 2, resource.RLIM_INFINITY))
for attempt in range({1 if threads == 1 else 20}):
    try:
        run(problem)
    except MemoryError:
        continue
    raise AssertionError
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("refused,", run(small).status)
"""
    done = run_python(script)
    assert (done.returncode, done.stdout) == (0, "refused, completed\n"), done.stderr
