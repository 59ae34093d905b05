"""Clients that all draw from the same rows: Problem.shared against clients with copies of them."""

import pickle

import numpy as np
import oracle
import pytest
import registry
from scipy import sparse

import localgd as lg

M = 3
METHODS = [
    case
    for case in registry.METHODS
    if case.batches and case.kind not in ("Scaffold", "GradAlign", "FedGA")
]
ROUNDS = 60


def rows_and_labels(loss, n=7):
    ((X, y),) = registry.clients(loss, (n,))
    return X, y


def separable(n, d):
    made = lg.datasets.make_separable(n_clients=1, n_samples=n, n_features=d)
    return made.X.copy(), made.y


def shared(loss, n_clients=M, **options):
    labels = range(registry.N_CLASSES) if loss == "softmax" else None
    X, y = rows_and_labels(loss)
    return lg.Problem.shared(X, y, n_clients, task=registry.task(loss), labels=labels, **options)


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize("case", METHODS, ids=lambda case: case.name)
def test_every_method_with_batches_agrees_with_the_oracle(case, loss):
    problem, rows = shared(loss), [rows_and_labels(loss)] * M
    start = (0.6, -0.8, 0.3, 0.0, 0.7)
    settings = {"rounds": ROUNDS, "init": registry.model(loss, start), "record": [1, 2, 17]}
    p = np.full(M, 1 / M)
    rate = 0.05 if loss == "poisson" else 0.2  # whose curvature has no bound
    want = oracle.simulate(
        rows,
        p,
        loss=oracle.Objective(loss, 0.0, False),
        step=case.step(lambda k: rate, p),
        reference=registry.reference(loss, problem),
        shares=registry.shares(problem, case.make(1.0), ROUNDS),
        **settings,
    )
    for dtype in registry.DTYPES:
        where = f"{case.name}, {loss}, {dtype}"
        run = lg.run(
            problem,
            case.make(rate),
            loss=loss,
            dtype=dtype,
            seed=registry.SEED,
            reference=registry.reference(loss, problem),
            **settings,
        )
        assert (run.engine, run.coefficients) == ("primal", None)
        registry.assert_model(run, want, problem, start, case.tolerance(loss, dtype), where)
        registry.assert_history(run, want, problem, case.tolerance(loss, dtype), where)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("intercept", [None, "column", "free"])
def test_penalty_intercept_and_weights_of_rows(storage, intercept):
    X, y = rows_and_labels("logistic")
    v = np.linspace(0.5, 2, len(y))
    method = lg.LocalSGD((4, 2, 3), 0.1, batch_size=2, server=lg.ServerSGD(0.8, momentum=0.5))
    settings = {"rounds": 40, "loss": "logistic", "l2": 0.1, "seed": 3}
    problem = lg.Problem.shared(storage(X), y, M, sample_weight=v, intercept=intercept)
    copies = lg.Problem([(X, y)] * M, sample_weight=[v] * M, intercept=intercept)
    one, want = lg.run(problem, method, **settings), lg.run(copies, method, **settings)
    registry.assert_close(one.weights, want.weights, 1e-12, "weights")
    for name in ("loss", "grad_norm", "drift", "local_steps", "bytes"):
        registry.assert_close(one.history[name], want.history[name], 1e-10, name)
    registry.assert_close(one.history["passes"], M * want.history["passes"], 1e-14, "passes")
    # The objective is that of the rows once.
    alone = lg.Problem([(X, y)], sample_weight=[v], intercept=intercept)
    for loss in ("logistic", "squared_hinge"):
        got = lg.reference.minimizer(problem, loss=loss, l2=0.1)
        wanted = lg.reference.minimizer(alone, loss=loss, l2=0.1)
        registry.assert_close(got.weights, wanted.weights, 1e-12, loss)


@pytest.mark.parametrize("lr", [lg.RiskAdapted(0.1), lg.Polyak(0.05), "1/H"], ids=repr)
def test_rates_that_see_the_state(lr):
    X, y = rows_and_labels("exponential")
    loss = "logistic" if lr == "1/H" else "exponential"
    method = lg.LocalSGD(4, lr, batch_size=1, participation=2)
    problem, copies = shared("exponential"), lg.Problem([(X, y)] * M)
    one = lg.run(problem, method, rounds=200, loss=loss)
    want = lg.run(copies, method, rounds=200, loss=loss)
    registry.assert_close(one.weights, want.weights, 1e-11, repr(lr))
    registry.assert_close(one.history["log_loss"], want.history["log_loss"], 1e-10, repr(lr))


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", registry.DTYPES)
def test_the_same_bits_on_any_number_of_threads(storage, dtype):
    X, y = separable(60, 30)
    problem = lg.Problem.shared(storage(X), y, 1500)
    method = lg.LocalSGD(5, 0.2, batch_size=3, participation=1400, replacement=False)
    settings = {"rounds": 6, "dtype": dtype, "loss": "logistic", "l2": 1e-3}
    one = lg.run(problem, method, threads=1, **settings)
    for threads in (2, 7):
        registry.assert_same_bits(one, lg.run(problem, method, threads=threads, **settings))


