"""Results of the loop as items: pure functions that only choose what is worth keeping."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol

from leadml.tracking._items import (
    Alias,
    Artifact,
    Item,
    RegisteredDefinition,
    RegisteredScorer,
    metric_items,
    params_item,
    tag_items,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from leadml.definitions import Definition
    from leadml.leads import Contract

__all__ = [
    "challenger_items",
    "comparison_items",
    "data_items",
    "definition_items",
    "model_items",
    "note_items",
    "packet_items",
    "proposal_items",
    "registration_items",
    "score_items",
    "scorer_items",
    "sign_off_items",
    "version_items",
]

_NOTE_CHARACTERS = 4_800
PACKAGES = ("leadml", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "skops", "shap", "mlflow")
_COLUMN_TYPES = {"number": "number", "integer": "number", "boolean": "boolean", "date": "date"}
_PROPOSAL_METRICS = ("n_changed", "gained_per_month", "lost_per_month", "value_low", "value", "value_high")


class _Manifest(Protocol):
    """What `data_items` needs of the manifest of a read."""

    @property
    def read(self) -> int: ...
    @property
    def kept(self) -> int: ...
    @property
    def quarantined(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def data_sha256(self) -> str: ...


class _Feature(Protocol):
    """What a model reads."""

    @property
    def name(self) -> str: ...


class _Model(Protocol):
    """What `model_items` needs of a trained model."""

    @property
    def target(self) -> str: ...
    @property
    def candidate(self) -> str: ...
    @property
    def features(self) -> Sequence[_Feature]: ...
    @property
    def evaluation(self) -> Any: ...


class _Comparison(Protocol):
    """What `comparison_items` needs of a comparison: aggregated frames."""

    @property
    def classes(self) -> pd.DataFrame: ...
    @property
    def at_equal_volume(self) -> pd.DataFrame: ...
    def to_frame(self) -> pd.DataFrame:
        """Return one row per criterion and target."""
        ...


def version_items(*, random_state: int | None, git_commit: str | None) -> tuple[Item, ...]:
    """Return what a result depends on besides its data: versions, seed, commit.

    Parameters
    ----------
    random_state : int or None
        Seed of the run.
    git_commit : str or None
        Commit of the project the run was started in (`find_git_commit`).
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from leadml import __version__

    found: dict[str, object] = {"python": platform.python_version(), "leadml": __version__}
    for package in PACKAGES[1:]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    params = {f"version.{package}": text for package, text in found.items()}
    return (
        params_item({"random_state": random_state, **params}),
        *tag_items({"mlflow.source.git.commit": git_commit, "leadml.version": __version__}),
    )


def data_items(manifest: _Manifest, *, as_of: date | None = None) -> tuple[Item, ...]:
    """Return the digest of the leads and how their rows reconcile; no lead."""
    rows = {name: getattr(manifest, name) for name in ("read", "kept", "quarantined", "duplicates")}
    return (
        *tag_items({"data.sha256": manifest.data_sha256}),
        params_item({"as_of": as_of}),
        *metric_items(rows, prefix="rows."),
    )


