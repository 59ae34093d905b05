"""To add a loss and a server, as docs/architecture.md says: it is done, built and tested."""

from __future__ import annotations

import re

import pytest
from building import ROOT, build
from extension import sources

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="the sources and pages are in a checkout only"
)

# The core is one module of the package, and what it gains is added before tests are collected.
SCRIPT = """
import importlib.util, sys, pytest
spec = importlib.util.spec_from_file_location("localgd._core_baseline", {module!r})
core = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)
from extension import objects
objects.add_loss()
objects.add_server()
sys.exit(pytest.main([*{tests!r}, *"-q -n 0 -p no:cacheprovider -k".split(), {names!r}]))
"""
TESTS = (
    *("test_run_oracle.py", "test_registry.py", "test_servers.py", "test_sweep_side_by_side.py"),
    "test_losses.py",
    "extension/refusals.py",
)


@pytest.mark.parametrize(("what", "addition"), [("loss", sources.LOSS), ("server", sources.SERVER)])
def test_page_says_what_the_extension_does(what, addition):
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (steps,) = re.findall(rf"^- \*\*A {what}\*\*: (.*?)^- ", page, re.MULTILINE | re.DOTALL)
    objects = (ROOT / "tests" / "extension" / "objects.py").read_text(encoding="utf-8")
    added = objects.partition(f"def add_{what}()")[2].partition("\n\n\n")[0]
    files = {
        f"{addition.folder}/",
        addition.registry,
        *re.findall(r"# (\S+\.py)$", added, re.MULTILINE),
    }
    assert set(re.findall(r"`(\w+/[\w/.]+)`", steps)) == files
    assert all((ROOT / file).exists() for file in files)


def test_lines_of_the_extension_have_their_places(tmp_path):
    sources.extended(tmp_path)


@pytest.mark.slow  # 50 s of compiling
def test_core_with_one_more_loss_and_server(tmp_path, run_python):
    pybind11 = pytest.importorskip("pybind11")
    source = sources.extended(tmp_path / "source")
    folder = tmp_path / "build"
    build(
        source,
        folder,
        "-DCMAKE_BUILD_TYPE=None",  # in half the time
        "-DCMAKE_CXX_FLAGS=-O1",
        "-DLOCALGD_INSTRUCTION_SETS=baseline",
        f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        CCACHE_BASEDIR=str(tmp_path),
        CCACHE_NOHASHDIR="1",
    )
    (module,) = folder.glob("cpp/bindings/_core_baseline*")
    script = SCRIPT.format(
        module=str(module),
        tests=[str(ROOT / "tests" / name) for name in TESTS],
        names="smooth_hinge or quasi-hyperbolic or QHM or test_registry or refusals",
    )
    done = run_python(script, timeout=600, LOCALGD_INSTRUCTION_SET="baseline", PYTEST_ADDOPTS="")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed > 100, done.stdout
