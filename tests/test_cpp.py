"""Builds and runs the C++ tests of the core (cpp/tests), as it ships and with sanitizers."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WANTED = "C++ tests skipped: install Debian's doctest-dev (and cmake, a C++ compiler)"
HANGS = 1200  # seconds; a guard against a build or a test that hangs, not a measure of speed


def tool(name: str, folder: str) -> str | None:
    """The program that the PyPI package of its name carries, or the one on PATH."""
    try:
        packaged = getattr(importlib.import_module(name), folder)
    except ModuleNotFoundError:
        return shutil.which(name)
    return shutil.which(name, path=packaged) or shutil.which(name)


def finished(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=HANGS,
    )


def configure(build: Path, *options: str) -> str:
    """Configures the tests in a folder; the cmake command. Skips where something is missing."""
    cmake, ninja = tool("cmake", "CMAKE_BIN_DIR"), tool("ninja", "BIN_DIR")
    compilers = [os.environ.get("CXX", "").split(" ")[0], "c++", "g++", "clang++", "cl"]
    if cmake is None or not any(map(shutil.which, filter(None, compilers))):
        pytest.skip(WANTED)
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    done = finished(
        cmake,
        *("-S", ROOT, "-B", build),
        *generator,
        f"-DPython_EXECUTABLE={sys.executable}",  # whose Eigen is used where the system has none
        f"-DLOCALGD_WERROR={'ON' if os.environ.get('CI') == 'true' else 'OFF'}",
        "-DCMAKE_BUILD_TYPE=Release",
        "-DLOCALGD_PYTHON=OFF",
        "-DLOCALGD_TESTS=ON",
        *options,
    )
    if "doctest was not found" in done.stdout:
        pytest.skip(WANTED)
    assert done.returncode == 0, done.stdout
    return cmake


@pytest.mark.long
def test_core(tmp_path: Path) -> None:
    sanitize = "" if os.name == "nt" else "address"  # MSVC has no such sanitizers
    cmake = configure(tmp_path, f"-DLOCALGD_SANITIZE={sanitize}")
    jobs = str(os.cpu_count() or 1)
    built = finished(cmake, "--build", tmp_path, "--config", "Release", "--parallel", jobs)
    assert built.returncode == 0, built.stdout
    ctest = Path(cmake).with_name(Path(cmake).name.replace("cmake", "ctest"))
    run = finished(
        ctest,
        *("--test-dir", tmp_path, "--build-config", "Release", "--parallel", jobs),
        "--output-on-failure",
        "--no-tests=error",
    )
    assert run.returncode == 0, run.stdout
