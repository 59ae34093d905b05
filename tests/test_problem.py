"""Rows held by clients: what a Problem makes of its input, and what it refuses."""

import copy
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
PAIR = (ROWS, [1, -1, 1])


def test_rows_are_stored_client_by_client():
    problem = lg.Problem([(ROWS, [1, -1, 1]), ([[7.0, 8.0]], [-1])])
    np.testing.assert_array_equal(problem.X, [*ROWS, [7.0, 8.0]])
    np.testing.assert_array_equal(problem.y, [1, -1, 1, -1])
    assert (problem.n_clients, problem.n_samples, problem.n_features) == (2, 4, 2)
    assert problem.sizes.tolist() == [3, 1]
    assert problem.offsets.tolist() == [0, 3, 4]
    assert problem.rows(1) == slice(3, 4)
    assert problem.client_ids == (0, 1)
    assert problem.task == "binary"
    np.testing.assert_array_equal(problem.signed_rows, problem.X * problem.y[:, None])
    assert repr(problem) == "Problem(binary: 2 clients, 4 rows (1 to 3 per client), 2 features)"


@given(ids=st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_ids_deal_the_rows_in_order(ids):
    X = np.arange(len(ids), dtype=float)[:, None]
    problem = lg.Problem.from_arrays(X, np.ones(len(ids)), ids)
    assert problem.client_ids == tuple(sorted(set(ids)))
    for i, name in enumerate(problem.client_ids):
        expected = [k for k, owner in enumerate(ids) if owner == name]
        assert problem.row_order[problem.rows(i)].tolist() == expected
        assert problem.X[problem.rows(i), 0].tolist() == expected


@pytest.mark.parametrize(
    "ids", [["b", "a", "b"], np.array(["b", "a", "b"]), np.array(["b", "a", "b"], dtype=object)]
)
def test_ids_may_be_strings_of_any_making(ids):
    problem = lg.Problem.from_arrays(ROWS, [1, 1, -1], ids)
    assert problem.client_ids == ("a", "b")
    assert problem.row_order.tolist() == [1, 0, 2]


def test_columns_of_a_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS).assign(y=[1, -1, 1], owner=["x", "y", "x"])
    problem = lg.Problem.from_arrays(frame[[0, 1]], frame["y"], frame["owner"])
    assert (problem.client_ids, problem.sizes.tolist()) == (("x", "y"), [2, 1])


@pytest.mark.parametrize("kind", [int, np.float32, Fraction, Decimal])
def test_rows_of_any_real_numbers(kind):
    rows = [[kind(number) for number in row] for row in ROWS]
    problem = lg.Problem([(rows, [1, 1, -1])])
    np.testing.assert_array_equal(problem.X, ROWS)
    assert problem.dtype == (np.float32 if kind is np.float32 else np.float64)


def test_later_changes_of_the_input_do_not_arrive():
    X, y, weights = np.array(ROWS), np.array([1.0, 1.0, -1.0]), np.array([1.0, 3.0])
    problem = lg.Problem([(X, y), (X, y)], weights=weights)
    X[:], y[:], weights[:] = 0, 0, 0
    assert problem.X.all()
    assert problem.y.all()
    assert problem.weights.tolist() == [0.25, 0.75]
    for name in ("X", "y", "sizes", "offsets", "weights", "row_order", "signed_rows"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(problem, name)[0] = 0


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("equal", [0.5, 0.5]),
        ("samples", [0.75, 0.25]),
        ([1, 4], [0.2, 0.8]),
        ((0, 2), [0, 1]),
        ([1e308, 1e308], [0.5, 0.5]),
        ([5e-324, 0], [1, 0]),
    ],
)
def test_client_weights(weights, expected):
    clients = [PAIR, ([[1.0, 1.0]], [1])]
    problem = lg.Problem(clients, weights=weights)
    np.testing.assert_allclose(problem.weights, expected, rtol=1e-15)
    np.testing.assert_allclose(
        problem.row_weights, [expected[0] / 3] * 3 + [expected[1]], rtol=1e-15
    )
    other = lg.Problem(clients, weights=[0.9, 0.1])
    assert other.row_weights[0] == pytest.approx(0.3)
    again = other.with_weights(weights)
    np.testing.assert_array_equal(again.row_weights, problem.row_weights)
    assert other.weights.tolist() == [0.9, 0.1]


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        ([1, -1], "binary"),
        ([1.0, 1.0], "binary"),
        ([0.5, 1], "regression"),
        ([-1, 1.5], "regression"),
        ([2, 0, 1], "multiclass"),
        ([3, 0, 1, 2, 1], "multiclass"),
    ],
)
def test_task_follows_from_the_labels(labels, task):
    assert lg.Problem([(np.ones((len(labels), 1)), labels)]).task == task


