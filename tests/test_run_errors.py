"""Arguments that make no sense: refused before work starts, with what came and is wanted.

``run``, ``fast_forward`` and ``sweep`` refuse the same ones with the same words.
"""

import inspect

import numpy as np
import pytest

import localgd as lg
from localgd.preparation import prepare

BAD_ARGUMENTS = [
    ("rounds", -1, ValueError, "rounds: got -1; want an integer of at least 0"),
    ("rounds", 1.5, ValueError, "rounds: got 1.5; want an integer of at least 0"),
    ("rounds", True, TypeError, "rounds: got True; want an integer"),
    ("rounds", "10", TypeError, "rounds: got '10'; want an integer"),
    ("rounds", None, TypeError, "rounds: got None; want an integer"),
    ("rounds", np.inf, ValueError, "rounds: got inf; want an integer"),
    ("rounds", np.nan, ValueError, "rounds: got nan; want an integer"),
    ("loss", "hinge", ValueError, "loss: got 'hinge'; want one of 'exponential', 'logistic', 'sq"),
    ("loss", 3, TypeError, "loss: got 3; want one of 'exponential'"),
    ("model", "relu", TypeError, "model: got 'relu'; want TwoLayer"),
    ("engine", "gpu", ValueError, "engine: got 'gpu'; want one of 'auto', 'gram', 'hybrid', 'pri"),
    ("engine", None, TypeError, "engine: got None; want one of 'auto'"),
    ("dtype", "float16", ValueError, "dtype: got 'float16'; want one of 'float64', 'float32'"),
    ("dtype", int, ValueError, "dtype: got 'int64'; want one of 'float64', 'float32'"),
    ("dtype", "double precision", TypeError, "dtype: got 'double precision'; want 'float64' or"),
    ("init", np.zeros(29), ValueError, "init: got 29 numbers; want 30, one per feature"),
    ("init", np.zeros((30, 1)), ValueError, r"init: got an array of shape \(30, 1\); want 1 dim"),
    ("init", [np.nan] * 30, ValueError, r"init: nan at row 0 \(30 such entries\); want finite num"),
    ("init", ["a"] * 30, TypeError, "init: got dtype <U1; want real numbers"),
    ("reference", np.ones(31), ValueError, "reference: got 31 numbers; want 30, one per feature"),
    ("reference", np.zeros(30), ValueError, "reference: all numbers are 0; want a direction"),
    ("reference", [np.inf] * 30, ValueError, "reference: inf at row 0"),
    (
        "reference",
        "best",
        TypeError,
        r"reference: got 'best'; want weights, or what reference\.max",
    ),
    ("threads", 0, ValueError, "threads: got 0; want an integer of at least 1"),
    ("threads", 1.5, ValueError, "threads: got 1.5; want an integer of at least 1"),
    ("threads", "all", TypeError, "threads: got 'all'; want an integer of at least 1"),
    ("seed", -1, ValueError, "seed: got -1; want an integer of at least 0"),
    ("seed", None, TypeError, "seed: got None; want an integer of at least 0"),
    ("memory_limit", 0, ValueError, "memory_limit: got 0; want an integer of at least 1"),
    ("memory_limit", "4 GB", TypeError, "memory_limit: got '4 GB'; want an integer of at least 1"),
    ("checkpoint", 3, TypeError, "checkpoint: got 3; want a path"),
    ("checkpoint_seconds", -1, ValueError, "checkpoint_seconds: got -1; want a finite number of "),
    ("record", [11], ValueError, "record: want rounds, integers from 0 to 10; got 11 to 11"),
    ("record", [0.5], ValueError, "record: want rounds, integers from 0 to 10; got 0.5 to 0.5"),
    ("record", [np.nan], ValueError, r"record: nan at row 0 \(1 such entries\); want finite numb"),
    ("record", "all", TypeError, "record: got dtype <U3; want real numbers"),
    ("keep_weights", 1, TypeError, "keep_weights: got 1; want True or False"),
    ("every_step", None, TypeError, "every_step: got None; want True or False"),
    ("progress", 3, TypeError, "progress: got 3; want True, False or a callable"),
    ("test", 3, TypeError, r"test: got int; want a pair \(X, y\)"),
    ("test", (np.ones((2, 3)), [1, -1]), ValueError, "test: X: got rows of 3 features; want 30"),
    ("asymptote", np.ones(30), TypeError, "asymptote: got ndarray; want the result of reference."),
    ("l2", -1, ValueError, "l2: got -1; want a finite number of at least 0"),
    ("l2", None, TypeError, "l2: got None; want a finite number of at least 0"),
    (
        "stop",
        {"size": 1.0},
        ValueError,
        "stop: there is no column 'size'; want loss, log_loss, margin, norm",
    ),
    ("stop", 1e-8, TypeError, "stop: got 1e-08; want a mapping of columns to numbers, or a func"),
    ("measures", [len], TypeError, r"measures: got \[.*\]; want a mapping of names to functions"),
    ("measures", {"loss": len}, ValueError, "measures: 'loss' is a column already; want another"),
    ("callback", 1, TypeError, "callback: got 1; want a function of a record"),
]
# Which fast_forward takes.
MANY_ROUNDS = [
    ("rounds", 1e100, ValueError, r"rounds: got 1e\+100; .* step by step; see .*fast_forward"),
    ("rounds", 10**400, ValueError, r"rounds: got a number above 1e300; want at most 2\*\*53"),
]
SHARED = inspect.signature(prepare).parameters.keys() - {"problem", "method", "far"}


