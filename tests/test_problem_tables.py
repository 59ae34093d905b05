"""Rows in tables and tensors of other libraries give the same problem as an array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg

X = np.array([[1.0, 0.0, 2.0], [3.0, 4.0, 0.0], [0.0, 0.5, -1.0]])
Y = [1, -1, 1]
NAMES = ("age", "dose", "sites")


class Columns:
    """As polars has them."""

    def __init__(self, arrays, names):
        self.arrays, self.columns = arrays, list(names)

    def get_columns(self):
        return self.arrays


class Stream:
    """Rows that offer Arrow's protocol and nothing else, as a relation of DuckDB does."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Interchange:
    """Rows that offer the interchange protocol of data frames and nothing else."""

    def __init__(self, table):
        self.table = table

    def __dataframe__(self, **options):
        return self.table.__dataframe__(**options)


class Exported:
    """An array that offers DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def pandas_frame(dtype=None):
    return pytest.importorskip("pandas").DataFrame(X, columns=NAMES, dtype=dtype)


def arrow_table(dtype=np.float64):
    arrow = pytest.importorskip("pyarrow")
    return arrow.table({name: X[:, k].astype(dtype) for k, name in enumerate(NAMES)})


def polars_frame():
    return pytest.importorskip("polars").DataFrame({name: X[:, k] for k, name in enumerate(NAMES)})


TABLES = {
    "pandas": pandas_frame,
    "pandas Float64": lambda: pandas_frame("Float64"),
    "pandas of Arrow": lambda: pandas_frame("float64[pyarrow]"),
    "pandas objects": lambda: pandas_frame(object),
    "pandas of two types": lambda: pandas_frame().astype({"sites": "int64", "age": "float32"}),
    "pandas categories": lambda: pandas_frame().astype({"sites": "category"}),
    "Arrow": arrow_table,
    "Arrow batch": lambda: arrow_table().to_batches()[0],
    "Arrow in chunks": lambda: pytest.importorskip("pyarrow").concat_tables(
        [arrow_table().slice(0, 1), arrow_table().slice(1)]
    ),
    "polars": polars_frame,
    "columns": lambda: Columns([X[:, 0], X[:, 1].tolist(), X[:, 2]], NAMES),
    "stream": lambda: Stream(arrow_table()),
    "interchange": lambda: Interchange(arrow_table()),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables(kind):
    wanted = lg.Problem.from_arrays(X, Y, [0, 1, 0])
    problem = lg.Problem.from_arrays(TABLES[kind](), Y, [0, 1, 0])
    assert problem.fingerprint == wanted.fingerprint
    assert problem.dtype == np.float64
    assert problem.feature_names == NAMES
    assert wanted.feature_names is None
    assert lg.partition(TABLES[kind](), Y, n_clients=2).feature_names == NAMES


def in_parts(rows):
    """Each entry as two, in no order."""
    sparse = pytest.importorskip("scipy.sparse")
    j, k = np.nonzero(np.ones_like(rows))
    order = np.random.default_rng(0).permutation(2 * len(j))
    data = np.tile(rows.ravel() / 2, 2)[order]
    return sparse.coo_array((data, (np.tile(j, 2)[order], np.tile(k, 2)[order])), shape=rows.shape)


def framed(rows):
    return pytest.importorskip("pandas").DataFrame(rows)


def arrow_of(rows):
    return pytest.importorskip("pyarrow").table(dict(zip("abcde", rows.T.copy(), strict=False)))


CONTAINERS = {
    "list": np.ndarray.tolist,
    "F": np.asfortranarray,
    "strided": lambda rows: np.repeat(np.repeat(rows, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda rows: rows[::-1, ::-1].copy()[::-1, ::-1],
    "float32": lambda rows: rows.astype(np.float32),
    "big endian": lambda rows: rows.astype(">f8"),
    "objects": lambda rows: rows.astype(object),
    "read-only": lambda rows: np.frombuffer(rows.tobytes()).reshape(rows.shape),
    "masked": np.ma.asarray,
    "frame": framed,
    "Arrow": arrow_of,
    "DLPack": Exported,
    "CSR": lambda rows: pytest.importorskip("scipy.sparse").csr_array(rows),
    "CSC": lambda rows: pytest.importorskip("scipy.sparse").csc_matrix(rows),
    "parts": in_parts,
}


@given(data=st.data())
def test_what_holds_the_rows_makes_no_difference(data):
    n, d = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 5))
    numbers = st.lists(st.integers(-3, 3), min_size=n * d, max_size=n * d)
    rows = np.array(data.draw(numbers)).reshape(n, d) / 2
    ids = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    y = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=n, max_size=n))
    wanted = lg.Problem.from_arrays(rows, y, ids)
    for kind, hold in CONTAINERS.items():
        problem = lg.Problem.from_arrays(hold(rows), y, ids)
        X = problem.X.toarray() if problem.sparse else problem.X
        assert X.tolist() == wanted.X.tolist(), kind
        assert (problem.y.tolist(), problem.client_ids) == (wanted.y.tolist(), wanted.client_ids)
        assert problem.sparse == (kind in ("CSR", "CSC", "parts"))
        assert problem.sparse or problem.fingerprint == wanted.fingerprint


def test_types_of_columns():
    for table in (pandas_frame("float32"), pandas_frame("Float32"), arrow_table(np.float32)):
        problem = lg.Problem([(table, Y)])
        assert problem.dtype == np.float32
        np.testing.assert_array_equal(problem.X, X)
    mixed = pandas_frame("float32").assign(dose=[True, False, True])
    assert lg.Problem([(mixed, Y)]).dtype == np.float32
    assert lg.Problem([(mixed.assign(age=[1, 2, 3]), Y)]).dtype == np.float64


def test_columns_without_names():
    frame = pytest.importorskip("pandas").DataFrame(X)
    assert lg.Problem([(frame, Y)]).feature_names is None


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"dose": ["a", "b", "a"]},
            TypeError,
            r"X, y: X: column 'dose' holds texts such as 'a'; want numbers: encode it \(Prob",
        ),
        ({"dose": [1.0, np.nan, 2.0]}, ValueError, r"X: nan at row 1, column 'dose' \(1 such en"),
        ({"sites": [1.0, -np.inf, 2.0]}, ValueError, "X: -inf at row 1, column 'sites'"),
        ({"dose": [1.0, None, "a"]}, TypeError, "column 'dose' holds texts such as 'a'"),
        ({"dose": np.array(["2020", "2021", "2022"], "M8[s]")}, TypeError, "is of type datetime64"),
        ({"dose": [1j, 2, 3]}, TypeError, "column 'dose' is of type complex128; want numbers: ma"),
        ({"dose": [[1], [2], [3]]}, TypeError, "column 'dose' is of type object"),
    ],
)
def test_columns_that_are_refused(change, error, message):
    frame = pandas_frame().assign(**change)
    with pytest.raises(error, match=message):
        lg.Problem.from_arrays(frame, Y, [0, 1, 0])
    with pytest.raises(error, match=message.replace("X, y: X", r"clients\[0\]: X")):
        lg.Problem([(frame, Y)])


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "category", "string"])
def test_gaps_in_columns_of_pandas(dtype):
    pandas = pytest.importorskip("pandas")
    values = [True, None, False] if dtype == "boolean" else [1, None, 2]
    frame = pandas_frame().assign(dose=pandas.Series(values, dtype=object).astype(dtype))
    with pytest.raises((ValueError, TypeError), match="column 'dose'"):
        lg.Problem([(frame, Y)])


def test_clients_have_the_same_columns():
    frame = pandas_frame()
    assert lg.Problem([(X, Y), (frame, Y)]).feature_names == NAMES
    swapped = frame[["age", "sites", "dose"]]
    message = r"clients\[2\]: X: column 1 is 'sites'; want 'dose': the columns of clients\[1\], in "
    with pytest.raises(ValueError, match=message):
        lg.Problem([(X, Y), (frame, Y), (swapped, Y)])


@pytest.mark.parametrize("intercept", [None, "column"])
def test_a_model_is_for_the_columns_it_was_made_of(intercept, tmp_path):
    frame = pandas_frame()
    swapped = frame[["dose", "age", "sites"]]
    problem = lg.partition(frame, Y, n_clients=2, intercept=intercept)
    assert problem.feature_names == NAMES
    run = lg.run(problem, lg.GD(0.1), rounds=5, test=(frame, Y))
    np.testing.assert_array_equal(run.decision_function(frame), run.decision_function(X))
    by_hand = lg.run(problem, lg.GD(0.1), rounds=5, test=(X, Y))
    np.testing.assert_array_equal(run.history["test_accuracy"], by_hand.history["test_accuracy"])
    for one in (run, lg.load(run.save(tmp_path / "run.npz"))):
        with pytest.raises(ValueError, match="X: column 0 is 'dose'; want 'age': the columns of "):
            one.predict(swapped)
    with pytest.raises(ValueError, match="test: X: column 0 is 'dose'; want 'age'"):
        lg.run(problem, lg.GD(0.1), rounds=5, test=(swapped, Y))


def test_sparse_columns_of_pandas():
    pandas = pytest.importorskip("pandas")
    wanted = lg.Problem([(pytest.importorskip("scipy.sparse").csr_array(X), Y)])
    frame = pandas_frame()
    whole = frame.astype(pandas.SparseDtype("float64", 0.0))
    some = frame.assign(dose=whole["dose"])
    for table in (whole, some):
        problem = lg.Problem([(table, Y)])
        assert problem.sparse
        assert problem.feature_names == NAMES
        assert problem.fingerprint == wanted.fingerprint
    single = frame.astype(pandas.SparseDtype("float32", 0.0))
    assert lg.Problem([(single, Y)]).dtype == np.float32
    dummies = pandas.get_dummies(pandas.Series(["a", "b", "a"]), sparse=True)
    assert lg.Problem([(dummies, Y)]).X.toarray().tolist() == [[1, 0], [0, 1], [1, 0]]
    filled = frame.assign(dose=pandas.arrays.SparseArray([1.0, 1.0, 2.0], fill_value=1.0))
    assert not lg.Problem([(filled, Y)]).sparse
    gaps = whole.assign(dose=pandas.arrays.SparseArray([0.0, np.nan, 2.0], fill_value=0.0))
    with pytest.raises(ValueError, match=r"X: nan at row 1, column 'dose'"):
        lg.Problem([(gaps, Y)])


def test_arrays_by_protocol():
    class Interface:
        __array_interface__ = X.__array_interface__

    for rows in (Exported(X.copy()), Interface(), memoryview(X), X.tolist()):
        np.testing.assert_array_equal(lg.Problem([(rows, Y)]).X, X)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int32"])
def test_tensors(dtype):
    torch = pytest.importorskip("torch")
    rows = torch.asarray(X.astype(dtype))
    problem = lg.Problem([(rows, torch.tensor(Y))])
    assert problem.dtype == (np.float32 if dtype in ("float32", "float16") else np.float64)
    np.testing.assert_array_equal(problem.X, X.astype(dtype))
    np.testing.assert_array_equal(lg.Problem([(rows.T.contiguous().T, Y)]).X, problem.X)
    assert lg.Problem([(rows, torch.tensor([True, False, True]))]).labels == (False, True)


def test_tensors_that_numpy_cannot_read():
    torch = pytest.importorskip("torch")
    for rows in (
        torch.asarray(X).requires_grad_(),
        torch.asarray(X).bfloat16(),
        torch.asarray(X).to_sparse(),
    ):
        with pytest.raises(TypeError, match=r"clients\[0\]: X: NumPy cannot read this Tensor: "):
            lg.Problem([(rows, Y)])


def test_arrays_of_jax():
    jax = pytest.importorskip("jax")
    problem = lg.Problem([(jax.numpy.asarray(X.astype(np.float32)), jax.numpy.asarray(Y))])
    assert problem.dtype == np.float32
    np.testing.assert_array_equal(problem.X, X)


def test_no_library_of_tables_is_imported():
    import subprocess
    import sys

    code = (
        "import sys, localgd as lg; p = lg.Problem([([[1.0], [2.0]], ['a', 'b'])]); "
        "print([m for m in ('pandas', 'polars', 'pyarrow', 'torch', 'jax', 'scipy') "
        "if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert found == "[]\n"