def test_task_may_be_given():
    rows = [[1.0], [2.0]]
    assert lg.Problem([(rows, [1, -1])], task="regression").task == "regression"
    assert lg.Problem([(rows, [3, 0])], task="regression").task == "regression"
    assert lg.Problem([(rows, [1, 2])], task="multiclass").task == "multiclass"


def test_signed_rows_of_other_tasks_are_refused():
    message = "signed rows: the task is {}; want a binary task"
    with pytest.raises(ValueError, match=message.format("regression")):
        _ = lg.Problem([([[1.0]], [0.5])]).signed_rows
    with pytest.raises(ValueError, match=message.format("multiclass")):
        _ = lg.Problem([(ROWS, [0, 1, 2])]).signed_rows


# -- Several classes -------------------------------------------------------------------------------


def test_classes_and_the_shape_of_their_model():
    problem = lg.Problem([(ROWS, [0, 2, 1]), (ROWS, [2, 2, 2])])
    assert (problem.task, problem.n_classes, problem.weights_shape) == ("multiclass", 3, (2, 3))
    assert problem.y.tolist() == [0, 2, 1, 2, 2, 2]
    assert repr(problem) == "Problem(3 classes: 2 clients, 6 rows (3 per client), 2 features)"
    for labels, task in (([1, -1, 1], "binary"), ([0.5, 1, 2], "regression")):
        other = lg.Problem([(ROWS, labels)])
        assert (other.task, other.n_classes, other.weights_shape) == (task, 1, (2,))


# -- Given by a Gram matrix ------------------------------------------------------------------------


def gram(rank, n=7, seed=0):
    """A positive semidefinite matrix, and rows that have it as their inner products."""
    X = np.random.default_rng(seed).standard_normal((n, rank))
    return X @ X.T, X


IDS = ["b", "a", "a", "b", "c", "a", "b"]
SIGNS = np.array([1, -1, 1, 1, -1, -1, 1])


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("rank", [1, 3, 7])
def test_coordinates_have_the_inner_products_of_the_kernel(rank, scale):
    K = scale * gram(rank)[0]
    problem = lg.Problem.from_gram(K, SIGNS, IDS)
    order = problem.row_order
    assert problem.kernel
    assert problem.n_features == rank
    np.testing.assert_allclose(
        problem.X @ problem.X.T, K[np.ix_(order, order)], rtol=0, atol=1e-13 * K.max()
    )
    np.testing.assert_array_equal(problem.y, SIGNS[order])
    assert problem.client_ids == ("a", "b", "c")
    assert repr(problem) == (
        f"Problem(binary: 3 clients, 7 rows (1 to 3 per client), kernel of rank {rank})"
    )


def test_problem_of_rows_is_no_kernel():
    assert not lg.Problem([PAIR]).kernel
    assert lg.Problem.from_gram(np.eye(2), [1, -1], [0, 1]).with_weights([1, 3]).kernel


def test_kernel_problems_take_weights_and_tasks():
    K, _ = gram(7)
    problem = lg.Problem.from_gram(K, np.arange(7) % 3, IDS, weights="samples")
    assert (problem.task, problem.n_classes, problem.weights_shape) == ("multiclass", 3, (7, 3))
    np.testing.assert_allclose(problem.weights, np.array([3, 3, 1]) / 7)
    assert lg.Problem.from_gram(K, SIGNS, IDS, task="regression").task == "regression"


