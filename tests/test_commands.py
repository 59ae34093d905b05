"""Commands on pages are such as the programs take, and the files in them exist.

The options of a program of this project are those of its ``--help``; nothing else is run.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import localgd as lg

pytest.importorskip("markdown_it")

from formatting import ROOT, is_checkout
from pages import pages
from project import PROJECT

pytestmark = pytest.mark.skipif(not is_checkout(), reason="needs a checkout")

OF_DEVELOPERS = {"build", "pytest", "mypy", "venv"}  # modules, perhaps not installed here
OTHERS = {
    "mpiexec",
    "apt-get",
    "auditwheel",
    "brew",
    "cibuildwheel",
    "ninja",
    "pre-commit",
    "sphinx-build",
}


@cache
def help_of(*program: str) -> str:
    path = os.pathsep.join([str(Path(lg.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *program, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    if "pip install" in done.stderr:  # an extra is missing
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout


def unknown_options(program: tuple[str, ...], arguments: list[str]) -> Iterator[str]:
    for option in (word.partition("=")[0] for word in arguments if word.startswith("--")):
        if not re.search(rf"(?<![\w-]){option}(?![\w-])", help_of(*program)):
            yield f"no option {option}"


def of_localgd(arguments: list[str]) -> Iterator[str]:
    yield from unknown_options(("-m", "localgd", *arguments[:1]), arguments)


def of_python(arguments: list[str]) -> Iterator[str]:
    if arguments[:1] == ["-m"]:
        if arguments[1] not in OF_DEVELOPERS and importlib.util.find_spec(arguments[1]) is None:
            yield f"no module {arguments[1]}"
    elif arguments and (ROOT / arguments[0]).exists():
        yield from unknown_options((arguments[0],), arguments)
    else:
        yield "no such script"


def of_pip(arguments: list[str]) -> Iterator[str]:
    for word in arguments:
        of_project = re.fullmatch(r"(?:\.|localgd)\[([\w,]+)\]", word)
        for extra in of_project[1].split(",") if of_project else ():
            if extra not in PROJECT["optional-dependencies"]:
                yield f"no extra {extra}"
        if defined := re.match(r"--config-settings=cmake\.define\.(\w+)=", word):
            yield from unknown_variables([defined[1]])


def unknown_variables(names: list[str]) -> Iterator[str]:
    ours = re.findall(
        r"(?:option|set)\((LOCALGD_\w+)", (ROOT / "CMakeLists.txt").read_text("utf-8")
    )
    for name in names:
        if name not in ours and not name.startswith(("CMAKE_", "Python_")):
            yield f"no variable {name}"


def presets(kind: str) -> dict[str, dict]:
    found = json.loads((ROOT / "CMakePresets.json").read_text("utf-8"))
    return {preset["name"]: preset for preset in found[kind]}


def of_cmake(arguments: list[str]) -> Iterator[str]:
    yield from unknown_variables(re.findall(r"-D(\w+)=", " ".join(arguments)))
    targets = (ROOT / "cpp" / "tests" / "CMakeLists.txt").read_text("utf-8")
    for option, value in itertools.pairwise(arguments):
        if option == "--preset" and value not in {"NAME", *presets("configurePresets")}:
            yield f"no preset {value}"
        if option == "--target" and f"({value} " not in targets:
            yield f"no target {value}"


def of_cpp_tests(arguments: list[str]) -> Iterator[str]:
    for word in arguments:
        if not any((ROOT / "cpp" / "tests").glob(f"{word.removeprefix('--source-file=')}.cpp")):
            yield f"no file for {word}"


def of_slow(arguments: list[str]) -> Iterator[str]:
    text = (ROOT / ".ci" / "slow").read_text("utf-8")
    yield from (f"no part {name}" for name in arguments if f"part_{name}()" not in text)


CHECKS = {
    "localgd": of_localgd,
    "python": of_python,
    "python3": of_python,
    "pip": of_pip,
    "cmake": of_cmake,
    "ctest": of_cmake,
    "localgd_tests": of_cpp_tests,
    "slow": of_slow,
    "run": of_slow,
}


def wrong(command: list[str]) -> list[str]:
    program, arguments = command[0].rpartition("/")[2], command[1:]
    if program in OTHERS:
        return []
    if program not in CHECKS:
        return [f"what is {program}?"]
    of_ours = [word for word in arguments if re.match(r"(tests|bench|cpp|docs)/", word)]
    missing = [f"no file {word}" for word in of_ours if not (ROOT / word).exists()]
    return [*missing, *CHECKS[program](arguments)]


def test_commands_on_pages():
    found = [(page.name, command) for page in pages() for command in page.commands]
    assert len(found) > 40
    assert [(*place, problem) for place in found for problem in wrong(place[1])] == []


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("localgd run --hue 3", "no option --hue"),
        ("localgd reproduce --weight equal", "no option --weight"),
        ("python bench/throughput --job", "no option --job"),
        ("python nothing.py", "no such script"),
        ("python -m pytest tests/test_nothing.py", "no file tests/test_nothing.py"),
        ("pip install .[tests]", "no extra tests"),
        ("pip install . --config-settings=cmake.define.LOCALGD_SETS=x", "no variable LOCALGD_SETS"),
        ("cmake --preset fast", "no preset fast"),
        ("cmake --build --preset avx2 --target tests", "no target tests"),
        ("build/x/localgd_tests --source-file=*nothing*", "no file for --source-file=*nothing*"),
        (".ci/slow msvc", "no part msvc"),
        ("conda install localgd", "what is conda?"),
    ],
)
def test_what_is_wrong_is_found(command, problem):
    assert wrong(command.split()) == [problem]


def test_presets_of_cmake():
    configured = presets("configurePresets")
    assert set(configured) == set(presets("buildPresets")) == set(presets("testPresets"))
    names = {name for preset in configured.values() for name in preset["cacheVariables"]}
    assert list(unknown_variables(sorted(names))) == []
