"""The settings of ``localgd run``: the one list from which options, TOML and help are made."""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from . import words

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

__all__ = ["Settings", "read_config", "write_config"]

DATA, METHOD, ENGINE, OUTPUT = "Data", "Method", "Engine", "Output"


def setting(
    default: Any, read: words.Reader, panel: str, metavar: str, help: str, **more: Any
) -> Any:
    """A field of :class:`Settings`. ``shown``: what the help calls the default; ``short``: -x."""
    metadata = {"read": read, "panel": panel, "metavar": metavar, "help": help, **more}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to run, as plain values. None: to be settled from the data."""

    data: str | None = setting(
        None,
        words.text,
        DATA,
        "NAME|FILE",
        "mnist, digits, breast-cancer, or your rows: a .csv .npz .parquet .svm file.",
        shown="mnist",
    )
    classes: str = setting(
        "0,1", words.digit_classes, DATA, "A,B", "Which digits (mnist, digits); groups: 024,135."
    )
    label: str | None = setting(
        None, words.text, DATA, "COLUMN", "Labels in FILE: name or index.", shown="the last column"
    )
    client: str | None = setting(
        None, words.text, DATA, "COLUMN", "Client ids in FILE; without it rows are dealt out."
    )
    task: str | None = setting(
        None,
        words.choice("binary", "regression"),
        DATA,
        "TASK",
        "binary or regression.",
        shown="from the labels",
    )
    normalize: bool = setting(
        True, words.flag, DATA, "", "Divide all rows by the largest row norm: keeps lr 1 stable."
    )
    bias: bool = setting(
        False, words.flag, DATA, "", "Append a column of ones: a plane need not go through 0."
    )
    clients: int = setting(10, words.whole(1), DATA, "M", "Clients to deal the rows to.")
    scheme: str | None = setting(
        None,
        words.dealing,
        DATA,
        "SCHEME",
        f"How: {words.forms(words.SCHEMES)}.",
        shown="dirichlet:0.3; iid for regression",
    )
    # With seed 0 one client gets 566 of the 1,000 default rows and keeps one core busy alone.
    seed: int = setting(1, words.whole(0), DATA, "N", "Seed of the dealing.")
    weights: str = setting(
        "equal", words.choice("equal", "samples"), DATA, "WORD", "Client weights: equal or samples."
    )

    method: str = setting(
        "local-gd", words.choice("local-gd", "gd"), METHOD, "NAME", "local-gd or gd."
    )
    local_steps: int = setting(
        100, words.whole(1), METHOD, "L", "Gradient steps of a client per round (local-gd)."
    )
    lr: float | str = setting(
        1.0, words.rate, METHOD, "RATE", f"Learning rate: a number, {words.forms(words.SCHEDULES)}."
    )
    rounds: int = setting(10_000, words.whole(0), METHOD, "R", "Communication rounds; 1e4 works.")
    loss: str | None = setting(
        None,
        words.choice("exponential", "logistic", "squared"),
        METHOD,
        "NAME",
        "exponential, logistic or squared.",
        shown="exponential; squared for regression",
    )
    reference: bool = setting(
        True, words.flag, METHOD, "", "Compute the model that it converges to, and the angle to it."
    )
    pooled: bool = setting(
        True, words.flag, METHOD, "", "Compare with GD on the pooled rows after as many steps."
    )

    engine: str = setting(
        "auto",
        words.choice("auto", "gram", "hybrid", "primal"),
        ENGINE,
        "NAME",
        "auto, gram, hybrid or primal: the same result at different cost.",
    )
    dtype: str = setting(
        "float64", words.choice("float64", "float32"), ENGINE, "NAME", "float64 or float32."
    )
    threads: int | None = setting(
        None,
        words.whole(1),
        ENGINE,
        "N",
        "Threads; any number gives the same bits.",
        shown="as many as help",
    )
    memory_limit: int = setting(
        2**32, words.memory, ENGINE, "BYTES", "For Gram matrices; 500MB works.", shown="4GiB"
    )

    out: str = setting(
        "localgd-run", words.text, OUTPUT, "FOLDER", "Where the results go.", short="-o"
    )
    records_per_decade: int = setting(
        10, words.whole(1), OUTPUT, "N", "Measurements per factor of ten in rounds."
    )
    checkpoint: str | None = setting(
        None, words.text, OUTPUT, "FILE", "Keep the state here; continue from it if it exists."
    )
    quiet: bool = setting(False, words.flag, OUTPUT, "", "Print errors only.", short="-q")

    @classmethod
    def from_values(cls, values: Mapping[str, Any], where: str = "") -> Settings:
        """Settings from some values by name, each checked; ``where`` begins the messages."""
        readers = {field.name: field.metadata["read"] for field in dataclasses.fields(cls)}
        checked = {}
        for name, value in values.items():
            if name not in readers:
                near = difflib.get_close_matches(name, readers, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"want {', '.join(readers)}"
                raise ValueError(f"{where}unknown setting {name!r}; {hint}")
            try:
                checked[name] = readers[name](name, value)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{where}{error}") from None
        return cls(**checked)


# They do not bear on the result, or say where one copy of it is.
NOT_WRITTEN = ("out", "checkpoint", "quiet")


def read_config(path: str) -> dict[str, Any]:
    """The values of a TOML file, checked."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from None
    Settings.from_values(values, f"{path}: ")
    return values


def write_config(settings: Settings, path: Path) -> None:
    """A TOML file with which ``localgd run --config`` repeats the run."""
    lines = [f"# localgd {__version__}; to run it again: localgd run --config {path.name}"]
    panel = ""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in NOT_WRITTEN or value is None:
            continue
        if field.metadata["panel"] != panel:
            panel = field.metadata["panel"]
            lines += ["", f"# {panel}"]
        lines.append(f"{field.name} = {_toml(value)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: str | int | float | bool) -> str:
    """A TOML value. JSON writes strings, true and false the same way."""
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
