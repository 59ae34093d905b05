"""Which columns of a table hold what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _validation as check
from .columns import listed, shown

__all__ = ["Layout", "Wanted", "Word", "by_name"]


@dataclass(frozen=True)
class Word:
    """Digits that one typed on a shell: a column's name, or its index if none has that name."""

    text: str


Wanted = str | int | Word | None


class Layout:
    """Which columns of a table hold the label, the client id and the features.

    ``index``: columns that only number or name the rows; they are no features unless
    ``keep_index`` says so, and never the label by default. ``count_index``: whether a column given
    by its number is counted among all columns or among those that are no index.
    """

    def __init__(
        self,
        path: Path,
        names: Sequence[str | int],
        label: Wanted,
        client: Wanted,
        index: Sequence[int],
        keep_index: bool,
        *,
        count_index: bool,
        advice: str = "",
    ):
        self.path, self.names = path, names
        self._advice = advice if len(names) == 1 else ""
        own = [i for i in range(len(names)) if i not in index]
        if not own:
            raise ValueError(f"{path.name}: no columns beside an index; want rows with labels")
        self.counted = list(range(len(names))) if count_index else own
        self.client = None if client is None else self._column("client", client)
        self.guesses: tuple[str, ...] = ()
        if label is None:
            # A file of one column keeps it as label and is refused below for want of features.
            self.label = next((i for i in reversed(own) if i != self.client), own[-1])
            self.guesses = (f"column {shown(names[self.label])} as the label (label=…: another)",)
        else:
            self.label = self._column("label", label)
        if self.label == self.client:
            raise ValueError(
                f"label, client: both are column {names[self.label]!r} of {path.name}; want two"
            )
        named = (self.label, self.client)
        self.left_out = [] if keep_index else [i for i in index if i not in named]
        self.features = [i for i in range(len(names)) if i not in (*named, *self.left_out)]
        if not self.features:
            raise ValueError(
                f"{path.name}: {len(names)} column(s) ({listed(names)}), none left for features; "
                f"want at least one{advice}"
            )

    def _column(self, role: str, wanted: str | int | Word) -> int:
        if isinstance(wanted, Word):
            wanted = wanted.text if wanted.text in self.names else int(wanted.text)
        if isinstance(wanted, str):
            found = [i for i, name in enumerate(self.names) if name == wanted]
            if len(found) != 1:
                count = f"{len(found)} columns" if found else "no column"
                near = "" if found else check.did_you_mean(wanted, self.names)
                raise ValueError(
                    f"{role}: {count} {wanted!r} in {self.path.name}; it has {listed(self.names)}"
                    f"{near}{self._advice}"
                )
            return found[0]
        if not -len(self.counted) <= wanted < len(self.counted):
            raise ValueError(
                f"{role}: got column {wanted} of {self.path.name}; it has {len(self.counted)} "
                "columns, counted from 0"
            )
        return self.counted[wanted]

    def location(self, where: str, column: int) -> str:
        return f"{self.path.name} {where}, column {shown(self.names[column])}"


def by_name(path: Path, layout: Layout, column: Callable[[int], Any]) -> dict[str | int, Any]:
    """The features of a table by their names, of which no two may be the same."""
    found: dict[str | int, Any] = {}
    for i in layout.features:
        if layout.names[i] in found:
            raise ValueError(f"{path.name}: two columns are named {shown(layout.names[i])}")
        found[layout.names[i]] = column(i)
    return found
