"""The oracle itself: gradients are derivatives, methods have their known special cases."""

import numpy as np
import oracle
import pytest
import registry

P = np.array([0.2, 0.5, 0.3])
W = np.array([0.4, -1.1, 2.0, 0.3, -0.2])


def rate(k):
    return 0.3


def start(loss):
    return registry.model(loss, W)


def stepped(name, loss="logistic", *, rounds=1, shares=P, seed=0, lr=rate, w=None, **numbers):
    """The model after some rounds of a method, and the clients' models of the last one."""
    step = oracle.Rounds(oracle.Method(name, lr=lr, **numbers), P, seed=seed)
    w, models = start(loss) if w is None else w, None
    for k in range(rounds):
        w, models = step(registry.clients(loss), shares, loss, w, k)
    return w, models


def same(a, b, rtol=1e-12):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


def gradients(loss, w):
    return [oracle.LOSSES[loss].gradient(X, y, w) for X, y in registry.clients(loss)]


# -- Losses and measures ---------------------------------------------------------------------------


@pytest.mark.parametrize("loss", oracle.LOSSES)
def test_gradients_match_finite_differences(loss):
    (X, y), w, h = registry.clients(loss)[1], start(loss), 1e-6
    value, gradient = oracle.LOSSES[loss].value, oracle.LOSSES[loss].gradient(X, y, w)
    for place in np.ndindex(w.shape):
        e = np.zeros_like(w)
        e[place] = h
        difference = (value(X, y, w + e) - value(X, y, w - e)) / (2 * h)
        assert gradient[place] == pytest.approx(difference, rel=1e-7, abs=1e-9)


def test_softmax_of_two_classes_is_logistic():
    X, y = registry.clients("logistic")[1]
    labels, both = (y + 1) / 2, np.outer(W, [0, 1])
    value, gradient = oracle.LOSSES["softmax"].value, oracle.LOSSES["softmax"].gradient
    assert value(X, labels, both) == pytest.approx(oracle.LOSSES["logistic"].value(X, y, W))
    same(gradient(X, labels, both)[:, 1], oracle.LOSSES["logistic"].gradient(X, y, W))
    same(oracle.least_margin(X @ both, labels), oracle.least_margin(X @ W, y))


def test_angle_and_drift_of_known_vectors():
    assert oracle.angle(np.array([1.0, 0.0]), np.array([0.0, 3.0])) == pytest.approx(np.pi / 2)
    models = [np.array([1.0, 0.0]), np.array([0.0, 2.0])]
    assert oracle.client_drift([0.25, 0.75], models, np.array([0.0, 1.0])) == 0.25 * 2 + 0.75 * 1


def test_margin_of_classes_by_hand():
    X, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([2.0, 0.0])
    W = np.array([[1.0, 2.0, 7.0], [3.0, 0.0, 2.5]])  # margins 7 - 2 and 6 - 5
    assert oracle.least_margin(X @ W, y) == 1.0
    assert oracle.measures([(X, y)], [1.0], "softmax", W, None)[2] == 1 / np.linalg.norm(W)


def test_gradient_measures_by_hand():
    """Squared loss at 0 of rows e_1, e_2 and 0: gradients -e_1, -2 e_2 and 0."""
    rows = [([[1.0, 0.0]], [1.0]), ([[0.0, 1.0]], [2.0]), ([[0.0, 0.0]], [1.0])]
    rows = [(np.array(X), np.array(y)) for X, y in rows]
    length, variance, alignment, dissimilarity = oracle.gradient_measures(
        rows, [0.5, 0.25, 0.25], "squared", np.zeros(2)
    )
    mean = np.array([-0.5, -0.5])
    assert length == pytest.approx(np.linalg.norm(mean))
    assert variance == 0.5 * 0.5 + 0.25 * (0.25 + 2.25) + 0.25 * 0.5
    assert alignment == pytest.approx((0.5 * 0.5 + 0.25 * 1.0 / 2) / np.linalg.norm(mean))
    assert dissimilarity == pytest.approx((0.5 * 1 + 0.25 * 4) / 0.5)
    balanced = [rows[0], (rows[0][0], -rows[0][1])]
    length, variance, *ratios = oracle.gradient_measures(
        balanced, [0.5, 0.5], "squared", np.zeros(2)
    )
    assert (length, variance) == (0, 1)
    assert np.isnan(ratios).all()


