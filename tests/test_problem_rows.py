"""The rows of a Problem: what it keeps of arrays and sparse matrices of any kind."""

import copy
import pickle
import tracemalloc
import weakref

import numpy as np
import pytest
from scipy import sparse as sp

import localgd as lg

RNG = np.random.default_rng(0)
N, D, M = 30, 8, 3
DENSE = RNG.standard_normal((N, D)) * (RNG.random((N, D)) < 0.3)
LABELS = np.where(RNG.random(N) < 0.5, -1, 1)
IDS = RNG.integers(0, M, N)
FORMATS = ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]


def is_canonical(X):
    return (
        isinstance(X, sp.csr_array)
        and X.has_canonical_format
        and X.data.all()
        and X.indices.dtype == X.indptr.dtype == np.int32
    )


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("format", FORMATS)
def test_sparse_rows_of_any_format(format, kind):
    X = getattr(sp, f"{format}_{kind}")(DENSE)
    clients = [(X.tocsr()[IDS == i], LABELS[IDS == i]) for i in range(M)]
    dense = lg.Problem.from_arrays(DENSE, LABELS, IDS)
    for problem in (lg.Problem.from_arrays(X, LABELS, IDS), lg.Problem(clients)):
        assert problem.sparse
        assert not dense.sparse
        assert is_canonical(problem.X)
        assert is_canonical(problem.signed_rows)
        np.testing.assert_array_equal(problem.X.toarray(), dense.X)
        np.testing.assert_array_equal(problem.signed_rows.toarray(), dense.signed_rows)
        assert (problem.n_features, problem.n_samples) == (D, N)
        assert repr(problem) == repr(dense)


def test_duplicates_zeros_and_order():
    X = sp.csr_array(([1.0, 2.0, 3.0, 0.0, 5.0, -5.0], [2, 0, 2, 1, 1, 1], [0, 4, 6]), shape=(2, 3))
    arrays = [a.copy() for a in (X.data, X.indices, X.indptr)]
    problem = lg.Problem([(X, [1, -1])])
    assert is_canonical(problem.X)
    assert problem.X.data.tolist() == [2.0, 4.0]
    assert problem.X.indices.tolist() == [0, 2]
    assert problem.X.indptr.tolist() == [0, 2, 2]
    for array, before in zip((X.data, X.indices, X.indptr), arrays, strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "bool", "uint64"])
def test_types_of_sparse_rows(dtype, index):
    X = sp.csr_array((2 * DENSE).astype(dtype))
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    problem = lg.partition(X, LABELS, n_clients=M)
    assert problem.dtype == (np.float32 if dtype == "float32" else np.float64)
    assert problem.signed_rows.dtype == np.float64
    assert is_canonical(problem.X)
    np.testing.assert_array_equal(problem.X.toarray(), X.toarray()[problem.row_order])


def test_clients_with_and_without_sparse_rows():
    problem = lg.Problem([(DENSE, LABELS), (sp.coo_array(DENSE), LABELS)])
    assert is_canonical(problem.X)
    np.testing.assert_array_equal(problem.X.toarray(), np.vstack([DENSE, DENSE]))


def test_an_intercept_beside_sparse_rows():
    problem = lg.Problem([(sp.csr_array(DENSE, dtype=np.float32), LABELS)], intercept="column")
    assert is_canonical(problem.X)
    assert problem.dtype == np.float32
    dense = lg.Problem([(DENSE.astype(np.float32), LABELS)], intercept="column")
    np.testing.assert_array_equal(problem.X.toarray(), dense.X)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([[1.0, 0], [0, np.nan]], ValueError, r"X: nan at row 1, column 1 \(1 such entries\)"),
        ([[0, -np.inf], [np.inf, 0]], ValueError, r"X: -inf at row 0, column 1 \(2 such entries\)"),
        ([[1j, 0], [0, 1]], TypeError, "X: got dtype complex128; want real numbers"),
    ],
)
def test_bad_sparse_entries(X, error, message):
    with pytest.raises(error, match=message):
        lg.Problem([(sp.csc_array(X), [1, -1])])


@pytest.mark.parametrize(("which", "value"), [("indices", 7), ("indices", -1), ("indptr", 9)])
def test_broken_csr_arrays(which, value):
    X = sp.csr_array(np.eye(3))
    getattr(X, which)[1] = value
    with pytest.raises(ValueError, match=r"clients\[0\]: X: broken CSR arrays: "):
        lg.Problem([(X, [1, -1, 1])])


COPIES = [
    lambda value: pickle.loads(pickle.dumps(value)),
    copy.deepcopy,
    copy.copy,
    lambda value: value.with_weights("samples"),
]


