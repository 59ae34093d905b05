"""How the direction of the global model approaches its limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validation as check
from ..analysis._arguments import hard_margin, result_of_run
from ..analysis.asymptotics import local_time_per_round
from ..errors import UnsupportedError
from ..reference import Minimizer
from ..reference._asymptote import Asymptote
from . import _style
from ._bands import MOST_LINES, Points, draw_bands
from ._columns import check_column, is_log, label_of, usual_column, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Curve", "convergence", "curves", "overview"]

PANELS = ("angle", "margin")  # of an overview
DASHED: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
ABSENT = {
    "angle": "pass reference=lg.reference.max_margin(problem) to lg.run",
    "margin": "want a run of a binary or multiclass problem",
}
# What distinguishes runs of one method, as it is written in the legend.
PARAMETERS = ("lr", "mu", "beta", "batch_size", "participation", "server")
SYMBOLS = {"local_steps": "L", "lr": "η", "mu": "μ", "beta": "β", "batch_size": "b"}
LAW = {"angle": "∝ 1/log(ηLk)", "margin": "gap ∝ 1/log(ηLk)"}
PREDICTED = "predicted"


@dataclass(frozen=True, eq=False)
class Curve:
    """The points of one run, and the 1/log law through its last point or as predicted.

    Attributes
    ----------
    label : str
    rounds, values : ndarray of shape (K,)
        Recorded rounds ≥ 1 and the angle in degrees, or the margin as a share of γ.
    guide_rounds, guide : ndarray of shape (G,)
        The law, where it lies in the range of the values; empty for runs that it does not govern.
    """

    label: str
    rounds: np.ndarray
    values: np.ndarray
    guide_rounds: np.ndarray
    guide: np.ndarray


def convergence(
    run: Any,
    ref: Any = None,
    *,
    ax: Axes | None = None,
    quantity: str | None = None,
    asymptote: Any = None,
) -> Axes:
    """Angle to the max-margin model, margin, or any other column, against communication rounds.

    ``angle(w_k, ŵ) ~ C / log(ηLk)``, ``1 - margin(w_k)/γ ~ C' / log(ηLk)``

    The dashed line is that law through the last record of each run. It is drawn for Local-GD and
    GD with a constant learning rate and the exponential or logistic loss. With ``asymptote`` it is
    the prediction instead, constant and all: ``C = ‖ρ across ŵ‖/‖ŵ‖`` with ρ_S from the problem
    alone and the part of ρ outside the support rows' span from the last record.

    Parameters
    ----------
    run : Run, list of Run, or dict of str to Run
        The keys of a dict are the labels; without it a run is named by its method and L, and
        where two are alike by what differs (η, μ, β, b, participation, server). More than 40 runs
        are bands: the median and the middle 90 % of those of the same name, or of all.
    ref : result of ``localgd.reference.max_margin``, optional
        Needed for ``quantity="margin"``, for γ. The angle is the one that the run recorded, to its
        own ``reference=``; the axis says max-margin if ref is given.
    ax : matplotlib Axes, optional
        Drawn into; by default those of a new figure of column width.
    quantity : str, optional
        "angle", in degrees (on a log axis where it falls more than tenfold), "margin", the
        normalised one as a share of the best possible one, γ, or any other column of the history,
        such as "suboptimality", on a log axis where its values are above 0. By default the angle;
        without ``ref`` the first of "suboptimality", "angle" and "loss" that all runs have.
    asymptote : result of ``localgd.reference.asymptote``, optional
        Draws the prediction of this problem beside the measurement.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    ValueError
        If no run is given, a run does not have the column (no angles without ``reference=``), or
        ``ref`` is missing where γ is needed.
    TypeError
        If run, ref or asymptote is something else.
    MissingExtraError
        If matplotlib is not installed.

    References
    ----------
    Soudry et al., JMLR 19, 2018, arXiv:1710.10345. Zhu, Vardhan, Mazumdar, arXiv:2412.07971.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    >>> ref = lg.reference.max_margin(problem)
    >>> run = lg.run(problem, lg.LocalGD(local_steps=10, lr=1.0), rounds=100,
    ...              loss="exponential", reference=ref)
    >>> ax = lg.plot.convergence(run, ref)
    >>> ax.get_ylabel()
    'Angle to max-margin model (°)'
    """
    if quantity is None:
        histories = [one.history for _, one in _labelled(run)]
        quantity = "angle" if ref is not None else usual_column(histories)
    drawn = curves(run, ref, quantity=quantity, asymptote=asymptote)
    ax = _style.axes(ax, "lg.plot.convergence")
    predicted = asymptote is not None
    _style.legend_above(ax, *_draw(ax, drawn, quantity, ref, predicted=predicted))
    return ax


def overview(run: Any, ref: Any, *, figure: Any = None) -> Figure:
    """Angle and margin side by side, for the width of a page.

    ``angle(w_k, ŵ) ~ C / log(ηLk)``, ``1 - margin(w_k)/γ ~ C' / log(ηLk)``

    Parameters
    ----------
    run, ref
        As for :func:`convergence`; ``ref`` is needed.
    figure : matplotlib Figure or SubFigure, optional
        Drawn into; by default a new pyplot figure.

    Returns
    -------
    matplotlib.figure.Figure
        What was drawn into; its two axes are ``figure.axes``.

    Raises
    ------
    ValueError, MissingExtraError
        As for :func:`convergence`.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    >>> ref = lg.reference.max_margin(problem)
    >>> run = lg.run(problem, lg.LocalGD(local_steps=10, lr=1.0), rounds=100,
    ...              loss="exponential", reference=ref)
    >>> figure = lg.plot.overview(run, ref)
    >>> len(figure.axes)
    2
    """
    drawn = {quantity: curves(run, ref, quantity=quantity) for quantity in PANELS}
    if figure is None:
        figure = _style.new_figure("lg.plot.overview", _style.WIDTHS["two-column"], 2.6)
    legends = []
    for place, quantity in enumerate(PANELS, start=1):
        ax = _style.axes(_style.add_axes(figure, (1, 2, place)), "lg.plot.overview")
        legends.append(_draw(ax, drawn[quantity], quantity, ref))
    _style.legend_outside(figure, *legends[0])
    return figure


def curves(
    run: Any, ref: Any = None, *, quantity: str = "angle", asymptote: Any = None
) -> list[Curve]:
    """The numbers that :func:`convergence` draws, without matplotlib.

    ``guide(k) = a log(τ_K) / log(τ_k)``, ``τ_k = ηLk``, through the last record (K, a)

    Parameters, errors
        As for :func:`convergence`.

    Returns
    -------
    list of Curve, one per run

    Examples
    --------
    >>> import localgd as lg
    >>> from localgd.plot.convergence import curves
    >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    >>> run = lg.run(problem, lg.LocalGD(local_steps=10, lr=1.0), rounds=100,
    ...              loss="exponential", reference=lg.reference.max_margin(problem))
    >>> [curve.label for curve in curves(run)]
    ['LocalGD, L = 10']
    """
    labelled = _labelled(run)
    if quantity not in ABSENT:
        check_column("quantity", quantity, [one.history for _, one in labelled])
    if quantity == "margin" and ref is None:
        raise ValueError(
            "ref: got None; the margin is drawn as a share of the best possible one: want "
            "ref=lg.reference.max_margin(problem)"
        )
    if isinstance(ref, Minimizer):
        raise TypeError(
            "ref: got Minimizer, which has no margin; want quantity='suboptimality' without ref, "
            "which draws f - f* of runs with reference=minimizer(…)"
        )
    if ref is not None:
        hard_margin(ref)
    if asymptote is not None and not isinstance(asymptote, Asymptote):
        raise TypeError(
            f"asymptote: got {type(asymptote).__name__}; want the result of "
            "lg.reference.asymptote(problem)"
        )
    return [_curve(label, one, ref, quantity, asymptote) for label, one in labelled]


def _labelled(run: Any) -> list[tuple[str, Any]]:
    if isinstance(run, Mapping):
        runs, names = list(run.values()), [str(key) for key in run]
    else:
        runs, names = (list(run) if isinstance(run, (list, tuple)) else [run]), None
    if not runs:
        raise ValueError("run: got no run; want one, or a list or dict of them")
    for one in runs:
        result_of_run(one)
    return list(zip(names or _names(runs), runs, strict=True))


def _names(runs: list[Any]) -> list[str]:
    """Method and L of each run; where two are alike, also the parameters that differ."""
    methods = [run.config["method"] for run in runs]
    names = [method["name"] + _steps(method.get("local_steps")) for method in methods]
    shown = list(names)
    for i, method in enumerate(methods):
        alike = [other for other, name in zip(methods, names, strict=True) if name == names[i]]
        for key in PARAMETERS:
            if key in method and any(other.get(key, method[key]) != method[key] for other in alike):
                shown[i] += f", {parameter_text(key, method[key])}"
    return shown


def parameter_text(key: str, value: Any) -> str:
    """A parameter as legends have it, "η = 0.1" or "3 clients"."""
    if isinstance(value, Mapping):  # a server or a schedule
        value = value["name"]
    if key == "participation" and not isinstance(value, str):
        share = f"{100 * value:g} % of" if isinstance(value, float) else f"{value}"
        return f"{share} clients"
    if key in ("server", "sampling"):
        return str(value)
    return f"{SYMBOLS.get(key, key)} = {value}"


def _steps(steps: Any) -> str:
    if steps is None:
        return ""
    return f", L = {min(steps)} to {max(steps)}" if isinstance(steps, list) else f", L = {steps}"


def _curve(label: str, run: Any, ref: Any, quantity: str, asymptote: Any) -> Curve:
    if quantity not in run.history:
        advice = ABSENT.get(quantity, f"want one of {', '.join(sorted(run.history))}")
        raise ValueError(f"run {label!r}: no {quantity} in its history; {advice}")
    values = values_of(run.history, quantity) / (ref.margin if quantity == "margin" else 1.0)
    rounds = np.asarray(run.history["round"])
    # Round 0 has no place on a log axis, and w_0 = 0 no direction.
    shown = (rounds >= 1) & np.isfinite(values)
    if not shown.any():
        raise ValueError(
            f"run {label!r}: no finite {quantity} after round 0; want at least one recorded round"
        )
    rounds, values = rounds[shown], values[shown]
    return Curve(label, rounds, values, *_guide(run, rounds, values, quantity, ref, asymptote))


def _guide(
    run: Any, rounds: np.ndarray, values: np.ndarray, quantity: str, ref: Any, asymptote: Any
) -> tuple[np.ndarray, np.ndarray]:
    nothing = np.empty(0), np.empty(0)
    if quantity not in LAW:
        return nothing
    try:
        per_round = local_time_per_round(run.config)
    except UnsupportedError:
        return nothing
    k = np.geomspace(rounds[0], rounds[-1], 200)
    k = k[per_round * k > 1]
    if len(k) < 2:
        return nothing
    if asymptote is not None:
        guide = _predicted(run, asymptote, per_round, k, quantity, ref)
        # What is predicted may end below what was measured; it is off the axes at the beginning.
        inside = guide <= values.max() if quantity == "angle" else guide >= values.min()
        return k[inside], guide[inside]
    law = math.log(per_round * k[-1]) / np.log(per_round * k)
    guide = values[-1] * law if quantity == "angle" else 1 - (1 - values[-1]) * law
    # Near ηLk = 1 the law runs to infinity and would squeeze the run into a corner.
    inside = (guide >= values.min()) & (guide <= values.max())
    inside[-1] = True
    return k[inside], guide[inside]


def _predicted(
    run: Any, asymptote: Asymptote, per_round: float, k: np.ndarray, quantity: str, ref: Any
) -> np.ndarray:
    """The asymptote's angle in degrees, or its margin as a share of γ."""
    if quantity == "margin":
        return 1 - np.asarray(asymptote.margin_gap(k, lr=per_round)) / ref.margin
    rho = run.weights - asymptote.weights * math.log(per_round * run.round)
    outside = float(np.linalg.norm(rho - asymptote.basis.T @ (asymptote.basis @ rho)))
    return np.degrees(asymptote.angle(k, lr=per_round, outside=outside))


