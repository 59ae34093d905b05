"""Losses of one's own beside those of the package, which they are copies of."""

from __future__ import annotations

import ctypes
import itertools
import pickle
import threading

import numpy as np
import own_losses
import pytest
import registry
from own_losses import native, own
from scipy import LowLevelCallable, sparse

import localgd as lg

ROUNDS = 20
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
HINGE = own_losses.FORMULAS["squared_hinge"]


def problem(loss="squared_hinge", weights=(0.5, 2.0, 0.25), **shape):
    return registry.problem(loss, weights, **shape)


def assert_same(got: lg.Run, want: lg.Run, tolerance: float, where: str = "") -> None:
    largest = np.abs(want.weights).max()
    np.testing.assert_allclose(
        got.weights, want.weights, rtol=0, atol=tolerance * largest, err_msg=where
    )
    for name in ("loss", "grad_norm", "drift", "grad_variance"):
        slack = 4 * tolerance * np.nanmax(np.abs(want.history[name])) + (tolerance * largest) ** 2
        np.testing.assert_allclose(
            got.history[name], want.history[name], rtol=0, atol=slack, err_msg=f"{name}, {where}"
        )


@pytest.mark.parametrize("case", registry.METHODS, ids=lambda case: case.name)
def test_every_method_engine_and_dtype(case):
    for loss in set(case.losses) & set(own_losses.FORMULAS):
        rows = problem(loss)
        for engine, dtype in itertools.product(case.engines, registry.DTYPES):
            settings = {"rounds": ROUNDS, "engine": engine, "dtype": dtype, "seed": registry.SEED}
            runs = [
                lg.run(rows, case.make(0.2), loss=each, l2=0 if case.solve else 0.01, **settings)
                for each in (own(loss), loss)
            ]
            where = f"{loss}, {engine}, {dtype}"
            factor = 30 if case.solve else 1  # divides by small eigenvalues
            assert_same(*runs, TOLERANCE[dtype] * factor, where)


@pytest.mark.parametrize("rows", (True, False), ids=("of rows", "of one row"))
@pytest.mark.parametrize("loss", own_losses.FORMULAS)
def test_native_functions(loss, rows):
    for engine, dtype in registry.engine_cases():
        settings = {"rounds": ROUNDS, "engine": engine, "dtype": dtype, "threads": 2}
        method = lg.Scaffold(local_steps=3, lr=0.2)
        runs = [
            lg.run(problem(loss), method, loss=each, **settings)
            for each in (native(loss, rows), loss)
        ]
        assert_same(*runs, TOLERANCE[dtype], f"{engine}, {dtype}")


@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize("sizes", ((150, 40), (1300, 5)), ids=str)
def test_clients_of_many_rows(sizes, dtype):
    """Of more rows than the registers hold, and than one call takes."""
    rows = problem(sizes=sizes, d=40, weights="samples")
    for engine, method in itertools.product(
        registry.ENGINES, (lg.LocalGD(4, 0.1), lg.LocalSGD(4, 0.1, batch_size=30))
    ):
        runs = [
            lg.run(rows, method, rounds=5, loss=loss, engine=engine, dtype=dtype)
            for loss in (own("squared_hinge"), "squared_hinge")
        ]
        assert_same(*runs, TOLERANCE[dtype], engine)


@pytest.mark.parametrize("loss", ("squared_hinge", "squared"))
def test_sparse_rows_with_weights(loss):
    rng = np.random.default_rng(5)
    X = sparse.random(60, 30, 0.2, random_state=rng, format="csr")
    y = np.sign(rng.standard_normal(60)) if loss == "squared_hinge" else rng.standard_normal(60)
    ids, weights = np.arange(60) % 4, rng.uniform(0.5, 2, 60)
    rows = lg.Problem.from_arrays(X, y, ids, sample_weight=weights)
    for engine, method in itertools.product(
        registry.ENGINES, (lg.LocalGD(5, 0.3), lg.LocalSGD(5, 0.3, batch_size=3))
    ):
        runs = [
            lg.run(rows, method, rounds=30, loss=each, engine=engine, l2=1e-3)
            for each in (own(loss), loss)
        ]
        assert_same(*runs, 1e-12, engine)


