"""The result of ``localgd.evaluate``: a line for each group of rows and model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validation as check
from ..text_tables import escaped_latex, latex_table, markdown_table
from .measures import MEASURES

__all__ = ["Evaluation", "columns_of"]

TITLES = {
    "client": "Client",
    "model": "Model",
    "n": "n",
    "prevalence": "Prevalence",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "auc": "AUC",
    "log_loss": "Log-loss",
    "brier": "Brier",
    "calibration_slope": "Calibration slope",
}


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """How good models are, over all rows and for each client, from :func:`localgd.evaluate`.

    Attributes
    ----------
    columns : dict of str to ndarray
        One number or text for each line. ``client``, "all" in the first lines; ``model``, one of
        ``models``; ``n``; ``prevalence``, the share of rows at +1; ``accuracy``;
        ``balanced_accuracy``, the mean over the classes that have rows; ``auc``; ``log_loss``;
        ``brier``, the mean of (P - 1{y = +1})², of several classes of Σ_c (P_c - 1{y = c})²;
        ``calibration_slope``, b of the logistic regression of labels on a + b x·w, 1 if
        probabilities are neither too extreme (below 1) nor too timid, inf if the scores tell all
        labels. Of each measure ``…_low`` and ``…_high``, the ends of its interval. NaN where a
        measure is not defined: of one class only, of several classes (AUC, slope, prevalence), of
        losses other than logistic and softmax (what takes probabilities), and where a client has
        no model of its own.
    models : tuple of str
        "federated", "pooled", with client weights of another kind "client-weighted", and "own".
    y : ndarray of shape (N,), float64
        The labels as numbers, -1 and +1 or 0 … C - 1.
    scores : dict of str to ndarray of shape (N,) or (N, C)
        Of all rows, by each model.
    bootstrap : int
        Samples of which the intervals are.
    level : float
        Of the intervals.
    """

    columns: dict[str, np.ndarray]
    models: tuple[str, ...]
    y: np.ndarray
    scores: dict[str, np.ndarray]
    bootstrap: int
    level: float

    def __len__(self) -> int:
        return len(self.columns["n"])

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame.

        ``frame[column][line] = columns[column][line]``

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
        >>> problem = lg.Problem([([[1.0], [2.0], [0.5]], [1, 1, -1])])
        >>> run = lg.run(problem, lg.GD("1/H"), rounds=100, loss="logistic", l2=0.1)
        >>> frame = lg.evaluate(run, problem, bootstrap=0).to_frame()
        >>> frame[["client", "model", "n", "accuracy"]].shape
        (6, 4)
        """
        return check.require("pandas", "data", "Evaluation.to_frame").DataFrame(self.columns)

    def to_markdown(self, *, digits: int = 3, intervals: bool = True) -> str:
        """The table for a page in Markdown.

        ``| 0.912 [0.880, 0.934] |`` for a measure and its interval

        Parameters
        ----------
        digits : int >= 0, default 3
            After the point.
        intervals : bool, default True
            With them, if there are some.

        Returns
        -------
        str
            Lines without an end of line after the last.

        Raises
        ------
        ValueError, TypeError
            For arguments of another kind.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0], [2.0], [0.5]], [1, 1, -1])])
        >>> run = lg.run(problem, lg.GD("1/H"), rounds=100, loss="logistic", l2=0.1)
        >>> text = lg.evaluate(run, problem, bootstrap=0).to_markdown(digits=2)
        >>> print(text.splitlines()[2].partition(" | 1.00")[0])
        | all | federated | 3 | 0.67 | 0.67 | 0.50
        """
        titles, lines = self._texts(digits, intervals)
        return markdown_table(titles, lines, texts=2)

    def to_latex(self, *, digits: int = 3, intervals: bool = True) -> str:
        """The table for a paper, a ``tabular`` that needs no package of LaTeX.

        ``0.912 [0.880, 0.934] &`` for a measure and its interval

        Parameters
        ----------
        digits, intervals
            As for :meth:`to_markdown`.

        Returns
        -------
        str
            Lines without an end of line after the last.

        Raises
        ------
        ValueError, TypeError
            As :meth:`to_markdown`.

        Examples
        --------
        >>> import localgd as lg
        >>> problem = lg.Problem([([[1.0], [2.0], [0.5]], [1, 1, -1])])
        >>> run = lg.run(problem, lg.GD("1/H"), rounds=100, loss="logistic", l2=0.1)
        >>> print(lg.evaluate(run, problem, bootstrap=0).to_latex().splitlines()[0])
        \\begin{tabular}{llrrrrrrrr}
        """
        titles, lines = self._texts(digits, intervals)
        titles, *lines = ([escaped_latex(cell) for cell in row] for row in (titles, *lines))
        return latex_table(titles, lines, texts=2)

    def __repr__(self) -> str:
        clients = len({*self.columns["client"].tolist()}) - 1
        return f"Evaluation({', '.join(self.models)}: {len(self.y)} rows, {clients} clients)"

    def __str__(self) -> str:
        return self.to_markdown()

    def _texts(self, digits: int, intervals: bool) -> tuple[list[str], list[list[str]]]:
        """Titles, and the cells of each line."""
        digits = check.integer("digits", digits, 0)
        intervals = check.flag("intervals", intervals) and self.bootstrap > 0
        lines = []
        for k in range(len(self)):
            line = [str(self.columns[name][k]) for name in ("client", "model", "n")]
            line.append(_number(self.columns["prevalence"][k], digits))
            for name in MEASURES:
                names = [name, f"{name}_low", f"{name}_high"]
                line.append(_cell([self.columns[n][k] for n in names], digits, intervals))
            lines.append(line)
        return list(TITLES.values()), lines


def columns_of(lines: Iterable[dict[str, Any]]) -> dict[str, np.ndarray]:
    """One array for each name that the lines have; ids stay what they are."""
    lines = list(lines)
    columns = {name: np.array([line[name] for line in lines]) for name in lines[0]}
    columns["client"] = np.array([line["client"] for line in lines], dtype=object)
    return columns


def _cell(values: Sequence[float], digits: int, intervals: bool) -> str:
    value, low, high = (_number(value, digits) for value in values)
    return f"{value} [{low}, {high}]" if intervals and value != "" else value


def _number(value: float, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"
