"""What a study is: a TOML file of settings, some of which have several values.

Settings as of ``localgd run`` hold for all runs. In the table ``grid`` each has a list of values,
and so it may in the tables ``methods``, one for each method with what it takes. Paths of data are
relative to the file.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from ... import __version__
from .. import chosen_method
from ..config import read_toml
from ..rows import BUILT_IN
from ..screen import quoted
from ..settings import OutputSettings, Settings

__all__ = ["Study", "StudyRun", "read_study"]

# Settings of single runs: what is written where, what is compared, and over which processes.
OF_RUNS = {*OutputSettings.model_fields, "pooled", "mpi"} - {"records_per_decade"}
TABLES = ("grid", "methods")


@dataclass(frozen=True)
class StudyRun:
    """One run: its ``values`` tell it from others, its method is settled, its data is not."""

    values: dict[str, Any]
    given: dict[str, Any]
    settings: Settings

    @property
    def command(self) -> str:
        """The line that makes it alone, from the folder of the study."""
        words = []
        for name, value in self.given.items():
            option = name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
            else:
                words += [f"--{option}", quoted(str(value))]
        return " ".join(["localgd run", *words])


@dataclass(frozen=True)
class Study:
    """A study, read and checked."""

    path: Path
    values: dict[str, Any]
    runs: list[StudyRun]

    @property
    def data(self) -> list[str]:
        """The files of rows, as they are written in it."""
        named = dict.fromkeys(run.given.get("data") for run in self.runs)
        return [name for name in named if name is not None and name not in BUILT_IN]

    def file(self, name: str) -> Path:
        """Where a file of rows is."""
        return self.path.parent / os.path.expanduser(name)

    def moved_name(self, name: str, folder: Path) -> str:
        """How another folder calls a file of rows."""
        try:
            return Path(os.path.relpath(self.file(name).resolve(), folder.resolve())).as_posix()
        except ValueError:  # on another drive
            return str(self.file(name).resolve())

    def moved_to(self, folder: Path) -> str:
        """The text of the same study in another folder."""

        def moved(key: str, value: Any) -> Any:
            if key == "data" and isinstance(value, str) and value not in BUILT_IN:
                return self.moved_name(value, folder)
            if isinstance(value, list):
                return [moved(key, entry) for entry in value]
            if isinstance(value, dict):
                return {name: moved(name, entry) for name, entry in value.items()}
            return value

        head = f"# localgd {__version__}; to run it again: localgd rerun FOLDER\n"
        return head + tomli_w.dumps(moved("", self.values))


def read_study(path: Path) -> Study:
    """A study from its file; a ValueError that names what is wrong in it."""
    values, text = read_toml(path)
    where = f"{path}: "
    fixed = {name: value for name, value in values.items() if name not in TABLES}
    _check(fixed, where, text)
    grid = _axes(values.get("grid", {}), f"{where}grid: ", text)
    methods = values.get("methods", [{}])
    if not isinstance(methods, list) or not all(isinstance(one, dict) for one in methods):
        raise ValueError(f"{where}methods: got {methods!r}; want tables [[methods]]")
    if methods != [{}] and ("method" in fixed or "method" in grid):
        raise ValueError(f"{where}method: stands beside [[methods]]; want one of the two")
    found = []
    for one in methods:
        for given, name in _combinations(one, fixed, grid, where, text):
            try:
                settings = Settings.from_values({**given, **_located(given, path)})
                settled = chosen_method.settle(settings)
            except ValueError as error:
                raise ValueError(f"{where}{error}") from None
            found.append((given, name or settings.method, settled))
    return Study(path, values, _told_apart(found, where))


def _check(values: Mapping[str, Any], where: str, text: str) -> None:
    for name in values:
        if name in OF_RUNS:
            raise ValueError(f"{where}{name}: is of single runs; a study has none")
    Settings.from_values(values, where, text)


def _axes(values: Any, where: str, text: str) -> dict[str, list[Any]]:
    """The values of each setting, every one of them checked."""
    if not isinstance(values, dict):
        raise ValueError(f"{where}got {values!r}; want a table of lists")
    for name, listed in values.items():
        if not isinstance(listed, list) or not listed:
            raise ValueError(f"{where}{name}: got {listed!r}; want a list of values")
        for value in listed:
            _check({name: value}, where, text)
    return values


def _combinations(
    one: Mapping[str, Any], fixed: Mapping[str, Any], grid: Mapping[str, Any], where: str, text: str
) -> Iterator[tuple[dict[str, Any], str]]:
    """The settings of each run of a method, and what it is called."""
    name = one.get("name", "")
    if not isinstance(name, str):
        raise ValueError(f"{where}methods: name: got {name!r}; want a text")
    own = {key: value for key, value in one.items() if key != "name"}
    lists = {key: value for key, value in own.items() if isinstance(value, list)}
    axes = {**grid, **_axes(lists, f"{where}methods: ", text)}
    single = {key: value for key, value in own.items() if key not in lists}
    _check(single, f"{where}methods: ", text)
    for values in itertools.product(*axes.values()):
        combination = dict(zip(axes, values, strict=True))
        yield {**fixed, **{k: v for k, v in combination.items() if k not in single}, **single}, name


def _located(given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The path of the data, from where we are."""
    data = given.get("data")
    if data is None or data in BUILT_IN:
        return {}
    return {"data": str(path.parent / os.path.expanduser(str(data)))}


def _told_apart(found: list[tuple[dict[str, Any], str, Settings]], where: str) -> list[StudyRun]:
    """The runs, with the values of all settings that vary."""
    names = list(dict.fromkeys(name for given, _, _ in found for name in given))
    varying = [
        name
        for name in names
        if name != "method" and len({repr(given.get(name)) for given, _, _ in found}) > 1
    ]
    files = _file_names([given.get("data") for given, _, _ in found])
    runs: dict[str, StudyRun] = {}
    for given, called, settings in found:
        values = {"method": called, **{name: given.get(name) for name in varying}}
        if "data" in values:
            values["data"] = files[values["data"]]
        if repr(values) in runs:
            raise ValueError(
                f"{where}two runs are called {values!r}; want them to differ, be it by the name of "
                "a method"
            )
        runs[repr(values)] = StudyRun(values, given, settings)
    return list(runs.values())


def _file_names(paths: list[Any]) -> dict[Any, Any]:
    """What files are called, without their folders if that tells them apart."""
    names = {path: path if path is None else Path(path).name for path in paths}
    return names if len({*names.values()}) == len(names) else {path: path for path in names}
