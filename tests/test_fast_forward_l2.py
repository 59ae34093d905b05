"""fast_forward with λ: exact rounds to the fixed point, and that of any later round."""

import numpy as np
import pytest
import registry

import localgd as lg

L2 = 0.05
METHODS = {
    "GD": lg.GD(0.3),
    "LocalGD": lg.LocalGD(7, 0.3),
    "two-stage": lg.LocalGD(7, lg.TwoStage(0.5, 0.1, 100)),
    "momentum": lg.LocalGD(7, 0.3, server=lg.ServerSGD(0.7, 0.5)),
    "FedProx": lg.FedProx(7, 0.3, 0.2),
    "Scaffold": lg.Scaffold(7, 0.3),
    "FedGA": lg.FedGA(7, 0.3, 0.1),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize("intercept", [None, "free"])
def test_the_end_is_that_of_a_long_run(name, loss, intercept):
    problem = registry.problem(loss, "samples", intercept=intercept)
    settings = {"loss": loss, "l2": L2}
    if loss in ("exponential", "poisson") and name == "two-stage":
        return  # the first rate is too large
    method = METHODS[name]
    far = lg.fast_forward(problem, method, rounds=1e100, **settings)
    assert far.config["fast_forward"]["how"] == "fixed point"
    assert far.history["round"][-1] == 1e100
    exact = far.config["fast_forward"]["exact_rounds"]
    run = lg.run(problem, method, rounds=4 * exact, **settings)
    np.testing.assert_allclose(far.weights, run.weights, rtol=0, atol=1e-8 * norm(run.weights))
    assert far.history["error"][-1] < 1e-8
    for k, error in zip(far.history["round"], far.history["error"], strict=True):
        assert (error == 0) == (k <= exact)
    assert far.history["local_steps"][-1] > 1e99


def norm(w):
    return float(np.linalg.norm(w))


def test_a_smaller_tolerance_takes_more_rounds():
    problem = registry.problem("logistic")
    best = lg.reference.minimizer(problem, loss="logistic", l2=L2)
    exact = []
    for rtol in (1e-3, 1e-11):
        far = lg.fast_forward(
            problem, lg.GD(0.3), rounds=1e30, l2=L2, loss="logistic", rtol=rtol, reference=best
        )
        assert far.history["distance"][-1] <= rtol * norm(best.weights)
        exact.append(far.config["fast_forward"]["exact_rounds"])
    assert exact[0] < exact[1]


def test_few_rounds_are_those_of_run():
    problem = registry.problem("softmax")
    far = lg.fast_forward(problem, lg.LocalGD(3, 0.2), rounds=20, loss="softmax", l2=L2)
    run = lg.run(problem, lg.LocalGD(3, 0.2), rounds=20, loss="softmax", l2=L2)
    np.testing.assert_allclose(far.weights, run.weights, rtol=1e-13)
    assert far.round == 20
    assert far.config["fast_forward"]["how"] == "exact rounds"


def test_what_does_not_come_to_rest_is_refused():
    problem = registry.problem("logistic")
    settings = {"rounds": 1e9, "loss": "logistic", "l2": 0.1}
    for method, message in (
        (lg.LocalSGD(3, 0.1, batch_size=1), "batches are random"),
        (lg.LocalGD(3, 0.1, participation=1), "sampled"),
        (lg.LocalGD(3, 0.1, server=lg.Anchored()), "does not come to rest"),
        (lg.LocalGD(3, lg.Polynomial(0.1, 0.5)), "constant rates alone"),
    ):
        with pytest.raises(lg.UnsupportedError, match=message):
            lg.fast_forward(problem, method, **settings)
    with pytest.raises(lg.UnsupportedError, match="want max_exact_rounds above"):
        lg.fast_forward(problem, lg.GD(1e-4), max_exact_rounds=500, **settings)
    squared = registry.problem("squared")
    with pytest.warns(RuntimeWarning, match="diverged after round"):
        run = lg.fast_forward(squared, lg.GD(1e3), rounds=1e9, loss="squared", l2=0.1)
    assert run.status == "diverged"