def test_identical_rows_and_a_kernel_of_zeros():
    same = lg.Problem.from_gram(np.ones((3, 3)), [1, -1, 1], [0, 0, 1])
    assert same.n_features == 1
    np.testing.assert_allclose(np.abs(same.X), 1)
    nothing = lg.Problem.from_gram(np.zeros((2, 2)), [1, -1], [0, 1])
    np.testing.assert_array_equal(nothing.X, np.zeros((2, 1)))


def test_rounding_in_the_kernel_is_forgiven():
    K, _ = gram(4)
    noise = 1e-15 * np.random.default_rng(1).standard_normal(K.shape)
    problem = lg.Problem.from_gram(K * (1 + noise), SIGNS, IDS)
    order = problem.row_order
    np.testing.assert_allclose(problem.X @ problem.X.T, K[np.ix_(order, order)], atol=1e-12)


@pytest.mark.parametrize(
    ("K", "error", "message"),
    [
        (np.ones((3, 4)), ValueError, r"K, y: got shapes \(3, 4\) and \(3,\); want \(N, N\) and"),
        (np.ones((2, 2)), ValueError, r"K, y: got shapes \(2, 2\) and \(3,\); want \(N, N\) and"),
        (np.ones(3), ValueError, r"K: got an array of shape \(3,\); want 2 dimensions"),
        (np.diag([1.0, np.nan, 1.0]), ValueError, "K: nan at row 1, column 1"),
        (np.diag([1j, 1, 1]), TypeError, "K: got dtype complex128; want real numbers"),
        (
            np.eye(3) + np.eye(3, k=1),
            ValueError,
            r"K: 1 at \(0, 1\) but 0 at \(1, 0\); want a symmetric matrix",
        ),
        (
            np.diag([1.0, 2.0, -0.5]),
            ValueError,
            "K: its smallest eigenvalue is -0.5, beyond the rounding of a float64 matrix",
        ),
        (
            [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            ValueError,
            "K: its smallest eigenvalue is -1, beyond the rounding of a float64 matrix",
        ),
    ],
)
def test_bad_kernels(K, error, message):
    with pytest.raises(error, match=message):
        lg.Problem.from_gram(K, [1, -1, 1], [0, 0, 1])


BAD_CLIENTS = {
    "none": ([], ValueError, r"clients: got none; want at least one pair"),
    "a number": (3, TypeError, r"clients: got int; want a sequence of pairs \(X_i, y_i\)"),
    "no pair": ([PAIR, [1, 2, 3]], TypeError, r"clients\[1\]: got list; want a pair"),
    "NaN": (
        [PAIR, ([[1.0, 2.0], [3.0, np.nan]], [1, 1])],
        ValueError,
        r"clients\[1\]: X: nan at row 1, column 1 \(1 such entries\); want finite numbers: drop or",
    ),
    "Inf": (
        [([[1.0, -np.inf], [np.inf, 0.0]], [1, 1])],
        ValueError,
        r"clients\[0\]: X: -inf at row 0, column 1 \(2 such entries\)",
    ),
    "NaN label": ([([[1.0]], [np.nan])], ValueError, r"clients\[0\]: y: nan at row 0"),
    "masked": (
        [(np.ma.array([[1.0, 2.0]], mask=[[True, False]]), [1])],
        ValueError,
        r"clients\[0\]: X: got masked entries; want finite numbers",
    ),
    "empty": (
        [PAIR, (np.zeros((0, 2)), [])],
        ValueError,
        r"clients\[1\]: no rows; every client needs at least one: leave it out",
    ),
    "no features": ([(np.zeros((2, 0)), [1, 1])], ValueError, r"rows have no features"),
    "fewer labels": ([(ROWS, [1, 1])], ValueError, r"clients\[0\]: 3 rows but 2 labels"),
    "flat rows": (
        [([1.0, 2.0], [1, 1])],
        ValueError,
        r"X: got an array of shape \(2,\); want 2 di",
    ),
    "label column": ([(ROWS, [[1], [1], [1]])], ValueError, r"y: got an array of shape \(3, 1\)"),
    "ragged": ([([[1.0], [1.0, 2.0]], [1, 1])], ValueError, r"X: rows of different lengths"),
    "other width": ([PAIR, ([[1.0]], [1])], ValueError, r"clients: rows of \[1, 2\] features"),
    "complex": ([([[1j]], [1])], TypeError, r"X: got dtype complex128; want real numbers"),
    "text": ([([["1"]], [1])], TypeError, r"X: got dtype <U1; want real numbers"),
    "text objects": (
        [(np.array([["1"]], dtype=object), [1])],
        TypeError,
        r"X: got dtype object; want real numbers",
    ),
    "dates": (
        [(np.array([["2020-01-01"]], dtype="M8[D]"), [1])],
        TypeError,
        r"X: got dtype datetime64\[D\]; want real numbers",
    ),
    "None": ([([[None]], [1])], ValueError, r"X: nan at row 0, column 0"),
}


@pytest.mark.parametrize("case", BAD_CLIENTS)
def test_bad_rows_and_labels(case):
    clients, error, message = BAD_CLIENTS[case]
    with pytest.raises(error, match=message):
        lg.Problem(clients)


@pytest.mark.parametrize("task", ["multiclas", "ranking"])
def test_unknown_task(task):
    with pytest.raises(ValueError, match=rf"task: got '{task}'; want one of .*'binary'"):
        lg.Problem([PAIR], task=task)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, -2], ValueError, "weights: -2 for client 1; want numbers of at least 0"),
        ([0, 0], ValueError, "weights: all are 0; want at least one above 0"),
        ([1, np.nan], ValueError, r"weights: nan at row 1 .*; want finite numbers$"),
        ([1, np.inf], ValueError, "weights: inf at row 1"),
        ([1, 2, 3], ValueError, "weights: got 3; want one for each of 2 clients"),
        ([[1, 2]], ValueError, r"weights: got an array of shape \(1, 2\); want 1 dimension"),
        (0.5, ValueError, r"weights: got an array of shape \(\); want 1 dimension"),
        ("sizes", ValueError, "weights: got 'sizes'; want one of 'samples', 'equal'"),
        (["a", "b"], TypeError, "weights: got dtype <U1; want real numbers"),
        (None, ValueError, r"weights: got an array of shape \(\); want 1 dimension"),
    ],
)
def test_bad_client_weights(weights, error, message):
    with pytest.raises(error, match=message):
        lg.Problem([PAIR, PAIR], weights=weights)
    with pytest.raises(error, match=message):
        lg.Problem([PAIR, PAIR]).with_weights(weights)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([0, 1], ValueError, r"clients: got shape \(2,\); want one id for each of the 3 rows"),
        ([0.0, 1.0, 2.0], TypeError, r"clients: got 0.0 of type float at row 0; want integers or"),
        (np.arange(3.0), TypeError, r"clients: got ids of dtype float64; want integers or strings"),
        ([1j, 1, 2], TypeError, r"clients: got 1j of type complex at row 0; want integers or str"),
        ([1, "a", 2], TypeError, r"clients: got 1 at row 0 and 'a' at row 1; .* one kind for all"),
        ([None, 1, 2], ValueError, r"clients: no id at row 0 \(None\); want one for each row"),
        (["a", "b", np.nan], ValueError, r"clients: no id at row 2 \(nan\)"),
        ([1, np.datetime64("NaT"), 2], ValueError, r"clients: no id at row 1"),
        ([[1], [2], [3]], ValueError, r"clients: got shape \(3, 1\)"),
    ],
)
def test_bad_client_ids(ids, error, message):
    with pytest.raises(error, match=message):
        lg.Problem.from_arrays(ROWS, [1, 1, 1], ids)


