"""Settings and fixtures of all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Tests run in one process per core already: threads of BLAS in each only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Nor do threads that wait take the cores of the other processes.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hypothesis
import pytest

import localgd as lg

# The same examples every time, no verdicts by the clock.
hypothesis.settings.register_profile(
    "localgd", deadline=None, derandomize=True, max_examples=30, database=None
)
hypothesis.settings.load_profile("localgd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first: the others fill up the time beside them."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True)
def closed_figures():
    """pyplot keeps figures until they are closed, and warns of more than twenty."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


@pytest.fixture
def small_problem() -> lg.Problem:
    """Five clients with ten separable rows of 30 features each."""
    return lg.datasets.make_separable(n_clients=5, n_samples=10, n_features=30, seed=0)


@pytest.fixture
def run_python():
    """Runs a script in a fresh interpreter that sees this localgd and these tests.

    Gives the finished process. ``timeout`` guards against a script that hangs; it measures nothing.
    """

    def run(script: str, *, timeout: float = 120, **variables: str) -> subprocess.CompletedProcess:
        folders = [str(Path(lg.__file__).parents[1]), str(Path(__file__).parent)]
        path = os.pathsep.join(filter(None, [*folders, os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": path, **variables},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


# -- Experiments: modules of tests name theirs, EXPERIMENT = "E1" ----------------------------------


@pytest.fixture(scope="module")
def experiment(request):
    from localgd.reproducing import find

    (found,) = find([request.module.EXPERIMENT])
    return found


@pytest.fixture(scope="module")
def measured(experiment):
    from localgd.reproducing import Context

    return experiment.measure(Context(quick=True))


@pytest.fixture(scope="module")
def one_draw():
    """Of one draw every number is known, so that nothing is inconclusive."""
    from localgd.reproducing import Context

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Context, "seeds", lambda context, quick=3, full=10: range(1, 2))
        yield
