"""Ctrl-C gives back what was computed, even in the middle of a round that lasts for hours."""

import numpy as np
import pytest
import registry

import localgd as lg


def interrupt(round):
    raise KeyboardInterrupt


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("engine", "dtype"), registry.engine_cases())
def test_interrupted_run_is_that_of_its_whole_rounds(small_problem, engine, dtype, threads):
    settings = {"engine": engine, "dtype": dtype, "threads": threads}
    method = lg.LocalGD(local_steps=40, lr=0.3)
    run = lg.run(small_problem, method, rounds=10**8, progress=interrupt, **settings)
    assert run.status == "interrupted"
    assert 0 < run.round < 10**8
    assert run.message == f"interrupted after round {run.round:,} of 100,000,000"
    exact = lg.run(small_problem, method, rounds=run.round, **settings)
    registry.assert_same_bits(run, exact)
    assert run.raise_for_status() is run


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_interrupt_inside_a_round_keeps_the_state_before_it(small_problem, engine, threads):
    """The second round has 10^15 local steps."""
    method = lg.LocalGD(local_steps=10**15, lr=1e-20)
    run = lg.run(
        small_problem,
        method,
        rounds=3,
        progress=interrupt,
        engine=engine,
        threads=threads,
        every_step=True,
    )
    assert (run.status, run.round) == ("interrupted", 0)
    assert not run.weights.any()
    assert not run.coefficients.any()
    assert run.history["round"].tolist() == [0]


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_real_signal_during_a_round_that_would_last_for_years(run_python, engine):
    script = f"""
import os, signal, threading, localgd as lg
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs start without
problem = lg.datasets.make_separable(n_clients=4, n_samples=50, n_features=400, seed=0)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
method = lg.LocalGD(local_steps=10**15, lr=1e-20)
run = lg.run(problem, method, rounds=5, engine="{engine}", every_step=True)
print(run.status, run.round)
"""
    done = run_python(script, timeout=60)
    assert (done.returncode, done.stdout) == (0, "interrupted 0\n"), done.stderr


def test_interrupt_while_the_gram_block_of_a_single_client_is_made():
    """No rounds: whoever asks for the stop does so during the product, which takes a second."""
    problem = lg.Problem([(np.ones((2000, 3000)), np.ones(2000))])
    run = lg.run(problem, lg.GD(lr=1e-9), rounds=0, engine="hybrid", progress=interrupt)
    assert run.status == "interrupted"


def test_errors_of_the_progress_callable_come_through(small_problem):
    def fail(round):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        lg.run(small_problem, lg.LocalGD(local_steps=100, lr=0.1), rounds=10**8, progress=fail)


def test_errors_of_a_schedule_come_through(small_problem):
    with pytest.raises(ZeroDivisionError):
        lg.run(small_problem, lg.GD(lr=lambda k: 1 / k), rounds=5)


def test_run_after_an_interrupted_one_is_not_touched_by_it(small_problem):
    method = lg.LocalGD(local_steps=40, lr=0.3)
    before = lg.run(small_problem, method, rounds=100, threads=2)
    lg.run(small_problem, method, rounds=10**8, threads=2, progress=interrupt)
    registry.assert_same_bits(before, lg.run(small_problem, method, rounds=100, threads=2))
    assert np.isfinite(before.weights).all()