def string_dtype():
    kinds = getattr(np, "dtypes", None)  # from NumPy 2 on
    return kinds.StringDType() if hasattr(kinds, "StringDType") else object


SAME_IDS = {
    "list": lambda: (["b", "a", "b"], ("a", "b")),
    "tuple": lambda: ((3, 1, 3), (1, 3)),
    "strings": lambda: (np.array(["b", "a", "b"]), ("a", "b")),
    "StringDType": lambda: (np.array(["b", "a", "b"], dtype=string_dtype()), ("a", "b")),
    "bytes": lambda: (np.array([b"b", b"a", b"b"]), (b"a", b"b")),
    "objects": lambda: (np.array(["b", "a", "b"], dtype=object), ("a", "b")),
    "np.str_": lambda: ([np.str_("b"), np.str_("a"), "b"], ("a", "b")),
    "np.int64": lambda: (np.array([np.int64(3), np.int8(1), 3], dtype=object), (1, 3)),
    "bool": lambda: (np.array([True, False, True]), (False, True)),
    "np.bool_": lambda: ([np.True_, np.False_, np.True_], (False, True)),
    "uint64": lambda: (np.array([2**64 - 1, 1, 2**64 - 1], np.uint64), (1, 2**64 - 1)),
    "beyond int64": lambda: ([2**70, -1, 2**70], (-1, 2**70)),
    "beyond 2^53": lambda: ([2**53 + 1, 2**53, 2**53 + 1], (2**53, 2**53 + 1)),
    "empty text": lambda: (["b", "", "b"], ("", "b")),
}


