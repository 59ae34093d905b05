"""Learning rates that see the state, against plain NumPy loops and 60 digits."""

from __future__ import annotations

import math

import numpy as np
import oracle
import pytest
import registry

import localgd as lg

mp = pytest.importorskip("mpmath")

pytestmark = pytest.mark.filterwarnings("error", "ignore:participation:UserWarning")

GIVEN = registry.WEIGHTS["given"]
ROUNDS = 40


# -- One rate for all clients ----------------------------------------------------------------------


def risk(clients, p, loss, w):
    return sum(p_i * loss.value(X, y, w) for p_i, (X, y) in zip(p, clients, strict=True))


def squared_gradient(clients, p, loss, w):
    return np.sum(
        sum(p_i * loss.gradient(X, y, w) for p_i, (X, y) in zip(p, clients, strict=True)) ** 2
    )


SHARED = {
    "risk": (lg.RiskAdapted(0.1), lambda *at: 0.1 / risk(*at)),
    "polyak": (lg.Polyak(scale=0.1), lambda *at: 0.1 * risk(*at) / squared_gradient(*at)),
    "polyak, f*": (
        lg.Polyak(f_star=0.1, scale=0.2),
        lambda *at: 0.2 * max(risk(*at) - 0.1, 0) / squared_gradient(*at),
    ),
}
# Polyak's rates are long where the gradient is short, as near a minimum above f*, and soon multiply
# rounding errors.
FEW = 6
ROUNDS_OF = {"risk": ROUNDS, "polyak": FEW, "polyak, f*": FEW}


