"""What the server makes of the clients' models."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Average"]


@dataclass(frozen=True)
class Average:
    """The plain server of Local-GD and FedAvg.

    ``w_{k+1} = Σ_i p_i w_{k,i}``

    The p_i are the weights of the :class:`~localgd.Problem`.

    References
    ----------
    McMahan et al., AISTATS 2017, arXiv:1602.05629.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.LocalGD(local_steps=10, lr=1.0, server=lg.Average()).server
    Average()
    """
