"""A strict CSV reader that loses exactly the damaged rows.

A record begins at a physical line. What does not fit the declared dialect is rejected with its line and the
reader goes on at the next physical line, so one open quote cannot swallow the rows below it. Quoting follows
RFC 4180: a quote opens a field only at its beginning, closes it only before a delimiter or the line's end,
and is doubled inside.

DuckDB with a declared dialect, ``strict_mode`` and ``store_rejects`` was tried first: what it and pandas make
of damaged rows is measured by ``experiments/benchmarks/damaged_csv.py`` (table in ``experiments/README.md``).
"""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from leadml.leads._texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["CsvBlock", "CsvReader", "Reject", "mask"]

BLOCK_BYTES = 1 << 20
MAX_RECORD_LINES = 2_000
MAX_RECORD_CHARS = 1 << 20
_SHAPE_SAMPLE = 200
_MAX_SHAPES = 500
_SINGLE_BYTE = frozenset(
    {
        "cp1252",
        "cp1250",
        "cp1251",
        "cp437",
        "cp850",
        "iso8859-1",
        "iso8859-2",
        "iso8859-15",
        "mac-roman",
        "latin_1",
    }
)
_WIDE = ("utf-16", "utf-32", "utf_16", "utf_32", "utf16", "utf32")


class Reject(NamedTuple):
    """A row that broke a rule: where, which rule, and its shape (never its content)."""

    line: int
    column: str | None
    rule: str
    shape: str


def mask(text: str, *, limit: int = 40) -> str:
    """Return the shape of a value: letters become ``a``, digits ``9``; nothing of it can be read.

    Examples
    --------
    >>> mask("Ann.Lee@corp.com")
    'aaa.aaa@aaaa.aaa'
    """
    shown = "".join(
        "9"
        if char.isdigit()
        else "a"
        if char.isalpha()
        else char
        if char.isascii() and char.isprintable()
        else "?"
        for char in text[:limit]
    )
    return shown + ("…" if len(text) > limit else "")


@dataclass(slots=True)
class CsvBlock:
    """Some records: the texts of each wanted column, and the line where each record begins."""

    columns: list[Any]
    lines: list[int]
    rejects: list[Reject] = field(default_factory=list)


class ReaderState(NamedTuple):
    """Where a reader stands between two blocks: next line, bytes read ahead of it, and what it has learnt."""

    line: int
    n_waiting: int
    shapes: frozenset[str]


class _Line(NamedTuple):
    number: int
    text: str | None  # None: these bytes are not text in the declared encoding
    shape: str = ""


