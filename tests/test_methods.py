"""Methods and schedules: checked when made, plain to read, frozen."""

import dataclasses
import inspect

import numpy as np
import pytest
import registry
from hypothesis import given
from hypothesis import strategies as st

import localgd as lg
from localgd.methods import METHODS, LocalRule

POSITIVE = st.floats(1e-300, 1e300)
WITH_STEPS = [kind for kind in METHODS if "local_steps" in inspect.signature(kind).parameters]
WITH_RATE = [case for case in registry.METHODS if not case.solve]
WITH_BATCHES = [kind for kind in METHODS if "batch_size" in inspect.signature(kind).parameters]


def make(kind, **options):
    """A method of this class with numbers that it needs, and with these."""
    needed = {"local_steps": 3, "lr": 0.1, "mu": 0.5, "beta": 0.5}
    known = inspect.signature(kind).parameters
    return kind(**{**{name: needed[name] for name in needed if name in known}, **options})


# -- Plain values ----------------------------------------------------------------------------------


def test_options_are_frozen_and_compare_by_value():
    a, b = lg.LocalGD(local_steps=3, lr=0.1), lg.LocalGD(3, 0.1)
    assert a == b
    assert hash(a) == hash(b)
    assert a != lg.LocalGD(local_steps=4, lr=0.1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.lr = 1.0


@pytest.mark.parametrize("case", registry.METHODS, ids=lambda case: case.name)
def test_every_method_is_a_value_that_its_repr_makes_again(case):
    method = case.make(0.25)
    assert method == case.make(0.25)
    assert hash(method) == hash(case.make(0.25))
    if not callable(method.participation):  # functions have no such repr
        assert eval(repr(method), vars(lg)) == method
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.server = lg.Average()


def test_repr_says_what_differs_from_the_defaults():
    assert repr(lg.GD(lr=1.0)) == "GD(lr=1.0)"
    assert repr(lg.LocalSolve(participation=2)) == "LocalSolve(participation=2)"
    method = lg.LocalSGD(5, 0.1, sampling="weight", replacement=True, server=lg.Anchored())
    assert repr(method) == (
        "LocalSGD(local_steps=5, lr=0.1, replacement=True, server=Anchored(), sampling='weight')"
    )


def test_defaults_and_conversions():
    method = lg.LocalGD(local_steps=1e3, lr=np.float32(0.5))
    assert (method.local_steps, method.lr, method.server) == (1000, 0.5, lg.Average())
    assert (method.participation, method.sampling, method.fednova) == (1.0, "uniform", True)
    assert type(method.local_steps) is int
    assert type(method.lr) is float
    assert lg.GD(lr=1).lr == 1.0
    assert lg.LocalSGD(3, 0.1).batch_size == lg.MinibatchSGD(3, 0.1).batch_size == 1
    assert not lg.LocalSGD(3, 0.1).replacement
    for kind in (lg.FedProx, lg.FedGA):
        assert make(kind).batch_size is None
    assert lg.Scaffold(3, 0.1).batch_size is None
    assert lg.ModifiedLocalGD(None).server == lg.Anchored()
    stage = lg.TwoStage(np.float32(0.5), 1, np.int64(3))
    assert [type(value) for value in dataclasses.astuple(stage)] == [float, float, int]


def test_options_after_the_numbers_are_keyword_only():
    for kind in METHODS:
        parameters = inspect.signature(kind).parameters
        assert all(
            parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
            for name in ("server", "participation", "sampling", "fednova", "replacement")
            if name in parameters
        )
    with pytest.raises(TypeError, match="positional"):
        lg.FedProx(3, 0.1, 0.5, 4)


# -- The local rule of each ------------------------------------------------------------------------

RULES = {
    "GD": (lg.GD(0.1), LocalRule()),
    "LocalGD": (lg.LocalGD(7, 0.1), LocalRule(local_steps=7)),
    "LocalSGD": (
        lg.LocalSGD(7, 0.1, 4, replacement=True),
        LocalRule(local_steps=7, batch_size=4, replacement=True),
    ),
    "MinibatchSGD": (
        lg.MinibatchSGD(7, 0.1, 4),
        LocalRule(local_steps=7, batch_size=4, whole_round=True),
    ),
    "ModifiedLocalGD": (lg.ModifiedLocalGD(7, 0.1), LocalRule(local_steps=7)),
    "ModifiedLocalGD, solve": (lg.ModifiedLocalGD(None), LocalRule(solve=True)),
    "LocalSolve": (lg.LocalSolve(), LocalRule(solve=True)),
    "FedProx": (
        lg.FedProx(7, 0.1, 0.5, batch_size=4),
        LocalRule(local_steps=7, prox=0.5, batch_size=4),
    ),
    "Scaffold": (
        lg.Scaffold(7, 0.1, batch_size=4, replacement=True),
        LocalRule(local_steps=7, correction="control", batch_size=4, replacement=True),
    ),
    "GradAlign": (
        lg.GradAlign(0.1, 0.5),
        LocalRule(correction="displacement", parameters={"beta": 0.5}),
    ),
    "FedGA": (
        lg.FedGA(7, 0.1, 0.5, batch_size=4),
        LocalRule(local_steps=7, correction="displacement", parameters={"beta": 0.5}, batch_size=4),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_rule(name):
    method, rule = RULES[name]
    assert method.rule == rule
    assert rule.stochastic == (rule.batch_size is not None)


def test_steps_of_each_client():
    assert LocalRule(local_steps=4).steps(3).tolist() == [4, 4, 4]
    assert LocalRule(local_steps=(4, 1, 2)).steps(3).tolist() == [4, 1, 2]
    whole = LocalRule(local_steps=(4, 1, 2), batch_size=5, whole_round=True)
    assert whole.steps(3).tolist() == [4, 1, 2]
    assert whole.core_steps(3).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="local_steps: got 3 numbers; want one, or one for each"):
        whole.steps(2)


def test_rows_of_a_batch_on_each_client():
    sizes = np.array([1, 6, 3])
    assert LocalRule(local_steps=4).batches(sizes).tolist() == [0, 0, 0]
    for whole, factor in ((False, 1), (True, 4)):
        options = {"local_steps": 4, "batch_size": 5, "whole_round": whole}
        dealt = LocalRule(**options).batches(sizes)
        assert dealt.tolist() == [1 * factor, 5 * factor, 3 * factor]
        drawn = LocalRule(**options, replacement=True).batches(sizes)
        assert drawn.tolist() == [5 * factor] * 3


# -- Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WITH_STEPS)
@pytest.mark.parametrize(
    ("local_steps", "error"),
    [
        *[(number, ValueError) for number in (0, -1, 1.5, np.nan, np.inf)],
        *[(value, TypeError) for value in (True, "3", 3j)],
    ],
)
def test_bad_local_steps(kind, local_steps, error):
    with pytest.raises(error, match=r"local_steps: got .*; want an integer of at least 1"):
        make(kind, local_steps=local_steps)
    with pytest.raises(error, match=r"local_steps\[1\]: got .*; want an integer of at least 1"):
        make(kind, local_steps=[2, local_steps])


def test_no_local_steps():
    for kind in set(WITH_STEPS) - {lg.ModifiedLocalGD}:
        with pytest.raises(TypeError, match=r"local_steps: got None; want an integer of at least"):
            make(kind, local_steps=None)
    with pytest.raises(ValueError, match="local_steps: got no numbers; want one, or one for each"):
        lg.LocalGD([], 0.1)


@pytest.mark.parametrize("kind", WITH_STEPS)
def test_local_steps_of_each_client_become_a_tuple(kind):
    method = make(kind, local_steps=np.array([3, 1, 2]))
    assert method.local_steps == (3, 1, 2)
    assert all(type(number) is int for number in method.local_steps)
    hash(method)


@pytest.mark.parametrize("local_steps", [1e19, 10**400])
def test_local_steps_beyond_counting(local_steps):
    with pytest.raises(ValueError, match=r"local_steps: got \d+; want at most 2\*\*53"):
        lg.LocalGD(local_steps=local_steps, lr=0.1)


@pytest.mark.parametrize("make", [case.make for case in WITH_RATE], ids=lambda make: None)
@pytest.mark.parametrize(
    ("lr", "error", "message"),
    [
        (0, ValueError, "lr: got 0; want a finite number above 0"),
        (0.0, ValueError, "lr: got 0.0; want a finite number above 0"),
        (-0.1, ValueError, "lr: got -0.1; want a finite number above 0"),
        (np.nan, ValueError, "lr: got nan; want a finite number above 0"),
        (np.inf, ValueError, "lr: got inf; want a finite number above 0"),
        (10**400, ValueError, "lr: got 1000.*; want a finite number above 0"),
        (True, TypeError, "lr: got True; want a number above 0, '1/H', '1/.LH.', a schedule, or"),
        ("0.1", TypeError, "lr: got '0.1'; want a number above 0, '1/H', '1/.LH.', a schedule"),
        (1j, TypeError, "lr: got 1j; want a number above 0, '1/H', '1/.LH.', a schedule, or a"),
    ],
)
def test_bad_learning_rates(make, lr, error, message):
    with pytest.raises(error, match=message):
        make(lr)


@pytest.mark.parametrize("kind", sorted({case.type for case in WITH_RATE}, key=str))
def test_no_learning_rate(kind):
    if kind is lg.ModifiedLocalGD:
        with pytest.raises(ValueError, match="lr: got None; want a learning rate for the local st"):
            make(kind, lr=None)
    else:
        with pytest.raises(TypeError, match="lr: got None; want a number above 0"):
            make(kind, lr=None)


def test_exact_solve_takes_no_learning_rate():
    with pytest.raises(ValueError, match=r"lr: got 0.1; the exact local solve .* takes none"):
        lg.ModifiedLocalGD(local_steps=None, lr=0.1)
    with pytest.raises(TypeError, match="lr"):
        lg.LocalSolve(lr=0.1)


@pytest.mark.parametrize("preset", ["1/H", "1/(LH)"])
def test_presets_stay_words(preset):
    assert lg.LocalGD(3, preset).lr == preset


@pytest.mark.parametrize(
    ("name", "kinds"), [("mu", [lg.FedProx]), ("beta", [lg.GradAlign, lg.FedGA])]
)
def test_strengths(name, kinds):
    for kind in kinds:
        assert getattr(make(kind, **{name: 0}), name) == 0.0
        for bad in (-0.1, np.nan, np.inf):
            with pytest.raises(ValueError, match=rf"{name}: got {bad}; want a finite number of at"):
                make(kind, **{name: bad})
        for bad in ("1", None, True):
            with pytest.raises(TypeError, match=rf"{name}: got {bad!r}; want a finite number of"):
                make(kind, **{name: bad})


@pytest.mark.parametrize("kind", WITH_BATCHES)
def test_batch_sizes(kind):
    assert make(kind, batch_size=8.0).batch_size == 8
    assert make(kind, batch_size=None).batch_size is None
    assert make(kind, batch_size=10**9).batch_size == 10**9
    for bad, error in ((0, ValueError), (1.5, ValueError), ("8", TypeError), (True, TypeError)):
        with pytest.raises(error, match=rf"batch_size: got {bad!r}; want an integer of at least 1"):
            make(kind, batch_size=bad)
    for bad in (1, None, "yes"):
        with pytest.raises(TypeError, match=rf"replacement: got {bad!r}; want True or False"):
            make(kind, batch_size=8, replacement=bad)
    with pytest.raises(ValueError, match="replacement: got True without a batch_size"):
        make(kind, batch_size=None, replacement=True)


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("server", "mean", TypeError, r"server: got 'mean'; want Average\(\), Anchored\(\), Ser"),
        ("server", None, TypeError, r"server: got None; want Average\(\)"),
        ("server", lg.Average, TypeError, r"server: got <class .*; want Average\(\)"),
        ("participation", 0, ValueError, "participation: got 0; want a fraction above 0 and up to"),
        ("participation", 0.0, ValueError, "participation: got 0.0; want a fraction above 0"),
        ("participation", 1.5, ValueError, "participation: got 1.5; want .* or a count of clients"),
        ("participation", np.nan, ValueError, "participation: got nan; want a fraction above 0"),
        ("participation", -3, ValueError, "participation: got -3; want a fraction above 0"),
        ("participation", True, TypeError, "participation: got True; want a fraction above 0"),
        ("participation", "all", TypeError, "participation: got 'all'; want a fraction above 0"),
        ("sampling", "random", ValueError, "sampling: got 'random'; want one of 'uniform', 'wei"),
        ("sampling", None, TypeError, "sampling: got None; want one of 'uniform', 'weight'"),
        ("fednova", 1, TypeError, "fednova: got 1; want True or False"),
    ],
)
def test_bad_shared_options(kind, name, value, error, message):
    with pytest.raises(error, match=message):
        make(kind, **{name: value})


