"""Every engine, loss, method and dtype against the oracle after 1,000 rounds."""

import numpy as np
import oracle
import pytest
import registry

import localgd as lg

ROUNDS = 1000
RECORD = (1, 2, 17, 300, 301, 999)
REFERENCE = np.array([1.0, -2.0, 3.0, -4.0, 5.0])


@pytest.mark.parametrize(("schedule", "init"), registry.STARTS)
@pytest.mark.parametrize("weights", registry.WEIGHTS)
@pytest.mark.parametrize("method", registry.METHODS, ids=lambda case: case.name)
@pytest.mark.parametrize("loss", registry.LOSSES)
def test_engines_agree_with_the_oracle(loss, method, weights, schedule, init):
    weights = registry.WEIGHTS[weights]
    lr, rate = registry.SCHEDULES[schedule]
    settings = {"loss": loss, "rounds": ROUNDS, "init": init, "record": RECORD}
    want = oracle.simulate(
        registry.clients(loss),
        registry.client_weights(weights, registry.SIZES),
        step=method.step(rate),
        reference=REFERENCE,
        **settings,
    )
    problem = registry.problem(loss, weights)
    for engine, dtype in registry.engine_cases():
        run = lg.run(
            problem, method.make(lr), engine=engine, dtype=dtype, reference=REFERENCE, **settings
        )
        assert (run.engine, run.status, run.round) == (engine, "completed", ROUNDS)
        compare(problem, run, want, init, registry.TOLERANCE[dtype], f"{engine}, {dtype}")


def compare(problem, run, want, init, tolerance, where):
    """Weights, margins, coefficients and each column of the history."""
    rows = problem.X if run.config["loss"] == "squared" else problem.signed_rows
    w0 = np.zeros(problem.n_features) if init is None else np.array(init)
    registry.assert_close(run.weights, want.weights, tolerance, where)
    registry.assert_close(rows @ run.weights, rows @ want.weights, tolerance, where)
    registry.assert_close(w0 + rows.T @ run.coefficients, want.weights, tolerance, where)
    for name in set(run.history) - {"local_steps"}:
        registry.assert_close(run.history[name], want.history[name], tolerance, f"{name}, {where}")
    expected = {"round", "loss", "norm", "angle", "drift", "local_steps"}
    assert set(run.history) == expected | ({"margin"} if problem.task == "binary" else set())
    steps = run.config["method"]["local_steps"] if "local_steps" in run.config["method"] else 1
    np.testing.assert_array_equal(run.history["local_steps"], steps * want.history["round"])
