"""The command tree."""

from __future__ import annotations

from typing import Annotated

import typer

from leadml import __version__
from leadml.cli import _definitions, _explain, _explore, _leads, _learn, _rate, _review, _run, _score
from leadml.cli._overdue import DefinitionCommand

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 done · 1 done, and something was found · 3 done, some rows in quarantine · "
        "4 too many in quarantine · 64 usage · 65 input refused · 66 input missing · 70 internal error · "
        "73 cannot write · 75 locked, retry · 78 model bundle refused."
    ),
)


def _show_version(value: bool) -> None:
    if value:
        print(f"leadml {__version__}")
        raise typer.Exit


@app.callback()
def _leadml(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and stop.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Settle with data what a lead is: hold the written definition against what Sales accepted and won."""


for _commands in (_run, _definitions, _leads, _learn, _explore, _review, _score, _explain, _rate):
    _commands.add_commands(app)


def _warn_everywhere(tree: typer.Typer) -> None:
    for command in tree.registered_commands:
        command.cls = DefinitionCommand
    for group in tree.registered_groups:
        if group.typer_instance is not None:
            _warn_everywhere(group.typer_instance)


_warn_everywhere(app)