class CsvReader:
    """Read the records of one CSV stream.

    Parameters
    ----------
    stream : binary file
        Read once, in blocks; memory does not depend on its length.
    delimiter, quote, encoding : str
        The declared dialect.

    Attributes
    ----------
    header : tuple of str
        The column names as written, without surrounding spaces.
    blank_lines : int
        Empty lines at the end of the file (known when all blocks were read).
    ends_with_newline : bool
        Whether the last line is terminated.
    """

    def __init__(self, stream: BinaryIO, *, delimiter: str, quote: str, encoding: str) -> None:
        self._lines = _LineSource(stream, encoding)
        self._delimiter = delimiter
        self._quote = quote
        self._grammar = _Grammar(delimiter, quote) if quote else None
        self.blank_lines = 0
        self._pending_blank = 0
        self._fragment: tuple[int, str] | None = None  # a line of one field that was rejected just now
        self._header_texts: list[str] = []
        self.header: tuple[str, ...] = self._read_header(encoding)
        self._header_texts = list(self.header)
        self._shapes: set[str] = set()

    @property
    def ends_with_newline(self) -> bool:
        """Whether the last line read was terminated."""
        return self._lines.ends_with_newline

    def state(self) -> ReaderState | None:
        """Return where reading could begin anew after the last block; None if something is left over."""
        if self._lines.has_pushed or self._is_waiting():
            return None
        return ReaderState(self._lines.number, self._lines.n_carried, frozenset(self._shapes))

    def resume(self, shapes: frozenset[str]) -> None:
        """Begin with what another reader had learnt when it came to this place."""
        self._shapes |= shapes

    def _read_header(self, encoding: str) -> tuple[str, ...]:
        first = self._lines.next()
        if first is None:
            raise ValueError("the file is empty; expected a header line.")
        if first.text is None:
            raise ValueError(f"line 1: the header is not {encoding}. Declare the file's own `encoding`.")
        fields, rule = self._record(first)
        if rule is not None or fields is None:
            raise ValueError(f"line 1: the header is damaged ({rule}).")
        names = tuple(name.strip() for name in fields)
        if not any(names):
            raise ValueError("line 1: the header is empty.")
        return names

    def blocks(self, wanted: list[int]) -> Iterator[CsvBlock]:
        """Yield the records in blocks, keeping only the columns at the positions `wanted`."""
        while True:
            batch = self._lines.batch()
            if batch is None:
                break
            fast = self._fast(batch, wanted)
            yield fast if fast is not None else self._slow(batch, wanted)
        self.blank_lines = self._pending_blank
        self._pending_blank = 0

    def _fast(self, batch: _Batch, wanted: list[int]) -> CsvBlock | None:
        """Read a batch of whole, undamaged lines at once; None if one line may not be that."""
        text, width = batch.text, len(self._header_texts)
        if text is None or width == 1 or self._is_waiting() or _odd(text):
            return None
        if not (self._delimiter + self._quote).isascii():
            return None
        if "\r" in text:
            text = text.replace("\r\n", "\n").removesuffix("\r")
            if "\r" in text:
                return None
        if "\n\n" in text or text[:1] in {"", "\n"} or text.endswith("\n"):
            return None
        data = text.encode()
        quoted = bool(self._quote) and self._quote in text
        if quoted and not _well_quoted(data, self._delimiter, self._quote):
            return None
        columns = _split(data, self._delimiter, self._quote if quoted else "", width, [0, *wanted])
        if columns is None or len(columns[0]) != batch.n_lines or self._repeats_header(columns[0]):
            return None
        self._remember_shapes(columns[0].slice(0, _SHAPE_SAMPLE).to_pylist())
        lines = list(range(batch.start, batch.start + batch.n_lines))
        return CsvBlock([Texts(column) for column in columns[1:]], lines)

    def _is_waiting(self) -> bool:
        """Say whether what was read last decides about what comes next."""
        return bool(self._pending_blank or self._fragment)

    def _repeats_header(self, firsts: Any) -> bool:
        """Say whether a row may be the header again."""
        import pyarrow.compute as pc

        return bool(pc.any(pc.equal(pc.ascii_trim(firsts, " "), self._header_texts[0])).as_py())

    def _is_header(self, fields: list[str]) -> bool:
        return [name.strip("\ufeff ") for name in fields] == self._header_texts

    def _opens_like_header(self, text: str) -> bool:
        fields = self._grammar.fields(text[1:].rstrip("\r")) if self._grammar is not None else None
        return self._is_header(fields or text[1:].rstrip("\r").split(self._delimiter))

    def _remember_shapes(self, firsts: list[str]) -> None:
        """Remember what the first field of a row looks like: it tells rows from lines of a text."""
        if len(self._shapes) < _MAX_SHAPES:
            self._shapes.update(mask(first) for first in firsts)

    def _slow(self, batch: _Batch, wanted: list[int]) -> CsvBlock:
        """Read a batch line by line."""
        block = CsvBlock([[] for _ in wanted], [])
        self._lines.push(batch.lines())
        stop = batch.start + batch.n_lines
        while (line := self._lines.next(before=stop)) is not None:
            if line.text is not None and not line.text.strip("\r\x1a"):
                self._pending_blank += 1
                continue
            if self._pending_blank:
                first = line.number - self._pending_blank
                block.rejects.extend(
                    Reject(number, None, "blank_line", "") for number in range(first, line.number)
                )
                self._pending_blank = 0
            fields, rule = self._record(line)
            if fields is not None and rule is None:
                rule = self._count_rule(fields) or self._fragment_rule(line, fields)
            short = rule == "field_count" and fields is not None and len(fields) == 1
            self._fragment = (line.number, fields[0]) if short and fields is not None else None
            if rule is not None or fields is None:
                shape = line.shape if line.text is None else mask(line.text)
                block.rejects.append(Reject(line.number, None, rule or "field_count", shape))
                continue
            self._remember_shapes([fields[0]])
            block.lines.append(line.number)
            for values, position in zip(block.columns, wanted, strict=True):
                values.append(fields[position])
        return block

    def _count_rule(self, fields: list[str]) -> str | None:
        if len(fields) != len(self._header_texts):
            return "field_count"
        if self._is_header(fields):
            return "repeated_header"
        return None

    def _fragment_rule(self, line: _Line, fields: list[str]) -> str | None:
        """Reject a row that lost the beginning of its first field to the line above.

        It is whole without it, but only with it does its first field look like those of other rows.
        """
        if self._fragment is None or self._fragment[0] != line.number - 1:
            return None
        mine, whole = mask(fields[0]), mask(self._fragment[1] + fields[0])
        return "line_break" if mine not in self._shapes and whole in self._shapes else None

    def _record(self, line: _Line) -> tuple[list[str] | None, str | None]:
        """Read the record that begins at `line`: its fields, or the rule it breaks."""
        text = line.text
        if text is None:
            return None, "encoding"
        if "\0" in text:
            return None, "nul"
        if text.startswith("\ufeff") and self._header_texts:
            return None, "repeated_header" if self._opens_like_header(text) else "byte_order_mark"
        text = text.removesuffix("\r")
        if self._grammar is None or self._quote not in text:
            return (None, "line_break") if "\r" in text else (text.split(self._delimiter), None)
        state = self._grammar.state(text)
        if state == "open":
            return self._continue(line)
        if state == "bad":
            return None, "quote"
        return self._grammar.fields(text), None

    def _continue(self, first: _Line) -> tuple[list[str] | None, str | None]:
        """Follow a quoted field over line ends; put the lines back if it does not end well."""
        if self._grammar is None or first.text is None:  # pragma: no cover - only called with both
            return None, "quote"
        taken: list[_Line] = []
        parts = [first.text]
        length = len(first.text)
        state = "open"
        while state == "open":
            line = self._lines.next()
            if line is not None:
                taken.append(line)
            if line is None or line.text is None or "\0" in line.text:
                break
            length += len(line.text)
            if len(taken) > MAX_RECORD_LINES or length > MAX_RECORD_CHARS:
                break
            parts.append(line.text)
            state = self._grammar.tail_state(line.text.removesuffix("\r"))
        if state == "complete":
            fields = self._grammar.fields("\n".join(parts).removesuffix("\r"))
            if (
                fields is not None
                and len(fields) == (len(self._header_texts) or len(fields))
                and not self._looks_swallowed(parts)
            ):
                return fields, None
        self._lines.push(taken)
        return None, "quote"

    def _looks_swallowed(self, parts: list[str]) -> bool:
        """Say whether a multi-line record holds lines that are rows themselves.

        Then it is no text with line breaks but rows between two damaged quotes.
        """
        firsts = [mask(part.partition(self._delimiter)[0].strip(self._quote)) for part in parts]
        shapes = self._shapes | {firsts[0]}
        rows = [
            part.count(self._delimiter) == len(self._header_texts) - 1 and first in shapes
            for part, first in zip(parts, firsts, strict=True)
        ]
        return any(rows[1:-1]) or (rows[0] and rows[-1])


