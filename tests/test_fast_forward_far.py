"""fast_forward where no run can follow: limits, losses, rests, refusals, interrupts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import localgd as lg


@pytest.fixture(scope="module")
def problem():
    return lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=1)


@pytest.fixture(scope="module")
def best(problem):
    return lg.reference.max_margin(problem)


@pytest.fixture(scope="module")
def blurred():
    """Rows that are not separable."""
    return lg.datasets.make_nonseparable(n_clients=3, n_samples=20, n_features=4, seed=0)


def forward(problem, method, rounds=1e100, **options):
    return lg.fast_forward(problem, method, rounds=rounds, threads=1, **options)


# -- Limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 10, 100, 1000])
def test_residual_and_angle_at_the_limit(problem, best, steps):
    limit = lg.reference.asymptote(problem, best)
    far = forward(
        problem,
        lg.LocalGD(steps, 1.0),
        loss="exponential",
        reference=best,
        asymptote=limit,
    )
    k, gap = far.history["round"], far.history["residual_distance"]
    assert gap[-1] < 0.005
    assert (np.diff(gap[k >= 1e4]) < 0).all()
    late = k >= 1e50
    product = far.history["angle"][late] * np.log(steps * k[late])
    assert (product.max() - product.min()) / (product.max() + product.min()) < 0.0105
    outside = np.linalg.norm(lg.analysis.residual(problem, far, best).outside_part)
    predicted = limit.angle(1e100, lr=1.0, local_steps=steps, outside=outside)
    assert predicted == pytest.approx(far.history["angle"][-1], rel=0.02)


@pytest.mark.parametrize("steps", [1, 10])
def test_what_still_moves_is_the_gradient_flow(problem, best, steps):
    """angle · log(ηLk) changes by 1 % from 10^50 to 10^100 rounds: Radau says the same."""
    rounds = np.logspace(40, 100, 61)
    far = forward(problem, lg.LocalGD(steps, 1.0), record=rounds, reference=best, keep_weights=True)
    k, rows = far.history["round"][1:], problem.signed_rows
    gram = rows @ rows.T
    scale = steps * np.repeat(problem.weights / problem.sizes, problem.sizes)

    def flow(x, a):
        return scale * np.exp(x - gram @ a)

    start = np.linalg.lstsq(rows.T, far.recorded_weights[1], rcond=None)[0]
    found = solve_ivp(
        flow,
        (np.log(k[0]), np.log(k[-1])),
        start,
        method="Radau",
        rtol=1e-10,
        atol=1e-11,
        jac=lambda x, a: -flow(x, a)[:, None] * gram,
        t_eval=np.log(k),
    )
    angles = [lg.angle(a @ rows, best.direction) for a in found.y.T]
    np.testing.assert_allclose(far.history["angle"][1:], angles, rtol=1e-6)


def test_measures_of_gradients_beyond_the_range_of_their_squares(problem):
    far = forward(problem, lg.LocalGD(10, 1.0), rounds=1e300)
    h, late = far.history, far.history["round"] > 1e100
    assert np.isfinite(h["grad_alignment"]).all() and np.isfinite(h["grad_dissimilarity"]).all()
    # Of a direction that hardly changes any more.
    assert np.ptp(h["grad_alignment"][late]) < 1e-2
    assert np.ptp(h["grad_dissimilarity"][late]) < 1e-2 * h["grad_dissimilarity"][-1]


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize(
    "method",
    [
        lg.LocalGD(10, 1.0),
        lg.ModifiedLocalGD(10, 1.0),
        lg.GradAlign(1.0, 0.3),
        lg.Scaffold((2, 5, 9, 1, 3), 1.0),
        lg.FedGA((2, 5, 9, 1, 3), 1.0, 0.3),
        lg.LocalGD(10, lg.Polynomial(1.0, 0.5)),
        lg.LocalGD(10, 1.0, server=lg.ServerSGD(0.7, 0.5)),
    ],
    ids=repr,
)
def test_error_bounds_the_distance_to_a_finer_run(problem, method, loss):
    options = {"loss": loss, "keep_weights": True, "record": lg.log_spaced(per_decade=1)}
    usual, finer = (forward(problem, method, rtol=rtol, **options) for rtol in (1e-8, 1e-10))
    gap = np.linalg.norm(usual.recorded_weights - finer.recorded_weights, axis=1)
    gap[1:] /= np.linalg.norm(finer.recorded_weights[1:], axis=1)
    error = usual.history["error"]
    flow = error > 0
    assert gap.max() < 1e-7
    assert (gap[flow] <= error[flow]).mean() >= 0.95 and (gap[flow] <= 3 * error[flow]).all()


def test_rows_are_left_out_only_when_they_do_not_matter():
    """Many rows, some of them almost on the margin."""
    problem = lg.datasets.make_separable(n_clients=4, n_samples=40, n_features=30, seed=3)
    method, options = lg.ModifiedLocalGD(10, 1.0), {"loss": "exponential", "keep_weights": True}
    usual, finer = (forward(problem, method, rtol=rtol, **options) for rtol in (1e-8, 1e-10))
    gap = np.linalg.norm(usual.recorded_weights - finer.recorded_weights, axis=1)[1:]
    gap /= np.linalg.norm(finer.recorded_weights[1:], axis=1)
    assert gap.max() < 1e-7
    assert (gap <= np.maximum(usual.history["error"][1:], 1e-300)).mean() > 0.95


def test_losses_down_to_1e_minus_300(problem):
    """η L k f → Σ_j c_j e^{-z_j·ρ} = Σ_j α_j = ‖ŵ‖²: f ~ ‖ŵ‖²/τ."""
    best = lg.reference.max_margin(problem)
    far = forward(problem, lg.LocalGD(10, 1.0), rounds=1e297, loss="logistic")
    k, f = far.history["round"], far.history["loss"]
    late = k >= 1e250
    np.testing.assert_allclose(f[late] * 10 * k[late] * best.margin**2, 1.0, rtol=2e-3)
    assert 0 < f[-1] < 1e-295
    margins = problem.signed_rows @ far.weights
    direct = problem.row_weights @ np.exp(-margins)
    assert f[-1] == pytest.approx(direct, rel=1e-9)


def test_columns_are_finite_up_to_1e150(problem, best):
    for method in (lg.LocalGD(10, 1.0), lg.ModifiedLocalGD(10, 1.0), lg.Scaffold(10, 1.0)):
        far = forward(problem, method, rounds=1e150, loss="exponential", reference=best)
        for name, column in far.history.items():
            assert np.isfinite(column[1:]).all(), name
        assert (np.diff(far.history["loss"]) <= 0).all()
        assert (far.history["drift"][1:] >= 0).all()


# -- Rounds ----------------------------------------------------------------------------------------


def test_integers_and_floats_are_the_same_rounds(problem):
    one, other = (forward(problem, lg.GD(lr=1.0), rounds) for rounds in (10**100, 1e100))
    np.testing.assert_array_equal(one.weights, other.weights)
    assert one.round == other.round == 1e100


@pytest.mark.parametrize("rounds", [0, 1, 100, 256])
def test_few_rounds_are_those_of_run(problem, rounds):
    far = forward(problem, lg.GD(lr=1.0), rounds)
    near = lg.run(problem, lg.GD(lr=1.0), rounds=rounds, engine="gram", threads=1)
    np.testing.assert_array_equal(far.weights, near.weights)
    np.testing.assert_array_equal(far.history["error"], 0.0)
    assert far.round == rounds


def test_the_same_bits_every_time(problem):
    one, other = (forward(problem, lg.LocalGD(100, 1.0), loss="logistic") for _ in range(2))
    np.testing.assert_array_equal(one.coefficients, other.coefficients)


def test_records_asked_for(problem):
    far = forward(problem, lg.GD(lr=1.0), 1e20, record=[10, 300, 1e6, 1e15], keep_weights=True)
    assert far.history["round"].tolist() == [0, 10, 300, 1e6, 1e15, 1e20]
    usual = forward(problem, lg.GD(lr=1.0), 1e20, keep_weights=True)
    at = np.searchsorted(usual.history["round"], 1e15)
    np.testing.assert_allclose(
        far.recorded_weights[4], usual.recorded_weights[at], rtol=1e-6, atol=1e-9
    )


def test_saved_and_loaded(problem, tmp_path):
    far = forward(problem, lg.LocalGD(10, 1.0), keep_weights=True)
    far.save(tmp_path / "far.npz")
    back = lg.load(tmp_path / "far.npz")
    np.testing.assert_array_equal(back.weights, far.weights)
    np.testing.assert_array_equal(back.history["error"], far.history["error"])
    assert back.config["fast_forward"] == far.config["fast_forward"]
    assert back.round == far.round


@pytest.mark.parametrize(
    ("rounds", "kept"), [(np.int64(100), 100), (1e3, 1000), (10**100, 1e100)], ids=str
)
def test_rounds_of_any_kind_are_plain_in_the_config(problem, tmp_path, rounds, kept):
    far = forward(problem, lg.GD(1.0), rounds=rounds)
    loaded = lg.load(far.save(tmp_path / "far.npz")).config["rounds"]
    assert (loaded, type(loaded)) == (kept, type(kept))


# -- Rows that are not separable -------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize(
    "method",
    [
        lg.GD(lr=1.0),
        lg.LocalGD(5, 1.0),
        lg.FedProx(5, 1.0, 0.1),
        lg.Scaffold(5, 1.0),
        lg.FedGA(5, 1.0, 0.3),
        lg.LocalGD(5, 1.0, server=lg.ServerSGD(0.5, 0.3)),
    ],
    ids=repr,
)
def test_rows_not_separable_run_to_the_fixed_point(blurred, method, loss):
    far = forward(blurred, method, loss=loss)
    near = lg.run(blurred, method, rounds=20_000, loss=loss, engine="primal", threads=1)
    gap = np.linalg.norm(far.weights - near.weights) / np.linalg.norm(near.weights)
    assert far.config["fast_forward"]["how"] == "fixed point"
    assert gap <= 3 * far.history["error"][-1] < 1e-10
    assert far.round == 1e100 and far.history["round"][-1] == 1e100
    # At rest the gradient is rounding, and has no direction.
    directed = {"grad_alignment", "grad_dissimilarity"}
    columns = {name: far.history[name] for name in set(far.history) - directed}
    assert all(np.isfinite(column[1:]).all() for column in columns.values())


def test_rows_not_separable_that_do_not_come_to_rest(blurred):
    with pytest.raises(lg.UnsupportedError, match=r"still moves.*raise max_exact_rounds.*1,000"):
        forward(blurred, lg.LocalGD(1, 1e-4), loss="logistic", max_exact_rounds=1000)
    with pytest.raises(lg.UnsupportedError, match=r"anchor's share.*1/rounds"):
        forward(blurred, lg.ModifiedLocalGD(5, 1.0))


def test_rows_of_which_a_part_is_separable():
    rows = lg.Problem([([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [1, 1, -1])])
    with pytest.raises(lg.UnsupportedError, match=r"1 of 3 rows are separable.*use run"):
        forward(rows, lg.GD(lr=1.0))


# -- Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (lg.LocalSGD(3, 1.0, 2), "batches are random"),
        (lg.MinibatchSGD(3, 1.0, 2), "batches are random"),
        (lg.LocalGD(3, 1.0, participation=2), "sampled at random"),
        (lg.LocalSolve(), "change abruptly"),
        (lg.ModifiedLocalGD(local_steps=None), "change abruptly"),
        (lg.LocalGD(3, 1.0, server=lg.ServerAdam(lr=0.1)), "leaves the span"),
        (lg.LocalGD(3, lambda k: 1.0), "function of your own"),
        (lg.Scaffold(3, 1.0, server=lg.ServerSGD(1.0, 0.5)), "two memories"),
    ],
    ids=["batches", "minibatch", "sampled", "solve", "anchored solve", "adam", "rate", "memories"],
)
def test_what_is_not_smooth_is_refused(problem, method, reason):
    with pytest.raises(lg.UnsupportedError, match=rf"cannot be fast-forwarded.*{reason}"):
        forward(problem, method)


def test_a_run_that_does_not_settle_in_time(problem):
    with pytest.raises(lg.UnsupportedError, match=r"after 16 exact rounds.*max_exact_rounds"):
        forward(problem, lg.LocalGD(10, 1000.0), loss="logistic", max_exact_rounds=16)
    slow = lg.LocalGD(1, 1.0, server=lg.ServerSGD(1.0, 0.999))
    with pytest.raises(lg.UnsupportedError, match=r"do not change smoothly.*smaller lr"):
        forward(problem, slow, max_exact_rounds=5000)
    late = lg.LocalGD(1, lg.TwoStage(0.1, 1.0, 10_000))
    with pytest.raises(lg.UnsupportedError, match=r"above its switch_round 10,000 \(now 5,000\)"):
        forward(problem, late, max_exact_rounds=5000)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rounds": 1e301}, ValueError, "rounds: got 1e.301; want at most 1e300"),
        ({"rounds": 10**301}, ValueError, "want at most 1e300"),
        ({"rounds": float("inf")}, ValueError, "rounds: got inf"),
        ({"rounds": float("nan")}, ValueError, "rounds: got nan"),
        ({"rounds": 1.5}, ValueError, "rounds: got 1.5; want an integer"),
        ({"rounds": -1}, ValueError, "rounds: got -1"),
        ({"rounds": "many"}, TypeError, "rounds: got 'many'"),
        ({"rtol": 1e-12}, ValueError, "rtol: got 1e-12; want a number from 1e-11 to 1e-2"),
        ({"rtol": 0.1}, ValueError, "rtol: got 0.1"),
        ({"record": [1e101]}, ValueError, "record: want rounds, integers from 0 to 1e.100"),
        ({"record": [1.5]}, ValueError, "record: want rounds"),
        ({"verify": -1}, ValueError, "verify: got -1"),
        ({"max_exact_rounds": 0}, ValueError, "max_exact_rounds: got 0"),
        ({"memory_limit": 10}, lg.UnsupportedError, "memory_limit"),
        ({"progress": 3}, TypeError, "progress: got 3"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, dict) else "",
)
def test_bad_arguments(problem, options, error, message):
    with pytest.raises(error, match=message):
        forward(problem, lg.GD(lr=1.0), **options)


def test_starts_and_steps_that_overflow(problem):
    with pytest.raises(ValueError, match="init: its exponential loss is not finite"):
        forward(problem, lg.GD(lr=1.0), loss="exponential", init=np.full(100, -1e6))
    with pytest.warns(RuntimeWarning, match=r"diverged after round .*smaller lr"):
        far = forward(problem, lg.LocalGD(10, 1e4), loss="exponential")
    assert far.status == "diverged" and np.isfinite(far.weights).all()


# -- Interrupts ------------------------------------------------------------------------------------


def interrupted(problem, at, **options):
    def stop(k):
        if k >= at:
            raise KeyboardInterrupt

    return forward(problem, lg.LocalGD(10, 1.0), progress=stop, keep_weights=True, **options)


def test_an_interrupt_in_the_flow_keeps_what_is_known(problem):
    far = interrupted(problem, 1e40)
    whole = forward(problem, lg.LocalGD(10, 1.0), keep_weights=True)
    assert far.status == "interrupted" and "interrupted after round" in far.message
    count = len(far.history["round"])
    assert 1e35 < far.round <= 1e42
    np.testing.assert_array_equal(far.history["round"], whole.history["round"][:count])
    np.testing.assert_array_equal(far.recorded_weights, whole.recorded_weights[:count])
    np.testing.assert_array_equal(far.weights, far.recorded_weights[-1])
    Z = problem.signed_rows
    np.testing.assert_allclose(Z.T @ far.coefficients, far.weights, rtol=1e-10, atol=1e-12)
    assert np.isfinite(far.history["error"]).all()


def test_an_interrupt_before_the_first_record_of_the_flow(problem):
    far = interrupted(problem, 257)
    assert far.status == "interrupted" and far.round == 256
    near = lg.run(problem, lg.LocalGD(10, 1.0), rounds=256, engine="gram", threads=1)
    np.testing.assert_array_equal(far.weights, near.weights)


def test_an_interrupt_among_the_exact_rounds():
    problem = lg.datasets.make_separable(seed=0, n_features=600)
    far = interrupted(problem, 20)  # the core asks once in a while
    assert far.status == "interrupted" and 20 <= far.round <= 256
    near = lg.run(problem, lg.LocalGD(10, 1.0), rounds=far.round, engine="gram", threads=1)
    np.testing.assert_array_equal(far.weights, near.weights)


def test_progress_is_told_and_its_errors_are_not_swallowed(problem):
    reported: list = []
    forward(problem, lg.GD(lr=1.0), 1e50, progress=reported.append)
    flow = [k for k in reported if k > 256]
    assert flow == sorted(flow) and flow[-1] == pytest.approx(1e50)

    def fail(k):
        if k > 1e10:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        forward(problem, lg.GD(lr=1.0), progress=fail)
