"""Score files as the CRMs import them: one row per record, the CRM's own column names, nothing that runs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from leadml._files import locked_file, replaced_file
from leadml.errors import InputMissingError, LeadsError
from leadml.scoring._write import safe_cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from leadml.definitions import Definition

__all__ = ["CrmName", "write_crm_file"]

CrmName = Literal["salesforce", "hubspot", "dynamics"]
REASON_CHARACTERS = 255
BATCH_ROWS = 50_000
_IDS = {
    "salesforce": (re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?"), "15 or 18 letters and digits"),
    "hubspot": (re.compile(r"[0-9]{1,20}"), "digits"),
    "dynamics": (
        re.compile(r"\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?"),
        "a GUID such as 8-4-4-4-12 hexadecimal digits",
    ),
}
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "salesforce": {
        "Id": "lead_id",
        "Leadml_Class__c": "lead_class",
        "Leadml_Probability_Accepted__c": "accepted_percent",
        "Leadml_Probability_Won__c": "won_percent",
        "Leadml_Reasons__c": "reasons",
        "Leadml_Definition__c": "definition_version",
    },
    "hubspot": {
        "Record ID": "lead_id",
        "leadml_class": "lead_class",
        "leadml_probability_accepted": "accepted_percent",
        "leadml_probability_won": "won_percent",
        "leadml_reasons": "reasons",
        "leadml_definition": "definition_version",
    },
    "dynamics": {
        "msdyn_entityid": "lead_id",
        "msdyn_entitytype": "entity",
        "msdyn_score": "score",
        "msdyn_grade": "grade",
        "msdyn_scoretrend": "trend",
    },
}
_N_GRADES = 4
_TREND_NOT_KNOWN = "3"


def write_crm_file(
    scores: Path | str, *, crm: CrmName, output: Path | str, definition: Definition | None = None
) -> int:
    """Write a score file as a CSV file that a CRM imports.

    Salesforce (Data Loader, upsert by Id) and HubSpot (import by Record ID) get class, probabilities in
    percent, reasons (at most 255 characters) and the definition's version. Dynamics 365 gets rows of
    ``msdyn_predictivescores``: the probability of a won deal (of acceptance where there is none) as a score
    from 0 to 100, the lead class as grade 0 to 3 (A to D) in the order of the definition, trend "not enough
    info". Memory does not depend on the number of rows; the file is written whole or not at all.

    Parameters
    ----------
    scores : path-like
        A score file (``.csv`` or ``.parquet``) of `score_leads`.
    crm : {"salesforce", "hubspot", "dynamics"}
        Whose import it is for.
    output : path-like
        The CSV file.
    definition : Definition, optional
        Gives the order of the classes; needed for Dynamics.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    InputMissingError
        If there is no such score file.
    LeadsError
        If the lead ids are not record ids of that CRM; nothing is written.
    OutputError
        If the file cannot be written.
    """
    if crm not in _COLUMNS:
        raise ValueError(f"crm: expected salesforce, hubspot or dynamics, got {crm!r}.")
    if crm == "dynamics" and definition is None:
        raise ValueError("definition: Dynamics grades follow the order of its classes; give the definition.")
    grades = (
        {}
        if definition is None
        else {entry.name: min(place, _N_GRADES - 1) for place, entry in enumerate(definition.classes)}
    )
    target, n_rows, strange = Path(output), 0, 0
    with locked_file(target.with_name(f".{target.name}.lock")), replaced_file(target) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(",".join(_COLUMNS[crm]) + "\r\n")
            for batch in _read_scores(Path(scores)):
                strange += int((~batch["lead_id"].map(lambda text: bool(_IDS[crm][0].fullmatch(text)))).sum())
                columns = _columns(batch, grades)
                cells = [safe_cells(columns[name]) for name in _COLUMNS[crm].values()]
                stream.writelines(",".join(row) + "\r\n" for row in zip(*cells, strict=True))
                n_rows += len(batch)
        if strange:
            raise LeadsError(
                f"{scores}: {strange:,} of {n_rows:,} lead ids are no record ids of {crm} "
                f"(expected {_IDS[crm][1]}); the file for {crm} was not written. Let the contract's id be "
                "the CRM's own."
            )
    return n_rows


def _read_scores(path: Path) -> Iterator[pd.DataFrame]:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    yield batch.to_pandas()
            return
        text = dict.fromkeys(("lead_id", "lead_class", "reasons", "definition_version"), "str")
        with pd.read_csv(
            path, dtype=text, keep_default_na=False, na_values={}, chunksize=BATCH_ROWS
        ) as parts:
            for part in parts:
                yield part.assign(
                    **{
                        name: pd.to_numeric(part[name].replace("", None))
                        for name in ("probability_accepted", "probability_won")
                    }
                )
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise InputMissingError(f"{path}: cannot read this score file ({type(error).__name__}).") from error


def _columns(batch: pd.DataFrame, grades: Mapping[str, int]) -> dict[str, list[str]]:
    accepted, won = (batch[f"probability_{target}"].astype(float) for target in ("accepted", "won"))
    return {
        "lead_id": [text.strip("{}") for text in batch["lead_id"]],
        "lead_class": list(batch["lead_class"]),
        "accepted_percent": [_percent(value) for value in accepted],
        "won_percent": [_percent(value) for value in won],
        "reasons": [_short(text) for text in batch["reasons"]],
        "definition_version": list(batch["definition_version"]),
        "entity": ["lead"] * len(batch),
        "score": ["" if math.isnan(value) else str(round(100 * value)) for value in won.fillna(accepted)],
        "grade": [str(grades.get(name, _N_GRADES - 1)) for name in batch["lead_class"]],
        "trend": [_TREND_NOT_KNOWN] * len(batch),
    }


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.4f}"


def _short(text: str) -> str:
    return text if len(text) <= REASON_CHARACTERS else text[: REASON_CHARACTERS - 1] + "…"
