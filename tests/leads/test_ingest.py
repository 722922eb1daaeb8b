import json
import subprocess
import sys

import pandas as pd
import pytest

from leadml.errors import OutputError, QuarantineError
from leadml.leads import (
    _batches,
    ingest_leads,
    load_contract,
    parse_contract,
    read_leads,
    write_leads,
    write_synthetic_leads,
)

SMALL = """
name: small
tables: {leads: {path: leads.csv}}
columns:
  lead_id: {from: leads.id, role: id}
  created_on: {from: leads.day, role: created, type: date}
  size: {from: leads.size, role: attribute, type: integer}
  source: {from: leads.source, role: attribute, type: category}
  verdict: {from: leads.verdict, role: verdict, accepted: [a], rejected: [r]}
quarantine_limit: 30%
"""


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return write_synthetic_leads(folder, n_leads=3000, random_state=1)


@pytest.fixture
def small(tmp_path):
    def write(text):
        (tmp_path / "leads.csv").write_text("id,day,size,source,verdict\n" + text)
        return parse_contract(SMALL, folder=tmp_path)

    return write


def test_what_does_not_join_is_said_as_reading_says_it(tmp_path, monkeypatch):
    (tmp_path / "leads.csv").write_text("id,deal\n" + "".join(f"L{row},D{row}\n" for row in range(9)))
    (tmp_path / "deals.csv").write_text(
        "id,stage,why\nD0,won,\nD1,lost,Price\nD2,lost,Price\nD3,lost,Price\nX1,won,\n"
    )
    text = """
name: joined
tables:
  leads: {path: leads.csv}
  deals: {path: deals.csv, join: {leads.deal: id}}
columns:
  lead_id: {from: leads.id, role: id}
  outcome: {from: deals.stage, role: outcome, won: [won], lost: [lost]}
  reason: {from: deals.why, role: reason, families: {definitional: [Too small]}}
"""
    contract = parse_contract(text, folder=tmp_path)
    monkeypatch.setattr(_batches, "BATCH_ROWS", 2)
    report = ingest_leads(contract, output=tmp_path / "a.parquet")
    assert report.manifest == read_leads(contract).manifest
    said = "\n".join(report.manifest.notices)
    assert "deals: 5 leads point to a row that is not there" in said
    assert "deals: 1 rows belong to no lead that was kept" in said
    assert "reason: reasons of no declared family, counted as other: Price (3)" in said


