"""The one page that the team pins to the wall, as HTML or Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from leadml._yaml import suggest
from leadml.definitions._diff import diff_definitions
from leadml.definitions._page import make_page
from leadml.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leadml.definitions._definition import Definition
    from leadml.definitions._page import FieldPart, Page

__all__ = ["document_definition"]

Format = Literal["html", "markdown"]
_FORMATS: tuple[str, ...] = ("html", "markdown")


def document_definition(
    definition: Definition,
    *,
    previous: Definition | None = None,
    format: Format = "html",  # noqa: A002
) -> str:
    """Write the page that says a definition in plain words.

    Parameters
    ----------
    definition : Definition
        As loaded.
    previous : Definition, optional
        The version before; then the page says what changed.
    format : {"html", "markdown"}
        A self-contained page without scripts or outside requests, or Markdown.

    Returns
    -------
    str
        Classes in plain words with thresholds and units, who owns it, when it is reviewed, what changed, and
        which questions a form must ask so that each criterion can be evaluated.
    """
    changes: tuple[str, ...] = ()
    if previous is not None:
        diff = diff_definitions(previous, definition)
        moved = [item.words for item in diff.classes if item.effect != "same"]
        changes = (*(entry.words for entry in diff.entries), *moved)
    before = f"{previous.name} {previous.version}" if previous is not None else ""
    page = make_page(definition, changes=changes, previous=before)
    if format not in _FORMATS:
        known = ", ".join(_FORMATS)
        hint = suggest(str(format), _FORMATS)
        raise DefinitionError(f"format: expected one of {known}; got {format!r}.{hint}")
    if format == "markdown":
        return "\n".join(_markdown(page)) + "\n"
    from leadml._render import render_template

    return str(render_template("leadml.definitions", "document.html", page=page))


# -- Markdown ----------------------------------------------------------------------------------------------


def _escape(text: str) -> str:
    """Make a text safe in a line or a table cell of Markdown."""
    from leadml._render import clean_text

    plain = " ".join(clean_text(text).split())
    return re.sub(r"([\\`*_{}\[\]<>#|~!$])", r"\\\1", plain)


def _code(text: str) -> str:
    plain = " ".join(text.split()).replace("|", "\\|")
    fence = "``" if "`" in plain else "`"
    pad = " " if fence == "``" else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _markdown(page: Page) -> Iterator[str]:
    yield f"# {_escape(page.name)}, version {_escape(page.version)}"
    yield ""
    if page.meaning:
        yield _escape(page.meaning)
        yield ""
    yield from (f"- {_escape(key)}: {_escape(value)}" for key, value in page.head)
    for part in page.classes:
        goes = " (goes to Sales)" if part.handed_over else ""
        yield from ("", f"## {_escape(part.name)}{goes}", "")
        if part.meaning:
            yield from (_escape(part.meaning), "")
        for line in part.lines:
            written = f" ({_code(line.written)})" if line.written else ""
            yield f"{'  ' * line.depth}- {_escape(line.words)}{written}"
    for name, rules in page.scores:
        yield from ("", f"## Points: {_escape(name)}", "", "| for | points |", "| --- | ---: |")
        yield from (f"| {_escape(words)} | {_escape(points)} |" for words, points in rules)
    yield from _fields("Questions that a form must ask", page.asked)
    yield from _fields("What must be known without asking", page.collected)
    if page.prices:
        yield from ("", "## Price list", "", "| what | worth |", "| --- | ---: |")
        yield from (f"| {_escape(words)} | {_escape(price)} |" for words, price in page.prices)
    if page.previous:
        yield from ("", f"## What changed since {_escape(page.previous)}", "")
        yield from (f"- {_escape(words)}" for words in page.changes or ("Nothing.",))
    yield from ("", f"Definition file sha256 {page.sha256}")


def _fields(title: str, parts: Sequence[FieldPart]) -> Iterator[str]:
    if not parts:
        return
    yield from ("", f"## {title}", "")
    yield "| attribute | question | answer | known | needed for |"
    yield "| --- | --- | --- | --- | --- |"
    for part in parts:
        cells = (part.name, part.question or "–", part.answer, part.known, part.needed_for)
        yield f"| {' | '.join(map(_escape, cells))} |"
