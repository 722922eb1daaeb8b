"""Contacts that another contact lists as merged into it are duplicates, however the export is read."""

import csv

import pandas as pd
import pytest

from leadml.errors import ContractError
from leadml.leads import ingest_leads, open_chunk, open_leads, parse_contract, plan_chunks, read_leads

MERGED = "property_hs_calculated_merged_vids"
LISTS = {
    5: "31:1661707291575;7:1661707931852; 32:1661696530403",
    20: "20:1661707291575;33",  # its own id stands in it, too
    33: "34:1661707291575",  # merged into 33 before that was merged into 20
    36: "999:1661707291575",  # is not in the export
}
GONE = {"7", "31", "32", "33", "34"}
MALFORMED = ["21;12:yesterday", "21 22", ":1661707291575", "no list"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Files of a few lines have many blocks here."""
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 1_000)


@pytest.fixture
def contacts(shared_data):
    """Forty contacts under the header of a real export."""
    path = shared_data / "crm_headers" / "dbt_hubspot_source__contact_data.csv"
    with path.open(encoding="utf-8") as stream:
        frame = pd.DataFrame("", index=range(1, 41), columns=next(csv.reader(stream)), dtype=object)
    frame["id"] = [str(number) for number in frame.index]
    frame["_fivetran_deleted"] = "FALSE"
    frame["property_createdate"] = "2021-04-01 17:32:47"
    frame["property_email"] = "canary@x.com"
    frame["property_annualrevenue"] = [str(100 * number) for number in frame.index]
    frame["property_lifecyclestage"] = "customer"
    for number, text in LISTS.items():
        frame.loc[number, MERGED] = text
    frame.loc[34, "_fivetran_deleted"] = "TRUE"
    return pd.concat([frame, frame.loc[[12]]])


def hubspot(folder, form="csv"):
    leads = f"{{path: leads.{form}, format: {form}}}"
    text = f"name: mine\nextends: hubspot\ntables: {{leads: {leads}}}\nquarantine_limit: 50%\n"
    return parse_contract(text, folder=folder)


def kept(frame):
    return frame["lead_id"].astype(str).tolist()


def in_parts(contract, **options):
    plan = plan_chunks(contract, n_chunks=4, **options)
    assert len(plan.chunks) > 2
    found, duplicates, rules = [], 0, []
    for chunk in plan.chunks:
        with open_chunk(plan.contract, chunk, roles=plan.roles) as stream:
            for batch in stream:
                found += kept(batch.frame)
                duplicates += batch.duplicates
                rules += [reject.rule for reject in batch.rejects]
    return found, duplicates, rules


def test_contacts_in_the_list_of_another_one_are_duplicates(tmp_path, contacts):
    contacts.to_csv(tmp_path / "leads.csv", index=False)
    contract = hubspot(tmp_path)
    table = read_leads(contract)
    left = [str(number) for number in range(1, 41) if str(number) not in GONE]
    assert kept(table.frame) == left
    counts = table.manifest
    # 34 is deleted as well, and that is said of it; 12 stands in the file twice.
    assert (counts.read, counts.kept, counts.quarantined, counts.duplicates) == (41, 35, 1, 5)
    assert table.quarantine["rule"].tolist() == ["deleted"]
    report = ingest_leads(contract, output=tmp_path / "out.parquet")
    assert report.to_dict() == table.to_dict()
    assert report.manifest.notices == counts.notices
    assert kept(pd.read_parquet(tmp_path / "out.parquet")) == left
    scored = read_leads(contract, need="attributes")
    assert kept(scored.frame) == left


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("columns", ["scored", "all"])
def test_each_part_of_a_file_knows_the_lists_of_all(tmp_path, contacts, form, columns):
    contacts = contacts.iloc[:-1]
    path = tmp_path / f"leads.{form}"
    contacts.to_csv(path, index=False) if form == "csv" else contacts.to_parquet(path, index=False)
    contract = hubspot(tmp_path, form)
    with open_leads(contract, columns=columns) as stream:
        whole = [lead for batch in stream for lead in kept(batch.frame)]
    found, duplicates, rules = in_parts(contract, columns=columns)
    assert found == whole == [str(number) for number in range(1, 41) if str(number) not in GONE]
    assert (duplicates, rules) == (4, ["deleted"])


@pytest.mark.parametrize("system", ["duckdb", "sqlite"])
def test_lists_are_read_from_a_database(tmp_path, contacts, system):
    contacts = contacts.iloc[:-1].assign(id=lambda frame: frame["id"].astype("int64"))
    if system == "duckdb":
        import duckdb

        with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
            connection.register("given", contacts)
            connection.execute("create table leads as select * from given")
        text = "tables: {leads: {path: crm.duckdb, format: duckdb, sheet: leads}}"
    else:
        from sqlalchemy import create_engine

        engine = create_engine(f"sqlite:///{tmp_path / 'crm.db'}")
        contacts.to_sql("leads", engine, index=False)
        engine.dispose()
        text = "tables: {leads: {path: 'sqlite:///crm.db#leads', format: sql}}"
    contract = parse_contract(f"name: mine\nextends: hubspot\n{text}\n", folder=tmp_path)
    table = read_leads(contract)
    assert set(kept(table.frame)) == {str(number) for number in range(1, 41)} - GONE
    assert table.manifest.duplicates == 4
    assert ingest_leads(contract, output=tmp_path / "out.csv").to_dict() == table.to_dict()


def test_without_the_column_every_contact_is_a_lead(tmp_path, contacts):
    contacts.drop(columns=MERGED).to_csv(tmp_path / "leads.csv", index=False)
    table = read_leads(hubspot(tmp_path))
    assert len(table) == 39
    assert (table.manifest.duplicates, table.manifest.quarantined) == (1, 1)
    assert ingest_leads(hubspot(tmp_path), output=tmp_path / "out.csv").to_dict() == table.to_dict()


@pytest.mark.parametrize("text", MALFORMED)
def test_a_list_that_cannot_be_read_takes_out_its_row_and_no_other(tmp_path, contacts, text):
    contacts.loc[36, MERGED] = text
    contacts = contacts.iloc[:-1]
    contacts.to_csv(tmp_path / "leads.csv", index=False)
    table = read_leads(hubspot(tmp_path))
    assert set(kept(table.frame)) == {str(number) for number in range(1, 41)} - GONE - {"36"}
    broken = table.quarantine[table.quarantine["rule"] == "merged_ids"]
    assert broken["column"].tolist() == [MERGED]
    assert broken["line"].tolist() == [37]
    assert ingest_leads(hubspot(tmp_path), output=tmp_path / "out.csv").to_dict() == table.to_dict()
    found, _, rules = in_parts(hubspot(tmp_path))
    assert found == kept(table.frame)
    assert sorted(rules) == ["deleted", "merged_ids"]


def test_lists_need_ids_and_the_table_of_the_leads():
    with pytest.raises(ContractError) as caught:
        parse_contract(
            "name: wrong\ntables:\n  leads: {path: a.csv, merged_ids: Old}\n"
            "  deals: {path: b.csv, join: {leads.Deal: Id}, merged_ids: Old}\n"
            "columns:\n  lead_id: {from: 'leads.#line', role: id}\n"
        )
    assert "tables.deals.merged_ids: is for the first table" in str(caught.value)
    assert "tables.leads.merged_ids: the leads have no ids" in str(caught.value)
