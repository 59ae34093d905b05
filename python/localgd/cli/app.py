"""The commands as typer sees them, and what becomes of errors."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import MissingExtraError
from .screen import Screen
from .settings import Settings, read_config

__all__ = ["app", "call"]

# Errors that tell the user what to change; any other is a fault of localgd and keeps its traceback.
USER_ERRORS = (ValueError, OSError, MissingExtraError, MemoryError)

app = typer.Typer(
    name="localgd",
    help="Local-update training (Local-GD, FedAvg) of linear models at long horizons.",
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
)


def call(arguments: Sequence[str] | None) -> int:
    """Run the command of these words; the exit code."""
    try:
        return app(args=None if arguments is None else [*arguments], standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        Screen().error("interrupted")
        return 130
    except USER_ERRORS as error:
        Screen().error(_one_line(error))
        return 2
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own: options that do not exist, …
            raise
        Screen().error(f"{_one_line(error)} (see localgd --help)")
        return 2


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return " ".join(text.split()) or type(error).__name__


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


def _with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option per field of Settings; those not used arrive as None."""
    parameters = [inspect.signature(command, eval_str=True).parameters["config"]]
    for field in dataclasses.fields(Settings):
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


def _kind(field: dataclasses.Field[Any]) -> Any:
    """Numbers arrive as text too: Settings reads them, with one kind of message for all."""
    return (bool if isinstance(field.default, bool) else str) | None


def _option(field: dataclasses.Field[Any]) -> Any:
    data = field.metadata
    name = "--" + field.name.replace("_", "-")
    names = [name]
    if field.default is True:
        names = [f"{name}/--no-{field.name.replace('_', '-')}"]
    shown = data.get("shown")
    if shown is None and not isinstance(field.default, bool) and field.default is not None:
        shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
    return typer.Option(
        *names,
        *([data["short"]] if "short" in data else []),
        help=data["help"] + (f" Default {shown}." if shown else ""),
        metavar=data["metavar"],
        show_default=False,
        rich_help_panel=data["panel"],
    )


@app.command()
@_with_settings
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
) -> int:
    """Run Local-GD and compare it with the max-margin model and with pooled training.

    Without options: MNIST digits 0 against 1 on 10 clients, 100 local steps, 10,000 rounds.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = Settings.from_values({**(read_config(config) if config else {}), **given})
    from .run import execute

    return execute(settings, Screen(quiet=settings.quiet))


@app.command()
def info(
    json: Annotated[bool, typer.Option("--json", help="For bug reports and programs.")] = False,
) -> int:
    """Show how this copy of localgd was built, and on what it runs."""
    from .info import show

    show(Screen(), as_json=json)
    return 0
