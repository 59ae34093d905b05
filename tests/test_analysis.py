"""Angles, margins, heterogeneity and the residual of a run."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

import localgd as lg
from localgd.analysis import angle, heterogeneity, margins, residual

# pytest.approx accepts any difference below 1e-12 unless told abs=0.
SMALL = [10.0**-k for k in range(1, 31)] + [1e-100, 1e-200]


def exact_small_angle(u, v):
    """The angle of nearly parallel (or opposed) vectors from exact rational arithmetic.

    sin² = 1 - (u·v)²/(‖u‖²‖v‖²) as a fraction; the arcsine adds sin³/6, relatively sin²/6.
    """
    u, v = [Fraction(float(a)) for a in u], [Fraction(float(a)) for a in v]
    uu, vv = sum(a * a for a in u), sum(a * a for a in v)
    uv = sum(a * b for a, b in zip(u, v, strict=True))
    return math.asin(math.sqrt((uu * vv - uv * uv) / (uu * vv)))


@pytest.mark.parametrize("theta", SMALL)
def test_angle_small_in_the_plane(theta):
    assert angle([1.0, 0.0], [math.cos(theta), math.sin(theta)]) == pytest.approx(
        math.atan2(math.sin(theta), math.cos(theta)), rel=1e-15, abs=0
    )


@pytest.mark.parametrize("d", [2, 7, 600])
@pytest.mark.parametrize("size", [1e-3, 1e-8, 1e-12, 1e-15])
def test_angle_small_in_any_direction(d, size):
    rng = np.random.default_rng(d)
    u = rng.standard_normal(d)
    v = 3.7 * (u + size * rng.standard_normal(d))
    assert angle(u, v) == pytest.approx(exact_small_angle(u, v), rel=1e-13, abs=0)


@pytest.mark.parametrize("size", [1e-1, 1e-3, 1e-6, 1e-9])
def test_angle_near_pi(size):
    rng = np.random.default_rng(3)
    u = rng.standard_normal(50)
    v = -2.0 * (u + size * rng.standard_normal(50))
    assert angle(u, v) == pytest.approx(math.pi - exact_small_angle(u, v), abs=4.5e-16)
    assert angle(u, -u) == math.pi


@pytest.mark.parametrize("theta", np.linspace(0, math.pi, 19))
def test_angle_over_the_whole_range(theta):
    assert angle([2.0, 0.0], [5 * math.cos(theta), 5 * math.sin(theta)]) == pytest.approx(
        theta, rel=4e-16, abs=0
    )


def test_angle_equals_the_formula_of_half_angles():
    rng = np.random.default_rng(0)
    for _ in range(50):
        u, v = rng.standard_normal((2, 8))
        a, b = u / np.linalg.norm(u), v / np.linalg.norm(v)
        formula = 2 * math.atan2(np.linalg.norm(a - b), np.linalg.norm(a + b))
        assert angle(u, v) == pytest.approx(formula, rel=1e-14, abs=0)


@pytest.mark.parametrize("scale_u", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("scale_v", [1e-300, 1.0, 1e300])
def test_angle_without_overflow(scale_u, scale_v):
    with np.errstate(all="raise", under="ignore"):
        got = angle(scale_u * np.array([1.0, 1.0, 0.0]), scale_v * np.array([1.0, 0.0, 0.0]))
    assert got == pytest.approx(math.pi / 4, rel=4e-16, abs=0)


def test_angle_of_the_smallest_and_the_largest_numbers():
    assert angle([5e-324, 0.0], [1.7e308, 1.7e308]) == pytest.approx(math.pi / 4, rel=4e-16, abs=0)


def test_angle_of_matrices_is_that_of_their_entries():
    rng = np.random.default_rng(1)
    U, V = rng.standard_normal((2, 6, 3))
    assert angle(U, V) == angle(U.ravel(), V.ravel())


finite = st.floats(-1e6, 1e6, allow_subnormal=False)
vectors = st.lists(finite, min_size=4, max_size=4).filter(lambda v: max(map(abs, v)) > 1e-3)


@given(vectors, vectors, st.floats(1e-6, 1e6))
def test_angle_symmetric_and_independent_of_length(u, v, c):
    u, v = np.array(u), np.array(v)
    assert angle(u, v) == pytest.approx(angle(v, u), rel=1e-12, abs=1e-300)
    assert angle(c * u, v) == pytest.approx(angle(u, v), abs=9e-16)  # two ulps near π
    assert angle(u, u) == 0
    assert angle(u, -v) == pytest.approx(math.pi - angle(u, v), abs=1e-15)


def test_angle_is_reached_from_the_package():
    assert lg.angle is lg.analysis.angle


@pytest.mark.parametrize(
    "u, v, error, text",
    [
        ([0.0, 0.0], [1.0, 0.0], ValueError, "u: no entry differs from 0"),
        ([1.0, 0.0], [0.0, 0.0], ValueError, "v: no entry differs from 0"),
        ([1.0, math.nan], [1.0, 0.0], ValueError, "u: nan at row 1"),
        ([1.0, 0.0], [math.inf, 0.0], ValueError, "v: inf at row 0"),
        ([1.0, 0.0], [1.0, 0.0, 0.0], ValueError, r"shapes \(2,\) and \(3,\); want the same"),
        (np.ones(2), np.ones((2, 1)), ValueError, "want the same shape"),
        (np.ones((1, 1, 1)), np.ones(1), ValueError, "u: got an array of shape"),
        ([], [], ValueError, "u: no entry differs from 0"),
        (["a"], [1.0], TypeError, "u: .*want real numbers"),
        ([1j], [1.0], TypeError, "u: .*want real numbers"),
    ],
)
def test_angle_refuses(u, v, error, text):
    with pytest.raises(error, match=text):
        angle(u, v)


def test_margins_are_distances_by_row(small_problem):
    w = np.random.default_rng(0).standard_normal(30)
    got = margins(small_problem, w)
    want = [
        y * (x @ w) / math.sqrt(w @ w)
        for x, y in zip(small_problem.X, small_problem.y, strict=True)
    ]
    np.testing.assert_allclose(got, want, rtol=1e-13)
    assert got.shape == (50,) and got.dtype == np.float64


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_margins_do_not_depend_on_the_length_of_the_model(small_problem, scale):
    w = np.random.default_rng(0).standard_normal(30)
    np.testing.assert_allclose(
        margins(small_problem, scale * w), margins(small_problem, w), rtol=1e-13
    )


def test_smallest_margin_of_a_run_is_the_recorded_one(small_problem):
    run = lg.run(small_problem, lg.LocalGD(local_steps=5, lr=1.0), rounds=200)
    assert margins(small_problem, run.weights).min() == pytest.approx(
        run.history["margin"][-1], rel=1e-12
    )


def test_margins_of_the_max_margin_model(small_problem):
    ref = lg.reference.max_margin(small_problem)
    got = margins(small_problem, ref.weights)
    assert got.min() == pytest.approx(ref.margin, rel=1e-9)
    np.testing.assert_allclose(got[ref.support], ref.margin, rtol=1e-8)


def test_margins_refuse(small_problem):
    with pytest.raises(ValueError, match="w: no entry differs from 0"):
        margins(small_problem, np.zeros(30))
    with pytest.raises(ValueError, match="w: got 3 entries; want one for each of 30 features"):
        margins(small_problem, np.ones(3))
    with pytest.raises(ValueError, match="task is regression; want a binary task"):
        margins(lg.Problem([([[1.0]], [0.5])]), [1.0])
    with pytest.raises(TypeError, match=r"problem: got list; want a localgd\.Problem"):
        margins([], [1.0])


def test_heterogeneity_of_known_directions():
    # Clients whose only row, signed, points at 0, 90 and 45 degrees: the third is the global one.
    rows = [([[1.0, 0.0]], [1]), ([[0.0, -1.0]], [-1]), ([[4.0, 4.0]], [1])]
    h = heterogeneity(lg.Problem(rows))
    right, half = math.pi / 2, math.pi / 4
    want = [[0, right, half], [right, 0, half], [half, half, 0]]
    np.testing.assert_allclose(h.pairwise, want, atol=1e-12)
    np.testing.assert_allclose(h.to_global, [half, half, 0], atol=1e-12)
    assert h.mean_pairwise == pytest.approx((right + half + half) / 3)
    assert h.mean_to_global == pytest.approx(math.pi / 6)
    np.testing.assert_allclose(h.label_distance, [1 / 3, 2 / 3, 1 / 3])


def test_heterogeneity_agrees_with_angle(small_problem):
    h = heterogeneity(small_problem)
    own = [
        lg.reference.max_margin(
            lg.Problem(
                [(small_problem.X[small_problem.rows(i)], small_problem.y[small_problem.rows(i)])]
            )
        ).direction
        for i in range(5)
    ]
    whole = lg.reference.max_margin(small_problem).direction
    for i in range(5):
        assert h.to_global[i] == pytest.approx(angle(own[i], whole), abs=1e-12)
        for j in range(5):
            assert h.pairwise[i, j] == pytest.approx(angle(own[i], own[j]), abs=1e-12)
    np.testing.assert_array_equal(h.pairwise, h.pairwise.T)


def test_heterogeneity_of_clients_with_the_same_rows_is_zero():
    X = np.random.default_rng(0).standard_normal((4, 9))
    h = heterogeneity(lg.Problem([(X, [1, -1, 1, -1])] * 3))
    assert h.mean_pairwise < 1e-10 and h.mean_to_global < 1e-10
    np.testing.assert_array_equal(h.label_distance, 0)


def test_label_distance_counts_rows():
    # Labels +1: 3 of 4, 0 of 1, 1 of 3; pooled 4 of 8.
    X = np.eye(8)
    y = [1, 1, 1, -1, -1, 1, -1, -1]
    h = heterogeneity(lg.Problem([(X[:4], y[:4]), (X[4:5], y[4:5]), (X[5:], y[5:])]))
    np.testing.assert_allclose(h.label_distance, [1 / 4, 1 / 2, 1 / 6])


def test_heterogeneity_of_one_client_has_no_pair():
    h = heterogeneity(lg.Problem([([[1.0, 2.0]], [1])]))
    assert math.isnan(h.mean_pairwise) and h.mean_to_global == pytest.approx(0, abs=1e-12)


def test_heterogeneity_is_frozen(small_problem):
    h = heterogeneity(small_problem)
    with pytest.raises(dataclasses.FrozenInstanceError):
        h.mean_pairwise = 0.0
    with pytest.raises(ValueError, match="read-only"):
        h.pairwise[0, 0] = 1.0


def test_heterogeneity_names_who_is_not_separable():
    good, bad = ([[1.0, 0.0]], [1]), ([[0.0, 1.0], [0.0, 2.0]], [1, -1])
    with pytest.raises(lg.NotSeparableError, match="the rows of client 'b' are not") as caught:
        X, y = np.vstack([good[0], bad[0]]), good[1] + bad[1]
        heterogeneity(lg.Problem.from_arrays(X, y, ["a", "b", "b"]))
    assert caught.value.certificate is not None
    with pytest.raises(lg.NotSeparableError, match="the rows of all clients together are not"):
        heterogeneity(lg.Problem([([[1.0]], [1]), ([[1.0]], [-1])]))


@pytest.fixture(scope="module")
def paper():
    """Seed 1 of the fixed separable data, and its reference."""
    problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)
    return problem, lg.reference.max_margin(problem)


def paper_run(problem, local_steps, rounds, **options):
    method = lg.LocalGD(local_steps=local_steps, lr=0.5)
    return lg.run(problem, method, rounds=rounds, loss="exponential", **options)


def test_residual_is_what_its_name_says(paper):
    problem, ref = paper
    run = paper_run(problem, 4, 500)
    r = residual(problem, run, ref)
    assert r.tau == 0.5 * 4 * 500
    np.testing.assert_allclose(r.rho + ref.weights * math.log(r.tau), run.weights, atol=1e-12)
    assert r.norm == pytest.approx(np.linalg.norm(r.rho))
    unit = ref.weights / np.linalg.norm(ref.weights)
    assert r.parallel == pytest.approx(r.rho @ unit)
    across = math.sqrt(r.norm**2 - r.parallel**2)
    assert r.predicted_angle == pytest.approx(across * ref.margin / math.log(r.tau))


def test_residual_splits_into_orthogonal_parts(paper):
    problem, ref = paper
    r = residual(problem, paper_run(problem, 4, 500), ref)
    np.testing.assert_allclose(r.support_part + r.outside_part, r.rho, atol=1e-13)
    support = problem.signed_rows[ref.support]
    np.testing.assert_allclose(support @ r.outside_part, 0, atol=1e-12)
    coefficients = np.linalg.lstsq(support.T, r.support_part)[0]
    np.testing.assert_allclose(support.T @ coefficients, r.support_part, atol=1e-12)
    # ŵ lies in the span of the support rows, so the component along it does.
    assert r.support_part @ ref.weights == pytest.approx(r.rho @ ref.weights)


@pytest.mark.parametrize("local_steps", [1, 100])
def test_support_part_approaches_its_limit_for_any_local_steps(paper, local_steps):
    problem, ref = paper
    S = ref.support
    limit = np.linalg.lstsq(
        problem.signed_rows[S], np.log(problem.row_weights[S] / ref.dual[S]), rcond=None
    )[0]
    distance = [
        np.linalg.norm(
            residual(problem, paper_run(problem, local_steps, k), ref).support_part - limit
        )
        / np.linalg.norm(limit)
        for k in (100, 1000, 10_000)
    ]
    assert distance[0] > distance[1] > distance[2]
    assert distance[2] < 0.25


def test_predicted_angle_improves_with_time(paper):
    problem, ref = paper
    error = []
    for rounds in (100, 10_000):
        run = paper_run(problem, 10, rounds)
        true = angle(run.weights, ref.weights)
        error.append(abs(residual(problem, run, ref).predicted_angle / true - 1))
    assert error[1] < error[0]


def test_residual_with_dependent_support_rows():
    # The same row twice: the span has one dimension, and a zero singular value is no direction.
    problem = lg.Problem([([[1.0, 0.0], [1.0, 0.0]], [1, 1])])
    ref = lg.reference.max_margin(problem)
    both = dataclasses.replace(ref, support=np.array([0, 1]), dual=np.array([0.5, 0.5]))
    run = lg.run(problem, lg.GD(lr=1.0), rounds=50, loss="exponential", init=np.array([0.0, 3.0]))
    r = residual(problem, run, both)
    np.testing.assert_allclose(r.outside_part, [0, 3], atol=1e-12)
    assert r.tau == 50


def test_residual_refuses(paper):
    problem, ref = paper
    run = paper_run(problem, 2, 10)

    def changed(loss="exponential", **method):
        config = {**run.config, "loss": loss, "method": {**run.config["method"], **method}}
        return dataclasses.replace(run, config=config)

    with pytest.raises(lg.UnsupportedError, match="loss is 'squared'; want one of exponential"):
        residual(problem, changed(loss="squared"), ref)
    with pytest.raises(
        lg.UnsupportedError, match="method is LocalSolve; want one of GD, GradAlign"
    ):
        residual(problem, changed(name="LocalSolve"), ref)
    with pytest.raises(lg.UnsupportedError, match="server is Anchored; want Average"):
        residual(problem, changed(server={"name": "Anchored"}), ref)
    with pytest.raises(
        lg.UnsupportedError, match=r"local steps are \[1, 2\]; want the same number"
    ):
        residual(problem, changed(local_steps=[1, 2]), ref)
    scheduled = lg.run(problem, lg.LocalGD(local_steps=2, lr=lg.TwoStage(0.1, 1.0, 5)), rounds=10)
    with pytest.raises(lg.UnsupportedError, match=r"learning rate is .*TwoStage.*want a constant"):
        residual(problem, scheduled, ref)
    with pytest.raises(ValueError, match=r"η L k = 0.1 after 10 rounds; want above 1"):
        residual(problem, changed(lr=0.005), ref)
    other = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=60, seed=0)
    with pytest.raises(ValueError, match="of 60, 100 and 100 features"):
        residual(other, run, ref)
    fewer = lg.Problem([(problem.X[:7], problem.y[:7])])
    with pytest.raises(ValueError, match=r"made from 50 rows; want .* of 7 rows"):
        residual(fewer, run, ref)
    with pytest.raises(TypeError, match=r"ref: got ndarray; want the result of lg\.reference"):
        residual(problem, run, ref.weights)
    with pytest.raises(TypeError, match=r"run: got ndarray; want a result of lg\.run"):
        residual(problem, run.weights, ref)


def test_residual_takes_the_logistic_loss_and_gd(paper):
    problem, ref = paper
    run = lg.run(problem, lg.GD(lr=2.0), rounds=100, loss="logistic")
    assert residual(problem, run, ref).tau == 200


@pytest.mark.parametrize(
    ("method", "tau"),
    [
        (lg.LocalSGD(local_steps=5, lr=1.0, batch_size=2), 5e4),
        (lg.MinibatchSGD(local_steps=5, lr=1.0, batch_size=2), 1e4),
        (lg.Scaffold(local_steps=5, lr=1.0), 5e4),
        (lg.GradAlign(lr=1.0, beta=0.5), 1e4),
        (lg.FedGA(local_steps=5, lr=1.0, beta=0.5), 5e4),
    ],
    ids=lambda value: getattr(type(value), "__name__", None),
)
def test_residual_of_other_methods_has_the_same_limit(paper, method, tau):
    # Only where τ is the right one does the part in the span of the support rows settle.
    problem, ref = paper
    limit = lg.reference.asymptote(problem, ref)
    left = [residual(problem, lg.run(problem, method, rounds=k), ref) for k in (1_000, 10_000)]
    assert left[1].tau == tau
    near, nearer = (limit.distance(r.rho) for r in left)
    assert nearer < 0.9 * near < 0.25


def test_residual_of_a_kernel_run():
    problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=30, seed=4)
    ids = np.repeat([0, 1], 5)
    kernel = lg.Problem.from_gram(problem.X @ problem.X.T, problem.y, ids)
    one, other = (
        residual(p, lg.run(p, lg.LocalGD(local_steps=2, lr=1.0), rounds=50), hard_margin)
        for p, hard_margin in [(p, lg.reference.max_margin(p)) for p in (problem, kernel)]
    )
    assert other.norm == pytest.approx(one.norm, rel=1e-9)
    assert other.predicted_angle == pytest.approx(one.predicted_angle, rel=1e-9)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e100])
@pytest.mark.parametrize("s", [1.0, 300.0, 365.0, 370.0, 372.0, 400.0, 700.0])
def test_alignment_does_not_depend_on_the_size_of_the_gradients(s, size):
    rows = [np.array([[1.0, 0.0]]) * size, np.array([[1.0, 1.0]]) * size]
    problem = lg.Problem([(row, [1]) for row in rows])
    # w = (s, 0): gradients -e^-s (1, 0) and -e^-s (1, 1), whose mean is (1, 1/2) times that.
    found = lg.analysis.gradient_alignment(problem, [s / size, 0.0], "exponential")
    wanted = (1 / math.sqrt(1.25) + 1.5 / math.sqrt(2.5)) / 2
    assert found.alignment == pytest.approx(wanted, rel=1e-14)
    assert found.dissimilarity == pytest.approx(1.2, rel=1e-14)
    assert found.gradient_norm == pytest.approx(math.exp(-s) * size * math.sqrt(1.25), rel=1e-13)


def test_a_gradient_that_is_rounding_has_no_direction():
    rng = np.random.default_rng(0)
    for loss in ("exponential", "logistic"):
        for _ in range(20):
            rows = rng.standard_normal((3, 6))
            both = np.vstack([rows, rows]), [1, 1, 1, -1, -1, -1]  # the gradient at 0 is 0
            other = rng.standard_normal((2, 6)), [1, 1]
            found = lg.analysis.gradient_alignment(
                lg.Problem([both, other], weights="equal"), np.zeros(6), loss
            )
            assert found.alignment == pytest.approx(0.5, rel=1e-14)
            assert found.dissimilarity == pytest.approx(2.0, rel=1e-14)
            alone = lg.analysis.gradient_alignment(lg.Problem([both, both]), np.zeros(6), loss)
            assert np.isnan(alone.alignment) and np.isnan(alone.dissimilarity)


def test_alignment_of_a_model_of_infinite_loss():
    problem = lg.Problem([([[1.0]], [1])])
    with pytest.raises(ValueError, match="w: its exponential loss is not finite"):
        lg.analysis.gradient_alignment(problem, [-800.0], "exponential")


@pytest.mark.parametrize("scale", [1e-170, 1e-150, 1e150, 1e170])
def test_smoothness_at_extreme_scales(scale):
    rows = np.array([[3.0, 0.0], [0.0, 1.0]]) * scale
    problem = lg.Problem([(rows, [1, 1])])
    if 1e-154 < scale < 1e154:
        wanted = 4.5 / 4 * scale**2
        assert lg.analysis.smoothness(problem, "logistic") == pytest.approx(wanted, rel=1e-14)
    else:
        with pytest.raises(ValueError, match="leave the range of double precision; rescale"):
            lg.analysis.smoothness(problem, "logistic")


@pytest.mark.parametrize("shape", [(60, 20), (20, 60), (2200, 1100)])  # the last by Lanczos
@pytest.mark.parametrize("weighted", [False, True])
def test_smoothness_of_sparse_rows_is_that_of_dense_ones(shape, weighted):
    rng = np.random.default_rng(0)
    X = np.where(rng.random(shape) < 0.05, rng.standard_normal(shape), 0.0)
    y, clients = np.where(rng.random(len(X)) < 0.5, -1, 1), np.arange(len(X)) % 2
    v = rng.random(len(X)) if weighted else None
    found, wanted = (
        lg.analysis.smoothness(
            lg.Problem.from_arrays(rows, y, clients, sample_weight=v), "logistic"
        )
        for rows in (csr_array(X), X)
    )
    assert found == pytest.approx(wanted, rel=1e-12)


def test_residual_refuses_the_reference_of_other_rows():
    rng = np.random.default_rng(0)
    first, second = (
        lg.Problem([(np.abs(rng.standard_normal((4, 6))), np.ones(4))], task="binary")
        for _ in range(2)
    )
    run = lg.run(first, lg.GD(lr=0.5), rounds=100)
    with pytest.raises(ValueError, match="ref: it is not the max-margin solution of these rows"):
        lg.analysis.residual(first, run, lg.reference.max_margin(second))
    unseen = lg.Problem([([[1.0, 0.0]], [1]), ([[0.0, 1.0]], [1])], weights=[0, 1])
    run = lg.run(unseen, lg.GD(lr=0.5), rounds=100)
    with pytest.raises(ValueError, match="row 0 carries the margin but belongs to a client of wei"):
        lg.analysis.residual(unseen, run, lg.reference.max_margin(unseen))
