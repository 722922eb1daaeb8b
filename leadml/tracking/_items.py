"""What is worth keeping of a run, as plain frozen values.

Functions turn results into these items; one writer (`_sender`) turns items into MLflow calls. The items are
what unit tests look at, and they are the whole of what can leave for the tracking server: there is no item
for a table of leads, and an artifact is text of a few known kinds.
"""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Alias",
    "Artifact",
    "Item",
    "Metric",
    "Params",
    "RegisteredDefinition",
    "RegisteredScorer",
    "Tag",
    "item_from_dict",
    "item_to_dict",
    "metric_items",
    "params_item",
    "tag_items",
]

PARAM_CHARACTERS = 6_000
TAG_CHARACTERS = 5_000
ARTIFACT_KINDS = (".csv", ".html", ".json", ".md", ".png", ".svg", ".txt", ".yaml", ".yml")
_FORBIDDEN_IN_KEYS = re.compile(r"[^A-Za-z0-9_\-. /:]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Settings of a run: names and values as text, in order."""

    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One finite number of a run."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A searchable fact about a run; unlike a parameter it may be set again."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file of a run, held as text or bytes.

    Parameters
    ----------
    name : str
        Relative path inside the run's artifacts; its ending is one of the kinds the MLflow UI can show.
        A pickled object or a table of leads has no such ending, so neither can be logged by mistake.
    content : str or bytes
        What stands in the file.

    Raises
    ------
    ValueError
        If the name leaves the run's folder or has another ending.
    """

    name: str
    content: str | bytes = field(repr=False)

    def __post_init__(self) -> None:
        path = PurePosixPath(self.name)
        if path.is_absolute() or ".." in path.parts or "\\" in self.name or not path.name:
            raise ValueError(f"artifact {self.name!r}: expected a relative path inside the run.")
        if path.suffix not in ARTIFACT_KINDS:
            raise ValueError(
                f"artifact {self.name!r}: expected one of the endings {', '.join(ARTIFACT_KINDS)}; "
                "tables of leads and pickled objects are not tracked."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredDefinition:
    """A definition as one version of a registered model.

    Parameters
    ----------
    name : str
        Registered model, normally the definition's own name (``models:/<name>@champion``).
    version : str
        The definition's version, kept as a tag (MLflow counts its own versions).
    sha256 : str
        Of the definition's text. The same text is registered once, however often it is run.
    text : str
        The YAML as its author wrote it.
    columns : tuple of (name, type)
        The attributes that the definition reads: ``number`` or ``text`` or ``boolean``.
    alias : str or None
        Alias to give this version (``champion``, ``challenger``).
    keep_alias : bool
        True leaves an alias where it already is. The champion moves by sign-off, never by a run.
    tags : tuple of (name, value)
        Further facts about the version, set whether it is new or not.
    description : str
        What the version is, as Markdown, shown in the MLflow UI; kept where the version has one.
    """

    name: str
    version: str
    sha256: str
    text: str = field(repr=False)
    columns: tuple[tuple[str, str], ...] = ()
    alias: str | None = None
    keep_alias: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredScorer:
    """A definition and a model bundle as one version of a registered model that scores leads.

    MLflow serves it wherever it runs Python functions, Spark included (``mlflow.pyfunc.spark_udf``). The
    bundle travels as its file; it holds no lead and nothing pickled, and is checked by `digest` on loading.

    Parameters
    ----------
    name : str
        Registered model, normally ``<definition>-scorer``.
    version : str
        The definition's version.
    sha256 : str
        Of bundle and definition together. The same pair is registered once.
    digest : str
        SHA-256 of the bundle.
    bundle : bytes
        The bundle's file.
    text : str
        The definition's YAML.
    columns : tuple of (name, type)
        The attributes that are read: ``number``, ``text``, ``boolean`` or ``date``.
    alias : str or None
        Alias to give this version.
    keep_alias : bool
        True leaves an alias where it already is.
    tags : tuple of (name, value)
        Further facts about the version, set whether it is new or not.
    description : str
        What the version is, as Markdown, shown in the MLflow UI; kept where the version has one.
    """

    name: str
    version: str
    sha256: str
    digest: str
    bundle: bytes = field(repr=False)
    text: str = field(repr=False)
    columns: tuple[tuple[str, str], ...]
    alias: str | None = None
    keep_alias: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Move an alias to the version of a registered definition with this text, and keep where it was.

    Parameters
    ----------
    name : str
        Registered model.
    sha256 : str
        Of the definition's text.
    alias : str
        Alias to move.
    previous : str or None
        Alias given to the version that held `alias` before (for roll-back).
    dropped : str or None
        Alias that this version loses, since it is what it stood for (the challenger that won).
    tags : tuple of (name, value)
        Facts set on the version, such as who signed.
    description : str
        Replaces what the version is described as (Markdown); empty leaves it.
    """

    name: str
    sha256: str
    alias: str
    previous: str | None = None
    dropped: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    description: str = ""


Item = Params | Metric | Tag | Artifact | RegisteredDefinition | RegisteredScorer | Alias
_KINDS: dict[str, type[Item]] = {
    kind.__name__: kind
    for kind in (Params, Metric, Tag, Artifact, RegisteredDefinition, RegisteredScorer, Alias)
}


def params_item(values: Mapping[str, object]) -> Params:
    """Return settings as one item: lists joined, None as empty text, long values cut with a mark."""
    return Params(
        values=tuple((_key(name), _cut(_text(value), PARAM_CHARACTERS)) for name, value in values.items())
    )


def metric_items(values: Mapping[str, object], *, prefix: str = "") -> tuple[Metric, ...]:
    """Return the finite numbers among `values`; what is missing or infinite is not a metric."""
    found = []
    for name, value in values.items():
        number = _number(value)
        if number is not None:
            found.append(Metric(name=_key(prefix + name), value=number))
    return tuple(found)


def tag_items(values: Mapping[str, object]) -> tuple[Tag, ...]:
    """Return `values` as tags, leaving out None."""
    return tuple(
        Tag(name=_key(name), value=_cut(_text(value), TAG_CHARACTERS))
        for name, value in values.items()
        if value is not None
    )


def item_to_dict(item: Item) -> dict[str, Any]:
    """Return an item as JSON-ready data; bytes as base64."""
    data: dict[str, Any] = {entry.name: getattr(item, entry.name) for entry in fields(item)}
    for name, value in data.items():
        if isinstance(value, bytes):
            data[name] = {"base64": base64.b64encode(value).decode("ascii")}
    return {"kind": type(item).__name__, **data}


def item_from_dict(data: Mapping[str, Any]) -> Item:
    """Rebuild an item; the inverse of `item_to_dict`."""
    values = {name: _tuples(value) for name, value in data.items() if name != "kind"}
    for name, value in values.items():
        if isinstance(value, dict):
            values[name] = base64.b64decode(value["base64"])
    return _KINDS[data["kind"]](**values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value


def _key(name: str) -> str:
    return _FORBIDDEN_IN_KEYS.sub("_", name)[:250]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(entry) for entry in value)
    return str(value)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _number(value: object) -> float | None:
    if value is None or isinstance(value, (str, bytes, bool)):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
