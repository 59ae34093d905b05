"""FedAvg as its paper has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

from .. import _validation as check
from ..schedules import Schedule
from .base import Method
from .rule import LocalRule

__all__ = ["FedAvg"]


@dataclass(frozen=True, repr=False)
class FedAvg(Method):
    """Federated averaging: E epochs of every client on batches of its rows, then the mean.

    ``w_{k+1} = Σ_i p̃_i w_{k,i}``, ``w_{k,i}`` after ``L_i = E ⌈n_i/b⌉`` steps of SGD from w_k

    With the usual ``weights="samples"`` of a problem p_i = n_i/N, as in the paper. A client with
    more rows takes more steps and so pulls the model to its own minimum, which FedNova's average
    mends: :class:`localgd.LocalSGD` with ``local_steps=[…]`` has that.

    Parameters
    ----------
    local_epochs : int >= 1, optional
        E, passes of each client through its rows in a round; either this or ``local_steps``.
    local_steps : int >= 1, or sequence of M ints, optional
        L_i.
    lr : float > 0, "1/H", "1/(LH)" or callable
        η, the same number in every round, or a schedule: ``round -> float``.
    batch_size : int >= 1 or None, default None
        b, rows per step; None: all rows, of which an epoch is one step.
    replacement : bool, default False
        As for :class:`localgd.LocalSGD`.
    server, participation, sampling, fednova, shares
        As for all methods: see :class:`localgd.methods.Method`; ``fednova`` must be False.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges, and both or neither of epochs and steps.

    References
    ----------
    McMahan, Moore, Ramage, Hampson, Agüera y Arcas, AISTATS 2017, arXiv:1602.05629.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(
    ...     n_clients=2, n_samples=[10, 25], n_features=50, seed=0)
    >>> run = lg.run(problem, lg.FedAvg(local_epochs=2, batch_size=10, lr=0.1), rounds=5)
    >>> run.config["method"]["local_steps"]
    [2, 6]
    """

    _: KW_ONLY
    local_epochs: int | None = None
    local_steps: int | tuple[int, ...] | None = None
    lr: Schedule
    batch_size: int | None = None
    replacement: bool = False
    fednova: bool = False

    def _check_own(self) -> None:
        given = [self.local_epochs is not None, self.local_steps is not None]
        if sum(given) != 1:
            raise ValueError(
                f"local_epochs, local_steps: got {'both' if all(given) else 'neither'}; want one"
            )
        if self.fednova:
            raise ValueError(
                "fednova: got True, which FedAvg has not; want lg.LocalSGD(…), which has it"
            )
        if self.local_epochs is not None:
            self._set(local_epochs=check.integer("local_epochs", self.local_epochs, 1))
        super()._check_own()

    @cached_property
    def rule(self) -> LocalRule:
        """L_i steps, which epochs are only on clients of known sizes."""
        if self.local_steps is None:
            raise ValueError(
                "local_epochs: how many steps these are depends on the clients; want "
                "method.on(problem.sizes)"
            )
        return LocalRule(
            local_steps=self.local_steps, batch_size=self.batch_size, replacement=self.replacement
        )

    def on(self, sizes: Iterable[int]) -> FedAvg:
        """The same with epochs as steps.

        ``L_i = E ⌈n_i/b⌉``

        Parameters
        ----------
        sizes : array of M ints
            n_i.

        Returns
        -------
        FedAvg
            This one, if it has steps.

        References
        ----------
        McMahan et al., AISTATS 2017, arXiv:1602.05629.

        Examples
        --------
        >>> import localgd as lg
        >>> lg.FedAvg(local_epochs=2, lr=0.1, batch_size=10).on([10, 25])
        FedAvg(local_steps=(2, 6), lr=0.1, batch_size=10)
        """
        if self.local_epochs is None:
            return self
        steps = [self.local_epochs * -(-int(n) // (self.batch_size or int(n))) for n in sizes]
        same = len(set(steps)) == 1
        return dataclasses.replace(
            self, local_epochs=None, local_steps=steps[0] if same else tuple(steps)
        )
