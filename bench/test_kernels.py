"""Regressions of single kernels, with pytest-benchmark: one client, one thread, many local steps.

    python -m pytest -o addopts= bench/test_kernels.py --benchmark-autosave

keeps the figures; ``--benchmark-compare --benchmark-compare-fail=median:10%`` compares with them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import localgd as lg

LOCAL_STEPS, ROUNDS = 500, 10  # long beside the setting up of a run
DTYPES = ("float64", "float32")


def one_client(n: int, d: int) -> lg.Problem:
    return lg.datasets.make_separable(n_clients=1, n_samples=n, n_features=d, seed=0)


def time_run(benchmark: Any, problem: lg.Problem, method: lg.LocalGD | lg.LocalSGD, **how: Any):
    def work() -> lg.Run:
        return lg.run(problem, method, rounds=ROUNDS, threads=1, record=[], **how)

    run = benchmark(work)
    assert run.status == "completed"
    if benchmark.enabled:
        steps = ROUNDS * method.local_steps
        benchmark.extra_info["local_steps_per_second"] = steps / benchmark.stats["median"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [5, 10, 20, 50, 200])
def test_gram_step(benchmark, n, dtype):
    method = lg.LocalGD(local_steps=LOCAL_STEPS, lr=1.0)
    time_run(benchmark, one_client(n, 600), method, engine="gram", dtype=dtype, loss="exponential")


@pytest.mark.parametrize("loss", ["exponential", "logistic", "squared"])
def test_loss_in_gram_step(benchmark, loss):
    if loss == "squared":
        problem = lg.datasets.make_regression(n_clients=1, n_samples=50, n_features=600, seed=0)
    else:
        problem = one_client(50, 600)
    method = lg.LocalGD(local_steps=LOCAL_STEPS, lr=0.5)
    time_run(benchmark, problem, method, engine="gram", loss=loss)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "d"), [(50, 600), (1000, 784)])
def test_primal_step(benchmark, n, d, dtype):
    method = lg.LocalGD(local_steps=50, lr=1.0)
    problem = one_client(n, d)
    time_run(benchmark, problem, method, engine="primal", dtype=dtype, loss="exponential")


@pytest.mark.parametrize("engine", ["gram", "primal"])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_sampled_step(benchmark, batch_size, engine):
    method = lg.LocalSGD(local_steps=LOCAL_STEPS, lr=0.1, batch_size=batch_size)
    time_run(benchmark, one_client(50, 600), method, engine=engine, loss="exponential")


@pytest.mark.parametrize("engine", ["gram", "primal"])
def test_softmax_step(benchmark, engine):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 784)) / 28
    problem = lg.Problem([(X, np.arange(100) % 10)], task="multiclass")
    time_run(benchmark, problem, lg.LocalGD(local_steps=50, lr=1.0), engine=engine)