def _draw(
    ax: Axes, drawn: list[Curve], quantity: str, ref: Any, *, predicted: bool = False
) -> tuple[list[Any], str]:
    """Draw the curves; returns what the legend shows, the runs and one line for their laws."""
    values = np.concatenate([curve.values for curve in drawn])
    log_y = quantity not in LAW and is_log(quantity, values)
    if len(drawn) > MOST_LINES:
        named: dict[str, list[Points]] = {}
        for curve in drawn:
            named.setdefault(curve.label, []).append((curve.rounds, curve.values))
        handles, caption = draw_bands(ax, named, log_y)
    else:
        handles, caption = _draw_lines(ax, drawn, quantity, predicted=predicted), ""
    ax.set_xlabel(label_of("round"))
    if quantity == "margin":
        ax.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
        ax.set_ylabel("Normalised margin / γ")
    elif quantity == "angle":
        # Without ref the angles may be those to another reference, a regression's for example.
        target = "reference" if ref is None else "max-margin"
        ax.set_ylabel(f"Angle to {target} model (°)")
        _scale_angles(ax, drawn)
    else:
        ax.set_ylabel(label_of(quantity))
        if log_y:
            _style.set_log(ax, "y")
    _style.set_log(ax, "x")
    return handles, caption


def _draw_lines(ax: Axes, drawn: list[Curve], quantity: str, *, predicted: bool) -> list[Any]:
    handles: list[Any] = []
    # A prediction lies on what was measured: black on top of it is seen.
    above: dict[str, Any] = {"zorder": 2.5} if predicted else {}
    for curve, colour in zip(drawn, _style.colours(len(drawn)), strict=True):
        own = "black" if predicted else colour
        ax.plot(curve.guide_rounds, curve.guide, color=own, **DASHED, **above)
        # A line through a single record would not be seen.
        marker = "o" if len(curve.rounds) == 1 else ""
        handles += ax.plot(
            curve.rounds, curve.values, color=colour, marker=marker, label=curve.label
        )
    if any(curve.guide.size for curve in drawn):
        lines = check.require("matplotlib.lines", "plot", "lg.plot")
        label, colour = (PREDICTED, "black") if predicted else (LAW[quantity], _style.GUIDE)
        handles.append(lines.Line2D([], [], color=colour, label=label, **DASHED))
    return handles


def _scale_angles(ax: Axes, drawn: list[Curve]) -> None:
    low = min(curve.values.min() for curve in drawn)
    high = max(curve.values.max() for curve in drawn)
    if low > 0 and high > 10 * low:
        _style.set_log(ax, "y")
    else:
        ax.set_ylim(bottom=0)