def expected(case, rate, loss, *, rounds=ROUNDS, l2=0.0, weights=GIVEN, **shape):
    """The oracle's run with a rate that is made anew before every round."""
    problem, clients = registry.problem(loss, weights, **shape), registry.clients(loss, **shape)
    p = registry.client_weights(weights, problem.sizes)
    now = {}
    plain = case.step(lambda _: now["rate"], p)

    def step(clients, shares, objective, w, k):
        now["rate"] = rate(clients, p, objective, w)
        return plain(clients, shares, objective, w, k)

    return oracle.simulate(
        clients,
        p,
        loss=oracle.Objective(loss, l2),
        step=step,
        rounds=rounds,
        record=(3, rounds // 2),
        reference=registry.reference(loss, problem),
        shares=registry.shares(problem, case.make(1.0), rounds),
    )


LOSSES = ("exponential", "logistic", "softmax")
STEPS = [case for case in registry.METHODS if not case.solve]


@pytest.mark.parametrize("rule", SHARED)
@pytest.mark.parametrize("case", STEPS, ids=lambda case: case.name)
def test_shared_rates_of_every_method(case, rule):
    lr, rate = SHARED[rule]
    loss = LOSSES[(STEPS.index(case) + list(SHARED).index(rule)) % 3]
    rounds = ROUNDS_OF[rule]
    want = expected(case, rate, loss, rounds=rounds)
    problem = registry.problem(loss, GIVEN)
    settings = {"rounds": rounds, "record": (3, rounds // 2)}
    for run, tolerance, where in registry.runs_of(case, loss, problem, lr, settings):
        slack = 30 * tolerance  # rates are quotients of what rounding has moved
        registry.assert_model(run, want, problem, None, slack, where)
        registry.assert_history(run, want, problem, slack, where)


@pytest.mark.parametrize("rule", SHARED)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ["LocalGD", "LocalSGD", "FedProx", "FedGA"])
def test_the_penalty_is_part_of_the_risk(name, loss, rule):
    case, problem = registry.MethodCase(name), registry.problem(loss, GIVEN)
    rounds = ROUNDS_OF[rule]
    want = expected(case, SHARED[rule][1], loss, l2=0.05, rounds=rounds)
    settings = {"rounds": rounds, "l2": 0.05}
    for run, tolerance, where in registry.runs_of(case, loss, problem, SHARED[rule][0], settings):
        registry.assert_model(
            run, want, problem, np.zeros(problem.weights_shape), 30 * tolerance, where
        )


@pytest.mark.parametrize("loss", ["squared", "huber", "squared_hinge"])
def test_polyak_of_losses_without_a_tail(loss):
    case, problem = registry.MethodCase("LocalGD"), registry.problem(loss, GIVEN)
    want = expected(case, SHARED["polyak, f*"][1], loss, rounds=FEW)
    settings = {"rounds": FEW}
    rule = SHARED["polyak, f*"][0]
    for run, tolerance, where in registry.runs_of(case, loss, problem, rule, settings):
        registry.assert_model(run, want, problem, None, 100 * tolerance, where)


@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("engine", ["gram", "hybrid"])
@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize("method", ["LocalGD", "LocalGD: one client"])
def test_bundles_of_ragged_clients(loss, engine, dtype, method):
    """Lanes beyond a client's rows, or without a client, stay finite however small f is."""
    shape = {"sizes": (5, 2, 4) * 13, "d": 300}
    case, problem = registry.MethodCase(method), registry.problem(loss, "samples", **shape)
    run = lg.run(
        problem,
        case.make(lg.RiskAdapted(0.5)),
        rounds=ROUNDS,
        loss=loss,
        engine=engine,
        dtype=dtype,
        seed=registry.SEED,
    )
    rate = lambda *at: 0.5 / risk(*at)  # noqa: E731
    want = expected(case, rate, loss, weights="samples", **shape)
    registry.assert_close(run.weights, want.weights, 100 * case.tolerance(loss, dtype), method)
    start = lg.run(problem, lg.GD(lr=lg.RiskAdapted(1.0)), rounds=3000, loss=loss)
    far = lg.run(
        problem,
        case.make(lg.RiskAdapted(0.5)),
        rounds=300,
        init=1e5 * start.weights / start.history["norm"][-1],
        loss=loss,
        engine=engine,
        dtype=dtype,
        seed=registry.SEED,
    )
    assert start.history["margin"][-1] > 0.01 and far.status == "completed"
    assert (far.history["log_loss"] < -1000).all() and np.diff(far.history["log_loss"])[-1] < 0


# -- Each client its own ---------------------------------------------------------------------------


def own_rounds(clients, p, loss, eta, steps, shares, *, row_weights=None):
    """``w ← w - η ∇f_i(w)/f_i(w)``, L_i times, and FedNova's mean where the L_i differ."""
    w = np.zeros(clients[0][0].shape[1])
    for of_round in shares:
        change, tau = np.zeros_like(w), np.dot(of_round, steps)
        for i, ((X, y), share) in enumerate(zip(clients, of_round, strict=True)):
            v = np.ones(len(y)) if row_weights is None else row_weights[i]
            local = w
            for _ in range(steps[i] if share > 0 else 0):
                m = y * (X @ local)
                value = np.exp(-m) if loss == "exponential" else np.logaddexp(0, -m)
                slope = np.exp(-m) if loss == "exponential" else 1 / (1 + np.exp(m))
                local = local + eta * (X.T @ (v * y * slope)) / (v @ value)
            change += share * tau / steps[i] * (local - w)
        w = w + change
    return w


OWN = {
    "LocalGD": (3, 3, 3),
    "GD": (1, 1, 1),
    "LocalGD: unequal": (2, 1, 4),
    "LocalGD: two clients": (3, 3, 3),
    "LocalGD: markov, unequal, plain, unbiased": (2, 1, 4),
}


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize("name", [name for name in OWN if "plain" not in name])
def test_own_rates(name, loss):
    case, problem = registry.MethodCase(name), registry.problem(loss, GIVEN)
    shares = registry.shares(problem, case.make(1.0), ROUNDS)
    want = own_rounds(registry.clients(loss), problem.weights, loss, 0.2, OWN[name], shares)
    for engine in ("gram", "hybrid"):
        for dtype in registry.DTYPES:
            run = lg.run(
                problem,
                case.make(lg.RiskAdapted(0.2, own=True)),
                rounds=ROUNDS,
                loss=loss,
                engine=engine,
                dtype=dtype,
                seed=registry.SEED,
            )
            tolerance = 10 * case.tolerance(loss, dtype)
            registry.assert_close(run.weights, want, tolerance, f"{name}, {engine}, {dtype}")


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize("sparse", [False, True])
def test_own_rates_of_weighted_rows_dense_or_sparse(loss, sparse):
    """A row of weight 0 counts for nothing, however wrong it is."""
    clients = registry.clients(loss)
    X, y = (np.concatenate(part) for part in zip(*clients, strict=True))
    ids = np.repeat(np.arange(3), registry.SIZES)
    v = np.linspace(0.5, 2.0, len(y))
    v[3] = 0.0
    X[3], y[3] = 40 * X[3], -y[3]
    rows = X
    if sparse:
        from scipy.sparse import csr_array

        rows = csr_array(X)
    problem = lg.Problem.from_arrays(rows, y, ids, sample_weight=v)
    held = [(X[ids == i], y[ids == i]) for i in range(3)]
    shares = np.broadcast_to(problem.weights, (ROUNDS, 3))
    want = own_rounds(
        held, None, loss, 0.2, (3, 3, 3), shares, row_weights=[v[ids == i] for i in range(3)]
    )
    for engine in ("gram", "hybrid", *(["primal"] if sparse else [])):
        method = lg.LocalGD(3, lg.RiskAdapted(0.2, own=True))
        run = lg.run(problem, method, rounds=ROUNDS, loss=loss, engine=engine)
        registry.assert_close(run.weights, want, 1e-9, engine)


def test_shared_rates_of_weighted_rows():
    loss, clients = "logistic", registry.clients("logistic")
    v = [np.linspace(0.5, 2.0, len(y)) for _, y in clients]
    X, y = (np.concatenate(part) for part in zip(*clients, strict=True))
    problem = lg.Problem.from_arrays(
        X, y, np.repeat(np.arange(3), registry.SIZES), sample_weight=np.concatenate(v)
    )
    w = np.zeros(registry.N_FEATURES)
    for _ in range(ROUNDS):
        m = y * (X @ w)
        c = np.concatenate(v) / np.concatenate(v).sum()
        w = w + 0.3 / (c @ np.logaddexp(0, -m)) * (X.T @ (c * y / (1 + np.exp(m))))
    for engine in registry.ENGINES:
        run = lg.run(
            problem, lg.GD(lr=lg.RiskAdapted(0.3)), rounds=ROUNDS, loss=loss, engine=engine
        )
        registry.assert_close(run.weights, w, 1e-9, engine)


# -- Far out ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def separable():
    return lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=100, seed=0)


@pytest.fixture(scope="module")
def pooled(separable):
    return lg.reference.max_margin(separable)


@pytest.fixture(scope="module")
def average(separable):
    return lg.reference.average_margin(separable)


# mathematics: degrees to the max-margin direction after 100, 1,000 and 10,000 rounds.
TABLE = {
    (10, 1.0): (13.516, 9.813, 7.727),
    (50, 1.0): (11.067, 8.362, 6.791),
    (10, lg.RiskAdapted(0.05)): (19.551, 6.194, 0.858),
    (50, lg.RiskAdapted(0.05)): (10.615, 1.908, 0.206),
    (10, lg.RiskAdapted(0.05, own=True)): (20.304, 9.771, 6.962),
    (50, lg.RiskAdapted(0.05, own=True)): (12.678, 7.168, 6.901),
}


@pytest.mark.parametrize(("L", "lr"), TABLE, ids=str)
def test_the_table_of_the_specification(separable, pooled, average, L, lr):
    run = lg.run(
        separable, lg.LocalGD(L, lr), rounds=10_000, record=(100, 1000, 10_000), reference=pooled
    )
    degrees = np.degrees(run.history["angle"][1:])
    np.testing.assert_allclose(degrees, TABLE[L, lr], atol=5.001e-4)
    between = np.degrees(lg.angle(pooled.direction, average.direction))
    assert between == pytest.approx(6.900, abs=5e-4)
    if (L, lr) == (50, lg.RiskAdapted(0.05, own=True)):
        assert np.degrees(lg.angle(run.weights, average.direction)) < 0.213


RULES = (lg.RiskAdapted(0.5), lg.RiskAdapted(0.5, own=True), lg.Polyak())


@pytest.mark.parametrize("lr", RULES, ids=repr)
@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_margins_that_no_exponential_has(separable, pooled, average, loss, dtype, lr):
    """In float32 an ulp of these margins is 1e-3; the rates know them in float64."""
    own = getattr(lr, "own", False)
    limit = average if own else pooled
    for engine in registry.ENGINES if not own else ("gram", "hybrid"):
        run = lg.run(
            separable,
            lg.LocalGD(5, lr),
            rounds=30_000,
            loss=loss,
            engine=engine,
            dtype=dtype,
            reference=limit,
        )
        assert run.status == "completed"
        assert run.history["loss"][-1] == 0 and run.history["log_loss"][-1] < -1000
        m = separable.signed_rows @ run.weights
        assert run.history["log_loss"][-1] == pytest.approx(
            -m.min() + np.log(np.mean(np.exp(m.min() - m))),
            rel=1e-9 if dtype == "float64" else 1e-7,
        )
        angles = np.degrees(run.history["angle"])
        assert 0 < angles[-1] < 0.1
        k = run.history["round"]
        decade = np.flatnonzero(k == 3162)  # like 1/k: ten times as many rounds, a tenth
        if len(decade):
            assert angles[-1] < 0.2 * angles[decade[0]]


SMALL = {
    # two clients of two rows each, and their weights
    lg.RiskAdapted(1.0): (
        [[(1.0, 0.5), (1.5, 0.75)], [(1.0, -0.5), (1.25, 0.25)]],
        (0.50390625, 0.49609375),
    ),
    lg.RiskAdapted(1.0, own=True): (
        [[(1.0, 0.5), (1.0, -0.5)], [(0.5, -0.03125), (1.5, 0.25)]],
        (0.75, 0.25),
    ),
}


@pytest.mark.parametrize("lr", SMALL, ids=repr)
def test_an_angle_below_a_thousandth_of_a_degree_in_sixty_digits(lr):
    (rows, p), L, rounds = SMALL[lr], 3, 1500
    problem = lg.Problem([(X, [1, 1]) for X in rows], weights=p)
    with mp.workdps(60):
        exact = exact_rounds(rows, p, lr, L, rounds)
        limit = lg.reference.average_margin(problem) if lr.own else lg.reference.max_margin(problem)
        norm = float(mp.sqrt(exact[0] ** 2 + exact[1] ** 2))
        u = [mp.mpf(float(x)) for x in limit.direction]
        tangent = (exact[0] * u[1] - exact[1] * u[0]) / (exact[0] * u[0] + exact[1] * u[1])
        angle = float(mp.degrees(abs(mp.atan(tangent))))
    assert 0 < angle < 1e-3
    for engine in ("gram", "hybrid", *(() if lr.own else ("primal",))):
        run = lg.run(problem, lg.LocalGD(L, lr), rounds=rounds, engine=engine, reference=limit)
        assert run.history["loss"][-1] == 0
        np.testing.assert_allclose(
            run.weights, [float(x) for x in exact], rtol=0, atol=1e-12 * norm
        )
        assert np.degrees(run.history["angle"][-1]) == pytest.approx(angle, abs=1e-10)


def exact_rounds(rows, p, lr, L, rounds):
    """The loops of the definition, in the precision of mpmath."""
    Z = [[[mp.mpf(x) for x in row] for row in client] for client in rows]
    w = [mp.mpf(0), mp.mpf(0)]

    def losses(client, at):
        return [mp.exp(-(z[0] * at[0] + z[1] * at[1])) for z in client]

    for _ in range(rounds):
        f = sum(mp.mpf(p_i) * sum(losses(c, w)) / len(c) for p_i, c in zip(p, Z, strict=True))
        mean = [mp.mpf(0), mp.mpf(0)]
        for p_i, client in zip(p, Z, strict=True):
            local = w
            for _ in range(L):
                e = losses(client, local)
                step = lr.eta / (sum(e) if lr.own else len(client) * f)
                local = [
                    local[j] + step * sum(x * z[j] for x, z in zip(e, client, strict=True))
                    for j in (0, 1)
                ]
            mean = [mean[j] + mp.mpf(p_i) * local[j] for j in (0, 1)]
        w = mean
    return w


def test_a_million_rounds(pooled, separable):
    run = lg.run(separable, lg.GD(lr=lg.RiskAdapted(0.5)), rounds=1_000_000, reference=pooled)
    assert run.status == "completed"
    assert np.degrees(run.history["angle"][-1]) < 0.02


def test_the_log_of_the_loss_of_several_classes():
    problem = registry.problem("softmax")
    W = 1e5 * lg.reference.max_margin(problem).direction
    run = lg.run(problem, lg.GD(lr=0.1), rounds=0, init=W, loss="softmax")
    logs = []
    for X, y in registry.clients("softmax"):
        scores = X @ W
        own = np.take_along_axis(scores, y.astype(int)[:, None], axis=1)
        gaps = np.where(scores == own, -np.inf, scores - own)
        logs.append(np.logaddexp.reduce(gaps.ravel()) - np.log(len(y)))
    want = np.logaddexp.reduce(logs) - np.log(len(logs))
    assert run.history["loss"][0] == 0
    assert run.history["log_loss"][0] == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("lr", RULES, ids=repr)
@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_clients_and_rows_that_count_for_nothing_may_be_wrong(separable, loss, lr):
    """However far off they are, log f does not know them."""
    X, y = separable.X.copy(), separable.y.copy()
    clients = np.repeat(np.arange(5), 10)
    wrong = clients == 0
    y[wrong] *= -1
    start = 1e5 * lg.reference.max_margin(separable).direction
    v = np.ones(50)
    v[12] = 0.0  # of a client that counts
    y[12] *= -1
    for engine in ("gram", "hybrid"):
        without = lg.Problem.from_arrays(X[~wrong], separable.y[~wrong], clients[~wrong])
        run = lg.run(without, lg.LocalGD(3, lr), rounds=50, loss=loss, init=start, engine=engine)
        p = [0, 0.25, 0.25, 0.25, 0.25]
        y_of = np.where(wrong, y, separable.y)
        beside = lg.Problem.from_arrays(X, y_of, clients, weights=p)
        got = lg.run(beside, lg.LocalGD(3, lr), rounds=50, loss=loss, init=start, engine=engine)
        assert run.status == got.status == "completed"
        registry.assert_close(got.weights, run.weights, 1e-9, engine)
        assert got.history["log_loss"][-1] == pytest.approx(run.history["log_loss"][-1], rel=1e-12)
    weighted = lg.Problem.from_arrays(separable.X, y, clients, sample_weight=v, weights=p)
    near = lg.run(weighted, lg.LocalGD(3, lr), rounds=50, loss=loss)
    assert near.status == "completed" and near.history["log_loss"][-1] < near.history["log_loss"][0]


def test_an_exponential_that_overflows_is_still_an_error(separable):
    wrong = -2e4 * separable.signed_rows.mean(axis=0)
    with pytest.raises(ValueError, match="its exponential loss is not finite"):
        lg.run(separable, lg.GD(lr=lg.RiskAdapted(0.1)), rounds=3, init=wrong)


@pytest.mark.parametrize("engine", ["gram", "hybrid"])
@pytest.mark.parametrize("L", [1, 3])
def test_own_rates_go_on_where_a_client_is_ever_more_wrong(L, engine):
    """u* may give a client a negative margin: f grows without bound, and log f is in range."""
    rows = np.array([[10.0, 0.0], [-1.0, 1.0]])
    problem = lg.Problem.from_arrays(rows, [1, 1], [0, 1])
    limit = lg.reference.average_margin(problem)
    assert (rows @ limit.direction).min() < -0.8
    run = lg.run(
        problem,
        lg.LocalGD(L, lg.RiskAdapted(0.5, own=True)),
        rounds=2000,
        loss="exponential",
        engine=engine,
        reference=limit,
    )
    assert run.status == "completed"
    # Each client's own gradient over its risk is its one row: w_k = k eta L (the mean of the rows).
    w = 2000 * 0.5 * L * rows.mean(axis=0)
    registry.assert_close(run.weights, w, 1e-12, engine)
    last = {name: values[-1] for name, values in run.history.items()}
    assert last["round"] == 2000 and last["loss"] == last["grad_norm"] == np.inf
    assert last["log_loss"] == pytest.approx(-(rows @ w).min() - np.log(2), rel=1e-12)
    assert last["angle"] < 1e-7
    # The one client that counts has the gradient; that of the other is nothing beside it.
    assert last["grad_alignment"] == pytest.approx(0.5)
    assert last["grad_dissimilarity"] == pytest.approx(2)


# -- Bits, files, sweeps ---------------------------------------------------------------------------


@pytest.mark.parametrize("lr", RULES, ids=repr)
@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("sizes", [(30, 7, 55, 20), (9000, 12000)])
def test_the_same_bits_on_any_number_of_threads(lr, dtype, sizes):
    problem = registry.problem("logistic", "samples", sizes=sizes, d=3)
    engines = ("hybrid", "primal") if sum(sizes) > 1000 else registry.ENGINES
    for engine in engines:
        if getattr(lr, "own", False) and (engine == "primal" or sum(sizes) > 1000):
            continue
        one, two = (
            lg.run(
                problem,
                lg.LocalGD(4, lr),
                rounds=20,
                loss="logistic",
                engine="primal" if sum(sizes) > 1000 else engine,
                dtype=dtype,
                threads=threads,
            )
            for threads in (1, 2)
        )
        registry.assert_same_bits(one, two)


@pytest.mark.parametrize("lr", RULES, ids=repr)
def test_saved_and_taken_up_again(separable, tmp_path, lr):
    method, path = lg.LocalGD(5, lr), tmp_path / "state.npz"
    whole = lg.run(separable, method, rounds=600)
    lg.run(separable, method, rounds=300, checkpoint=path)
    resumed = lg.run(separable, method, rounds=600, checkpoint=path)
    registry.assert_same_bits(resumed, whole)
    loaded = lg.load(whole.save(tmp_path / "run.npz"))
    registry.assert_same_bits(loaded, whole)
    assert loaded.config["lr"] == whole.config["lr"]
    other = lg.LocalGD(5, lg.RiskAdapted(0.25))
    with pytest.raises(ValueError, match=r"belongs to another run \(different: lr"):
        lg.run(separable, other, rounds=600, checkpoint=path)


def test_a_sweep_over_rules(separable):
    table = lg.sweep(
        separable, lg.LocalGD(5, 1.0), grid={"lr": [1.0, *RULES], "seed": [0, 1]}, rounds=50
    )
    assert len(table) == 8
    for entry, lr in zip(table, np.repeat([1.0, *RULES], 2), strict=True):
        alone = lg.run(separable, lg.LocalGD(5, lr), rounds=50)
        np.testing.assert_allclose(entry.history["loss"], alone.history["loss"], rtol=1e-10)


# -- Functions of the state ------------------------------------------------------------------------


def test_a_function_is_given_what_it_asks_for(separable):
    asked = []

    def rate(loss, round, grad_norm):
        asked.append((round, loss, grad_norm))
        return 0.05 / loss

    plain = lg.run(separable, lg.LocalGD(5, rate), rounds=30, record=range(31))
    built_in = lg.run(separable, lg.LocalGD(5, lg.RiskAdapted(0.05)), rounds=30, record=range(31))
    registry.assert_close(plain.weights, built_in.weights, 1e-11, "rate")
    rounds, losses, norms = (np.array(column) for column in zip(*asked, strict=True))
    np.testing.assert_array_equal(rounds, np.arange(30))
    np.testing.assert_array_equal(losses, plain.history["loss"][:30])
    np.testing.assert_array_equal(norms, plain.history["grad_norm"][:30])
    of_loss = lg.run(separable, lg.LocalGD(5, lambda loss: 0.05 / loss), rounds=30)
    np.testing.assert_array_equal(of_loss.weights, plain.weights)


def test_a_function_of_the_round_alone_is_as_it_was(separable):
    want = lg.run(separable, lg.LocalGD(5, lg.Polynomial(1.0, 0.5)), rounds=30).weights
    for rate in (
        lambda k: 1 / (k + 1) ** 0.5,
        lambda round: 1 / (round + 1) ** 0.5,
        lambda k, loss=1.0: loss / (k + 1) ** 0.5,  # not all of its names are known
        lambda *k: 1 / (k[0] + 1) ** 0.5,
    ):
        run = lg.run(separable, lg.LocalGD(5, rate), rounds=30)
        np.testing.assert_array_equal(run.weights, want)


def test_a_function_that_gives_no_rate(separable):
    with pytest.raises(ValueError, match=r"the schedule gave -1.0 for round 0"):
        lg.run(separable, lg.GD(lr=lambda loss: -loss), rounds=3)


def test_a_function_whose_rate_overflows_keeps_the_run(separable):
    """Such as one of 1/loss, once the loss has left the range of numbers."""
    wanted = lg.run(separable, lg.LocalGD(2, lambda loss: 0.5), rounds=20).weights
    for rate in (
        lambda round, loss: 0.5 if round < 20 else np.float64(np.inf),
        lambda round, loss: 0.5 if round < 20 else 0.5 / (0 * loss),
        lambda round, loss: 0.5 if round < 20 else math.exp(1000 + loss),
    ):
        with pytest.warns(RuntimeWarning, match="diverged in round 21 of 50: lr is infinite; use"):
            run = lg.run(separable, lg.LocalGD(2, rate), rounds=50)
        assert (run.status, run.round, run.history["round"][-1]) == ("diverged", 20, 20)
        np.testing.assert_array_equal(run.weights, wanted)


# -- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: lg.RiskAdapted(0), ValueError, "eta: got 0; want"),
        (lambda: lg.RiskAdapted("a"), TypeError, "eta: got 'a'"),
        (lambda: lg.RiskAdapted(0.1, own=1), TypeError, "own: got 1"),
        (lambda: lg.Polyak(f_star=float("nan")), ValueError, "f_star: got nan"),
        (lambda: lg.Polyak(scale=0), ValueError, "scale: got 0"),
    ],
)
def test_bad_parameters(make, error, message):
    with pytest.raises(error, match=message):
        make()


