"""The HTML of a report, by the templates in ``templates/``: whatever is put in is escaped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ... import _validation as check
from ..context import Context
from ..criterion import CAVEAT, FAILS, HOLDS, INCONCLUSIVE, MET, NOT_MET, UNDECIDED
from ..measured import Table
from ..running import FAILED, Outcome
from .data import csv_files
from .svg import inline
from .text import rich, signed

__all__ = ["page", "section"]

# Classes of style.css.
KINDS = {
    HOLDS: "good",
    CAVEAT: "mixed",
    INCONCLUSIVE: "unsure",
    FAILS: "bad",
    FAILED: "broken",
    MET: "good",
    UNDECIDED: "unsure",
    NOT_MET: "bad",
}
COUNTED = {
    HOLDS: ("holds", "hold"),
    CAVEAT: ("holds with a caveat", "hold with a caveat"),
    INCONCLUSIVE: ("is inconclusive", "are inconclusive"),
    FAILS: ("does not hold", "do not hold"),
}
NUMERIC = re.compile(r"^[<>≤≥≈±−-]?\s?[\d.,]+|^[–-]?$|^never$")


def page(
    outcomes: Sequence[Outcome],
    sections: Sequence[str],
    context: Context,
    about: Mapping[str, str],
    waiting: Sequence[str],
) -> str:
    """The whole report as one HTML file that needs nothing beside it.

    Parameters
    ----------
    outcomes, sections : sequences of equal length
        What became of each experiment, and its part of the page.
    context : Context
    about : mapping of str to str
        Versions, seed, machine, date, command: a name and what it is.
    waiting : sequence of str
        Experiments that were asked for and are not finished.

    Returns
    -------
    str

    Raises
    ------
    MissingExtraError
        Without Jinja2.
    """
    return _rendered(
        "page.html",
        outcomes=outcomes,
        sections=map(_markup, sections),
        context=context,
        about=about,
        waiting=waiting,
        tally=_tally(outcomes),
    )


def section(outcome: Outcome, context: Context, figures: Mapping[str, str]) -> str:
    """The HTML of one experiment.

    Parameters
    ----------
    outcome : Outcome
    context : Context
    figures : mapping
        The SVG of each picture by its name.

    Returns
    -------
    str
    """
    words, measured = outcome.experiment.words, outcome.measured
    return _rendered(
        "section.html",
        outcome=outcome,
        words=words,
        measured=measured,
        setting=_setting(outcome, context),
        FAILED=FAILED,
        other_kind=context.pick("full", "quick"),
        own_rows=outcome.own_rows(context),
        pictures=_pictures(outcome, figures),
        files=list(csv_files(outcome)),
        limits=[*words.limits, *(measured.notes if measured else ())],
    )


@cache
def _environment() -> Any:
    jinja2 = check.require("jinja2", "cli", "a report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "rich": lambda text: _markup(rich(text)),
        "number": lambda text: _markup(rich(_signed_number(text))),
        "kind": KINDS.__getitem__,
    }
    environment.tests["numeric"] = _is_numeric
    return environment


def _rendered(template: str, **values: object) -> str:
    text: str = _environment().get_template(template).render(values)
    return text


def _markup(text: str) -> Any:
    """A text that is HTML already."""
    return check.require("markupsafe", "cli", "a report").Markup(text)


def _tally(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "No experiment is finished."
    counts = Counter(judged.verdict.answer for outcome in outcomes for judged in outcome.judged)
    said = [f"{counts[a]} {words[counts[a] > 1]}" for a, words in COUNTED.items() if counts[a]]
    failed = sum(outcome.failed for outcome in outcomes)
    claims = f"{_count(sum(counts.values()), 'claim')} in {_count(len(outcomes), 'experiment')}"
    return (
        ": ".join([claims, *filter(None, [", ".join(said)])])
        + "."
        + (f" {_count(failed, 'experiment')} failed to run." if failed else "")
    )


def _count(number: int, name: str) -> str:
    return f"{number} {name}" + "s" * (number != 1)


def _setting(outcome: Outcome, context: Context) -> list[tuple[str, str, str]]:
    """What was done here, and where it differs what the other kind of report does."""
    used = outcome.experiment.setting(context)
    other = outcome.experiment.setting(Context(quick=not context.quick, seed=context.seed))
    return [(key, text, other[key] if other[key] != text else "") for key, text in used.items()]


def _pictures(outcome: Outcome, figures: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for picture in outcome.pictures:
        name = f"{outcome.experiment.id}_{picture.name}"
        view_box, width, body = inline(figures[picture.name], name)
        found.append(
            {
                "view_box": view_box,
                "width": f"{width:g}",
                "body": _markup(body),
                "caption": picture.caption,
                "file": f"figures/{name}.svg",
            }
        )
    return found


def _is_numeric(table: Table, column: int) -> bool:
    """Whether the cells of a column, other than the first one, are numbers."""
    return column > 0 and all(NUMERIC.match(row[column]) for row in table.rows)


def _signed_number(cell: str) -> str:
    """A negative number with a minus sign."""
    return signed(cell[0]) + cell[1:] if re.match(r"-\d", cell) else cell
