"""The whole report as one HTML file that needs nothing beside it."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files

from ..context import Context
from ..experiment import CAVEAT, FAILS, HOLDS
from ..running import FAILED, Outcome
from .section import badge
from .text import rich

__all__ = ["page"]

TITLE = "What local steps do to a model"
INTRODUCTION = (
    "Claims of the theory of Local-GD (FedAvg) and questions that its reviewers asked, each tried "
    "in an experiment. The program applies a criterion that was fixed beforehand; where part of it "
    "was set after a first look, the limits of the experiment say so. A claim that fails is shown "
    "as failing."
)
COUNTED = {
    HOLDS: ("holds", "hold"),
    CAVEAT: ("holds with a caveat", "hold with a caveat"),
    FAILS: ("does not hold", "do not hold"),
    FAILED: ("failed to run", "failed to run"),
}


def page(
    outcomes: Sequence[Outcome],
    sections: Sequence[str],
    context: Context,
    about: Mapping[str, str],
    waiting: Sequence[str],
) -> str:
    """The HTML of a report.

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
    """
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',  # or browsers ask for one
            f"<title>{TITLE}: localgd reproduce</title>",
            f"<style>\n{style}</style></head><body>",
            f'<header id="summary"><h1>{TITLE}</h1>',
            f"<p>{INTRODUCTION}</p>",
            f"<p><b>{_tally(outcomes)}</b> {_kind(context, waiting)}</p></header>",
            _summary(outcomes),
            *sections,
            _about(about),
            "</body></html>\n",
        ]
    )


def _tally(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome.answer for outcome in outcomes)
    said = [f"{counts[a]} {words[counts[a] > 1]}" for a, words in COUNTED.items() if counts[a]]
    one = "experiment" if len(outcomes) == 1 else "experiments"
    return f"{len(outcomes)} {one}: {', '.join(said)}." if said else "No experiment is finished."


def _kind(context: Context, waiting: Sequence[str]) -> str:
    said = "Quick report: fewer rounds, seeds and sizes than the full one." if context.quick else ""
    if context.own is not None:
        said += f" Own rows: {html.escape(context.own.about)}."
    if waiting:
        said += f" Not finished: {', '.join(waiting)}."
    return said


def _summary(outcomes: Sequence[Outcome]) -> str:
    rows = [
        f'<tr><td><a href="#{o.experiment.id}">{o.experiment.id}</a></td>'
        f"<td>{rich(o.experiment.question)}</td><td>{badge(o.answer)}</td>"
        f"<td>{rich(o.finding)}</td></tr>"
        for o in outcomes
    ]
    return (
        '<table class="summary"><thead><tr><th></th><th>question</th><th>verdict</th>'
        "<th>finding</th></tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>"
    )


def _about(about: Mapping[str, str]) -> str:
    rows = [
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
        for name, text in about.items()
    ]
    return (
        '<section id="about"><h2>How this report was made</h2><div class="scroll"><table><tbody>\n'
        + "\n".join(rows)
        + "\n</tbody></table></div></section>"
    )
