"""Every method gives the same bits on any threads, for any records, and where it breaks off."""

import numpy as np
import pytest
import registry

import localgd as lg

CASES = pytest.mark.parametrize("case", registry.METHODS, ids=lambda case: case.name)


def runs(case, nr, engine, *settings):
    """Runs of a case in one engine, with one loss and dtype of several."""
    loss = case.losses[(len(case.name) + nr) % len(case.losses)]
    problem = registry.problem(loss, "samples", sizes=(12, 40, 25), d=70)
    shared = {"rounds": 12, "loss": loss, "engine": engine, "dtype": registry.DTYPES[nr % 2]}
    return [lg.run(problem, case.make(0.3), **{**shared, **setting}) for setting in settings]


@CASES
def test_on_any_threads_and_a_second_time(case):
    for nr, engine in enumerate(case.engines):
        first, *others = runs(case, nr, engine, *({"threads": t} for t in (1, 1, 3)))
        assert first.weights.any()
        for other in others:
            registry.assert_same_bits(first, other)


@CASES
def test_for_any_records(case):
    """Gradients for the records are no part of the round, and end no piece of it."""
    for nr, engine in enumerate(case.engines):
        sparse, dense = runs(
            case, nr, engine, *({"record": record, "threads": 1} for record in ([], range(13)))
        )
        np.testing.assert_array_equal(sparse.weights, dense.weights)
        assert [len(run.history["round"]) for run in (sparse, dense)] == [2, 13]
        for name, column in sparse.history.items():
            np.testing.assert_array_equal(column, dense.history[name][[0, -1]], err_msg=name)


@pytest.mark.filterwarnings("ignore:diverged:RuntimeWarning")
@pytest.mark.parametrize(
    "case",
    [case for case in registry.METHODS if not (case.solve or case.coordinate_wise)],
    ids=lambda case: case.name,
)
def test_result_of_a_diverged_run_is_that_of_its_last_whole_round(case):
    problem = registry.problem("squared")
    for nr, engine in enumerate(case.engines):
        settings = {
            **{"loss": "squared", "engine": engine, "dtype": registry.DTYPES[nr % 2]},
            **{"init": np.linspace(-1, 1, 5), "threads": 1, "record": []},
        }
        run = lg.run(problem, case.make(60.0), rounds=10_000, **settings)
        assert run.status == "diverged"
        again = lg.run(problem, case.make(60.0), rounds=run.round, **settings)
        np.testing.assert_array_equal(run.weights, again.weights)
        np.testing.assert_array_equal(run.coefficients, again.coefficients)
        assert np.isfinite(run.weights).all()