@pytest.mark.parametrize("kind", SAME_IDS)
def test_client_ids_of_any_type(kind):
    ids, wanted = SAME_IDS[kind]()
    problem = lg.Problem.from_arrays(ROWS, [1, 1, 1], ids)
    assert problem.client_ids == wanted
    assert [type(id) for id in problem.client_ids] == [type(id) for id in wanted]
    assert problem.sizes.tolist() == [1, 2]
    assert problem.row_order.tolist() == [1, 0, 2]


def test_client_ids_of_other_libraries():
    pandas = pytest.importorskip("pandas")
    arrow = pytest.importorskip("pyarrow")
    texts, numbers = ["b", "a", "b"], [3, 1, 3]
    columns = [
        pandas.Series(texts),
        pandas.Series(texts, dtype="string"),
        pandas.Series(texts, dtype="category"),
        pandas.Series(texts, dtype=object),
        pandas.Index(texts),
        arrow.array(texts),
        arrow.chunked_array([texts[:1], texts[1:]]),
    ]
    for column in columns:
        assert lg.Problem.from_arrays(ROWS, [1, 1, 1], column).client_ids == ("a", "b")
    for column in (pandas.Series(numbers, dtype="Int64"), pandas.Series(numbers, dtype="category")):
        assert lg.Problem.from_arrays(ROWS, [1, 1, 1], column).client_ids == (1, 3)
    gaps = [
        pandas.Series(["b", None, "a"]),
        pandas.Series(["b", pandas.NA, "a"], dtype="string"),
        pandas.Series(["b", None, "a"], dtype="category"),
        pandas.Series([1, pandas.NA, 2], dtype="Int64").astype(object),
        pandas.Series([1, pandas.NaT, 2], dtype=object),
        arrow.array(["b", None, "a"]),
    ]
    for column in gaps:
        with pytest.raises(ValueError, match=r"clients: no id at row 1 \("):
            lg.Problem.from_arrays(ROWS, [1, 1, 1], column)


def test_missing_labels_and_entries_of_other_libraries():
    pandas = pytest.importorskip("pandas")
    for gap in (None, np.nan, pandas.NA, pandas.NaT, np.datetime64("NaT")):
        y = np.array([1, gap, 1], dtype=object)
        with pytest.raises(
            ValueError, match=r"y: nan at row 1 \(1 such entries\); .* drop or impute"
        ):
            lg.Problem([(ROWS, y)])
        X = np.array([[1, 2], [3, gap], [5, 6]], dtype=object)
        with pytest.raises(ValueError, match=r"X: nan at row 1, column 1 \(1 such entries\)"):
            lg.Problem([(X, [1, 1, 1])])
    for column in (
        pandas.Series([1, pandas.NA, -1], dtype="Int64"),
        pandas.Series([1, pandas.NA, -1], dtype="Float64"),
        pandas.Series([True, pandas.NA, False], dtype="boolean"),
    ):
        with pytest.raises(ValueError, match="y: nan at row 1"):
            lg.Problem([(ROWS, column)])


