"""What is added to the C++ core: a file each, and its line in the registry."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Addition:
    """A file for a folder of the core, and what becomes of two texts of the registry there."""

    folder: str
    file: str
    include: tuple[str, str]
    line: tuple[str, str]

    @property
    def registry(self) -> str:
        return f"{self.folder}/registry.hpp"

    def add(self, root: Path) -> None:
        shutil.copy(Path(__file__).with_name(self.file), root / self.folder)
        registry = root / self.registry
        text = registry.read_text(encoding="utf-8")
        for old, new in (self.include, self.line):
            assert text.count(old) == 1, f"{self.registry}: {old}"
            text = text.replace(old, new)
        registry.write_text(text, encoding="utf-8")


def _after(old: str, new: str) -> tuple[str, str]:
    return old, old + new


LOSS = Addition(
    "cpp/core/loss",
    "smooth_hinge.hpp",
    _after('#include "logistic.hpp"\n', '#include "smooth_hinge.hpp"\n'),
    ("Poisson, Softmax>>;", "Poisson, Softmax, SmoothHinge>>;"),
)
SERVER = Addition(
    "cpp/core/server",
    "quasi_hyperbolic.hpp",
    _after('#include "average.hpp"\n', '#include "quasi_hyperbolic.hpp"\n'),
    ("Yogi, Adagrad>;", "Yogi, Adagrad, QuasiHyperbolic>;"),
)


def extended(root: Path) -> Path:
    """The sources of a core with both, in a folder of their own."""
    shutil.copytree(ROOT / "cpp", root / "cpp", ignore=shutil.ignore_patterns("tests"))
    shutil.copy(ROOT / "CMakeLists.txt", root)
    for addition in (LOSS, SERVER):
        addition.add(root)
    return root