def definition_items(
    definition: Definition,
    *,
    alias: str | None = "champion",
    registered_name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> tuple[Item, ...]:
    """Return a definition: its file, its digest and its entry in the model registry.

    Parameters
    ----------
    definition : Definition
        The written definition.
    alias : str or None
        Alias for this version, if no version has it yet. A run never moves it; signing does.
    registered_name : str, optional
        Name in the registry; default: the definition's own.
    tags : mapping, optional
        Further facts about the version, such as how it did since.
    """
    return (
        *_facts(definition),
        Artifact(name="definition.yaml", content=definition.text),
        _registered(
            definition,
            registered_name,
            alias=alias,
            keep_alias=True,
            tags=tuple((tags or {}).items()),
            description=_headline(definition),
        ),
    )


def challenger_items(
    changed: Definition,
    *,
    written: Definition,
    sentence: str = "",
    subject: str = "",
    registered_name: str | None = None,
) -> tuple[Item, ...]:
    """Return a proposed definition: its file, the difference to the written one, and its registry entry.

    Parameters
    ----------
    changed : Definition
        The proposed version.
    written : Definition
        The version it would replace.
    sentence : str, default ""
        The change in words.
    subject : str, default ""
        Digest of what both sides sign; the definition's history names it too.
    registered_name : str, optional
        Name in the registry; default: the definition's own.
    """
    difference = difflib.unified_diff(
        written.text.splitlines(keepends=True),
        changed.text.splitlines(keepends=True),
        fromfile=f"{written.name} {written.version}",
        tofile=f"{changed.name} {changed.version} (proposed)",
    )
    signed = {"proposal.subject": subject} if subject else {}
    return (
        *_facts(changed),
        *tag_items(signed),
        *tag_items({"replaces.version": written.version, "replaces.sha256": written.sha256}),
        Artifact(name="definition.yaml", content=changed.text),
        Artifact(name="definition.diff.txt", content="".join(difference)),
        _registered(
            changed,
            registered_name or written.name,
            alias="challenger",
            keep_alias=False,
            tags=(("replaces.sha256", written.sha256), *signed.items()),
            description=f"{_headline(changed)}\n- proposed instead of {written.version}: {_md(sentence)}",
        ),
    )


def scorer_items(
    bundle: bytes,
    *,
    definition: Definition,
    contract: Contract,
    alias: str | None = "champion",
    registered_name: str | None = None,
) -> tuple[Item, ...]:
    """Return a definition and a model bundle as a registered model that MLflow and Spark can serve.

    Its input are leads in contract columns (numbers as double, categories as text), its output the columns of
    a score file without the id.

    Parameters
    ----------
    bundle : bytes
        The bundle's file.
    definition : Definition
        The definition version that is applied.
    contract : Contract
        Names the attributes and their types.
    alias : str or None
        Alias for this version, if no version has it yet.
    registered_name : str, optional
        Name in the registry; default: ``<definition>-scorer``.
    """
    digest = hashlib.sha256(bundle).hexdigest()
    both = hashlib.sha256(f"{digest} {definition.sha256}".encode()).hexdigest()
    dates = [column for column in contract.columns if column.role in {"created", "handed_over"}]
    attributes = [column for column in contract.columns if column.role == "attribute"]
    return (
        *tag_items({"bundle.sha256": digest}),
        RegisteredScorer(
            name=_safe_name(registered_name or f"{definition.name}-scorer"),
            version=definition.version,
            sha256=both,
            digest=digest,
            bundle=bundle,
            text=definition.text,
            columns=tuple(
                (column.name, _COLUMN_TYPES.get(column.type, "text")) for column in [*dates, *attributes]
            ),
            alias=alias,
            keep_alias=True,
            tags=(("bundle.sha256", digest), ("definition.sha256", definition.sha256)),
        ),
    )


def model_items(model: _Model) -> tuple[Item, ...]:
    """Return what a model was made of and how it did on later leads; not the model, not its leads."""
    evaluation = model.evaluation
    return (
        params_item(
            {
                "target": model.target,
                "candidate": model.candidate,
                "features": [feature.name for feature in model.features],
            }
        ),
        *metric_items(evaluation.metrics),
        *tag_items({"target": model.target, "verdict": getattr(evaluation, "verdict", None)}),
    )


def comparison_items(comparison: _Comparison) -> tuple[Item, ...]:
    """Return the comparison's aggregates as CSV and JSON."""
    frames = {
        "criteria": comparison.to_frame(),
        "classes": comparison.classes,
        "at_equal_volume": comparison.at_equal_volume,
    }
    return tuple(
        artifact
        for name, frame in frames.items()
        for artifact in (
            Artifact(name=f"comparison/{name}.csv", content=frame.to_csv(index=False, lineterminator="\n")),
            Artifact(
                name=f"comparison/{name}.json",
                content=frame.to_json(orient="records", indent=1, force_ascii=False) + "\n",
            ),
        )
    )


def registration_items(registration: object) -> tuple[Item, ...]:
    """Return the candidates as they were fixed before any confirmation label was read."""
    return (
        *tag_items({"registered": "before confirmation"}),
        Artifact(name="registration.json", content=_json(_plain(registration))),
    )


def proposal_items(document: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return what is proposed, promising, kept and to be explored.

    Parameters
    ----------
    document : mapping
        The JSON document of `leadml propose` (`ProposalSet.to_dict()`).
    """
    groups = {name: list(document.get(name, ())) for name in ("proposals", "promising", "kept", "explore")}
    metrics = {f"n_{name}": len(rows) for name, rows in groups.items()}
    best = groups["proposals"][0] if groups["proposals"] else {}
    return (
        *metric_items(metrics),
        *metric_items({name: best.get(name) for name in _PROPOSAL_METRICS}, prefix="proposal."),
        Artifact(name="proposals.json", content=_json(_plain(document))),
        Artifact(name="proposals.md", content=_markdown(groups)),
    )


def packet_items(page: str) -> tuple[Item, ...]:
    """Return the review packet (its HTML)."""
    return (Artifact(name="packet.html", content=page),)


def note_items(headline: str, summary: str) -> tuple[Item, ...]:
    """Return a run's summary as its description in the MLflow UI: the answer, then all of it as printed."""
    text = summary.replace("```", "'")
    if len(text) > _NOTE_CHARACTERS:
        text = text[:_NOTE_CHARACTERS].rsplit("\n", 1)[0] + "\n…"
    head = f"{_md(headline)}\n\nThe page for the review is the artifact `packet.html`."
    return tag_items({"mlflow.note.content": f"{head}\n\n```text\n{text}\n```"})


def sign_off_items(
    definition: Definition,
    *,
    tags: Mapping[str, str],
    sentences: Sequence[str],
    registered_name: str | None = None,
) -> tuple[Item, ...]:
    """Return a definition that has come into force: registered, ``champion``, with who signed.

    Parameters
    ----------
    definition : Definition
        The version in force now.
    tags : mapping
        Signatures as tags.
    sentences : sequence of str
        What was decided by whom, for the version's description.
    registered_name : str, optional
        Name in the registry; default: the definition's own.
    """
    return (
        *definition_items(definition, alias=None, registered_name=registered_name),
        Alias(
            name=_safe_name(registered_name or definition.name),
            sha256=definition.sha256,
            alias="champion",
            previous="previous",
            dropped="challenger",
            tags=tuple(sorted(tags.items())),
            description="\n".join([_headline(definition), *(f"- {_md(line)}" for line in sentences)]),
        ),
    )


def score_items(manifest: Mapping[str, Any]) -> tuple[Item, ...]:
    """Return the manifest of a scoring job (`ScoreManifest.to_dict()`): counts and digests only."""
    texts = {name: value for name, value in manifest.items() if isinstance(value, str)}
    return (
        *metric_items({name: value for name, value in manifest.items() if not isinstance(value, str)}),
        *metric_items(manifest.get("rows", {}), prefix="rows."),
        *tag_items({name: texts[name] for name in texts if not name.endswith(("path", "file", "output"))}),
        Artifact(name="manifest.json", content=_json(_plain(manifest))),
    )


def _facts(definition: Definition) -> tuple[Item, ...]:
    facts = {"name": definition.name, "version": definition.version, "sha256": definition.sha256}
    dates = {"effective_from": definition.effective_from, "review_by": definition.review_by}
    return tag_items({f"definition.{name}": value for name, value in {**facts, **dates}.items()})


def _registered(
    definition: Definition,
    name: str | None,
    *,
    alias: str | None,
    keep_alias: bool,
    tags: tuple[tuple[str, str], ...],
    description: str,
) -> RegisteredDefinition:
    return RegisteredDefinition(
        name=_safe_name(name or definition.name),
        version=definition.version,
        sha256=definition.sha256,
        text=definition.text,
        columns=tuple(
            (attribute.name, _COLUMN_TYPES.get(attribute.type, "text")) for attribute in definition.attributes
        ),
        alias=alias,
        keep_alias=keep_alias,
        tags=(("definition.sha256", definition.sha256), *tags),
        description=description,
    )


def _headline(definition: Definition) -> str:
    return f"{definition.version}: {_md(definition.meaning)}\n"


def _safe_name(text: str) -> str:
    return re.sub(r"[/:\\\"'%]", "-", text)


def _markdown(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    titles = {
        "proposals": "Proposed",
        "promising": "Promising, not proposed",
        "kept": "Kept as written",
        "explore": "To be explored",
    }
    lines = ["# Proposals", ""]
    for name, title in titles.items():
        rows = groups[name]
        lines += [f"## {title}", ""]
        if not rows:
            lines += ["Nothing.", ""]
            continue
        columns = list(dict.fromkeys(key for row in rows for key in row))
        lines.append("| " + " | ".join(columns) + " |")
        lines.append("|" + " --- |" * len(columns))
        lines += ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return _md("" if value is None else str(value))


def _md(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\|<>\[\]*_`])", r"\\\1", " ".join(text.split()))


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one line per kind of value
    if hasattr(value, "to_dict") and not isinstance(value, type):
        return _plain(value.to_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(entry) for entry in value]
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, (date, Decimal, PurePath)):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)
