"""Labels as people have them: which numbers they become, and where the user's come back."""

import warnings

import numpy as np
import pytest

import localgd as lg

X = np.arange(12.0).reshape(6, 2) - 5


def problem_of(y, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return lg.Problem([(X[: len(y)], y)], **options)


TWO = {
    "0 and 1": ([0, 1, 1], (0, 1)),
    "1 and 2": ([2, 1, 1], (1, 2)),
    "signs": ([1, -1, 1], (-1, 1)),
    "one sign": ([1, 1, 1], (-1, 1)),
    "floats": ([0.0, 1.0, 0.0], (0.0, 1.0)),
    "bool": ([True, False, True], (False, True)),
    "one bool": ([False, False], (False, True)),
    "texts": (["no", "yes", "no"], ("no", "yes")),
    "uint8": (np.array([1, 0, 1], np.uint8), (0, 1)),
    "ones of uint8": (np.array([1, 1], np.uint8), (-1, 1)),
    "bytes": (np.array([b"no", b"yes"]), ("no", "yes")),
    "array of texts": (np.array(["b", "a"]), ("a", "b")),
    "objects": (np.array([0, 1, 0], dtype=object), (0, 1)),
    "bool objects": (np.array([False, True], dtype=object), (False, True)),
    "numbers as texts": (["1", "-1"], ("-1", "1")),
}


@pytest.mark.parametrize("case", TWO)
def test_two_labels(case):
    y, labels = TWO[case]
    for problem in (problem_of(y), problem_of(y, task="binary")):
        assert problem.task == "binary"
        assert problem.labels == labels
        assert [type(label) for label in problem.labels] == [type(label) for label in labels]
        values = [v.decode() if isinstance(v, bytes) else v for v in np.asarray(y).tolist()]
        assert problem.y.tolist() == [(-1, 1)[labels.index(value)] for value in values]


def test_two_other_integers_are_guessed_and_said():
    with pytest.warns(
        UserWarning, match=r"^y: took the labels 3 and 8 for two classes, -1 "
    ) as said:
        problem = lg.Problem([(X[:3], [8, 3, 8])])
    assert (problem.task, problem.labels, problem.y.tolist()) == ("binary", (3, 8), [1, -1, 1])
    calls = (
        lambda: lg.Problem.from_arrays(X[:2], [3, 8], [0, 1]),
        lambda: lg.partition(X[:2], [3, 8], n_clients=2),
        lambda: lg.Problem.from_gram(np.eye(2), [3, 8], [0, 1]),
    )
    for call in calls:
        with pytest.warns(UserWarning) as more:
            call()
        said.list.extend(more)
    assert {warning.filename for warning in said} == {__file__}
    for task in ("binary", "regression", "multiclass"):
        assert problem_of([3, 8], task=task).task == task
    assert problem_of([3, 8], labels=[3, 8]).y.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("y", "task", "labels", "codes"),
    [
        (["b", "c", "a", "b"], None, ("a", "b", "c"), [1, 2, 0, 1]),
        ([2, 0, 1], None, (0, 1, 2), [2, 0, 1]),
        ([7, 3, 12], "multiclass", (3, 7, 12), [1, 0, 2]),
        ([4, 0, 0], "multiclass", (0, 4), [1, 0, 0]),
        ([1, -1, 0], "multiclass", (-1, 0, 1), [2, 0, 1]),
        ([1, -1], "multiclass", (-1, 1), [1, 0]),
        ([1.0, 2.0, 4.0], "multiclass", (1.0, 2.0, 4.0), [0, 1, 2]),
        ([True, False], "multiclass", (False, True), [1, 0]),
        (["b", "a"], "multiclass", ("a", "b"), [1, 0]),
    ],
)
def test_several_classes(y, task, labels, codes):
    problem = problem_of(y, task=task)
    assert (problem.task, problem.labels, problem.n_classes) == (
        "multiclass",
        labels,
        len(labels),
    )
    assert problem.y.tolist() == codes


def test_labels_may_be_given_in_their_order():
    problem = problem_of(["ill", "well", "ill"], labels=["well", "ill"])
    assert (problem.labels, problem.y.tolist()) == (("well", "ill"), [1, -1, 1])
    assert problem_of(["ill"], labels=["well", "ill"]).y.tolist() == [1]
    problem = problem_of([4, 0, 0], labels=range(5))
    assert (problem.task, problem.n_classes, problem.weights_shape) == ("multiclass", 5, (2, 5))
    assert problem.y.tolist() == [4, 0, 0]
    assert problem_of([1, 0], labels=[0, 1], task="multiclass").weights_shape == (2, 2)


