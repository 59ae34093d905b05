"""Every engine, loss, method, server and dtype against the oracle of its formula."""

import itertools

import pytest
import registry

RECORD = (1, 2, 17, 150, 151, 399)
MIXES = list(itertools.product(registry.WEIGHTS, registry.STARTS))

# Each method with each loss, on one of the mixes of weights and starts after the other: 5 has no
# factor in common with their number, so that every method meets several and every mix is met.
CASES = [
    (case, loss, *MIXES[(5 * place + 3 * nr) % len(MIXES)])
    for place, case in enumerate(registry.METHODS)
    for nr, loss in enumerate(case.losses)
]
PLAIN = [
    (registry.MethodCase(name), loss, *mix)
    for name in ("GD", "LocalGD")
    for loss in registry.LOSSES
    for mix in (MIXES[::3] if loss == "softmax" else MIXES)
]


def name(value):
    return getattr(value, "name", None)


@pytest.mark.parametrize(("case", "loss", "weights", "start"), CASES, ids=name)
def test_every_method_agrees_with_the_oracle(case, loss, weights, start):
    compare(case, loss, registry.WEIGHTS[weights], *start)


@pytest.mark.parametrize(("case", "loss", "weights", "start"), PLAIN, ids=name)
def test_plain_methods_agree_with_the_oracle_for_all_weights_and_starts(case, loss, weights, start):
    compare(case, loss, registry.WEIGHTS[weights], *start)


def compare(case, loss, weights, schedule, column):
    """Weights, margins, coefficients and each column of the history, in every engine and dtype."""
    lr, rate = registry.SCHEDULES[schedule]
    rounds, init = case.rounds, registry.model(loss, column)
    settings = {"rounds": rounds, "init": init, "record": [k for k in RECORD if k < rounds]}
    want = registry.expected(case, loss, weights=weights, rate=rate, **settings)
    problem = registry.problem(loss, weights)
    for run, tolerance, where in registry.runs_of(case, loss, problem, lr, settings):
        assert (run.status, run.round) == ("completed", rounds), where
        registry.assert_model(run, want, problem, init, tolerance, where)
        registry.assert_history(run, want, problem, tolerance, where)
        assert_counts(run, want, case, problem, where)


def assert_counts(run, want, case, problem, where):
    """Local steps per client, and bytes: a vector each way, two where a second one is sent."""
    step = case.step(None, problem.weights)
    steps = step.method.local_steps_per_round(problem.weights)
    registry.assert_close(run.history["local_steps"], want.history["round"] * steps, 1e-14, where)
    size = {"float64": 8, "float32": 4}[run.config["dtype"]] * want.weights.size
    sent = 2 * size * step.method.vectors * want.history["participations"]
    assert run.history["bytes"].tolist() == sent.tolist(), where
    in_span = run.coefficients is not None
    assert in_span != case.coordinate_wise, where
