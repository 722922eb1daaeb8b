import datetime as dt
import gzip

import numpy as np
import pandas as pd
import pytest

from leadml.errors import InputMissingError, LeadsError, QuarantineError
from leadml.leads import parse_contract, read_leads

LEADS = """Id,Created,Employees,Source,Deal,Owner,Email,Verdict,Reason
L1,2021-01-05,50,Web,D1,r1,ann@x.com,yes,
L2,2021-01-06,,Web,,r1,bob@x.com,no,Too small
L3,2021-02-01,"1,200",Trade Show,D2,r2,cat@x.com,yes,
L4,2021-03-01,7,Select,D9,r2,dan@x.com,new,
"""
DEALS = """Deal,Stage,Closed,Amount,
D1,Won,02/03/2021,"$12,000.50 ",x
D2,Lost,2021-03-05,,
"""
CONTRACT = """
name: small
tables:
  leads: {path: leads.csv}
  deals: {path: deals.csv, join: {leads.Deal: Deal}}
columns:
  lead_id: {from: leads.Id, role: id}
  created_on: {from: leads.Created, role: created, type: date}
  employees: {from: leads.Employees, role: attribute, type: integer, thousands: ","}
  source: {from: leads.Source, role: attribute, type: category, missing: [Select]}
  verdict: {from: leads.Verdict, role: verdict, accepted: ["yes"], rejected: ["no"]}
  reason: {from: leads.Reason, role: reason, families: {definitional: [Too small]}}
  rep: {from: leads.Owner, role: rep}
  email: {from: leads.Email, role: personal}
  outcome: {from: deals.Stage, role: outcome, won: [Won], lost: [Lost]}
  closed_on: {from: deals.Closed, role: closed, type: date, format: ["%Y-%m-%d", "%m/%d/%Y"]}
  amount: {from: deals.Amount, role: amount, type: number, thousands: ",", currency: USD}
quarantine_limit: 50%
"""


@pytest.fixture
def read(tmp_path):
    def run(leads=LEADS, deals=DEALS, contract=CONTRACT, **more):
        for name, text in (("leads.csv", leads), ("deals.csv", deals)):
            data = text if isinstance(text, bytes) else text.encode()
            (tmp_path / name).write_bytes(data)
        return read_leads(parse_contract(contract, folder=tmp_path), **more)

    return run


def test_tables_are_joined_and_typed(read):
    table = read()
    frame = table.frame
    assert list(frame.columns) == [
        "lead_id",
        "created_on",
        "employees",
        "source",
        "verdict",
        "reason",
        "reason_family",
        "rep",
        "outcome",
        "closed_on",
        "amount",
    ]
    assert frame["lead_id"].tolist() == ["L1", "L2", "L3", "L4"]
    assert frame["employees"].dtype == "Int64"
    assert frame["employees"].tolist()[::2] == [50, 1200]
    assert frame["source"].isna().tolist() == [False, False, False, True]
    assert frame["verdict"].tolist() == ["accepted", "rejected", "accepted", "pending"]
    assert frame["reason_family"].tolist()[1] == "definitional"
    assert frame["outcome"].tolist() == ["won", "open", "lost", "open"]
    assert frame["closed_on"].tolist()[0] == pd.Timestamp("2021-02-03")
    assert frame["amount"].tolist()[0] == 12000.5
    assert table.as_of == dt.date(2021, 3, 5)
    assert len(table) == 4


def test_rows_reconcile_and_the_shape_of_the_report_stays(read):
    bad = LEADS + "L5,2021-03-01,many,Web,,r1,e@x.com,no,\nL1,2021-01-05,50,Web,D1,r1,ann@x.com,yes,\nL6,x\n"
    table = read(bad)
    assert table.to_dict() == {
        "rows": {"read": 7, "kept": 4, "quarantined": 2, "duplicates": 1},
        "quarantine": [
            {"table": "leads", "line": 6, "column": "employees", "rule": "integer"},
            {"table": "leads", "line": 8, "column": None, "rule": "field_count"},
        ],
    }
    assert table.quarantine["shape"].tolist() == ["aaaa", "a9,a"]
    assert len(table) == 4