# -- Local steps -----------------------------------------------------------------------------------


def test_affine_map_is_a_round_of_the_oracle():
    rows, w = registry.clients("squared"), np.arange(5.0)
    A, b = oracle.affine_round(rows, P, lr=0.3, local_steps=4)
    plain, _ = oracle.local_gd_round(rows, P, "squared", w, 0, lr=rate, local_steps=4)
    same(A @ w + b, plain)


@pytest.mark.parametrize("loss", registry.LOSSES)
def test_general_round_of_gd_and_local_gd_is_the_plain_one(loss):
    rows, w = registry.clients(loss), start(loss)
    same(stepped("GD", loss)[0], oracle.gd_round(rows, P, loss, w, 0, lr=rate)[0])
    got, models = stepped("LocalGD", loss, local_steps=4)
    want, wanted = oracle.local_gd_round(rows, P, loss, w, 0, lr=rate, local_steps=4)
    same(got, want)
    same(models, wanted)


def test_clients_that_sit_out_keep_the_model_and_do_not_count():
    shares = np.array([0.0, 0.625, 0.375])
    got, models = stepped("LocalGD", local_steps=4, shares=shares)
    _, wanted = oracle.local_gd_round(
        registry.clients("logistic"), P, "logistic", W, 0, lr=rate, local_steps=4
    )
    np.testing.assert_array_equal(models[0], W)
    same(got, 0.625 * wanted[1] + 0.375 * wanted[2])


def test_proximal_steps_on_a_quadratic():
    """``w_{k,i} - w_k = -(I - B^L) (H + μI)⁻¹ ∇f_i(w_k)`` with B = I - η (H + μI)."""
    _, models = stepped("FedProx", "squared", local_steps=6, mu=0.7)
    for (X, y), model, g in zip(
        registry.clients("squared"), models, gradients("squared", W), strict=True
    ):
        curvature = X.T @ X / len(y) + 0.7 * np.eye(5)
        power = np.linalg.matrix_power(np.eye(5) - 0.3 * curvature, 6)
        same(model - W, -(np.eye(5) - power) @ np.linalg.solve(curvature, g), rtol=1e-10)


def test_no_proximal_term_no_displacement_no_memory_is_local_gd():
    plain = stepped("LocalGD", local_steps=4)[0]
    same(stepped("FedProx", local_steps=4, mu=0.0)[0], plain)
    same(stepped("FedGA", local_steps=4, beta=0.0)[0], plain)
    same(stepped("Scaffold", local_steps=4)[0], plain)
    assert not np.allclose(stepped("FedProx", local_steps=4, mu=0.1)[0], plain, rtol=1e-6)
    assert not np.allclose(stepped("FedGA", local_steps=4, beta=0.1)[0], plain, rtol=1e-6)


def test_scaffold_of_one_step_is_gradient_descent():
    """The mean of a path of one gradient is that gradient: the corrections cancel in the mean."""
    same(stepped("Scaffold", rounds=9, local_steps=1)[0], stepped("GD", rounds=9)[0])


def test_scaffold_stays_at_the_global_minimum_and_local_gd_does_not():
    rows = registry.clients("squared")
    H = sum(p * X.T @ X / len(y) for p, (X, y) in zip(P, rows, strict=True))
    best = np.linalg.solve(H, sum(p * X.T @ y / len(y) for p, (X, y) in zip(P, rows, strict=True)))
    reached, _ = stepped("Scaffold", "squared", rounds=3000, local_steps=4)
    same(reached, best, rtol=1e-10)
    reached, _ = stepped("LocalGD", "squared", rounds=3000, local_steps=4)
    assert np.linalg.norm(reached - best) > 1e-2


def test_control_variates_of_clients_that_sit_out_stay():
    step = oracle.Rounds(oracle.Method("Scaffold", lr=rate, local_steps=1), P)
    rows = registry.clients("logistic")
    w, _ = step(rows, P, "logistic", W, 0)
    same(step.controls, gradients("logistic", W))
    step(rows, np.array([0.0, 1.0, 0.0]), "logistic", w, 1)
    expected = gradients("logistic", W)
    expected[1] = gradients("logistic", w)[1]
    same(step.controls, expected)


