"""The core is built once per instruction set: each agrees with the oracle, others are refused."""

from functools import partial

import numpy as np
import oracle
import pytest
import registry

import localgd as lg
from localgd import _backend

ROUNDS = 200
SIZES, N_FEATURES = (17, 33, 1), 21  # with remainders for vectors of 2, 4, 8 and 16

SCRIPT = f"""
import numpy as np, localgd as lg, registry
from localgd._backend import core
print(core.build_info()["instruction_set"])
for loss in registry.LOSSES:
    problem = registry.problem(loss, "samples", sizes={SIZES}, d={N_FEATURES})
    for engine, dtype in registry.engine_cases():
        run = lg.run(problem, lg.LocalGD(local_steps=3, lr=0.3), rounds={ROUNDS}, loss=loss,
                     engine=engine, dtype=dtype)
        print(loss, dtype, *map(float.hex, run.weights.ravel().tolist()))
"""


@pytest.mark.parametrize("level", _backend.available())
def test_each_level_agrees_with_the_oracle(run_python, level):
    done = run_python(SCRIPT, LOCALGD_INSTRUCTION_SET=level)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == level
    want = {
        loss: oracle.simulate(
            registry.clients(loss, SIZES, N_FEATURES),
            registry.client_weights("samples", SIZES),
            loss=loss,
            step=partial(oracle.local_gd_round, lr=lambda k: 0.3, local_steps=3),
            rounds=ROUNDS,
        ).weights
        for loss in registry.LOSSES
    }
    assert len(lines) == len(registry.LOSSES) * len(registry.engine_cases())
    for line in lines:
        loss, dtype, *numbers = line.split()
        weights = np.array([float.fromhex(number) for number in numbers])
        registry.assert_close(
            weights, want[loss].ravel(), registry.TOLERANCE[dtype], f"{level} {line[:30]}"
        )


def test_best_level_is_taken_by_default(run_python):
    script = "from localgd._backend import core; print(core.build_info()['instruction_set'])"
    assert run_python(script, LOCALGD_INSTRUCTION_SET="").stdout.strip() == _backend.available()[0]


def test_level_may_be_written_in_capitals(run_python):
    script = "from localgd._backend import core; print(core.build_info()['instruction_set'])"
    assert run_python(script, LOCALGD_INSTRUCTION_SET=" Baseline ").stdout.strip() == "baseline"


def test_unknown_level_is_refused(run_python):
    done = run_python("import localgd", LOCALGD_INSTRUCTION_SET="sse9")
    assert done.returncode == 1
    levels = ", ".join(_backend.available())
    assert f"LOCALGD_INSTRUCTION_SET=sse9: this machine and build have {levels}; " in done.stderr
    assert "choose one of these or unset the variable" in done.stderr


def test_baseline_is_always_there():
    assert _backend.available()[-1] == "baseline"
    assert set(_backend.available()) <= set(_backend.LEVELS)
    assert not _backend.core.machine_supports("sse9")


def test_build_info_names_what_a_bug_report_needs():
    info = _backend.core.build_info()
    assert set(info) >= {"version", "compiler", "flags", "eigen", "instruction_set", "openmp"}
    assert info["version"] == lg.__version__
