"""The settings of ``localgd run``: of each field an option, a key of TOML files, help and check."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

import cyclopts
from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .. import _validation as check
from ..checkpointing import SECONDS_BETWEEN
from ..servers import Server
from . import kinds, words
from .methods import PARAMETERS, SHELL_METHODS, ShellMethod, about_takers

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "GROUPS",
    "ColumnSettings",
    "DataSettings",
    "EngineSettings",
    "FormatSettings",
    "LabelSettings",
    "MethodSettings",
    "Options",
    "OutputSettings",
    "Request",
    "Settings",
    "SweepRequest",
    "default_of",
    "in_options",
    "option",
    "refusal",
]

Group = TypeVar("Group", bound="Options")


def option(help: str, default: Any = None, *, unless_given: Any = None) -> Any:
    """A setting: its help and its default.

    ``unless_given``: of a method's parameter, the default where the method has none of its own.
    """
    if unless_given is not None:
        help += f" Default: {unless_given}."
    return Field(default, description=help, json_schema_extra={"unless_given": unless_given})


class Options(BaseModel):
    """Some options of a command. None: to be settled later, from data and method."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    # Where there is none, cyclopts parses the sources of all base classes, also of pydantic's, for
    # documented fields, which makes help take 0.2 s longer.
    func: ClassVar[None] = None

    @classmethod
    def from_values(cls, values: Mapping[str, Any], where: str = "", text: str = "") -> Self:
        """Some values by name, each checked.

        ``where`` begins the messages, and in ``text``, a TOML file, the values stand.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(where + refusal(error, cls, text)) from None

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not left at their default."""
        return self.model_dump(exclude_unset=True)


