"""Model files without pickle: skops with leadml's own list of types, and the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

from leadml.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sklearn.pipeline import Pipeline

__all__ = ["dump_pipeline", "load_pipeline", "pack", "unpack"]

_DATE = (1980, 1, 1, 0, 0, 0)
_MAX_BYTES = 256 * 1024 * 1024
_MAX_MEMBERS = 20_000

# Every type that may stand in a model file. The list inside an artifact is never asked.
# Nor are the defaults of skops, which differ from version to version.
_TRUSTED = frozenset(
    {
        "builtins.bool",
        "builtins.dict",
        "builtins.float",
        "builtins.int",
        "builtins.list",
        "builtins.str",
        "builtins.tuple",
        "numpy.dtype",
        "numpy.float32",
        "numpy.float64",
        "numpy.int64",
        "numpy.ndarray",
        "numpy.uint32",
        "numpy.uint64",
        "numpy.uint8",
        "leadml.models._ebm.EbmClassifier",
        "leadml.models._encoder.LeadEncoder",
        "leadml.models._logistic.SplineLogisticClassifier",
        "numpy.random._generator.Generator",
        "numpy.random._mt19937.MT19937",
        "numpy.random._pcg64.PCG64",
        "numpy.random.mtrand.RandomState",
        "_loss.CyHalfBinomialLoss",  # its name before scikit-learn 1.9; skops loads it by name, not by import
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._label.LabelEncoder",
    }
)
# What reading a file with wrong content can raise; skops' own errors are ValueErrors or TypeErrors.
_LOAD_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    Warning,
    zipfile.BadZipFile,
)
_LOADERS = frozenset(
    {
        "DTypeNode",
        "DictNode",
        "JsonNode",
        "ListNode",
        "LossNode",
        "NdArrayNode",
        "ObjectNode",
        "RandomGeneratorNode",
        "RandomStateNode",
        "TupleNode",
        "TypeNode",
    }
)


def pack(members: Mapping[str, bytes]) -> bytes:
    """Write members to a ZIP without compression, in the order of their names, with a fixed date.

    Parameters
    ----------
    members : mapping of str to bytes
        Content by name.

    Returns
    -------
    bytes
        The same for the same members.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=_DATE)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, members[name])
    return buffer.getvalue()


def unpack(data: bytes, *, where: str) -> dict[str, bytes]:
    """Read the members of a ZIP made by `pack`; nothing is written to disk.

    Parameters
    ----------
    data : bytes
        The file.
    where : str
        For messages.

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    BundleError
        If it is no such file: other names, compression, doubled or too many members, wrong checksums.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            plain = all(_plain(info) for info in infos)
            size = sum(info.file_size for info in infos)
            if not plain or len(set(names)) != len(names) or len(names) > _MAX_MEMBERS or size > _MAX_BYTES:
                raise BundleError(f"{where}: its members are not those of a leadml bundle. Train it again.")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{where}: not a whole leadml bundle. Copy it again or train it again.") from error


def _plain(info: zipfile.ZipInfo) -> bool:
    name = info.filename
    return (
        info.compress_type == zipfile.ZIP_STORED
        and not info.flag_bits & 0x1
        and info.file_size <= _MAX_BYTES
        and name.isascii()
        and name == name.strip("/.")
        and not set(name) & set('/\\:\0"')
    )


def dump_pipeline(pipeline: Pipeline) -> bytes:
    """Write a fitted pipeline as a skops file with the same bytes on every run.

    skops names nodes and members by memory addresses; here they are numbered in order of appearance.

    Parameters
    ----------
    pipeline : Pipeline
        Encoder and classifier, of the types leadml trains.

    Returns
    -------
    bytes

    Raises
    ------
    BundleError
        If the pipeline holds a type that `load_pipeline` would refuse.
    """
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(pipeline))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members.pop("schema.json"))
    _check_schema(schema, where="the model")
    renamed: dict[str, bytes] = {}
    names: dict[str, str] = {}
    for number, node in enumerate(_nodes(schema), start=1):
        if isinstance(node.get("n_threads"), dict):
            node["n_threads"]["content"] = "1"  # how many threads binned the training rows
        if "__id__" in node:
            node["__id__"] = number
        if isinstance(node.get("file"), str):
            old = node["file"]
            names.setdefault(old, f"{len(names) + 1:06d}.npy")
            renamed[names[old]] = members[old]
            node["file"] = names[old]
    renamed["schema.json"] = json.dumps(schema, sort_keys=True, separators=(",", ":")).encode()
    return pack(renamed)


def load_pipeline(data: bytes, *, where: str) -> Pipeline:
    """Read a pipeline written by `dump_pipeline`, trusting only leadml's own list of types.

    Parameters
    ----------
    data : bytes
        The file.
    where : str
        For messages.

    Returns
    -------
    Pipeline

    Raises
    ------
    BundleError
        If it is damaged or names any other type; nothing in it is run before that is checked.
    """
    import skops.io
    from sklearn.pipeline import Pipeline as SklearnPipeline

    members = unpack(data, where=where)
    try:
        schema = json.loads(members["schema.json"])
    except (KeyError, ValueError, RecursionError) as error:
        raise BundleError(f"{where}: its schema cannot be read. Train it again.") from error
    _check_schema(schema, where=where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # versions that differ are an error here, not a warning
            pipeline = skops.io.loads(data, trusted=sorted(_TRUSTED))
    except _LOAD_ERRORS as error:
        raise BundleError(f"{where}: cannot be loaded ({type(error).__name__}). Train it again.") from error
    if not isinstance(pipeline, SklearnPipeline):
        raise BundleError(f"{where}: expected a pipeline, got {type(pipeline).__name__}. Train it again.")
    return pipeline


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item[key] for key in sorted(item, reverse=True))
        elif isinstance(item, list):
            stack.extend(reversed(item))


def _check_schema(schema: Any, *, where: str) -> None:
    foreign = set()
    for node in _nodes(schema):
        loader = node.get("__loader__")
        if loader is None and "__class__" not in node and "__module__" not in node:
            continue
        kind = f"{node.get('__module__')}.{node.get('__class__')}"
        if loader not in _LOADERS or kind not in _TRUSTED:
            foreign.add(f"{kind} ({loader})"[:80])
    if foreign:
        listed = ", ".join(sorted(foreign)[:5])
        raise BundleError(f"{where}: holds types that leadml does not load: {listed}. Train it again.")


def compute_digest(data: bytes) -> str:
    """Compute the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
