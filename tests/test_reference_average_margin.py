"""The largest average of the clients' margins: closed forms, certificates, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array

import localgd as lg


def gaussian(seed: int, M: int, n: int, d: int) -> lg.Problem:
    """Rows of a random direction's labels."""
    r = np.random.default_rng(seed)
    v = r.standard_normal(d)
    X = r.standard_normal((M, n, d)) / np.sqrt(d)
    return lg.Problem([(X[i], np.sign(X[i] @ v)) for i in range(M)])


def uneven(seed: int) -> lg.Problem:
    """Clients of unequal weight that are not separable together."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 6))
    X[:, :2] += 2.0, 1.0
    X[0] = -0.5 * X[1]
    return lg.Problem.from_arrays(
        X, np.ones(40), np.repeat([0, 1, 2, 3], 10), weights=[0.1, 0.2, 0.3, 0.4], task="binary"
    )


def average(problem: lg.Problem, u: np.ndarray) -> float:
    least = np.minimum.reduceat(problem.signed_rows @ u, problem.offsets[:-1])
    return float(problem.weights @ least)


def check(problem: lg.Problem, found: lg.reference.AverageMargin) -> None:
    """The optimality conditions, measured here."""
    a = found.dual
    pull = (np.repeat(problem.weights, problem.sizes) * a) @ problem.signed_rows
    assert a.min() >= 0
    np.testing.assert_allclose(np.add.reduceat(a, problem.offsets[:-1]), 1.0, rtol=1e-14)
    assert np.linalg.norm(found.direction) == pytest.approx(1.0, rel=1e-15)
    assert average(problem, found.direction) == pytest.approx(found.value, rel=1e-13)
    assert np.linalg.norm(pull) == pytest.approx(found.value, rel=1e-12)  # no u has more
    np.testing.assert_allclose(pull, found.value * found.direction, atol=1e-12 * found.value)
    assert found.value == pytest.approx(problem.weights @ found.margins, rel=1e-13)
    assert found.kkt_residual <= 1e-12
    assert found.duality_gap <= 1e-12
    np.testing.assert_array_equal(found.support, np.flatnonzero(a))


def test_one_row_on_each_of_two_clients():
    rows, p = np.array([[1.0, 2.0, -1.0], [3.0, 0.0, 0.5]]), np.array([0.25, 0.75])
    problem = lg.Problem([(rows[:1], [1]), (rows[1:], [1])], weights=p, task="binary")
    found = lg.reference.average_margin(problem)
    np.testing.assert_allclose(found.direction * found.value, p @ rows, rtol=1e-15)
    np.testing.assert_array_equal(found.dual, [1.0, 1.0])
    check(problem, found)


def test_one_client_has_the_maximum_margin():
    pooled = gaussian(3, 5, 10, 100)
    problem = lg.Problem([(pooled.X, pooled.y)])
    found, best = lg.reference.average_margin(problem), lg.reference.max_margin(problem)
    np.testing.assert_allclose(found.direction, best.direction, atol=1e-13)
    assert found.value == pytest.approx(best.margin, rel=1e-13)
    np.testing.assert_allclose(found.dual, best.dual / best.dual.sum(), atol=1e-13)


def test_the_angle_to_the_maximum_margin():
    problem = gaussian(0, 5, 10, 100)
    found = lg.reference.average_margin(problem)
    check(problem, found)
    pooled = lg.reference.max_margin(problem)
    assert np.degrees(lg.analysis.angle(found.direction, pooled.direction)) == pytest.approx(
        6.900, abs=5e-4
    )
    assert average(problem, pooled.direction) < found.value
    assert found.margins.min() < pooled.margin


@pytest.mark.parametrize(("M", "n", "d"), [(20, 20, 40), (3, 50, 5), (40, 4, 60)])
def test_certificates(M, n, d):
    problem = gaussian(1, M, n, d)
    check(problem, lg.reference.average_margin(problem))


@pytest.mark.parametrize("seed", range(5))
def test_a_general_solver_does_no_better(seed):
    problem = uneven(seed)
    assert not lg.reference.separability(problem).separable
    found = lg.reference.average_margin(problem)
    check(problem, found)
    ones = np.kron(np.eye(4), np.ones(10))
    pulls = np.repeat(problem.weights, 10)[:, None] * problem.signed_rows
    other = minimize(
        lambda a: ((a @ pulls) @ (a @ pulls), 2 * pulls @ (a @ pulls)),
        np.full(40, 0.1),
        jac=True,
        bounds=[(0, 1)] * 40,
        constraints={"type": "eq", "fun": lambda a: ones @ a - 1, "jac": lambda a: ones},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert np.sqrt(other.fun) == pytest.approx(found.value, rel=1e-6)


def test_sparse_rows_and_scales():
    problem = gaussian(0, 5, 10, 100)
    found = lg.reference.average_margin(problem)
    ids = np.repeat(np.arange(5), 10)
    sparse = lg.Problem.from_arrays(csr_array(problem.X), problem.y, ids)
    np.testing.assert_allclose(
        lg.reference.average_margin(sparse).direction, found.direction, atol=1e-14
    )
    large = lg.Problem.from_arrays(problem.X * 2.0**300, problem.y, ids)
    other = lg.reference.average_margin(large)
    np.testing.assert_array_equal(other.direction, found.direction)
    assert other.value == found.value * 2.0**300


def test_what_weighs_nothing_is_not_seen():
    problem = gaussian(2, 4, 6, 30)
    clients = [(problem.X[problem.rows(i)], problem.y[problem.rows(i)]) for i in range(4)]
    without = lg.reference.average_margin(lg.Problem(clients[:3]))
    absent = lg.reference.average_margin(lg.Problem(clients, weights=[1, 1, 1, 0]))
    np.testing.assert_allclose(absent.direction, without.direction, atol=1e-14)
    assert not absent.dual[18:].any()
    assert absent.margins.shape == (4,)
    worst = int(np.argmin(problem.signed_rows @ without.direction))
    v = [np.ones(6) for _ in clients]
    v[worst // 6][worst % 6] = 0.0
    other = lg.reference.average_margin(lg.Problem(clients, sample_weight=v))
    assert other.dual[worst] == 0
    assert other.margins[worst // 6] > (problem.signed_rows @ other.direction)[worst]


def test_duplicated_rows():
    problem = gaussian(0, 5, 10, 100)
    twice = lg.Problem(
        [
            (np.vstack([problem.X[rows]] * 2), np.tile(problem.y[rows], 2))
            for rows in map(problem.rows, range(5))
        ]
    )
    found = lg.reference.average_margin(twice)
    check(twice, found)
    expected = lg.reference.average_margin(problem).direction
    np.testing.assert_allclose(found.direction, expected, atol=1e-13)


def test_no_positive_average():
    problem = lg.Problem(
        [([[1.0, 0.0], [0.0, 1.0]], [1, 1]), ([[1.0, 1.0]], [-1])], weights=[2 / 3, 1 / 3]
    )
    with pytest.raises(lg.NotSeparableError, match="no model has a positive average") as refusal:
        lg.reference.average_margin(problem)
    v = refusal.value.certificate
    np.testing.assert_allclose(v, [1 / 3, 1 / 3, 1 / 3], rtol=1e-12)
    with pytest.raises(lg.NotSeparableError):
        lg.reference.average_margin(lg.Problem([([[0.0]], [1])]))


def test_other_tasks():
    with pytest.raises(ValueError, match="average_margin got the task regression"):
        lg.reference.average_margin(lg.Problem([([[1.0]], [0.5])]))
    with pytest.raises(TypeError, match=r"want a localgd\.Problem"):
        lg.reference.average_margin("rows")
