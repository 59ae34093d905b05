"""Type stubs of the compiled modules against the modules, and types of the whole package."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import localgd as lg
from localgd import _backend

pytest.importorskip("mypy")

ROOT = Path(__file__).parents[1]
PACKAGE = Path(lg.__file__).parent
STUB = ast.parse((PACKAGE / "_core_baseline.pyi").read_text(encoding="utf-8"))

# What pybind11 adds to every class: a metaclass of its own and a capsule.
PYBIND11 = r"""
localgd\._core_baseline\.(Network)?Simulation
localgd\._core_baseline\.(Network)?Simulation\.__pybind11_module_local_\w+
"""


def finished(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


def test_stubs_have_the_names_of_the_modules(tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text(PYBIND11)
    modules = [f"localgd._core_{level}" for level in {"baseline", *_backend.available()}]
    done = finished(
        tmp_path,
        *("mypy.stubtest", "--allowlist", str(allowed), "--ignore-unused-allowlist"),
        *modules,
    )
    assert done.returncode == 0, done.stdout


def parameters(signature: ast.FunctionDef) -> dict[str, tuple[str, str | None]]:
    """Each parameter with its kind and default, in order."""
    a = signature.args
    by_place = [*a.posonlyargs, *a.args]
    without = [None] * (len(by_place) - len(a.defaults))
    found = {}
    for arg, default in zip(by_place, [*without, *a.defaults], strict=True):
        found[arg.arg] = ("by place", default and ast.unparse(default))
    for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True):
        found[arg.arg] = ("by name", default and ast.unparse(default))
    return found


def documented(function: object) -> dict[str, tuple[str, str | None]]:
    """The same from the first line of the docstring that pybind11 writes."""
    line = (function.__doc__ or "").partition("\n")[0]
    (signature,) = ast.parse(f"def {line}: ...").body
    assert isinstance(signature, ast.FunctionDef)
    return parameters(signature)


def functions(body: list[ast.stmt]) -> list[ast.FunctionDef]:
    """Those that are called: a property has no signature to compare."""
    return [f for f in body if isinstance(f, ast.FunctionDef) and not f.decorator_list]


@pytest.mark.parametrize("level", _backend.available())
def test_stubs_have_the_signatures_of_the_modules(level):
    core = importlib.import_module(f"localgd._core_{level}")
    for function in functions(STUB.body):
        assert parameters(function) == documented(getattr(core, function.name)), function.name
    for name in ("Simulation",):
        (stub,) = [c for c in STUB.body if isinstance(c, ast.ClassDef) and c.name == name]
        assert functions(stub.body)
        for method in functions(stub.body):
            bound = getattr(getattr(core, name), method.name)
            assert parameters(method) == documented(bound), f"{name}.{method.name}"


def test_one_stub_serves_all_instruction_sets():
    for level in set(_backend.LEVELS) - {"baseline"}:
        text = (PACKAGE / f"_core_{level}.pyi").read_text(encoding="utf-8")
        assert text == "from ._core_baseline import *\n"


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_package_passes_mypy():
    done = finished(ROOT, "mypy")
    assert done.returncode == 0, done.stdout
