"""The commands, which are loaded when they are called, and what becomes of errors."""

from __future__ import annotations

import re
from collections.abc import Sequence

import cyclopts
from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from .. import __version__
from ..errors import MissingExtraError
from .methods import SHELL_METHODS
from .screen import Screen, one_line

__all__ = ["app", "call"]

OF_DATA = ("path", "X, y", "y", "labels", "problem")
NAMES = {**dict.fromkeys(OF_DATA, "data"), "n_clients": "clients"}
RENAMED = {"--no-normalize": "--scale none", "--normalize": "--scale max_norm"}
HELP_OF_RUN = "\n".join(
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

app = App(
    name="localgd",
    help="Local-update training (Local-GD, FedAvg) of linear models at long horizons.",
    help_format="plaintext",
    version=f"localgd {__version__}",
    default_parameter=Parameter(allow_repeating=True, negative_iterable=()),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
app.command("localgd.cli.commands:run", name="run", help=HELP_OF_RUN)
app.command(
    "localgd.cli.commands:reproduce",
    name="reproduce",
    help="Try the claims of the theory and its open questions, and write a report.",
)
app.command(
    "localgd.cli.commands:sweep",
    name="sweep",
    help="Run every combination of the settings in a TOML file, a study.",
)
app.command(
    "localgd.cli.commands:status",
    name="status",
    help="Say how far a study is, and whether its data are as they were.",
)
app.command(
    "localgd.cli.commands:rerun",
    name="rerun",
    help="Run a study again and say which runs have the same bits.",
)
app.command(
    "localgd.cli.info:info",
    name="info",
    help="Show how this copy of localgd was built, and on what it runs.",
)


def call(arguments: Sequence[str] | None) -> int:
    """Run the command of these words; the exit code."""
    try:
        return app(arguments) or 0
    except BrokenPipeError:  # the reader has closed the pipe
        return 0
    except CycloptsError as error:
        Screen().error(_of_options(error))
    except USER_ERRORS as error:
        Screen().error(_text(error))
    return 2


def _of_options(error: CycloptsError) -> str:
    """What is wrong with the options, by their checks or by their names."""
    if isinstance(error, cyclopts.ValidationError):
        from pydantic import ValidationError

        from .settings import refusal

        assert isinstance(error.__cause__, ValidationError), "no other check is made"
        return refusal(error.__cause__)
    for old, new in RENAMED.items():
        if re.search(rf"{old}\b", one_line(error)):
            return f"{old}: it is {new} now, and FedNova's average is --fednova"
    command = " ".join(["localgd", *(error.command_chain or ())])
    if isinstance(error, UnusedCliTokensError) and command.endswith(" run"):
        first = (error.unused_tokens or [""])[0]
        return f"got {first!r} without an option; want --data {first} if it is a file of rows"
    return f"{one_line(error)} (see {command} --help)"


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return one_line(error)
    from .settings import in_options

    # Functions of localgd speak of their arguments; the user gave settings.
    name, colon, rest = one_line(error).partition(": ")
    return in_options(NAMES.get(name, name) + colon + rest) or type(error).__name__