@pytest.mark.parametrize(("n", "d"), [(40, 6), (200, 5), (60, 300)])
@pytest.mark.parametrize(("dtype", "digits"), [("float32", 1e-5), ("float16", 1e-2)])
def test_gram_matrices_computed_in_few_digits(n, d, dtype, digits):
    X = np.random.default_rng(0).standard_normal((n, d)).astype(dtype)
    y = np.where(X[:, 0] > 0, 1, -1)
    K = X @ X.T
    problem = lg.Problem.from_gram(K, y, np.zeros(n, int))
    assert problem.n_features <= min(n, d) + (dtype == "float16") * n
    np.testing.assert_allclose(problem.X @ problem.X.T, K, atol=digits * K.max())
    # As float64 the same numbers are no Gram matrix, where rows are more than features.
    if n > d:
        with pytest.raises(ValueError, match="beyond the rounding of a float64 matrix"):
            lg.Problem.from_gram(K.astype(float), y, np.zeros(n, int))
    K[0, 1] = K[1, 0] = 2 * np.sqrt(float(K[0, 0]) * float(K[1, 1]))
    with pytest.raises(ValueError, match=f"beyond the rounding of a {dtype} matrix"):
        lg.Problem.from_gram(K, y, np.zeros(n, int))


def test_options_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        lg.Problem([PAIR], "equal")


COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "protocol 2": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def arrays_of(value):
    return {name: a for name, a in vars(value).items() if isinstance(a, np.ndarray)}


@pytest.mark.parametrize("kind", COPIES)
def test_arrays_are_read_only_in_every_copy(small_problem, kind):
    _ = small_problem.signed_rows, small_problem.row_weights, small_problem.fingerprint
    kernel = lg.Problem.from_gram(np.eye(3), [1, -1, 1], [0, 1, 1])
    for problem in (small_problem, kernel, small_problem.with_weights("samples")):
        same = COPIES[kind](problem)
        found = {**arrays_of(same), "Z": same.signed_rows, "c": same.row_weights}
        assert [name for name, array in found.items() if array.flags.writeable] == []
        assert (same.fingerprint, same.kernel) == (problem.fingerprint, problem.kernel)
        np.testing.assert_array_equal(same.signed_rows, problem.signed_rows)
        np.testing.assert_array_equal(same.row_weights, problem.row_weights)


@pytest.mark.parametrize("kind", COPIES)
def test_arrays_of_references_are_read_only_in_every_copy(small_problem, kind):
    run = lg.run(small_problem, lg.GD(1.0), rounds=100)
    best = lg.reference.max_margin(small_problem)
    asymptote = lg.reference.asymptote(small_problem)
    for value in (
        best,
        asymptote,
        lg.reference.separability(small_problem),
        lg.reference.limits(lg.Problem([([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], [1, 1, 1])])),
        lg.reference.min_norm(lg.Problem([([[1.0, 2.0]], [0.5])])),
        lg.reference.minimizer(lg.Problem([([[1.0], [2.0]], [0.5, 0.25])]), loss="squared"),
        lg.analysis.heterogeneity(small_problem),
        lg.analysis.residual(small_problem, run, best),
    ):
        same = arrays_of(COPIES[kind](value))
        assert same.keys() == arrays_of(value).keys()
        for name, array in arrays_of(value).items():
            assert not same[name].flags.writeable, (type(value).__name__, name)
            np.testing.assert_array_equal(same[name], array)


def test_a_pickle_holds_the_rows_once(small_problem):
    _ = small_problem.signed_rows
    assert len(pickle.dumps(small_problem)) < 1.2 * small_problem.X.nbytes + 3000


def test_the_fingerprint_follows_the_weights(small_problem):
    before = small_problem.fingerprint
    assert small_problem.with_weights([1, 2, 3, 4, 5]).fingerprint != before
    assert small_problem.with_weights("samples").fingerprint == before  # all have as many rows
