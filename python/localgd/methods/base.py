"""What all methods have in common: the server, and which clients take part."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import _validation as check
from ..schedules import check_schedule
from ..servers import Average, Server
from .rule import LocalRule

__all__ = ["Method", "check_method"]

MAX_LOCAL_STEPS = 2**53
PLAIN = Average()


@dataclass(frozen=True, repr=False)
class Method:
    """A local rule and a server rule; the base of all methods.

    ``w_{k+1} = server(w_k, Σ_i p̃_i (w_{k,i} - w_k))`` over the clients i of round k

    Parameters
    ----------
    server : Average, Anchored, ServerSGD, ServerAdam, ServerYogi or ServerAdagrad, optional
        Keyword-only, as the following.
    participation : float in (0, 1] or int >= 1, default 1.0
        Clients per round: a fraction of M (rounded, at least one) or a count. 1.0 is all of them
        and 1 a single one.
    sampling : "uniform" or "weight", default "uniform"
        uniform: without replacement; p̃ are the p of those drawn, divided by their sum. weight:
        with replacement, client i with probability p_i; p̃ is the share of the draws.
    normalize : bool, default True
        Where clients take different numbers of local steps, FedNova's normalised average
        ``p̃_i τ̄ / τ_i`` with ``τ̄ = Σ p̃_i τ_i``, τ_i = L_i, or Σ_l (1 - η(λ+μ))^l with λ or a
        proximal term. Without it the clients that take more steps pull the model to their own
        minimum.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges, and words and servers that there are not.

    References
    ----------
    Sampling: Li, Huang, Yang, Wang, Zhang, ICLR 2020, arXiv:1907.02189. FedNova: Wang et al.,
    NeurIPS 2020, arXiv:2007.07481.

    Examples
    --------
    >>> import localgd as lg
    >>> method = lg.LocalGD(local_steps=10, lr=1.0, participation=3, sampling="weight")
    >>> method.server, method.clients_per_round(n_clients=100)
    (Average(), 3)
    """

    _: KW_ONLY
    server: Server = PLAIN
    participation: float = 1.0
    sampling: str = "uniform"
    normalize: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.server, Server):
            raise TypeError(
                f"server: got {self.server!r}; want Average(), Anchored(), ServerSGD(…)"
            )
        self._set(participation=_participation(self.participation))
        check.one_of("sampling", self.sampling, ("uniform", "weight"))
        check.flag("normalize", self.normalize)
        self._check_own()

    def _check_own(self) -> None:
        """Check the parameters that methods have beside these, the same under each name."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "local_steps":
                value = check_steps(value)
            elif field.name == "lr":
                value = check_schedule(value)
            elif field.name in ("mu", "beta"):
                value = check.number(field.name, value, minimum=0)
            elif field.name == "batch_size":
                value = check_batch(value, self.replacement)  # type: ignore[attr-defined]
            self._set(**{field.name: value})

    def _set(self, **values: Any) -> None:
        """Put checked values into a frozen object."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @cached_property
    def rule(self) -> LocalRule:
        """The local work."""
        raise NotImplementedError

    def clients_per_round(self, n_clients: int) -> int:
        """How many clients are drawn in each round.

        ``max(1, round(participation · M))`` of a fraction, or the count itself

        Parameters
        ----------
        n_clients : int >= 1
            M.

        Returns
        -------
        int
            From 1 to M.

        Raises
        ------
        ValueError
            If the count is larger than M.

        Examples
        --------
        >>> import localgd as lg
        >>> lg.LocalGD(local_steps=10, lr=1.0, participation=0.3).clients_per_round(10)
        3
        """
        if isinstance(self.participation, float):
            return max(1, round(self.participation * n_clients))
        if self.participation > n_clients:
            raise ValueError(
                f"participation: got {self.participation} clients per round; the problem has "
                f"{n_clients}"
            )
        return int(self.participation)

    def __repr__(self) -> str:
        shared = {field.name for field in dataclasses.fields(Method)}
        every = sorted(dataclasses.fields(self), key=lambda field: field.name in shared)
        shown = ", ".join(
            f"{field.name}={getattr(self, field.name)!r}"
            for field in every
            if getattr(self, field.name) != field.default
        )
        return f"{type(self).__name__}({shown})"


def check_method(method: Any) -> Method:
    """A method, unchanged."""
    if not isinstance(method, Method):
        raise TypeError(f"method: got {method!r}; want a method such as LocalGD(...)")
    return method


def check_steps(value: Any) -> int | tuple[int, ...]:
    """L, or one L for each client."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        steps = tuple(_steps(f"local_steps[{i}]", number) for i, number in enumerate(value))
        if not steps:
            raise ValueError("local_steps: got no numbers; want one, or one for each client")
        return steps
    return _steps("local_steps", value)


def _steps(name: str, value: Any) -> int:
    steps = check.integer(name, value, 1)
    if steps > MAX_LOCAL_STEPS:
        raise ValueError(f"{name}: got {steps}; want at most 2**53")
    return steps


def check_batch(batch_size: Any, replacement: Any) -> int | None:
    """The rows of a batch, None for all."""
    check.flag("replacement", replacement)
    if batch_size is None:
        if replacement:
            raise ValueError("replacement: got True without a batch_size; want one of at least 1")
        return None
    return check.integer("batch_size", batch_size, 1)


def _participation(value: Any) -> float | int:
    wanted = "a fraction above 0 and up to 1.0, or a count of clients (an int)"
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"participation: got {value!r}; want {wanted}")
    number: float | int = int(value) if isinstance(value, numbers.Integral) else float(value)
    if not (number >= 1 if isinstance(number, int) else 0 < number <= 1):
        raise ValueError(f"participation: got {value!r}; want {wanted}")
    return number