@pytest.mark.parametrize("server", [lg.Average(), lg.ServerSGD(), lg.ServerAdam(0.1)])
@pytest.mark.parametrize("local_steps", [3, None])
def test_modified_local_gd_has_one_server(server, local_steps):
    lr = None if local_steps is None else 0.1
    with pytest.raises(lg.UnsupportedError, match=r"ModifiedLocalGD is LocalGD with the server An"):
        lg.ModifiedLocalGD(local_steps, lr, server=server)


def test_clients_per_round():
    for participation, n, count in (
        *[(1.0, 7, 7), (0.5, 7, 4), (0.01, 7, 1), (1e-300, 7, 1)],
        *[(1, 7, 1), (7, 7, 7), (np.int64(3), 7, 3), (np.float32(0.5), 4, 2)],
    ):
        assert lg.GD(0.1, participation=participation).clients_per_round(n) == count
    with pytest.raises(ValueError, match="participation: got 8 clients per round; the problem has"):
        lg.GD(0.1, participation=8).clients_per_round(7)


# -- Schedules -------------------------------------------------------------------------------------


@given(lr1=POSITIVE, lr2=POSITIVE, switch=st.integers(0, 10**9), k=st.integers(0, 10**9))
def test_two_stage(lr1, lr2, switch, k):
    assert lg.TwoStage(lr1, lr2, switch)(k) == (lr1 if k < switch else lr2)


