"""Score a file of new leads with a definition and a model bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leadml._files import compute_sha256, locked_file, replaced_file, write_text
from leadml.definitions import Definition, assign_classes, explain_classes, load_definition
from leadml.errors import LeadsError, OutputError
from leadml.leads import Contract, load_contract, read_leads
from leadml.models import Bundle, load_bundle
from leadml.scoring._manifest import ScoreManifest
from leadml.scoring._write import open_writer

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd

__all__ = ["SCORE_COLUMNS", "score_frame", "score_leads"]

SCORE_COLUMNS = (
    "lead_id",
    "lead_class",
    "probability_accepted",
    "probability_won",
    "reasons",
    "definition_version",
    "bundle",
)


def score_leads(
    contract: Contract | Path | str,
    *,
    definition: Definition | Path | str,
    bundle: Bundle | Path | str,
    output: Path | str,
    leads: Path | str | None = None,
    as_of: dt.date | None = None,
    quarantine: Path | str | None = None,
    digest: str | None = None,
) -> ScoreManifest:
    """Score new leads and write one file, whole or not at all.

    The leads need what the contract calls attributes; verdicts, outcomes and their tables, which new leads
    cannot have yet, may be absent. The same leads, definition and bundle give the same bytes.

    Parameters
    ----------
    contract : Contract or path-like
        How the export is read.
    definition : Definition or path-like
        The definition version that is applied.
    bundle : Bundle or path-like
        The model bundle.
    output : path-like
        The score file, ``.csv`` or ``.parquet``. Columns: lead_id, lead_class, probability_accepted,
        probability_won (six digits, empty where the bundle has no such model), reasons (the definition's
        words), definition_version, bundle (its SHA-256).
    leads : path-like, optional
        A file in place of the contract's first table.
    as_of : date, optional
        The day on which ages end; default: the newest date in the leads.
    quarantine : path-like, optional
        Where damaged rows are listed (CSV: table, line, column, rule, shape; no value of theirs).
    digest : str, optional
        The SHA-256 that the bundle must have; default: the one beside it.

    Returns
    -------
    ScoreManifest
        Rows that reconcile, classes, digests, notices.

    Raises
    ------
    ContractError, DefinitionError, LeadsError
        If an input is refused.
    BundleError
        If the bundle is not what its digest or its test rows say.
    QuarantineError
        If too many rows are damaged; nothing is written.
    LockedError
        If another job writes the same file.
    OutputError
        If a file cannot be written; the old one is left whole.
    """
    target = Path(output)
    if target.suffix not in {".csv", ".parquet"}:
        raise OutputError(
            f"{target}: expected a score file ending in .csv or .parquet, got {target.suffix!r}."
        )
    contract = contract if isinstance(contract, Contract) else load_contract(contract)
    definition = definition if isinstance(definition, Definition) else load_definition(definition)
    bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle, digest=digest)
    _make_folder(target)
    with locked_file(target.with_name(f".{target.name}.lock")):
        return _score(contract, definition, bundle, target, leads=leads, as_of=as_of, quarantine=quarantine)


def score_frame(
    frame: pd.DataFrame,
    *,
    definition: Definition,
    bundle: Bundle,
    id_column: str,
    as_of: dt.date | None = None,
) -> pd.DataFrame:
    """Score leads in memory.

    Parameters
    ----------
    frame : DataFrame of shape (n_leads, …)
        Leads with the columns and types of their contract.
    definition : Definition
        The definition version that is applied.
    bundle : Bundle
        The models.
    id_column : str
        The column that names the lead.
    as_of : date, optional
        The day on which ages in the definition end.

    Returns
    -------
    DataFrame
        The columns of a score file (`SCORE_COLUMNS`), the index of `frame`.
    """
    import pandas as pd

    probabilities = bundle.predict(frame)
    return pd.DataFrame(
        {
            "lead_id": frame[id_column].astype(str),
            "lead_class": assign_classes(definition, frame, as_of=as_of).astype(str),
            "probability_accepted": probabilities["probability_accepted"],
            "probability_won": probabilities["probability_won"],
            "reasons": explain_classes(definition, frame, as_of=as_of),
            "definition_version": definition.version,
            "bundle": bundle.digest,
        },
        index=frame.index,
    )


def _score(
    contract: Contract,
    definition: Definition,
    bundle: Bundle,
    target: Path,
    *,
    leads: Path | str | None,
    as_of: dt.date | None,
    quarantine: Path | str | None,
) -> ScoreManifest:
    table = read_leads(contract, leads=leads, as_of=as_of, need="attributes")
    id_column = next(column.name for column in contract.columns if column.role == "id")
    scores = score_frame(
        table.frame, definition=definition, bundle=bundle, id_column=id_column, as_of=table.as_of
    )
    counts = table.manifest
    if counts.read != len(scores) + counts.quarantined + counts.duplicates:
        raise LeadsError(
            f"{contract.source}: rows do not reconcile (read {counts.read:,}, scored {len(scores):,}, "
            f"quarantined {counts.quarantined:,}, duplicates {counts.duplicates:,}); nothing was written."
        )
    if quarantine is not None:
        write_text(quarantine, table.quarantine.to_csv(index=False, lineterminator="\n"))
    with (
        replaced_file(target) as temporary,
        open_writer(temporary, suffix=target.suffix, columns=SCORE_COLUMNS) as writer,
    ):
        writer.write(scores)
    found = scores["lead_class"].value_counts()
    return ScoreManifest(
        read=counts.read,
        scored=len(scores),
        quarantined=counts.quarantined,
        duplicates=counts.duplicates,
        classes=tuple((entry.name, int(found.get(entry.name, 0))) for entry in definition.classes),
        definition=definition.name,
        definition_version=definition.version,
        definition_sha256=definition.sha256,
        bundle=bundle.digest,
        data_sha256=counts.data_sha256,
        output=target,
        output_sha256=compute_sha256(target),
        as_of=table.as_of,
        notices=(*counts.notices, *_skew_notices(contract, definition, bundle)),
    )


def _skew_notices(contract: Contract, definition: Definition, bundle: Bundle) -> list[str]:
    notices = []
    if bundle.definition_sha256 and bundle.definition_sha256 != definition.sha256:
        notices.append(
            f"the bundle was trained beside {bundle.definition_name} {bundle.definition_version}, "
            f"the leads are classed by {definition.name} {definition.version}."
        )
    if bundle.contract_sha256 and bundle.contract_sha256 != contract.sha256:
        notices.append(f"the bundle was trained with another text of the contract {bundle.contract_name!r}.")
    notices += [f"no probability of {target}: {reason}" for target, reason in bundle.untrained.items()]
    return notices


def _make_folder(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise OutputError(f"{target}: cannot write here: {reason}.") from error
