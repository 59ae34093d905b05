"""Sizes at which a kernel takes another path: remainders of vectors, blocks of rows, one row."""

import itertools
from functools import partial

import numpy as np
import oracle
import pytest
import registry

import localgd as lg

SHAPES = {
    "one row, one feature": ((1,), 1),
    "one client": ((9,), 4),
    "many clients of one row": ((1,) * 70, 3),
    "very unequal": ((100, 1, 2), 6),
    "odd sizes": ((17, 33, 7), 37),
    "more features than a block holds": ((5, 1, 7), 3001),
    "rows of several blocks": ((300, 41), 18),
    "features in several ranges": ((2,) * 3, 1500),
    "rows of every number of registers": (tuple(range(3, 60, 4)), 9),
}


def cases(shape):
    """(case, loss): for each shape and loss another eighth of the methods."""
    sizes, _ = SHAPES[shape]
    fitting = [case for case in registry.METHODS if case.fits(len(sizes))]
    return [
        (case, loss)
        for nr, loss in enumerate(registry.LOSSES)
        for case in fitting[(list(SHAPES).index(shape) + 3 * nr) % 8 :: 8]
        if loss in case.losses
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_engines_agree_with_the_oracle(shape):
    sizes, d = SHAPES[shape]
    column = 0.3 * np.random.default_rng(8).standard_normal(d) / np.sqrt(d)
    for case, loss in cases(shape):
        init = registry.model(loss, column)
        settings = {"rounds": 20, "init": init, "record": (1, 7)}
        want = registry.expected(
            case, loss, weights="samples", rate=lambda k: 0.3, sizes=sizes, d=d, **settings
        )
        problem = registry.problem(loss, "samples", sizes=sizes, d=d)
        for engine, dtype in itertools.product(case.engines, registry.DTYPES):
            run = lg.run(
                problem,
                case.make(0.3),
                **settings,
                loss=loss,
                engine=engine,
                dtype=dtype,
                seed=registry.SEED,
                reference=registry.reference(loss, problem),
            )
            tolerance = case.tolerance(loss, dtype)
            where = f"{case.name}, {loss}, {engine}, {dtype}"
            registry.assert_model(run, want, problem, init, tolerance, where)
            registry.assert_history(run, want, problem, tolerance, where)


@pytest.mark.parametrize("loss", ["exponential", "squared"])
def test_rounds_that_are_worked_off_in_pieces(loss):
    """So many local steps that the engines look for a stop in between, in the middle of a round."""
    sizes, d, local_steps = (320, 150), 20, 2200
    want = oracle.simulate(
        registry.clients(loss, sizes, d),
        [0.5, 0.5],
        loss=loss,
        step=partial(oracle.local_gd_round, lr=lambda k: 0.02, local_steps=local_steps),
        rounds=2,
        record=(1,),
    )
    problem = registry.problem(loss, sizes=sizes, d=d)
    for engine, dtype in registry.engine_cases():
        run = lg.run(
            problem,
            lg.LocalGD(local_steps=local_steps, lr=0.02),
            rounds=2,
            loss=loss,
            engine=engine,
            dtype=dtype,
        )
        tolerance, where = registry.TOLERANCE[dtype], f"{engine}, {dtype}"
        registry.assert_close(run.weights, want.weights, tolerance, where)
        registry.assert_close(
            problem.X.T @ (run.coefficients * (problem.y if loss == "exponential" else 1)),
            want.weights,
            tolerance,
            where,
        )
        registry.assert_close(run.history["drift"], want.history["drift"], tolerance, where)


@pytest.mark.parametrize("every_step", [True, False])
@pytest.mark.parametrize("dtype", registry.DTYPES)
def test_many_classes_and_rows(dtype, every_step):
    """K_ii that is kept in panels: the same as from the rows."""
    rng = np.random.default_rng(2)
    clients = [(rng.standard_normal((n, 30)), rng.integers(0, 7, n)) for n in (150, 97, 40)]
    problem = lg.Problem(clients, task="multiclass")
    settings = {"rounds": 60, "dtype": dtype, "every_step": every_step}
    for method in (lg.LocalGD(20, 0.5), lg.Scaffold(5, 0.5)):
        want = lg.run(problem, method, engine="primal", **settings).weights
        for engine in ("gram", "hybrid"):
            got = lg.run(problem, method, engine=engine, **settings).weights
            close = 1e-10 if dtype == "float64" else 2e-5
            assert np.abs(got - want).max() < close * np.abs(want).max()
