"""Problems of tables with columns of any kind, and new rows of such tables."""

from __future__ import annotations

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from patients import HOSPITALS, patients
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import localgd as lg
from localgd.frames import Encoder

NUMBERS, TEXTS = ["age", "pressure", "visits"], ["smoker", "sex", "diabetic"]
ROLES = {"label": "outcome", "client": "hospital", "positive": "yes"}


def dense(X):
    return X.toarray() if hasattr(X, "toarray") else X


def run_of(frame, *, rounds=50, l2=0.01, **options):
    problem = lg.Problem.from_frame(frame, **{**ROLES, **options})
    return problem, lg.run(problem, lg.LocalGD(5, "1/H"), rounds=rounds, loss="logistic", l2=l2)


def plain(frame):
    """The table with types that scikit-learn takes."""
    frame = frame.copy()
    frame["visits"] = frame["visits"].astype(float)
    for name in TEXTS:
        values = frame[name].astype(object)
        frame[name] = np.where(frame[name].isna(), None, values.map(str))
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame


def column_transformer():
    fill = SimpleImputer(strategy="most_frequent", missing_values=None)
    one_hot = OneHotEncoder(drop="if_binary", handle_unknown="ignore", sparse_output=False)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return ColumnTransformer([("n", numbers, NUMBERS), ("t", make_pipeline(fill, one_hot), TEXTS)])


def test_rows_are_those_of_scikit_learns_transformers():
    frame = patients(400)
    problem = lg.Problem.from_frame(frame, **ROLES)
    wanted = column_transformer().fit_transform(plain(frame))[problem.row_order]
    np.testing.assert_allclose(dense(problem.X), wanted.astype(float), rtol=1e-13, atol=1e-13)
    assert problem.feature_names == (
        *NUMBERS,
        *("smoker_former", "smoker_no", "smoker_yes", "sex_m", "diabetic_True"),
    )
    assert problem.client_ids == tuple(HOSPITALS)
    assert problem.labels == ("no", "yes")


def test_the_minimiser_is_the_pooled_model_of_scikit_learn():
    frame = patients(400)
    problem = lg.Problem.from_frame(frame, **ROLES)
    best = lg.reference.minimizer(problem, loss="logistic", l2=0.05)
    pipeline = make_pipeline(
        column_transformer(),
        LogisticRegression(C=1 / (0.05 * 400), fit_intercept=False, tol=1e-12, max_iter=10_000),
    ).fit(plain(frame), frame["outcome"])
    np.testing.assert_allclose(best.weights, pipeline[-1].coef_[0], atol=1e-7)


@pytest.mark.parametrize("library", ["arrow", "pandas of arrow", "polars"])
def test_tables_of_other_libraries_make_the_same_rows(library):
    frame = patients(200)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if library == "pandas of arrow":
        table = table.to_pandas(types_mapper=pd.ArrowDtype)
    if library == "polars":
        table = pytest.importorskip("polars").from_arrow(table)
    one, other = (lg.Problem.from_frame(f, **ROLES) for f in (frame, table))
    np.testing.assert_array_equal(dense(one.X), dense(other.X))
    np.testing.assert_array_equal(one.y, other.y)
    assert one.feature_names == other.feature_names
    assert one.client_ids == other.client_ids


def test_new_rows_go_the_same_way_in_any_order_of_columns_and_types():
    frame = patients(500)
    train, new = frame.iloc[:400], frame.iloc[400:]
    problem, run = run_of(train)
    scores = run.decision_function(new)
    rows = column_transformer().fit(plain(train)).transform(plain(new)).astype(float)
    np.testing.assert_allclose(scores, rows @ run.weights, rtol=1e-12)
    other = new[[*reversed(TEXTS), *NUMBERS]].astype({"visits": float, "sex": str})
    np.testing.assert_array_equal(run.decision_function(other), scores)
    assert set(run.predict(new)) == {"no", "yes"}
    np.testing.assert_array_equal(run.decision_function(rows), rows @ run.weights)
    named = pd.DataFrame(rows, columns=problem.feature_names)
    np.testing.assert_array_equal(run.decision_function(named), rows @ run.weights)


