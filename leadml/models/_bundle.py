"""The model bundle: one file, checked by digest before it is parsed and by its own test rows after."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml import __version__
from leadml._files import read_bytes, replaced_file, write_text
from leadml._render import render_card, render_frame
from leadml.errors import BundleError, InputMissingError
from leadml.models._archive import compute_digest, dump_pipeline, load_pipeline, pack, unpack
from leadml.models._calibration import Calibration
from leadml.models._features import Feature
from leadml.models._model import TARGET_WORDS, TrainedModel, predict_scores
from leadml.models._profile import ColumnProfile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sklearn.pipeline import Pipeline

    from leadml.definitions import Definition
    from leadml.leads import Contract
    from leadml.models._model import UntrainedModel

__all__ = ["Bundle", "BundledModel", "load_bundle", "write_bundle"]

FORMAT = 1
_N_TEST_ROWS = 50
_TOLERANCE = 1e-9
_DIGEST = re.compile(r"[0-9a-f]{64}")
_AGE_ORIGIN = pd.Timestamp("2000-01-01")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BundledModel:
    """One model of a bundle.

    Attributes
    ----------
    target : {"accepted", "won"}
        What it predicts.
    candidate : str
        Name of the pipeline.
    features : tuple of Feature
        What it sees.
    clock : tuple of str
        Columns that date a lead.
    pipeline : Pipeline
        Encoder and classifier.
    calibrator : Calibration
        Applied after it.
    offset : float
        Added to the log-odds because the level has moved since training.
    metrics : dict of str to float
        Its judgement on later leads.
    verdict : str
        "predicts …", "nothing here predicts …" or "cannot be judged".
    """

    target: str
    candidate: str
    features: tuple[Feature, ...]
    clock: tuple[str, ...]
    pipeline: Pipeline = field(repr=False)
    calibrator: Calibration = field(repr=False)
    offset: float
    metrics: dict[str, float] = field(repr=False)
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """Models as they were written, ready to score.

    Attributes
    ----------
    digest : str
        SHA-256 of the file.
    models : dict of str to BundledModel
        By target; a target that could not be trained is absent.
    untrained : dict of str to str
        Reasons, by target.
    definition_name, definition_version, definition_sha256 : str
        The definition the models were trained beside.
    contract_name, contract_sha256 : str
        The contract of the leads.
    profile : tuple of ColumnProfile
        What the attributes of the leads looked like at training.
    versions : dict of str to str
        Packages at training.
    """

    digest: str
    models: dict[str, BundledModel] = field(repr=False)
    untrained: dict[str, str] = field(default_factory=dict, repr=False)
    definition_name: str = ""
    definition_version: str = ""
    definition_sha256: str = ""
    contract_name: str = ""
    contract_sha256: str = ""
    profile: tuple[ColumnProfile, ...] = field(default=(), repr=False)
    versions: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The columns that the models need, in alphabetical order."""
        return tuple(sorted({feature.name for model in self.models.values() for feature in model.features}))

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Score leads.

        Parameters
        ----------
        frame : DataFrame
            Leads in contract columns and types.

        Returns
        -------
        DataFrame
            ``probability_accepted`` and ``probability_won``, the index of `frame`; missing where the bundle
            has no model of the target.

        Raises
        ------
        LeadsError
            If an attribute is missing from the frame or has another type.
        """
        columns = {}
        for target in TARGET_WORDS:
            model = self.models.get(target)
            columns[f"probability_{target}"] = (
                np.full(len(frame), np.nan)
                if model is None
                else predict_scores(
                    model.pipeline,
                    model.calibrator,
                    frame,
                    features=model.features,
                    clock=model.clock,
                    offset=model.offset,
                )
            )
        return pd.DataFrame(columns, index=frame.index)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per target: target, candidate, attributes, verdict, auc, log_loss."""
        rows: list[dict[str, Any]] = [
            {
                "target": model.target,
                "candidate": model.candidate,
                "attributes": ", ".join(feature.name for feature in model.features),
                "verdict": model.verdict,
                "auc": model.metrics.get("auc", np.nan),
                "log_loss": model.metrics.get("log_loss", np.nan),
            }
            for model in self.models.values()
        ]
        rows += [
            {"target": target, "candidate": "", "attributes": "", "verdict": reason}
            for target, reason in self.untrained.items()
        ]
        return pd.DataFrame(rows, columns=["target", "candidate", "attributes", "verdict", "auc", "log_loss"])

    def __repr__(self) -> str:
        lines = [
            f"Bundle {self.digest[:12]} of definition {self.definition_name} {self.definition_version}",
            *(f"{model.target}: {model.candidate}; {model.verdict}" for model in self.models.values()),
            *(f"{target}: {reason}" for target, reason in self.untrained.items()),
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return str(render_card(f"Bundle {self.digest[:12]}", [render_frame(self.to_frame())]))


def write_bundle(
    models: Mapping[str, TrainedModel | UntrainedModel],
    path: Path | str,
    *,
    definition: Definition | None,
    contract: Contract | None,
    random_state: int = 0,
) -> str:
    """Write models as one file, and its digest beside it.

    The file holds no lead: the levels of attributes that at least some leads share, quantiles, model
    parameters, and 50 test rows drawn from levels and quantiles.

    Parameters
    ----------
    models : mapping of target to TrainedModel or UntrainedModel
        What to write.
    path : path-like
        The bundle; ``<path>.sha256`` gets its digest.
    definition : Definition or None
        The definition they were trained beside.
    contract : Contract or None
        The contract of the leads.
    random_state : int, default 0
        Seed of the test rows.

    Returns
    -------
    str
        SHA-256 of the file. The same models give the same file.

    Raises
    ------
    OutputError
        If a file cannot be written; an older bundle stays whole.
    """
    members: dict[str, bytes] = {}
    described: dict[str, Any] = {}
    untrained: dict[str, str] = {}
    for target in sorted(models):
        model = models[target]
        if not isinstance(model, TrainedModel):
            untrained[target] = model.reason
            continue
        name = f"model-{target}.skops"
        members[name] = dump_pipeline(model.pipeline)
        described[target] = _describe(model, sha256=compute_digest(members[name]), random_state=random_state)
    manifest = {
        "format": FORMAT,
        "models": described,
        "untrained": untrained,
        "definition": _identity(definition, "version"),
        "contract": _identity(contract, ""),
        "profile": [asdict(column) for column in _profile_of(models)],
        "random_state": random_state,
        "versions": _versions(),
    }
    text = json.dumps(manifest, sort_keys=True, ensure_ascii=True, allow_nan=True, indent=1)
    members["bundle.json"] = text.encode("ascii")
    data = pack(members)
    digest = compute_digest(data)
    target_path = Path(path)
    with replaced_file(target_path) as temporary:
        temporary.write_bytes(data)
    write_text(_sidecar(target_path), f"{digest}  {target_path.name}\n")
    return digest


def load_bundle(path: Path | str, *, digest: str | None = None) -> Bundle:
    """Read a bundle after its digest was checked, and score its test rows.

    Parameters
    ----------
    path : path-like
        The bundle.
    digest : str, optional
        The SHA-256 it must have; without it the one in ``<path>.sha256``.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError
        If the digest is unknown or differs, the file is damaged, it was made by another bundle format or
        minor version of scikit-learn, holds a foreign type, or its test rows score otherwise than at
        training (by more than 1e-9).
    InputMissingError
        If there is no such file.
    """
    where = str(path)
    data = read_bytes(path, what="model bundle")
    expected = _expected_digest(Path(path)) if digest is None else digest.strip().lower()
    if not _DIGEST.fullmatch(expected):
        raise BundleError(
            f"{where}: expected a SHA-256 of 64 hexadecimal digits, got {len(expected)} characters."
        )
    found = compute_digest(data)
    if not hmac.compare_digest(found, expected):
        raise BundleError(
            f"{where}: its SHA-256 is {found[:12]}…, expected {expected[:12]}…. "
            "It is damaged or another bundle; nothing was loaded."
        )
    members = unpack(data, where=where)
    try:
        manifest = json.loads(members.pop("bundle.json"))
        return _read(manifest, members, digest=found, where=where)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{where}: bundle.json cannot be read ({type(error).__name__}).") from error


def _read(manifest: dict[str, Any], members: dict[str, bytes], *, digest: str, where: str) -> Bundle:
    _check_versions(manifest, where=where)
    described = manifest["models"]
    names = {target: f"model-{target}.skops" for target in described}
    if set(names.values()) != set(members) or not set(names) <= set(TARGET_WORDS):
        raise BundleError(f"{where}: its members are not those that bundle.json names.")
    models = {}
    for target, name in names.items():
        if compute_digest(members[name]) != described[target]["sha256"]:
            raise BundleError(f"{where}: {name} is not the file that bundle.json names.")
        models[target] = _model(target, described[target], members[name], where=f"{where}: {name}")
    definition, contract = manifest["definition"], manifest["contract"]
    return Bundle(
        digest=digest,
        models=models,
        untrained=dict(manifest["untrained"]),
        definition_name=definition["name"],
        definition_version=definition["version"],
        definition_sha256=definition["sha256"],
        contract_name=contract["name"],
        contract_sha256=contract["sha256"],
        profile=tuple(_column_profile(entry) for entry in manifest["profile"]),
        versions=dict(manifest["versions"]),
    )


def _model(target: str, described: dict[str, Any], data: bytes, *, where: str) -> BundledModel:
    features = tuple(
        Feature(**{**feature, "levels": tuple(feature["levels"])}) for feature in described["features"]
    )
    calibration: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in described["calibrator"].items()
    }
    calibrator = Calibration(**calibration)
    model = BundledModel(
        target=target,
        candidate=described["candidate"],
        features=features,
        clock=tuple(described["clock"]),
        pipeline=load_pipeline(data, where=where),
        calibrator=calibrator,
        offset=float(described["offset"]),
        metrics=dict(described["metrics"]),
        verdict=described["verdict"],
    )
    rows = _from_plain(described["test_rows"], features)
    expected = np.asarray(described["test_scores"], dtype=np.float64)
    scores = predict_scores(
        model.pipeline, calibrator, rows, features=features, clock=("_handoff",), offset=model.offset
    )
    if scores.shape != expected.shape or not np.allclose(scores, expected, rtol=0, atol=_TOLERANCE):
        raise BundleError(f"{where}: its test rows score otherwise here than where it was trained.")
    return model


