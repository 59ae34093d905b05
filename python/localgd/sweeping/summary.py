"""What the runs of a sweep come to, over their seeds: a table for a paper."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validation as check
from ..measuring import COLUMNS, RISING
from ..text_tables import escaped_latex, latex_table, markdown_table
from .aggregation import Group, grouped, names_given
from .entry import Entry

__all__ = ["Summary", "summarize"]

USUAL = ("suboptimality", "grad_norm", "angle", "test_accuracy", "loss")
ROUNDING = 1e-12  # what varies by less, relatively, does not
OF_LOSS = 8 * np.finfo(np.float64).eps  # of f - f*, relative to f: what is below is rounding
FURTHER = 3  # digits of a mean, where the standard deviation is small


@dataclass(frozen=True)
class Measured:
    """One number of every run: the last value of a column, or what a target took."""

    key: str
    title: str
    values: list[np.ndarray]  # of each group, NaN where a run has none


class Summary:
    """Means and standard deviations of the runs of a sweep, from ``Sweep.summary``.

    Attributes
    ----------
    columns : dict of str to ndarray
        One entry for each group of runs: its parameters; ``runs``, and ``completed``, how many of
        them were neither stopped nor failed nor diverged, of which the others are: of each measure
        the mean under its name, ``…_std``, ``…_median`` and ``…_runs``, of how many runs.
    """

    def __init__(self, groups: list[Group], measured: list[Measured]):
        self._groups, self._measured = groups, measured
        self._names = list(groups[0].values) if groups else []
        self.columns: dict[str, np.ndarray] = {}
        for name in self._names:
            self.columns[name] = np.array([group.values[name] for group in groups], dtype=object)
        self.columns["runs"] = np.array([len(group.entries) for group in groups])
        self.columns["completed"] = np.array([len(_completed(group)) for group in groups])
        for one in measured:
            known = [values[~np.isnan(values)] for values in one.values]
            self.columns[one.key] = _each(known, np.mean)
            self.columns[f"{one.key}_std"] = _each(known, lambda v: v.std(ddof=1), least=2)
            self.columns[f"{one.key}_median"] = _each(known, np.median)
            self.columns[f"{one.key}_runs"] = np.array([len(values) for values in known])

    def __len__(self) -> int:
        return len(self._groups)

    def to_frame(self) -> Any:
        """The summary as a pandas DataFrame.

        ``frame[column][group] = columns[column][group]``

        Returns
        -------
        pandas.DataFrame
            Indexed from 0.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0]], [1])])
        >>> table = lg.sweep(problem, lg.GD(lr=1.0), grid={"lr": [0.1, 0.2]}, rounds=1)
        >>> table.summary(columns="norm").to_frame()["norm"].tolist()
        [0.1, 0.2]
        """
        return check.require("pandas", "data", "Summary.to_frame").DataFrame(self.columns)

    def to_markdown(self, *, digits: int = 3) -> str:
        """The summary for a page in Markdown.

        ``mean ± standard deviation``

        Parameters
        ----------
        digits : int >= 1, default 3
            Significant ones of a mean; of a standard deviation as many places.

        Returns
        -------
        str
            Lines without an end of line after the last.

        Raises
        ------
        ValueError, TypeError
            For digits of another kind.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0]], [1])])
        >>> table = lg.sweep(problem, lg.GD(lr=1.0), grid={"lr": [0.1, 0.2]}, rounds=1)
        >>> print(table.summary(columns="norm").to_markdown())
        | lr | norm of the model |
        | -- | --: |
        | 0.1 | 0.1 |
        | 0.2 | 0.2 |
        """
        titles, rows = self.cells(digits)
        return markdown_table(titles, rows, texts=len(self._names))

    def to_latex(self, *, digits: int = 3) -> str:
        r"""The summary for a paper, a ``tabular`` that needs no package of LaTeX.

        ``$(\text{mean} \pm \text{standard deviation}) \times 10^e$``

        Parameters
        ----------
        digits : int >= 1, default 3
            As for :meth:`to_markdown`.

        Returns
        -------
        str
            Lines without an end of line after the last.

        Raises
        ------
        ValueError, TypeError
            For digits of another kind.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0]], [1])])
        >>> table = lg.sweep(problem, lg.GD(lr=1.0), grid={"lr": [0.1, 0.2]}, rounds=1)
        >>> print(table.summary(columns="norm").to_latex().splitlines()[4])
        0.1 & $0.1$ \\
        """
        titles, rows = self._texts(digits, _latex)
        count = len(self._names)
        rows = [[*map(escaped_latex, row[:count]), *row[count:]] for row in rows]
        return latex_table([_latex_title(title) for title in titles], rows, texts=count)

    def __str__(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return f"Summary({len(self)} groups of {self.columns['runs'].sum()} runs)"

    def cells(self, digits: int = 3) -> tuple[list[str], list[list[str]]]:
        """Titles, and the cells of each line, as plain text."""
        return self._texts(digits, _plain)

    def _texts(self, digits: int, shown: Any) -> tuple[list[str], list[list[str]]]:
        """Titles, and the cells of each line."""
        digits = check.integer("digits", digits, 1)
        partly = (self.columns["completed"] < self.columns["runs"]).any()
        titles = [*self._names, *(["completed"] if partly else [])]
        titles += [one.title for one in self._measured]
        rows = []
        for i, group in enumerate(self._groups):
            row = ["" if group.values[n] is None else str(group.values[n]) for n in self._names]
            if partly:
                row.append(f"{self.columns['completed'][i]}/{self.columns['runs'][i]}")
            for one in self._measured:
                mean, std = (self.columns[key][i] for key in (one.key, f"{one.key}_std"))
                cell = (
                    shown("–", "", 0) if math.isnan(mean) else shown(*_rounded(mean, std, digits))
                )
                known = self.columns[f"{one.key}_runs"][i]
                if 0 < known < len(one.values[i]):
                    cell += f" ({known}/{len(one.values[i])})"
                row.append(cell)
            rows.append(row)
        return titles, rows


def summarize(
    entries: Sequence[Entry],
    by: Any,
    over: Any,
    columns: Any,
    target: Any,
    until: str | Sequence[str],
) -> Summary:
    """What ``Sweep.summary`` gives."""
    groups = grouped(entries, by, over)
    known = list(dict.fromkeys(name for entry in entries for name in entry.history))
    if columns is None:
        columns = [name for name in USUAL if name in known]
    measured = [
        Measured(name, _title(name), _numbers(groups, _last, name))
        for name in names_given("columns", columns, known)
    ]
    for name, value in _targets(target, known):
        sign = "≥" if name in RISING else "≤"
        for cost in names_given("until", until, known):
            key = f"{cost}_until_{name}_{value:g}"
            title = f"{_title(cost)} until {_title(name)} {sign} {value:g}"
            measured.append(Measured(key, title, _numbers(groups, _reached, name, value, cost)))
    return Summary(groups, measured)


def _targets(target: Any, known: list[str]) -> list[tuple[str, float]]:
    if target is None:
        return []
    if not isinstance(target, Mapping):
        raise TypeError(f"target: got {target!r}; want a mapping of columns to values")
    names_given("target", list(target), known)
    pairs = []
    for name, values in target.items():
        listed = values if isinstance(values, list | tuple) else [values]
        pairs += [(name, check.number(f"target: {name}", value)) for value in listed]
    return pairs


def _completed(group: Group) -> list[Entry]:
    return [entry for entry in group.entries if entry.status == "completed"]


def _numbers(groups: list[Group], of: Callable[..., float], *arguments: Any) -> list[np.ndarray]:
    """A number of each completed run, by groups."""
    return [np.array([of(entry, *arguments) for entry in _completed(group)]) for group in groups]


def _last(entry: Entry, name: str) -> float:
    values = entry.history.get(name, np.zeros(0))
    value = float(values[-1]) if values.size else math.nan
    if name == "suboptimality" and abs(value) <= OF_LOSS * abs(_last(entry, "loss")):
        return 0.0
    return math.degrees(value) if _unit(name) == "rad" else value


def _reached(entry: Entry, name: str, value: float, cost: str) -> float:
    """What the first record has cost at which the target is met, NaN without one."""
    values = entry.history.get(name, np.zeros(0))
    met = np.flatnonzero(values >= value if name in RISING else values <= value)
    spent = entry.history.get(cost, np.zeros(0))
    return float(spent[met[0]]) if len(met) and len(spent) else math.nan


def _unit(name: str) -> str:
    return COLUMNS[name].unit if name in COLUMNS else ""


def _title(name: str) -> str:
    if name not in COLUMNS:
        return name
    if name == "round":
        return "rounds"
    unit = _unit(name).replace("rad", "degrees")
    return unit if unit in ("bits", "bytes") else COLUMNS[name].title + (f" ({unit})" * bool(unit))


def _each(known: list[np.ndarray], statistic: Any, least: int = 1) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):  # where there are infinite ones
        return np.array([statistic(v) if len(v) >= least else math.nan for v in known])


def _rounded(mean: float, std: float, digits: int) -> tuple[str, str, int]:
    """Mean and standard deviation to the same place, both without the power of ten beside them."""
    size = max(abs(mean), std if math.isfinite(std) else 0.0)
    power = math.floor(math.log10(size)) if size > 0 and math.isfinite(size) else 0
    shift = power if not -3 <= power < 5 else 0
    places = max(0, digits - 1 - (0 if shift else power))
    mean, std = mean / 10.0**shift, std / 10.0**shift
    if math.isfinite(std) and std >= 10.0 ** -(places + FURTHER):
        places = max(places, -math.floor(math.log10(std)))  # down to its first digit
        return f"{mean:,.{places}f}", f"{std:,.{places}f}", shift
    text = f"{mean:,.{places}f}"
    if std > ROUNDING * abs(mean):
        return text, f"{std:.0e}", shift
    # What does not vary has no zeros at its end.
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text, "" if math.isnan(std) else "0", shift


def _plain(mean: str, std: str, power: int) -> str:
    if not std:
        return f"{mean}e{power:+03d}" if power else mean
    both = f"{mean} ± {std}"
    return f"({both})e{power:+03d}" if power else both


def _latex(mean: str, std: str, power: int) -> str:
    if mean == "–":
        return "--"
    mean, std = (text.replace(",", "{,}") for text in (mean, std))
    std = re.sub(r"e([+-])0*(\d+)", lambda e: f" \\times 10^{{{int(e[1] + e[2])}}}", std)
    both = f"{mean} \\pm {std}" if std else mean
    if power:
        both = f"({both}) \\times 10^{{{power}}}" if std else f"{both} \\times 10^{{{power}}}"
    return f"${both}$"


def _latex_title(title: str) -> str:
    """A title whose signs of mathematics are set as such."""
    text = escaped_latex(title)
    for sign, command in {"≤": "\\le", "≥": "\\ge", "f - f*": "f - f^*"}.items():
        text = text.replace(sign, f"${command}$")
    return text