def test_a_saved_run_predicts_of_tables_with_the_same_bits(tmp_path):
    frame = patients(300)
    _, run = run_of(frame)
    again = lg.load(run.save(tmp_path / "run.npz"))
    np.testing.assert_array_equal(again.predict_proba(frame), run.predict_proba(frame))
    state = run.config["problem"]["encoder"]
    assert json.loads(json.dumps(state)) == state
    assert Encoder.from_state(state).state() == state


def test_what_is_derived_from_a_problem_keeps_the_encoder():
    problem = lg.Problem.from_frame(patients(100), **ROLES)
    for other in (problem.with_weights("equal"), pickle.loads(pickle.dumps(problem))):
        assert other.encoder.state() == problem.encoder.state()
    assert lg.Problem([([[1.0], [2.0]], [1, -1])]).encoder is None


def test_the_held_out_table_is_measured_as_its_rows_are():
    frame = patients(500)
    train, new = frame.iloc[:400], frame.iloc[400:]
    problem = lg.Problem.from_frame(train, **ROLES)
    options = {"rounds": 20, "loss": "logistic", "l2": 0.01}
    runs = [
        lg.run(problem, lg.GD("1/H"), test=test, **options)
        for test in (new, (new, new["outcome"]), (problem.encoder.encoded("X", new), new.outcome))
    ]
    assert {run.history["test_auc"][-1] for run in runs} == {runs[0].history["test_auc"][-1]}


def test_evaluate_takes_labels_and_clients_from_the_table():
    frame = patients(600)
    train, new = frame.iloc[:400], frame.iloc[400:]
    problem, run = run_of(train)
    found = lg.evaluate(run, new, train=problem, bootstrap=0)
    assert found.models == ("federated", "pooled", "own")
    assert found.columns["client"][3::3].tolist() == HOSPITALS
    rows = problem.encoder.encoded("X", new)
    by_hand = lg.evaluate(
        run, rows, new["outcome"], clients=new["hospital"], train=train, bootstrap=0
    )
    np.testing.assert_array_equal(found.columns["auc"], by_hand.columns["auc"])
    alone = lg.evaluate(run, train, bootstrap=0)
    np.testing.assert_array_equal(alone.scores["federated"], run.decision_function(train))


@pytest.mark.parametrize(
    ("values", "positive", "labels"),
    [
        (["yes", "no", "no"], "no", ("yes", "no")),
        ([True, False, True], None, (False, True)),
        ([True, False, True], False, (True, False)),
        ([0, 1, 1], None, (0, 1)),
        ([0, 1, 1], 0, (1, 0)),
        (pd.Categorical(["ill", "well", "ill"]), "ill", ("well", "ill")),
        (pd.array([1, 0, 1], dtype="Int64"), None, (0, 1)),
        (pd.array([True, False, True], dtype="boolean"), None, (False, True)),
    ],
)
def test_labels_of_all_kinds(values, positive, labels):
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0], "y": values})
    problem = lg.Problem.from_frame(frame, label="y", client=["a", "a", "b"], positive=positive)
    assert problem.labels == labels
    run = lg.run(problem, lg.GD(0.5), rounds=3)
    assert set(run.predict(frame)) <= set(labels)


def test_numbers_as_labels_and_classes():
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0], "y": [0.5, 1.5, 2.0], "c": list("abc")})
    assert lg.Problem.from_frame(frame, label="y", client="c").task == "regression"
    assert lg.Problem.from_frame(frame, label="c").labels == ("a", "b", "c")


def test_columns_of_codes_may_be_named_as_categories():
    frame = pd.DataFrame(
        {"zip": [8000, 9000, None, 7000], "x": [1.0, 2, 3, 4], "y": [0, 1, 1, 0], "c": [1, 1, 2, 2]}
    )
    problem = lg.Problem.from_frame(frame, label="y", client="c", categorical=["zip"])
    assert problem.feature_names == ("x", "zip_7000", "zip_8000", "zip_9000")
    run = lg.run(problem, lg.GD(0.5), rounds=3)
    as_texts = frame.assign(zip=["8000", "9000", None, "7000"])
    np.testing.assert_array_equal(run.decision_function(frame), run.decision_function(as_texts))


