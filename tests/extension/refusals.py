"""What needs to know more of a loss or a server refuses one that it does not know."""

import pytest

import localgd as lg


def test_fast_forward_refuses_losses_and_servers_that_it_does_not_know(small_problem):
    method = lg.LocalGD(3, 0.1)
    with pytest.raises(lg.UnsupportedError, match="the loss 'smooth_hinge' is not known; use run"):
        lg.fast_forward(small_problem, method, rounds=1e6, loss="smooth_hinge")
    method = lg.LocalGD(3, 0.1, server=lg.ServerQHM())
    with pytest.raises(lg.UnsupportedError, match="the flow of ServerQHM is not known; use run"):
        lg.fast_forward(small_problem, method, rounds=1e6)


def test_minimiser_and_limits_refuse_losses_that_they_do_not_know(small_problem):
    for find in (lg.reference.minimizer, lg.reference.limits):
        with pytest.raises(ValueError, match="loss: got 'smooth_hinge'; want one of 'exponential'"):
            find(small_problem, loss="smooth_hinge")


def test_residuals_refuse_losses_without_an_exponential_tail(small_problem):
    limit = lg.reference.asymptote(small_problem)
    settings = {"rounds": 10, "loss": "smooth_hinge"}
    with pytest.raises(lg.UnsupportedError, match="not known for the smooth_hinge loss"):
        lg.run(small_problem, lg.GD(0.1), **settings, asymptote=limit)
    run = lg.run(small_problem, lg.GD(0.1), **settings)
    with pytest.raises(lg.UnsupportedError, match="the loss is 'smooth_hinge'; want one of"):
        lg.analysis.residual(small_problem, run, lg.reference.max_margin(small_problem))


def test_gradients_and_smoothness_are_those_of_the_loss():
    problem = lg.Problem([([[1.0, 0.0]], [1]), ([[0.0, 2.0]], [-1])])
    assert lg.analysis.smoothness(problem, "smooth_hinge") == pytest.approx(4.0)
    run = lg.run(problem, lg.GD(0.1), rounds=5, loss="smooth_hinge")
    found = lg.analysis.gradient_alignment(problem, run.weights, "smooth_hinge")
    assert found.variance == pytest.approx(run.history["grad_variance"][-1], rel=1e-12)
