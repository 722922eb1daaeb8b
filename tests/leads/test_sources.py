# ruff: noqa: DTZ001 - a workbook knows no zones
import datetime as dt
import gzip
import sqlite3
import zipfile

import pandas as pd
import pytest

from leadml.errors import InputMissingError, LeadsError
from leadml.leads import ingest_leads, open_leads, parse_contract, read_leads

CONTRACT = """
name: sources
tables: {leads: {path: PLACE}}
columns:
  lead_id: {from: leads.Id, role: id}
  created_on: {from: leads.Created, role: created, type: date, format: "%m/%d/%Y"}
  size: {from: leads.Size, role: attribute, type: integer}
  source: {from: leads.Source, role: attribute, type: category}
  won: {from: leads.Won, role: outcome, won: ["true"], lost: ["false"]}
quarantine_limit: 60%
"""
CSV = "Id,Created,Size,Source,Won\n007,1/5/2021,50,Web,true\n8,1/6/2021,,NA,false\n9,1/7/2021,12,Web,\n"


def contract(folder, place):
    return parse_contract(CONTRACT.replace("PLACE", place), folder=folder)


@pytest.fixture
def from_csv(tmp_path):
    (tmp_path / "plain.csv").write_text(CSV)
    return read_leads(contract(tmp_path, "plain.csv")).frame


def workbook(path, rows, *, sheets=("Leads",)):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = sheets[0]
    for name in sheets[1:]:
        book.create_sheet(name)
    for row in rows:
        book[sheets[0]].append(row)
    book.save(path)


ROWS = [
    ["Id", "Created", "Size", "Source", "Won", None],
    ["007", dt.datetime(2021, 1, 5), 50, "Web", True],
    [8, "1/6/2021", None, "NA", False],
    [9.0, dt.datetime(2021, 1, 7), 12.0, "Web", None],
]


def test_a_sheet_gives_the_same_leads(tmp_path, from_csv):
    workbook(tmp_path / "leads.xlsx", ROWS)
    table = read_leads(contract(tmp_path, "leads.xlsx"))
    pd.testing.assert_frame_equal(table.frame, from_csv)
    assert table.lines.tolist() == [2, 3, 4]
    report = ingest_leads(contract(tmp_path, "leads.xlsx"), output=tmp_path / "out.parquet")
    assert report.manifest.kept == 3


def test_damaged_rows_of_a_sheet_are_quarantined_with_their_row(tmp_path):
    rows = [
        *ROWS,
        [None] * 5,
        ROWS[0],
        [10, "1/7/2021", "#VALUE!", "Web", True],
        [11, "x", 1, "W", True, "extra"],
    ]
    workbook(tmp_path / "leads.xlsx", rows)
    table = read_leads(contract(tmp_path, "leads.xlsx"))
    assert table.quarantine[["line", "rule"]].to_numpy().tolist() == [
        [5, "blank_line"],
        [6, "repeated_header"],
        [7, "integer"],
        [8, "field_count"],
    ]


def test_the_sheet_is_named_where_there_are_several(tmp_path):
    workbook(tmp_path / "leads.xlsx", ROWS, sheets=("Leads", "Notes"))
    with pytest.raises(LeadsError, match=r"2 sheets \(Leads, Notes\); name one with `sheet`"):
        read_leads(contract(tmp_path, "leads.xlsx"))
    assert len(read_leads(contract(tmp_path, "leads.xlsx, sheet: Leads"))) == 3
    with pytest.raises(LeadsError, match="no sheet 'Leeds'"):
        read_leads(contract(tmp_path, "leads.xlsx, sheet: Leeds"))
    with pytest.raises(LeadsError, match="row 1 of the sheet is empty"):
        read_leads(contract(tmp_path, "leads.xlsx, sheet: Notes"))


def test_what_is_no_workbook_is_refused(tmp_path):
    pytest.importorskip("openpyxl")
    (tmp_path / "leads.xlsx").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(LeadsError, match="not a readable Excel workbook"):
        read_leads(contract(tmp_path, "leads.xlsx"))


@pytest.mark.parametrize("name", ["leads.xls", "leads.xlsx"])
def test_a_workbook_of_the_old_kind_or_with_a_password_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500))
    with pytest.raises(LeadsError, match=r"old kind \(\.xls\) or with a password"):
        read_leads(contract(tmp_path, name))


