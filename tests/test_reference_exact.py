"""Reference solutions of small integer problems, and of those at other scales, exactly."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import exact
import numpy as np
import pytest

import localgd as lg

LOSSES = ("logistic", "exponential")
EPS = np.finfo(float).eps
SCALES = (20, 60, 200, 500)  # bits: up to 1e150


def binary(Z):
    return lg.Problem([(np.asarray(Z, dtype=float), np.ones(len(Z)))], task="binary")


def quiet(function, *arguments, **options):
    """Degenerate rows warn, as they should."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function(*arguments, **options)


def check_part(Z, problem):
    """Who can be separated, whether there is a minimiser, and which limits there are."""
    S = exact.separable_part(Z)
    found = lg.reference.separability(problem)
    assert found.subset.tolist() == S
    assert found.separable == (len(S) == len(Z))
    for loss in LOSSES:
        assert lg.reference.limits(problem, loss=loss).subset.tolist() == S
        if S:
            with pytest.raises(ValueError, match="has no minimiser"):
                lg.reference.minimizer(problem, loss=loss)
        else:
            least = lg.reference.minimizer(problem, loss=loss)
            assert least.margin_error < 1e-6 and least.relative_gradient < 1e-12
    return S


def check_margin(Z, problem):
    """ŵ and its multipliers, and the line beside it that the iterates approach."""
    w, alpha = exact.max_margin(Z)
    w = np.array([float(x) for x in w])
    best = lg.reference.max_margin(problem)
    np.testing.assert_allclose(best.weights, w, rtol=0, atol=1e-13 * np.linalg.norm(w))
    support, degenerate = exact.carriers(Z)
    line = quiet(lg.reference.asymptote, problem, best)
    assert line.support.tolist() == support and line.degenerate.tolist() == degenerate
    # Σ_S c_j exp(-z_j·ρ) z_j = ŵ with ρ in the span of S says it all, to what rounding of ρ leaves.
    rows = np.asarray(Z, dtype=float)[support]
    offsets = [float(exact.dot(Z[j], map(Fraction, line.rho))) for j in support]
    shares = problem.row_weights[support] * np.exp(-np.array(offsets))
    unknown = EPS + 2 * len(w) * np.finfo(np.longdouble).eps
    doubt = unknown * (np.abs(rows) @ np.abs(line.rho)) + 4 * EPS * (1 + np.abs(offsets))
    allowed = 1e-14 * np.linalg.norm(w) + (shares * doubt) @ np.linalg.norm(rows, axis=1)
    assert np.linalg.norm(shares @ rows - w) <= allowed
    assert line.residual <= allowed / np.linalg.norm(w)
    inside = rows.T @ np.linalg.lstsq(rows.T, line.rho, rcond=None)[0]
    np.testing.assert_allclose(inside, line.rho, rtol=0, atol=1e-12 + 1e-12 * abs(line.rho).max())
    if len(support) == len(alpha):
        shares = np.array([float(alpha[j]) for j in support])
        rho = np.linalg.lstsq(rows, -np.log(len(Z) * shares), rcond=None)[0]
        np.testing.assert_allclose(line.rho, rho, rtol=0, atol=1e-12 * (1 + np.linalg.norm(rho)))
        if not np.abs(np.log(len(Z) * shares)).max() > 1e-13:
            assert not line.rho.any()
    assert line.fits(problem)


def check_integers(seeds):
    for seed in seeds:
        Z = exact.integer_rows(np.random.default_rng(seed))
        problem = binary(Z)
        if len(check_part(Z, problem)) == len(Z):
            check_margin(Z, problem)


@pytest.mark.slow
def test_small_integers():
    check_integers(range(700))


@pytest.mark.slow
def test_many_small_integers():
    check_integers(range(100_000, 115_000))


@pytest.mark.parametrize(
    "Z",
    [
        [[-9, -9], [9, 9], [-4, -3]],
        [[-4, 6], [4, -6], [-3, 5]],
        [[-4, -4], [-12, -12], [4, 4], [12, 12], [-3, -2]],
        [[0, 0, 0], [4, -1, 3], [-3, -2, -5]],  # a zero row, and two that are separable
        [[0, 0, 0], [-2, -2, -2], [-1, 2, 2]],
        [[0, 0], [0, 0]],
        [[0, 0, 1, 1, 0, -1], [0, -1, -1, -1, -1, -1], [0, 0, 1, 1, 0, -1]],  # two equal rows
        [[-1, 0, 1, 0, 0], [0, 1, -1, 0, 1], [-1, -1, 1, 0, 0]],
        [[0, 0, -2], [2, -1, -2], [1, 1, -1], [1, -1, -1]],  # rows of the margin without multiplier
        [[-1, -1, 0, -1], [-1, -1, 1, 0], [1, -1, -1, 0]],
        [[7]],
        # Multipliers that nearly cancel: each takes its share of the rounding of ρ.
        [[-8, 9, 3, 0], [8, 1, 2, -3], [-4, 3, -1, 10], [-12, 0, -7, -8], [5, -3, 6, 8]],
    ],
)
def test_integers_that_went_wrong(Z):
    if len(check_part(Z, binary(Z))) == len(Z):
        check_margin(Z, binary(Z))


