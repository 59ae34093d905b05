"""What needs to know more of a loss or a server refuses one of which the core alone knows."""

import numpy as np
import pytest
from scipy.optimize import minimize

import localgd as lg
from extension.smooth_hinge import SmoothHinge
from localgd.losses import LOSSES, of_core

HINGE = {"loss": "smooth_hinge"}


@pytest.fixture
def with_curvatures(monkeypatch):
    monkeypatch.setitem(LOSSES, "smooth_hinge", of_core("smooth_hinge", SmoothHinge))


def test_fast_forward_refuses_losses_and_servers_that_it_does_not_know(small_problem):
    method = lg.LocalGD(3, 0.1)
    with pytest.raises(lg.UnsupportedError, match="the loss 'smooth_hinge' is not known; use run"):
        lg.fast_forward(small_problem, method, rounds=1e6, **HINGE)
    method = lg.LocalGD(3, 0.1, server=lg.ServerQHM())
    with pytest.raises(lg.UnsupportedError, match="the flow of ServerQHM is not known; use run"):
        lg.fast_forward(small_problem, method, rounds=1e6)


def test_minimiser_and_limits_refuse_losses_that_they_do_not_know(small_problem):
    for find in (lg.reference.minimizer, lg.reference.limits):
        with pytest.raises(lg.UnsupportedError, match="loss: got 'smooth_hinge', whose second der"):
            find(small_problem, **HINGE)


def test_residuals_refuse_losses_of_another_tail(small_problem):
    limit = lg.reference.asymptote(small_problem)
    with pytest.raises(lg.UnsupportedError, match="not known for the smooth_hinge loss"):
        lg.run(small_problem, lg.GD(0.1), rounds=10, asymptote=limit, **HINGE)
    run = lg.run(small_problem, lg.GD(0.1), rounds=10, **HINGE)
    with pytest.raises(lg.UnsupportedError, match="the loss is 'smooth_hinge'; want one of"):
        lg.analysis.residual(small_problem, run, lg.reference.max_margin(small_problem))


def test_gradients_and_smoothness_are_those_of_the_loss():
    problem = lg.Problem([([[1.0, 0.0]], [1]), ([[0.0, 2.0]], [-1])])
    assert lg.analysis.smoothness(problem, "smooth_hinge") == pytest.approx(4.0)
    run = lg.run(problem, lg.GD(0.1), rounds=5, **HINGE)
    found = lg.analysis.gradient_alignment(problem, run.weights, "smooth_hinge")
    assert found.variance == pytest.approx(run.history["grad_variance"][-1], rel=1e-12)


def test_refusals_end_with_second_derivatives(small_problem, with_curvatures):
    far = lg.fast_forward(small_problem, lg.LocalGD(3, 0.1), rounds=30_000, verify=True, **HINGE)
    near = lg.run(small_problem, lg.LocalGD(3, 0.1), rounds=30_000, **HINGE)
    assert far.config["fast_forward"]["how"] == "log k"
    np.testing.assert_allclose(far.weights, near.weights, rtol=1e-7)
    problem = lg.datasets.make_nonseparable(n_clients=2, n_samples=20, n_features=3, seed=0)
    c, Z = problem.row_weights, problem.signed_rows
    found = lg.reference.minimizer(problem, **HINGE)
    plain = minimize(lambda w: c @ np.logaddexp(0, 4 * (1 - Z @ w)) / 4, np.zeros(3), tol=1e-12)
    np.testing.assert_allclose(found.weights, plain.x, atol=1e-5)
    assert found.relative_gradient < 1e-14 and found.margin_error < 1e-12
    assert lg.reference.limits(problem, **HINGE).margin_error < 1e-12
    rest = lg.fast_forward(problem, lg.GD("1/H"), rounds=1e9, **HINGE)
    np.testing.assert_allclose(rest.weights, found.weights, rtol=1e-9)
