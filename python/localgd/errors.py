"""The errors that localgd raises beside ``ValueError`` and ``TypeError``."""

from __future__ import annotations

from typing import Any

__all__ = [
    "DivergedError",
    "MissingExtraError",
    "NotSeparableError",
    "TimeLimitError",
    "UnsupportedError",
]


class NotSeparableError(ValueError):
    """The rows admit no w with z·w > 0 for every signed row z.

    ``Zᵀv = 0, v ≥ 0, Σ_j v_j = 1`` for some v proves it

    Attributes
    ----------
    certificate : ndarray of shape (N,) or (N, C), float64, or None
        v, where it was computed.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0], [3.0]], [1, -1])])
    >>> try:
    ...     lg.reference.max_margin(problem)
    ... except lg.NotSeparableError as error:
    ...     print(error.certificate.round(12))
    [0.75 0.25]
    """

    def __init__(self, message: str, certificate: Any = None):
        super().__init__(message)
        self.certificate = certificate


class DivergedError(ArithmeticError):
    """The iterates overflowed or became NaN.

    ``run.raise_for_status()`` raises it; :func:`localgd.run` itself warns and keeps the history.

    Attributes
    ----------
    round : int or None
        The round in which they did, where it is known.

    Examples
    --------
    >>> import localgd as lg, warnings
    >>> problem = lg.Problem([([[1.0]], [0.5])], task="regression")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     run = lg.run(problem, lg.GD(lr=10.0), rounds=1000)
    >>> try:
    ...     run.raise_for_status()
    ... except lg.DivergedError as error:
    ...     print(0 < error.round < 1000)
    True
    """

    def __init__(self, message: str, round: int | None = None):
        super().__init__(message)
        self.round = round


class TimeLimitError(TimeoutError):
    """A reference was not computed within its ``time_limit``.

    ``time_limit`` seconds were over before ``kkt_residual`` or ``gradient_norm`` were small

    Attributes
    ----------
    best : ndarray of the model's shape, float64, or None
        The weights at that time, where there were some: no certificate comes with them.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_nonseparable(n_clients=2, n_samples=50, n_features=5, seed=0)
    >>> try:
    ...     lg.reference.minimizer(problem, l2=0.1, time_limit=1e-9)
    ... except lg.TimeLimitError as error:
    ...     print(error.best.shape)
    (5,)
    """

    def __init__(self, message: str, best: Any = None):
        super().__init__(message)
        self.best = best


class UnsupportedError(ValueError):
    """A combination of options that makes no sense, or that this engine cannot run.

    The message says which, and what can be done instead.

    Examples
    --------
    >>> import localgd as lg
    >>> try:
    ...     lg.ModifiedLocalGD(local_steps=10, lr=1.0, server=lg.Average())
    ... except lg.UnsupportedError as error:
    ...     print(str(error).partition(":")[0])
    server
    """


class MissingExtraError(ImportError):
    """An optional dependency is not installed.

    The message names the extra that brings it, as in ``pip install 'localgd[data]'``.

    Examples
    --------
    It is an ImportError, so what skips a missing module skips this, too.

    >>> import localgd as lg
    >>> issubclass(lg.MissingExtraError, ImportError)
    True
    """
