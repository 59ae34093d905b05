"""Rules of participation: who is there by them, that their draws are the chain, runs, resuming."""

import itertools

import numpy as np
import pytest
import registry
from hypothesis import given, settings
from hypothesis import strategies as st

import localgd as lg
from localgd.participation import Participation
from localgd.participation.markov import LAST, Chain, _States
from localgd.participation.rules import Clients

RULES = {
    "cyclic": lg.Cyclic(),
    "pairs in turn": lg.Cyclic(["c", "a", "b"], count=2),
    "often": lg.Cyclic(["a", "b", "a", "d"]),
    "groups": lg.Periodic([["a", "c"], ["b"], []], period=2),
    "two groups": lg.Periodic(2, period=3),
    "markov": lg.Markov(0.3, 0.4),
    "alternating": lg.Markov(0.9, 0.95),
    "function": lambda k: list("abcd"[k % 4 : k % 4 + k % 3]),
}
IDS = ("a", "b", "c", "d")


def problem(weights="equal", ids=IDS):
    """One row for each client."""
    n = len(ids)
    X, y = np.eye(n) + 0.1, np.where(np.arange(n) % 2, 1.0, -1.0)
    return lg.Problem.from_arrays(X, y, list(ids), weights=weights)


def drawing(rule, *, shares="renormalized", weights="equal", seed=0, ids=IDS):
    method = lg.GD(0.1, participation=rule, shares=shares)
    return Participation(problem(weights, ids), method, seed)


def present(rule, until, *, first=0, **options):
    """The ids in each round."""
    ids = options.get("ids", IDS)
    found = drawing(rule, **options).of(first, until)
    return [
        [ids[i] for i in found.clients[a:b]] for a, b in itertools.pairwise(found.offsets.tolist())
    ]


# -- Who takes part --------------------------------------------------------------------------------


def test_clients_in_turn():
    assert present(lg.Cyclic(), 6) == [["a"], ["b"], ["c"], ["d"], ["a"], ["b"]]
    assert present(lg.Cyclic(["d", "b"]), 3) == [["d"], ["b"], ["d"]]
    assert present(lg.Cyclic(count=3), 4) == [list("abc"), list("abd"), list("acd"), list("bcd")]
    assert present(RULES["often"], 5) == [["a"], ["b"], ["a"], ["d"], ["a"]]


def test_clients_without_weight_are_left_out_of_the_usual_order():
    assert present(lg.Cyclic(), 4, weights=[1, 0, 2, 3]) == [["a"], ["c"], ["d"], ["a"]]
    assert present(lg.Cyclic(["b", "a"]), 3, weights=[1, 0, 2, 3]) == [[], ["a"], []]


def test_groups_in_turn():
    assert present(RULES["groups"], 8) == [
        *[["a", "c"], ["a", "c"], ["b"], ["b"], [], [], ["a", "c"], ["a", "c"]]
    ]
    ids = tuple(range(5))
    assert present(lg.Periodic(2), 3, ids=ids) == [[0, 1, 2], [3, 4], [0, 1, 2]]


def test_a_function_is_asked_once_for_each_round():
    asked = []

    def rule(k):
        asked.append(k)
        return np.array(["d", "a"]) if k % 2 else ()

    assert present(rule, 3) == [[], ["a", "d"], []]
    assert asked == [0, 1, 2] and all(type(k) is int for k in asked)