@pytest.mark.parametrize("copied", COPIES)
def test_copies_of_a_sparse_problem(copied):
    problem = lg.Problem.from_arrays(sp.csr_array(DENSE), LABELS, IDS)
    fingerprint, Z = problem.fingerprint, problem.signed_rows
    same = copied(problem)
    assert same.fingerprint == fingerprint
    assert is_canonical(same.X)
    for X in (same.X, same.signed_rows, Z):
        for array in (X.data, X.indices, X.indptr):
            assert not array.flags.writeable
    np.testing.assert_array_equal(same.signed_rows.toarray(), Z.toarray())


def test_the_fingerprint_of_sparse_rows_is_theirs():
    changed = sp.csr_array(DENSE)
    changed.data[3] *= 2
    moved = sp.csr_array(np.roll(DENSE, 1, axis=1))
    problems = [lg.Problem([(X, LABELS)]) for X in (sp.csr_array(DENSE), changed, moved)]
    assert len({problem.fingerprint for problem in problems}) == 3
    assert lg.Problem([(sp.coo_array(DENSE), LABELS)]).fingerprint == problems[0].fingerprint


def test_no_array_as_large_as_dense_rows_is_made():
    rng = np.random.default_rng(0)
    entries = (
        np.ones(10_000),
        (rng.integers(1000, size=10_000), rng.integers(100_000, size=10_000)),
    )
    X = sp.csr_array(sp.coo_array(entries, shape=(1000, 100_000)))
    y = np.where(np.arange(1000) % 2, 1, -1)
    tracemalloc.start()
    problem = lg.partition(X, y, n_clients=10, intercept="column")
    _ = problem.signed_rows, problem.fingerprint, pickle.dumps(problem)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e7


def test_shifted_sparse_rows_are_refused():
    scheme = lg.FeatureShift(0.5)
    with pytest.raises(lg.UnsupportedError, match=r"scheme: FeatureShift\(scale=0.5\) moves every"):
        lg.partition(sp.csr_array(DENSE), LABELS, n_clients=2, scheme=scheme)
    assert lg.partition(
        sp.csr_array(DENSE), LABELS, n_clients=2, scheme=lg.FeatureShift(0.0)
    ).sparse


def test_sparse_rows_beside_a_run():
    problem = lg.Problem([(sp.csr_array(DENSE), LABELS)])
    test = (sp.csr_array(DENSE), LABELS)
    run = lg.run(problem, lg.GD(lr=0.1), rounds=5, loss="logistic", test=test)
    dense = lg.run(problem, lg.GD(lr=0.1), rounds=5, loss="logistic", test=(DENSE, LABELS))
    np.testing.assert_array_equal(run.history["test_accuracy"], dense.history["test_accuracy"])
    np.testing.assert_allclose(run.decision_function(test[0]), DENSE @ run.weights, rtol=1e-12)


# -- Dense rows of any type and order --------------------------------------------------------------


LARGE = np.random.default_rng(1).standard_normal((2400, 600))  # beyond what is copied to be aligned
SORTED = np.repeat(np.arange(4), 600)
SIGNS = np.where(np.arange(2400) % 3, 1, -1)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "int64", "uint8", "bool", ">f4"]
)
def test_types_and_orders_of_dense_rows(dtype, order):
    X = np.asarray(2 * DENSE, order=order).astype(dtype)
    wanted = np.float32 if dtype in ("float32", "float16", ">f4") else np.float64
    clients = [(X[IDS == i], LABELS[IDS == i]) for i in range(M)]
    for problem in (lg.Problem.from_arrays(X, LABELS, IDS), lg.Problem(clients)):
        assert problem.dtype == wanted
        assert problem.X.flags.c_contiguous
        assert problem.X.dtype.isnative
        assert not problem.X.flags.writeable
        np.testing.assert_array_equal(problem.X, X[np.argsort(IDS, kind="stable")])
    whole = lg.Problem.from_arrays(X, LABELS, IDS, intercept="column")
    assert whole.dtype == wanted
    np.testing.assert_array_equal(whole.X, np.column_stack([problem.X, np.ones(N)]))


def test_clients_of_different_types():
    clients = [(DENSE.astype(np.float32), LABELS), (np.ones((2, D), np.int8), [1, -1])]
    assert lg.Problem(clients).dtype == np.float32
    assert lg.Problem([*clients, (DENSE, LABELS)]).dtype == np.float64


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="no wider type")
def test_wider_numbers_are_not_rounded_in_silence():
    with pytest.raises(TypeError, match=r"X: got dtype .*; want X.astype\(numpy.float64\)"):
        lg.Problem([(DENSE.astype(np.longdouble), LABELS)])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows_in_client_order_are_not_copied(dtype):
    X = LARGE.astype(dtype)
    parts = [(X[SORTED == i], SIGNS[SORTED == i]) for i in range(4)]
    views = [(X[600 * i : 600 * (i + 1)], SIGNS[SORTED == i]) for i in range(4)]
    for problem in (
        lg.Problem.from_arrays(X, SIGNS, SORTED),
        lg.Problem([(X, SIGNS)]),
        lg.Problem(views),
        lg.Problem([(X[:2000], SIGNS[:2000])]),
    ):
        assert np.shares_memory(problem.X, X)
        assert not problem.X.flags.writeable
        assert X.flags.writeable
        np.testing.assert_array_equal(problem.X, X[: problem.n_samples])
    for problem in (
        lg.Problem(parts),
        lg.Problem(views[::-1]),
        lg.Problem([views[0], views[2]]),
        lg.Problem.from_arrays(X, SIGNS, SORTED[::-1]),
        lg.Problem.from_arrays(X, SIGNS, SORTED, intercept="column"),
    ):
        assert not np.shares_memory(problem.X, X)
    backwards = lg.Problem(views[::-1])
    np.testing.assert_array_equal(backwards.X, np.concatenate([V for V, _ in views[::-1]]))


