"""Arguments of run that make no sense: refused before work starts, with what came and is wanted."""

import numpy as np
import pytest

import localgd as lg

BAD_ARGUMENTS = [
    ("rounds", -1, ValueError, "rounds: got -1; want an integer of at least 0"),
    ("rounds", 1.5, ValueError, "rounds: got 1.5; want an integer of at least 0"),
    ("rounds", True, TypeError, "rounds: got True; want an integer"),
    ("rounds", "10", TypeError, "rounds: got '10'; want an integer"),
    ("rounds", None, TypeError, "rounds: got None; want an integer"),
    ("rounds", np.inf, ValueError, "rounds: got inf; want an integer"),
    ("rounds", 1e100, ValueError, r"rounds: got \d+; want at most 2\*\*53"),
    ("rounds", 10**400, ValueError, r"rounds: got \d+; want at most 2\*\*53"),
    ("loss", "hinge", ValueError, "loss: got 'hinge'; want one of 'exponential', 'logistic', 'sq"),
    ("loss", None, TypeError, "loss: got None; want one of 'exponential'"),
    ("engine", "gpu", ValueError, "engine: got 'gpu'; want one of 'auto', 'gram', 'hybrid', 'pri"),
    ("engine", None, TypeError, "engine: got None; want one of 'auto'"),
    ("dtype", "float16", ValueError, "dtype: got 'float16'; want one of 'float64', 'float32'"),
    ("dtype", int, ValueError, "dtype: got 'int64'; want one of 'float64', 'float32'"),
    ("dtype", "double precision", TypeError, "dtype: got 'double precision'; want 'float64' or"),
    ("init", np.zeros(29), ValueError, "init: got 29 numbers; want 30, one per feature"),
    ("init", np.zeros((30, 1)), ValueError, r"init: got an array of shape \(30, 1\); want 1 dim"),
    ("init", [np.nan] * 30, ValueError, r"init: nan at row 0 \(30 such entries\); want finite num"),
    ("init", ["a"] * 30, TypeError, "init: got dtype <U1; want real numbers"),
    ("reference", np.ones(31), ValueError, "reference: got 31 numbers; want 30, one per feature"),
    ("reference", np.zeros(30), ValueError, "reference: all numbers are 0; want a direction"),
    ("reference", [np.inf] * 30, ValueError, "reference: inf at row 0"),
    ("reference", "best", TypeError, "reference: got dtype <U4; want real numbers"),
    ("threads", 0, ValueError, "threads: got 0; want an integer of at least 1"),
    ("threads", 1.5, ValueError, "threads: got 1.5; want an integer of at least 1"),
    ("threads", "all", TypeError, "threads: got 'all'; want an integer of at least 1"),
    ("seed", -1, ValueError, "seed: got -1; want an integer of at least 0"),
    ("seed", None, TypeError, "seed: got None; want an integer of at least 0"),
    ("memory_limit", 0, ValueError, "memory_limit: got 0; want an integer of at least 1"),
    ("memory_limit", "4 GB", TypeError, "memory_limit: got '4 GB'; want an integer of at least 1"),
    ("checkpoint", 3, TypeError, "checkpoint: got 3; want a path"),
]


@pytest.fixture
def never():
    """A learning rate that must not be asked for."""

    def lr(k):
        raise AssertionError("the run has begun")

    return lr


@pytest.mark.parametrize(("name", "value", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments(small_problem, never, name, value, error, message):
    with pytest.raises(error, match=message):
        lg.run(small_problem, lg.GD(lr=never), **{"rounds": 10, name: value})


@pytest.mark.parametrize("problem", [None, "rows", [([[1.0]], [1])]])
def test_not_a_problem(problem):
    with pytest.raises(TypeError, match=r"problem: got \w+; want a localgd\.Problem"):
        lg.run(problem, lg.GD(lr=0.1), rounds=10)


@pytest.mark.parametrize("method", [None, lg.GD, "GD"])
def test_not_a_method(small_problem, method):
    with pytest.raises(TypeError, match=r"method: got .*; want GD\(\.\.\.\) or LocalGD\(\.\.\.\)"):
        lg.run(small_problem, method, rounds=10)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_loss_that_does_not_fit_the_task(loss):
    problem = lg.Problem([([[1.0]], [0.5])])
    with pytest.raises(ValueError, match=f"loss: '{loss}' does not fit a regression task; want sq"):
        lg.run(problem, lg.GD(lr=0.1), rounds=10, loss=loss)


def test_squared_loss_takes_labels_of_a_binary_task(small_problem):
    run = lg.run(small_problem, lg.GD(lr=0.1), rounds=10, loss="squared")
    residual = small_problem.X @ run.weights - small_problem.y
    assert run.history["loss"][-1] == pytest.approx((residual**2).mean() / 2)
    margins = small_problem.signed_rows @ run.weights
    assert run.history["margin"][-1] == pytest.approx(margins.min() / np.linalg.norm(run.weights))


def test_options_are_keyword_only(small_problem):
    with pytest.raises(TypeError, match="positional"):
        lg.run(small_problem, lg.GD(lr=0.1), 10)


def test_rounds_may_be_a_whole_float(small_problem):
    assert lg.run(small_problem, lg.GD(lr=0.1), rounds=1e2).round == 100
