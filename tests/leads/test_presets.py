import csv

import pandas as pd
import pytest

from leadml.errors import ContractError, LeadsError
from leadml.leads import ingest_leads, parse_contract, read_leads
from leadml.leads._presets import PRESETS, read_preset

HEADERS = {
    "salesforce": "dbt_salesforce_source__sf_lead_data.csv",
    "hubspot": "dbt_hubspot_source__contact_data.csv",
    "marketo": "dbt_marketo_source__marketo_lead_data.csv",
    "pardot": "dbt_pardot_source__pardot_prospect_data.csv",
}


def extended(folder, preset, tables="leads: {path: leads.csv}", more=""):
    text = f"name: mine\nextends: {preset}\ntables: {{{tables}}}\nquarantine_limit: 50%\n{more}"
    return parse_contract(text, folder=folder)


def write(path, header, *rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def by_name(header, **values):
    return [values.get(name, "") for name in header]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_extended(name, tmp_path):
    contract = extended(tmp_path, name)
    assert contract.column_by_role("id") is not None
    assert contract.name == "mine"
    assert "preset" not in read_preset(name)[:20]


@pytest.mark.parametrize("name", HEADERS)
def test_a_preset_reads_a_file_with_the_real_header(name, tmp_path, shared_data):
    with (shared_data / "crm_headers" / HEADERS[name]).open(encoding="utf-8") as stream:
        header = next(csv.reader(stream))
    rows = []
    for number in range(30):
        row = dict.fromkeys(header, "")
        row |= {key: f"id{number}" for key in ("id", "hs_object_id") if key in row}
        for key in ("created_date", "created_at", "property_createdate"):
            if key in row:
                zone = " +0000" if name == "pardot" else " +0000" if name == "salesforce" else ""
                row[key] = f"2021-01-{1 + number % 28:02d} 10:00:00{zone}"
        row |= {key: str(10 * number) for key in ("number_of_employees", "employees") if key in row}
        row |= {key: "Web" for key in ("lead_source", "source") if key in row}
        row |= {key: "true" if number % 2 else "false" for key in ("is_converted",) if key in row}
        row |= {key: f"secret{number}@x.com" for key in header if "email" in key and "bounced" not in key}
        row |= {"password": f"hunter{number}"} if "password" in row else {}
        row |= {"is_deleted": "true" if number == 3 else "false"} if "is_deleted" in row else {}
        row |= {"_fivetran_deleted": "TRUE" if number == 3 else "FALSE"} if "_fivetran_deleted" in row else {}
        rows.append([row[key] for key in header])
    write(tmp_path / "leads.csv", header, *rows)
    more = "" if name != "hubspot" else "drop: [verdict]\n"
    table = read_leads(extended(tmp_path, name, more=more))
    deleted = 0 if name == "marketo" else 1
    assert len(table) == 30 - deleted
    assert table.quarantine["rule"].tolist() == ["deleted"] * deleted
    shown = table.frame.to_csv() + repr(table) + " ".join(table.manifest.notices)
    assert "hunter" not in shown
    assert "secret" not in shown
    if name == "salesforce":
        assert set(table.frame["verdict"]) == {"accepted", "pending"}
        assert table.frame["employees"].max() == 290
        assert str(table.frame["created_at"].dt.tz) == "UTC"


def test_salesforce_report_labels_are_read_and_flags_decide(tmp_path):
    leads = [
        "Lead ID",
        "Create Date",
        "Employees",
        "Lead Source",
        "Lead Status",
        "Converted",
        "Converted Date",
    ]
    leads += ["Lead Owner", "Opportunity ID", "Master Record ID", "Company / Account"]
    write(
        tmp_path / "leads.csv",
        leads,
        [
            "00Q1",
            "2021-01-05T10:00:00.000Z",
            "1,200",
            "Web",
            "Closed - Converted",
            "1",
            "2021-01-09",
            "005A",
            "006A",
            "",
            "x",
        ],
        [
            "00Q2",
            "2021-01-06T10:00:00.000Z",
            "",
            "--None--",
            "Closed - Converted",
            "0",
            "",
            "00G9queue",
            "",
            "",
            "x",
        ],
        ["00Q3", "2021-01-06T10:00:00.000Z", "7", "Web", "New", "0", "", "005A", "", "00Q1", "x"],
        [
            "00Q4",
            "2021-01-07T10:00:00.000Z",
            "9",
            "Web",
            "Qualified",
            "1",
            "2021-01-09",
            "005B",
            "006B",
            "",
            "x",
        ],
        [
            "00Q5",
            "2021-01-07T10:00:00.000Z",
            "9",
            "Web",
            "Qualified",
            "1",
            "2021-01-09",
            "005B",
            "006C",
            "",
            "x",
        ],
    )
    deals = ["Opportunity ID", "StageName", "IsWon", "IsClosed", "Close Date", "Amount"]
    write(
        tmp_path / "deals.csv",
        deals,
        ["006A", "Picked Up / Won", "true", "true", "2021-02-01", "12000"],
        ["006B", "Alternative Quote", "false", "false", "2022-02-01", ""],
        ["006C", "Closed Lost", "FALSE", "TRUE", "2021-03-01", ""],
    )
    contract = extended(tmp_path, "salesforce", "leads: {path: leads.csv}, opportunities: {path: deals.csv}")
    table = read_leads(contract)
    assert table.frame["lead_id"].tolist() == ["00Q1", "00Q2", "00Q4", "00Q5"]
    assert table.frame["verdict"].tolist() == ["accepted", "pending", "accepted", "accepted"]
    assert table.frame["outcome"].tolist() == ["won", "open", "open", "lost"]
    assert table.frame["closed_on"].notna().tolist() == [True, False, False, True]
    assert table.frame["rep"].notna().tolist() == [True, False, True, True]
    assert table.frame["lead_source"].isna().tolist() == [False, True, False, False]
    assert (table.manifest.read, table.manifest.kept, table.manifest.duplicates) == (5, 4, 1)
    assert any(notice.startswith("not in this export, left out:") for notice in table.manifest.notices)
    report = ingest_leads(contract, output=tmp_path / "out.parquet")
    assert report.to_dict() == table.to_dict()
    assert pd.read_parquet(tmp_path / "out.parquet")["outcome"].tolist() == table.frame["outcome"].tolist()


def test_odoo_lost_leads_are_archived(tmp_path):
    header = ["id", "create_date", "probability", "active", "lost_reason_id", "priority", "date_closed"]
    write(
        tmp_path / "leads.csv",
        header,
        ["1", "2021-01-05 10:00:00", "100", "True", "", "1", "2021-02-05 10:00:00"],
        ["2", "2021-01-05 10:00:00", "0", "False", "Too expensive", "0", "2021-02-05 10:00:00"],
        ["3", "2021-01-05 10:00:00", "0", "True", "", "2", ""],
        ["4", "2021-01-05 10:00:00", "35.5", "True", "", "0", ""],
    )
    frame = read_leads(extended(tmp_path, "odoo")).frame
    assert frame["outcome"].tolist() == ["won", "lost", "open", "open"]
    assert frame["reason_family"].tolist()[1] == "after_contact"
    assert frame["priority"].isna().tolist() == [False, True, False, True]


def test_dynamics_booleans_are_inverted_and_defaults_are_missing(tmp_path):
    header = ["leadid", "createdon", "statecode", "statuscode", "leadqualitycode", "confirminterest"]
    header += ["purchasetimeframe", "budgetstatus", "decisionmaker", "merged"]
    write(
        tmp_path / "leads.csv",
        header,
        ["a", "2021-01-05T10:00:00Z", "1", "3", "1", "No", "0", "3", "1", "0"],
        ["b", "2021-01-05T10:00:00Z", "2", "6", "2", "Yes", "4", "0", "0", "0"],
        ["c", "2021-01-05T10:00:00Z", "0", "1", "3", "", "", "", "0", "0"],
        ["d", "2021-01-05T10:00:00Z", "0", "1", "3", "", "", "", "0", "1"],
    )
    table = read_leads(extended(tmp_path, "dynamics"))
    frame = table.frame
    assert frame["verdict"].tolist() == ["accepted", "rejected", "pending"]
    assert frame["confirmed_interest"].tolist()[:2] == [True, False]
    assert frame["lead_quality"].isna().tolist() == [False, True, False]
    assert frame["purchase_timeframe"].isna().tolist() == [False, True, True]
    assert frame["reason_family"].isna().tolist() == [True, False, True]
    assert frame["budget_status"].tolist()[0] == "3"
    assert "decisionmaker" not in " ".join(column.source for column in table.contract.columns)
    assert table.manifest.duplicates == 1


def test_hubspot_ranges_are_ordered_levels(tmp_path):
    header = ["Record ID", "Create Date", "numemployees", "lifecyclestage"]
    write(
        tmp_path / "leads.csv",
        header,
        ["1", "2021-01-05 10:00", "5-25", "salesqualifiedlead"],
        ["2", "2021-01-05 10:00", "1000+", "lead"],
    )
    frame = read_leads(extended(tmp_path, "hubspot")).frame
    assert frame["employees_range"].cat.ordered
    assert frame["employees_range"].max() == "1000+"
    assert frame["verdict"].tolist() == ["accepted", "pending"]


def test_own_columns_replace_the_preset_s_and_drop_takes_them_out(tmp_path):
    more = (
        "drop: [rating, industry]\n"
        "columns:\n"
        "  verdict: {from: leads.Status, role: verdict, accepted: [Qualified], rejected: [Unqualified]}\n"
        "  region: {from: leads.Region__c, role: attribute, type: category}\n"
        "windows: {verdict: 20 days}\n"
    )
    contract = extended(tmp_path, "salesforce", more=more)
    names = [column.name for column in contract.columns]
    assert "region" in names
    assert "rating" not in names
    assert "outcome" not in names  # no path for opportunities: nothing of it is read
    assert contract.column("verdict").source == "Status"
    assert contract.windows_verdict == 20
    write(
        tmp_path / "leads.csv",
        ["Id", "Status", "Region__c"],
        ["1", "Qualified", "N"],
        ["2", "Unqualified", "S"],
    )
    table = read_leads(contract)
    assert table.frame["verdict"].tolist() == ["accepted", "rejected"]


def test_a_column_that_is_needed_is_still_needed(tmp_path):
    write(tmp_path / "leads.csv", ["Id", "Email"], ["1", "x"])
    with pytest.raises(LeadsError, match="no column 'IsConverted' in the header"):
        read_leads(extended(tmp_path, "salesforce"))


def test_an_unknown_preset_is_refused(tmp_path):
    with pytest.raises(ContractError, match=r"got 'salesforc'. Did you mean 'salesforce'\?"):
        extended(tmp_path, "salesforc")
    with pytest.raises(ContractError, match="the preset has no column 'ratin'"):
        extended(tmp_path, "salesforce", more="drop: [ratin]\n")


def real_header(shared_data, name):
    with (shared_data / "crm_headers" / name).open(encoding="utf-8") as stream:
        return next(csv.reader(stream))


def read_twice(folder, preset, tables, more=""):
    """Read whole and in batches; both must say the same."""
    contract = extended(folder, preset, tables, more)
    table = read_leads(contract)
    report = ingest_leads(contract, output=folder / "out.parquet")
    assert report.to_dict() == table.to_dict()
    assert pd.read_parquet(folder / "out.parquet").shape[0] == len(table)
    return table


def test_salesforce_as_it_is_replicated(tmp_path, shared_data):
    header = real_header(shared_data, "dbt_salesforce_source__sf_lead_data.csv")
    born = {"is_deleted": "FALSE", "_fivetran_active": "true", "created_date": "2021-01-05 10:00:00"}
    rows = [
        {
            "id": "00Q1",
            "is_converted": "TRUE",
            "status": "Closed - Qualified",
            "converted_opportunity_id": "006A",
        },
        {"id": "00Q2", "is_converted": "FALSE", "status": "Closed - Converted", "owner_id": "00G1"},
        {"id": "00Q3", "is_converted": "TRUE", "converted_opportunity_id": "006B", "industry": "Banking"},
        {"id": "00Q4", "is_converted": "FALSE", "is_deleted": "TRUE"},
        {"id": "00Q5", "is_converted": "FALSE", "master_record_id": "00Q1"},
        {"id": "00Q1", "is_converted": "FALSE", "_fivetran_active": "false"},
        {"id": "00Q6", "is_converted": "TRUE", "converted_opportunity_id": "006C"},
    ]
    common = {
        "owner_id": "0051",
        "number_of_employees": "500",
        "lead_source": "--None--",
        "email": "canary@x.com",
    }
    write(tmp_path / "leads.csv", header, *(by_name(header, **(common | born | row)) for row in rows))
    header = real_header(shared_data, "dbt_salesforce_source__sf_opportunity_data.csv")
    deals = [
        {
            "id": "006A",
            "is_closed": "true",
            "is_won": "true",
            "stage_name": "Picked Up / Won",
            "amount": "12000",
        },
        {"id": "006A", "is_closed": "false", "is_won": "false", "_fivetran_active": "false"},
        {"id": "006B", "is_closed": "true", "is_won": "false", "stage_name": "Alternative Quote"},
        {"id": "006C", "is_closed": "false", "is_won": "false", "stage_name": "Closed Won?"},
    ]
    common = {"is_deleted": "false", "_fivetran_active": "true", "close_date": "2021-03-01 00:00:00"}
    write(tmp_path / "deals.csv", header, *(by_name(header, **(common | row)) for row in deals))
    write(
        tmp_path / "history.csv",
        ["Id", "LeadId", "Field", "OldValue", "NewValue", "CreatedDate"],
        ["1", "00Q1", "NumberOfEmployees", "20", "500", "2021-02-05T10:00:00.000+0000"],
        ["2", "00Q1", "Employees", "", "20", "2021-01-05T10:00:00.400+0000"],
        ["3", "00Q3", "Industry", "Retail", "Banking", "2021-02-05T10:00:00.000+0000"],
    )
    tables = "leads: {path: leads.csv}, opportunities: {path: deals.csv}, lead_history: {path: history.csv}"
    table = read_twice(tmp_path, "salesforce", tables)
    frame = table.frame.set_index("lead_id")
    assert frame.index.tolist() == ["00Q1", "00Q2", "00Q3", "00Q6"]
    assert frame["verdict"].tolist() == ["accepted", "pending", "accepted", "accepted"]
    assert frame["outcome"].tolist() == ["won", "open", "lost", "open"]
    assert frame["rep"].isna().tolist() == [False, True, False, False]
    assert frame["lead_source"].isna().all()
    assert frame["employees"].tolist() == [20, 500, 500, 500]
    assert frame.loc["00Q3", "industry"] == "Retail"
    assert frame.loc["00Q1", "amount"] == 12000
    assert str(frame["created_at"].iloc[0]) == "2021-01-05 10:00:00+00:00"
    assert table.quarantine["rule"].tolist() == ["deleted"]
    assert table.manifest.duplicates == 2
    assert "canary" not in frame.to_csv()


ODOO_OWNERS = (["East", "Ann", "10", "true"], ["East", "", "10", "true"])
STAGES = [("006A", "Proposal", 10), ("006A", "Picked Up / Won", 20), ("006A", "Picked Up / Won", 27)]
STAGES += [("006B", "Picked Up / Won", 11), ("006B", "Proposal", 12), ("006B", "Alternative Quote", 15)]


def write_salesforce(folder):
    header = ["Id", "CreatedDate", "IsConverted", "ConvertedOpportunityId"]
    rows = [(f"00Q{name}", "2021-01-05T10:00:00.000Z", "true", f"006{name}") for name in "ABC"]
    write(folder / "leads.csv", header, *rows)
    header = ["Id", "IsWon", "IsClosed", "CloseDate"]
    flags = (("A", "true", "true"), ("B", "false", "true"), ("C", "false", "false"))
    write(folder / "deals.csv", header, *((f"006{n}", won, closed, "2021-12-31") for n, won, closed in flags))


def closing_days(table, folder):
    """Return the day of the month on which each deal closed, as read whole and as in batches."""
    days = table.frame["closed_on"].dt.day.tolist()
    again = pd.read_parquet(folder / "out.parquet")["closed_on"].dt.day.tolist()
    assert str(days) == str(again)
    return days


def test_salesforce_deals_close_when_they_come_into_their_last_stage(tmp_path):
    write_salesforce(tmp_path)
    header = ["Id", "OpportunityId", "StageName", "Amount", "Probability", "CreatedDate", "IsDeleted"]
    rows = [
        [f"008{n}", deal, stage, "5", "10", f"2021-03-{day}T23:30:00.000+0000", "false"]
        for n, (deal, stage, day) in enumerate(STAGES)
    ]
    write(tmp_path / "stages.csv", header, *reversed(rows), ["9", "006Z", "x", "", "", "soon", "false"])
    tables = "leads: {path: leads.csv}, opportunities: {path: deals.csv}, stage_history: {path: stages.csv}"
    table = read_twice(tmp_path, "salesforce", tables)
    days = closing_days(table, tmp_path)
    assert days[:2] == [20, 15]  # the amount that changed later closed nothing
    assert pd.isna(days[2])
    assert table.frame["outcome"].tolist() == ["won", "lost", "open"]
    assert table.quarantine[["column", "rule"]].to_numpy().tolist() == [["CreatedDate", "date_format"]]
    count = table.manifest.other_tables[1]
    assert (count.read, count.kept, count.quarantined, count.duplicates) == (7, 2, 1, 4)


def test_salesforce_field_history_tells_of_stages_among_other_changes(tmp_path):
    write_salesforce(tmp_path)
    header = ["OpportunityId", "Field", "OldValue", "NewValue", "CreatedDate"]
    rows = [[deal, "StageName", "", stage, f"2021-03-{day}T23:30:00.000+0000"] for deal, stage, day in STAGES]
    rows += [[deal, "Amount", "1", "2", "2021-04-28T10:00:00.000+0000"] for deal in ("006A", "006B", "006C")]
    write(tmp_path / "changes.csv", header, *rows)
    tables = "leads: {path: leads.csv}, opportunities: {path: deals.csv}"
    tables += ", opportunity_changes: {path: changes.csv}"
    days = closing_days(read_twice(tmp_path, "salesforce", tables), tmp_path)
    assert days[:2] == [20, 15]
    own = "columns: {closed_on: {from: opportunities.CloseDate, role: closed, type: date}}\n"
    days = closing_days(read_twice(tmp_path, "salesforce", tables, own), tmp_path)
    assert days == [31, 31, 31]  # the file's own column is not replaced


def test_salesforce_versions_of_opportunities_tell_when_a_stage_began(tmp_path, shared_data):
    write_salesforce(tmp_path)
    header = real_header(shared_data, "dbt_salesforce_source__sf_opportunity_history_data.csv")
    rows = [
        {"id": deal, "stage_name": stage, "_fivetran_start": f"2021-03-{day} 10:00:00"}
        for deal, stage, day in STAGES
    ]
    write(tmp_path / "versions.csv", header, *(by_name(header, **row) for row in rows))
    tables = "leads: {path: leads.csv}, opportunities: {path: deals.csv}"
    tables += ", opportunity_versions: {path: versions.csv}"
    assert closing_days(read_twice(tmp_path, "salesforce", tables), tmp_path)[:2] == [20, 15]


@pytest.mark.parametrize("log", ["deal_stage", "deal_property_history"])
def test_hubspot_deals_close_when_they_come_into_their_last_stage(tmp_path, shared_data, log):
    header = ["Record ID", "Create Date", "Lifecycle Stage", "Associated Deal IDs"]
    write(tmp_path / "leads.csv", header, ["1", "2021-01-05 10:00", "Customer", "77"])
    header = ["Record ID", "Is Closed Won", "Is Closed", "Close Date"]
    write(tmp_path / "deals.csv", header, ["77", "true", "true", "2021-12-31 09:30"])
    header = real_header(shared_data, f"dbt_hubspot_source__{log}_data.csv")
    steps = [("appointmentscheduled", 2), ("closedwon", 7), ("contractsent", 5), ("closedwon", 9)]
    rows = [
        {"deal_id": "77", "value": stage, "name": "dealstage"}
        | dict.fromkeys(["date_entered", "timestamp"], f"2021-03-{day:02} 6:49:18")
        for stage, day in steps
    ]
    rows.append({"deal_id": "77", "value": "900", "name": "amount", "timestamp": "2021-04-01 10:00:00"})
    rows = rows[:4] if log == "deal_stage" else rows
    write(tmp_path / "log.csv", header, *(by_name(header, **row) for row in rows))
    tables = f"leads: {{path: leads.csv}}, deals: {{path: deals.csv}}, {log}: {{path: log.csv}}"
    assert closing_days(read_twice(tmp_path, "hubspot", tables), tmp_path) == [7]


@pytest.mark.parametrize(
    ("preset", "header", "owned", "unowned"),
    [
        ("pardot", ["id", "created_at", "crm_owner_fid"], ["0051"], ["00G1"]),
        ("hubspot", ["Record ID", "Contact owner"], ["Ann"], ["Unassigned"]),
        ("dynamics", ["leadid", "statecode", "ownerid", "owninguser"], ["0", "u1", "u1"], ["0", "t1", ""]),
        ("odoo", ["id", "create_date", "team_id", "user_id", "probability", "active"], *ODOO_OWNERS),
    ],
)
def test_a_queue_or_team_is_no_rep(tmp_path, preset, header, owned, unowned):
    more = "drop: [verdict]\n" if preset == "hubspot" else ""
    day = {"pardot": ["2021-01-05 10:00:00 +0000"], "odoo": ["2021-01-05 10:00:00"]}.get(preset, [])
    write(tmp_path / "leads.csv", header, ["1", *day, *owned], ["2", *day, *unowned])
    frame = read_leads(extended(tmp_path, preset, more=more)).frame
    assert frame["rep"].isna().tolist() == [False, True]


def test_hubspot_deals_are_found_through_the_association_table(tmp_path, shared_data):
    header = real_header(shared_data, "dbt_hubspot_source__contact_data.csv")
    header += ["property_lifecyclestage", "property_numemployees", "property_hubspot_owner_id"]
    common = {"_fivetran_deleted": "FALSE", "property_createdate": "2021-01-05 10:00:00"}
    common |= {"property_email": "canary@x.com", "property_numemployees": "100-500"}
    stages = ["customer", "opportunity", "lead", "salesqualifiedlead"]
    rows = [{"id": str(n), "property_lifecyclestage": stage} for n, stage in enumerate(stages, 1)]
    rows += [{"id": "5", "_fivetran_deleted": "TRUE"}]
    write(tmp_path / "leads.csv", header, *(by_name(header, **(common | row)) for row in rows))
    header = real_header(shared_data, "dbt_hubspot_source__deal_data.csv")
    header += ["property_hs_is_closed", "property_hs_is_closed_won"]
    common = {"is_deleted": "false", "property_closedate": "2021-03-01 00:00:00", "property_amount": "900"}
    deals = [
        {"deal_id": "d1", "property_hs_is_closed": "true", "property_hs_is_closed_won": "true"},
        {"deal_id": "d2", "property_hs_is_closed": "true", "property_hs_is_closed_won": "false"},
        {"deal_id": "d4", "property_hs_is_closed": "false", "property_hs_is_closed_won": "false"},
    ]
    write(tmp_path / "deals.csv", header, *(by_name(header, **(common | row)) for row in deals))
    write(
        tmp_path / "deal_contact.csv",
        ["deal_id", "contact_id", "category", "type_id"],
        *(
            [deal, contact, "HUBSPOT_DEFINED", "3"]
            for deal, contact in (("d1", "1"), ("d2", "2"), ("d4", "4"))
        ),
        ["d2", "1", "HUBSPOT_DEFINED", "3"],
    )
    header = real_header(shared_data, "dbt_hubspot_source__contact_property_history_data.csv")
    changes = [
        ("1", "5-25", "05 10:00:00.412"),
        ("1", "100-500", "20 08:00:00.001"),
        ("2", "100-500", "20 08:00:00"),
    ]
    rows = [
        by_name(header, contact_id=lead, name="numemployees", value=value, timestamp=f"2021-01-{at}")
        for lead, value, at in reversed(changes)
    ]
    write(tmp_path / "history.csv", header, *rows)
    tables = "leads: {path: leads.csv}, deal_contact: {path: deal_contact.csv}, deals: {path: deals.csv}"
    tables += ", property_history: {path: history.csv}"
    table = read_twice(tmp_path, "hubspot", tables)
    frame = table.frame
    assert frame["lead_id"].tolist() == ["1", "2", "3", "4"]
    assert frame["verdict"].tolist() == ["accepted", "accepted", "pending", "accepted"]
    assert frame["outcome"].tolist() == ["won", "lost", "open", "open"]
    assert frame["amount"].isna().tolist() == [False, False, True, False]
    sizes = frame["employees_range"].astype(object)
    assert sizes.tolist()[0] == "5-25"
    assert pd.isna(sizes[1])  # it had none when the contact came in
    assert sizes.tolist()[2:] == ["100-500", "100-500"]
    assert sorted(table.quarantine["rule"]) == ["conflicting_key", "deleted"]


def test_hubspot_deals_are_found_through_a_column_of_the_contacts(tmp_path):
    header = ["Record ID", "Create Date", "Lifecycle Stage", "Associated Deal IDs"]
    write(
        tmp_path / "leads.csv",
        header,
        ["1", "2021-01-05 10:00", "Customer", "77"],
        ["2", "2021-01-05 10:00", "Lead", ""],
    )
    header = ["Record ID", "Is Closed Won", "Is Closed", "Close Date", "Amount"]
    write(tmp_path / "deals.csv", header, ["77", "true", "true", "2021-03-01 09:30", "5,000"])
    frame = read_twice(tmp_path, "hubspot", "leads: {path: leads.csv}, deals: {path: deals.csv}").frame
    assert frame["outcome"].tolist() == ["won", "open"]
    assert frame["amount"].tolist()[0] == 5000


def test_pardot_opportunities_are_found_through_the_association_table(tmp_path, shared_data):
    header = real_header(shared_data, "dbt_pardot_source__pardot_prospect_data.csv")
    common = {"_fivetran_deleted": "FALSE", "created_at": "2021-01-05 10:00:00 UTC", "password": "hunter2"}
    rows = [{"id": str(n), "score": "250", "grade": "A+"} for n in (1, 2, 3)]
    write(tmp_path / "leads.csv", header, *(by_name(header, **(common | row)) for row in rows))
    header = real_header(shared_data, "dbt_pardot_source__pardot_opportunity_data.csv")
    deals = [("9", "Won", "50000.0"), ("8", "Lost", "")]
    common = {"closed_at": "2021-03-01 21:00:00 UTC", "probability": "100"}
    rows = [
        by_name(header, id=key, status=status, stage="Closed", value=value, **common)
        for key, status, value in deals
    ]
    write(tmp_path / "deals.csv", header, *rows)
    write(tmp_path / "between.csv", ["opportunity_id", "prospect_id"], ["9", "1"], ["8", "2"])
    tables = "leads: {path: leads.csv}, opportunity_prospect: {path: between.csv}, opportunities: {path: deals.csv}"
    frame = read_twice(tmp_path, "pardot", tables).frame
    assert frame["outcome"].tolist() == ["won", "lost", "open"]
    assert frame["amount"].tolist()[0] == 50000
    assert "hunter2" not in frame.to_csv()


def test_marketo_attributes_are_set_back_by_the_activity_log(tmp_path, shared_data):
    header = [
        *real_header(shared_data, "dbt_marketo_source__marketo_lead_data.csv"),
        "lead_source",
        "number_of_employees",
    ]
    common = {"created_at": "2021-01-05 10:00:00.000", "lead_source": "List", "number_of_employees": "400"}
    rows = [by_name(header, id=str(n), email="canary@x.com", **common) for n in (1, 2)]
    write(tmp_path / "leads.csv", header, *rows)
    header = ["activity_date", "lead_id", "primary_attribute_value", "old_value", "new_value", "reason"]
    write(
        tmp_path / "log.csv",
        header,
        ["2021-02-01 10:00:00", "1", "Lead Source", "Web", "List", ""],
        ["2021-02-02 10:00:00", "1", "Industry Group", "x", "y", ""],
    )
    tables = "leads: {path: leads.csv}, data_value_changes: {path: log.csv}"
    frame = read_twice(tmp_path, "marketo", tables).frame
    assert frame["lead_source"].tolist() == ["Web", "List"]
    assert frame["employees"].tolist() == [400, 400]
    assert "canary" not in frame.to_csv()


def test_dynamics_labels_are_read_like_numbers(tmp_path):
    header = ["(Do Not Modify) Lead", "Created On", "Status", "Status Reason", "Rating", "Budget", "Need"]
    header += ["Purchase Timeframe", "Confirm Interest", "Owner"]
    day = "2021-01-05T10:00:00Z"
    write(
        tmp_path / "leads.csv",
        header,
        ["a", day, "Qualified", "Qualified", "Hot", "Can Buy", "Must have", "This Quarter", "No", "Ann"],
        [
            "b",
            day,
            "Disqualified",
            "Cannot Contact",
            "Warm",
            "No Committed Budget",
            "No need",
            "Unknown",
            "Yes",
            "",
        ],
        ["c", day, "Open", "New", "Cold", "", "", "", "", ""],
    )
    frame = read_twice(tmp_path, "dynamics", "leads: {path: leads.csv}").frame
    assert frame["verdict"].tolist() == ["accepted", "rejected", "pending"]
    assert frame["lead_quality"].isna().tolist() == [False, True, False]
    assert frame["reason_family"].tolist()[1] == "contactability"
    assert frame["budget_status"].tolist()[:2] == ["Can Buy", "No Committed Budget"]
    assert frame["budget_status"].dropna().max() == "Can Buy"
    assert frame["need"].dropna().min() == "No need"
    assert frame["purchase_timeframe"].isna().tolist() == [False, True, True]
    assert frame["confirmed_interest"].tolist()[:2] == [True, False]


def test_a_log_of_stages_is_joined_and_says_when_and_what(tmp_path):
    text = """
name: x
tables: {leads: {path: a.csv}, log: {path: b.csv, JOIN latest: {LATEST}}}
columns: {lead_id: {from: leads.Id, role: id}}
"""
    with pytest.raises(ContractError, match=r"log\.latest: is for a joined table"):
        parse_contract(text.replace("JOIN", "").replace("LATEST", "at: Day, of: Stage"), folder=tmp_path)
    joined = text.replace("JOIN", "join: {leads.Id: Lead},")
    with pytest.raises(ContractError, match="key 'of' is missing"):
        parse_contract(joined.replace("LATEST", "at: Day"), folder=tmp_path)
    table = parse_contract(joined.replace("LATEST", "at: Day, of: Stage"), folder=tmp_path).tables[1]
    assert table.latest.format == ("%Y-%m-%d",)