def test_ingesting_in_batches_gives_what_reading_gives(export, tmp_path):
    contract = load_contract(export.contract_path)
    report = ingest_leads(contract, output=tmp_path / "a.parquet", quarantine=tmp_path / "q.csv")
    table = read_leads(contract)
    assert report.to_dict() == table.to_dict()
    assert report.as_of == table.as_of
    assert report.manifest == table.manifest
    pd.testing.assert_frame_equal(report.to_frame(), table.quarantine)
    back = pd.read_parquet(tmp_path / "a.parquet")
    for name in back.columns:
        wanted = table.frame[name]
        assert back[name].isna().equals(wanted.isna()), name
        assert (back[name].dropna().astype(str) == wanted.dropna().astype(str)).all(), name
    assert back["employees"].dtype == "Int64"
    assert len(pd.read_csv(tmp_path / "q.csv")) == len(table.quarantine)
    ingest_leads(contract, output=tmp_path / "a.csv")
    write_leads(table, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert "read 3,014 = kept 3,000" in repr(report)
    assert report._repr_html_().startswith("<pre>")


def test_progress_is_told(export, tmp_path):
    seen = []
    contract = load_contract(export.contract_path)
    ingest_leads(contract, output=tmp_path / "a.parquet", progress=seen.append)
    assert seen[-1] == 3014


def test_too_many_damaged_rows_leave_the_old_file_and_list_the_rows(small, tmp_path):
    (tmp_path / "out.csv").write_text("old")
    contract = small("1,2021-01-01,5,web,a\n2,soon,5,web,a\n3,later,5,web,a\n")
    with pytest.raises(QuarantineError, match="2 of 3 rows break the contract"):
        ingest_leads(contract, output=tmp_path / "out.csv", quarantine=tmp_path / "q.csv")
    assert (tmp_path / "out.csv").read_text() == "old"
    listed = pd.read_csv(tmp_path / "q.csv")
    assert listed["line"].tolist() == [3, 4]
    assert listed["shape"].tolist() == ["aaaa", "aaaaa"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leads.csv", "out.csv", "q.csv"]


def test_no_rows_give_a_file_with_columns(small, tmp_path):
    contract = small("")
    ingest_leads(contract, output=tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "lead_id,created_on,size,source,verdict\n"
    ingest_leads(contract, output=tmp_path / "out.parquet")
    assert list(pd.read_parquet(tmp_path / "out.parquet").columns) == list(pd.read_csv(tmp_path / "out.csv"))


def test_no_text_in_a_csv_is_a_live_formula(small, tmp_path):
    contract = small('1,2021-01-01,-5,"=HYPERLINK(""x"")",a\n2,2021-01-01,5,@sum,r\n3,2021-01-01,5,-1.5,r\n')
    ingest_leads(contract, output=tmp_path / "out.csv")
    back = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert back["source"].tolist() == ['\'=HYPERLINK("x")', "'@sum", "-1.5"]
    assert back["size"].tolist() == ["-5", "5", "5"]
    exact = read_leads(contract).frame["source"].tolist()
    assert exact[0] == '=HYPERLINK("x")'


def test_another_ending_is_refused(small, tmp_path):
    with pytest.raises(OutputError, match=r"not as '\.xlsx'"):
        ingest_leads(small(""), output=tmp_path / "out.xlsx")


MEASURE = """
import json, resource, sys
from leadml.leads import ingest_leads, load_contract
report = ingest_leads(load_contract(sys.argv[1]), output=sys.argv[2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"peak": peak, "rows": report.manifest.kept}))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = {}
    for n in (50_000, 800_000):
        with (tmp_path / "leads.csv").open("w") as stream:
            stream.write("id,day,size,source,verdict\n")
            for number in range(n):
                stream.write(f"L{number:08d},2021-0{1 + number % 9}-11,{number % 977},web,a\n")
        (tmp_path / "c.yaml").write_text(SMALL)
        command = [sys.executable, "-c", MEASURE, str(tmp_path / "c.yaml"), str(tmp_path / "out.parquet")]
        done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert done["rows"] == n
        peaks[n] = done["peak"]
    assert peaks[800_000] <= 1.15 * peaks[50_000]


def test_ingest_says_as_read_leads_what_does_not_fit_between_the_tables(tmp_path, monkeypatch):
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 64)
    (tmp_path / "leads.csv").write_text(
        "id,deal,why\n"
        + "".join(f"L{n},D{n % 7},{'wrong rep' if n % 3 else 'too small'}\n" for n in range(40))
    )
    (tmp_path / "deals.csv").write_text("deal,amount\nD0,1\nD1,2\nD2,3\nD8,4\nD9,x\n")
    contract = parse_contract(
        """
name: joined
tables:
  leads: {path: leads.csv}
  deals: {path: deals.csv, join: {leads.deal: deal}}
columns:
  lead_id: {from: leads.id, role: id}
  reason: {from: leads.why, role: reason, families: {definitional: [too small]}}
  amount: {from: deals.amount, role: amount, type: number}
quarantine_limit: 30%
""",
        folder=tmp_path,
    )
    report = ingest_leads(contract, output=tmp_path / "out.csv")
    assert sorted(report.manifest.notices) == sorted(read_leads(contract).manifest.notices)
    said = " ".join(report.manifest.notices)
    assert "deals: 22 leads point to a row that is not there (or is in quarantine)." in said
    assert "deals: 1 rows belong to no lead that was kept." in said
    assert "counted as other: wrong rep (26)" in said