def takes(function, name):
    return name in inspect.signature(function).parameters


@pytest.fixture
def never():
    """A learning rate that must not be asked for."""

    def lr(k):
        raise AssertionError("the run has begun")

    return lr


@pytest.mark.parametrize(("name", "value", "error", "message"), BAD_ARGUMENTS + MANY_ROUNDS)
def test_run_and_sweep_refuse(small_problem, never, name, value, error, message):
    arguments = {"rounds": 10, name: value}
    with pytest.raises(error, match=message) as refused:
        lg.run(small_problem, lg.GD(lr=never), **arguments)
    if name in ("keep_weights", "checkpoint", "checkpoint_seconds"):  # of single runs
        return
    if name in ("progress", "callback"):  # of the sweep, not of its runs
        with pytest.raises(error, match=message):
            lg.sweep(small_problem, lg.GD(lr=never), **arguments)
        return
    table = lg.sweep(small_problem, [lg.GD(lr=never), lg.LocalSGD(1, never, 2)], **arguments)
    assert [entry.status for entry in table] == ["failed", "failed"]
    assert {entry.message for entry in table} == {str(refused.value)}


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [row for row in BAD_ARGUMENTS if takes(lg.fast_forward, row[0])],
)
@pytest.mark.parametrize("loss", ["exponential", "squared"])
def test_fast_forward_refuses(small_problem, never, name, value, error, message, loss):
    arguments = {"rounds": 10, "loss": loss, name: value}
    with pytest.raises(error, match=message) as refused:
        lg.fast_forward(small_problem, lg.GD(lr=never), **arguments)
    with pytest.raises(error) as of_run:
        lg.run(small_problem, lg.GD(lr=never), **arguments)
    assert str(refused.value) == str(of_run.value)


def test_each_argument_is_refused_by_name():
    assert SHARED <= {name for name, *_ in BAD_ARGUMENTS}


@pytest.mark.parametrize("function", [lg.run, lg.fast_forward])
def test_arguments_have_the_same_defaults(function):
    shared = inspect.signature(prepare).parameters
    own = inspect.signature(function).parameters
    for name in SHARED & own.keys():
        assert own[name].default == shared[name].default, name
    if function is lg.run:
        further = {"problem", "method", "checkpoint", "checkpoint_seconds", "comm"}
        assert own.keys() - SHARED == further


@pytest.mark.parametrize("function", [lg.run, lg.fast_forward, lg.sweep])
@pytest.mark.parametrize("problem", [None, "rows", [([[1.0]], [1])]])
def test_not_a_problem(function, problem):
    with pytest.raises(TypeError, match=r"problem: got \w+; want a localgd\.Problem"):
        function(problem, lg.GD(lr=0.1), rounds=10)


@pytest.mark.parametrize("function", [lg.run, lg.fast_forward, lg.sweep])
@pytest.mark.parametrize("method", [None, lg.GD, "GD"])
def test_not_a_method(small_problem, function, method):
    with pytest.raises(TypeError, match=r"method: got .*; want a method such as LocalGD\("):
        function(small_problem, method, rounds=10)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_loss_that_does_not_fit_the_task(loss):
    problem = lg.Problem([([[1.0]], [0.5])])
    with pytest.raises(ValueError, match=f"loss: '{loss}' does not fit a regression task; want sq"):
        lg.run(problem, lg.GD(lr=0.1), rounds=10, loss=loss)


def test_loss_follows_from_the_task():
    for labels, loss in (
        ([1, -1, 1], "exponential"),
        ([0.5, 1, 2], "squared"),
        ([0, 1, 2], "softmax"),
    ):
        run = lg.run(lg.Problem([(np.eye(3), labels)]), lg.GD(0.1), rounds=2)
        assert run.config["loss"] == loss


def test_squared_loss_takes_labels_of_a_binary_task(small_problem):
    run = lg.run(small_problem, lg.GD(lr=0.1), rounds=10, loss="squared")
    residual = small_problem.X @ run.weights - small_problem.y
    assert run.history["loss"][-1] == pytest.approx((residual**2).mean() / 2)
    margins = small_problem.signed_rows @ run.weights
    assert run.history["margin"][-1] == pytest.approx(margins.min() / np.linalg.norm(run.weights))


def test_options_are_keyword_only(small_problem):
    with pytest.raises(TypeError, match="positional"):
        lg.run(small_problem, lg.GD(lr=0.1), 10)


