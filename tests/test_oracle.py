"""The oracle itself: its gradients are derivatives, its measures are those of hand-made cases."""

import numpy as np
import oracle
import pytest
import registry


@pytest.mark.parametrize("loss", oracle.LOSSES)
def test_gradients_match_finite_differences(loss):
    (X, y), w = registry.clients(loss)[1], np.array([0.4, -1.1, 2.0, 0.3, -0.2])
    h = 1e-6
    differences = [
        (oracle.LOSSES[loss].value(X, y, w + h * e) - oracle.LOSSES[loss].value(X, y, w - h * e))
        / (2 * h)
        for e in np.eye(len(w))
    ]
    np.testing.assert_allclose(oracle.LOSSES[loss].gradient(X, y, w), differences, rtol=1e-7)


def test_angle_and_drift_of_known_vectors():
    assert oracle.angle(np.array([1.0, 0.0]), np.array([0.0, 3.0])) == pytest.approx(np.pi / 2)
    models = [np.array([1.0, 0.0]), np.array([0.0, 2.0])]
    assert oracle.client_drift([0.25, 0.75], models, np.array([0.0, 1.0])) == 0.25 * 2 + 0.75 * 1


def test_affine_map_is_a_round_of_the_oracle():
    rows, p, w = registry.clients("squared"), [0.1, 0.2, 0.7], np.arange(5.0)
    A, b = oracle.affine_round(rows, p, lr=0.3, local_steps=4)
    stepped, _ = oracle.local_gd_round(rows, p, "squared", w, 0, lr=lambda k: 0.3, local_steps=4)
    np.testing.assert_allclose(A @ w + b, stepped, rtol=1e-13)