class _Grammar:
    """The strict grammar of one dialect as regular expressions without backtracking."""

    def __init__(self, delimiter: str, quote: str) -> None:
        d, q = re.escape(delimiter), re.escape(quote)
        inside = rf"(?:[^{q}]++|{q}{q})*+"
        whole = rf"(?:{q}{inside}{q}|[^{q}{d}\r\n]*+)"
        self._complete = re.compile(rf"{whole}(?:{d}{whole})*+", re.DOTALL)
        self._open = re.compile(rf"(?:{whole}{d})*+{q}{inside}", re.DOTALL)
        self._tail = re.compile(rf"{inside}{q}", re.DOTALL)
        self._field = re.compile(rf"(?:{q}({inside}){q}|([^{q}{d}\r\n]*+)){d}", re.DOTALL)
        self._delimiter, self._quote = delimiter, quote

    def state(self, text: str) -> str:
        if self._complete.fullmatch(text):
            return "complete"
        return "open" if self._open.fullmatch(text) else "bad"

    def tail_state(self, text: str) -> str:
        """Return the state after a line that begins inside a quoted field."""
        match = self._tail.match(text)
        if match is None:
            return "open"
        if match.end() == len(text):
            return "complete"
        if text[match.end()] != self._delimiter:
            return "bad"
        return self.state(text[match.end() + 1 :])

    def fields(self, text: str) -> list[str] | None:
        if len(text) > csv.field_size_limit():
            return self._long_fields(text)
        lines = text.split("\n")
        whole = [line + "\n" for line in lines[:-1]] + [lines[-1]]
        try:
            rows = list(
                csv.reader(
                    whole, delimiter=self._delimiter, quotechar=self._quote, doublequote=True, strict=True
                )
            )
        except csv.Error:
            return None
        return rows[0] if len(rows) == 1 else None

    def _long_fields(self, text: str) -> list[str] | None:
        """Return the fields of a record that the csv module would refuse for its length alone."""
        if not self._complete.fullmatch(text):
            return None
        doubled = self._quote * 2
        return [
            bare if quoted is None else quoted.replace(doubled, self._quote)
            for quoted, bare in (each.groups() for each in self._field.finditer(text + self._delimiter))
        ]