def test_grad_align_to_first_order_in_beta():
    """The update is that of gradient descent on ``f + (β/2) Σ p_i‖∇f_i - ∇f‖²``."""
    rows, h = registry.clients("logistic"), 1e-6

    def variance(w):
        return oracle.gradient_measures(rows, P, "logistic", w)[1]

    slope = [(variance(W + h * e) - variance(W - h * e)) / (2 * h) for e in np.eye(5)]
    forward = stepped("GradAlign", beta=1e-4)[0]
    backward = stepped("GradAlign", beta=-1e-4)[0]
    same((forward - backward) / 2e-4, -0.3 * np.array(slope) / 2, rtol=1e-6)
    same((forward + backward) / 2, stepped("GD")[0], rtol=1e-7)


def test_fed_ga_of_one_step_is_grad_align():
    one = stepped("FedGA", local_steps=1, beta=0.4, rounds=3)[0]
    same(one, stepped("GradAlign", beta=0.4, rounds=3)[0])


def test_displacement_uses_the_mean_of_those_who_take_part():
    shares = np.array([0.0, 0.25, 0.75])
    _, models = stepped("FedGA", local_steps=1, beta=0.4, shares=shares, lr=lambda k: 1e-300)
    _, *g = gradients("logistic", W)
    mean = 0.25 * g[0] + 0.75 * g[1]
    same(models, [W, W + 0.4 * (g[0] - mean), W + 0.4 * (g[1] - mean)])


@pytest.mark.parametrize("mu", [0.0, 0.5])
def test_fed_nova_weighs_the_clients_by_p_in_the_limit_of_small_steps(mu):
    """``Δ → -η τ̄ ∇f``; without it clients with more steps count for more."""
    options = {"local_steps": (2, 1, 4), "mu": mu, "lr": lambda k: 1e-7}
    g = np.array(gradients("logistic", W))
    got = stepped("FedProx", **options)[0] - W
    same(got, -1e-7 * np.dot(P, [2, 1, 4]) * P @ g, rtol=1e-5)
    got = stepped("FedProx", fednova=False, **options)[0] - W
    same(got, -1e-7 * (P * [2, 1, 4]) @ g, rtol=1e-5)


def test_fed_nova_by_hand():
    shares, tau = np.array([0.5, 0.0, 0.5]), np.array([1 + 0.7, 1.0, 1 + 0.7 + 0.49])
    got, models = stepped("FedProx", local_steps=(2, 1, 3), mu=1.0, shares=shares)
    mean = 0.5 * tau[0] + 0.5 * tau[2]
    change = 0.5 * mean / tau[0] * (models[0] - W) + 0.5 * mean / tau[2] * (models[2] - W)
    same(got, W + change)


# -- Batches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "count"), [(1, 5), (6, 20), (7, 7), (50, 3)])
def test_rows_without_replacement_come_epoch_by_epoch(n, count):
    seen = set()
    for k in range(30):
        rows = oracle.drawn_rows(4, 2, k, n, count, replacement=False)
        assert len(rows) == count
        for begin in range(0, count, n):
            epoch = rows[begin : begin + n].tolist()
            assert len(set(epoch)) == len(epoch)
            assert set(epoch) <= set(range(n))
        seen.add(tuple(rows[:n]))
    assert len(seen) > 1 or n == 1


@pytest.mark.parametrize("replacement", [True, False])
def test_rows_are_uniform_at_each_place(replacement):
    rows = [oracle.drawn_rows(0, 1, k, 6, 8, replacement=replacement) for k in range(6000)]
    counts = np.array([np.bincount(place, minlength=6) for place in np.transpose(rows)])
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000 * 5 / 6)