def test_neighbours_in_memory_of_two_arrays_are_not_joined():
    """Each may be freed for itself."""
    memory = np.arange(24.0)
    one, other = (memory[a : a + 12].copy().reshape(6, 2) for a in (0, 12))
    problem = lg.Problem([(one, np.ones(6)), (other, -np.ones(6))])
    np.testing.assert_array_equal(problem.X, memory.reshape(12, 2))


def test_rows_in_a_file_stay_there(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, LARGE)
    X = np.load(path, mmap_mode="r")
    problem = lg.Problem.from_arrays(X, SIGNS, SORTED)
    assert np.shares_memory(problem.X, X)
    wanted = lg.Problem.from_arrays(LARGE, SIGNS, SORTED)
    assert problem.fingerprint == wanted.fingerprint
    dealt = lg.partition(X, SIGNS, n_clients=3)
    np.testing.assert_array_equal(dealt.X, LARGE[dealt.row_order])


def test_a_run_does_not_depend_on_where_rows_begin():
    wide = np.empty(LARGE.size + 16)
    weights = []
    for first in range(0, 16, 5):
        X = wide[first : first + LARGE.size].reshape(LARGE.shape)
        X[...] = LARGE
        problem = lg.Problem.from_arrays(X, SIGNS, SORTED)
        assert np.shares_memory(problem.X, X)
        for engine in ("primal", "hybrid"):
            run = lg.run(problem, lg.LocalGD(3, 1e-3), rounds=3, engine=engine, loss="logistic")
            weights.append((engine, run.weights.tobytes()))
    assert len(set(weights)) == 2


def peak_of(make):
    tracemalloc.start()
    problem = make()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return problem, peak


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_memory_of_a_problem(dtype):
    """Nothing as large as the rows for those in client order, and one copy of others."""
    X, shuffled = LARGE.astype(dtype), np.random.default_rng(0).permutation(SORTED)
    columns = np.asfortranarray(X)
    kept = [
        lambda: lg.Problem.from_arrays(X, SIGNS, SORTED),
        lambda: lg.Problem([(X[:900], SIGNS[:900]), (X[900:], SIGNS[900:])]),
    ]
    copied = [
        lambda: lg.Problem.from_arrays(X, SIGNS, shuffled),
        lambda: lg.Problem.from_arrays(X, SIGNS, shuffled, intercept="column"),
        lambda: lg.partition(X, SIGNS, n_clients=4),
        lambda: lg.Problem([(X[::2], SIGNS[::2]), (X[1::2], SIGNS[1::2])]),
        lambda: lg.Problem.from_arrays(columns, SIGNS, SORTED),
        lambda: lg.Problem.from_arrays(X, SIGNS, SORTED, intercept="column"),
    ]
    for make in kept:
        assert peak_of(make)[1] < 0.2 * X.nbytes
    for make in copied:
        assert X.nbytes < peak_of(make)[1] < 1.6 * X.nbytes


def test_signed_rows_live_as_long_as_they_are_used():
    problem = lg.Problem.from_arrays(LARGE, SIGNS, SORTED)
    Z = problem.signed_rows
    assert problem.signed_rows is Z
    assert problem.with_weights("equal").signed_rows is Z
    gone = weakref.ref(Z)
    del Z
    assert gone() is None
    np.testing.assert_array_equal(problem.signed_rows, LARGE * SIGNS[:, None])


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_shifted_rows_have_the_type_of_the_rows(dtype):
    X = (4 * DENSE).astype(dtype)
    scheme = lg.FeatureShift(0.5)
    problem = lg.partition(X, LABELS, n_clients=M, scheme=scheme)
    assert problem.dtype == (np.float32 if dtype == "float32" else np.float64)
    wanted = lg.partition(X.astype(np.float64), LABELS, n_clients=M, scheme=scheme)
    np.testing.assert_allclose(problem.X, wanted.X, rtol=0, atol=2e-6)


def test_rows_that_a_scheme_makes_are_checked():
    class Spoiling(lg.Iid):
        def transform(self, X, clients, n_clients, rng):
            return np.where(X > 1, np.nan, X)

    with pytest.raises(ValueError, match="scheme: nan at row "):
        lg.partition(DENSE, LABELS, n_clients=M, scheme=Spoiling())