def test_weights_of_rows_are_a_column():
    frame = patients(100).assign(v=np.linspace(1, 2, 100))
    by_name = lg.Problem.from_frame(frame, sample_weight="v", **ROLES)
    given = lg.Problem.from_frame(frame.drop(columns="v"), sample_weight=frame["v"], **ROLES)
    np.testing.assert_array_equal(by_name.sample_weight, given.sample_weight)
    assert "v" not in by_name.feature_names


def test_the_rows_of_a_table_are_dealt_where_no_column_names_clients():
    frame = patients(300).drop(columns="hospital")
    held = lg.Problem.from_frame(frame, label="outcome", positive="yes")
    assert held.n_clients == 1
    options = {"n_clients": 7, "scheme": lg.Dirichlet(0.3), "seed": 4}
    problem = lg.partition(held, **options)
    rows = held.encoder.encoded("X", frame)
    wanted = lg.partition(rows, frame["outcome"], **options)
    np.testing.assert_array_equal(dense(problem.X), dense(wanted.X))
    np.testing.assert_array_equal(problem.row_order, wanted.row_order)
    assert problem.labels == ("no", "yes")
    assert problem.feature_names == held.feature_names
    run = lg.run(problem, lg.GD("1/H"), rounds=5, loss="logistic")
    np.testing.assert_allclose(run.decision_function(frame), rows @ run.weights, rtol=1e-12)


def test_rows_are_dealt_with_labels_only():
    with pytest.raises(TypeError, match="y: got None; want a label for each row"):
        lg.partition(np.eye(4))


def test_a_problem_is_dealt_anew_as_the_rows_it_was_made_from():
    frame = patients(300)
    options = {"intercept": "column", "class_weight": "balanced"}
    held = lg.Problem.from_frame(frame, **ROLES, **options)
    anew = lg.partition(held, n_clients=5, seed=2)
    rows = held.encoder.encoded("X", frame)
    wanted = lg.partition(rows, frame["outcome"], n_clients=5, seed=2, **options)
    np.testing.assert_array_equal(anew.X, wanted.X)
    np.testing.assert_array_equal(anew.row_order, wanted.row_order)
    np.testing.assert_array_equal(anew.sample_weight, wanted.sample_weight)
    with pytest.raises(ValueError, match="y: got it beside a problem, which has its own"):
        lg.partition(held, frame["outcome"])
    kernel = lg.Problem.from_gram(np.eye(3), [1, -1, 1], [0, 0, 1])
    with pytest.raises(lg.UnsupportedError, match="X: got a kernel problem"):
        lg.partition(kernel, n_clients=2)


def test_many_categories_make_sparse_rows_that_predict_the_same():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "ward": rng.choice([f"w{k}" for k in range(60)], 500),
            "x": rng.standard_normal(500),
            "y": rng.integers(0, 2, 500),
        }
    )
    problem = lg.Problem.from_frame(frame, label="y", client=np.arange(500) % 5)
    assert problem.sparse
    assert problem.n_features == 61
    run = lg.run(problem, lg.GD(0.5), rounds=5)
    np.testing.assert_allclose(
        run.decision_function(frame)[problem.row_order], problem.X @ run.weights, rtol=1e-12
    )


