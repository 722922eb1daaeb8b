"""Values to words and safe HTML fragments: the only place where leadml makes HTML.

Everything that is not a `markupsafe.Markup` made here is escaped, control characters and text-direction
marks are made visible, and templates fail on a name they do not know. Nothing here imports pandas; a frame
is anything with `columns` and `itertuples`.
"""

from __future__ import annotations

import importlib.resources
import math
import textwrap
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jinja2 import Environment
    from markupsafe import Markup

__all__ = [
    "clean_text",
    "format_change",
    "format_count",
    "format_money",
    "format_points",
    "format_range",
    "format_rate",
    "format_rate_range",
    "format_value",
    "render_card",
    "render_frame",
    "render_template",
    "text_block",
    "text_table",
]

MISSING = "–"
_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Soft hyphens and joiners belong to words of real languages; everything else hidden is shown.
_HARMLESS = frozenset("\n\t\N{SOFT HYPHEN}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")


class Frame(Protocol):
    """What `render_frame` needs of a table."""

    @property
    def columns(self) -> Iterable[object]:
        """Return the column names."""
        ...

    def itertuples(self, *, index: bool) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rows."""
        ...


# ---- words and numbers ---------------------------------------------------------------------------


def clean_text(text: str) -> str:
    """Replace characters that a reader cannot see by ``\N{REPLACEMENT CHARACTER}``.

    Control characters, lone surrogates and text-direction overrides can reorder or cut what stands around
    them, and some cannot be written as UTF-8 at all.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The text, of the same length.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        if char in _HARMLESS or unicodedata.category(char) not in _HIDDEN
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def _absent(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def format_count(value: float | None) -> str:
    """Format a number of leads: ``12,345``; a fraction keeps one decimal below ten."""
    if value is None or _absent(value):
        return MISSING
    rounded = round(value)
    if abs(value) < 10 and abs(value - rounded) > 0.05:
        return f"{value:.1f}".replace("-", _MINUS)
    return f"{rounded:,}".replace("-", _MINUS)


def format_rate(value: float | None) -> str:
    """Format a share of one as a percentage with the digits that a reader can use: ``4.8 %``, ``38 %``."""
    if value is None or _absent(value):
        return MISSING
    return f"{_percent(value, _decimals(value))}{_SPACE}%"


def format_rate_range(low: float | None, high: float | None) -> str:
    """Format two shares of one as a range: ``4.1–5.6 %``."""
    if low is None or high is None or _absent(low) or _absent(high):
        return MISSING
    decimals = max(_decimals(low) if low else 0, _decimals(high) if high != 1 else 0)
    return f"{_percent(low, decimals)}–{_percent(high, decimals)}{_SPACE}%"


def _decimals(rate: float) -> int:
    percent = abs(100 * rate)
    if percent == 0 or percent >= 9.95:
        return 0
    return 1 if percent >= 0.095 else 2


def _percent(rate: float, decimals: int) -> str:
    text = f"{100 * rate:.{decimals}f}"
    return text.replace("-", _MINUS) if float(text) else text.replace("-", "")


def format_points(value: float | None) -> str:
    """Format a difference of two shares in percentage points with its sign: ``+2.1 points``."""
    if value is None or _absent(value):
        return MISSING
    text = _percent(value, 1)
    sign = "+" if value > 0 and float(f"{100 * value:.1f}") else ""
    return f"{sign}{text}{_SPACE}points"


def format_change(value: float | None) -> str:
    """Format a number that is a change with its sign: ``+12``, ``\N{MINUS SIGN}3.4``, ``0``."""
    if value is None or _absent(value):
        return MISSING
    text = format_count(value)
    return f"+{text}" if value > 0 and text not in {"0", "0.0"} else text


def format_money(value: float | None, *, currency: str | None = None) -> str:
    """Format an amount with three significant digits: ``EUR 12,300``, ``EUR 1.23 million``."""
    if value is None or _absent(value):
        return MISSING
    size = abs(value)
    sign = _MINUS if value < 0 else ""
    if size >= 999_500:
        text = (
            f"{size / 1e6:,.3g}{_SPACE}million" if size < 999_500_000 else f"{size / 1e6:,.0f}{_SPACE}million"
        )
    elif size >= 100:
        digits = max(0, 3 - len(str(round(size))))
        text = f"{round(size, -max(0, len(str(round(size))) - 3)):,.{digits}f}"
    else:
        text = f"{size:.2f}".removesuffix(".00")
    if text in {"0", "0.00"}:
        sign, text = "", "0"
    return f"{sign}{currency}{_SPACE}{text}" if currency else f"{sign}{text}"


def format_range(low: str, high: str) -> str:
    """Join two formatted ends: ``1 to 3``."""
    return f"{low} to {high}"


def format_value(value: object) -> str:
    """Format one cell of a table by its type; a missing value is a dash."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return MISSING
    if isinstance(value, bool) or type(value).__name__ in {"bool_", "bool"}:
        return "yes" if value else "no"
    if isinstance(value, float) or type(value).__name__.startswith("float"):
        number = float(value)  # type: ignore[arg-type]
        text = f"{number:,.0f}" if 1000 <= abs(number) < math.inf else f"{number:.4g}"
        return MISSING if math.isnan(number) else text.replace("-", _MINUS)
    if isinstance(value, int) or type(value).__name__.startswith(("int", "uint")):
        return f"{int(value):,}".replace("-", _MINUS)  # type: ignore[call-overload]
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
        return text.removesuffix("T00:00:00")
    return clean_text(str(value))


# ---- HTML ----------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _environment(package: str) -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    roots = [importlib.resources.files(place) / "templates" for place in (package, "leadml")]

    def load(name: str) -> str | None:
        """Read a template of the package, else one that all pages share."""
        found = next((root / name for root in roots if (root / name).is_file()), None)
        return None if found is None else found.read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        count=format_count,
        change=format_change,
        money=format_money,
        points=format_points,
        rate=format_rate,
        value=format_value,
    )
    environment.globals.update(rate_range=format_rate_range, span=format_range)
    return environment


def _finalize(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return clean_text(value)
    return value


def render_template(package: str, name: str, **values: object) -> Markup:
    """Fill a template that stands in the `templates` folder of a package.

    Parameters
    ----------
    package : str
        Dotted name, for example ``leadml.review``.
    name : str
        File name of the template. What it includes may also stand in ``leadml/templates``, where the style
        sheet of all pages is.
    **values : object
        What the template names. Texts are escaped.

    Returns
    -------
    markupsafe.Markup
        The page or fragment.
    """
    from markupsafe import Markup

    # Everything the template prints went through autoescape.
    return Markup(_environment(package).get_template(name).render(values))  # noqa: S704


_TABLE_STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CELL_STYLE = "text-align:left;padding:.25em .6em;border-bottom:1px solid #8884"


def render_frame(frame: Frame, *, caption: str = "", max_rows: int = 60) -> Markup:
    """Render a table as a plain, escaped HTML table for a notebook.

    Parameters
    ----------
    frame : DataFrame
        Flat columns.
    caption : str, default ""
        Sentence above the table.
    max_rows : int, default 60
        Further rows are counted, not shown.

    Returns
    -------
    markupsafe.Markup
        A `table` element.
    """
    from markupsafe import Markup, escape

    cell = Markup('<td style="{}">{}</td>')
    head = Markup('<th scope="col" style="{}">{}</th>')
    columns = [str(column) for column in frame.columns]
    rows: list[Markup] = []
    hidden = 0
    for row in frame.itertuples(index=False):
        if len(rows) == max_rows:
            hidden += 1
            continue
        cells = Markup("").join(cell.format(_CELL_STYLE, format_value(value)) for value in row)
        rows.append(Markup("<tr>{}</tr>").format(cells))
    if hidden:
        note = Markup('<tr><td colspan="{}" style="{}">… {:,} more rows</td></tr>')
        rows.append(note.format(len(columns), _CELL_STYLE, hidden))
    title = (
        Markup('<caption style="text-align:left">{}</caption>').format(clean_text(caption)) if caption else ""
    )
    header = Markup("").join(head.format(_CELL_STYLE, clean_text(column)) for column in columns)
    return Markup('<table style="{}">{}<thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
        _TABLE_STYLE, title, header, escape(Markup("").join(rows))
    )


def render_card(title: str, parts: Iterable[Markup | str], *, notes: Iterable[str] = ()) -> Markup:
    """Render a result for a notebook: a headline, its fragments, its notes.

    Parameters
    ----------
    title : str
        The headline.
    parts : iterable of Markup or str
        Fragments; plain text is escaped and becomes a paragraph.
    notes : iterable of str
        Small print, one line each.

    Returns
    -------
    markupsafe.Markup
        A `div` element without scripts or ids.
    """
    from markupsafe import Markup

    body = Markup("").join(
        part if isinstance(part, Markup) else Markup("<p>{}</p>").format(clean_text(part)) for part in parts
    )
    small = Markup("").join(Markup("<li>{}</li>").format(clean_text(note)) for note in notes)
    small = Markup("<ul>{}</ul>").format(small) if small else small
    return Markup("<div><p><strong>{}</strong></p>{}{}</div>").format(clean_text(title), body, small)


# ---- plain text for a terminal -------------------------------------------------------------------


def text_block(text: str, *, indent: str = "", width: int = 100) -> str:
    """Wrap a paragraph to a width, each line after the first indented like the text after its bullet."""
    hang = indent + " " * (len(text) - len(text.lstrip("-• ")))
    return textwrap.fill(
        clean_text(" ".join(text.split(" "))),
        width=width,
        initial_indent=indent,
        subsequent_indent=hang,
        break_long_words=True,
        break_on_hyphens=False,
    )


def text_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    align: str = "",
    indent: str = "  ",
    width: int = 100,
) -> str:
    """Lay out a table in columns of equal width for a terminal.

    Parameters
    ----------
    header : sequence of str
        Column titles.
    rows : iterable of sequence of str
        Formatted cells.
    align : str, default ""
        One letter per column, ``l`` or ``r``; missing letters mean left.
    indent : str, default two spaces
        Put before each line.
    width : int, default 100
        The widest columns are cut with ``…`` if a line would be longer.

    Returns
    -------
    str
        Lines without trailing spaces.
    """
    table = [[_one_line(cell) for cell in row] for row in (header, *rows)]
    sizes = [max(len(row[column]) for row in table) for column in range(len(header))]
    surplus = len(indent) + sum(sizes) + 2 * (len(sizes) - 1) - width
    while surplus > 0 and max(sizes) > 4:
        sizes[sizes.index(max(sizes))] -= 1
        surplus -= 1
    letters = align.ljust(len(header), "l")
    lines = []
    for row in table:
        cells = [
            _cut(cell, size).rjust(size) if letter == "r" else _cut(cell, size).ljust(size)
            for cell, size, letter in zip(row, sizes, letters, strict=True)
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    lines.insert(1, (indent + "  ".join("─" * size for size in sizes)).rstrip())
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return clean_text(" ".join(text.replace(_SPACE, " ").split()))


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"
