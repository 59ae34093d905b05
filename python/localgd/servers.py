"""What the server makes of the clients' models.

All servers take the weighted mean of the clients' changes, ``Δ = Σ_i p̃_i (w_{k,i} - w_k)``, whose
negative is the pseudo-gradient of Reddi et al.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from . import _validation as check
from ._backend import core

__all__ = [
    "CALLED",
    "Anchored",
    "Average",
    "Server",
    "ServerAdagrad",
    "ServerAdam",
    "ServerSGD",
    "ServerYogi",
]

KNOWN = core.schema()["servers"]
CALLED = "called"  # the kind of all others


class Server:
    """The base of all servers, and of your own.

    ``w_{k+1}, s_{k+1} = step(w_k, Δ, s_k, k)``,  ``Δ = Σ_i p̃_i (w_{k,i} - w_k)``

    A server of your own is a subclass with a method ``step(w, change, state, round)``, which
    returns the next model and the next state. It is given w_k and Δ, float64 arrays of the model's
    shape, (d,) or (d, C), the state that it returned last, and k; in a round without clients it is
    not called. It must not change what it is given, nor itself: a round that is given up leaves
    no trace then, and one object serves several runs. It is taken to leave the span of the rows,
    so it runs in the engine "primal".

    State that is made of None, numbers, strings and NumPy arrays, and of lists, tuples and dicts of
    these, is saved in checkpoints; one of anything else is refused there. A checkpoint knows the
    server by the name of its class and its attributes.

    See Also
    --------
    check_extension : Whether a server keeps to this.

    References
    ----------
    Reddi et al., ICLR 2021, arXiv:2003.00295.

    Examples
    --------
    >>> import localgd as lg
    >>> class Clipped(lg.Server):
    ...     '''At most a step of length 0.1.'''
    ...     def step(self, w, change, state, round):
    ...         length = (change**2).sum() ** 0.5
    ...         return w + change * min(1.0, 0.1 / length), state
    >>> problem = lg.Problem([([[3.0], [1.0]], [1, 1])])
    >>> run = lg.run(problem, lg.LocalGD(local_steps=5, lr=1.0, server=Clipped()), rounds=3)
    >>> run.weights.round(12)
    array([0.3])
    """

    # The name by which the core knows one of the package (cpp/core/server/), whose fields are the
    # parameters there; the core says what these may be.
    kind: ClassVar[str]
    # It treats each coordinate of w by itself, or is one of the caller's: it leaves the span of the
    # rows.
    coordinate_wise: ClassVar[bool]

    def __init_subclass__(cls) -> None:
        kind = getattr(cls, "kind", None)
        if callable(getattr(cls, "step", None)):
            cls.kind, cls.coordinate_wise = CALLED, True
        elif kind in KNOWN:
            cls.coordinate_wise = KNOWN[cls.kind]["coordinate_wise"]
        else:
            raise TypeError(
                f"kind: got {kind!r}; the core has {', '.join(map(repr, KNOWN))}; or want a method "
                "step(w, change, state, round)"
            )

    def __post_init__(self) -> None:
        for name, limits in KNOWN[self.kind]["parameters"].items() if self.kind in KNOWN else ():
            value = getattr(self, name)
            if limits is None:
                check.flag(name, value)
            else:
                object.__setattr__(self, name, check.number(name, value, **limits))

    def start(self, w: np.ndarray) -> Any:
        """The state before the first round.

        ``s_0 = start(w_0)``, None unless a server says otherwise

        Parameters
        ----------
        w : ndarray of shape (d,) or (d, C), float64
            w_0.

        Returns
        -------
        object
            What the first ``step`` is given.

        Examples
        --------
        >>> import localgd as lg
        >>> lg.Average().start([0.0]) is None
        True
        """
        return None


@dataclass(frozen=True)
class Average(Server):
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

    kind: ClassVar[str] = "average"


@dataclass(frozen=True)
class Anchored(Server):
    """The anchored server of Modified Local-GD (Halpern's iteration).

    ``w_{k+1} = (1 - a) w_0 + a Σ_i p_i w_{k,i}``, ``a = (k + 1)/(k + 2)``

    References
    ----------
    Zhu, Vardhan, Mazumdar, arXiv:2412.07971; Halpern, Bull. AMS 73 (1967),
    doi:10.1090/S0002-9904-1967-11864-0.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.FedProx(local_steps=10, lr=1.0, mu=0.1, server=lg.Anchored()).server
    Anchored()
    """

    kind: ClassVar[str] = "anchored"


@dataclass(frozen=True)
class ServerSGD(Server):
    """Gradient descent with momentum on the pseudo-gradient: the outer step of DiLoCo.

    ``v ← m v + Δ``, ``w_{k+1} = w_k + lr v``, or with Nesterov's form ``w_k + lr (Δ + m v)``

    Parameters
    ----------
    lr : float > 0, default 1.0
        Server learning rate.
    momentum : float in [0, 1), default 0.0
        m.
    nesterov : bool, default False
        Look ahead by the momentum.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Reddi et al., ICLR 2021, arXiv:2003.00295; Douillard et al., arXiv:2311.08105.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.ServerSGD(lr=0.7, momentum=0.9, nesterov=True)
    ServerSGD(lr=0.7, momentum=0.9, nesterov=True)
    """

    kind: ClassVar[str] = "sgd"

    lr: float = 1.0
    momentum: float = 0.0
    nesterov: bool = False


@dataclass(frozen=True)
class ServerAdam(Server):
    """Adam on the pseudo-gradient (FedAdam).

    ``m ← β1 m + (1 - β1) Δ``, ``v ← β2 v + (1 - β2) Δ²``, ``w_{k+1} = w_k + lr m/(√v + τ)``

    Coordinate-wise, without bias correction as in the paper; v begins at τ², m at 0. Engine
    ``primal`` only.

    Parameters
    ----------
    lr : float > 0
        Server learning rate.
    beta1, beta2 : float in [0, 1), default 0.9 and 0.99
        β1 and β2.
    tau : float > 0, default 1e-3
        τ, the degree of adaptivity.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Reddi et al., ICLR 2021, arXiv:2003.00295, algorithm 2.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.ServerAdam(lr=0.1)
    ServerAdam(lr=0.1, beta1=0.9, beta2=0.99, tau=0.001)
    """

    kind: ClassVar[str] = "adam"

    lr: float
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3


@dataclass(frozen=True)
class ServerYogi(Server):
    """Yogi on the pseudo-gradient (FedYogi).

    ``m ← β1 m + (1 - β1) Δ``, ``v -= (1 - β2) Δ² sign(v - Δ²)``, ``w_{k+1} = w_k + lr m/(√v + τ)``

    Coordinate-wise; v begins at τ², m at 0. Engine ``primal`` only.

    Parameters
    ----------
    lr : float > 0
        Server learning rate.
    beta1, beta2 : float in [0, 1), default 0.9 and 0.99
        β1 and β2.
    tau : float > 0, default 1e-3
        τ, the degree of adaptivity.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Reddi et al., ICLR 2021, arXiv:2003.00295, algorithm 2.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.ServerYogi(lr=0.1, tau=0.01)
    ServerYogi(lr=0.1, beta1=0.9, beta2=0.99, tau=0.01)
    """

    kind: ClassVar[str] = "yogi"

    lr: float
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3


@dataclass(frozen=True)
class ServerAdagrad(Server):
    """Adagrad on the pseudo-gradient (FedAdagrad).

    ``m ← β1 m + (1 - β1) Δ``, ``v ← v + Δ²``, ``w_{k+1} = w_k + lr m/(√v + τ)``

    Coordinate-wise; v begins at τ², m at 0. Engine ``primal`` only.

    Parameters
    ----------
    lr : float > 0
        Server learning rate.
    beta1 : float in [0, 1), default 0.0
        β1.
    tau : float > 0, default 1e-3
        τ, the degree of adaptivity.

    Raises
    ------
    ValueError, TypeError
        For numbers outside these ranges.

    References
    ----------
    Reddi et al., ICLR 2021, arXiv:2003.00295, algorithm 2.

    Examples
    --------
    >>> import localgd as lg
    >>> lg.ServerAdagrad(lr=0.1)
    ServerAdagrad(lr=0.1, beta1=0.0, tau=0.001)
    """

    kind: ClassVar[str] = "adagrad"

    lr: float
    beta1: float = 0.0
    tau: float = 1e-3
