"""Builds and runs the C++ tests of the core (cpp/tests), as it ships and with sanitizers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from building import ROOT, build, finished


@pytest.mark.long
def test_core(tmp_path: Path) -> None:
    check_core(tmp_path, sanitize="")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="MSVC has no such sanitizers")
def test_core_with_sanitizers(tmp_path: Path) -> None:
    check_core(tmp_path, sanitize="address")


def check_core(tmp_path: Path, *, sanitize: str) -> None:
    cmake = build(
        ROOT,
        tmp_path,
        "-DCMAKE_BUILD_TYPE=Release",
        "-DLOCALGD_PYTHON=OFF",
        "-DLOCALGD_TESTS=ON",
        f"-DLOCALGD_SANITIZE={sanitize}",
    )
    run = finished(
        cmake.with_name(cmake.name.replace("cmake", "ctest")),
        *("--test-dir", tmp_path, "--build-config", "Release"),
        *("--parallel", str(os.cpu_count() or 1)),
        "--output-on-failure",
        "--no-tests=error",
    )
    assert run.returncode == 0, run.stdout