OWN_RULE = lg.RiskAdapted(0.1, own=True)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (lg.LocalSGD(3, OWN_RULE, batch_size=2), {}, "with batches"),
        (lg.MinibatchSGD(3, OWN_RULE, batch_size=2), {}, "with batches"),
        (lg.FedProx(3, OWN_RULE, mu=0.1), {}, "with a proximal term"),
        (lg.Scaffold(3, OWN_RULE), {}, "corrections of Scaffold"),
        (lg.FedGA(3, OWN_RULE, beta=0.1), {}, "corrections of FedGA"),
        (lg.LocalGD(3, OWN_RULE), {"l2": 0.1}, "with l2"),
        (lg.LocalGD(3, OWN_RULE), {"engine": "primal"}, "engine: got 'primal'; rates by each"),
        (lg.LocalGD(3, OWN_RULE, server=lg.ServerAdam(0.1)), {}, "rates by each client's own risk"),
        (lg.LocalGD(3, OWN_RULE), {"loss": "squared_hinge"}, "exponential or logistic"),
        (
            lg.LocalGD(3, lg.RiskAdapted(0.1)),
            {"loss": "squared"},
            "want a loss with an exponential",
        ),
    ],
)
def test_what_is_refused(separable, method, settings, message):
    with pytest.raises(lg.UnsupportedError, match=message):
        lg.run(separable, method, rounds=3, **settings)


def rate_of_loss(loss):
    return 0.1


@pytest.mark.parametrize(
    "lr", [*RULES, rate_of_loss], ids=lambda lr: getattr(lr, "__name__", repr(lr))
)
def test_fast_forward_refuses(separable, lr):
    with pytest.raises(lg.UnsupportedError, match="learning rate sees the state"):
        lg.fast_forward(separable, lg.LocalGD(3, lr), rounds=1e6)


def test_an_asymptote_is_of_constant_rates(separable):
    with pytest.raises(lg.UnsupportedError, match="learning rate that is not constant"):
        lg.run(
            separable,
            lg.LocalGD(3, lg.RiskAdapted(0.1)),
            rounds=3,
            asymptote=lg.reference.asymptote(separable),
        )


def test_a_checkpoint_cannot_ask_a_function_of_the_state_again(separable, tmp_path):
    with pytest.raises(lg.UnsupportedError, match=r"checkpoint: .*sees the state"):
        lg.run(
            separable,
            lg.GD(lr=lambda loss: 0.1 / loss),
            rounds=3,
            checkpoint=tmp_path / "state.npz",
        )