@pytest.mark.parametrize(
    ("y", "options", "error", "message"),
    [
        ([0, 2], {"labels": [0, 1]}, ValueError, "y: label 2 at row 1; the problem has 0, 1"),
        ([0, 1], {"labels": [0, 1, 0]}, ValueError, r"labels: got \[0, 1, 0\]; want each label o"),
        ([0], {"labels": [0]}, ValueError, "labels: every label is 0; want at least two classes"),
        ([0, 1], {"labels": 3}, ValueError, r"labels: got an array of shape \(\); want 1 dim"),
        ([0, 1], {"labels": [0, 1], "task": "regression"}, ValueError, "labels: the task is regr"),
        (
            [0, 1],
            {"labels": [0, 1, 2], "task": "binary"},
            ValueError,
            r"labels: 3 distinct labels in all \(0, 1, 2\); want two for a binary task",
        ),
        ([1, 2, 3], {}, ValueError, "y: integer label 2 at row 1, 3 distinct labels in all; want "),
        (
            [0, 1, 3],
            {},
            ValueError,
            "integer label 0 .* or task='multiclass' for classes, or task=",
        ),
        ([-2, 0, 1], {}, ValueError, "y: integer label -2 at row 0"),
        ([0, 0, 0], {}, ValueError, "y: integer label 0 at row 0, 1 distinct label in all"),
        ([0, 0], {"task": "binary"}, ValueError, "y: every label is 0; want at least two classes"),
        (["a", "a"], {}, ValueError, "y: every label is 'a'; want at least two classes"),
        ([1, 2, 3], {"task": "binary"}, ValueError, r"y: 3 distinct labels in all \(1, 2, 3\); wa"),
        ([0, 1.5], {"task": "multiclass"}, ValueError, "y: label 1.5 at row 1 of a multiclass ta"),
        (["a", "b"], {"task": "regression"}, TypeError, "y: got 'a' at row 0; want numbers for t"),
        (["a", 1], {}, TypeError, r"clients\[0\]: y: got 'a' at row 0 and 1 at row 1; want numb"),
        (["a", None], {}, ValueError, r"clients\[0\]: y: nan at row 1 \(1 such entries\)"),
        (np.array([b"\xff", b"a"]), {}, ValueError, "label b'.xff' is not UTF-8 text"),
        (np.array(["2020"], "M8[Y]"), {}, TypeError, "y: got dtype datetime64.Y.; want numbers"),
        ([1j, 1], {}, TypeError, "y: got dtype complex128; want numbers, booleans or texts"),
        ([{1}, {2}], {}, TypeError, "y: unhashable type: .set.; want numbers, boole"),
    ],
)
def test_labels_that_are_refused(y, options, error, message):
    with pytest.raises(error, match=message):
        problem_of(y, **options)


def test_too_many_classes_are_ids():
    y = np.arange(10_001)
    with pytest.raises(ValueError, match=r"10,001 distinct labels in all of a multiclass task; wa"):
        lg.Problem([(np.ones((len(y), 1)), y)], task="multiclass")


def test_clients_have_labels_of_one_kind():
    problem = lg.Problem([(X[:2], ["no", "yes"]), (X[2:3], np.array(["no"]))])
    assert problem.y.tolist() == [-1, 1, -1]
    with pytest.raises(TypeError, match="client 0 has texts as labels and client 1 numbers"):
        lg.Problem([(X[:2], ["no", "yes"]), (X[2:4], [0, 1])])


def test_labels_of_other_libraries():
    pandas = pytest.importorskip("pandas")
    arrow = pytest.importorskip("pyarrow")
    texts = ["no", "yes", "no"]
    columns = [
        pandas.Series(texts),
        pandas.Series(texts, dtype="category"),
        pandas.Series(texts, dtype="string"),
        pandas.Series(texts, dtype=object),
        arrow.array(texts),
        arrow.array(texts).dictionary_encode(),
        arrow.chunked_array([texts[:1], texts[1:]]),
    ]
    for column in columns:
        problem = problem_of(column)
        assert (problem.labels, problem.y.tolist()) == (("no", "yes"), [-1, 1, -1])
    for column in (
        pandas.Series([False, True, False]),
        pandas.Series([False, True, False], dtype="boolean"),
        pandas.Series([False, True, False], dtype="category"),
        arrow.array([False, True, False]),
    ):
        problem = problem_of(column)
        assert (problem.labels, problem.y.tolist()) == ((False, True), [-1, 1, -1])
    assert problem_of(pandas.Series([3, 4, 3], dtype="Int64"), task="binary").labels == (3, 4)


