"""The page, by the template in ``templates/``: whatever is put in is escaped."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ... import _validation as check
from ...evaluation import Evaluation
from ...evaluation.measures import MEASURES
from ...evaluation.table import TITLES
from ...plot.evaluations import calibration, clients_compare
from ...reproducing.report.svg import inline, render

__all__ = ["page"]

MOST_DRAWN = 40  # clients in a figure
LONGEST = 24  # letters of a client's name there
TEMPLATES = Path(__file__).parent / "templates"
STYLES = Path(__file__).parents[2] / "reproducing" / "report" / "templates"  # style.css
# What is said of a model; the keys are those of an Evaluation.
MODELS = {
    "federated": "trained where the rows are: clients send models, and no rows",
    "pooled": "trained on the same rows in one place, each row counting the same",
    "client-weighted": "the same, with the clients' weights in place of one for each row",
    "own": "one for each client, trained on its rows alone",
}


class Count(NamedTuple):
    """On how many clients the federated model is better than another, equal to it, or worse."""

    model: str
    better: int
    equal: int
    worse: int

    @property
    def all(self) -> int:
        return self.better + self.equal + self.worse


def page(
    evaluation: Evaluation, *, held_out: bool, purpose: str, warning: str, about: Mapping[str, str]
) -> str:
    """One HTML file that needs nothing beside it.

    ``held_out``: whether no model was trained on the rows; ``purpose``: what models were trained
    for; ``warning``: what is wrong with the run, or empty; ``about``: how the page was made.
    """
    columns = evaluation.columns
    defined = [m for m in MEASURES if not np.isnan(columns[m]).all()]
    main = "auc" if "auc" in defined else "balanced_accuracy"
    shown = [main, *(m for m in defined if m != main)]
    clients = list(dict.fromkeys(columns["client"].tolist()))[1:]
    return _rendered(
        held_out=held_out,
        purpose=purpose,
        warning=warning,
        about=about,
        n=len(evaluation.y),
        clients=clients,
        models={name: MODELS[name] for name in evaluation.models},
        measures={name: TITLES[name] for name in shown},
        main=TITLES[main] if main == "auc" else TITLES[main].lower(),
        level=f"{100 * evaluation.level:g}",
        bootstrap=evaluation.bootstrap,
        lines=list(_lines(evaluation, shown)),
        counts=_counts(evaluation, main),
        pictures=_pictures(evaluation, main, clients),
        most_drawn=MOST_DRAWN,
    )


def _lines(evaluation: Evaluation, measures: list[str]) -> Iterator[dict[str, Any]]:
    """The cells of each line: a number, and its interval or nothing."""
    columns = evaluation.columns
    for k in range(len(evaluation)):
        line: dict[str, Any] = {name: columns[name][k] for name in ("client", "model", "n")}
        line["client"] = str(line["client"])
        line["first"] = line["model"] == evaluation.models[0]
        share = columns["prevalence"][k]
        line["prevalence"] = "" if np.isnan(share) else f"{100 * share:.0f} %"
        for name in measures:
            ends = [_number(columns[f"{name}_{end}"][k]) for end in ("low", "high")]
            line[name] = (_number(columns[name][k]), " to ".join(ends) if all(ends) else "")
        yield line


def _number(value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{value:.3f}" if np.isfinite(value) else "∞" if value > 0 else "−∞"


def _counts(evaluation: Evaluation, measure: str) -> list[Count]:
    """The federated model against each other one, on the clients where both have a number."""
    columns = evaluation.columns
    of_clients = np.arange(len(evaluation)) >= len(evaluation.models)
    value = {m: columns[measure][of_clients & (columns["model"] == m)] for m in evaluation.models}
    counts = []
    for name in evaluation.models[1:]:
        gain = value["federated"] - value[name]
        gain = gain[~np.isnan(gain)]
        better, equal = int((gain > 0).sum()), int((gain == 0).sum())
        counts.append(Count(name, better, equal, len(gain) - better - equal))
    return [count for count in counts if count.all]


def _pictures(evaluation: Evaluation, measure: str, clients: list[Any]) -> list[dict[str, Any]]:
    drawn = [_picture("clients", clients_compare(_for_figure(evaluation, clients), measure))]
    if _has_probabilities(evaluation):
        drawn.append(_picture("calibration", calibration(evaluation)))
    return drawn


def _has_probabilities(evaluation: Evaluation) -> bool:
    scores = evaluation.scores["federated"]
    return scores.ndim == 1 and not np.isnan(evaluation.columns["log_loss"]).all()


def _for_figure(evaluation: Evaluation, clients: list[Any]) -> Evaluation:
    """With the clients of the most rows only, if a figure could not show all, and short names."""
    names = [_cut(str(name)) for name in evaluation.columns["client"]]
    columns = {**evaluation.columns, "client": np.array(names, dtype=object)}
    if len(clients) <= MOST_DRAWN:
        return dataclasses.replace(evaluation, columns=columns)
    many = len(evaluation.models)
    n = columns["n"][many::many]
    kept = np.zeros(1 + len(clients), dtype=bool)
    kept[0] = True
    kept[1 + np.argsort(-n, kind="stable")[:MOST_DRAWN]] = True
    lines = np.repeat(kept, many)
    return dataclasses.replace(
        evaluation, columns={name: column[lines] for name, column in columns.items()}
    )


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _picture(name: str, ax: Any) -> dict[str, Any]:
    view_box, width, body = inline(render(ax.figure, name), name)
    markup = check.require("markupsafe", "cli", "--evaluate").Markup(body)
    return {"name": name, "view_box": view_box, "width": f"{width:g}", "body": markup}


@cache
def _environment() -> Any:
    jinja2 = check.require("jinja2", "cli", "--evaluate")
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, STYLES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _rendered(**values: object) -> str:
    text: str = _environment().get_template("evaluation.html").render(values)
    return text
