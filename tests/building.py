"""Builds of the C++ sources in a folder of their own."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HANGS = 1200  # seconds; a guard against a build or a test that hangs, not a measure of speed


def tool(name: str, folder: str) -> str | None:
    """The program that the PyPI package of its name carries, or the one on PATH."""
    try:
        packaged = getattr(importlib.import_module(name), folder)
    except ModuleNotFoundError:
        return shutil.which(name)
    return shutil.which(name, path=packaged) or shutil.which(name)


def finished(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=HANGS,
    )


def configure(source: Path, folder: Path, *options: str, **variables: str) -> Path:
    """CMake's command, with a folder made ready. Skips where something for a build is missing."""
    cmake, ninja = tool("cmake", "CMAKE_BIN_DIR"), tool("ninja", "BIN_DIR")
    compilers = [os.environ.get("CXX", "").split(" ")[0], "c++", "g++", "clang++", "cl"]
    if cmake is None or not any(map(shutil.which, filter(None, compilers))):
        pytest.skip("C++ is not built: it needs cmake and a C++ compiler")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    configured = finished(
        cmake,
        *("-S", source, "-B", folder),
        *generator,
        f"-DPython_EXECUTABLE={sys.executable}",  # whose Eigen is used where the system has none
        f"-DLOCALGD_WERROR={'ON' if os.environ.get('CI') == 'true' else 'OFF'}",
        *options,
        **variables,
    )
    if "doctest was not found" in configured.stdout:
        pytest.skip("C++ tests skipped: install Debian's doctest-dev")
    assert configured.returncode == 0, configured.stdout
    return Path(cmake)


def build(source: Path, folder: Path, *options: str, **variables: str) -> Path:
    """CMake's command, after a build in a folder. Skips where something for it is missing."""
    cmake = configure(source, folder, *options, **variables)
    jobs = str(os.cpu_count() or 1)
    built = finished(
        cmake, "--build", folder, "--config", "Release", "--parallel", jobs, **variables
    )
    assert built.returncode == 0, built.stdout
    return cmake
