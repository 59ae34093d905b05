"""The residual of a run around its max-margin limit."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validation as check
from ..errors import UnsupportedError
from ..losses import LOSSES
from ..norms import norm
from ..read_only import ReadOnlyArrays
from ..reference._hard_margin import solves
from ..reference._rows import dense
from ..reference._scaling import scaled_rows
from ..reference._span import row_space
from ._arguments import binary_problem, hard_margin, result_of_run

if TYPE_CHECKING:
    from ..problem import Problem

__all__ = ["Residual", "local_time_per_round", "residual"]

# w_k = ŵ log(η L k) + ρ_k with ρ_k bounded holds for these methods under the server Average, and
# losses with an exponential tail. The anchored server falls behind by ŵ log log τ; a proximal term
# makes L smaller.
ONE_STEP = ("GD", "GradAlign", "MinibatchSGD")
METHODS = (*ONE_STEP, "LocalGD", "LocalSGD", "Scaffold", "FedGA")


@dataclass(frozen=True, eq=False, repr=False)
class Residual(ReadOnlyArrays):
    """The residual of a run, from :func:`residual`.

    Attributes
    ----------
    rho : ndarray of shape (d,), float64
        ρ_k = w_k - ŵ log τ.
    tau : float
        τ = η L k, learning rate times local steps taken since the start.
    norm : float
        ‖ρ_k‖.
    parallel : float
        Signed component of ρ_k along ŵ/‖ŵ‖.
    support_part : ndarray of shape (d,), float64
        Projection of ρ_k on the span of the support rows; its limit does not depend on L.
    outside_part : ndarray of shape (d,), float64
        ρ_k - support_part; its limit is set by the early rounds.
    predicted_angle : float
        Leading-order angle of w_k to ŵ, radians: ‖ρ_k less its component along ŵ‖/(‖ŵ‖ log τ).
    """

    rho: np.ndarray
    tau: float
    norm: float
    parallel: float
    support_part: np.ndarray
    outside_part: np.ndarray
    predicted_angle: float

    def __repr__(self) -> str:
        return (
            f"Residual(tau={self.tau:.6g}, norm={self.norm:.6g}, parallel={self.parallel:.6g}, "
            f"predicted_angle={self.predicted_angle:.6g})"
        )


def residual(problem: Problem, run: Any, ref: Any) -> Residual:
    """What is left of a model after its growth along the max-margin solution.

    ``ρ_k = w_k - ŵ log τ``, ``τ = η L k``

    Parameters
    ----------
    problem : Problem
        The binary problem that was run.
    run : Run
        A run of ``GD``, ``LocalGD``, ``LocalSGD``, ``MinibatchSGD``, ``Scaffold``, ``GradAlign``
        or ``FedGA`` with a constant learning rate, the same number of local steps on every client,
        the server ``Average`` and the exponential or logistic loss.
    ref : result of ``localgd.reference.max_margin(problem)``
        Where ŵ and the support rows are taken from.

    Returns
    -------
    Residual
        ρ_k, its parts, and the angle that it predicts.

    Raises
    ------
    UnsupportedError
        For another loss, method or server, a learning-rate schedule, or different numbers of
        local steps.
    ValueError
        If problem, run and ref are of different sizes, ref is not of these rows, a support row
        belongs to a client of weight 0, or η L k ≤ 1 (no rounds were run, say), where log τ is not
        positive.
    TypeError
        If problem, run or ref is something else.

    References
    ----------
    Soudry et al., JMLR 19, 2018, arXiv:1710.10345. Zhu, Vardhan, Mazumdar, arXiv:2412.07971.

    Examples
    --------
    One row z = 1 and one client: f(w) = exp(-w), ŵ = 1, and e^w grows by about η per step.

    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0]], [1])])
    >>> run = lg.run(problem, lg.LocalGD(local_steps=10, lr=0.01), rounds=1000,
    ...              loss="exponential")
    >>> r = lg.analysis.residual(problem, run, lg.reference.max_margin(problem))
    >>> round(r.tau, 9), round(r.norm, 2), round(r.predicted_angle, 9)
    (100.0, 0.01, 0.0)
    """
    problem = binary_problem(problem)
    run, ref = result_of_run(run), hard_margin(ref)
    w, w_hat = _same_size(problem, run, ref)
    tau = local_time_per_round(run.config) * run.round
    if tau <= 1:
        raise ValueError(
            f"run: η L k = {tau:g} after {run.round} rounds; want above 1: run more rounds"
        )
    rho = w - w_hat * math.log(tau)
    length = norm(w_hat)
    unit = w_hat / length
    parallel = float(rho @ unit)
    rows = np.asarray(ref.support)
    support_part = _project(rho, dense(problem.signed_rows[rows]))
    outside_part = rho - support_part
    across = norm(rho - parallel * unit)
    for array in (rho, support_part, outside_part):
        array.setflags(write=False)
    return Residual(
        rho=rho,
        tau=tau,
        norm=norm(rho),
        parallel=parallel,
        support_part=support_part,
        outside_part=outside_part,
        predicted_angle=across / length / math.log(tau),
    )


def local_time_per_round(config: dict[str, Any]) -> float:
    """η L of a run's config, or UnsupportedError where w_k = ŵ log(η L k) + ρ_k does not hold."""
    loss, method = config["loss"], config["method"]
    fitting = [name for name, known in LOSSES.items() if known.unit_tail]
    if loss not in fitting:
        raise UnsupportedError(f"run: the loss is {loss!r}; want one of {', '.join(fitting)}")
    if method["name"] not in METHODS:
        raise UnsupportedError(
            f"run: the method is {method['name']}; want one of {', '.join(METHODS)}"
        )
    server = method.get("server", {"name": "Average"})["name"]
    if server != "Average":
        raise UnsupportedError(f"run: the server is {server}; want Average, for τ = η L k")
    lr = method["lr"]
    if isinstance(lr, bool) or not isinstance(lr, numbers.Real):
        raise UnsupportedError(
            f"run: the learning rate is {lr!r}; want a constant one, for τ = η L k"
        )
    if method["name"] in ONE_STEP:
        return float(lr)
    steps = method["local_steps"]
    if not isinstance(steps, numbers.Integral):
        raise UnsupportedError(
            f"run: the local steps are {steps!r}; want the same number on every client"
        )
    return float(lr) * int(steps)


