"""Files about the project: workflows run what the pages say, and facts that stand twice agree."""

from __future__ import annotations

import re
from typing import Any

import pytest

import localgd as lg

pytest.importorskip("markdown_it")
pytest.importorskip("yaml")

import yaml
from formatting import ROOT, is_checkout, sources
from pages import Page, commands
from project import PROJECT, PYPROJECT

pytestmark = pytest.mark.skipif(not is_checkout(), reason="needs a checkout")


def said() -> list[list[str]]:
    """The commands of the pages for users and developers."""
    return [c for name in ("README.md", "CONTRIBUTING.md") for c in Page(ROOT / name).commands]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def test_all_yaml_is_yaml():
    files = sources(".yml", ".yaml", ".cff")
    assert len(files) >= 5
    for file in files:
        assert isinstance(yaml.safe_load(file.read_text("utf-8")), dict), file


@pytest.mark.parametrize("name", ["tests", "wheels"])
def test_workflow_runs_what_the_pages_say(name):
    workflow = read(f".github/workflows/{name}.yml")
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    run = [command for step in steps for command in commands(step.get("run", ""))]
    assert run
    assert [command for command in run if command not in [*said(), ["apt-get", "update"]]] == []
    used = [step["uses"] for step in steps if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in used)


def test_hooks_run_what_the_pages_say():
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    entries = [hook["entry"].split() for hook in repository["hooks"]]
    assert entries and [entry for entry in entries if entry not in said()] == []


def test_citation_agrees_with_the_package():
    citation = read("CITATION.cff")
    for key in ("version", "license", "authors", "keywords"):
        assert citation[key] == PROJECT[key], key
    assert lg.__version__ == PROJECT["version"]


def test_versions_of_python():
    """The oldest one is that of mypy and of the classifiers; the workflow tries the ends."""
    listed = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert PROJECT["requires-python"] == f">={listed[0]}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == listed[0]
    matrix = read(".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]["include"]
    assert {listed[0], listed[-1]} <= {entry["python"] for entry in matrix}
    wheels = re.findall(r"\d", PYPROJECT["tool"]["cibuildwheel"]["build"].partition("cp31")[2])
    assert [f"3.1{digit}" for digit in wheels] == listed
