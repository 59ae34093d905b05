"""Servers as options: checked when made, plain to read, frozen; where they cannot be used."""

import dataclasses
import gc

import numpy as np
import pytest
import registry

import localgd as lg
from localgd._backend import core
from localgd.preparation import prepare
from localgd.servers import CALLED, Server
from localgd.simulation import local_options, run_options

SERVERS = [kind for kind in Server.__subclasses__() if kind.kind != CALLED]
ADAPTIVE = (lg.ServerAdam, lg.ServerYogi, lg.ServerAdagrad)


def make(kind, **numbers):
    """A server with the learning rate that it needs, and these numbers."""
    return kind(**({"lr": 0.1, **numbers} if kind in ADAPTIVE else numbers))


def names(kind):
    return [field.name for field in dataclasses.fields(kind)]


def with_number(*wanted):
    return [(kind, name) for kind in SERVERS for name in names(kind) if name in wanted]


@pytest.mark.parametrize("kind", SERVERS)
def test_values_that_are_frozen_and_shown(kind):
    server = make(kind)
    assert server == make(kind)
    assert hash(server) == hash(make(kind))
    assert eval(repr(server), vars(lg)) == server
    for name in names(kind):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(server, name, 0.5)


def test_kinds_are_different_and_those_that_leave_the_span_are_marked():
    assert len({kind.kind for kind in SERVERS}) == len(SERVERS)
    assert {kind for kind in SERVERS if kind.coordinate_wise} == set(ADAPTIVE)


def test_a_server_is_of_a_kind_that_the_core_has():
    message = "kind: got 'median'; the core has 'average', 'anchored', .* or want a method step"
    with pytest.raises(TypeError, match=message):
        type("Median", (Server,), {"kind": "median"})
    gc.collect()  # what was left of it
    assert [kind for kind in Server.__subclasses__() if kind.kind != CALLED] == SERVERS


def test_defaults_of_the_papers():
    assert lg.ServerSGD() == lg.ServerSGD(lr=1.0, momentum=0.0, nesterov=False)
    for kind in (lg.ServerAdam, lg.ServerYogi):
        assert kind(0.1) == kind(lr=0.1, beta1=0.9, beta2=0.99, tau=1e-3)
    assert lg.ServerAdagrad(0.1) == lg.ServerAdagrad(lr=0.1, beta1=0.0, tau=1e-3)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_learning_rate_of_an_adaptive_server_has_no_default(kind):
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'lr'"):
        kind()


@pytest.mark.parametrize("kind", SERVERS)
def test_numbers_become_floats(kind):
    options = {name: np.float32(0.5) for name in names(kind) if name != "nesterov"}
    server = kind(**options)
    for name in options:
        assert getattr(server, name) == 0.5
        assert type(getattr(server, name)) is float


@pytest.mark.parametrize(("kind", "name"), with_number("lr", "tau"))
def test_positive_numbers(kind, name):
    for bad in (0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"{name}: got {bad}; want a finite number above 0"):
            make(kind, **{name: bad})
    for bad in ("1", None, True, 1j):
        with pytest.raises(TypeError, match=f"{name}: got {bad!r}; want a finite number above 0"):
            make(kind, **{name: bad})


@pytest.mark.parametrize(("kind", "name"), with_number("momentum", "beta1", "beta2"))
def test_decays(kind, name):
    assert getattr(make(kind, **{name: 0}), name) == 0.0
    assert getattr(make(kind, **{name: 0.999}), name) == 0.999
    with pytest.raises(ValueError, match=f"{name}: got 1; want a number of at least 0 and below 1"):
        make(kind, **{name: 1})
    for bad in (-0.1, np.nan):
        with pytest.raises(ValueError, match=f"{name}: got {bad}; want a number of at least 0"):
            make(kind, **{name: bad})
    with pytest.raises(
        TypeError, match=f"{name}: got '0.9'; want a number of at least 0 and below 1"
    ):
        make(kind, **{name: "0.9"})


@pytest.mark.parametrize("value", [1, 0, None, "yes"])
def test_nesterov_is_a_switch(value):
    with pytest.raises(TypeError, match=f"nesterov: got {value!r}; want True or False"):
        lg.ServerSGD(nesterov=value)


@pytest.mark.parametrize("kind", SERVERS)
def test_core_takes_the_parameters_of_a_server_all_of_them_and_no_others(small_problem, kind):
    method = lg.GD(0.1, server=make(kind))
    prepared = prepare(small_problem, method, rounds=0)
    run = run_options(prepared)
    options = run["server"]

    def simulation(server):
        problem = small_problem
        return core.Simulation(
            *(problem.X, problem.y, problem.offsets, problem.weights, [run | {"server": server}]),
            **{"engine": "primal", "loss": "logistic", "single": False, "threads": 1},
            local=local_options(prepared),
        )

    simulation(options)
    for name in names(kind):
        missing = {key: value for key, value in options.items() if key != name}
        with pytest.raises(ValueError, match=f"server: '{name}' is missing"):
            simulation(missing)
    with pytest.raises(ValueError, match="server: there is no 'warmup'"):
        simulation({**options, "warmup": 3.0})
    with pytest.raises(ValueError, match="server: no server named 'mean'"):
        simulation({**options, "kind": "mean"})


# -- In a run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["gram", "hybrid"])
@pytest.mark.parametrize("kind", ADAPTIVE)
def test_coordinate_wise_servers_leave_the_span(small_problem, kind, engine):
    message = rf"engine: got '{engine}'; {kind.__name__} treats each .* want engine='primal'"
    with pytest.raises(lg.UnsupportedError, match=message):
        lg.run(small_problem, lg.GD(0.1, server=kind(0.1)), rounds=5, engine=engine)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_coordinate_wise_servers_run_in_primal_without_coefficients(small_problem, kind):
    run = lg.run(small_problem, lg.GD(0.1, server=kind(0.1)), rounds=5)
    assert (run.engine, run.coefficients) == ("primal", None)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_sgd_server_of_rate_one_is_the_average(small_problem, engine):
    settings = {"rounds": 40, "engine": engine}
    plain = lg.run(small_problem, lg.LocalGD(5, 0.3), **settings)
    for server in (lg.ServerSGD(), lg.ServerSGD(nesterov=True)):
        run = lg.run(small_problem, lg.LocalGD(5, 0.3, server=server), **settings)
        np.testing.assert_allclose(run.weights, plain.weights, rtol=1e-12)
        np.testing.assert_allclose(run.history["drift"][1:], plain.history["drift"][1:], rtol=1e-10)


@pytest.mark.parametrize("engine", registry.ENGINES)
def test_modified_local_gd_is_local_gd_with_the_anchored_server(small_problem, engine):
    settings = {"rounds": 40, "engine": engine, "init": np.linspace(-1, 1, 30)}
    modified = lg.run(small_problem, lg.ModifiedLocalGD(5, 0.3), **settings)
    anchored = lg.run(small_problem, lg.LocalGD(5, 0.3, server=lg.Anchored()), **settings)
    registry.assert_same_bits(modified, anchored)
