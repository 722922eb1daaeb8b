"""Every command that takes a definition says when its review is overdue."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from leadml.definitions import Definition

__all__ = ["DefinitionCommand"]

_DEFINITIONS = ("definition", "old", "new", "previous", "before", "after")
_SAYS_IT_ITSELF = frozenset({"lint"})


class DefinitionCommand(TyperCommand):
    """A command that warns, on standard error, of each definition among its arguments that is overdue."""

    def invoke(self, ctx: Any) -> Any:
        """Warn, then run the command."""
        if ctx.info_name not in _SAYS_IT_ITSELF:
            for definition in _definitions(ctx.params):
                _warn(definition, today=_today(ctx.params))
        return super().invoke(ctx)


def _warn(definition: Definition, *, today: date) -> None:
    due = definition.review_by
    if due is not None and due < today:
        days = (today - due).days
        print(
            f"warning: {definition.source}: the review of {definition.name} {definition.version} was due on "
            f"{due}, {days} {'day' if days == 1 else 'days'} ago. Run `leadml run` and hold it.",
            file=sys.stderr,
        )


def _definitions(params: Mapping[str, Any]) -> Iterator[Definition]:
    """Yield the definitions that a command was given; what cannot be read is the command's to refuse."""
    from leadml.definitions import load_definition
    from leadml.errors import LeadmlError

    places = {params[name] for name in _DEFINITIONS if isinstance(params.get(name), Path)}
    try:
        if isinstance(params.get("experiment"), Path):
            from leadml.experiment import load_experiment

            places.add(load_experiment(params["experiment"]).definition)
        if isinstance(params.get("history"), Path):
            places |= set(_in_force(params["history"]))
        if isinstance(params.get("definitions"), Path):
            from leadml.review import find_history

            places |= set(_in_force(find_history(params["name"], folder=params["definitions"])))
        for place in sorted(places):
            yield load_definition(place)
    except LeadmlError:
        return


def _in_force(history: Path) -> Iterator[Path]:
    from leadml.review import list_versions

    for version in list_versions(history):
        if version.in_force and version.file is not None:
            yield version.file


def _today(params: Mapping[str, Any]) -> date:
    from leadml.cli._output import as_day

    return as_day(params.get("as_of")) or datetime.now().astimezone().date()
