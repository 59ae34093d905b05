"""Killed at any moment and taken up again: the same bits as if never stopped."""

import sys
import time

import killing
import numpy as np
import pytest
import registry

import localgd as lg

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL"),
]

RUN = """
import sys
import numpy as np
import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=30, seed=0)
norms = {{"last": lambda w: w[-1]}}
options = dict(rounds={rounds}, engine="{engine}", seed=3, every_step=True, reference=np.ones(30),
               record=lg.log_spaced(per_decade=20), **{more})
if __name__ == "__main__":
    print("begin", flush=True)
    run = lg.run(problem, {method}, checkpoint={file!r}, checkpoint_seconds=0, **options)
    run.save({file!r} + ".run")
"""

RUNS = {
    "gram": ("lg.LocalGD(20, lg.Polynomial(0.6, 0.2))", "gram", "{}"),
    "momentum": ("lg.LocalGD(20, 0.2, server=lg.ServerSGD(0.5, 0.9))", "hybrid", "{}"),
    "batches": (
        "lg.LocalSGD(20, 0.2, batch_size=3, participation=2)",
        "primal",
        "dict(keep_weights=True)",
    ),
    "controls": ("lg.Scaffold(20, 0.2, participation=3)", "gram", "dict(measures=norms)"),
    "schedule": ("lg.FedGA(20, lambda k: 0.3 / (k + 1) ** 0.1, 0.1)", "primal", "{}"),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_killed(tmp_path, name):
    method, engine, more = RUNS[name]

    def script(file):
        return RUN.format(method=method, engine=engine, more=more, rounds=20_000, file=str(file))

    names: dict = {}
    exec(script(""), {"__name__": "whole"}, names)
    whole = lg.run(names["problem"], eval(method, names), **names["options"])

    def check(file):
        registry.assert_same_bits(lg.load(f"{file}.run.npz"), whole)

    killing.until(12, script, check, tmp_path, whole.elapsed / 3)


SWEEP = """
import numpy as np
import localgd as lg

problem = lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=30, seed=0)
methods = [lg.LocalGD(5, 0.1), lg.FedProx(5, 0.1, 0.2), lg.LocalSGD(5, 0.1, batch_size=2)]
options = dict(grid={{"lr": np.geomspace(0.01, 1, 9).tolist(), "seed": [0, 1]}}, rounds=400,
               engine="{engine}", reference=np.ones(30))
if __name__ == "__main__":
    print("begin", flush=True)
    lg.sweep(problem, methods, out={file!r}, **options)
"""


@pytest.mark.parametrize("engine", ["gram", "primal"])
def test_a_sweep_that_is_killed(tmp_path, engine):
    def script(file):
        return SWEEP.format(engine=engine, file=str(file))

    names: dict = {}
    exec(script(""), {"__name__": "whole"}, names)
    start = time.perf_counter()
    whole = lg.sweep(names["problem"], names["methods"], **names["options"])
    seconds = time.perf_counter() - start

    def check(file):
        table = lg.sweep(names["problem"], names["methods"], out=file, **names["options"])
        assert len(file.read_text().splitlines()) == len(whole) == 54
        for one, other in zip(table, whole, strict=True):
            assert (one.values, one.status) == (other.values, other.status)
            for column, values in other.history.items():
                np.testing.assert_array_equal(one.history[column], values, err_msg=column)

    killing.until(30, script, check, tmp_path, seconds / 3)