def test_a_title_above_the_column_names_is_named(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["All leads of March"])
    book.active.append(["Id", "Created", "Size", "Source", "Won"])
    book.save(tmp_path / "leads.xlsx")
    with pytest.raises(LeadsError, match="row 1 has one cell; expected the column names there"):
        read_leads(contract(tmp_path, "leads.xlsx"))
    (tmp_path / "leads.csv").write_text(f"All leads of March\n{CSV}")
    with pytest.raises(LeadsError, match="or delete the lines above the column names"):
        read_leads(contract(tmp_path, "leads.csv"))


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx", "duckdb"])
def test_a_folder_and_a_file_that_is_not_there_are_named_whatever_the_ending(tmp_path, ending):
    (tmp_path / f"folder.{ending}").mkdir()
    with pytest.raises(InputMissingError, match=r"cannot read table 'leads': is a directory\.$"):
        read_leads(contract(tmp_path, f"folder.{ending}"))
    with pytest.raises(InputMissingError, match=r"cannot read table 'leads': no such file or directory\.$"):
        read_leads(contract(tmp_path, f"missing.{ending}"))


def test_an_archive_of_one_file_is_read(tmp_path, from_csv):
    with zipfile.ZipFile(tmp_path / "leads.csv.zip", "w") as archive:
        archive.writestr("leads.csv", CSV)
        archive.writestr("__MACOSX/._leads.csv", "x")
    pd.testing.assert_frame_equal(read_leads(contract(tmp_path, "leads.csv.zip")).frame, from_csv)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b.csv", CSV)
    with pytest.raises(LeadsError, match="holds 2 files; expected one"):
        read_leads(contract(tmp_path, "two.zip"))