def test_rounds_may_be_a_whole_float(small_problem):
    assert lg.run(small_problem, lg.GD(lr=0.1), rounds=1e2).round == 100


# -- Combinations that make no sense ---------------------------------------------------------------

SOLVES = [lg.LocalSolve(), lg.ModifiedLocalGD(local_steps=None)]


@pytest.mark.parametrize("method", SOLVES, ids=repr)
def test_exact_solve_in_the_weights(small_problem, method):
    message = rf"engine: got 'primal'; the exact local solve of {type(method).__name__} works on th"
    with pytest.raises(lg.UnsupportedError, match=message):
        lg.run(small_problem, method, rounds=5, engine="primal")
    with pytest.raises(
        lg.UnsupportedError, match=r"needs 0\.0 GB of Gram matrices for 50 rows.*ra"
    ):
        lg.run(small_problem, method, rounds=5, memory_limit=1000)


@pytest.mark.parametrize("engine", ["auto", "gram", "hybrid", "primal"])
@pytest.mark.parametrize("method", SOLVES, ids=repr)
def test_exact_solve_of_classes(method, engine):
    problem = lg.Problem([(np.eye(3), [0, 1, 2])])
    message = "the exact local solve projects on .*; want a method with local steps for softmax"
    with pytest.raises(lg.UnsupportedError, match=message):
        lg.run(problem, method, rounds=5, loss="softmax", engine=engine)


@pytest.mark.parametrize("engine", ["auto", "gram", "hybrid", "primal"])
@pytest.mark.parametrize(
    "server", [lg.ServerAdam(0.1), lg.ServerYogi(0.1), lg.ServerAdagrad(0.1)], ids=repr
)
def test_exact_solve_with_a_coordinate_wise_server(small_problem, server, engine):
    with pytest.raises(lg.UnsupportedError, match=r"the rows, which Server\w+ leaves; want A"):
        lg.run(small_problem, lg.LocalSolve(server=server), rounds=5, engine=engine)


@pytest.mark.parametrize("engine", ["gram", "hybrid"])
@pytest.mark.parametrize("method", SOLVES, ids=repr)
def test_exact_solve_of_rows_that_one_client_cannot_separate(method, engine):
    good, bad = ([[1.0, 0.0]], [1]), ([[0.0, 1.0], [0.0, 1.0]], [1, -1])
    problem = lg.Problem.from_arrays(
        np.vstack([good[0], bad[0]]), [*good[1], *bad[1]], ["fine", "mixed", "mixed"]
    )
    message = "problem: the rows of client 'mixed' are not linearly separable, so its exact local"
    with pytest.raises(lg.NotSeparableError, match=message):
        lg.run(problem, method, rounds=5, engine=engine)


@pytest.mark.parametrize("loss", ["exponential", "logistic", "squared"])
def test_losses_of_other_tasks_on_classes(loss):
    problem = lg.Problem([(np.eye(3), [0, 1, 2])])
    with pytest.raises(
        ValueError, match=f"loss: '{loss}' does not fit a multiclass task; want sof"
    ):
        lg.run(problem, lg.GD(0.1), rounds=5, loss=loss)


def test_softmax_on_two_signs(small_problem):
    message = "loss: 'softmax' does not fit a binary task; want exponential or logistic or squared"
    with pytest.raises(ValueError, match=message):
        lg.run(small_problem, lg.GD(0.1), rounds=5, loss="softmax")


@pytest.mark.parametrize("name", ["init", "reference"])
def test_models_of_classes_have_a_column_each(name):
    problem = lg.Problem([(np.eye(3), [0, 1, 2])])
    for value, message in (
        (np.ones((3, 2)), rf"{name}: got shape \(3, 2\); want \(3, 3\), one column per class"),
        (np.ones(3), rf"{name}: got an array of shape \(3,\); want 2 dimensions"),
    ):
        with pytest.raises(ValueError, match=message):
            lg.run(problem, lg.GD(0.1), rounds=5, loss="softmax", **{name: value})


def test_kernel_problem_has_no_weights_to_start_from():
    problem = lg.Problem.from_gram(np.eye(3), [1, -1, 1], [0, 0, 1])
    with pytest.raises(
        lg.UnsupportedError, match="init: a kernel problem has no weights; its runs"
    ):
        lg.run(problem, lg.GD(0.1), rounds=5, init=np.ones(3))


@pytest.mark.parametrize("kind", [lg.LocalGD, lg.LocalSGD, lg.Scaffold, lg.ModifiedLocalGD])
def test_local_steps_for_other_clients(small_problem, kind):
    message = "local_steps: got 3 numbers; want one, or one for each of 5 clients"
    with pytest.raises(ValueError, match=message):
        lg.run(small_problem, kind((1, 2, 3), 0.1), rounds=5)


def test_more_clients_per_round_than_there_are(small_problem):
    message = "participation: got 6 clients per round; the problem has 5"
    with pytest.raises(ValueError, match=message):
        lg.run(small_problem, lg.GD(0.1, participation=6), rounds=5)