def test_a_row_is_quarantined_once_however_many_of_its_cells_are_broken(read):
    table = read(LEADS + "L5,someday,many,Web,,r1,e@x.com,no,\n")
    assert table.manifest.quarantined == 1
    assert table.quarantine["column"].tolist() == ["created_on"]


def test_the_same_id_with_other_content_is_quarantined_and_the_first_stays(read):
    table = read(LEADS + "L1,2021-01-05,51,Web,D1,r1,ann@x.com,yes,\n")
    assert table.quarantine[["line", "column", "rule"]].to_numpy().tolist() == [
        [6, "lead_id", "conflicting_id"]
    ]
    assert table.frame["employees"][0] == 50


def test_a_lead_without_an_id_is_quarantined(read):
    table = read(LEADS + ",2021-01-05,51,Web,D1,r1,ann@x.com,yes,\n")
    assert table.quarantine["rule"].tolist() == ["missing_id"]


def test_a_damaged_row_of_a_joined_table_is_named_and_its_lead_kept(read):
    table = read(deals=DEALS.replace('"$12,000.50 "', "lots"))
    assert table.manifest.quarantined == 0
    assert table.quarantine[["table", "line", "column"]].to_numpy().tolist() == [["deals", 2, "amount"]]
    counts = table.manifest.other_tables[0]
    assert (counts.read, counts.kept, counts.quarantined) == (2, 1, 1)
    assert table.frame["outcome"].tolist() == ["open", "open", "lost", "open"]
    assert any("2 leads point to a row that is not there" in notice for notice in table.manifest.notices)


def test_a_key_that_stands_twice_in_a_joined_table_is_quarantined(read):
    table = read(deals=DEALS + "D1,Lost,02/03/2021,,\n" + "D2,Lost,2021-03-05,,\n")
    assert table.quarantine[["table", "line", "rule"]].to_numpy().tolist() == [
        ["deals", 4, "conflicting_key"]
    ]
    assert table.manifest.other_tables[0].duplicates == 1
    assert table.frame["outcome"][0] == "won"


def test_words_that_the_contract_does_not_name_are_counted_aloud(read):
    more = "".join(f"N{n},2021-01-05,50,Web,,r1,a@x.com,Maybe,No time\n" for n in range(4))
    notices = read(LEADS + more).manifest.notices
    assert "verdict: not declared, read as pending: Maybe (4), aaa (1)." in notices
    assert "reason: reasons of no declared family, counted as other: No time (4)." in notices


def test_a_word_may_be_refused_instead(read):
    strict = CONTRACT.replace('rejected: ["no"]', 'rejected: ["no"], pending: []').replace(
        "pending: []", "otherwise: quarantine"
    )
    table = read(contract=strict)
    assert table.quarantine[["line", "column", "rule"]].to_numpy().tolist() == [[5, "verdict", "value"]]
    listed = CONTRACT.replace('rejected: ["no"]', 'rejected: ["no"], pending: [new]')
    assert read(contract=listed).manifest.quarantined == 0


def test_personal_columns_are_never_read(read):
    table = read()
    everything = repr(table) + table._repr_html_() + str(table.to_frame().to_numpy().tolist())
    assert "x.com" not in everything
    assert "email" not in table.frame.columns
    without = LEADS.replace(",Email", "").replace(",ann@x.com", "").replace(",bob@x.com", "")
    without = without.replace(",cat@x.com", "").replace(",dan@x.com", "")
    assert len(read(without)) == 4