def test_saved_and_taken_up_again(tmp_path):
    problem = shared("exponential", 50)
    method = lg.LocalSGD(5, 0.2, batch_size=3, server=lg.ServerAdam(0.01), participation=20)
    whole = lg.run(problem, method, rounds=20)
    saved = tmp_path / "run.npz"
    lg.run(problem, method, rounds=9, checkpoint=saved)
    registry.assert_same_bits(lg.run(problem, method, rounds=20, checkpoint=saved), whole)
    with pytest.raises(ValueError, match="different: data"):
        lg.run(shared("exponential", 49), method, rounds=20, checkpoint=saved)


def test_rows_are_not_copied():
    X, y = separable(2000, 700)
    problem = lg.Problem.shared(X, y, n_clients=8192)
    assert np.shares_memory(problem.X, X)
    assert (problem.n_clients, problem.n_samples, problem.shares_rows) == (8192, 2000, True)
    assert problem.rows(8191) == slice(0, 2000)
    assert repr(problem) == (
        "Problem(binary: 8192 clients, 2000 rows (all of every client), 700 features)"
    )
    other = pickle.loads(pickle.dumps(problem))
    assert other.fingerprint == problem.fingerprint
    assert lg.Problem.shared(X, y, 8191).fingerprint != problem.fingerprint
    best, again = (
        lg.reference.max_margin(of)
        for of in (problem, lg.Problem.from_arrays(X, y, np.zeros(2000, int)))
    )
    registry.assert_close(best.weights, again.weights, 1e-12, "max_margin")
    dealt = lg.partition(problem, n_clients=4, scheme=lg.Iid())
    assert not dealt.shares_rows and dealt.sizes.tolist() == [500] * 4


@pytest.mark.parametrize(
    "method",
    [lg.LocalGD(3, 0.1), lg.LocalSolve(), lg.Scaffold(3, 0.1, batch_size=2), lg.FedGA(3, 0.1, 0.2)],
    ids=repr,
)
def test_methods_that_are_refused(method):
    with pytest.raises(lg.UnsupportedError, match="one client that holds the rows"):
        lg.run(shared("logistic"), method, rounds=3, loss="logistic")


@pytest.mark.parametrize("engine", ["gram", "hybrid"])
def test_engines_that_are_refused(engine):
    with pytest.raises(lg.UnsupportedError, match="engine='primal'"):
        lg.run(shared("logistic"), lg.LocalSGD(3, 0.1, batch_size=2), rounds=3, engine=engine)


def test_what_else_is_refused():
    problem, method = shared("logistic"), lg.LocalSGD(3, 0.1, batch_size=2)
    w = np.zeros(problem.n_features)
    for call in (
        lambda: lg.analysis.gradient_alignment(problem, w, "logistic"),
        lambda: lg.analysis.client_scores(problem, w, "logistic"),
        lambda: lg.analysis.heterogeneity(problem),
        lambda: lg.reference.average_margin(problem),
        lambda: lg.plot.clients(problem),
    ):
        with pytest.raises(lg.UnsupportedError, match="share their rows"):
            call()
    with pytest.raises(lg.UnsupportedError, match="share their rows"):
        lg.run(problem, method, rounds=3, measures={"far": lambda models: 0.0})
    with pytest.raises(lg.UnsupportedError, match="rows of their own"):
        lg.run(problem, method, rounds=3, model=lg.TwoLayer(4))
    with pytest.raises(lg.UnsupportedError):
        lg.fast_forward(problem, method, rounds=1e6)
    X, y = rows_and_labels("logistic")
    with pytest.raises(ValueError, match="n_clients: got 0"):
        lg.Problem.shared(X, y, 0)
    with pytest.raises(ValueError, match="sample_weight: got shape"):
        lg.Problem.shared(X, y, 2, sample_weight=[1.0])


def test_weights_of_rows_with_several_targets():
    X, y = rows_and_labels("squared")
    Y, v = np.column_stack([y, -y]), np.linspace(0.5, 2, len(y))
    problem = lg.Problem.shared(X, Y, 2, task="regression", sample_weight=v)
    alone = lg.Problem([(X, Y)], task="regression", sample_weight=[v])
    np.testing.assert_allclose(problem.row_weights, alone.row_weights, rtol=1e-14)
