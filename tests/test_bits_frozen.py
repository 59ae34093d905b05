"""Runs of every kind have the bits that were frozen, in each instruction set (tests/bits)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localgd import _backend

BITS = Path(__file__).parent / "bits"


def command(*words: str, level: str) -> subprocess.CompletedProcess[str]:
    """``python tests/bits`` with an instruction set, and with the localgd of this process."""
    path = [str(Path(_backend.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    environment = {
        **os.environ,
        "LOCALGD_INSTRUCTION_SET": level,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
    return subprocess.run(
        [sys.executable, str(BITS), *words], env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("level", _backend.available())
def test_bits_are_those_that_were_frozen(level):
    done = command(level=level)
    if done.returncode == 2:
        pytest.skip(f"{done.stdout.strip()}: see tests/bits/README.md")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_bit_that_moved_is_told(tmp_path):
    """Two versions are compared number by number, and one in the last place counts."""
    import numpy as np

    names = ["case | squared gram float64 | weights", "case | squared gram float64 | history loss"]
    numbers = {"0": np.array([1.0, 2.0]), "1": np.array([0.5, np.nan])}
    np.savez(tmp_path / "one.npz", names=names, **numbers)
    np.savez(tmp_path / "same.npz", names=names, **numbers)
    numbers["0"] = np.array([1.0, np.nextafter(2.0, 3.0)])
    np.savez(tmp_path / "other.npz", names=names, **numbers)
    files = [str(tmp_path / f"{name}.npz") for name in ("one", "same", "other")]
    level = _backend.available()[0]
    assert (
        "2 arrays, 2 with the same bits" in command("--difference", *files[:2], level=level).stdout
    )
    printed = command("--difference", files[0], files[2], level=level).stdout
    assert "2 arrays, 1 with the same bits" in printed
    assert "2.2e-16" in printed