def test_a_damaged_archive_is_refused(tmp_path):
    packed = gzip.compress(CSV.encode() * 50)
    (tmp_path / "leads.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(LeadsError, match="the compressed file is damaged"):
        read_leads(contract(tmp_path, "leads.csv.gz"))
    (tmp_path / "leads.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(LeadsError, match="the compressed file is damaged"):
        read_leads(contract(tmp_path, "leads.zip"))


def test_a_duckdb_file_gives_the_same_leads(tmp_path, from_csv):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
        connection.execute(
            'CREATE TABLE "leads" ("Id" VARCHAR, "Created" DATE, "Size" INT, "Source" VARCHAR, "Won" BOOLEAN)'
        )
        connection.execute(
            "INSERT INTO leads VALUES ('007', '2021-01-05', 50, 'Web', true), ('8', '2021-01-06', NULL, 'NA', false),"
            " ('9', '2021-01-07', 12, 'Web', NULL)"
        )
    pd.testing.assert_frame_equal(read_leads(contract(tmp_path, "crm.duckdb")).frame, from_csv)
    with pytest.raises(LeadsError, match="has no such table 'nothing'; there are leads"):
        read_leads(contract(tmp_path, "crm.duckdb, sheet: nothing"))
    with pytest.raises(InputMissingError, match=r"named by its path: `\{path: crm.duckdb, sheet: leads\}`"):
        read_leads(contract(tmp_path, '"duckdb:///crm.duckdb#leads"'))
    with pytest.raises(InputMissingError, match="no such file"):
        read_leads(contract(tmp_path, "missing.duckdb"))


def test_a_database_table_gives_the_same_leads(tmp_path, from_csv, monkeypatch):
    pytest.importorskip("sqlalchemy")
    connection = sqlite3.connect(tmp_path / "crm.db")
    connection.execute("CREATE TABLE leads (Id TEXT, Created TEXT, Size INTEGER, Source TEXT, Won TEXT)")
    rows = [("007", "1/5/2021", 50, "Web", "true"), ("8", "1/6/2021", None, "NA", "false")]
    connection.executemany(
        "INSERT INTO leads VALUES (?, ?, ?, ?, ?)", [*rows, ("9", "1/7/2021", 12, "Web", None)]
    )
    connection.commit()
    connection.close()
    table = read_leads(contract(tmp_path, '"sqlite:///crm.db#leads"'))
    pd.testing.assert_frame_equal(table.frame, from_csv)
    again = read_leads(contract(tmp_path, '"sqlite:///crm.db#leads"'))
    assert table.manifest.data_sha256 == again.manifest.data_sha256
    monkeypatch.setenv("CRM_URL", f"sqlite:///{tmp_path / 'crm.db'}")
    pd.testing.assert_frame_equal(read_leads(contract(tmp_path, '"env:CRM_URL#leads"')).frame, from_csv)
    with pytest.raises(InputMissingError, match="environment variable CRM_ADDRESS is not set"):
        read_leads(contract(tmp_path, '"env:CRM_ADDRESS#leads"'))
    report = ingest_leads(contract(tmp_path, '"sqlite:///crm.db#leads"'), output=tmp_path / "out.csv")
    assert report.manifest.kept == 3
    with pytest.raises(InputMissingError, match="no such table"):
        read_leads(contract(tmp_path, '"sqlite:///crm.db#nothing"'))
    with pytest.raises(InputMissingError, match="no such file"):
        read_leads(contract(tmp_path, '"sqlite:///other.db#leads"'))
    assert not (tmp_path / "other.db").exists()
    with pytest.raises(InputMissingError, match=r"driver for nosuch:// is not installed"):
        read_leads(contract(tmp_path, '"nosuch://127.0.0.1/x#leads"'))
    with pytest.raises(InputMissingError, match=r"cannot be reached, or refuses this login"):
        read_leads(contract(tmp_path, '"postgresql+psycopg://127.0.0.1:1/x#leads"'))


def test_a_url_is_read_through_fsspec(tmp_path, from_csv):
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://export/leads.csv", "wb") as stream:
        stream.write(CSV.encode())
    place = '"memory://export/leads.csv"'
    pd.testing.assert_frame_equal(read_leads(contract(tmp_path, place)).frame, from_csv)
    report = ingest_leads(contract(tmp_path, place), output=tmp_path / "out.csv")
    assert report.manifest.kept == 3
    with pytest.raises(InputMissingError, match="cannot read table 'leads'"):
        read_leads(contract(tmp_path, '"memory://export/nothing.csv"'))


def test_a_url_that_gives_nothing_is_named_without_its_keys(tmp_path):
    pytest.importorskip("fsspec")
    with pytest.raises(InputMissingError, match="nosuch:// is no kind of URL") as caught:
        read_leads(contract(tmp_path, '"nosuch://me:secret@host/leads.csv?sig=secret"'))
    assert "secret" not in str(caught.value)
    with pytest.raises(InputMissingError, match="no such file, or nothing answers"):
        read_leads(contract(tmp_path, f'"file://{tmp_path}/nowhere/leads.csv"'))


def test_a_workbook_behind_a_url_is_read_and_errors_name_the_url(tmp_path, from_csv):
    fsspec, openpyxl = pytest.importorskip("fsspec"), pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in CSV.strip().splitlines():
        book.active.append(line.split(","))
    book.save(tmp_path / "leads.xlsx")
    with fsspec.open("memory://export/leads.xlsx", "wb") as stream:
        stream.write((tmp_path / "leads.xlsx").read_bytes())
    place = '"memory://export/leads.xlsx"'
    pd.testing.assert_frame_equal(read_leads(contract(tmp_path, place)).frame, from_csv)
    with pytest.raises(LeadsError, match=r"^memory://export/leads.xlsx: table 'leads': no sheet"):
        read_leads(contract(tmp_path, f"{place}, sheet: other"))


def test_a_contract_may_leave_the_place_open(tmp_path):
    (tmp_path / "new.csv").write_text(CSV)
    text = CONTRACT.replace("{path: PLACE}", "{format: csv}")
    open_contract = parse_contract(text, folder=tmp_path)
    with pytest.raises(LeadsError, match="Name the file with `--leads`"):
        read_leads(open_contract)
    assert len(read_leads(open_contract, leads=tmp_path / "new.csv")) == 3


@pytest.mark.slow
def test_a_postgresql_table_gives_the_same_leads(postgres, tmp_path, from_csv):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(postgres, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'CREATE TABLE leads ("Id" TEXT, "Created" DATE, "Size" INTEGER, "Source" TEXT, "Won" BOOLEAN)'
        )
        connection.exec_driver_sql(
            "INSERT INTO leads VALUES ('007', '2021-01-05', 50, 'Web', true), ('8', '2021-01-06', NULL, 'NA', false),"
            " ('9', '2021-01-07', 12, 'Web', NULL)"
        )
    place = f'"{postgres}#leads"'
    pd.testing.assert_frame_equal(read_leads(contract(tmp_path, place)).frame, from_csv)
    report = ingest_leads(contract(tmp_path, place), output=tmp_path / "out.parquet")
    assert report.manifest.kept == 3
    engine.dispose()


def test_an_optional_column_may_be_absent_from_every_kind_of_source(tmp_path):
    duckdb, fsspec = pytest.importorskip("duckdb"), pytest.importorskip("fsspec")
    (tmp_path / "leads.csv").write_text(CSV)
    frame = pd.read_csv(tmp_path / "leads.csv", dtype=str, keep_default_na=False)
    frame.to_parquet(tmp_path / "leads.parquet")
    workbook(tmp_path / "leads.xlsx", [list(frame.columns), *frame.to_numpy().tolist()])
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as connection:
        connection.register("given", frame)
        connection.execute("CREATE TABLE leads AS SELECT * FROM given")
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        frame.to_sql("leads", connection, index=False)
    connection.close()
    with fsspec.open("memory://optional/leads.csv", "wb") as stream:
        stream.write(CSV.encode())
    places = ["leads.csv", "leads.parquet", "leads.xlsx", "crm.duckdb"]
    for place in [*places, '"sqlite:///crm.db#leads"', '"memory://optional/leads.csv"']:
        text = CONTRACT.replace("PLACE", place).replace(
            "leads.Source,", "leads.Origin|Lead Origin, optional: true,"
        )
        declared = parse_contract(text, folder=tmp_path)
        table = read_leads(declared)
        assert "source" not in table.frame.columns, place
        assert table.manifest.notices[0] == "not in this export, left out: source.", place
        report = ingest_leads(declared, output=tmp_path / "out.csv")
        assert report.to_dict() == table.to_dict(), place


JOINED = """
name: joined
tables:
  leads: {LEADS}
  deals: {DEALS, join: {leads.Deal: Id}}
columns:
  lead_id: {from: leads.Lead, role: id}
  size: {from: leads.Size, role: attribute, type: integer}
  amount: {from: deals.Amount, role: amount, type: number}
  closed_on: {from: deals.Closed, role: closed, type: date}
"""
KINDS = {
    "gz": "path: NAME.csv.gz",
    "zip": "path: NAME.zip",
    "parquet": "path: NAME.parquet",
    "sheet": "path: both.xlsx, sheet: NAME",
    "sqlite": 'path: "sqlite:///crm.db#NAME"',
    "duckdb": "path: crm.duckdb, sheet: NAME",
    "memory": 'path: "memory://joined/NAME.csv"',
    "file": 'path: "file://FOLDER/NAME.csv"',
}


def write_every_kind(folder):
    import duckdb
    import fsspec

    leads = pd.DataFrame({"Lead": ["1", "2", "3"], "Deal": ["01", "02", "09"], "Size": [5, 6, 7]})
    deals = pd.DataFrame({"Id": ["01", "02"], "Amount": [1.5, 20.0], "Closed": ["2021-03-04", "2021-03-05"]})
    typed = deals.assign(Closed=pd.to_datetime(deals["Closed"]))
    with pd.ExcelWriter(folder / "both.xlsx") as book:
        leads.to_excel(book, sheet_name="leads", index=False)
        typed.to_excel(book, sheet_name="deals", index=False)
    for name, frame, given in (("leads", leads, leads), ("deals", deals, typed)):
        text = frame.to_csv(index=False)
        (folder / f"{name}.csv").write_text(text)
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}.csv", text)
        given.to_parquet(folder / f"{name}.parquet")
        connection = sqlite3.connect(folder / "crm.db")
        given.to_sql(name, connection, index=False)
        connection.close()
        with duckdb.connect(str(folder / "crm.duckdb")) as database:
            database.register("given", given)
            database.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        with fsspec.open(f"memory://joined/{name}.csv", "wb") as stream:
            stream.write(text.encode())


def test_joined_tables_of_every_kind_of_source_give_the_same_leads(tmp_path):
    for package in ("duckdb", "fsspec", "openpyxl", "sqlalchemy"):
        pytest.importorskip(package)
    write_every_kind(tmp_path)

    def both(place):
        places = [place.replace("FOLDER", str(tmp_path)).replace("NAME", name) for name in ("leads", "deals")]
        text = JOINED.replace("LEADS", places[0]).replace("DEALS", places[1])
        joined = parse_contract(text, folder=tmp_path)
        ingest_leads(joined, output=tmp_path / "out.csv")
        return read_leads(joined).frame, (tmp_path / "out.csv").read_text()

    frame, text = both("path: NAME.csv")
    assert frame["amount"].tolist()[:2] == [1.5, 20.0]
    for place in KINDS.values():
        again, written = both(place)
        pd.testing.assert_frame_equal(again, frame)
        assert written == text


def test_a_parquet_file_may_stand_in_for_a_csv(tmp_path):
    frame = pd.DataFrame({"Id": ["1", "2"], "Created": ["2025-01-01", "2025-01-02"], "Size": ["5", "7"]})
    frame.to_csv(tmp_path / "leads.csv", index=False)
    frame.to_parquet(tmp_path / "newer.parquet")
    contract = parse_contract(
        "name: small\n"
        'tables:\n  leads: {path: leads.csv, format: csv, delimiter: ",", encoding: utf-8}\n'
        "columns:\n"
        "  lead_id: {from: leads.Record ID|Id, role: id}\n"
        '  created: {from: leads.Created, role: created, type: date, format: "%Y-%m-%d"}\n'
        "  size: {from: leads.Size, role: attribute, type: integer}\n",
        folder=tmp_path,
    )
    expected = read_leads(contract).frame
    pd.testing.assert_frame_equal(read_leads(contract, leads=tmp_path / "newer.parquet").frame, expected)
    with open_leads(contract, leads=tmp_path / "newer.parquet") as stream:
        assert sum(len(batch.frame) for batch in stream) == 2