def scaled(rng, Z):
    """The rows with all, one, or each row or feature times a power of two, and its exponents."""
    N, d = Z.shape
    bits = int(rng.choice(SCALES)) * int(rng.choice([-1, 1]))
    rows, columns = np.zeros(N, dtype=int), np.zeros(d, dtype=int)
    kind = rng.integers(5)
    if kind == 0:
        rows[:] = bits
    elif kind == 1:
        rows[rng.integers(N)] = bits
    elif kind == 2:
        columns[rng.integers(d)] = bits
    elif kind == 3:
        rows = rng.integers(-abs(bits), abs(bits) + 1, N) // 2
    else:
        columns = rng.integers(-abs(bits), abs(bits) + 1, d) // 2
    return np.ldexp(Z.astype(float), rows[:, None] + columns), rows, columns


def answer(function, *arguments, **options):
    """The answer, or None where it is refused."""
    try:
        return quiet(function, *arguments, **options)
    except lg.NotSeparableError:
        raise
    except ValueError:
        return None


def check_scaled_margin(X, best, *, rounding=1e-11):
    """ŵ solves its support's equations, which leave no other row short by more than rounding.

    What is off then is at most √(2 short) of ŵ or so: for w = Zᵀα, Σ α = ‖w‖² and any feasible u,
    ‖u - w‖² ≤ ‖u‖² - ‖w‖² as w·u ≥ Σ α, and ‖ŵ‖ ≤ ‖w‖/(1 - short).
    """
    rows = [list(map(Fraction, row)) for row in X.tolist()]
    support = [rows[j] for j in best.support]
    gram = [[exact.dot(a, b) for b in support] for a in support]
    alpha = exact.solve(gram, [Fraction(1)] * len(support))
    assert min(alpha) > -1e-12 * max(alpha)  # a row that is not needed may carry rounding
    w = [exact.dot(alpha, column) for column in zip(*support, strict=True)]
    unit = 2 * len(w) * float(np.finfo(np.longdouble).eps) * math.sqrt(exact.dot(w, w))
    short = [1 - exact.dot(row, w) for row in rows]
    slips = [1e-12 + unit * math.sqrt(exact.dot(row, row)) for row in rows]
    assert all(one < slip for one, slip in zip(short, slips, strict=True))
    assert apart(best.weights, w) < rounding
    gap = math.sqrt(1 / (1 - min(max(0, *short), Fraction(9, 10))) ** 2 - 1)
    assert apart(best.weights, exact.max_margin(X)[0]) < rounding + gap * math.sqrt(len(w))