def test_too_many_damaged_rows_publish_nothing(read):
    contract = CONTRACT.replace("50%", "10%")
    with pytest.raises(QuarantineError, match=r"1 of 5 rows break the contract \(limit 10.0%\)") as caught:
        read(LEADS + "L5,someday,50,Web,,r1,e@x.com,no,\n", contract=contract)
    assert caught.value.exit_code == 4
    assert "date_format in column created_on, first in line 6" in str(caught.value)
    assert "someday" not in str(caught.value)


def test_a_column_that_is_not_there_is_refused_with_a_suggestion(read):
    with pytest.raises(LeadsError, match=r"no column 'Employees' in the header. Did you mean 'Employes'\?"):
        read(LEADS.replace("Employees", "Employes"))


def test_all_missing_columns_are_said_at_once(read):
    with pytest.raises(LeadsError) as caught:
        read(LEADS.replace("Employees", "A").replace("Source", "B"))
    assert len(caught.value.findings) == 2


def test_a_column_that_stands_twice_is_refused(read):
    with pytest.raises(LeadsError, match="'Source' stands in the header twice"):
        read(LEADS.replace("Reason", "Source"))


def test_the_wrong_delimiter_is_recognised(read):
    with pytest.raises(LeadsError, match="one single column with delimiter ','"):
        read(LEADS.replace(",", ";"))


def test_a_file_in_another_encoding_is_refused(read):
    with pytest.raises(LeadsError, match=r"rows are not utf-8. Declare the file's own `encoding`"):
        read(LEADS.replace(",r", ",ü").encode("cp1252"))


def test_an_empty_file_is_refused(read):
    with pytest.raises(LeadsError, match="the file is empty"):
        read("")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputMissingError, match="cannot read table 'leads'"):
        read_leads(parse_contract(CONTRACT, folder=tmp_path))


def test_a_header_alone_gives_no_leads(read):
    table = read(LEADS.splitlines()[0] + "\n")
    assert len(table) == 0
    assert table.manifest.read == 0
    assert table.frame["employees"].dtype == "Int64"
    assert list(table.describe()["filled"]) == [0.0] * len(table.frame.columns)


def test_another_file_can_take_the_place_of_the_first_table(tmp_path):
    (tmp_path / "new.csv").write_text(LEADS.splitlines()[0] + "\nL9,2021-05-01,5,Web,,r1,x@x.com,,\n")
    (tmp_path / "deals.csv").write_text(DEALS)
    contract = parse_contract(CONTRACT, folder=tmp_path)
    assert read_leads(contract, leads=tmp_path / "new.csv").frame["lead_id"].tolist() == ["L9"]


def test_new_leads_need_no_verdicts_and_no_joined_tables(tmp_path):
    (tmp_path / "new.csv").write_text("Id,Created,Employees,Source\nL9,2021-05-01,5,Web\n")
    contract = parse_contract(CONTRACT, folder=tmp_path)
    with pytest.raises((LeadsError, InputMissingError)):
        read_leads(contract, leads=tmp_path / "new.csv")
    table = read_leads(contract, leads=tmp_path / "new.csv", need="attributes")
    assert table.frame["employees"].tolist() == [5]
    assert table.frame["verdict"].tolist() == ["pending"]
    assert table.frame["outcome"].tolist() == ["open"]
    assert table.frame["amount"].isna().all()


def test_the_day_of_the_export_can_be_given(read):
    assert read(as_of=dt.date(2022, 1, 1)).as_of == dt.date(2022, 1, 1)


def test_one_date_far_ahead_is_a_typing_error_not_the_day_of_the_export(read):
    rows = "".join(f"N{n},2021-01-05,50,Web,,r1,a@x.com,no,Too small\n" for n in range(300))
    table = read(LEADS + rows + "N999,2202-01-05,50,Web,,r1,a@x.com,no,Too small\n")
    assert table.as_of == dt.date(2021, 3, 5)
    assert any("more than a year after the others" in notice for notice in table.manifest.notices)