def test_threads_give_the_same_bits():
    rows = problem(sizes=(4,) * 40, weights="equal")
    for loss in (own("exponential"), native("exponential")):
        one, two = (
            lg.run(rows, lg.LocalGD(3, 0.2), rounds=10, loss=loss, engine="hybrid", threads=threads)
            for threads in (1, 2)
        )
        registry.assert_same_bits(one, two)


def test_several_runs_at_once():
    """The functions of one loss serve runs in several threads."""
    rows, found = problem(), [None] * 4
    want = lg.run(rows, lg.LocalGD(3, 0.2), rounds=200, loss=own("exponential"))

    def take(place):
        found[place] = lg.run(rows, lg.LocalGD(3, 0.2), rounds=200, loss=own("exponential"))

    threads = [threading.Thread(target=take, args=(place,)) for place in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for run in found:
        registry.assert_same_bits(run, want)


def test_it_says_what_it_is():
    loss = own("exponential")
    run = lg.run(problem(), lg.LocalGD(3, "1/(LH)"), rounds=5, loss=loss)
    known = lg.run(problem(), lg.LocalGD(3, "1/(LH)"), rounds=5, loss="exponential")
    assert run.config["loss"] == "own exponential"
    assert run.config["lr"] == known.config["lr"]
    assert run.shortened == 0
    assert repr(loss) == "Loss('own exponential')"


def test_measures_minimiser_and_predictions():
    rows = lg.datasets.make_nonseparable(n_clients=3, n_samples=30, n_features=3, seed=0)
    loss = own("logistic")
    for l2 in (0.0, 0.05):
        got, want = (lg.reference.minimizer(rows, loss=each, l2=l2) for each in (loss, "logistic"))
        np.testing.assert_allclose(got.weights, want.weights, rtol=1e-9)
    run = lg.run(rows, lg.LocalGD(3, 0.5), rounds=50, l2=0.05, loss=loss, reference=got)
    assert run.history["suboptimality"][-1] < run.history["suboptimality"][0]
    known = lg.run(rows, lg.LocalGD(3, 0.5), rounds=50, l2=0.05, loss="logistic")
    np.testing.assert_array_equal(run.predict(rows.X), known.predict(rows.X))
    for measure in (lg.analysis.client_scores, lg.analysis.gradient_alignment):
        got, want = (measure(rows, run.weights, each) for each in (loss, "logistic"))
        for name, value in vars(want).items():
            np.testing.assert_allclose(getattr(got, name), value, rtol=1e-10, err_msg=name)


def test_held_out_loss():
    rows = problem("poisson")
    X, y = rows.X[:4], rows.y[:4]
    got, want = (
        lg.run(rows, lg.LocalGD(3, 0.1), rounds=9, loss=loss, test=(X, y))
        for loss in (own("poisson"), "poisson")
    )
    np.testing.assert_allclose(got.history["test_loss"], want.history["test_loss"], rtol=1e-12)


def test_limits_and_fast_forward_take_its_tail():
    rows = lg.datasets.make_separable(n_clients=3, n_samples=4, n_features=30, seed=0)
    got, want = (
        lg.fast_forward(rows, lg.LocalGD(5, 0.5), rounds=1e9, loss=loss)
        for loss in (own("exponential"), "exponential")
    )
    np.testing.assert_allclose(got.weights, want.weights, rtol=1e-6)
    mixed = lg.datasets.make_nonseparable(n_clients=3, n_samples=20, n_features=5, seed=0)
    got, want = (lg.reference.limits(mixed, loss=loss) for loss in (own("logistic"), "logistic"))
    np.testing.assert_allclose(got.finite_part, want.finite_part, rtol=1e-6)


def test_what_needs_to_know_more_refuses():
    bare = lg.Loss(*HINGE[:2])
    rows = problem()
    with pytest.raises(lg.UnsupportedError, match="exponential tail"):
        lg.reference.limits(rows, loss=bare)
    with pytest.raises(lg.UnsupportedError, match="second derivative"):
        lg.fast_forward(rows, lg.LocalGD(3, 0.1), rounds=1e9, loss=bare)
    with pytest.raises(lg.UnsupportedError, match="second derivatives are not known"):
        lg.reference.minimizer(rows, loss=bare, l2=0.1)
    with pytest.raises(lg.UnsupportedError, match="largest_curvature"):
        lg.run(rows, lg.LocalGD(3, "1/H"), rounds=1, loss=bare)
    with pytest.raises(lg.UnsupportedError, match="exact local solves"):
        lg.run(rows, lg.LocalSolve(), rounds=1, loss=bare)
    with pytest.raises(lg.UnsupportedError, match="concordance"):
        lg.reference.minimizer(rows, loss=own("squared_hinge"))
    with pytest.raises(ValueError, match="does not fit a binary task"):
        lg.run(rows, lg.LocalGD(3, 0.1), rounds=1, loss=own("squared"))
    counts = lg.Problem([([[1.0]], [-1.0])], task="regression")
    with pytest.raises(ValueError, match="targets of at least 0"):
        lg.run(counts, lg.LocalGD(3, 0.1), rounds=1, loss=own("poisson"))
    run = lg.run(rows, lg.LocalGD(3, 0.1), rounds=1, loss=bare)
    with pytest.raises(lg.UnsupportedError, match="your own"):
        lg.evaluate(run, rows.X, rows.y, train=rows)


def test_sweep():
    grid = {"lr": [0.1, 0.2], "loss": [own("squared_hinge"), "squared_hinge"]}
    table = lg.sweep(problem(), lg.LocalGD(local_steps=3, lr=0.1), grid=grid, rounds=ROUNDS)
    losses = [entry.history["loss"][-1] for entry in table]
    np.testing.assert_allclose(losses[::2], losses[1::2], rtol=1e-12)


def test_checkpoint(tmp_path):
    def take(rounds, loss, **settings):
        return lg.run(problem(), lg.LocalGD(3, 0.2), rounds=rounds, loss=loss, **settings)

    settings = {"checkpoint": tmp_path / "run.npz"}
    take(10, own("exponential"), **settings)
    same = lg.Loss(*own_losses.FORMULAS["exponential"], name="own exponential")
    other = lg.Loss(lambda m: np.exp(-2 * m), lambda m: -2 * np.exp(-2 * m), name="own exponential")
    with pytest.raises(ValueError, match="different: loss"):
        take(20, other, **settings)
    with pytest.raises(ValueError, match="different: loss"):
        take(20, same, **settings)  # without its tail
    again = take(20, own("exponential"), **settings)
    np.testing.assert_array_equal(again.weights, take(20, own("exponential")).weights)


class Failing:
    """The exponential loss's slope, which fails at the n-th call."""

    def __init__(self, at: int, error: Exception):
        self.at, self.error, self.calls = at, error, 0

    def __call__(self, m):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return -np.exp(-m)


@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize("engine", registry.ENGINES)
def test_an_error_ends_the_run_and_the_state_is_kept(engine, threads, tmp_path):
    rows = problem(sizes=(4,) * 20, weights="equal")
    settings = {"rounds": 30, "engine": engine, "threads": threads, "record": [0, 10, 30]}
    slope = Failing(20 * 3 * 20 + 7, KeyError("no such thing"))
    value = own_losses.FORMULAS["exponential"][0]
    path = tmp_path / "run.npz"
    with pytest.raises(KeyError, match="no such thing"):
        lg.run(
            rows,
            lg.LocalGD(3, 0.2),
            loss=lg.Loss(value, slope),
            checkpoint=path,
            **settings,
        )
    loss = lg.Loss(value, slope)
    slope.calls = 10**6
    resumed = lg.run(rows, lg.LocalGD(3, 0.2), loss=loss, checkpoint=path, **settings)
    calls = slope.calls - 10**6
    assert calls < 30 * 3 * 20  # it went on from there
    whole = lg.run(rows, lg.LocalGD(3, 0.2), loss=loss, **settings)
    registry.assert_same_bits(resumed, whole)


def test_an_error_in_a_record():
    def value(m):
        if len(m) != 121:  # of the comparison with others
            raise ArithmeticError("too hard")
        return np.exp(-m)

    loss = lg.Loss(value, own_losses.FORMULAS["exponential"][1])
    with pytest.raises(ArithmeticError, match="too hard"):
        lg.run(problem(), lg.LocalGD(3, 0.2), rounds=3, loss=loss)


def test_an_interrupt_in_a_function_interrupts_the_run():
    slope = Failing(100, KeyboardInterrupt())
    loss = lg.Loss(own_losses.FORMULAS["exponential"][0], slope)
    run = lg.run(problem(), lg.LocalGD(3, 0.2), rounds=1000, loss=loss)
    assert run.status == "interrupted"
    assert 0 < run.history["round"][-1] < 1000


def test_nan_at_the_start_is_said_of_the_loss():
    wrong = lg.Loss(lambda m: np.full_like(m, np.nan), lambda m: -np.exp(-m), name="wrong")
    with pytest.raises(ValueError, match="loss: wrong is not finite at the start; want"):
        lg.run(problem(), lg.GD(0.5), rounds=3, loss=wrong)


def test_nan_diverges():
    wrong = lg.Loss(lambda m: np.exp(-m), lambda m: np.where(m > 1, np.nan, -np.exp(-m)))
    with pytest.warns(RuntimeWarning, match="diverged"):
        run = lg.run(problem(), lg.LocalGD(3, 0.5), rounds=1000, loss=wrong)
    assert run.status == "diverged"


def test_pickle():
    found = pickle.loads(pickle.dumps(lg.Loss(np.square, np.negative)))
    assert found == lg.Loss(np.square, np.negative)
    with pytest.raises(TypeError, match="native functions"):
        pickle.dumps(native("squared_hinge"))


def test_low_level_callable():
    libm = ctypes.CDLL(None)
    libm.cosh.restype, libm.cosh.argtypes = ctypes.c_double, (ctypes.c_double,)
    libm.sinh.restype, libm.sinh.argtypes = ctypes.c_double, (ctypes.c_double,)
    loss = lg.Loss(LowLevelCallable(libm.cosh), LowLevelCallable(libm.sinh))
    same = lg.Loss(np.cosh, np.sinh)
    assert loss.signed
    got, want = (
        lg.run(problem(), lg.LocalGD(3, 0.1), rounds=9, loss=each) for each in (loss, same)
    )
    assert_same(got, want, 1e-12)


WRONG = {
    "no function": (3, np.negative),
    "three arguments": (lambda a, b, c: a, np.negative),
    "not the same": (np.square, lambda u, y: u),
    "of integers": (ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(int), np.negative),
    "complex": (lambda m: m + 1j, np.negative),
    "a number": (lambda m: 1.0, np.negative),
    "half of the rows": (lambda m: m[::2], np.negative),
}


@pytest.mark.parametrize(
    ("which", "error", "message"),
    (
        ("no function", TypeError, "value: got 3; want a function"),
        ("three arguments", TypeError, "value: it takes 3 arguments"),
        ("not the same", TypeError, r"1 \(value\), 2 \(slope\)"),
        ("of integers", TypeError, r"value: its signature is 'int \(int\)'; want one of"),
        ("complex", TypeError, "value: it returned complex128"),
        ("a number", ValueError, r"value: it returned an array of shape \(\)"),
        ("half of the rows", ValueError, r"value: it returned an array of shape \(61,\)"),
    ),
)
def test_wrong_functions(which, error, message):
    with pytest.raises(error, match=message):
        lg.Loss(*WRONG[which])


@pytest.mark.parametrize(
    ("facts", "message"),
    (
        ({"name": "squared"}, "name: got 'squared'"),
        ({"tasks": ("regression",)}, "tasks: got 'regression'; want one of 'binary'"),
        ({"tail": (1, 0)}, "tail: got 0"),
        ({"largest_curvature": 0}, "largest_curvature: got 0"),
        ({"concordance": -1}, "concordance: got -1"),
    ),
)
def test_wrong_facts(facts, message):
    with pytest.raises(ValueError, match=message):
        lg.Loss(np.square, np.negative, **facts)
    with pytest.raises(ValueError, match="tail"):
        lg.Loss(*own_losses.FORMULAS["squared"], tail=(1, 1))


def test_a_function_is_no_loss(small_problem):
    with pytest.raises(TypeError, match=r"loss: got .*; want lg\.Loss\(value, slope\) of it"):
        lg.run(small_problem, lg.GD(1.0), rounds=1, loss=lambda m: np.exp(-m))