def test_categories_that_did_not_occur_are_said():
    frame = patients(300)
    _, run = run_of(frame)
    new = patients(50, seed=1)
    other = new.assign(smoker=new["smoker"].where(new.index > 2, "sometimes"))
    with pytest.warns(
        UserWarning, match=r"X: column 'smoker' holds 'sometimes' in 3 rows, which d"
    ) as w:
        scores = run.decision_function(other)
    assert len(w) == 1
    of_smoker = slice(3, 6)
    rows = Encoder.from_state(run.config["problem"]["encoder"]).encoded("X", new)
    rows[:3, of_smoker] = 0
    np.testing.assert_allclose(scores, rows @ run.weights)
    other = new.assign(sex="x")
    with pytest.warns(UserWarning, match="'sex' holds 'x' in 50 rows, .* counted as 'f'"):
        scores = run.decision_function(other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(scores, run.decision_function(new.assign(sex="f")))


def test_gaps_are_refused_where_nothing_fills_them():
    frame = patients(200)
    with pytest.raises(
        ValueError,
        match=r"frame: no value in column 'age' \(\d+ rows\), .*; want impute='median', or only "
        r"rows with all values, such as those of dropna\(subset=\['age', ",
    ):
        lg.Problem.from_frame(frame, impute=None, **ROLES)
    _, run = run_of(frame.dropna(), impute=None)
    with pytest.raises(ValueError, match="X: no value in column 'age'"):
        run.predict(frame)


BASE = pd.DataFrame({"x": [1.0, 2.0, 4.0], "y": ["yes", "no", "no"], "c": [1, 1, 2]})
CALL = {"label": "y", "client": "c"}
REFUSED = {
    "label": (
        BASE,
        {"label": "Y"},
        ValueError,
        r"label: there is no column 'Y'; did you mean 'y'\?",
    ),
    "label as values": (
        BASE,
        {"label": pd.Series([1, 2])},
        TypeError,
        r"label: got Series; want the name of a column, which frame\.assign\(name=values\) adds",
    ),
    "file": ("rows.csv", {}, TypeError, "frame: got str; want a table .* pandas.read_csv gives"),
    "client": (
        BASE,
        {"client": "hospital"},
        ValueError,
        "client: there is no column 'hospital'; want one of 'x', 'y', 'c'",
    ),
    "positive": (
        BASE,
        {"positive": "Yes"},
        ValueError,
        r"positive: there is no label 'Yes' in column 'y'; did you mean 'yes'\?",
    ),
    "positive of three": (
        BASE.assign(y=list("abc")),
        {"positive": "a"},
        ValueError,
        "column 'y' has 3 labels; want two",
    ),
    "positive and labels": (
        BASE,
        {"positive": "yes", "labels": ["no", "yes"]},
        ValueError,
        "positive, labels: got both",
    ),
    "no label": (
        BASE.assign(y=["yes", None, "no"]),
        {},
        ValueError,
        r"label: column 'y' has no label in 1 of 3 rows, first in row 1; .*dropna\(sub",
    ),
    "no id": (
        BASE.assign(c=[1, None, 2]),
        {},
        ValueError,
        "client: column 'c' has no id in 1 of 3 rows, first in row 1",
    ),
    "ids": (
        BASE.assign(c=[0.5, 1, 2]),
        {},
        TypeError,
        "client: column 'c' holds float64; want integers or texts",
    ),
    "texts": (
        BASE.assign(t=list("abc")),
        {"categorical": None},
        TypeError,
        "frame: column 't' holds texts such as 'a'; want numbers, categorical='onehot'",
    ),
    "mixed": (
        BASE.assign(t=[1, 2, "unknown"]),
        {},
        TypeError,
        "frame: column 't' holds numbers such as 1 and texts such as 'unknown'; want one kind",
    ),
    "times": (
        BASE.assign(t=pd.date_range("2020", periods=3)),
        {},
        TypeError,
        r"frame: column 't' holds times \(datetime64.*want numbers, such as days",
    ),
    "lists": (BASE.assign(t=[[1], [2], [3]]), {}, TypeError, "frame: column 't': unhashable"),
    "complex": (
        BASE.assign(t=[1j, 2, 3]),
        {},
        TypeError,
        "frame: column 't': got dtype complex128",
    ),
    "infinite": (BASE.assign(x=[1, np.inf, 2]), {}, ValueError, "frame: column 'x': inf at row 1"),
    "empty": (BASE.assign(t=np.nan), {}, ValueError, "frame: column 't' has no value in any row"),
    "twice": (
        pd.concat([BASE, BASE[["x"]]], axis=1),
        {},
        ValueError,
        "frame: two columns are named 'x'",
    ),
    "names": (BASE.rename(columns={"x": 0.5}), {}, TypeError, "frame: got a column named 0.5"),
    "no features": (BASE[["y", "c"]], {}, ValueError, "frame: no column is left for features"),
    "categorical": (
        BASE,
        {"categorical": ["X"]},
        ValueError,
        r"categorical: there is no column 'X'; did you mean 'x'\?",
    ),
    "encoding": (
        BASE,
        {"categorical": "one-hot"},
        ValueError,
        r"categorical: got 'one-hot'; .*: did you mean 'onehot'\?",
    ),
    "encoding's kind": (
        BASE,
        {"categorical": 3},
        TypeError,
        "categorical: got 3; want 'onehot', None, or the names",
    ),
    "impute": (
        BASE,
        {"impute": "mode"},
        ValueError,
        "impute: got 'mode'; want one of 'median', 'mean', 'most_frequent'",
    ),
    "scale": (BASE, {"scale": "minmax"}, ValueError, "scale: got 'minmax'; want one of 'standard'"),
    "weights": (
        BASE.assign(v=[1.0, np.nan, 1]),
        {"sample_weight": "v"},
        ValueError,
        "sample_weight: column 'v': nan at row 1",
    ),
    "table": ([[1.0]], {}, TypeError, "frame: got list; want a table of pandas, polars or Arrow"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_column_and_the_cure(name):
    frame, options, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        lg.Problem.from_frame(frame, **{**CALL, **options})


def test_a_column_of_names_or_of_numbers_as_texts_is_refused():
    frame = patients(200)
    with pytest.raises(
        ValueError, match=r"column 'id' holds 200 different texts in 200 rows; want a table w.*=…"
    ):
        lg.Problem.from_frame(frame.assign(id=[f"p{k}" for k in range(200)]), **ROLES)
    texts = [str(k / 7) for k in range(199)] + ["1.O"]
    message = r"'t' holds .* want numbers in place of texts, .* \('1\.O' is none\)"
    with pytest.raises(ValueError, match=message):
        lg.Problem.from_frame(frame.assign(t=texts), **ROLES)
    codes = frame.assign(t=[str(k % 21) for k in range(200)])
    with pytest.raises(ValueError, match=r"'t' holds 21 .* or to find it named in categorical=…"):
        lg.Problem.from_frame(codes, **ROLES)
    assert "t_7" in lg.Problem.from_frame(codes, **ROLES, categorical=["t"]).feature_names
    fewer = frame.assign(t=[str(k % 20) for k in range(200)])
    assert "t_7" in lg.Problem.from_frame(fewer, **ROLES).feature_names


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (
            lambda f: f.rename(columns={"age": "Age"}),
            ValueError,
            "X: there is no column 'age', which the model was trained with: did you mean 'Age'",
        ),
        (
            lambda f: f.assign(age=["old", *["61"] * 49]),
            TypeError,
            "X: column 'age' holds 'old'; want numbers, as it held",
        ),
        (lambda f: f.assign(age=np.inf), ValueError, "X: column 'age': inf at row 0"),
        (
            lambda f: f.iloc[0],
            ValueError,
            r"X: got one row; want a table of it, such as frame.iloc",
        ),
    ],
)
def test_new_rows_that_do_not_fit_are_refused(change, kind, message):
    _, run = run_of(patients(200))
    with pytest.raises(kind, match=message):
        run.predict(change(patients(50, seed=1)))
    run.predict(patients(50, seed=1).assign(age=None))  # all of them are filled


def test_a_label_that_is_not_in_the_table_is_said_by_evaluate():
    frame = patients(200)
    _, run = run_of(frame)
    with pytest.raises(ValueError, match="label: there is no column 'outcome'"):
        lg.evaluate(run, frame.drop(columns="outcome"))


@pytest.mark.parametrize("intercept", [None, "column"])
def test_a_network_predicts_of_tables(intercept):
    frame = patients(200)
    problem = lg.Problem.from_frame(frame, **ROLES, intercept=intercept)
    run = lg.run(problem, lg.GD(0.1), rounds=5, loss="logistic", model=lg.TwoLayer(hidden=4))
    scores = run.decision_function(frame.iloc[problem.row_order])
    np.testing.assert_allclose(problem.y @ scores, problem.y @ run.model._scores(problem.X))
    np.testing.assert_array_equal(
        run.predict(frame.iloc[problem.row_order]) == problem.labels[1], scores >= 0
    )
