"""What a run over ranks cannot do, refused before it begins."""

from __future__ import annotations

from typing import Any

from ..configuration import work_of
from ..errors import UnsupportedError
from ..identification import digest, identify
from ..own_measures import wants_clients
from ..preparation import Preparation
from ..schedules import Polyak
from ..servers import CALLED

__all__ = ["check_supported", "settings"]

# Of a preparation: what the ranks are compared by in other words, or need not have in common.
OTHERWISE = {
    *("problem", "method", "init", "starts_at_zero", "reference", "beside", "minimum"),
    *(
        "records",
        "spacing",
        "test",
        "asymptote",
        "measures",
        "stop",
        "callback",
        "threads",
        "progress",
    ),
}


def check_supported(prepared: Preparation) -> None:
    """An UnsupportedError for what there is no way to do."""
    for what, why in (
        (prepared.model, "model: over ranks models are linear; want model=None"),
        (not isinstance(prepared.loss, str), "loss: over ranks want a loss by its name"),
        (
            isinstance(getattr(prepared.method, "lr", None), Polyak),
            "lr: Polyak's rate wants the gradient of all rows at every round; want a number, a "
            "schedule or RiskAdapted",
        ),
        (
            any(wants_clients(function) for function in (prepared.measures or {}).values()),
            "measures: over ranks no one has the models or gradients of all clients; want measures "
            "of the weights",
        ),
        (
            prepared.method.server.kind == CALLED,
            "server: over ranks want one of localgd's own, such as Average()",
        ),
    ):
        if what:
            raise UnsupportedError(why)


def settings(prepared: Preparation) -> dict[str, Any]:
    """What all ranks must have been asked for alike, as plain values."""
    kept = {name for name in prepared.__dataclass_fields__ if name not in OTHERWISE}
    return {
        **{name: _plain(getattr(prepared, name)) for name in sorted(kept)},
        "method": [type(prepared.method).__name__, work_of(prepared.method, _kind)],
        "lr": _plain(getattr(prepared.method, "lr", None)),
        "init": digest(prepared.init),
        "reference": digest(prepared.reference),
        "record": digest(prepared.records),
        "measures": sorted(prepared.further),
        "stop": prepared.stop is None,
        "callback": len(prepared.callback),
    }


def _plain(value: Any) -> Any:
    return identify(value, _kind)


def _kind(value: Any) -> str:
    return type(value).__name__