def _check_versions(manifest: dict[str, Any], *, where: str) -> None:
    if manifest["format"] != FORMAT:
        raise BundleError(
            f"{where}: bundle format {manifest['format']}, this leadml reads format {FORMAT}. Train it again."
        )
    trained, here = manifest["versions"]["scikit-learn"], version("scikit-learn")
    if trained.split(".")[:2] != here.split(".")[:2]:
        raise BundleError(
            f"{where}: trained with scikit-learn {trained}, this is {here}. Train it again, or install "
            f"scikit-learn {'.'.join(trained.split('.')[:2])}."
        )


def _versions() -> dict[str, str]:
    packages = ("scikit-learn", "skops", "numpy", "pandas")
    return {"leadml": __version__, **{package: version(package) for package in packages}}


def _identity(value: Definition | Contract | None, extra: str) -> dict[str, str]:
    names = ("name", "sha256", *((extra,) if extra else ()))
    return {name: "" if value is None else str(getattr(value, name)) for name in names}


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _expected_digest(path: Path) -> str:
    try:
        text = read_bytes(_sidecar(path), what="digest").decode("ascii", errors="replace")
    except InputMissingError as error:
        raise BundleError(
            f"{path}: no digest was given and {_sidecar(path).name} is not beside it; nothing was loaded."
        ) from error
    return (text.split() or [""])[0].lower()


