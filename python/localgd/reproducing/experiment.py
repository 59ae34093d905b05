"""What an experiment is: words in a data file, a measuring, pictures of it, a verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import localgd as lg

from . import figures, rows
from .context import Context
from .criterion import Condition, Numbers, Verdict, judge
from .measured import Measured, Picture, Table
from .words import Words

__all__ = ["Experiment"]

T = TypeVar("T")


class Experiment(ABC):
    """A claim or an open question, and how it is tried.

    A subclass is a frozen dataclass; its fields, if any, are what a test may sabotage (a method, a
    server, a start).
    """

    words: ClassVar[Words]

    @property
    def id(self) -> str:
        """Such as "E3"."""
        return self.words.id

    @property
    def criterion(self) -> Sequence[Condition]:
        """The conditions of all claims."""
        return self.words.criterion

    def setting(self, context: Context) -> dict[str, str]:
        """Data, M, n, d, methods, rounds, seeds: a name and what it is."""
        places = {
            **rows.about(context),
            **self.words.constants,
            **self.parameters(context),
        }
        return {name: text.format_map(places) for name, text in self.words.setting.items()}

    def parameters(self, context: Context) -> Mapping[str, Any]:
        """What the setting's placeholders name: sizes, rounds and seeds of this context."""
        return {}

    @abstractmethod
    def measure(self, context: Context) -> Measured:
        """Do the work. The same context gives the same bits."""

    @abstractmethod
    def draw(self, measured: Measured) -> Mapping[str, Any]:
        """The Axes of each picture by its name, drawn from the numbers and series only."""

    def pictures(self, measured: Measured) -> list[Picture]:
        """The pictures with their captions and legends, in the order of the words."""
        drawn = self.draw(measured)
        for ax in drawn.values():
            figures.legend(ax)
        return [
            Picture(name, caption.format_map(self.words.constants), drawn[name].figure)
            for name, caption in self.words.pictures.items()
        ]

    def table(self, name: str, records: Iterable[Mapping[str, Any]], /, **options: Any) -> Table:
        """A table of the words with the numbers of these records (:meth:`TableWords.table`)."""
        return self.words.tables[name].table(records, **{**self.words.constants, **options})

    def own_or(
        self,
        context: Context,
        take: Callable[[lg.Problem], T],
        other: Callable[[], T],
        name: str = "",
    ) -> rows.Rows[T]:
        """The user's rows where this experiment can use them, else other ones.

        Parameters
        ----------
        context : Context
        take : callable Problem -> T
            Makes what is used of the user's rows; a ValueError says why they are not.
        other : callable -> T
            Makes it of other rows.
        name : str
            What those are called.
        """
        own = context.own_problem(*self.words.tasks)
        if own is None:
            return rows.Rows(other(), name)
        try:
            return rows.Rows(take(own), rows.OWN, f"used: {self.words.own_rows}")
        except ValueError as error:
            return rows.Rows(other(), name, f"not used: {error}")

    def own_or_digits(
        self,
        context: Context,
        take: Callable[[lg.Problem], lg.Problem] = rows.separable,
        name: str = "",
        **options: Any,
    ) -> rows.Rows[list[lg.Problem]]:
        """The user's rows where they are separable, else a draw of digits for each seed.

        Parameters
        ----------
        context : Context
        take : callable Problem -> Problem
            As of :meth:`own_or`.
        name : str
            What other rows are called, by default :func:`rows.digits_name`.
        **options
            Of :func:`rows.digits`.
        """
        return self.own_or(
            context,
            lambda own: [take(own)],
            lambda: [rows.digits(context, seed, **options) for seed in context.seeds()],
            name or rows.digits_name(context),
        )

    def unmet(self, numbers: Numbers) -> list[Condition]:
        """The conditions of the criterion that these numbers do not meet."""
        return [c for c in self.criterion if not c.met(numbers)]

    def judge(self, numbers: Numbers) -> dict[str, Verdict]:
        """The verdict on each claim, by its title."""
        return {claim.title: judge(claim.conditions, numbers) for claim in self.words.claims}
