"""Which engine is chosen, and that its Gram matrices stay within the memory allowed."""

import importlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import registry
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg
from localgd import _backend, engines
from localgd.alone import ALONE
from localgd.engines import choose_engine


def shape(sizes, d):
    """What the choice looks at, without the rows."""
    sizes = np.array(sizes)
    return SimpleNamespace(
        sizes=sizes,
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        n_clients=len(sizes),
        n_samples=int(sizes.sum()),
        n_features=d,
        free_intercept=False,
        shares_rows=False,
        ranks=ALONE,
        entries_before=None,
        n_classes=1,
        n_outputs=1,
        sparse=False,
    )


def choose(problem, local_steps, rounds, **options):
    settings = {"engine": "auto", "itemsize": 8, "memory_limit": 2**32, **options}
    method = settings.pop("method", None) or lg.LocalGD(local_steps, 1.0)
    return choose_engine(problem, method, rounds, loss="logistic", **settings)


def flops(problem, local_steps, rounds):
    """Total flops of every step, less the margins after the last one."""
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


@given(SHAPES, st.integers(1, 10_000), st.integers(1, 10**9))
def test_clear_winner_by_flops_is_chosen(problem, local_steps, rounds):
    """Memory speed shifts the balance by less than a factor of 20."""
    counts = flops(problem, local_steps, rounds)
    best = min(counts, key=counts.get)
    if all(counts[best] * 20 < counts[engine] for engine in counts if engine != best):
        plan = choose(problem, local_steps, rounds, memory_limit=2**62, every_step=True)
        assert plan.engine == best


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


METHODS = (
    lg.LocalGD(10, 0.1),
    lg.LocalGD(100, 0.1, participation=0.3),
    lg.LocalSGD(10, 0.1, batch_size=3),
    lg.Scaffold(10, 0.1),
    lg.FedGA(10, 0.1, beta=0.1),
    lg.LocalGD(10, 0.1, server=lg.ServerSGD(momentum=0.5)),
    lg.LocalSolve(),
)


@given(
    SHAPES,
    st.sampled_from(METHODS),
    st.integers(0, 10**6),
    st.sampled_from([4, 8]),
    st.booleans(),
)
def test_engine_does_not_depend_on_the_machine(problem, method, rounds, itemsize, every_step):
    """Neither on what the core is built for, nor on cores, threads or the environment."""

    def plan():
        options = {"itemsize": itemsize, "every_step": every_step, "method": method}
        return choose(problem, 0, rounds, memory_limit=2**62, **options)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("usable_cores", "cpu_quota", "choose_threads"):
            patch.setattr(engines, name, None)  # not to be called
        plans = []
        for level in _backend.available():
            core = importlib.import_module(f"localgd._core_{level}")
            patch.setattr(engines, "core", core)
            plans.append(plan())
    first = plans[0]
    for other in plans[1:]:
        assert (other.engine, other.phase, other.parts) == (first.engine, first.phase, first.parts)
        for name in ("seconds_setup", "seconds_round", "bytes"):
            assert getattr(other, name) == pytest.approx(getattr(first, name), rel=1e-12)


def test_engine_is_foreseen_from_options_alone(run_python):
    """The same with one core and one thread, an environment of its own, and another problem
    of the same sizes.
    """
    script = """
import localgd as lg
for M, n, d in ((10, 50, 600), (100, 10, 30), (3, 900, 20)):
    for method in (lg.LocalGD(10, 0.1), lg.LocalSGD(10, 0.1, batch_size=4)):
        for seed in (0, 1):
            data = lg.datasets.make_separable(n_clients=M, n_samples=n, n_features=d, seed=seed)
            print(lg.run(data, method, rounds=20, record=[]).engine)
"""
    plain = run_python(script)
    other = run_python(
        script, OMP_NUM_THREADS="1", LOCALGD_INSTRUCTION_SET=_backend.available()[-1]
    )
    assert plain.returncode == other.returncode == 0, plain.stderr + other.stderr
    assert plain.stdout == other.stdout
    found = plain.stdout.split()
    assert found[::2] == found[1::2] and len(set(found)) > 1


def test_late_rounds_are_foreseen():
    """A long run takes fewer steps and products of Gram matrices than a short one."""
    problem = shape([50] * 10, 600)

    def seconds(rounds, **options):
        return choose(problem, 100, rounds, engine="gram", **options).seconds_round

    assert seconds(10**6) < 0.5 * seconds(10)
    assert seconds(10**6, every_step=True) == pytest.approx(seconds(10, every_step=True))


def test_sampled_clients_move_the_choice():
    """The server of the gram engine takes all rows in every round, whoever takes part."""
    problem = shape([10] * 100, 300)
    few = lg.LocalGD(10, 0.1, participation=1)
    assert choose(problem, 10, 10**6).engine == "gram"
    assert choose(problem, 0, 10**6, method=few).engine != "gram"


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
