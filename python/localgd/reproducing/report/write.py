"""A report on disk, complete after every experiment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...writing import write_text
from ..context import Context
from ..running import Outcome
from .data import csv_files, markdown, summary
from .html import page, section
from .svg import render

__all__ = ["About", "Report"]

About = Mapping[str, str]
OURS = re.compile(r"E\d+_.+\.(svg|csv)")
FOLDERS = ("figures", "data")


@dataclass
class Report:
    """``index.html``, ``figures/``, ``data/``, ``summary.json`` and ``.md`` in a folder.

    Attributes
    ----------
    folder : Path
        Made if it is not there; figures and data of an earlier report go.
    context : Context
    about : mapping of str to str
        For the last part of the page.
    waiting : list of str
        Ids of the experiments still to come.
    """

    folder: Path
    context: Context
    about: About
    waiting: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            for path in (self.folder / name).iterdir():
                if OURS.fullmatch(path.name):
                    path.unlink()
        self._write_pages()

    @property
    def index(self) -> Path:
        """The HTML file."""
        return self.folder / "index.html"

    def add(self, outcome: Outcome) -> None:
        """Write an experiment's figures and data, and the page with all so far.

        Parameters
        ----------
        outcome : Outcome
        """
        figures = {p.name: self._figure(outcome, p.name, p.figure) for p in outcome.pictures}
        for name, text in csv_files(outcome).items():
            write_text(self.folder / "data" / name, text)
        self.outcomes.append(outcome)
        self.sections.append(section(outcome, self.context, figures))
        self.waiting = [name for name in self.waiting if name != outcome.experiment.id]
        self._write_pages()

    def _figure(self, outcome: Outcome, name: str, figure: object) -> str:
        full = f"{outcome.experiment.id}_{name}"
        svg = render(figure, full)
        write_text(self.folder / "figures" / f"{full}.svg", svg)
        return svg

    def _write_pages(self) -> None:
        text = page(self.outcomes, self.sections, self.context, self.about, self.waiting)
        write_text(self.index, text)
        write_text(self.folder / "summary.json", summary(self.outcomes, self.context))
        write_text(self.folder / "summary.md", markdown(self.outcomes, self.context))