class _Batch(NamedTuple):
    start: int
    text: str | None
    raw: tuple[_Line, ...]
    n_lines: int

    def lines(self) -> list[_Line]:
        if self.text is None:
            return list(self.raw)
        return [_Line(self.start + offset, line) for offset, line in enumerate(self.text.split("\n"))]


def _well_quoted(data: bytes, delimiter: str, quote: str) -> bool:
    """Say whether each line is whole and every quote stands where `_Grammar` allows one."""
    chars = np.frombuffer(b"\n" + data + b"\n", dtype=np.uint8)
    quotes = np.flatnonzero(chars == ord(quote))
    ends = np.flatnonzero(chars == ord("\n"))
    if len(quotes) % 2 or (np.searchsorted(quotes, ends) % 2).any():
        return False
    border = np.zeros(256, dtype=bool)
    border[[ord(quote), ord(delimiter), ord("\n")]] = True  # a quote beside a quote is a doubled one
    return bool(border[chars[quotes[::2] - 1]].all() and border[chars[quotes[1::2] + 1]].all())


def _split(data: bytes, delimiter: str, quote: str, width: int, wanted: list[int]) -> list[Any] | None:
    """Split lines into the wanted fields, as Arrow arrays; None if a line has fewer or more fields."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [str(place) for place in range(width)]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(
                column_names=names, use_threads=False, block_size=len(data) + 1
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter,
                quote_char=quote or False,
                double_quote=bool(quote),
                ignore_empty_lines=False,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()),
                include_columns=list(dict.fromkeys(str(place) for place in wanted)),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    return [table.column(str(place)).combine_chunks() for place in wanted]


def _odd(text: str) -> bool:
    """Say whether a text holds what no undamaged line holds."""
    return "\0" in text or "\ufeff" in text


def _decoded(number: int, raw: bytes, encoding: str, *, single: bool) -> _Line:
    """Decode one line; UTF-8 in a file of a one-byte encoding is damage, though every byte is a letter."""
    try:
        if not single or raw.isascii() or not _is_utf8(raw):
            return _Line(number, raw.decode(encoding))
    except UnicodeDecodeError:
        pass
    return _Line(number, None, mask(raw.decode("ascii", "replace")))


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _LineSource:
    """Physical lines of a byte stream with their numbers, in batches, with push-back."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._wide = encoding.lower().replace(" ", "").startswith(_WIDE)
        self._decoder = codecs.getincrementaldecoder(encoding)() if self._wide else None
        self._carry: bytes = b""
        self._text_carry = ""
        self._number = 1
        self._pushed: list[_Line] = []  # a stack: the next line is last
        self._first = True
        self._done = False
        self._mac = False
        self.ends_with_newline = True

    @property
    def number(self) -> int:
        """Number of the next line."""
        return self._number

    @property
    def has_pushed(self) -> bool:
        """Whether lines were put back."""
        return bool(self._pushed)

    @property
    def n_carried(self) -> int:
        """Bytes that were read but not yet given out."""
        return len(self._carry)

    def push(self, lines: list[_Line]) -> None:
        """Put lines back in front."""
        self._pushed.extend(reversed(lines))

    def next(self, *, before: int | None = None) -> _Line | None:
        """Return the next line (None at the end, or if it is not `before` that line)."""
        if not self._pushed:
            if before is not None and self._number >= before:
                return None
            batch = self._read_batch()
            if batch is None:
                return None
            self.push(batch.lines())
        if before is not None and self._pushed[-1].number >= before:
            return None
        return self._pushed.pop()

    def batch(self) -> _Batch | None:
        """Return the next lines together (None at the end)."""
        if not self._pushed:
            return self._read_batch()
        lines = tuple(reversed(self._pushed))
        self._pushed.clear()
        if all(line.text is not None for line in lines):
            text = "\n".join(line.text or "" for line in lines)
            return _Batch(lines[0].number, text, (), len(lines))
        return _Batch(lines[0].number, None, lines, len(lines))

    def _read_batch(self) -> _Batch | None:
        if self._wide:
            return self._read_wide()
        while not self._done:
            chunk = self._stream.read(BLOCK_BYTES)
            if self._first and chunk:
                chunk = self._begin(chunk)
            if self._mac:
                chunk = chunk.replace(b"\r", b"\n")
            if not chunk:
                self._done = True
                break
            data = self._carry + chunk
            cut = data.rfind(b"\n")
            if cut < 0:
                self._carry = data
                continue
            self._carry = data[cut + 1 :]
            return self._decode(data[:cut])
        if self._carry:
            data, self._carry = self._carry, b""
            self.ends_with_newline = False
            return self._decode(data)
        return None

    def _begin(self, chunk: bytes) -> bytes:
        self._first = False
        for mark, name in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
            if chunk.startswith(mark):
                raise ValueError(f"the file begins as {name}, the contract says {self._encoding}.")
        if chunk.startswith(codecs.BOM_UTF8):
            if "utf" not in self._encoding.lower():
                raise ValueError(f"the file begins as utf-8, the contract says {self._encoding}.")
            chunk = chunk[3:]
        if b"\n" not in chunk and b"\r" in chunk:
            self._mac = True
        return chunk

    def _decode(self, data: bytes) -> _Batch:
        start = self._number
        count = data.count(b"\n") + 1
        self._number += count
        encoding = "utf-8" if self._encoding.lower().replace("_", "-") == "utf-8-sig" else self._encoding
        single = codecs.lookup(encoding).name in _SINGLE_BYTE
        if not single or data.isascii():
            try:
                return _Batch(start, data.decode(encoding), (), count)
            except UnicodeDecodeError:
                pass
        lines = tuple(
            _decoded(start + offset, raw, encoding, single=single)
            for offset, raw in enumerate(data.split(b"\n"))
        )
        if all(line.text is not None for line in lines):
            return _Batch(start, "\n".join(line.text or "" for line in lines), (), count)
        return _Batch(start, None, lines, count)

    def _read_wide(self) -> _Batch | None:
        decoder = self._decoder
        while decoder is not None and not self._done:
            chunk = self._stream.read(BLOCK_BYTES)
            self._done = not chunk
            try:
                text = decoder.decode(chunk, final=self._done)
            except UnicodeDecodeError as error:
                raise ValueError(f"the file is not {self._encoding}.") from error
            if self._first and text:
                text = text.removeprefix("\ufeff")
                self._first = False
            text = self._text_carry + text
            cut = text.rfind("\n")
            if cut >= 0:
                self._text_carry = text[cut + 1 :]
                return self._number_text(text[:cut])
            self._text_carry = text
        if self._text_carry:
            text, self._text_carry = self._text_carry, ""
            self.ends_with_newline = False
            return self._number_text(text)
        return None

    def _number_text(self, text: str) -> _Batch:
        start = self._number
        count = text.count("\n") + 1
        self._number += count
        return _Batch(start, text, (), count)
