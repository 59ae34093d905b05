"""The two versions: commits, which are built once, or folders that hold an installed localgd."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

__all__ = ["folder_of"]

ROOT = Path(__file__).resolve().parents[2]
BUILDS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "localgd" / "compare"


def folder_of(version: str, instruction_set: str | None) -> Path:
    """The folder to import a version from: a folder as it is, a commit built if it was not yet."""
    if (Path(version) / "localgd" / "__init__.py").is_file():
        return Path(version).resolve()
    commit = git("rev-parse", "--verify", f"{version}^{{commit}}").decode().strip()
    folder = BUILDS / f"{commit[:12]}-{instruction_set or 'all'}-py{sys.version_info[1]}"
    if not folder.is_dir():
        print(f"building {version} ({commit[:12]}) …", file=sys.stderr, flush=True)
        build(commit, folder, instruction_set)
    return folder


def git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.decode().strip()}")
    return done.stdout


def build(commit: str, folder: Path, instruction_set: str | None) -> None:
    """pip install --target, beside and then renamed: an interrupted build leaves nothing."""
    settings = []
    if instruction_set:
        settings += ["-C", f"cmake.define.LOCALGD_INSTRUCTION_SETS={instruction_set}"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        source, target = Path(scratch, "source"), Path(scratch, "target")
        archive = Path(scratch, "source.tar")
        archive.write_bytes(git("archive", commit))
        with tarfile.open(archive) as tar:
            tar.extractall(source, filter="data")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        done = subprocess.run([*command, "--target", str(target), *settings, str(source)])
        if done.returncode:
            raise SystemExit(f"{commit[:12]} cannot be built")
        target.rename(folder)