def test_parquet_gives_the_same_leads(read, tmp_path):
    from_csv = read()
    leads = pd.read_csv(tmp_path / "leads.csv", parse_dates=["Created"])
    leads["Employees"] = leads["Employees"].str.replace(",", "").astype(float)
    leads.to_parquet(tmp_path / "leads.parquet")
    contract = CONTRACT.replace("leads.csv", "leads.parquet")
    table = read_leads(parse_contract(contract, folder=tmp_path))
    pd.testing.assert_frame_equal(table.frame, from_csv.frame)
    (tmp_path / "leads.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(LeadsError, match="not a readable Parquet file"):
        read_leads(parse_contract(contract, folder=tmp_path))


def test_typed_parquet_columns_mean_the_contract_s_words(tmp_path):
    frame = pd.DataFrame(
        {
            "Id": [1, 2, 3],
            "Ok": [True, False, None],
            "Won": [1.0, 0.0, np.nan],
            "At": pd.to_datetime(["2021-01-05 10:00", "2021-01-06 00:00", None], utc=True),
            "Kind": pd.Categorical(["a", "b", None]),
        }
    )
    frame["Ok"] = frame["Ok"].astype("boolean")
    frame.to_parquet(tmp_path / "leads.parquet")
    contract = parse_contract(
        """
name: typed
tables: {leads: {path: leads.parquet}}
columns:
  lead_id: {from: leads.Id, role: id}
  verdict: {from: leads.Ok, role: verdict, accepted: ["1"], rejected: ["0"]}
  outcome: {from: leads.Won, role: outcome, won: ["1"], lost: ["0"]}
  at: {from: leads.At, role: created, type: date, format: "%Y-%m-%d"}
  kind: {from: leads.Kind, role: attribute, type: category}
""",
        folder=tmp_path,
    )
    table = read_leads(contract)
    assert table.frame["lead_id"].tolist() == ["1", "2", "3"]
    assert table.frame["verdict"].tolist() == ["accepted", "rejected", "pending"]
    assert table.frame["outcome"].tolist() == ["won", "lost", "open"]
    assert table.frame["at"][0] == pd.Timestamp("2021-01-05 10:00", tz="UTC")
    assert table.manifest.quarantined == 0


def test_a_compressed_file_is_read(read, tmp_path):
    plain = read()
    (tmp_path / "leads.csv.gz").write_bytes(gzip.compress(LEADS.encode()))
    packed = read_leads(
        parse_contract(CONTRACT.replace("path: leads.csv", "path: leads.csv.gz"), folder=tmp_path)
    )
    pd.testing.assert_frame_equal(packed.frame, plain.frame)


def test_an_export_without_ids_can_use_its_lines(read):
    table = read(contract=CONTRACT.replace("from: leads.Id", "from: 'leads.#line'"))
    assert table.frame["lead_id"].tolist() == ["2", "3", "4", "5"]


def test_the_id_must_name_the_leads(read):
    contract = CONTRACT.replace("leads.Id, role: id", "deals.Deal, role: id")
    with pytest.raises(LeadsError, match="must come from the first table"):
        read(contract=contract)


def test_the_digest_follows_the_data(read):
    first = read().manifest.data_sha256
    assert read().manifest.data_sha256 == first
    assert read(LEADS.replace("50", "51")).manifest.data_sha256 != first


def test_the_table_says_what_it_holds(read):
    table = read()
    text = repr(table)
    assert "read 4 = kept 4 + quarantined 0 + duplicates 0" in text
    assert "verdict: 2 accepted, 1 rejected, 1 pending" in text
    assert len(text.splitlines()) <= 10
    assert table.role("amount").tolist()[0] == 12000.5
    assert table.role("weight") is None
    described = table.describe().set_index("column")
    assert described.loc["employees", "filled"] == 0.75
    assert described.loc["reason_family", "role"] == "reason"
    copy = table.to_frame()
    copy.loc[0, "lead_id"] = "changed"
    assert table.frame["lead_id"][0] == "L1"
