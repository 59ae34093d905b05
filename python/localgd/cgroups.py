"""The share of the processor that Linux control groups leave to this process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["cpu_quota"]

MEMBERSHIP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")


def cpu_quota() -> float:
    """Cores by the smallest quota of this process's groups; inf where there is none.

    A container's limit (``docker --cpus``, Kubernetes) is such a quota; the affinity shows nothing
    of it.
    """
    return min((_cores(folder) for folder in _groups()), default=math.inf)


def _groups() -> Iterator[Path]:
    """The folders of this process's groups and of all above them, in versions 2 and 1."""
    for line in (_read(MEMBERSHIP) or "").splitlines():
        _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", None, "/")
        if controllers is None or (controllers and "cpu" not in controllers.split(",")):
            continue
        root = MOUNT / controllers
        # A container may see the path of the host, but mounts its own group at the root.
        group = PurePosixPath(path.lstrip("/"))
        yield from (root / folder for folder in (group, *group.parents) if ".." not in folder.parts)
        if controllers:
            yield MOUNT / "cpu"


def _cores(folder: Path) -> float:
    """The quota of one group: ``cpu.max`` of version 2, two files of version 1."""
    text = _read(folder / "cpu.max")
    if text is None:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        text = " ".join(_read(folder / name) or "" for name in names)
    numbers = text.split()
    if len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        return math.inf  # "max", -1, or no such files
    quota, period = map(int, numbers)
    return quota / period if quota and period else math.inf


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