@pytest.mark.parametrize(
    ("y", "shown"),
    [
        ([0, 1, 1], "binary (0 -1, 1 +1)"),
        (["no", "yes", "no"], "binary ('no' -1, 'yes' +1)"),
        (["a", "b", "c"], "3 classes ('a', 'b', 'c')"),
        ([1, -1, 1], "binary"),
        ([0, 1, 2], "3 classes"),
    ],
)
def test_what_a_problem_says_of_its_labels(y, shown):
    assert repr(problem_of(y)) == f"Problem({shown}: 1 clients, 3 rows (3 per client), 2 features)"


def test_runs_do_not_depend_on_what_labels_are_called():
    signs = problem_of([-1, 1, 1, -1, 1, 1])
    for y in (["no", "yes", "yes", "no", "yes", "yes"], [0, 1, 1, 0, 1, 1]):
        problem = problem_of(y)
        assert problem.fingerprint == signs.fingerprint
        run = lg.run(problem, lg.GD(0.1), rounds=10)
        np.testing.assert_array_equal(run.weights, lg.run(signs, lg.GD(0.1), rounds=10).weights)


@pytest.mark.parametrize(
    ("y", "options"),
    [
        (["no", "yes", "yes", "no", "no", "yes"], {}),
        (["no", "yes", "yes", "no", "no", "yes"], {"labels": ["yes", "no"]}),
        ([True, False, True, False, True, True], {}),
        ([0, 1, 1, 0, 0, 1], {"intercept": "column"}),
        (["c", "b", "a", "a", "b", "c"], {}),
        ([3, 7, 12, 3, 7, 12], {"task": "multiclass"}),
        ([0.5, 1.5, 1.0, 2.0, 0.0, 3.0], {}),
    ],
)
def test_the_users_labels_come_back(y, options, tmp_path):
    rows = np.random.default_rng(1).standard_normal((6, 20))
    problem = lg.partition(rows, y, n_clients=2, **options)
    loss = {"binary": "logistic", "multiclass": "softmax", "regression": "squared"}[problem.task]
    run = lg.run(problem, lg.GD(0.3), rounds=3000, loss=loss, test=(rows, y))
    for one in (run, lg.load(run.save(tmp_path / "run.npz"))):
        found = one.predict(rows)
        if problem.task == "regression":
            np.testing.assert_allclose(found, y, rtol=1e-3, atol=1e-3)
            continue
        assert found.tolist() == y
        assert found.dtype.kind == np.array(y).dtype.kind
        likely = one.predict_proba(rows).argmax(axis=1)
        assert [problem.labels[k] for k in likely] == y
    column, perfect = ("test_loss", 0) if loss == "squared" else ("test_accuracy", 1)
    assert run.history[column][-1] == pytest.approx(perfect, abs=1e-4)


def test_unknown_labels_of_test_rows_are_named():
    problem = problem_of(["no", "yes", "no"])
    with pytest.raises(
        ValueError, match="test: y: label 'maybe' at row 1; the problem has 'no', 'y"
    ):
        lg.run(problem, lg.GD(0.1), rounds=1, test=(X[:2], ["no", "maybe"]))
    with pytest.raises(ValueError, match="test: y: label 0 at row 0; the problem has 'no', 'yes'"):
        lg.run(problem, lg.GD(0.1), rounds=1, test=(X[:1], [0]))
    of_numbers = problem_of([0, 1, 0])
    for y in ([0, 1], [0.0, 1.0], [False, True]):
        lg.run(of_numbers, lg.GD(0.1), rounds=1, test=(X[:2], y))


def test_class_weights_are_of_the_users_labels():
    y = ["no", "yes", "no", "no"]
    problem = problem_of(y, class_weight={"yes": 3.0})
    assert problem.sample_weight.tolist() == [1, 3, 1, 1]
    assert problem_of(y, class_weight="balanced").sample_weight.tolist() == [2 / 3, 2, 2 / 3, 2 / 3]
    assert problem_of([0, 1], class_weight={0: 2}).sample_weight.tolist() == [2, 1]
    assert problem_of([5, 7, 9], class_weight={7: 2}, task="multiclass").sample_weight.tolist() == [
        1,
        2,
        1,
    ]
    with pytest.raises(ValueError, match=r"there is no label -1; want some of \['no', 'yes'\]"):
        problem_of(y, class_weight={-1: 2})
    with pytest.raises(ValueError, match=r"class_weight\['no'\]: got -1; want a finite number of"):
        problem_of(y, class_weight={"no": -1})