def refusal(error: ValidationError, options: type[Options] = Options, text: str = "") -> str:
    """The first thing that is wrong: which setting, what came and what is wanted."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][-1])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, options.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"want {', '.join(options.model_fields)}"
        said = f"unknown setting {name!r}; {hint}"
    elif first["type"] == "literal_error":
        allowed = first["ctx"]["expected"].replace(" or ", ", ")
        looks_like = check.did_you_mean(first["input"], re.findall(r"'([^']+)'", allowed))
        said = f"{name}: got {first['input']!r}; want one of {allowed}{looks_like}"
    else:
        said = f"{name}: {first['ctx']['error']}"
    found = re.search(rf"^[\s\[]*[\"']?{re.escape(name)}[\"']?\s*[=.\]]", text, re.MULTILINE)
    return said + (f" (line {text.count(chr(10), 0, found.end()) + 1})" if found else "")


GROUPS: dict[str, type[Options]] = {}


def group(title: str) -> Callable[[type[Group]], type[Group]]:
    """A class of settings is a panel of the help, and a part of the TOML file."""

    def entered(options: type[Group]) -> type[Group]:
        GROUPS[title] = options
        for name, field in options.model_fields.items():
            field.description = f"{field.description}{about_takers(name)}"
        return Parameter(name="*", group=cyclopts.Group.create_ordered(title))(options)

    return entered


@group("Data")
class DataSettings(Options):
    """Which rows, and how they are dealt to clients."""

    data: kinds.FilePath | None = option(
        "mnist, digits, breast-cancer, or your rows: a .csv .npz .parquet .svm FILE. "
        "Default: mnist."
    )
    classes: kinds.DigitClasses = option(
        "Which digits (mnist, digits), two or more, or all; groups: 024,135.", "0,1"
    )
    clients: kinds.Positive = option("Clients to deal the rows to.", 10)
    scheme: kinds.SchemeWords = option(f"How: {words.forms(words.SCHEMES)}.", "iid")
    test: kinds.Fraction | None = option("Share of the rows to hold out, as a test: a fraction.")
    seed: kinds.Whole = option("Seed of all that is random: dealing, batches, sampling.", 0)
    scale: Literal["max_norm", "rows", "spectral", "standard", "none"] | None = option(
        "Divide all rows by the largest row norm; each by its norm; all by the spectral norm; "
        "columns of mean 0 and spread 1; or nothing of these. Default: FILE as it is; with "
        "--categorical, --impute or --drop standard; digits as they are loaded, by max_norm."
    )
    intercept: Literal["column", "free"] | None = option(
        "A column of ones beside the rows: a plane need not go through 0. --l2 leaves it alone if "
        "it is free."
    )


@group("Labels")
class LabelSettings(Options):
    """What the rows stand for, and whose they are; ``localgd reproduce`` has them, too."""

    label: kinds.Text | None = option("Labels in FILE: name, or index. Default: the last column.")
    client: kinds.Text | None = option("Client ids in FILE; without it rows are dealt out.")
    task: Literal["binary", "multiclass", "regression"] | None = option(
        "What to learn. Default: from the labels."
    )
    weights: Literal["samples", "equal"] = option(
        "Client weights: every row counts the same, or every client does.", "samples"
    )

    @property
    def client_weighted(self) -> bool:
        """Whether rows count by who holds them, so that f is not the loss of the pooled rows."""
        return self.weights != "samples"


@group("Format of FILE")
class FormatSettings(Options):
    """How to read FILE; ``localgd reproduce`` has them, too."""

    kind: kinds.FileKind | None = option("Format of FILE. Default: from its suffix.")
    header: kinds.Flag | None = option(
        "Line 1 of a CSV file holds column names, or is a row. Default: names if no "
        "cell is a number."
    )
    delimiter: kinds.Character | None = option(
        'Between the cells of a CSV file; tab works. Default: ",".'
    )
    decimal: Literal[".", ","] | None = option('Before decimals in a CSV file. Default: ".".')
    keep_index: kinds.Flag | None = option(
        "An index, of pandas or without a name, is a feature, too."
    )
    n_features: kinds.Positive | None = option(
        "Features of an svmlight file. Default: its largest index."
    )
    zero_based: kinds.Flag | None = option(
        "Indices of an svmlight file start at 0. Default: if it has an index 0."
    )
    max_bytes: kinds.Memory | None = option("Of svmlight rows as a dense array. Default: 4GB.")


@group("Columns of FILE")
class ColumnSettings(Options):
    """Columns of any kind; each of them but ``positive`` asks for ``Problem.from_frame``."""

    positive: kinds.Text | None = option("Which of two labels is +1. Default: the larger.")
    categorical: kinds.Text | None = option(
        "onehot: a column for each category of texts and booleans; or NAME,… for these columns, "
        "too. With it, --impute or --drop, numbers get mean 0 and spread 1 first."
    )
    impute: Literal["median", "mean", "most_frequent"] | None = option(
        "What fills the gaps of numbers; texts get the most frequent one. Default: median."
    )
    drop: kinds.Text | None = option("Columns to leave out: NAME,…")

    @property
    def as_table(self) -> bool:
        """Whether columns may be of any kind."""
        return any(value is not None for value in (self.categorical, self.impute, self.drop))


@group("Method")
class MethodSettings(Options):
    """The method, its parameters, and what it is compared with."""

    method: kinds.MethodName = option("One of the methods listed above.", "local-gd")
    local_steps: kinds.Steps | None = option(
        "Steps of a client per round; one for each client, 10,20,…, or exact (modified-local-gd).",
        unless_given=100,
    )
    local_epochs: kinds.Positive | None = option(
        "Passes of a client through its rows per round, in place of steps.", unless_given=1
    )
    lr: kinds.Rate | None = option(
        f"Learning rate: a number, {words.RATES}, {words.forms(words.SCHEDULES)}.",
        unless_given="1/H",
    )
    batch_size: kinds.Batch | None = option(
        "Rows per step, or full. Default: 1 for local-sgd and minibatch-sgd, full for others."
    )
    replacement: kinds.Flag | None = option("Draw batches with replacement, not epoch by epoch.")
    mu: kinds.Nonnegative | None = option("Pull to the global model.", unless_given=0.1)
    beta: kinds.Nonnegative | None = option("Length of displacement.", unless_given=0.1)
    fednova: kinds.Flag | None = option(
        "Weigh clients fairly that take different numbers of steps (FedNova)."
    )
    server: kinds.ServerWords | None = option(
        f"What is done with the mean: {words.forms(words.SERVERS)}. Default: average; anchored "
        "for modified-local-gd."
    )
    participation: kinds.Share | None = option(
        f"Clients per round: a fraction (0.1), a count (5), or {words.forms(words.TURNS)}. "
        "Default: all."
    )
    sampling: Literal["uniform", "weight"] | None = option(
        "How clients are drawn. Default: uniform."
    )
    shares: Literal["renormalized", "unbiased"] | None = option(
        "Of those who take part: their weights over the sum, or over how often they do. Default: "
        "renormalized, which is biased where weights differ."
    )
    rounds: kinds.Whole = option("Communication rounds; 1e4 works, and 1e100.", 10_000)
    stop: kinds.Stop | None = option(
        "End at the first record at which a column of history.csv is at most a number: "
        "grad_norm=1e-9,…"
    )
    loss: kinds.Loss | None = option(
        "Default: exponential; squared for regression, softmax for classes."
    )
    l2: kinds.Penalty = option(
        "λ of the objective, the loss + λ/2 |w|^2: a number, H/N, or kappa=1e4.", 0.0
    )
    reference: kinds.Flag | None = option(
        "Compute the max-margin model, or the minimiser, and how far it is. Default: "
        "if that takes no more than a minute or so."
    )
    pooled: kinds.Flag | None = option(
        "Compare with GD on the pooled rows after as many steps. Default: where methods take such, "
        "if that takes no more than a minute or so."
    )


@group("Engine")
class EngineSettings(Options):
    """What computes, with which numbers."""

    engine: Literal["auto", "gram", "hybrid", "primal"] = option(
        "The same result at different cost.", "auto"
    )
    dtype: Literal["float64", "float32"] | None = option(
        "Precision of rows and local steps. Default: that of the rows."
    )
    threads: kinds.Positive | None = option(
        "Threads; any number gives the same bits. Default: as many as help."
    )
    mpi: Annotated[kinds.Flag, Parameter(negative=())] = option(
        "Spread the clients over the processes of mpiexec -n: each reads the rows of its own, of a "
        ".parquet FILE, or a folder of them, with --client.",
        False,
    )
    memory_limit: Annotated[kinds.Memory, Parameter(show_default=lambda _: "4GiB")] = option(
        "Bytes for Gram matrices, and for copies of sparse rows; 500MB works.", 2**32
    )


@group("Output")
class OutputSettings(Options):
    """What is written where."""

    out: Annotated[kinds.FilePath, Parameter(alias="-o")] = option(
        "The folder where the results go.", "localgd-run"
    )
    evaluate: kinds.FilePath | None = option(
        "Write a page there: the model beside that of the pooled rows and each client's own."
    )
    records_per_decade: kinds.Positive = option("Measurements per factor of ten in rounds.", 10)
    checkpoint: kinds.FilePath | None = option(
        "Keep the state in this file; continue from it if it exists."
    )
    checkpoint_seconds: kinds.Nonnegative = option(
        "Seconds between two writes of it.", SECONDS_BETWEEN
    )
    quiet: Annotated[kinds.Flag, Parameter(alias="-q")] = option("Print errors only.", False)


@Parameter(name="*")
class Request(Options):
    """What ``localgd reproduce`` is to do."""

    out: kinds.FilePath = option("The folder to write it to.", "report")
    quick: Annotated[kinds.Flag, Parameter(negative=())] = option(
        "Less of each: 3 minutes at most.", False
    )
    data: kinds.FilePath | None = option("Your rows: a .csv .npz .parquet .svm FILE.")
    seed: kinds.Whole = option("Added to the seed of every data set.", 0)
    threads: kinds.Positive | None = option("Threads. Default: as many as help.")
    labels: LabelSettings = LabelSettings()
    format: FormatSettings = FormatSettings()

    @property
    def of_file(self) -> dict[str, Any]:
        """How to read the rows."""
        return self.labels.given | self.format.given


@Parameter(name="*")
class SweepRequest(Options):
    """What ``localgd sweep`` is to do."""

    out: Annotated[kinds.FilePath | None, Parameter(alias="-o")] = option(
        "The folder for the runs, a table and a figure; or only a FILE of runs, .sqlite or .jsonl. "
        "Default: a folder named like the study."
    )
    executor: str | None = option(
        "Where to run: processes:8, threads:2, dask:ADDRESS, or mpi. Default: in this process."
    )
    merge: Annotated[kinds.Flag, Parameter(negative=())] = option(
        "Make one FILE of runs of several, or a table of one, .csv or .parquet.", False
    )
    quiet: Annotated[kinds.Flag, Parameter(alias="-q")] = option("Print errors only.", False)


class Settings(
    OutputSettings,
    EngineSettings,
    MethodSettings,
    ColumnSettings,
    FormatSettings,
    LabelSettings,
    DataSettings,
):
    """What to run, as plain values."""

    @classmethod
    def merged(cls, config: Mapping[str, Any], options: Mapping[str, Any]) -> Settings:
        """Settings of a file, over which options win; another method drops the file's parameters.

        So one file serves to run several methods side by side on the same rows.
        """
        old = config.get("method", cls.model_fields["method"].default)
        new = options.get("method", old)
        if old != new and old in SHELL_METHODS and new in SHELL_METHODS:
            config = {
                name: value
                for name, value in config.items()
                if not _stays_behind(name, value, SHELL_METHODS[old], SHELL_METHODS[new])
            }
        return cls.from_values({**config, **options})


def default_of(entry: ShellMethod, name: str) -> Any:
    """What a parameter of a method is without being given, as plain value."""
    own = entry.takes[name].default
    if own is None and name == "batch_size":
        return words.FULL
    if own is None and name == "local_steps":  # there are epochs in place of them
        return None
    extra: Any = MethodSettings.model_fields[name].json_schema_extra
    if extra["unless_given"] is not None:
        return extra["unless_given"]
    return own.kind if isinstance(own, Server) else own


def _stays_behind(name: str, value: Any, old: ShellMethod, new: ShellMethod) -> bool:
    """Whether a setting of one method means nothing to another, or was its default only."""
    if name == "pooled":
        return value is True
    if name not in PARAMETERS:
        return False
    if name not in new.takes or value == words.EXACT:
        return True
    default = default_of(old, name) if name in old.takes else None
    return type(value) is type(default) and value == default  # 1 client is not 1.0 of them


def in_options(text: str) -> str:
    """A message of localgd's functions with the options that stand for arguments of theirs."""

    def option(found: re.Match[str]) -> str:
        name, value = found[1].replace("_", "-"), found[2].strip("'")
        if value in ("True", "False"):
            return f"--{name}" if value == "True" else f"--no-{name}"
        return f"--{name} {value}".rstrip(" …")

    of_data = (DataSettings, LabelSettings, FormatSettings, ColumnSettings)
    names = "|".join(name for group in of_data for name in group.model_fields)
    return re.sub(rf"(?<!['\w])({names})=('[^']*'|\w+|…|)", option, text)
