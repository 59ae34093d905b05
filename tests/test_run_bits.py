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


@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("d", [64, 70])
def test_wherever_the_rows_lie(dtype, d, monkeypatch):
    """Many rows are read where the caller has them, from boundary to boundary of registers."""
    monkeypatch.setattr("localgd.rows.MOST_ALIGNED", 0)
    problem = registry.problem("logistic", "samples", sizes=(12, 40, 25), d=d)
    bytes_of_rows = problem.X.astype(dtype).tobytes()
    runs = []
    for shift in range(0, 64, np.dtype(dtype).itemsize):
        room = np.full(len(bytes_of_rows) + 128, 0xFF, np.uint8)
        begin = -room.ctypes.data % 64 + shift
        room[begin : begin + len(bytes_of_rows)] = np.frombuffer(bytes_of_rows, np.uint8)
        X = np.frombuffer(room.data, dtype, problem.X.size, begin).reshape(problem.X.shape)
        moved = lg.Problem.from_arrays(X, problem.y, np.repeat(range(3), (12, 40, 25)))
        assert moved.X.ctypes.data % 64 == shift
        runs.append(
            lg.run(
                moved,
                lg.LocalGD(local_steps=5, lr=0.3),
                rounds=9,
                engine="primal",
                dtype=dtype,
                threads=2,
            )
        )
    for run in runs:
        registry.assert_same_bits(runs[0], run)


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
