"""A definition in a terminal and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadml.definitions._page import make_page

if TYPE_CHECKING:
    from leadml.definitions._definition import Definition

__all__ = ["describe_definition", "render_definition"]


def describe_definition(definition: Definition) -> str:
    """Say a definition in at most ten lines."""
    page = make_page(definition)
    lines = [f"{definition.name} {definition.version}: {definition.meaning}".rstrip(": ")]
    for part in page.classes[:7]:
        tests = [line.words for line in part.lines if not line.head]
        rule = "; ".join(tests[:3]) + (f"; and {len(tests) - 3} more" if len(tests) > 3 else "")
        goes = " → Sales" if part.handed_over else ""
        lines.append(f"  {part.name}{goes}: {rule}")
    if len(page.classes) > 7:
        lines.append(f"  … and {len(page.classes) - 7} more classes")
    lines.append(
        f"  {len(definition.attributes)} attributes, review by {definition.review_by or 'no day set'}"
    )
    return "\n".join(lines)


def render_definition(definition: Definition) -> str:
    """Render a definition as a card."""
    from markupsafe import Markup

    from leadml._render import clean_text, render_card

    page = make_page(definition)
    parts: list[Markup | str] = [page.meaning] if page.meaning else []
    for part in page.classes:
        goes = Markup(" <em>goes to Sales</em>") if part.handed_over else Markup("")
        lines = Markup("").join(
            Markup('<li style="margin-left:{}em">{}</li>').format(line.depth, clean_text(line.words))
            for line in part.lines
        )
        card = Markup("<div><strong>{}</strong>{} <span>{}</span><ul>{}</ul></div>")
        parts.append(card.format(clean_text(part.name), goes, clean_text(part.meaning), lines))
    notes = [f"{key}: {value}" for key, value in page.head]
    return str(render_card(f"{definition.name} {definition.version}", parts, notes=notes))
