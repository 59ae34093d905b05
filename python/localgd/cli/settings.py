"""The settings of ``localgd run``: the one list from which options, TOML and help are made."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..checkpointing import SECONDS_BETWEEN
from ..datasets.files import READERS
from ..losses import LOSSES
from . import words
from .methods import DEFAULTS, SHELL_METHODS, ShellMethod, takers

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

__all__ = ["OF_FILE", "Settings", "about_weights", "in_options", "read_config", "write_config"]

DATA, METHOD, ENGINE, OUTPUT = "Data", "Method", "Engine", "Output"


def setting(
    default: Any, read: words.Reader, panel: str, metavar: str, help: str, **more: Any
) -> Any:
    """A field of :class:`Settings`. ``shown``: what the help calls the default; ``short``: -x."""
    metadata = {"read": read, "panel": panel, "metavar": metavar, "help": help, **more}
    return dataclasses.field(default=default, metadata=metadata)


def of_method(name: str, read: words.Reader, metavar: str, help: str, **more: Any) -> Any:
    """A field that belongs to some methods; what it is without being given is up to them."""
    of_some = takers(name)
    others = [method for method in SHELL_METHODS if method not in of_some]
    if others:
        few = f"For {', '.join(of_some)}." if len(of_some) <= 5 else f"Not for {', '.join(others)}."
        more["methods"] = few
    return setting(None, read, METHOD, metavar, help, **more)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to run, as plain values. None: to be settled from the data."""

    data: str | None = setting(
        None,
        words.path,
        DATA,
        "NAME|FILE",
        "mnist, digits, breast-cancer, or your rows: a .csv .npz .parquet .svm file.",
        shown="mnist",
    )
    classes: str = setting(
        "0,1",
        words.digit_classes,
        DATA,
        "A,B,…",
        "Which digits (mnist, digits), two or more, or all; groups: 024,135.",
    )
    label: str | None = setting(
        None, words.text, DATA, "COLUMN", "Labels in FILE: name, or index.", shown="the last column"
    )
    client: str | None = setting(
        None, words.text, DATA, "COLUMN", "Client ids in FILE; without it rows are dealt out."
    )
    task: str | None = setting(
        None,
        words.choice("binary", "multiclass", "regression"),
        DATA,
        "TASK",
        "binary, multiclass or regression.",
        shown="from the labels",
    )
    kind: str | None = setting(
        None,
        words.choice(*READERS),
        DATA,
        "KIND",
        f"Format of FILE: {', '.join(READERS)}.",
        shown="from its suffix",
    )
    header: bool | None = setting(
        None,
        words.flag,
        DATA,
        "",
        "Line 1 of a CSV file holds column names, or is a row. Default: names if no cell is a "
        "number.",
    )
    delimiter: str | None = setting(
        None,
        words.character,
        DATA,
        "CHAR",
        "Between the cells of a CSV file; tab works.",
        shown=",",
    )
    decimal: str | None = setting(
        None, words.choice(".", ","), DATA, "CHAR", "Before decimals in a CSV file.", shown="."
    )
    keep_index: bool | None = setting(
        None, words.flag, DATA, "", "An index, of pandas or without a name, is a feature, too."
    )
    n_features: int | None = setting(
        None, words.whole(1), DATA, "D", "Of an svmlight file.", shown="from the largest index"
    )
    zero_based: bool | None = setting(
        None,
        words.flag,
        DATA,
        "",
        "Indices of an svmlight file start at 0. Default: if it has an index 0.",
    )
    max_bytes: int | None = setting(
        None, words.memory, DATA, "BYTES", "Of svmlight rows as a dense array.", shown="4GB"
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
    test: float | None = setting(
        None, words.fraction, DATA, "FRACTION", "Share of the rows to hold out, as a test."
    )
    # With seed 0 one client gets 566 of the 1,000 default rows and keeps one core busy alone.
    seed: int = setting(
        1, words.whole(0), DATA, "N", "Seed of all that is random: dealing, batches, sampling."
    )
    weights: str = setting(
        "samples",
        words.choice("samples", "equal"),
        DATA,
        "WORD",
        "Client weights: samples (every row counts the same) or equal (every client does).",
    )

    method: str = setting(
        "local-gd", words.choice(*SHELL_METHODS), METHOD, "NAME", "One of the methods listed above."
    )
    local_steps: int | str | None = of_method(
        "local_steps",
        words.steps,
        "L",
        "Steps of a client per round; one for each client, 10,20,…, or exact (modified-local-gd).",
        shown="100",
    )
    lr: float | str | None = of_method(
        "lr",
        words.rate,
        "RATE",
        f"Learning rate: a number, {words.RATES}, {words.forms(words.SCHEDULES)}.",
        shown="1",
    )
    batch_size: int | str | None = of_method(
        "batch_size",
        words.batch,
        "ROWS",
        "Rows per step, or full.",
        shown="8 for local-sgd and minibatch-sgd, else full",
    )
    replacement: bool | None = of_method(
        "replacement", words.flag, "", "Draw batches with replacement, not epoch by epoch."
    )
    mu: float | None = of_method(
        "mu", words.nonnegative, "MU", "Pull to the global model.", shown="0.1"
    )
    beta: float | None = of_method(
        "beta", words.nonnegative, "BETA", "Length of displacement.", shown="0.1"
    )
    fednova: bool | None = of_method(
        "fednova",
        words.flag,
        "",
        "Weigh clients fairly that take different numbers of steps (FedNova).",
    )
    server: str | None = of_method(
        "server",
        words.server_words,
        "SERVER",
        f"What is done with the mean: {words.forms(words.SERVERS)}.",
        shown="average",
    )
    participation: int | float | None = of_method(
        "participation",
        words.share,
        "SHARE",
        "Clients per round: a fraction (0.1) or a count (5).",
        shown="all",
    )
    sampling: str | None = of_method(
        "sampling",
        words.choice("uniform", "weight"),
        "WORD",
        "How clients are drawn: uniform, or weight.",
        shown="uniform",
    )
    rounds: int = setting(
        10_000, words.whole(0), METHOD, "R", "Communication rounds; 1e4 works, and 1e100."
    )
    loss: str | None = setting(
        None,
        words.choice(*LOSSES),
        METHOD,
        "NAME",
        "exponential, logistic, squared or softmax.",
        shown="exponential; squared for regression, softmax for classes",
    )
    reference: bool | None = setting(
        None,
        words.flag,
        METHOD,
        "",
        "Compute the max-margin model, or the minimiser, and how far it is; by default if that "
        "takes no more than a minute or so.",
    )
    pooled: bool | None = setting(
        None,
        words.flag,
        METHOD,
        "",
        "Compare with GD on the pooled rows after as many steps, where methods take such.",
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
        "localgd-run", words.path, OUTPUT, "FOLDER", "Where the results go.", short="-o"
    )
    records_per_decade: int = setting(
        10, words.whole(1), OUTPUT, "N", "Measurements per factor of ten in rounds."
    )
    checkpoint: str | None = setting(
        None, words.path, OUTPUT, "FILE", "Keep the state here; continue from it if it exists."
    )
    checkpoint_seconds: float = setting(
        SECONDS_BETWEEN, words.nonnegative, OUTPUT, "SECONDS", "Write it so often."
    )
    quiet: bool = setting(False, words.flag, OUTPUT, "", "Print errors only.", short="-q")

    @property
    def client_weighted(self) -> bool:
        """Whether rows count by who holds them, so that f is not the loss of the pooled rows."""
        return self.weights != "samples"

    @classmethod
    def merged(cls, config: Mapping[str, Any], options: Mapping[str, Any]) -> Settings:
        """Settings of a file, over which options win; another method drops the file's parameters.

        So one file serves to run several methods side by side on the same rows.
        """
        old = config.get("method", cls.method)
        new = options.get("method", old)
        if old != new and old in SHELL_METHODS and new in SHELL_METHODS:
            config = {
                name: value
                for name, value in config.items()
                if not _stays_behind(name, value, SHELL_METHODS[old], SHELL_METHODS[new])
            }
        return cls.from_values({**config, **options})

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


# How to read FILE; `localgd reproduce` has them, too.
OF_FILE = (
    "kind",
    "header",
    "delimiter",
    "decimal",
    "keep_index",
    "n_features",
    "zero_based",
    "max_bytes",
)


def in_options(text: str) -> str:
    """A message of localgd's functions with the options that stand for arguments of theirs."""
    names = [
        field.name for field in dataclasses.fields(Settings) if field.metadata["panel"] == DATA
    ]

    def option(found: re.Match[str]) -> str:
        name, value = found[1].replace("_", "-"), found[2].strip("'")
        if value in ("True", "False"):
            return f"--{name}" if value == "True" else f"--no-{name}"
        return f"--{name} {value}".rstrip(" …")

    return re.sub(rf"(?<!['\w])({'|'.join(names)})=('[^']*'|\w+|…|)", option, text)


def _stays_behind(name: str, value: Any, old: ShellMethod, new: ShellMethod) -> bool:
    """Whether a setting of one method means nothing to another, or was its default only."""
    if name == "pooled":
        return value is True
    if name not in DEFAULTS:
        return False
    default = old.default(name)
    was_default = type(value) is type(default) and value == default  # 1 client is not 1.0 of them
    return was_default or name not in new.takes or value == words.EXACT


# The last version in which the weights of clients were equal if nothing was said of them.
LAST_EQUAL = (0, 1, 0)
HEADER = re.compile(rb"(?:\xef\xbb\xbf)?# localgd (\d+)\.(\d+)\.(\d+)")
# They do not bear on the result.
NOT_WRITTEN = ("checkpoint", "checkpoint_seconds", "quiet")


def read_config(path: str) -> dict[str, Any]:
    """The values of a TOML file, checked; with the weights that it meant if it is an old one."""
    path = words.path("config", path)
    data = Path(path).read_bytes()
    try:
        # Notepad and PowerShell begin their UTF-8 files with a byte order mark.
        values = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = "UTF-16 text with a BOM" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else error.reason
        raise ValueError(f"{path} line {line}: not UTF-8 text ({what}); save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # numbers of 5,000 digits, brackets in brackets
        raise ValueError(f"{path}: not TOML: {error}") from None
    Settings.from_values(values, f"{path}: ")
    written_by = HEADER.match(data)
    if written_by and tuple(map(int, written_by.groups())) <= LAST_EQUAL:
        values.setdefault("weights", "equal")
    return values


def about_weights(config: Mapping[str, Any], options: Mapping[str, Any], path: str) -> str:
    """A line where a file without a version names no weights, whose default was another; or none.

    What :func:`write_config` writes always names them.
    """
    if "weights" in config or "weights" in options:
        return ""
    return (
        f"{Settings.weights}, every row counts the same: {path} names none, which up to "
        f"localgd {'.'.join(map(str, LAST_EQUAL))} could mean equal"
    )


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
    if isinstance(value, int) and abs(value) >= 2**63:  # TOML's integers end there
        value = float(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str) and not _is_unicode(value):
        value = Path(value).absolute().as_uri()  # the only texts with bytes in them are paths
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
