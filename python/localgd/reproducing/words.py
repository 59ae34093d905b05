"""The words of an experiment: a TOML file beside the Python file that measures.

Line breaks within a text count as spaces, except in ``code``. What is measured stands in the words
as a placeholder of :meth:`str.format`: ``{worst_angle_deg:.2f}``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import _validation as check
from .criterion import Condition
from .intervals import units_first
from .measured import Measured, Table
from .sources import Source, find_source

__all__ = ["Claim", "TableWords", "Words", "parse", "read"]

TOML = "tomllib" if sys.version_info >= (3, 11) else "tomli"


@dataclass(frozen=True)
class Claim:
    """What the papers say, or for open questions what we predict, and how it is judged.

    Attributes
    ----------
    title : str
        Two or three words, of which there is one in an experiment.
    words : str
    conditions : sequence of Condition
    finding : str
        What was measured, in one short sentence with its main number, for the summary.
    on_real : str
        What was measured on the real rows, or on the user's in their place: "{real}: angle …".
    """

    title: str
    words: str
    conditions: Sequence[Condition]
    finding: str = ""
    on_real: str = ""

    def found(self, measured: Measured) -> str:
        """The finding with its numbers; what is of the user's rows comes first."""
        real = measured.real[:1].upper() + measured.real[1:]
        said = [self.finding, self.on_real]
        if measured.used_own_rows:
            said.reverse()
        return units_first(
            " ".join(filter(None, said)).format_map({**measured.numbers, "real": real})
        )


@dataclass(frozen=True)
class TableWords:
    """A table without its numbers.

    Attributes
    ----------
    caption : str
    columns : sequence of (str, str)
        A heading, and how a cell is written: "angle to ŵ" and "{angle_deg:.3f}°".
    """

    caption: str
    columns: Sequence[Sequence[str]]

    def table(
        self,
        records: Iterable[Mapping[str, Any]],
        /,
        more: Sequence[tuple[str, str]] = (),
        **places: object,
    ) -> Table:
        """The table of these records.

        Parameters
        ----------
        records : iterable of mapping
            One for each row: what the placeholders of its cells name.
        more : sequence of (str, str)
            Further columns, where the measuring decides how many.
        **places
            What the placeholders of caption and headings name.
        """
        headings, cells = zip(*self.columns, *more, strict=True)
        return Table(
            self.caption.format_map(places),
            [heading.format_map(places) for heading in headings],
            [[cell.format_map(record) for cell in cells] for record in records],
        )


@dataclass(frozen=True)
class Words:
    """All that an experiment says.

    Attributes
    ----------
    id : str
    title : str
        A few words.
    question : str
        One sentence that ends in "?".
    sources : sequence of Source
    claims : sequence of Claim
    setting : mapping of str to str
        Data, M, n, d, methods, rounds, seeds: a name and what it is.
    limits : sequence of str
        What this does not show.
    code : str
        Python that repeats the main number in seconds.
    pictures : mapping of str to str
        The caption of each picture by its name, in the order of the page.
    tables : mapping of str to TableWords
    open : bool
        Asked, and not answered by any paper.
    tasks : sequence of str
        Own rows that it can use: "binary", "multiclass", …
    own_rows : str
        What they are in a report that used them.
    constants : mapping of str to object
        What setting, captions and headings may name whatever is measured.
    """

    id: str
    title: str
    question: str
    sources: Sequence[Source]
    claims: Sequence[Claim]
    setting: Mapping[str, str]
    limits: Sequence[str]
    code: str
    pictures: Mapping[str, str]
    tables: Mapping[str, TableWords]
    open: bool = False
    tasks: Sequence[str] = ()
    own_rows: str = "they are the real rows"
    constants: Mapping[str, object] = field(default_factory=dict)

    @property
    def criterion(self) -> list[Condition]:
        """The conditions of all claims."""
        return [condition for claim in self.claims for condition in claim.conditions]


def read(python_file: str, **constants: object) -> Words:
    """The words beside a Python file: ``e01_max_margin.toml`` beside ``e01_max_margin.py``.

    Parameters
    ----------
    python_file : str
        ``__file__`` of the experiment.
    **constants
        Of that file: :attr:`Words.constants`.

    Returns
    -------
    Words
    """
    path = Path(python_file).with_suffix(".toml")
    return parse(path.read_text(encoding="utf-8"), path.name, **constants)


def parse(text: str, name: str, **constants: object) -> Words:
    """The words in a TOML text.

    Parameters
    ----------
    text : str
    name : str
        What error messages call it.
    **constants
        As of :func:`read`.

    Returns
    -------
    Words

    Raises
    ------
    ValueError
        If something is missing, unknown or no TOML.
    """
    toml = check.require(TOML, "cli", "localgd reproduce")
    try:
        content = toml.loads(text)
        folded = _folded(content)
        made = {
            "constants": constants,
            "code": content["code"],
            "sources": [find_source(key) for key in folded["sources"]],
            "claims": [
                Claim(**claim | {"conditions": [Condition(**c) for c in claim["conditions"]]})
                for claim in folded["claims"]
            ],
            "tables": {key: TableWords(**table) for key, table in folded["tables"].items()},
        }
        return Words(**folded | made)
    except KeyError as error:
        raise ValueError(f"{name}: got no {error}") from error
    except (TypeError, ValueError) as error:  # of a dataclass: a key too many or too few
        raise ValueError(f"{name}: {error}") from error


def _folded(value: Any) -> Any:
    """The same with every line break in a text as a space."""
    if isinstance(value, str):
        return re.sub(r"\s*\n\s*", " ", value.strip())
    if isinstance(value, dict):
        return {key: _folded(entry) for key, entry in value.items()}
    return [_folded(entry) for entry in value] if isinstance(value, list) else value