@given(lr0=POSITIVE, power=st.floats(0, 2), k=st.integers(0, 10**9))
def test_polynomial(lr0, power, k):
    assert lg.Polynomial(lr0, power)(k) == pytest.approx(lr0 / (k + 1) ** power)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: lg.TwoStage(0, 1, 5), ValueError, "lr1: got 0; want a finite number above 0"),
        (lambda: lg.TwoStage(1, -1, 5), ValueError, "lr2: got -1; want a finite number above 0"),
        (lambda: lg.TwoStage(1, "a", 5), TypeError, "lr2: got 'a'; want a finite number"),
        (lambda: lg.TwoStage(1, 1, -5), ValueError, "switch_round: got -5; want an integer of at"),
        (lambda: lg.TwoStage(1, 1, 2.5), ValueError, "switch_round: got 2.5; want an integer"),
        (lambda: lg.Polynomial(np.nan, 1), ValueError, "lr0: got nan; want a finite number"),
        (lambda: lg.Polynomial(1, -0.5), ValueError, "power: got -0.5; want .* of at least 0"),
    ],
)
def test_bad_schedules(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        *[(number, ValueError) for number in (0, 0.0, -1.0, np.nan, np.inf)],
        *[(value, TypeError) for value in (None, "0.1", True, 1j, np.array([0.1]), [0.1])],
    ],
)
def test_schedules_that_give_something_else(small_problem, value, error):
    def lr(k):
        return 0.1 if k < 7 else value

    message = r"lr: the schedule gave .* for round 7; want numbers above 0"
    with pytest.raises(error, match=message):
        lg.run(small_problem, lg.GD(lr=lr), rounds=20)


def test_schedules_may_give_any_real_number(small_problem):
    runs = [
        lg.run(small_problem, lg.GD(lr=lambda k, kind=kind: kind(2)), rounds=5)
        for kind in (float, int, np.int64, np.float32)
    ]
    for run in runs[1:]:
        registry.assert_same_bits(run, runs[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"normalize": False}, "normalize: it is called fednova= now, as on the shell"),
        ({"local_step": 3}, "LocalGD: there is no argument 'local_step'; did you mean 'local_s"),
        ({"momentum": 0.9}, "LocalGD: there is no argument 'momentum'; want one of"),
    ],
)
def test_arguments_that_there_are_not(arguments, message):
    with pytest.raises(TypeError, match=message):
        lg.LocalGD(10, lr=1.0, **arguments)
    with pytest.raises(TypeError, match=message):
        dataclasses.replace(lg.LocalGD(10, 1.0), **arguments)
