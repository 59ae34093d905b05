"""The page of one experiment."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from ..context import Context
from ..experiment import CAVEAT, FAILS, HOLDS, Measured, Table
from ..running import FAILED, Outcome
from .svg import inline
from .text import rich, signed

__all__ = ["badge", "section", "table"]

KINDS = {HOLDS: "good", FAILS: "bad", CAVEAT: "mixed", FAILED: "broken"}
UNMET = {  # by whether that is a caveat only
    False: '<span class="verdict bad">not met</span>',
    True: '<span class="verdict mixed">not met</span>',
}
NUMERIC = re.compile(r"^[<>≤≥≈±−-]?\s?[\d.,]+|^[–-]?$")


def badge(answer: str) -> str:
    """A verdict: an icon, a word and a colour."""
    return f'<span class="verdict {KINDS[answer]}">{answer}</span>'


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
    experiment = outcome.experiment
    kind = "Open question; our prediction" if experiment.open else "Claim"
    sources = ", ".join(
        f'<a href="{html.escape(s.url)}">{html.escape(s.label)}</a>' for s in experiment.sources
    )
    parts = [
        f'<section id="{experiment.id}">',
        f'<h2><span class="number">{experiment.id}</span>{rich(experiment.title)}</h2>',
        f'<p class="question">{rich(experiment.question)}</p>',
        f"<h3>{kind}</h3>",
        f"<p>{rich(experiment.claim)}</p>",
        f'<p class="soft">{"Asked about" if experiment.open else "Source"}: {sources}.</p>',
        _verdict(outcome),
        "<h3>Setting</h3>",
        _setting(outcome, context),
        "<h3>Criterion, fixed beforehand</h3>",
        _criterion(outcome),
    ]
    if outcome.measured is not None:
        parts += ["<h3>What was measured</h3>", _figures(outcome, figures)]
        parts += [table(one) for one in outcome.measured.tables]
        parts.append(_files(outcome, outcome.measured))
    parts += [
        "<h3>Limits</h3>",
        _listed([*experiment.limits, *(outcome.measured.notes if outcome.measured else ())]),
        "<h3>Python that repeats it</h3>",
        f"<pre>{html.escape(experiment.code.strip(), quote=False)}</pre>",
        f'<p class="soft">This experiment took {outcome.seconds:.1f} s. '
        '<a href="#summary">Back to the summary</a></p>',
        "</section>",
    ]
    return "\n".join(parts)


def table(content: Table) -> str:
    """A table that scrolls on a small screen; columns of numbers are set to the right."""
    columns = list(zip(*content.rows, strict=True)) or [() for _ in content.headings]
    right = [all(NUMERIC.match(cell) for cell in column) for column in columns]
    sides = [' class="right"' if r and i else "" for i, r in enumerate(right)]
    head = "".join(
        f"<th{side}>{rich(text)}</th>" for side, text in zip(sides, content.headings, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{s}>{rich(signed_number(c))}</td>" for s, c in zip(sides, row, strict=True))
        + "</tr>"
        for row in content.rows
    )
    caption = f'<p class="caption">{rich(content.caption)}</p>' if content.caption else ""
    return (
        f'{caption}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def signed_number(cell: str) -> str:
    """A negative number with a minus sign."""
    return signed(cell[0]) + cell[1:] if re.match(r"-\d", cell) else cell


def _verdict(outcome: Outcome) -> str:
    if outcome.verdict is None:
        trace = html.escape(outcome.trace.strip(), quote=False)
        return (
            f'<div class="judged"><p>{badge(FAILED)} before there was a verdict: '
            f"{html.escape(outcome.error)}</p><pre>{trace}</pre></div>"
        )
    return (
        f'<div class="judged"><p>{badge(outcome.verdict.answer)}</p>'
        f"<p>{rich(outcome.finding)} {rich(outcome.verdict.reason)}</p></div>"
    )


def _setting(outcome: Outcome, context: Context) -> str:
    """What was done here, and where it differs what the other kind of report does."""
    used = outcome.experiment.setting(context)
    other = outcome.experiment.setting(Context(quick=not context.quick, seed=context.seed))
    name = "full" if context.quick else "quick"
    rows = []
    for key, text in used.items():
        differs = other.get(key, text) != text
        more = f'<br><span class="soft">({name}: {rich(other[key])})</span>' if differs else ""
        rows.append(f"<tr><th>{rich(key)}</th><td>{rich(text)}{more}</td></tr>")
    if context.own is not None and context.own_problem(*outcome.experiment.tasks) is None:
        wanted = " or ".join(outcome.experiment.tasks)
        why = f"it can use {wanted} rows" if wanted else "it has rows of its own"
        rows.append(f"<tr><th>your rows</th><td>not used: {why}</td></tr>")
    return '<div class="scroll"><table><tbody>\n' + "\n".join(rows) + "\n</tbody></table></div>"


def _criterion(outcome: Outcome) -> str:
    """Each condition, and once measured its number and whether it is met."""
    rows = []
    for condition in outcome.experiment.criterion:
        kind = " (if not: a caveat)" if condition.otherwise else ""
        cells = [f"<td>{rich(condition.words + kind)}</td>"]
        if outcome.measured is not None:
            numbers = outcome.measured.numbers
            met = condition.met(numbers)
            word = (
                '<span class="verdict good">met</span>' if met else UNMET[bool(condition.otherwise)]
            )
            cells.append(
                f'<td class="number">{rich(signed_number(condition.measured(numbers)))}</td>'
            )
            cells.append(f"<td>{word}</td>")
        rows.append("<tr>" + "".join(cells) + "</tr>")
    more = "<th>measured</th><th></th>" if outcome.measured is not None else ""
    head = f"<thead><tr><th>condition</th>{more}</tr></thead>"
    body = "\n".join(rows)
    return f'<div class="scroll"><table>{head}<tbody>\n{body}\n</tbody></table></div>'


def _figures(outcome: Outcome, figures: Mapping[str, str]) -> str:
    shown = []
    for picture in outcome.pictures:
        name = f"{outcome.experiment.id}_{picture.name}"
        svg = inline(figures[picture.name], name, picture.caption)
        shown.append(
            f"<figure>{svg}<figcaption>{rich(picture.caption)} "
            f'<a class="files" href="figures/{name}.svg">SVG</a></figcaption></figure>'
        )
    return '<div class="figures">' + "\n".join(shown) + "</div>" if shown else ""


def _files(outcome: Outcome, measured: Measured) -> str:
    names = [f"{outcome.experiment.id}_{name}.csv" for name in measured.series]
    links = ", ".join(f'<a href="data/{name}">{name}</a>' for name in names)
    return f'<p class="files">Data: {links}</p>' if links else ""


def _listed(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{rich(sentence)}</li>" for sentence in sentences) + "</ul>"
