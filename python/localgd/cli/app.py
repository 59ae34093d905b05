"""The commands as typer sees them, and what becomes of errors."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import MissingExtraError
from . import words
from .methods import SHELL_METHODS
from .screen import Screen, one_line
from .settings import OF_FILE, Settings, about_weights, in_options, read_config

__all__ = ["app", "call"]

INTERRUPTED = 130
NAMES = {"path": "data", "n_clients": "clients", "X, y": "data", "y": "data", "problem": "data"}
HELP = "\n".join(
    [
        "Run a method and compare it with the model that it converges to.",
        "",
        "Without options: Local-GD on MNIST digits 0 against 1, 10 clients, 100 local steps, "
        "10,000 rounds.",
        "",
        *(f"{name:<17}  {entry.line}" for name, entry in SHELL_METHODS.items()),
    ]
)

# Errors that say what the user has to change; any other is a fault of localgd, with a traceback.
USER_ERRORS = (ValueError, OSError, MissingExtraError, MemoryError)

app = typer.Typer(
    name="localgd",
    help="Local-update training (Local-GD, FedAvg) of linear models at long horizons.",
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
)


@dataclasses.dataclass(frozen=True)
class Done:
    """What a command gives back, as distinct from the exit codes that typer makes."""

    code: int


def call(arguments: Sequence[str] | None) -> int:
    """Run the command of these words; the exit code."""
    try:
        outcome = app(args=None if arguments is None else [*arguments], standalone_mode=False)
        if isinstance(outcome, Done):
            return outcome.code
        if outcome == INTERRUPTED:  # typer ends without a word
            Screen().error("interrupted")
        return outcome or 0
    except BrokenPipeError:  # the reader has closed the pipe
        return 0
    except USER_ERRORS as error:
        Screen().error(_text(error))
        return 2
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own: options that do not exist, …
            raise
        Screen().error(f"{_text(error)} (see localgd --help)")
        return 2


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return one_line(error)
    # Functions of localgd speak of their arguments; the user gave settings.
    name, colon, rest = one_line(error).partition(": ")
    return in_options(NAMES.get(name, name) + colon + rest) or type(error).__name__


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"localgd {__version__}")
        raise typer.Exit


@app.callback()
def _localgd(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def _with_settings(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option per field of Settings, or some; those not used arrive as None."""

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [p for p in own if p.kind is not p.VAR_KEYWORD]
        for field in dataclasses.fields(Settings):
            if not names or field.name in names:
                parameters.append(
                    inspect.Parameter(
                        field.name,
                        inspect.Parameter.KEYWORD_ONLY,
                        default=None,
                        annotation=Annotated[_kind(field), _option(field)],
                    )
                )
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorated


def _kind(field: dataclasses.Field[Any]) -> Any:
    """Numbers arrive as text too: Settings reads them, with one kind of message for all."""
    return (bool if field.metadata["read"] is words.flag else str) | None


def _option(field: dataclasses.Field[Any]) -> Any:
    data = field.metadata
    name = "--" + field.name.replace("_", "-")
    names = [name]
    if data["read"] is words.flag and field.default is not False:
        names = [f"{name}/--no-{field.name.replace('_', '-')}"]
    shown = data.get("shown")
    if shown is None and not isinstance(field.default, bool) and field.default is not None:
        shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
    help = data["help"] + (f" Default {shown}." if shown else "")
    if "methods" in data:
        help += f" {data['methods']}"
    return typer.Option(
        *names,
        *([data["short"]] if "short" in data else []),
        help=help,
        metavar=data["metavar"],
        show_default=False,
        rich_help_panel=data["panel"],
    )


@app.command(help=HELP)
@_with_settings()
def run(
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="Settings from a TOML file; options win over it.",
            show_default=False,
        ),
    ] = None,
    **options: Any,
) -> Done:
    """Run a method; its help is HELP."""
    given = {name: value for name, value in options.items() if value is not None}
    saved = read_config(config) if config else {}
    settings = Settings.merged(saved, given)
    screen = Screen(quiet=settings.quiet)
    if config:
        screen.guessed(about_weights(saved, given, config), "Weights")
    from .run import execute

    return Done(execute(settings, screen))


@app.command()
def info(
    json: Annotated[bool, typer.Option("--json", help="For bug reports and programs.")] = False,
) -> Done:
    """Show how this copy of localgd was built, and on what it runs."""
    from .info import show

    show(Screen(), as_json=json)
    return Done(0)


@app.command()
@_with_settings("label", "client", "task", "weights", *OF_FILE)
def reproduce(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Which experiments: E1 E2 …", show_default="all"),
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="Print the experiments and run none.")
    ] = False,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where to write it.")] = "report",
    quick: Annotated[
        bool, typer.Option("--quick", help="Less of each: 3 minutes at most.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="Your rows: .csv .npz .parquet .svm")
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Added to the seed of every data set.")
    ] = 0,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Threads.", show_default="as many as help")
    ] = None,
    **options: Any,
) -> Done:
    """Try the claims of the theory and its open questions, and write a report."""
    from .reproduce import Request, execute, show_list

    if show:
        return Done(show_list(Screen()))
    file = {name: value for name, value in options.items() if value is not None}
    request = Request(experiments or (), out, quick, data, file, seed, threads)
    return Done(execute(request, Screen()))