def test_rows_by_hand():
    """Two 32-bit numbers per word, the low half first."""
    key = np.random.SeedSequence(9, spawn_key=(0, 3)).generate_state(2, np.uint64)
    words = np.random.Philox(key=key, counter=2).random_raw(2).tolist()  # round 2, one block each
    u = [words[0] % 2**32, words[0] // 2**32, words[1] % 2**32]
    rows = oracle.drawn_rows(9, 3, 2, 5, 3, replacement=True)
    assert rows.tolist() == [number * 5 // 2**32 for number in u]
    first = u[0] * 5 // 2**32
    left = [0 if row == first else row for row in (1, 2, 3, 4)]  # row 0 takes the place of it
    second = left[u[1] * 4 // 2**32]
    rows = oracle.drawn_rows(9, 3, 2, 5, 3, replacement=False)
    assert rows[:2].tolist() == [first, second]


def test_batches_of_all_rows_are_full_batches():
    plain = stepped("LocalGD", local_steps=4, rounds=3)[0]
    for batch_size in (6, 100, None):
        same(stepped("LocalSGD", local_steps=4, batch_size=batch_size, rounds=3)[0], plain)
    same(stepped("MinibatchSGD", local_steps=4, batch_size=100)[0], stepped("GD")[0])


def test_a_batch_at_the_end_of_an_epoch_is_filled_from_the_next():
    """Client 2 has three rows: the second of two batches of two holds a row of the next epoch."""
    rows = oracle.drawn_rows(0, 2, 0, 3, 4, replacement=False)
    X, y = registry.clients("logistic")[2]
    step = oracle.Rounds(oracle.Method("LocalSGD", lr=rate, local_steps=2, batch_size=2), P)
    batches = list(step.batches(2, (X, y), 0))
    np.testing.assert_array_equal(batches[0][0], X[rows[:2]])
    np.testing.assert_array_equal(batches[1][0], X[rows[2:]])
    assert sorted(rows[:3]) == [0, 1, 2]


def test_minibatch_sgd_is_one_step_on_the_rows_of_local_sgd():
    _, models = stepped("MinibatchSGD", local_steps=3, batch_size=2, seed=5)
    for i, (X, y) in enumerate(registry.clients("logistic")):
        b = min(2, len(y))
        rows = oracle.drawn_rows(5, i, 0, len(y), 3 * b, replacement=False)
        same(models[i], W - 0.3 * oracle.LOSSES["logistic"].gradient(X[rows], y[rows], W))


def test_mean_of_many_stochastic_steps_is_the_full_one():
    for replacement in (True, False):
        models = [
            stepped("LocalSGD", batch_size=2, replacement=replacement, seed=seed)[0]
            for seed in range(2000)
        ]
        error = np.std(models, axis=0) / np.sqrt(len(models))
        assert (np.abs(np.mean(models, axis=0) - stepped("GD")[0]) < 5 * error).all()


# -- Exact local solves ----------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(1, 1), (3, 8), (6, 5), (12, 4), (20, 60)])
def test_projection_satisfies_its_optimality_conditions(n, d):
    rng = np.random.default_rng(n)
    X, w = rng.standard_normal((n, d)), rng.standard_normal(d)
    y = np.sign(X @ rng.standard_normal(d))
    A, v = X * y[:, None], oracle.projection(X, y, w)
    slack = A @ v - 1
    assert slack.min() > -1e-12
    active = slack < 1e-10
    multipliers = np.linalg.lstsq(A[active].T, v - w, rcond=None)[0]
    assert (multipliers > -1e-10).all()
    same(A[active].T @ multipliers, v - w, rtol=1e-9)
    np.testing.assert_allclose(oracle.projection(X, y, v), v, rtol=1e-12, atol=1e-12)


def test_projection_on_orthogonal_rows():
    X, y, w = np.diag([2.0, 1.0, 4.0]), np.array([1.0, -1.0, 1.0]), np.array([0.0, 3.0, 5.0])
    np.testing.assert_allclose(oracle.projection(X, y, w), [0.5, -1.0, 5.0], rtol=1e-14)


def test_interpolant_fits_with_the_smallest_step():
    rng = np.random.default_rng(0)
    X, y, w = rng.standard_normal((4, 9)), rng.standard_normal(4), rng.standard_normal(9)
    v = oracle.interpolant(X, y, w)
    same(X @ v, y)
    same(X.T @ np.linalg.lstsq(X.T, v - w, rcond=None)[0], v - w)


def test_solutions_are_what_the_solving_methods_average():
    rows = registry.clients("logistic")
    mean = sum(p * oracle.projection(X, y, W) for p, (X, y) in zip(P, rows, strict=True))
    same(stepped("LocalSolve")[0], mean)
    same(stepped("ModifiedLocalGD", local_steps=None)[0], (W + mean) / 2)
    rows = registry.clients("squared")
    mean = sum(p * oracle.interpolant(X, y, W) for p, (X, y) in zip(P, rows, strict=True))
    same(stepped("LocalSolve", "squared")[0], mean)


# -- Servers ---------------------------------------------------------------------------------------

CHANGE = np.array([1.0, -2.0, 0.0])


def served(name, rounds, change=CHANGE, **numbers):
    """w_1, w_2, … from w_0 = (1, 1, 1) for changes that are always the same."""
    server, models = oracle.SERVERS[name](**numbers), [np.ones(3)]
    for k in range(rounds):
        models.append(server(models[-1], change, k))
    return np.array(models)


def test_anchored_server_is_the_mean_of_what_came_so_far():
    """With Σ p w_{k,i} = u always: w_k = w_0/(k+1) + u k/(k+1)."""
    server, w, u = oracle.SERVERS["Anchored"](), np.ones(3), np.array([3.0, 0.0, -1.0])
    for k in range(20):
        w = server(w, u - w, k)
        a = (k + 1) / (k + 2)
        same(w, (1 - a) * np.ones(3) + a * u)


def test_momentum_sums_a_geometric_series():
    plain, heavy, nesterov = (
        np.diff(served("ServerSGD", 30, lr=0.5, **numbers), axis=0)
        for numbers in ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True})
    )
    powers = (1 - 0.9 ** np.arange(1, 31)) / 0.1
    same(plain, np.outer(np.ones(30), 0.5 * CHANGE))
    same(heavy, np.outer(powers, 0.5 * CHANGE))
    same(nesterov, np.outer(1 + 0.9 * powers, 0.5 * CHANGE))


def test_adaptive_servers_after_two_rounds_by_hand():
    tau = 0.5
    m = [0.2 * CHANGE, 0.2 * CHANGE * 1.8]
    second = {
        "ServerAdam": [0.9 * tau**2 + 0.1 * CHANGE**2, 0.81 * tau**2 + 0.19 * CHANGE**2],
        # v = 0.25 stays below 1 and 4 and rises by a tenth of them; above 0 it does not move.
        "ServerYogi": [tau**2 + 0.1 * CHANGE**2, tau**2 + 0.2 * CHANGE**2],
        "ServerAdagrad": [tau**2 + CHANGE**2, tau**2 + 2 * CHANGE**2],
    }
    for name, v in second.items():
        numbers = {"lr": 0.3, "beta1": 0.8, "tau": tau}
        if name != "ServerAdagrad":
            numbers["beta2"] = 0.9
        got = np.diff(served(name, 2, **numbers), axis=0)
        same(got, [0.3 * m[t] / (np.sqrt(v[t]) + tau) for t in (0, 1)])


def test_yogi_lowers_v_where_the_changes_are_small():
    small = np.full(3, 0.1)
    got = np.diff(served("ServerYogi", 1, small, lr=1, beta1=0.0, beta2=0.9, tau=0.5), axis=0)
    same(got[0], small / (np.sqrt(0.25 - 0.1 * 0.01) + 0.5))


# -- Runs ------------------------------------------------------------------------------------------


def test_participations_are_counted_and_drift_uses_the_shares_of_the_round():
    shares = np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    step = oracle.Rounds(oracle.Method("LocalGD", lr=rate, local_steps=2), P)
    run = oracle.simulate(
        *(registry.clients("logistic"), P),
        **{"loss": "logistic", "step": step, "rounds": 3, "record": (1, 2), "shares": shares},
    )
    assert run.history["participations"].tolist() == [0, 2, 3, 6]
    assert np.isnan(run.history["drift"][0])
    assert run.history["drift"][1] > 0
    assert run.history["drift"][2] < 1e-30  # a single client is where the average is


def test_every_case_of_the_registry_has_an_oracle():
    for case in registry.METHODS:
        for loss in case.losses:
            run = registry.expected(case, loss, weights="samples", rate=rate, rounds=3)
            assert np.isfinite(run.weights).all(), (case.name, loss)
            assert run.weights.any()