def _describe(model: TrainedModel, *, sha256: str, random_state: int) -> dict[str, Any]:
    rows = _draw_rows(model, random_state=random_state)
    frame = _from_plain(rows, model.features)
    scores = predict_scores(
        model.pipeline,
        model.calibrator,
        frame,
        features=model.features,
        clock=("_handoff",),
        offset=model.offset,
    )
    return {
        "candidate": model.candidate,
        "features": [asdict(feature) for feature in model.features],
        "clock": list(model.clock),
        "calibrator": asdict(model.calibrator),
        "offset": model.offset,
        "metrics": {name: _number(value) for name, value in sorted(model.evaluation.metrics.items())},
        "verdict": model.evaluation.verdict,
        "sha256": sha256,
        "test_rows": rows,
        "test_scores": [float(score) for score in scores],
    }


def _profile_of(models: Mapping[str, TrainedModel | UntrainedModel]) -> tuple[ColumnProfile, ...]:
    """Return the profile of the leads, which is the same for every model of them."""
    trained = [model for _, model in sorted(models.items()) if isinstance(model, TrainedModel)]
    return trained[0].profile if trained else ()


def _column_profile(entry: dict[str, Any]) -> ColumnProfile:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()
    }
    return ColumnProfile(**values)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _draw_rows(model: TrainedModel, *, random_state: int) -> dict[str, list[Any]]:
    """Draw test rows attribute by attribute from levels and model cut points; the last are extremes."""
    rng = np.random.default_rng(random_state)
    encoder = model.pipeline["encode"]
    points = _cut_points(model.pipeline)
    rows: dict[str, list[Any]] = {}
    for j, feature in enumerate(model.features):
        choices: list[Any]
        if feature.kind in ("ordinal", "category"):
            choices = [*encoder.levels_[j], "a level that nobody has seen", None]
        elif feature.kind == "boolean":
            choices = [True, False, None]
        else:
            choices = [*points[j], -1e6, 0.0, 1e12, None]
        picked = rng.integers(0, len(choices), _N_TEST_ROWS - 2).tolist()
        values = [choices[i] for i in picked]
        rows[feature.name] = [*values, None, choices[0]]
    return rows


