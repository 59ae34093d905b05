"""Target skew: clients hold different ranges of the numbers to predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _validation as check
from .labels import Dirichlet
from .scheme import Scheme

__all__ = ["ByTarget"]


@dataclass(frozen=True)
class ByTarget(Scheme):
    """Target skew of regression: each range of targets is split in random shares over the clients.

    ``q_b ~ Dirichlet(alpha, …, alpha) in R^M;  client i gets a share q_bi of the rows of bin b``

    Bins are cut at quantiles, so that they hold about as many rows each; rows of the same target
    are in the same bin. Else as :class:`Dirichlet`, with bins in place of classes.

    Parameters
    ----------
    alpha : float > 0
        Concentration: small for clients of few ranges each, large for even ones.
    bins : int >= 1, default 10
        The ranges of targets.

    Raises
    ------
    ValueError, TypeError
        If ``alpha`` is not a finite number above 0, or ``bins`` not a positive integer.

    References
    ----------
    With classes: Yurochkin et al., ICML 2019, arXiv:1905.12022; Hsu, Qi, Brown, arXiv:1909.06335.

    Examples
    --------
    >>> import numpy as np, localgd as lg
    >>> y = np.linspace(0.0, 1.0, 101)
    >>> problem = lg.partition(np.eye(101), y, n_clients=4, scheme=lg.ByTarget(0.1), seed=0)
    >>> int(problem.sizes.sum()), int(problem.sizes.min()) >= 1
    (101, True)
    """

    alpha: float
    bins: int = 10

    def __post_init__(self) -> None:
        check.number("alpha", self.alpha, above=0)
        check.integer("bins", self.bins, 1)

    @property
    def needs_one_target(self) -> bool:
        """Bins are of one."""
        return True

    def assign(self, y: np.ndarray, n_clients: int, rng: np.random.Generator) -> np.ndarray:
        """Clients by one Dirichlet draw per bin, shape (N,)."""
        bins = int(self.bins)
        edges = np.quantile(y, np.arange(1, bins) / bins)
        of_bin = np.searchsorted(edges, y, side="right").astype(np.float64)
        return Dirichlet(self.alpha).assign(of_bin, n_clients, rng)