def apart(found, wanted):
    """The largest difference over the largest entry, which may both be out of range."""
    size = max(map(abs, wanted))
    return max(abs(float((Fraction(a) - b) / size)) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("seed", [200406, 202876])
@pytest.mark.skipif(np.finfo(np.longdouble).eps == EPS, reason="no extended precision")
def test_scaled_integers_that_went_wrong(seed):
    """Multipliers whose rounding hid what ŵ lacked, and a row short by less than a rounding."""
    rng = np.random.default_rng(seed)
    X = scaled(rng, exact.integer_rows(rng))[0]
    best = lg.reference.max_margin(binary(X))
    w, alpha = exact.max_margin(X)
    assert best.support.tolist() == list(alpha)
    assert apart(best.weights, w) < EPS
    assert apart(best.dual[best.support], list(alpha.values())) < EPS
    check_scaled_margin(X, best, rounding=EPS)


def check_scaled(seeds):
    """At any scale the right answer or a refusal; how many were answered."""
    asked = answered = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        Z = exact.integer_rows(rng)
        X, rows, _ = scaled(rng, Z)
        problem, S = binary(X), exact.separable_part(Z)  # scales change nothing about it
        found = [answer(lg.reference.separability, problem)]
        if found[0] is not None:
            assert found[0].subset.tolist() == S
        for loss in LOSSES:
            found.append(answer(lg.reference.limits, problem, loss=loss))
            if found[-1] is not None:
                assert found[-1].subset.tolist() == S
            least = answer(lg.reference.minimizer, problem, loss=loss)
            assert least is None or not S
            if least is not None and not rows.any():
                # Margins at the minimum do not depend on the scale of a feature.
                plain = lg.reference.minimizer(binary(Z), loss=loss)
                off = np.abs(X @ least.weights - Z @ plain.weights).max()
                assert off <= least.margin_error + plain.margin_error
        try:
            best = answer(lg.reference.max_margin, problem)
        except lg.NotSeparableError:
            assert len(S) < len(Z)
        else:
            found.append(best)
            if best is not None:
                assert len(S) == len(Z)
                check_scaled_margin(X, best)
        asked, answered = asked + len(found), answered + sum(one is not None for one in found)
    return answered / asked


def test_scaled_integers():
    assert check_scaled(range(150)) > 0.8


def test_scaled_integers_at_the_edge():
    """Rows short by less than any precision tells, multipliers that doubles cannot hold."""
    check_scaled([201839, 203320, 204020, 302810, 304680])


@pytest.mark.slow
def test_many_scaled_integers():
    assert check_scaled(range(200_000, 205_000)) > 0.8


def test_common_scale_keeps_the_bits():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((6, 9))
    best = lg.reference.max_margin(binary(Z))
    line = lg.reference.asymptote(binary(Z), best)
    for k in (-490, -200, 200, 490):
        problem = binary(np.ldexp(Z, k))
        found = lg.reference.max_margin(problem)
        np.testing.assert_array_equal(found.weights, np.ldexp(best.weights, -k))
        np.testing.assert_array_equal(found.dual, np.ldexp(best.dual, -2 * k))
        np.testing.assert_array_equal(found.direction, best.direction)
        assert found.margin == np.ldexp(best.margin, k)
        assert found.kkt_residual == best.kkt_residual
        margin = lg.reference.separability(problem).margin
        assert margin == pytest.approx(found.margin, rel=1e-14)
        other = lg.reference.asymptote(problem, found)
        assert other.residual < 1e-12 and other.fits(problem)  # of logarithms up to 700
        np.testing.assert_allclose(other.dual, found.dual, rtol=1e-11)
        assert other.distance(other.rho) < 1e-14 and 0 < other.angle(1e300, lr=1.0) < np.pi
    assert line.fits(binary(Z)) and not line.fits(problem)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-150, 1e150, 1e160, 1e200, 1e300])
def test_margin_by_hand_at_extreme_scales(scale):
    rows = np.array([[1.0, 2.0], [2.0, 1.0], [-1.0, -2.0], [-2.0, -1.0]]) * scale
    problem = lg.Problem([(rows, [1, 1, -1, -1])])  # margin 3/√2
    margin = lg.reference.separability(problem).margin
    assert margin / scale == pytest.approx(3 / np.sqrt(2), rel=1e-14)
    if 1e-154 < scale < 1e154:
        assert lg.reference.max_margin(problem).margin == pytest.approx(margin, rel=1e-14)
    else:
        with pytest.raises(ValueError, match="out of the range of double precision; rescale"):
            lg.reference.max_margin(problem)


def test_classes():
    """Every row's own score above the others: the constraints written out are rows of integers."""
    for seed in range(80):
        rng = np.random.default_rng(seed)
        X = rng.integers(-3, 4, (int(rng.integers(2, 5)), int(rng.integers(1, 4))))
        y = rng.integers(0, 3, len(X))
        y[0] = 2
        bits = int(rng.choice([-490, -60, 0, 60, 490]))
        problem = lg.Problem([(np.ldexp(X.astype(float), bits), y)], labels=range(3))
        R = np.zeros((len(X), 3, 3, X.shape[1]), dtype=int)
        for j, own in enumerate(y):
            for c in range(3):
                R[j, c, own] += X[j]
                R[j, c, c] -= X[j]
        R = R.reshape(len(X), 3, -1)[np.arange(3) != y[:, None]]
        S = exact.separable_part(R)
        if len(S) < len(R):
            with pytest.raises(lg.NotSeparableError):
                lg.reference.max_margin(problem)
        else:
            w = np.array([float(x) for x in exact.max_margin(R)[0]]).reshape(3, -1).T
            found = lg.reference.max_margin(problem)
            off = np.ldexp(found.weights, bits) - w
            assert np.abs(off).max() < 1e-13 * np.abs(w).max()
        least = answer(lg.reference.minimizer, problem, loss="softmax")
        assert (least is None) == bool(S)
