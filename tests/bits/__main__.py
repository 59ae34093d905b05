"""Makes the frozen bits anew, or prints by how much two versions differ.

python tests/bits                       compare with the frozen hashes of this build
python tests/bits --freeze              make them anew: for every instruction set of this machine
python tests/bits --save FILE.npz       keep all numbers
python tests/bits --difference A B      the largest relative differences of two such files
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

# A folder given to Python is itself the import path; the package is found from the one above.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np  # noqa: E402

from bits import cases, hashes  # noqa: E402
from localgd import _backend  # noqa: E402


def compare() -> int:
    name = hashes.build()
    if not hashes.file_of(name).exists():
        print(f"no frozen bits for {name}")
        return 2
    want, got = hashes.load(name), hashes.hashes()
    moved = [case for case in {**want, **got} if want.get(case) != got.get(case)]
    for case in moved:
        print(f"{case}: {want.get(case, 'new')} -> {got.get(case, 'gone')}")
    print(f"{name}: {len(got)} cases, {len(moved)} differ")
    return int(bool(moved))


def freeze() -> int:
    """In a process for each instruction set."""
    if os.environ.get("LOCALGD_BITS_CHILD"):
        print(hashes.save(hashes.build(), hashes.hashes()))
        return 0
    for level in _backend.available():
        environment = {
            **os.environ,
            "LOCALGD_INSTRUCTION_SET": level,
            "LOCALGD_BITS_CHILD": "1",
        }
        subprocess.run([sys.executable, __file__, "--freeze"], env=environment, check=True)
    return 0


def keep(path: Path) -> int:
    arrays = {
        f"{case} | {name}": values
        for case, function in cases.cases().items()
        for name, values in function(1).items()
    }
    np.savez_compressed(
        path, **{str(n): values for n, values in enumerate(arrays.values())}, names=list(arrays)
    )
    return 0


def difference(one: Path, other: Path) -> int:
    """By kind of number and dtype: relative to the largest number of the array."""
    loaded = [np.load(path) for path in (one, other)]
    tables = [{name: file[str(n)] for n, name in enumerate(file["names"])} for file in loaded]
    worst: dict[tuple[str, str], tuple[float, str]] = {}
    same = 0
    common = [name for name in tables[0] if name in tables[1]]
    for name in common:
        a, b = tables[0][name], tables[1][name]
        if a.shape != b.shape or not (np.isnan(a) == np.isnan(b)).all():
            size = np.inf
        elif np.array_equal(a, b, equal_nan=True):
            same += 1
            continue
        else:
            size = float(np.nanmax(np.abs(a - b)) / max(np.nanmax(np.abs(a)), 1e-300))
        case, what = name.rsplit(" | ", 1)
        key = (what.split(" ", 1)[-1] if case.startswith("sweep") else what, case.split()[-1])
        worst[key] = max(worst.get(key, (0.0, "")), (size, case))
    print(f"{len(common)} arrays, {same} with the same bits; the others differ by at most")
    for (what, dtype), (size, case) in sorted(worst.items()):
        print(f"  {what:<28} {dtype}  {size:.1e}  ({case})")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/bits", description=__doc__.splitlines()[0])
    parser.add_argument("--freeze", action="store_true")
    parser.add_argument("--save", type=Path, metavar="FILE")
    parser.add_argument("--difference", type=Path, nargs=2, metavar=("A", "B"))
    wanted = parser.parse_args()
    if wanted.freeze:
        return freeze()
    if wanted.save:
        return keep(wanted.save)
    if wanted.difference:
        return difference(*wanted.difference)
    return compare()


if __name__ == "__main__":
    sys.exit(main())
