"""What the core says of itself is all that there is: options, measures and thresholds by name."""

import platform

import numpy as np
import oracle
import pytest
import registry

import localgd as lg
from localgd._backend import core
from localgd.measuring import COLUMNS, OF_CORE
from localgd.preparation import prepare
from localgd.simulation import local_options, run_options

SCHEMA = core.schema()
METHOD = lg.FedGA(2, 0.1, 0.3)


def given(problem):
    """The options of this method."""
    prepared = prepare(problem, METHOD, rounds=0)
    return {"run": run_options(prepared), "local": local_options(prepared)}


def simulation(problem, **changed):
    """A simulation with these options, some of which are changed."""
    options = {**given(problem), **changed}
    return core.Simulation(
        *(problem.X, problem.y, problem.offsets, problem.weights, [options["run"]]),
        **{"engine": "gram", "loss": "logistic", "single": False, "threads": 1},
        local=options["local"],
    )


@pytest.mark.parametrize("what", ["run", "local"])
def test_options_have_all_names_and_no_others(small_problem, what):
    options = given(small_problem)[what]
    assert set(options) == set(SCHEMA[what])
    simulation(small_problem)
    for name in options:
        missing = {key: value for key, value in options.items() if key != name}
        with pytest.raises(ValueError, match=f"{what}: '{name}' is missing"):
            simulation(small_problem, **{what: missing})
    with pytest.raises(ValueError, match=f"{what}: there is no 'warmup'"):
        simulation(small_problem, **{what: {**options, "warmup": 3.0}})
    flag = {"run": "keep_weights", "local": "solve"}[what]
    with pytest.raises(TypeError, match=f"{what}: '{flag}' is of another type"):
        simulation(small_problem, **{what: {**options, flag: "no"}})


@pytest.mark.parametrize(
    ("correction", "message"),
    [
        ({"kind": "displacement"}, "correction: 'beta' is missing"),
        ({"kind": "displacement", "beta": 1.0, "gamma": 1.0}, "correction: there is no 'gamma'"),
        ({"kind": "control", "beta": 1.0}, "correction: there is no 'beta'"),
        ({"kind": "none", "beta": 1.0}, "correction: there is no 'beta'"),
        ({"beta": 1.0}, "correction: 'kind' is missing"),
        ({"kind": "drift"}, "correction: there is none named 'drift'"),
    ],
)
def test_corrections_have_their_parameters_and_no_others(small_problem, correction, message):
    local = given(small_problem)["local"]
    with pytest.raises(ValueError, match=message):
        simulation(small_problem, local={**local, "correction": correction})


def test_measures_are_the_columns_of_the_core_and_of_the_oracle(small_problem):
    assert [*OF_CORE] == [*simulation(small_problem).history()]
    assert {*OF_CORE} == {*oracle.COLUMNS} - {"least_gradient"}


@pytest.mark.parametrize("loss", registry.LOSSES)
@pytest.mark.parametrize("reference", [False, True])
def test_runs_have_the_columns_that_the_table_says(loss, reference):
    problem = registry.problem(loss)
    settings = {"reference": np.ones(problem.weights_shape)} if reference else {}
    run = lg.run(problem, lg.GD(0.1), rounds=1, loss=loss, **settings)
    labels = problem.task != "regression"
    want = {
        name
        for name, column in COLUMNS.items()
        if (reference or not column.wants_reference)
        and (labels or not column.wants_labels)
        and not column.of_networks
    }
    asked_for = {
        *("participations", "suboptimality", "distance"),
        *("residual", "residual_distance", "test_accuracy", "test_loss"),
        *("test_balanced_accuracy", "test_f1", "test_auc"),
    }
    assert set(run.history) == want - asked_for


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="of x86-64")
def test_strips_are_as_wide_as_registers_of_the_instruction_set():
    widths = {"baseline": 4, "avx2": 8, "avx512": 8}
    width = widths[core.build_info()["instruction_set"]]
    assert SCHEMA["thresholds"]["strip_width"] == {"float64": width, "float32": 2 * width}
