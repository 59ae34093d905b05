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
from ..running import Judged, Outcome

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
        "experiments": [_of(outcome, context) for outcome in outcomes],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def markdown(outcomes: Sequence[Outcome], context: Context) -> str:
    """The summary as a Markdown table, to be put into other pages.

    Parameters
    ----------
    outcomes : sequence of Outcome
    context : Context

    Returns
    -------
    str
    """
    rows = [["", "claim", "verdict", "finding"], ["---"] * 4]
    for outcome in outcomes:
        own = outcome.own_rows(context)
        said = f" (Own rows {own}.)" if own else ""
        rows += [
            [outcome.experiment.id, title, answer, finding + said]
            for title, answer, finding in outcome.lines
        ]
    return "".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |\n" for row in rows)


def _of(outcome: Outcome, context: Context) -> dict[str, Any]:
    experiment, measured = outcome.experiment, outcome.measured
    found: dict[str, Any] = {
        "id": experiment.id,
        "title": experiment.words.title,
        "question": experiment.words.question,
        "own_rows": outcome.own_rows(context),
    }
    if measured is None:
        return found | {"error": outcome.error}
    return found | {
        "claims": [_claim(judged, measured) for judged in outcome.judged],
        "numbers": {name: plain(value) for name, value in measured.numbers.items()},
        "data_sha256": {
            name: hashlib.sha256(text.encode()).hexdigest()
            for name, text in csv_files(outcome).items()
        },
    }


def _claim(judged: Judged, measured: Measured) -> dict[str, Any]:
    return {
        "title": judged.claim.title,
        "verdict": judged.verdict.answer,
        "reason": judged.verdict.reason,
        "finding": judged.finding,
        "criterion": [
            {
                "condition": condition.words,
                "limit_set": condition.when,
                "measured": plain(measured.numbers[condition.number]),
                "answer": condition.answer(measured.numbers),
            }
            | ({"first_condition": condition.first} if condition.first else {})
            for condition in judged.claim.conditions
        ],
    }
