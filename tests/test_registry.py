"""Nothing that the package offers is left out of the list that drives the tests."""

import oracle
import registry

import localgd as lg
from localgd import arguments, engines, losses, methods, partitioning, servers
from localgd._backend import core
from localgd.participation.rules import Rule, rule_of


def test_every_engine_is_listed():
    assert set(registry.ENGINES) == set(engines.ENGINES)


def test_every_loss_is_listed_and_has_an_oracle():
    assert set(registry.LOSSES) == set(losses.LOSSES) == set(oracle.LOSSES)


def test_every_dtype_is_listed():
    assert set(registry.DTYPES) == set(registry.TOLERANCE) == set(arguments.DTYPES)


def test_every_method_is_listed():
    assert {case.type for case in registry.METHODS} == set(methods.METHODS)


def test_every_server_is_listed_and_has_an_oracle():
    used = {case.make(0.1).server.__class__ for case in registry.METHODS}
    known = {kind for kind in servers.Server.__subclasses__() if kind.kind != servers.CALLED}
    assert used == known
    assert {server.kind for server in used} == set(core.schema()["servers"])
    assert {server.__name__ for server in used} == set(oracle.SERVERS)


def test_every_correction_and_sampling_is_listed():
    made = [case.make(0.1) for case in registry.METHODS]
    assert {method.sampling for method in made} == {"uniform", "weight"}
    assert {method.shares for method in made} == {"renormalized", "unbiased"}
    rules = {type(rule_of(method.participation)) for method in made} - {type(None)}
    assert rules == set(Rule.__subclasses__())
    corrections = core.schema()["corrections"]
    assert {method.rule.correction for method in made} == set(corrections)
    for rule in (method.rule for method in made):
        assert [*rule.parameters] == corrections[rule.correction]
    for name in ("solve", "stochastic", "replacement", "whole_round"):
        assert {getattr(method.rule, name) for method in made} == {True, False}, name


def test_every_scheme_is_listed():
    plain = {type(scheme).__name__ for scheme in (*registry.SCHEMES, *registry.DROPPING_SCHEMES)}
    exported = {*partitioning.__all__} - {"Scheme", "partition"}
    assert plain | {*registry.PARTICULAR_SCHEMES} == exported | {"Function"}
    for name in exported:
        assert getattr(lg, name) is getattr(partitioning, name)


def test_names_are_unique_and_every_variation_is_used():
    names = [case.name for case in registry.METHODS]
    assert len(set(names)) == len(names)
    used = {part for name in names for part in name.partition(": ")[2].split(", ")}
    assert used - {""} == set(registry.VARIATIONS)


def test_cases_know_which_methods_leave_the_span_or_draw_batches():
    for case in registry.METHODS:
        method = case.make(0.1)
        assert case.coordinate_wise == method.server.coordinate_wise, case.name
        assert (case.solve, case.batches) == (method.rule.solve, method.rule.stochastic), case.name


def test_problems_have_the_task_of_their_loss():
    tasks = {loss: registry.problem(loss).task for loss in registry.LOSSES}
    assert tasks["softmax"] == "multiclass"
    assert all((tasks[loss] == "regression") == (loss in registry.REGRESSION) for loss in tasks)
    assert registry.problem("softmax").weights_shape == (5, registry.N_CLASSES)
    assert isinstance(registry.problem("logistic"), lg.Problem)