def _same_size(problem: Problem, run: Any, ref: Any) -> tuple[np.ndarray, np.ndarray]:
    if run.weights is None:  # a kernel problem, whose rows are coordinates in their own span
        w = problem.signed_rows.T @ check.real_array("run.coefficients", run.coefficients, 1)
    else:
        w = check.real_array("run.weights", run.weights, 1)
    w_hat = check.real_array("ref.weights", ref.weights, 1)
    d, N = problem.n_features, problem.n_samples
    if len(w) != d or len(w_hat) != d:
        raise ValueError(
            f"problem, run, ref: of {d}, {len(w)} and {len(w_hat)} features; want the run and the "
            "reference of this problem"
        )
    if len(ref.dual) != N:
        raise ValueError(
            f"ref: made from {len(ref.dual)} rows; want the reference of this problem of {N} rows"
        )
    if not solves(problem.signed_rows, w_hat, check.real_array("ref.dual", ref.dual, 1)):
        raise ValueError(
            "ref: it is not the max-margin solution of these rows; want "
            "lg.reference.max_margin(problem) of this problem"
        )
    unseen = np.flatnonzero(problem.row_weights[ref.support] == 0)
    if len(unseen):
        raise ValueError(
            f"problem: row {ref.support[unseen[0]]} carries the margin but belongs to a client of "
            "weight 0, which the run does not see; leave that client out"
        )
    return w, w_hat


def _project(rho: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Projection of rho on the span of the rows, which may be linearly dependent."""
    basis = row_space(scaled_rows(rows)[0], 16 * max(rows.shape) * np.finfo(np.float64).eps)
    return basis.T @ (basis @ rho)
