"""The formatters of this project, in one place: ``python tests/formatting.py`` formats all files.

``tests/test_formatting.py`` checks the same. The extra ``test`` brings the tools in fixed versions.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH = 100  # columns, as in .clang-format, .mdformat.toml and pyproject.toml

# Name of the tool: what it takes, how it formats in place, and how it only checks.
TOOLS = {
    "clang-format": ((".cpp", ".hpp"), ("-i",), ("--dry-run", "--Werror")),
    "ruff format": ((".py", ".pyi", ".md"), ("--quiet",), ("--quiet", "--check")),
    "ruff check": ((".py", ".pyi"), ("--quiet", "--fix"), ("--quiet",)),
    "mdformat": ((".md",), ("--compact-tables",), ("--compact-tables", "--check")),
}


def is_checkout() -> bool:
    """Whether git can say which files are the project's."""
    return (ROOT / ".git").exists() and shutil.which("git") is not None


def sources(*suffixes: str) -> list[Path]:
    """The files of the project with such names."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name.endswith(suffixes) and (ROOT / name).is_file()]


def tool(name: str) -> list[str]:
    """The command of a tool that stands beside this interpreter."""
    program, *rest = name.split()
    return [str(Path(sys.executable).with_name(program)), *rest]


def run(name: str, *, check: bool) -> subprocess.CompletedProcess[str]:
    suffixes, in_place, only_check = TOOLS[name]
    command = [*tool(name), *(only_check if check else in_place), *map(str, sources(*suffixes))]
    return subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def long_lines() -> Iterator[str]:
    """Lines that are too wide and could be broken: not links, tables and what a program printed."""
    for path in sources(".cpp", ".hpp", ".py", ".pyi", ".md", ".txt", ".toml"):
        printed = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if path.suffix == ".md" and line.startswith("```"):
                printed = line == "```text"
            exempt = path.suffix == ".md" and (printed or line.startswith(("|", "![")))
            if len(line) > WIDTH and not exempt and "# type: ignore" not in line:
                yield f"{path.relative_to(ROOT)}:{number}: {len(line)} columns"


def main() -> int:
    failed = 0
    for name in TOOLS:
        done = run(name, check=False)
        failed |= done.returncode
        print(f"{name}: {'failed' if done.returncode else 'done'}")
        print(done.stdout, end="")
    for line in long_lines():
        failed = 1
        print(line)
    return failed


if __name__ == "__main__":
    sys.exit(main())