def test_late_rounds_of_rules():
    late = 2**53 - 2
    assert present(lg.Cyclic(count=3), late + 2, first=late) == [
        sorted(IDS[(3 * k + j) % 4] for j in range(3)) for k in (late, late + 1)
    ]
    assert present(lg.Periodic(4, period=5), late + 1, first=late) == [[IDS[late // 5 % 4]]]
    assert len(present(lg.Markov(0.5, 0.5), late + 2, first=late)) == 2


@pytest.mark.parametrize("shares", ["renormalized", "unbiased"])
@pytest.mark.parametrize("name", RULES)
@given(
    cuts=st.lists(st.integers(0, 60), max_size=4),
    p=st.lists(st.integers(0, 3), min_size=4, max_size=4).filter(any),
    seed=st.integers(0, 2**70),
)
@settings(max_examples=25, deadline=None)
def test_rounds_may_be_asked_for_in_any_pieces(name, shares, cuts, p, seed):
    if name == "function" and shares == "unbiased":
        return
    options = {"shares": shares, "weights": p, "seed": seed}
    whole = drawing(RULES[name], **options).of(0, 60)
    assert whole.offsets[0] == 0 and whole.offsets[-1] == len(whole.clients) == len(whole.shares)
    assert (whole.shares > 0).all()
    for a, b in itertools.pairwise(whole.offsets.tolist()):
        assert (np.diff(whole.clients[a:b]) > 0).all()
        if shares == "renormalized" and b > a:
            assert whole.shares[a:b].sum() == pytest.approx(1, rel=1e-14)
    one = drawing(RULES[name], **options)
    for first, until in itertools.pairwise(sorted({0, 60, *cuts})):
        for asked in (one, drawing(RULES[name], **options)):  # in order, and at once
            piece = asked.of(first, until)
            a, b = whole.offsets[[first, until]]
            np.testing.assert_array_equal(piece.clients, whole.clients[a:b])
            np.testing.assert_array_equal(piece.shares, whole.shares[a:b])
            np.testing.assert_array_equal(piece.offsets, whole.offsets[first : until + 1] - a)


# -- The chain -------------------------------------------------------------------------------------

CHAINS = [(0.3, 0.4), (0.01, 0.02), (0.9, 0.95), (1.0, 1.0), (0.2, 0.8), (1.0, 0.5), (1e-9, 1e-9)]


def law(up, down, path):
    """P(X_0 = x_0, …) of the chain that starts in its stationary law, step by step."""
    found = (up if path[0] else down) / (up + down)
    for before, after in itertools.pairwise(path):
        leaves = down if before else up
        found *= leaves if before != after else 1 - leaves
    return found


@pytest.mark.parametrize(("up", "down"), CHAINS)
def test_drawing_between_two_states_is_the_law_of_the_chain(up, down):
    """Over all paths of nine rounds, drawn as 0, 8, then 4, then 2 and 6, then the others."""
    chain = Chain(up, down)
    total = 0.0
    for path in itertools.product((0, 1), repeat=9):
        chance = (chain.presence, 1 - chain.presence)[1 - path[0]]
        there = chain.to_there(8)[path[0]]
        chance *= there if path[8] else 1 - there
        for half in (4, 2, 1):
            for k in range(half, 8, 2 * half):
                there = chain.between(half)[2 * path[k - half] + path[k + half]]
                chance *= there if path[k] else 1 - there
        assert chance == pytest.approx(law(up, down, path), rel=1e-9, abs=1e-15), path
        total += chance
    assert total == pytest.approx(1)


@pytest.mark.parametrize("rounds", [1, 2, 1024, LAST])
@pytest.mark.parametrize(("up", "down"), [*CHAINS, (1e-300, 1e-200), (1.0, 1e-18)])
def test_laws_are_probabilities_to_all_digits(up, down, rounds):
    chain = Chain(up, down)
    for values in (chain.to_there(rounds), chain.between(rounds)):
        assert ((values >= 0) & (values <= 1)).all()
    if rounds == LAST and up + down > 1e-6 and up + down < 2:
        np.testing.assert_allclose(chain.to_there(rounds), chain.presence, rtol=1e-12)


def states(up, down, n_clients, rounds, seed=0, first=0):
    turns = _States(Chain(up, down), n_clients, seed)
    listed = turns.of(first, first + rounds)
    found = np.zeros((rounds, n_clients), dtype=bool)
    found[np.repeat(np.arange(rounds), np.diff(listed.offsets)), listed.clients] = True
    return found


@pytest.mark.parametrize(("up", "down"), CHAINS[:4])
@pytest.mark.parametrize("first", [0, 10**12 + 7])
def test_states_come_and_go_as_often_as_they_should(up, down, first):
    x = states(up, down, 400, 3000, first=first)
    pi = up / (up + down)
    correlated = max((1 + (1 - up - down)) / (up + down), 0.0)  # of sums along the rounds
    error = 5 * np.sqrt(pi * (1 - pi) * max(correlated, 1) / x.size)
    assert x.mean() == pytest.approx(pi, abs=max(error, 0.0))
    before, after = x[:-1], x[1:]
    for state, leaves in ((False, up), (True, down)):
        seen = np.count_nonzero(before == state)
        moved = np.count_nonzero((before == state) & (after != state)) / seen
        assert moved == pytest.approx(leaves, abs=5 * np.sqrt(leaves * (1 - leaves) / seen) + 1e-12)
    # Clients are independent of each other, and so are round 0 and later draws of one.
    assert abs(np.corrcoef(x[:, 0], x[:, 1])[0, 1]) < 0.9 or up == 1.0


def test_words_of_the_chain_are_keyed_by_seed_and_round():
    """X_0 from its own word, X_LAST given it, and so on down to an odd round."""
    up, down, seed, n = 0.3, 0.4, 12, 5
    key = np.random.SeedSequence(seed, spawn_key=(1, 1)).generate_state(2, np.uint64)

    def uniform(k):
        words = np.random.Philox(key=key, counter=2 * k).random_raw(8)[:n]
        return (words >> np.uint64(11)) * 2.0**-53

    def at(k):
        if k == 0:
            return uniform(0) < up / (up + down)
        chain = Chain(up, down)
        if k == LAST:
            return uniform(LAST) < chain.to_there(LAST)[at(0).astype(int)]
        half = k & -k
        ends = 2 * at(k - half).astype(int) + at(k + half)
        return uniform(k) < chain.between(half)[ends]

    want = [at(k) for k in (0, 1, 6, 7, 12, 13)]
    found = states(up, down, n, 14, seed)
    np.testing.assert_array_equal(found[[0, 1, 6, 7, 12, 13]], want)


def test_any_round_is_had_without_those_before(monkeypatch):
    """At round 10^15 only some dozens of others are drawn."""
    turns = _States(Chain(0.1, 0.1), 10, 0)
    drawn = []
    draw = turns._stream.draw

    def counted(first, until):
        drawn.append(until - first)
        return draw(first, until)

    monkeypatch.setattr(turns._stream, "draw", counted)
    turns.of(10**15, 10**15 + 1)
    assert len(drawn) <= 2 * 54 and sum(drawn) <= turns._size + 2 * 54


def test_many_clients_have_a_state_each():
    x = states(0.5, 0.5, 300_000, 5, seed=1)
    assert x.mean(axis=1) == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(x[3], states(0.5, 0.5, 300_000, 1, seed=1, first=3)[0])


# -- Shares ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("participation", [1, 2, 3, *(RULES[name] for name in RULES)][:-1], ids=str)
def test_unbiased_shares_have_the_mean_p(participation):
    """``E Σ_{i ∈ S} p̃_i x_i = Σ_i p_i x_i``, over many rounds."""
    p, rounds = np.array([0.1, 0.2, 0.3, 0.4]), 60_000
    if isinstance(participation, lg.Periodic) and participation.groups == RULES["groups"].groups:
        p = np.array([0.2, 0.3, 0.5, 0.0])  # d is in no group
    if participation == RULES["pairs in turn"]:
        p = np.array([0.2, 0.3, 0.5, 0.0])
    if participation == RULES["often"]:
        p = np.array([0.2, 0.3, 0.0, 0.5])
    method = lg.GD(0.1, participation=participation, shares="unbiased")
    drawn = registry.dense_shares(Participation(problem(p), method, 3), 0, rounds, 4)
    error = 0 if isinstance(participation, lg.Cyclic | lg.Periodic) else 5 * 0.8 / np.sqrt(rounds)
    np.testing.assert_allclose(drawn.mean(axis=0), p, atol=error + 1e-12)
    x = np.array([3.0, -1.0, 0.5, 2.0])
    np.testing.assert_allclose((drawn @ x).mean(), p @ x, atol=4 * error + 1e-12)


@given(p=st.lists(st.integers(0, 5), min_size=1, max_size=9).filter(any), data=st.data())
def test_unbiased_shares_of_a_uniform_sample(p, data):
    count = data.draw(st.integers(1, len(p)))
    made = lg.Problem([([[1.0]], [1])] * len(p), weights=p)
    drawn, plain = (
        registry.dense_shares(
            Participation(made, lg.GD(0.1, participation=count, shares=shares), 5), 0, 20, len(p)
        )
        for shares in ("unbiased", "renormalized")
    )
    eligible = np.count_nonzero(p)
    np.testing.assert_array_equal(drawn > 0, plain > 0)  # the same clients
    want = np.where(plain > 0, made.weights * eligible / min(count, eligible), 0)
    np.testing.assert_allclose(drawn, want, rtol=1e-14)


def quadratics(weights):
    """Clients whose objectives are ½ (w - y_i)²: the minimum is the mean of y."""
    y = np.array([-3.0, 1.0, 8.0, 2.0])
    clients = [([[1.0]], [target]) for target in y]
    made = lg.Problem(clients, weights=weights, task="regression")
    return made, float(made.weights @ y), float(y.mean())


@pytest.mark.parametrize(
    "participation",
    [1, 2, lg.Cyclic(), lg.Periodic([[0, 3], [1, 2]]), lg.Markov(0.4, 0.5)],
    ids=str,
)
def test_fixed_points_of_runs_with_a_falling_rate(participation):
    """Unbiased shares go to the minimum of Σ p_i f_i; the others of one client to equal weights."""
    made, wanted, equal = quadratics([0.1, 0.2, 0.3, 0.4])
    found = {}
    for shares in ("unbiased", "renormalized"):
        method = lg.LocalGD(
            2, lr=lg.Polynomial(0.5, 0.7), participation=participation, shares=shares
        )
        found[shares] = float(lg.run(made, method, rounds=100_000, record=[0]).weights[0])
    assert found["unbiased"] == pytest.approx(wanted, abs=0.06)
    one = participation in (1, lg.Cyclic())
    assert abs(found["renormalized"] - wanted) > 0.3 or not one
    if one:
        assert found["renormalized"] == pytest.approx(equal, abs=0.06)


def test_one_client_in_turn_is_gradient_descent_over_tasks():
    rows = registry.clients("squared")
    made = lg.Problem(rows, weights="equal")
    run = lg.run(made, lg.LocalGD(7, 0.1, participation=lg.Cyclic([2, 0, 1])), rounds=8)
    w = np.zeros(made.n_features)
    for k in range(8):
        X, y = rows[[2, 0, 1][k % 3]]
        for _ in range(7):
            w -= 0.1 * X.T @ (X @ w - y) / len(y)
    np.testing.assert_allclose(run.weights, w, rtol=1e-12)


# -- The warning -----------------------------------------------------------------------------------

ASKED = "participation: the weights of those who take part are divided by their sum"


@pytest.mark.parametrize(
    ("participation", "weights", "biased"),
    [
        (2, [1, 2, 3, 4], True),
        (0.5, [1, 2, 3, 4], True),
        (2, "equal", False),
        (1.0, [1, 2, 3, 4], False),
        (4, [1, 2, 3, 4], False),
        (2, [1, 0, 0, 1], False),  # both that there are
        (1, [1, 0, 0, 1], False),
        (lg.Cyclic(), [1, 2, 3, 4], True),
        (lg.Cyclic(), "equal", False),
        (lg.Cyclic(["a", "b", "b", "c", "d"]), [1, 2, 1, 1], False),  # as often as it weighs
        (lg.Periodic([["a", "d"], ["b", "c"]]), [1, 2, 3, 4], False),  # groups of the same weight
        (lg.Periodic([["a", "b"], ["c", "d"]]), [1, 2, 3, 4], True),
        (lg.Periodic([["a"], ["b", "c", "d"]]), "equal", True),
        (lg.Markov(0.2, 0.5), [1, 2, 3, 4], True),
        (lg.Markov(0.2, 0.5), "equal", False),
        (lambda k: ["a"], [1, 2, 3, 4], False),
    ],
)
def test_biased_shares_are_warned_of(participation, weights, biased, recwarn):
    made = problem(weights)
    lg.run(made, lg.GD(0.1, participation=participation), rounds=2)
    said = [w for w in recwarn if str(w.message).startswith(ASKED)]
    assert len(said) == biased
    assert all(w.filename == __file__ for w in said)
    if not callable(participation):
        lg.run(made, lg.GD(0.1, participation=participation, shares="unbiased"), rounds=2)
        assert len([w for w in recwarn if str(w.message).startswith(ASKED)]) == biased


def test_a_sweep_warns_once(recwarn):
    made = problem([1, 2, 3, 4])
    table = lg.sweep(
        made, lg.GD(0.1, participation=2), grid={"lr": [0.1, 0.2], "seed": [0, 1]}, rounds=3
    )
    assert [entry.status for entry in table] == ["completed"] * 4
    assert len([w for w in recwarn if str(w.message).startswith(ASKED)]) == 1


# -- Runs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_engines_and_threads_draw_the_same(name):
    """Bits for any number of threads; engines agree to rounding."""
    made = problem([0.4, 0.1, 0.3, 0.2])
    method = lg.LocalSGD(3, 0.1, batch_size=1, participation=RULES[name])
    weights = {}
    for engine, threads in itertools.product(registry.ENGINES, (1, 3)):
        run = lg.run(made, method, rounds=200, engine=engine, threads=threads, seed=4)
        weights[engine, threads] = run.weights
    for engine in registry.ENGINES:
        np.testing.assert_array_equal(weights[engine, 1], weights[engine, 3])
        np.testing.assert_allclose(weights[engine, 1], weights["gram", 1], rtol=1e-11)


def test_the_model_stays_while_nobody_is_there():
    made = problem()
    method = lg.LocalGD(
        3, 0.5, server=lg.ServerSGD(1.0, 0.9), participation=lambda k: IDS if k in (0, 1, 7) else ()
    )
    for engine in registry.ENGINES:
        run = lg.run(made, method, rounds=9, engine=engine, record=range(10), keep_weights=True)
        changed = np.diff(run.recorded_weights, axis=0).any(axis=1)
        assert np.flatnonzero(changed).tolist() == [0, 1, 7]
        per_round = run.history["bytes"][1]
        assert (run.history["bytes"] // per_round).tolist() == [0, 1, *[2] * 6, 3, 3]
        assert run.history["drift"][2] == run.history["drift"][7]
        assert run.config["clients_per_round"] == pytest.approx(4 * 3 / 9)


def test_rounds_in_which_nobody_ever_comes():
    run = lg.run(problem(), lg.GD(0.1, participation=lambda k: []), rounds=5)
    assert run.status == "completed" and run.round == 5 and not run.weights.any()
    assert run.history["bytes"].tolist() == [0] * len(run.history["bytes"])


def test_a_round_costs_what_its_clients_cost():
    made = problem()
    cyclic = lg.run(made, lg.GD(0.1, participation=lg.Cyclic()), rounds=8)
    every = lg.run(made, lg.GD(0.1), rounds=8)
    assert cyclic.history["bytes"][-1] * 4 == every.history["bytes"][-1]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("server", [lg.Average(), lg.Anchored(), lg.ServerSGD(0.9, 0.5)], ids=str)
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_a_resumed_run_has_the_same_bits(tmp_path, name, server, engine):
    made = problem([0.4, 0.1, 0.3, 0.2])
    method = lg.LocalSGD(2, 0.1, batch_size=1, participation=RULES[name], server=server)
    whole = lg.run(made, method, rounds=50, engine=engine, seed=2)
    for rounds in (7, 30, 50):
        path = tmp_path / "state.npz"
        run = lg.run(made, method, rounds=rounds, engine=engine, seed=2, checkpoint=path)
    np.testing.assert_array_equal(run.weights, whole.weights)
    np.testing.assert_array_equal(run.history["loss"][-1], whole.history["loss"][-1])


def test_a_checkpoint_of_another_rule_is_refused(tmp_path):
    made, path = problem(), tmp_path / "state.npz"
    other_ids = problem(ids=("a", "b", "c", "e"))

    def run(participation, made=made):
        path.unlink(missing_ok=True)
        lg.run(made, lg.GD(0.1, participation=lg.Cyclic(["a", "b"])), rounds=3, checkpoint=path)
        lg.run(made, lg.GD(0.1, participation=participation), rounds=6, checkpoint=path)

    run(lg.Cyclic(["a", "b"]))
    for other in (lg.Cyclic(["b", "a"]), lg.Cyclic(), 1, lg.Markov(0.1, 0.1), lambda k: ["a"]):
        with pytest.raises(ValueError, match=r"another run \(different: .*method"):
            run(other)
    lg.run(made, lg.GD(0.1, participation=lg.Cyclic(["a", "b"])), rounds=3, checkpoint=path)
    with pytest.raises(ValueError, match=r"another run \(different: clients\)"):
        lg.run(
            other_ids, lg.GD(0.1, participation=lg.Cyclic(["a", "b"])), rounds=6, checkpoint=path
        )


def test_functions_are_known_by_what_they_gave(tmp_path):
    made, path = problem(), tmp_path / "state.npz"
    lg.run(made, lg.GD(0.1, participation=lambda k: IDS[: k % 3]), rounds=9, checkpoint=path)
    same = lg.GD(0.1, participation=lambda k: [*"abcd"][: k % 3])
    run = lg.run(made, same, rounds=12, checkpoint=path)
    np.testing.assert_array_equal(run.weights, lg.run(made, same, rounds=12).weights)
    with pytest.raises(ValueError, match=r"another run \(different: participation\)"):
        lg.run(made, lg.GD(0.1, participation=lambda k: IDS[: k % 4]), rounds=20, checkpoint=path)
    path.unlink()
    both = lg.GD(lambda k: 0.1, participation=lambda k: IDS[: k % 3])
    lg.run(made, both, rounds=5, checkpoint=path)
    with pytest.raises(ValueError, match=r"another run \(different: lr\)"):
        lg.run(
            made,
            lg.GD(lambda k: 0.2, participation=lambda k: IDS[: k % 3]),
            rounds=9,
            checkpoint=path,
        )


def test_rules_in_a_sweep(tmp_path):
    made, out = problem([1, 2, 3, 4]), tmp_path / "runs.jsonl"
    grid = {"participation": [1.0, lg.Cyclic(), lg.Cyclic(["b"]), lg.Markov(0.5, 0.1)]}
    table = lg.sweep(made, lg.GD(0.1), grid=grid, rounds=20, out=out)
    assert [entry.status for entry in table] == ["completed"] * 4
    for entry, participation in zip(table, grid["participation"], strict=True):
        run = lg.run(made, lg.GD(0.1, participation=participation), rounds=20)
        np.testing.assert_allclose(entry.history["loss"], run.history["loss"], rtol=1e-12)
    written = out.read_bytes()
    lg.sweep(made, lg.GD(0.1), grid=grid, rounds=20, out=out)
    assert out.read_bytes() == written  # none is run again
    names = [entry.values["participation"] for entry in table]
    assert names[1] == "Cyclic(order=None, count=1)"
    renamed = lg.sweep(
        problem([1, 2, 3, 4], ids=("a", "c", "d", "e")),
        lg.GD(0.1),
        rounds=20,
        grid={"participation": [lg.Cyclic(["b"]), lg.Cyclic(["c"])]},
        out=out,
    )
    assert [entry.status for entry in renamed] == ["failed", "completed"]
    assert "there is no client 'b'" in renamed.entries[0].message


@pytest.mark.parametrize("name", RULES)
def test_fast_forward_refuses_them(name):
    with pytest.raises(lg.UnsupportedError, match="clients take turns or come and go; want parti"):
        lg.fast_forward(problem(), lg.GD(0.1, participation=RULES[name]), rounds=1e9)


def test_residuals_are_not_known_for_them(small_problem):
    asymptote = lg.reference.asymptote(small_problem)
    with pytest.raises(lg.UnsupportedError, match="for clients that take turns or come and go"):
        lg.run(small_problem, lg.GD(0.1, participation=lg.Cyclic()), rounds=2, asymptote=asymptote)


# -- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: lg.Cyclic([]), ValueError, "order: got no ids"),
        (lambda: lg.Cyclic("ab"), TypeError, "order: got 'ab'; want a sequence of client ids"),
        (lambda: lg.Cyclic(count=0), ValueError, "count: got 0; want an integer of at least 1"),
        (lambda: lg.Periodic(0), ValueError, "groups: got 0; want an integer of at least 1"),
        (lambda: lg.Periodic([[], []]), ValueError, r"groups: got \(\(\), \(\)\); want a client"),
        (lambda: lg.Periodic([[1, 1]]), ValueError, r"groups\[0\]: got \(1, 1\); want each client"),
        (lambda: lg.Periodic([1, 2]), TypeError, r"groups\[0\]: got 1; want a sequence of client"),
        (lambda: lg.Periodic(2, 0), ValueError, "period: got 0; want an integer of at least 1"),
        (lambda: lg.Periodic("ab"), TypeError, "groups: got 'ab'; want a number of groups, or"),
        (lambda: lg.Markov(0, 0.5), ValueError, "up: got 0; want a finite number above 0"),
        (lambda: lg.Markov(0.5, 1.5), ValueError, "down: got 1.5; want a probability, at most 1"),
        (lambda: lg.Markov("a", 0.5), TypeError, "up: got 'a'; want a finite number"),
        (lambda: lg.GD(1.0, participation=lg.Cyclic), TypeError, "participation: got <class"),
        (lambda: lg.GD(1.0, participation="cyclic"), TypeError, "a function round -> ids"),
        (lambda: lg.GD(1.0, shares="mean"), ValueError, "shares: got 'mean'; want one of"),
        (
            lambda: lg.GD(1.0, participation=lg.Cyclic(), sampling="weight"),
            ValueError,
            "sampling: got 'weight' and participation=Cyclic.* want one of the two",
        ),
        (
            lambda: lg.GD(1.0, participation=2, sampling="weight", shares="unbiased"),
            ValueError,
            "shares: got 'unbiased' with sampling='weight', whose shares are unbiased already",
        ),
        (
            lambda: lg.GD(1.0, participation=lambda k: [0], shares="unbiased"),
            ValueError,
            "shares: got 'unbiased' with a function, of which nobody knows",
        ),
        (
            lambda: lg.LocalGD((1, 2), 1.0, participation=1, shares="unbiased"),
            ValueError,
            "with different numbers of local steps, which FedNova's average weighs otherwise",
        ),
    ],
)
def test_bad_rules(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_equal_steps_may_be_listed_with_unbiased_shares():
    assert lg.LocalGD((2, 2), 1.0, participation=1, shares="unbiased").shares == "unbiased"
    assert lg.LocalGD((1, 2), 1.0, shares="unbiased", fednova=False).shares == "unbiased"


@pytest.mark.parametrize(
    ("participation", "error", "message"),
    [
        (lg.Cyclic(["a", "x"]), ValueError, "participation: there is no client 'x'; want 'a', 'b'"),
        (lg.Cyclic(count=5), ValueError, r"Cyclic\(.*\) has 5 clients per round; want at most 4"),
        (lg.Cyclic(["a", "b", "a"], count=2), ValueError, "has client 'a' twice in a round"),
        (lg.Periodic(5), ValueError, r"has 5 groups for 4 clients; want at most 4"),
        (lg.Periodic([["a"], [3]]), ValueError, "there is no client 3; want 'a', 'b', 'c', 'd'"),
        (lambda k: ["a", "a"], ValueError, "participation: round 0: the function gave .* once"),
        (lambda k: ["z"] * k, ValueError, "participation: round 1: there is no client 'z'"),
        (lambda k: [["a"]], ValueError, r"participation: round 0: there is no client \['a'\]"),
        (lambda k: "a", TypeError, "round 0: the function gave 'a'; want a sequence of client ids"),
        (lambda k: None, TypeError, "round 0: the function gave None; want a sequence"),
    ],
)
def test_rules_that_do_not_fit_the_problem(participation, error, message):
    with pytest.raises(error, match=message):
        lg.run(problem(), lg.GD(0.1, participation=participation), rounds=3)


def test_clients_are_found_by_ids_of_any_kind():
    clients = Clients((3, 5, 9), np.ones(3))
    assert clients.places("x", np.array([9, 3])).tolist() == [2, 0]
    assert clients.places("x", iter([5])).tolist() == [1]
    assert clients.places("x", []).dtype == np.int64
