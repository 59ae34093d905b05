"""Series as CSV, the summary as JSON and Markdown: the same bytes for the same numbers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..context import Context
from ..measured import Measured, plain
from ..running import Outcome

__all__ = ["csv_files", "markdown", "summary"]


def csv_files(outcome: Outcome) -> dict[str, str]:
    """The text of each CSV file, by its name; every digit of each number.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    dict of str to str
    """
    if outcome.measured is None:
        return {}
    return {
        f"{outcome.experiment.id}_{name}.csv": _csv(columns)
        for name, columns in outcome.measured.series.items()
    }


def _csv(columns: Mapping[str, Any]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(np.asarray(c).tolist() for c in columns.values()), strict=True))
    return stream.getvalue()


def summary(outcomes: Sequence[Outcome], context: Context) -> str:
    """Verdicts and numbers of a report as JSON; nothing in it depends on time or machine.

    Parameters
    ----------
    outcomes : sequence of Outcome
    context : Context

    Returns
    -------
    str
    """
    content = {
        "quick": context.quick,
        "seed": context.seed,
        "own_rows": None if context.own is None else context.own.about,
        "experiments": [_of(outcome) for outcome in outcomes],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The summary as a Markdown table, to be put into other pages.

    Parameters
    ----------
    outcomes : sequence of Outcome

    Returns
    -------
    str
    """
    rows = [
        ["", "question", "verdict", "finding"],
        ["---"] * 4,
        *([o.experiment.id, o.experiment.words.question, o.answer, o.finding] for o in outcomes),
    ]
    return "".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |\n" for row in rows)


def _of(outcome: Outcome) -> dict[str, Any]:
    experiment = outcome.experiment
    found: dict[str, Any] = {
        "id": experiment.id,
        "title": experiment.words.title,
        "answer": outcome.answer,
        "finding": outcome.finding,
    }
    if outcome.measured is None or outcome.verdict is None:
        return found
    return found | {
        "reason": outcome.verdict.reason,
        "criterion": _conditions(outcome, outcome.measured),
        "numbers": {name: plain(value) for name, value in outcome.measured.numbers.items()},
        "data_sha256": {
            name: hashlib.sha256(text.encode()).hexdigest()
            for name, text in csv_files(outcome).items()
        },
    }


def _conditions(outcome: Outcome, measured: Measured) -> list[dict[str, Any]]:
    return [
        {
            "condition": condition.words,
            "measured": plain(measured.numbers[condition.number]),
            "met": condition.met(measured.numbers),
        }
        for condition in outcome.experiment.criterion
    ]