def _cut_points(pipeline: Pipeline) -> list[list[float]]:
    """Give per column a few points between which the model's function changes, rounded."""
    model = pipeline["model"]
    if hasattr(model, "cuts_"):
        grids = [np.zeros(0)] * model.n_features_in_
        for columns, cuts in zip(model.terms_, model.cuts_, strict=True):
            for column, points in zip(columns, cuts, strict=True):
                grids[column] = np.union1d(grids[column], points)
    elif hasattr(model, "grids_"):
        grids = [np.asarray(grid, dtype=np.float64) for grid in model.grids_]
    else:
        grids = [
            cuts if len(cuts) else np.asarray(bins, dtype=np.float64)
            for cuts, bins in zip(
                pipeline["encode"].cuts_,
                model._bin_mapper.bin_thresholds_,  # noqa: SLF001
                strict=True,
            )
        ]
    out = []
    for grid in grids:
        finite = grid[np.isfinite(grid)]
        picked = np.quantile(finite, np.linspace(0, 1, 9)) if finite.size else np.zeros(1)
        out.append([float(f"{value:.4g}") for value in np.unique(picked)])
    return out


def _from_plain(rows: dict[str, list[Any]], features: Sequence[Feature]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for feature in features:
        values = rows[feature.name]
        if feature.kind in ("ordinal", "category"):
            columns[feature.name] = pd.Series(values, dtype="object")
        elif feature.kind == "boolean":
            columns[feature.name] = pd.Series(values, dtype="boolean")
        else:
            numbers = pd.Series([np.nan if value is None else float(value) for value in values])
            columns[feature.name] = numbers
            if feature.kind == "age":
                days = pd.to_timedelta(numbers.clip(-30_000, 30_000), unit="D")
                columns[feature.name] = (_AGE_ORIGIN - days).astype("datetime64[us]")
    frame = pd.DataFrame(columns)
    if any(feature.kind == "age" for feature in features):
        frame["_handoff"] = pd.Series(_AGE_ORIGIN, index=frame.index).astype("datetime64[us]")
    return frame
