import csv

import pandas as pd
import pytest

from leadml.errors import InputMissingError, LeadsError
from leadml.scoring import SCORE_COLUMNS, write_crm_file
from leadml.scoring._write import open_writer

IDS = {
    "salesforce": ["00Q5g00000ABCDEFGH", "00Q5g00000ABCDE"],
    "hubspot": ["101", "102"],
    "dynamics": ["0f8fad5b-d9cb-469f-a165-70867728950e", "{7C9E6679-7425-40DE-944B-E07FC1F90AE7}"],
}


def scores(tmp_path, ids, *, suffix=".csv", **changes):
    values = {
        "lead_id": ids,
        "lead_class": ["hot", "cold"],
        "probability_accepted": [0.5, 0.25],
        "probability_won": [0.123456, float("nan")],
        "reasons": ["meets a, and b", "=cmd" + "x" * 300],
        "definition_version": ["2026.3", "2026.3"],
        "bundle": ["ff", "ff"],
    }
    path = tmp_path / f"scores{suffix}"
    with open_writer(path, suffix=suffix, columns=SCORE_COLUMNS) as writer:
        writer.write(pd.DataFrame({**values, **changes})[list(SCORE_COLUMNS)])
    return path


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_salesforce_gets_an_upsert_by_id(tmp_path, suffix):
    path = scores(tmp_path, IDS["salesforce"], suffix=suffix)
    assert write_crm_file(path, crm="salesforce", output=tmp_path / "crm.csv") == 2
    header, first, second = rows(tmp_path / "crm.csv")
    assert header[:4] == [
        "Id",
        "Leadml_Class__c",
        "Leadml_Probability_Accepted__c",
        "Leadml_Probability_Won__c",
    ]
    assert first == ["00Q5g00000ABCDEFGH", "hot", "50.0000", "12.3456", "meets a, and b", "2026.3"]
    assert second[3] == ""
    assert second[4].startswith("'=cmd")
    assert (tmp_path / "crm.csv").read_bytes().count(b"\r\n") == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["crm.csv", path.name]


def test_hubspot_gets_its_record_ids(tmp_path):
    write_crm_file(scores(tmp_path, IDS["hubspot"]), crm="hubspot", output=tmp_path / "crm.csv")
    header, first, second = rows(tmp_path / "crm.csv")
    assert header[0] == "Record ID"
    assert (first[0], first[1], second[0]) == ("101", "hot", "102")
    assert len(second[4]) <= 257


def test_dynamics_gets_predictive_scores(tmp_path):
    from leadml.definitions import parse_definition

    definition = parse_definition(
        "name: x\nversion: 1\nowners: {marketing: a, sales: b}\nmeaning: m.\n"
        "attributes:\n  employees: {type: integer, unit: people, known_at: capture}\n"
        "classes:\n  - {name: hot, meaning: h., all_of: [employees >= 50]}\n"
        "  - {name: cold, otherwise: true}\nhandoff: [hot]\n"
    )
    write_crm_file(
        scores(tmp_path, IDS["dynamics"]), crm="dynamics", output=tmp_path / "crm.csv", definition=definition
    )
    header, first, second = rows(tmp_path / "crm.csv")
    assert header == ["msdyn_entityid", "msdyn_entitytype", "msdyn_score", "msdyn_grade", "msdyn_scoretrend"]
    assert first == [IDS["dynamics"][0], "lead", "12", "0", "3"]
    assert second == [IDS["dynamics"][1].strip("{}"), "lead", "25", "1", "3"]


def test_ids_of_another_system_are_refused_and_the_old_file_stays(tmp_path):
    (tmp_path / "crm.csv").write_text("old")
    with pytest.raises(LeadsError, match="1 of 2 lead ids are no record ids of hubspot"):
        write_crm_file(scores(tmp_path, ["101", "L-1"]), crm="hubspot", output=tmp_path / "crm.csv")
    assert (tmp_path / "crm.csv").read_text() == "old"


def test_what_is_missing_or_unknown_is_said(tmp_path):
    with pytest.raises(InputMissingError, match=r"nowhere.csv"):
        write_crm_file(tmp_path / "nowhere.csv", crm="hubspot", output=tmp_path / "crm.csv")
    with pytest.raises(ValueError, match="expected salesforce"):
        write_crm_file(tmp_path / "s.csv", crm="sap", output=tmp_path / "crm.csv")
    with pytest.raises(ValueError, match="give the definition"):
        write_crm_file(tmp_path / "s.csv", crm="dynamics", output=tmp_path / "crm.csv")
