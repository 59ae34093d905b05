"""What a layer of a PyTorch module makes of rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import _validation as check

__all__ = ["from_torch"]


def from_torch(
    module: Any,
    X: Any,
    *,
    layer: str | None = None,
    batch_size: int = 256,
    device: Any = None,
) -> np.ndarray:
    """The outputs of a module, or of one of its layers, as rows for a linear model.

    ``φ(x) = layer(… (x))``, flattened

    So the last layer of a frozen network is trained by local steps: the overparameterized linear
    problem of arXiv:2412.07971. The module is put into evaluation mode, gradients are not taken,
    and what it was is restored.

    Parameters
    ----------
    module : torch.nn.Module
    X : array or tensor of shape (n, …)
        Inputs of the module. Numbers go to it in the type of its parameters.
    layer : str, optional
        A submodule by its name in ``module.named_modules()``, such as "fc1" or "layers.2": its
        output is taken. By default that of the module.
    batch_size : int ≥ 1, default 256
        Inputs at a time.
    device : str or torch.device, optional
        Where inputs are taken to, by default where the first parameter of the module is. The module
        has to be there.

    Returns
    -------
    ndarray of shape (n, D), float32 or float64
        float64 where the layer's output is.

    Raises
    ------
    MissingExtraError
        Without PyTorch (``pip install 'localgd[torch]'``).
    TypeError
        For what is no module, and a layer whose output is no tensor.
    ValueError
        For a layer that there is not or that the module does not call once for its inputs, no
        inputs, and features that are not finite.

    References
    ----------
    arXiv:2412.07971.

    Examples
    --------
    >>> import localgd as lg
    >>> import torch  # doctest: +SKIP
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 50), torch.nn.ReLU())  # doctest: +SKIP
    >>> lg.features.from_torch(net, [[1.0, 0.0, 2.0]], layer="1").shape  # doctest: +SKIP
    (1, 50)
    """
    torch = check.require("torch", "torch", "lg.features.from_torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module: got {type(module).__name__}; want a torch.nn.Module")
    check.integer("batch_size", batch_size, 1)
    chosen = _layer(module, layer)
    parameter = next(module.parameters(), None)
    inputs = torch.as_tensor(X if isinstance(X, torch.Tensor) else np.asarray(X))
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError("X: got no inputs; want at least one")
    if inputs.is_floating_point() and parameter is not None:
        inputs = inputs.to(parameter.dtype)
    where = device if device is not None or parameter is None else parameter.device
    found = []
    with torch.no_grad(), _evaluating(module), _outputs_of(chosen) as outputs:
        for batch in inputs.split(batch_size):
            outputs.clear()
            module(batch if where is None else batch.to(where))
            found.append(_features(outputs, layer, len(batch), torch))
    features = np.concatenate(found)
    if not np.isfinite(features).all():
        raise ValueError("module: some of its features are NaN or inf; want finite ones")
    return features


def _layer(module: Any, name: str | None) -> Any:
    if name is None:
        return module
    layers = dict(module.named_modules())
    if name not in layers or name == "":
        known = [known for known in layers if known]
        raise ValueError(
            f"layer: the module has none named {name!r}; want one of {', '.join(known)}"
            f"{check.did_you_mean(str(name), known)}"
        )
    return layers[name]


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Dropout and the like off, each part as it was afterwards."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def _outputs_of(layer: Any) -> Iterator[list[Any]]:
    """A list that grows by what the layer gives whenever it is called."""
    outputs: list[Any] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


def _features(outputs: list[Any], layer: str | None, count: int, torch: Any) -> np.ndarray:
    if len(outputs) != 1:
        raise ValueError(
            f"layer: {layer!r} is called {len(outputs)} times for a batch; want one that is called "
            "once"
        )
    output = outputs[0]
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"layer: its output is a {type(output).__name__}; want a tensor")
    if output.ndim == 0 or len(output) != count:
        raise ValueError(
            f"layer: an output of shape {tuple(output.shape)} for {count} inputs; want a row for "
            "each"
        )
    found: np.ndarray = output.reshape(count, -1).cpu().numpy()
    return found if found.dtype == np.float64 else found.astype(np.float32)
