"""What all methods have in common: the server, and which clients take part."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

from .. import _validation as check
from ..participation.rules import Rule, check_participation, rule_of
from ..schedules import check_schedule
from ..servers import Average, Server
from .keywords import KnownKeywords
from .rule import LocalRule

__all__ = ["Method", "check_method"]

MAX_LOCAL_STEPS = 2**53
PLAIN = Average()


@dataclass(frozen=True, repr=False)
class Method(KnownKeywords):
    """A local rule and a server rule; the base of all methods.

    ``w_{k+1} = server(w_k, Σ_i p̃_i (w_{k,i} - w_k))`` over the clients i of round k

    Parameters
    ----------
    server : Server, optional
        Keyword-only, as the following.
    participation : float in (0, 1], int >= 1, rule or callable, default 1.0
        Clients per round: a fraction of M (rounded, at least one) or a count. 1.0 is all of them
        and 1 a single one. Or who they are: :class:`localgd.Cyclic`, :class:`localgd.Periodic`,
        :class:`localgd.Markov`, or a function ``round -> ids`` (ids of the problem's clients; the
        same for the same round, whenever it is asked). In a round without anybody the model and
        the server stay as they are, and a round costs what its clients cost.
    sampling : "uniform" or "weight", default "uniform"
        How clients are drawn. uniform: without replacement, p̃ by ``shares``. weight: with
        replacement, client i with probability p_i; p̃ is the share of the draws, whose mean is p.
    shares : "renormalized" or "unbiased", default "renormalized"
        p̃ of those S who take part, unless drawn by weight. renormalized:
        ``p̃_i = p_i / Σ_{j ∈ S} p_j``, so that the model is a mean. **Where the p_i differ that is
        biased**: one client a round, drawn uniformly, minimises the objective of *equal* weights,
        not ``Σ_i p_i f_i``; a warning says so. unbiased: ``p̃_i = p_i / π_i``, π_i the part of the
        rounds in which i is: ``p_i M / m`` for m of M drawn uniformly. Then
        ``E Σ_{i ∈ S} p̃_i x_i = Σ_i p_i x_i``, but p̃ sum to 1 in the mean only: the model moves by
        more or less than a mean, which may want a smaller step.
    fednova : bool, default True
        Where clients take different numbers of local steps, FedNova's normalised average
        ``p̃_i τ̄ / τ_i`` with ``τ̄ = Σ p̃_i τ_i``, τ_i = L_i, or Σ_l (1 - η(λ+μ))^l with λ or a
        proximal term. Without it the clients that take more steps pull the model to their own
        minimum.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges, and words, servers and arguments that there are not.

    References
    ----------
    Sampling and its shares: Li, Huang, Yang, Wang, Zhang, ICLR 2020, arXiv:1907.02189. FedNova:
    Wang et al., NeurIPS 2020, arXiv:2007.07481.

    Examples
    --------
    >>> import localgd as lg
    >>> method = lg.LocalGD(local_steps=10, lr=1.0, participation=3, sampling="weight")
    >>> method.server, method.clients_per_round(n_clients=100)
    (Average(), 3)
    """

    _: KW_ONLY
    server: Server = PLAIN
    participation: float | Rule | Callable[[int], Any] = 1.0
    sampling: str = "uniform"
    fednova: bool = True
    shares: str = "renormalized"

    def __post_init__(self) -> None:
        if not isinstance(self.server, Server):
            raise TypeError(
                f"server: got {self.server!r}; want Average(), Anchored(), ServerSGD(…), or an "
                "instance of your own subclass of lg.Server"
            )
        self._set(participation=check_participation(self.participation))
        check.one_of("sampling", self.sampling, ("uniform", "weight"))
        check.flag("fednova", self.fednova)
        check.one_of("shares", self.shares, ("renormalized", "unbiased"))
        self._check_own()
        self._check_shares()

    def _check_shares(self) -> None:
        """Whether rule, sampling and shares go together."""
        rule = rule_of(self.participation)
        if rule is not None and self.sampling == "weight":
            raise ValueError(
                f"sampling: got 'weight' and participation={self.participation!r}, which says who "
                "takes part; want one of the two"
            )
        if self.shares == "renormalized":
            return
        why = None
        if self.sampling == "weight":
            why = "sampling='weight', whose shares are unbiased already"
        elif callable(self.participation):
            why = "a function, of which nobody knows how often clients take part"
        elif self.fednova and self.rule.unequal_steps:
            why = "different numbers of local steps, which FedNova's average weighs otherwise"
        if why is not None:
            raise ValueError(f"shares: got 'unbiased' with {why}; want 'renormalized'")

    def _check_own(self) -> None:
        """Check the parameters that methods have beside these, the same under each name."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None and field.default is None and field.name != "batch_size":
                continue  # not given
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

    def on(self, sizes: Iterable[int]) -> Method:
        """The method on clients of so many rows, where it depends on these.

        ``self`` for all methods but :class:`localgd.FedAvg` with ``local_epochs``

        Parameters
        ----------
        sizes : array of M ints
            n_i.

        Returns
        -------
        Method
            This one.

        References
        ----------
        Epochs as steps: McMahan et al., AISTATS 2017, arXiv:1602.05629.

        Examples
        --------
        >>> import localgd as lg
        >>> lg.GD(lr=0.1).on([10, 25])
        GD(lr=0.1)
        """
        return self

    def clients_per_round(self, n_clients: int) -> int:
        """How many clients take part in each round.

        ``max(1, round(participation · M))`` of a fraction, or the count itself; of a rule the mean
        number, rounded, and of a function M

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
            If the count is larger than M, or a rule does not fit M clients.

        Examples
        --------
        >>> import localgd as lg
        >>> lg.LocalGD(local_steps=10, lr=1.0, participation=0.3).clients_per_round(10)
        3
        """
        if isinstance(self.participation, float):
            return max(1, round(self.participation * n_clients))
        rule = rule_of(self.participation)
        if rule is not None:
            return max(1, round(rule.clients_per_round(n_clients)))
        assert isinstance(self.participation, int)
        if self.participation > n_clients:
            raise ValueError(
                f"participation: got {self.participation} clients per round; the problem has "
                f"{n_clients}"
            )
        return self.participation

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
