"""Hand-written YAML as text with positions.

Every scalar stays the text that its author wrote (YAML's ``NO``, ``012``, ``1:30`` and ``1e3`` mean
nothing here); the schema above decides types. Anchors, aliases, tags, merge keys, duplicate keys and
several documents are refused, and so are invisible characters. Nothing is built recursively, so depth
cannot exhaust the stack.
"""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leadml._files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from leadml.errors import LeadmlError

__all__ = [
    "MappingNode",
    "Node",
    "Problems",
    "ScalarNode",
    "SequenceNode",
    "parse_yaml",
    "read_yaml",
    "suggest",
]

MAX_BYTES = 131_072
MAX_DEPTH = 24
MAX_SCALAR = 4_000
_INVISIBLE = frozenset({"Cf", "Cc", "Cs", "Co", "Zl", "Zp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarNode:
    """A scalar: its text, where it stands (1-based line and column) and the span of its source."""

    text: str
    line: int
    column: int
    start: int
    end: int
    quoted: bool

    @property
    def kind(self) -> str:
        """Name this node in a message."""
        return "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceNode:
    """A list of nodes."""

    items: tuple[Node, ...]
    line: int
    column: int
    start: int
    end: int

    @property
    def kind(self) -> str:
        """Name this node in a message."""
        return "a list"

    def __iter__(self) -> Iterator[Node]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingNode:
    """Keys and nodes in the order they were written."""

    items: tuple[tuple[ScalarNode, Node], ...]
    line: int
    column: int
    start: int
    end: int

    @property
    def kind(self) -> str:
        """Name this node in a message."""
        return "a mapping"

    def get(self, key: str) -> Node | None:
        """Return the node under `key`, or None."""
        return next((node for name, node in self.items if name.text == key), None)

    def keys(self) -> tuple[str, ...]:
        """Return the keys as they were written."""
        return tuple(name.text for name, _ in self.items)


Node = ScalarNode | SequenceNode | MappingNode


@dataclass(slots=True)
class Problems:
    """Collects everything wrong with one file, so that it can be said at once.

    Parameters
    ----------
    source : str
        The file's name, put before each finding.
    error : type of LeadmlError
        What `raise_if_any` raises.
    """

    source: str
    error: type[LeadmlError]
    found: list[tuple[int, int, str]] = field(default_factory=list)

    def add(self, node: Node | None, message: str) -> None:
        """Note a finding at a node (None: the file as a whole)."""
        line, column = (node.line, node.column) if node is not None else (0, 0)
        self.found.append((line, column, message))

    def raise_if_any(self) -> None:
        """Raise once with all findings, in the order of the file."""
        if self.found:
            raise self.error(*(self._sentence(*entry) for entry in sorted(self.found)))

    def _sentence(self, line: int, column: int, message: str) -> str:
        return f"{self.source}:{line}:{column}: {message}" if line else f"{self.source}: {message}"

    # -- the small checks every schema needs; each returns None after noting what is wrong ---------------

    def mapping(self, node: Node | None, what: str) -> MappingNode | None:
        """Expect a mapping."""
        if isinstance(node, MappingNode):
            return node
        if node is not None:
            self.add(node, f"{what}: expected a mapping (`key: value`), got {node.kind}.")
        return None

    def sequence(self, node: Node | None, what: str) -> SequenceNode | None:
        """Expect a list."""
        if isinstance(node, SequenceNode):
            return node
        if node is not None:
            self.add(node, f"{what}: expected a list, got {node.kind}.")
        return None

    def scalar(self, node: Node | None, what: str) -> ScalarNode | None:
        """Expect text."""
        if isinstance(node, ScalarNode):
            return node
        if node is not None:
            self.add(node, f"{what}: expected text, got {node.kind}.")
        return None

    def text(self, node: Node | None, what: str) -> str | None:
        """Expect text and return it."""
        scalar = self.scalar(node, what)
        return None if scalar is None else scalar.text

    def texts(self, node: Node | None, what: str) -> tuple[str, ...]:
        """Expect a list of texts (one text counts as a list of one)."""
        if isinstance(node, ScalarNode):
            return (node.text,)
        items = self.sequence(node, what)
        found = [self.text(item, what) for item in items or ()]
        return tuple(text for text in found if text is not None)

    def choice(self, node: Node | None, what: str, allowed: Iterable[str]) -> str | None:
        """Expect one of a few words."""
        text = self.text(node, what)
        known = tuple(allowed)
        if text is None or text in known:
            return text
        self.add(node, f"{what}: expected one of {', '.join(known)}; got {text!r}.{suggest(text, known)}")
        return None

    def keys(
        self, node: MappingNode, what: str, allowed: Iterable[str], required: Iterable[str] = ()
    ) -> None:
        """Expect only `allowed` keys and all `required` ones."""
        known = tuple(allowed)
        for name, _ in node.items:
            if name.text not in known:
                self.add(name, f"{what}: unknown key {name.text!r}.{suggest(name.text, known)}")
        for key in required:
            if node.get(key) is None:
                self.add(node, f"{what}: key {key!r} is missing.")


def suggest(text: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` if something known is close to `text`, else nothing."""
    close = difflib.get_close_matches(text, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def read_yaml(path: Path | str, *, what: str, error: type[LeadmlError]) -> tuple[MappingNode, str]:
    """Read a file and return its top mapping and its text; see `parse_yaml`."""
    raw = read_bytes(path, what=what)
    source = str(path)
    if len(raw) > MAX_BYTES:
        raise error(f"{source}: {len(raw):,} bytes; a {what} has at most {MAX_BYTES:,}.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise error(f"{source}: not UTF-8 (byte {failure.start}). Save the file as UTF-8.") from failure
    return parse_yaml(text, source=source, what=what, error=error), text


def parse_yaml(text: str, *, source: str, what: str, error: type[LeadmlError]) -> MappingNode:
    """Parse YAML text into nodes with positions.

    Parameters
    ----------
    text : str
        The file's content.
    source : str
        The file's name for messages.
    what : str
        What the file is ("definition", "contract", …).
    error : type of LeadmlError
        Raised for anything that is not plain mappings, lists and scalars.

    Returns
    -------
    MappingNode
        The top-level mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise error(f"{source}: more than {MAX_BYTES:,} bytes; too long for a {what}.")
    _refuse_invisible(text, source, error)
    _refuse_directives(text, source, error)
    try:
        top = _build(YAML(typ="rt", pure=True).parse(text), source, error)
    except error:
        raise
    except MarkedYAMLError as failure:
        mark = failure.problem_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source
        raise error(f"{where}: not readable as YAML: {failure.problem or failure.context}.") from failure
    except (YAMLError, ValueError, RecursionError) as failure:
        raise error(f"{source}: not readable as YAML: {type(failure).__name__}.") from failure
    if not isinstance(top, MappingNode):
        raise error(
            f"{source}:1:1: a {what} is a mapping (`key: value` lines), got {top.kind if top else 'nothing'}."
        )
    return top


def _refuse_invisible(text: str, source: str, error: type[LeadmlError]) -> None:
    findings = []
    for number, line in enumerate(text.split("\n"), 1):
        for column, char in enumerate(line.removesuffix("\r"), 1):
            if char != "\t" and unicodedata.category(char) in _INVISIBLE:
                name = unicodedata.name(char, f"U+{ord(char):04X}").lower()
                findings.append(f"{source}:{number}:{column}: invisible character ({name}). Delete it.")
                break
        if len(findings) == 5:
            break
    if findings:
        raise error(*findings)


def _refuse_directives(text: str, source: str, error: type[LeadmlError]) -> None:
    """Refuse ``%YAML`` and ``%TAG`` lines: they change what the rest of the file means."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("%"):
            raise error(
                f"{source}:{number}:1: a line that begins with `%` (a YAML directive) is not allowed."
                " Delete it."
            )
        if line.strip() and not line.lstrip().startswith("#"):
            return


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not been read yet."""

    mapping: bool
    line: int
    column: int
    start: int
    children: list[Node] = field(default_factory=list)


def _build(events: Iterable[object], source: str, error: type[LeadmlError]) -> Node | None:
    stack: list[_Open] = []
    top: Node | None = None
    documents = 0
    for event in events:
        kind = type(event).__name__
        if kind == "DocumentStartEvent":
            documents += 1
        if kind in {
            "StreamStartEvent",
            "StreamEndEvent",
            "DocumentStartEvent",
            "DocumentEndEvent",
            "CommentEvent",
        }:
            continue
        mark = event.start_mark  # type: ignore[attr-defined]
        where = f"{source}:{mark.line + 1}:{mark.column + 1}"
        if documents > 1:
            raise error(f"{where}: a second document (`---`) begins here; one file holds one document.")
        if kind == "AliasEvent" or getattr(event, "anchor", None) is not None:
            raise error(f"{where}: anchors and aliases (`&`, `*`) are not allowed; write the value out.")
        if _tagged(event):
            raise error(f"{where}: tags (`!`) are not allowed; write plain text.")
        if kind in {"MappingStartEvent", "SequenceStartEvent"}:
            if len(stack) >= MAX_DEPTH:
                raise error(f"{where}: nested more than {MAX_DEPTH} levels deep.")
            stack.append(_Open(kind == "MappingStartEvent", mark.line + 1, mark.column + 1, mark.index))
            continue
        if kind == "ScalarEvent":
            node: Node = _scalar(event, where, error)
        else:
            node = _close(stack.pop(), event, source, error)
        if stack:
            stack[-1].children.append(node)
        else:
            top = node
    return top


def _tagged(event: object) -> bool:
    tag = getattr(event, "ctag", None)
    return tag is not None and str(tag) not in {"", "None"} and getattr(event, "tag", None) is not None


def _scalar(event: object, where: str, error: type[LeadmlError]) -> ScalarNode:
    value: str = event.value  # type: ignore[attr-defined]
    if event.style == ">":  # type: ignore[attr-defined]
        value = value.replace("\a", "")  # ruamel marks where a folded text was folded
    if len(value) > MAX_SCALAR:
        raise error(f"{where}: a text of {len(value):,} characters; at most {MAX_SCALAR:,} are allowed.")
    if any(unicodedata.category(char) in _INVISIBLE and char not in "\t\n" for char in value):
        raise error(f"{where}: this text contains an invisible character. Delete it.")
    start, end = event.start_mark, event.end_mark  # type: ignore[attr-defined]
    return ScalarNode(
        text=value,
        line=start.line + 1,
        column=start.column + 1,
        start=start.index,
        end=end.index,
        quoted=event.style in {"'", '"', "|", ">"},  # type: ignore[attr-defined]
    )


def _close(opened: _Open, event: object, source: str, error: type[LeadmlError]) -> Node:
    end = event.end_mark.index  # type: ignore[attr-defined]
    place = {"line": opened.line, "column": opened.column, "start": opened.start, "end": end}
    if not opened.mapping:
        return SequenceNode(items=tuple(opened.children), **place)
    pairs: list[tuple[ScalarNode, Node]] = []
    lines: dict[str, int] = {}
    for key, value in zip(opened.children[::2], opened.children[1::2], strict=True):
        where = f"{source}:{key.line}:{key.column}"
        if not isinstance(key, ScalarNode):
            raise error(f"{where}: a key must be text, got {key.kind}.")
        if key.text == "<<" and not key.quoted:
            raise error(f"{where}: merge keys (`<<`) are not allowed; write the values out.")
        if key.text in lines:
            raise error(f"{where}: key {key.text!r} stands here and in line {lines[key.text]}; keep one.")
        lines[key.text] = key.line
        pairs.append((key, value))
    return MappingNode(items=tuple(pairs), **place)
