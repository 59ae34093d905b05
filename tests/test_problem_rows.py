"""The rows of a Problem: what it keeps of arrays and sparse matrices of any kind."""

import copy
import pickle

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
    assert (
        problem.dtype
        == problem.signed_rows.dtype
        == (np.float32 if dtype == "float32" else np.float64)
    )
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
    import tracemalloc

    X = sp.csr_array(sp.random(1000, 100_000, density=1e-4, format="csr", random_state=0))
    X.data[:] = 1.0
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
