"""Hashes of the bits, and where they are kept."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

import numpy as np

from localgd._backend import core

from .cases import THREADS, Arrays, cases

FOLDER = Path(__file__).parent / "frozen"


def build() -> str:
    """What bits may depend on beside the sources, as a name for a file."""
    info = core.build_info()
    compiler = info["compiler"].split(" (")[0].replace(" ", "")
    libc = "".join(platform.libc_ver())
    return f"{info['instruction_set']}-{compiler}-eigen{info['eigen']}-{libc}"


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.json"


def digest(arrays: Arrays) -> str:
    """Of all bits: NaNs count by where they are."""
    whole = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        if values.dtype.kind == "f":
            values = np.where(np.isnan(values), np.nan, values).astype(values.dtype)
        whole.update(f"{name} {values.shape} {values.dtype.str}".encode() + values.tobytes())
    return whole.hexdigest()[:12]


def hashes(names: list[str] | None = None) -> dict[str, str]:
    """Of every case; the same for 1 and 3 threads, or it says so in place of a hash."""
    found = {}
    for name, case in cases().items():
        if names is not None and name not in names:
            continue
        one, *others = (digest(case(threads)) for threads in THREADS)
        found[name] = one if set(others) <= {one} else f"threads differ: {one}, {', '.join(others)}"
    return found


def load(name: str) -> dict[str, str]:
    loaded: dict[str, str] = json.loads(file_of(name).read_text(encoding="utf-8"))
    return loaded


def save(name: str, found: dict[str, str]) -> Path:
    FOLDER.mkdir(exist_ok=True)
    file_of(name).write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
    return file_of(name)
