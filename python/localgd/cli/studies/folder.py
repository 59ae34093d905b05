"""The folder of a study: the study itself, its runs, and what they were made with and of."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...sweeping.stores import RECORD, STORE
from ...writing import write_text
from ..info import collect
from .definition import Study, read_study

__all__ = ["StudyFolder", "changed_files", "changed_versions", "open_folder", "prepare_folder"]

FORMAT = 1
STUDY = "study.toml"
PIECE = 2**20  # bytes
# What results depend on beside the study and its data, as ``localgd info`` has it.
VERSIONS = ("version", "instruction_set", "compiler", "eigen", "numpy", "scipy", "python")


@dataclass(frozen=True)
class StudyFolder:
    """A study in its folder, and the record of how its runs were made."""

    path: Path
    study: Study
    record: dict[str, Any]

    @property
    def store(self) -> Path:
        """Where the runs are."""
        return self.path / STORE


def prepare_folder(path: Path, study: Study, command: str) -> StudyFolder:
    """A new folder for a study, or the one that holds it already."""
    path.mkdir(parents=True, exist_ok=True)
    text = study.moved_to(path)
    if (path / STUDY).exists():
        there = open_folder(path)
        if (path / STUDY).read_text(encoding="utf-8") != text:
            raise ValueError(f"out: {path} holds another study; want a folder of its own")
        for name, why in changed_files(there):
            raise ValueError(f"out: {path} was made of other data: {name} {why}")
        return there
    record = _record(study, path, command)
    write_text(path / RECORD, json.dumps(record, indent=2) + "\n")
    write_text(path / STUDY, text)
    return open_folder(path)


def open_folder(path: Path) -> StudyFolder:
    """The folder of a study; a ValueError if it is none."""
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']!r}")
    except FileNotFoundError:
        raise ValueError(f"{path}: no {RECORD}; want the folder of localgd sweep --out") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path / RECORD}: not the record of a study ({error})") from None
    return StudyFolder(path, read_study(path / STUDY), record)


def changed_files(folder: StudyFolder) -> Iterator[tuple[str, str]]:
    """The files of rows that are not those of the record, and why."""
    for name, wanted in folder.record["data"].items():
        file = folder.study.file(name)
        if not file.is_file():
            yield name, "is missing"
        elif _hash(file) != wanted["sha256"]:
            yield name, "has another SHA-256"


def changed_versions(folder: StudyFolder) -> dict[str, tuple[str, str]]:
    """What differs in versions and instruction set: then, and now."""
    then, now = folder.record["made_with"], _versions()
    return {
        name: (str(then.get(name)), str(now[name])) for name in now if then.get(name) != now[name]
    }


def _record(study: Study, path: Path, command: str) -> dict[str, Any]:
    files = {study.moved_name(name, path): study.file(name) for name in study.data}
    return {
        "format": FORMAT,
        "command": command,
        "runs": len(study.runs),
        "made_with": _versions(),
        "machine": collect()["machine"],
        "commit": _commit(study.path.parent),
        "data": {
            name: {"sha256": _hash(file), "bytes": file.stat().st_size}
            for name, file in files.items()
        },
    }


def _versions() -> dict[str, Any]:
    known = collect()
    return {name: known[name] for name in VERSIONS}


def _hash(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(PIECE):
            found.update(piece)
    return found.hexdigest()


def _commit(folder: Path) -> dict[str, Any] | None:
    """The commit of the repository in which the study lies, and whether files differ from it."""
    git = shutil.which("git")
    if git is None:
        return None

    def said(*words: str) -> str:
        done = subprocess.run(
            [git, "-C", str(folder), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        changed = bool(said("status", "--porcelain", "--untracked-files=no"))
        return {"id": said("rev-parse", "HEAD"), "changed": changed}
    except (OSError, subprocess.CalledProcessError):  # no repository, or one without a commit
        return None
