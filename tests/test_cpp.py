"""Builds and runs the C++ tests of the core (cpp/tests), as it ships and with sanitizers."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from building import ROOT, build, configure, finished


@pytest.mark.long
def test_core(tmp_path: Path) -> None:
    check_core(tmp_path, sanitize="")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="MSVC has no such sanitizers")
def test_core_with_sanitizers(tmp_path: Path) -> None:
    check_core(tmp_path, sanitize="address")


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("clang++"), reason="no clang++ here")
@pytest.mark.parametrize("instruction_set", ["baseline", "avx512"])
def test_clang_has_no_warnings(tmp_path: Path, instruction_set: str) -> None:
    configure(
        ROOT,
        tmp_path,
        "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_CXX_COMPILER=clang++",
        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
        "-DLOCALGD_PYTHON=OFF",
        "-DLOCALGD_TESTS=ON",
        "-DLOCALGD_WERROR=ON",
        f"-DLOCALGD_TEST_INSTRUCTION_SET={instruction_set}",
    )
    units = json.loads((tmp_path / "compile_commands.json").read_text())
    assert any("kernels_float" in unit["file"] for unit in units)

    def read(unit: dict[str, str]) -> str:
        words = shlex.split(unit["command"])
        done = finished(*words[: words.index("-o")], "-fsyntax-only", unit["file"])
        return done.stdout if done.returncode else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        assert not "".join(pool.map(read, units))


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
