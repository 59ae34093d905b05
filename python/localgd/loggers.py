"""Where the records of a run go while it runs: ``callback=`` of ``localgd.run`` takes these."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _validation as check

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CsvLogger", "MLflowLogger", "TensorBoardLogger"]


class _Logger:
    """Takes records, and is closed at the end of a ``with`` block."""

    def __call__(self, record: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what it writes to; the next record opens it again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class CsvLogger(_Logger):
    """A CSV file with a line for each record, written at once: to follow by ``tail -f``.

    ``round,local_steps,loss,…`` and then the numbers of each record

    Parameters
    ----------
    path : path
        The file.
    append : bool, default False
        Whether lines that are there stay, as for a run that continues from a checkpoint: records up
        to the last round there are left out then.

    Raises
    ------
    ValueError
        At the first record: if the file to append to has other columns.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import localgd as lg, tempfile, pathlib
    >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "history.csv")
    ...     run = lg.run(problem, lg.GD(1.0), rounds=10, callback=lg.loggers.CsvLogger(path))
    ...     lines = path.read_text().splitlines()
    >>> lines[0].split(",")[:3], len(lines) - 1 == len(run.history["round"])
    (['round', 'local_steps', 'loss'], True)
    """

    def __init__(self, path: str | os.PathLike[str], *, append: bool = False):
        self.path, self.append = Path(path), check.flag("append", append)
        self._columns: list[str] | None = None
        self._last = -1

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Write a line."""
        if self._columns is None:
            self._begin(list(record))
        if record.get("round", math.inf) <= self._last:
            return
        assert self._columns is not None
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([record.get(name, "") for name in self._columns])

    def close(self) -> None:
        """Begin anew with the next record."""
        self._columns, self._last = None, -1

    def _begin(self, columns: list[str]) -> None:
        if self.append and self.path.exists() and self.path.stat().st_size:
            with self.path.open(newline="", encoding="utf-8") as file:
                there, *lines = csv.reader(file)
            if there != columns:
                raise ValueError(
                    f"path: {self.path} has the columns {', '.join(there)}; want "
                    f"{', '.join(columns)}, or append=False"
                )
            self._last = int(lines[-1][there.index("round")]) if lines and "round" in there else -1
        else:
            with self.path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerow(columns)
        self._columns = columns


class MLflowLogger(_Logger):
    """Metrics of the active run of MLflow, by round.

    ``mlflow.log_metrics({column: number}, step=round)``

    Where there is no active run MLflow begins one. Numbers that are not finite are left out, and so
    are texts.

    Parameters
    ----------
    prefix : str, default ""
        Before the name of each column, as in ``"train/"``.
    params : mapping, optional
        Parameters of the run of MLflow, logged with the first record.

    Raises
    ------
    MissingExtraError
        Without MLflow (``pip install 'localgd[trackers]'``).

    References
    ----------
    https://mlflow.org/docs/latest/tracking.html

    Examples
    --------
    >>> import localgd as lg
    >>> try:
    ...     logger = lg.loggers.MLflowLogger(params={"lr": 0.1})
    ... except lg.MissingExtraError:
    ...     logger = None
    """

    def __init__(self, *, prefix: str = "", params: Mapping[str, Any] | None = None):
        self.prefix, self.params = prefix, dict(params or {})
        self._mlflow = check.require("mlflow", "trackers", "MLflowLogger")

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Log the numbers of a record."""
        if self.params:
            self._mlflow.log_params(self.params)
            self.params = {}
        self._mlflow.log_metrics(
            {f"{self.prefix}{name}": value for name, value in _numbers(record).items()},
            step=_step(record),
        )


class TensorBoardLogger(_Logger):
    """Scalars in a folder for TensorBoard, by round, by tensorboardX, which needs no PyTorch.

    ``add_scalar(column, number, round)``

    Numbers that are not finite are left out, and so are texts.

    Parameters
    ----------
    folder : path
        What ``tensorboard --logdir`` is to show.
    prefix : str, default ""
        Before the name of each column, as in ``"train/"``.

    Raises
    ------
    MissingExtraError
        Without tensorboardX (``pip install 'localgd[trackers]'``).

    References
    ----------
    https://tensorboardx.readthedocs.io

    Examples
    --------
    >>> import localgd as lg
    >>> try:
    ...     logger = lg.loggers.TensorBoardLogger("runs/first")
    ... except lg.MissingExtraError:
    ...     logger = None
    """

    def __init__(self, folder: str | os.PathLike[str], *, prefix: str = ""):
        self.folder, self.prefix = Path(folder), prefix
        self._module = check.require("tensorboardX", "trackers", "TensorBoardLogger")
        self._writer: Any = None

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Write the numbers of a record."""
        if self._writer is None:
            self._writer = self._module.SummaryWriter(str(self.folder))
        for name, value in _numbers(record).items():
            self._writer.add_scalar(f"{self.prefix}{name}", value, _step(record))
        self._writer.flush()

    def close(self) -> None:
        """Close the file of events."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """What can be drawn over the rounds."""
    return {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, int | float) and math.isfinite(value) and name != "round"
    }


def _step(record: Mapping[str, Any]) -> int | None:
    round = record.get("round")
    return None if round is None else int(round)
