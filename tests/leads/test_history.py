import pandas as pd
import pytest

from leadml.errors import ContractError, InputMissingError, QuarantineError
from leadml.leads import _batches, audit_leads, ingest_leads, open_leads, parse_contract, read_leads

CONTRACT = """
name: changes
tables:
  leads: {path: leads.csv}
  changes: {path: changes.csv, history: {lead: LeadId, field: Field, old: OldValue, at: CreatedDate, format: "%Y-%m-%d %H:%M"}}
quarantine_limit: 20%
columns:
  lead_id: {from: leads.Id, role: id}
  created_on: {from: leads.Created, role: created, type: date}
  handed_on: {from: leads.Handed, role: handed_over, type: date}
  rating: {from: leads.Rating, role: attribute, type: category}
  employees: {from: leads.Employees, role: attribute, type: integer}
"""
LEADS = """Id,Created,Handed,Rating,Employees
1,2021-01-01,2021-01-10,Hot,500
2,2021-01-01,2021-01-10,Hot,500
3,2021-01-01,,Hot,500
4,2021-01-01,2021-01-10,,7
"""
CHANGES = """LeadId,Field,OldValue,NewValue,CreatedDate
1,Rating,Cold,Warm,2021-01-05 10:00
1,Rating,Warm,Hot,2021-02-05 10:00
1,Rating,Hot,Hot,2021-03-05 10:00
1,Employees,50,500,2021-02-01 10:00
2,Employees,many,500,2021-02-01 10:00
2,Rating,Cold,Hot,2021-01-10 16:00
3,Rating,,Hot,2021-01-03 10:00
4,Rating,New level,,2021-05-01 10:00
4,Owner,a,b,2021-05-01 10:00
9,Rating,a,b,2021-05-01 10:00
1,Rating,a,b,someday
"""


@pytest.fixture
def read(tmp_path):
    def run(contract=CONTRACT):
        (tmp_path / "leads.csv").write_text(LEADS)
        (tmp_path / "changes.csv").write_text(CHANGES)
        return read_leads(parse_contract(contract, folder=tmp_path))

    return run


def test_attributes_are_taken_as_they_were_at_the_handoff(read):
    table = read()
    rating = table.frame["rating"].astype(object)
    assert rating.tolist()[:2] == ["Warm", "Hot"]  # what changed on the day of the handoff came with it
    assert pd.isna(rating[2])  # never handed over: as it was when the lead came in
    assert rating[3] == "New level"
    assert table.frame["employees"].tolist()[0] == 50
    assert pd.isna(table.frame["employees"][1])
    said = " ".join(table.manifest.notices)
    assert "rating: 3 leads had another value at the handoff" in said
    assert "employees: 1 old values break the contract" in said
    assert "changes: 1 changes could not be read" in said
    assert table.frame["employees"].dtype == "Int64"


def test_with_changes_at_hand_nobody_need_say_when_an_attribute_is_known(read):
    assert not [each for each in audit_leads(read()).findings if each.code == "known_at_undeclared"]


def test_a_table_of_changes_says_where_it_says_what(read):
    with pytest.raises(ContractError, match="key 'old' is missing"):
        read(CONTRACT.replace("old: OldValue, ", ""))
    with pytest.raises(ContractError, match="the first table holds the leads"):
        read(CONTRACT.replace("history: {", "join: {leads.Id: LeadId}, history: {"))


def test_batches_take_attributes_as_they_were_at_the_handoff_too(read, tmp_path, monkeypatch):
    table = read()
    contract = parse_contract(CONTRACT, folder=tmp_path)
    report = ingest_leads(contract, output=tmp_path / "out.parquet")
    back = pd.read_parquet(tmp_path / "out.parquet")
    assert back["rating"].astype(object).fillna("").tolist() == ["Warm", "Hot", "", "New level"]
    assert back["employees"].fillna(0).tolist() == table.frame["employees"].fillna(0).tolist()
    assert report.to_dict() == table.to_dict()
    assert report.manifest == table.manifest
    monkeypatch.setattr(_batches, "BATCH_ROWS", 1)
    with open_leads(contract) as stream:
        scored = [count for batch in stream for count in batch.frame["employees"].fillna(0)]
    assert scored == table.frame["employees"].fillna(0).tolist()


def test_a_change_without_a_time_is_quarantined_and_too_many_are_refused(read):
    table = read()
    assert table.to_dict()["quarantine"] == [
        {"table": "changes", "line": 12, "column": "CreatedDate", "rule": "date_format"}
    ]
    assert [(each.table, each.read, each.quarantined) for each in table.manifest.other_tables] == [
        ("changes", 11, 1)
    ]
    with pytest.raises(QuarantineError, match="table 'changes': 1 of 11 rows"):
        read(CONTRACT.replace("20%", "5%"))


def test_leads_can_be_scored_where_the_table_of_changes_is_not_there(read, tmp_path):
    read()
    (tmp_path / "changes.csv").unlink()
    contract = parse_contract(CONTRACT, folder=tmp_path)
    with open_leads(contract) as stream:
        assert sum(len(batch.frame) for batch in stream) == 4
    with pytest.raises(InputMissingError, match=r"changes\.csv"):
        ingest_leads(contract, output=tmp_path / "out.parquet")


def test_a_log_of_new_values_says_what_each_replaced(read, tmp_path):
    contract = CONTRACT.replace("old: OldValue", "new: NewValue").replace("20%", "50%")
    rating = read(contract).frame["rating"].astype(object)
    assert rating.tolist()[:2] == ["Warm", "Hot"]
    assert pd.isna(rating[2])
    with pytest.raises(ContractError, match="old"):
        parse_contract(CONTRACT.replace("old: OldValue", "new: NewValue, old: OldValue"), folder=tmp_path)


def test_changes_of_other_fields_or_other_leads_only_are_said(read, tmp_path):
    said = read().manifest.notices
    assert not any("no change is about" in notice or "no lead has" in notice for notice in said)
    contract = parse_contract(CONTRACT, folder=tmp_path)
    (tmp_path / "changes.csv").write_text("LeadId,Field,OldValue,CreatedDate\n1,Owner,a,2021-01-05 10:00\n")
    for notices in (read_leads(contract).manifest.notices, ingest_notices(contract, tmp_path)):
        assert any("changes: no change is about an attribute of the leads" in notice for notice in notices)
    (tmp_path / "changes.csv").write_text(
        "LeadId,Field,OldValue,CreatedDate\n001,Rating,a,2021-01-05 10:00\n"
    )
    for notices in (read_leads(contract).manifest.notices, ingest_notices(contract, tmp_path)):
        assert any("changes: no lead has a change in it:" in notice for notice in notices)


def ingest_notices(contract, folder):
    return ingest_leads(contract, output=folder / "out.parquet").manifest.notices


def test_a_sheet_of_changes_may_hold_dates_as_texts(read, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    before = read()
    book = openpyxl.Workbook()
    for line in CHANGES.strip().splitlines():
        book.active.append(line.split(","))
    book.save(tmp_path / "changes.xlsx")
    after = read(CONTRACT.replace("changes.csv", "changes.xlsx"))
    pd.testing.assert_frame_equal(after.frame, before.frame)
    assert after.manifest.other_tables == before.manifest.other_tables
