import gzip
import sqlite3
import zipfile
from contextlib import closing

import duckdb
import pandas as pd
import pytest

from leadml.errors import InputMissingError, LeadsError
from leadml.leads import parse_contract, propose_contract, read_leads

ROWS = [
    "LeadId;Created;Employees;Revenue;Source;Email;Note;Opted In;Stage;Score;Plz;Empty;Mixed",
    *(
        f"L{n:04d};{1 + n % 28:02d}.{1 + n % 12:02d}.2021;{n * 7};1.{n % 900 + 100},5{n % 10};"
        f"{['Web', 'Fair', 'Select'][n % 3]};p{n}@x.com;text number {n} about {n * n};"
        f"{['Yes', 'No'][n % 2]};{['Won', 'Lost', 'Open'][n % 3]};{[1, 2, 999, 40][n % 4]};0{n % 90 + 1000};;"
        f"{'1/18/2021 0:00' if n % 10 else '9/30/2022'}"
        for n in range(300)
    ),
]


@pytest.fixture(scope="module")
def proposal(tmp_path_factory):
    path = tmp_path_factory.mktemp("propose") / "My Export.csv"
    path.write_text("\n".join([*ROWS, ""]), encoding="utf-8")
    return propose_contract(path), path


def test_the_proposed_contract_reads_the_file(proposal):
    found, path = proposal
    contract = parse_contract(found.text, folder=path.parent)
    table = read_leads(contract)
    assert table.manifest.kept == 300
    kinds = {column.name: (column.role, column.type) for column in contract.columns}
    assert kinds["lead_id"] == ("id", "text")
    assert kinds["created"] == ("created", "date")
    assert kinds["employees"] == ("attribute", "integer")
    assert kinds["revenue"] == ("attribute", "number")
    assert kinds["source"] == ("attribute", "category")
    assert kinds["email"] == ("personal", "text")
    assert kinds["opted_in"] == ("attribute", "boolean")
    assert kinds["stage"] == ("outcome", "category")
    assert kinds["plz"] == ("attribute", "category")
    assert "note" not in kinds
    assert "empty" not in kinds
    assert contract.column("mixed").format == ("%m/%d/%Y %H:%M", "%m/%d/%Y")
    assert contract.tables[0].delimiter == ";"
    assert contract.name == "my-export"
    assert table.frame["revenue"].max() > 1000


def test_what_may_mean_missing_is_said_not_applied(proposal):
    found, path = proposal
    contract = parse_contract(found.text, folder=path.parent)
    assert all(column.missing == () for column in contract.columns)
    confirm = found.to_frame().groupby("column")["confirm"].agg(" ".join)
    assert "Select: no value?" in confirm["Source"]
    assert "999: no value?" in confirm["Score"]
    assert "2 date formats" in confirm["Mixed"]
    assert "never read" in confirm["Email"]
    assert "free text" in confirm["Note"]
    assert "# Select: no value?" in found.text
    assert found._repr_html_().startswith("<pre>")


def test_no_personal_value_stands_in_a_proposal(proposal):
    found, _ = proposal
    assert "@" not in found.text + found.to_frame().to_csv()
    assert "text number" not in found.text


def test_dates_that_two_formats_fit_are_asked_about(tmp_path):
    path = tmp_path / "leads.csv.gz"
    text = "id,created\n" + "".join(f"{n},0{1 + n % 9}/0{1 + n % 8}/2021\n" for n in range(50))
    path.write_bytes(gzip.compress(text.encode()))
    found = propose_contract(path, name="Mine")
    assert "%m/%d/%Y and %d/%m/%Y fit all dates" in " ".join(text for _, text in found.findings)
    assert parse_contract(found.text).name == "mine"


def test_other_encodings_are_recognised(tmp_path):
    path = tmp_path / "leads.csv"
    rows = "id\tStadt\n" + "".join(f"{n}\tKöln{n % 3}\n" for n in range(40))
    for encoding in ("cp1252", "utf-16", "utf-8"):
        path.write_bytes(rows.encode(encoding))
        contract = parse_contract(propose_contract(path).text, folder=tmp_path)
        assert contract.tables[0].encoding == encoding
        assert read_leads(contract).frame["stadt"].nunique() == 3


def test_a_file_without_ids_is_named_by_its_lines(tmp_path):
    (tmp_path / "a.csv").write_text("x,x,y,\n1,2,3,\n1,2,3,\nbroken\n")
    found = propose_contract(tmp_path / "a.csv")
    assert '"leads.#line"' in found.text
    said = " ".join(text for _, text in found.findings)
    assert "same name or none" in said or "1 rows are damaged" in said


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"")
    with pytest.raises(LeadsError, match="cannot be read as a table"):
        propose_contract(tmp_path / "a.csv")


def test_real_exports_get_a_contract_that_reads_them(shared_data):
    for name in (
        "marketstar/Opportunities.csv",
        "xeducation/Leads.csv",
        "salvirt_b2b/Salvirt_B2B_ML_dataset.csv",
    ):
        path = shared_data / name
        table = read_leads(parse_contract(propose_contract(path).text, folder=path.parent))
        assert table.manifest.kept >= 0.99 * table.manifest.read


N = 60
FRAME = pd.DataFrame(
    {
        "Owner Id": [f"u{n}" for n in range(N)],
        "Record Id": [f"L{n}" for n in range(N)],
        "Close Date": pd.date_range("2024-03-01", periods=N),
        "Created": pd.date_range("2024-01-01", periods=N),
        "Employees": [str(n * 3) if n % 5 else "#VALUE!" for n in range(N)],
        "Source": ["Web", "Select", "N/A", "None"] * 15,
        "Score": [999, 3, 5] * 20,
        "Seller": ["a", "b", "c"] * 20,
        "Company": ["Acme", "Bolt", "Cord"] * 20,
        "Is Converted": [True, False, False] * 20,
        "Opted In": [False] * N,
        "Spend": [0, 0, 0, 1.5, 2.25, 7.125] * 10,
        "Disqualified Reason": ["Duplicate", "", "Too small"] * 20,
    }
)


def as_csv(path):
    FRAME.to_csv(path, index=False)
    return path


def as_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("leads.csv", FRAME.to_csv(index=False))
    return path


def as_excel(path):
    FRAME.to_excel(path, index=False)
    return path


def as_parquet(path):
    FRAME.assign(Tags=[["a", "b"]] * N).to_parquet(path)
    return path


def as_duckdb(path):
    with duckdb.connect(str(path)) as connection:
        connection.register("shown", FRAME)
        connection.execute("CREATE TABLE crm AS SELECT * FROM shown")
        connection.unregister("shown")
    return path


def as_sqlite(path):
    with closing(sqlite3.connect(path)) as connection:
        FRAME.to_sql("crm", connection, index=False)
    return path


SOURCES = {
    "a.csv": as_csv,
    "a.csv.gz": as_csv,
    "a.zip": as_zip,
    "a.xlsx": as_excel,
    "a.parquet": as_parquet,
    "a.duckdb": as_duckdb,
    "a.sqlite": as_sqlite,
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_kind_of_source_gets_the_same_contract_and_can_be_read_by_it(name, tmp_path):
    found = propose_contract(SOURCES[name](tmp_path / name))
    contract = parse_contract(found.text + "quarantine_limit: 50%\n", folder=tmp_path)
    table = read_leads(contract)
    assert (table.manifest.quarantined, table.manifest.duplicates) == (
        12,
        0,
    )  # the sheet's errors, to confirm
    kinds = {column.name: (column.role, column.type) for column in contract.columns}
    assert kinds["record_id"] == ("id", "text")
    assert kinds["created"] == ("created", "date")
    assert kinds["close_date"] == ("attribute", "date")
    assert kinds["employees"] == ("attribute", "integer")
    assert kinds["source"] == ("attribute", "category")
    assert kinds["score"] == ("attribute", "integer")
    assert kinds["spend"] == ("attribute", "number")
    assert kinds["seller"][0] == "rep"
    assert kinds["company"][0] == "account"
    assert kinds["is_converted"] == ("attribute", "boolean")
    assert kinds["opted_in"] == ("attribute", "integer" if name == "a.sqlite" else "boolean")  # it stores 0
    assert "tags" not in kinds
    assert all(column.missing == () for column in contract.columns)
    confirm = found.to_frame().groupby("column")["confirm"].agg(" ".join)
    assert all(word in confirm["Source"] for word in ("Select", "N/A", "None"))
    assert "#VALUE!: no value?" in confirm["Employees"]
    assert "999: no value?" in confirm["Score"]
    assert "`closed`" in confirm["Close Date"]
    assert "may be the verdict" in confirm["Is Converted"]
    assert "may be Sales' reason" in confirm["Disqualified Reason"]
    assert "one value only" in confirm["Opted In"]
    if name == "a.parquet":
        assert "several values per lead" in confirm["Tags"]


@pytest.mark.parametrize("name", ["b.xlsx", "b.duckdb", "b.sqlite"])
def test_one_of_several_tables_is_named_after_the_file(name, tmp_path):
    path = tmp_path / name
    if name == "b.xlsx":
        with pd.ExcelWriter(path) as writer:
            FRAME.to_excel(writer, sheet_name="crm", index=False)
            FRAME.head(2).to_excel(writer, sheet_name="other", index=False)
    elif name == "b.duckdb":
        as_duckdb(path)
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE other AS SELECT 1 AS a")
    else:
        as_sqlite(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE other (a)")
    with pytest.raises(LeadsError, match=r"it holds crm, other\. Name one: .*#crm"):
        propose_contract(path)
    with pytest.raises(LeadsError, match=r"no (sheet|table) 'leads'; it holds crm, other"):
        propose_contract(f"{path}#leads")
    text = propose_contract(f"{path}#crm").text + "quarantine_limit: 50%\n"
    contract = parse_contract(text, folder=tmp_path)
    assert len(read_leads(contract)) == N - 12


CRM_TABLE = """
CREATE TYPE stage AS ENUM ('won', 'lost', 'open');
CREATE TABLE crm_export (
    raw json, id uuid PRIMARY KEY, created_at timestamptz NOT NULL, close_date date, employees integer, score smallint,
    spend numeric(12, 2), ratio double precision, "Lead Source" varchar(40), is_converted boolean, stage stage,
    owner_id bigint, email text, tags text[], custom jsonb, zip text, seen_at timestamp
);
INSERT INTO crm_export
SELECT '{}', md5(n::text)::uuid, timestamptz '2021-01-05 08:30:00+02' + n * interval '5 hours',
    CASE WHEN n %% 3 = 0 THEN date '2021-06-01' + n END, n * 7, n %% 9, n * 3.25, n / 7.0,
    (ARRAY['Web', 'Fair', 'Select'])[1 + n %% 3], n %% 2 = 0, (ARRAY['won', 'lost', 'open'])[1 + n %% 3]::stage,
    n %% 5, 'p' || n || '@x.example', ARRAY['a', 'b'], jsonb_build_object('a', n), '0' || 1000 + n %% 90,
    timestamp '2021-01-05 08:30:00' + n * interval '90 minutes'
FROM generate_series(1, 300) AS n;
"""


@pytest.mark.slow
def test_a_postgresql_table_gets_a_contract_that_reads_it(postgres, monkeypatch):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(postgres, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(CRM_TABLE)
    try:
        with_password = postgres.replace("leadml@", "leadml:geheim@")
        found = propose_contract(f"{with_password}#crm_export")
        assert "geheim" not in found.text + found.to_frame().to_csv()
        monkeypatch.setenv("CRM", with_password)
        address = next(line for line in found.text.splitlines() if line.startswith("  leads: "))
        contract = parse_contract(found.text.replace(address, "  leads: {path: env:CRM#crm_export}"))
        table = read_leads(contract)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE crm_export; DROP TYPE stage")
    assert (table.manifest.kept, table.manifest.quarantined) == (300, 0)
    kinds = {column.name: (column.role, column.type) for column in contract.columns}
    assert kinds == {
        "id": ("id", "text"),
        "created_at": ("created", "date"),
        "close_date": ("attribute", "date"),
        "employees": ("attribute", "integer"),
        "score": ("attribute", "integer"),
        "spend": ("attribute", "number"),
        "ratio": ("attribute", "number"),
        "lead_source": ("attribute", "category"),
        "is_converted": ("attribute", "boolean"),
        "stage": ("outcome", "category"),
        "owner_id": ("rep", "text"),
        "email": ("personal", "text"),
        "zip": ("attribute", "category"),
        "seen_at": ("attribute", "date"),
    }
    several = {column for column, words in found.findings if "several values per lead" in words}
    assert several == {"raw", "tags", "custom"}
    assert table.frame["created_at"].min() == pd.Timestamp("2021-01-05 11:30", tz="UTC")
    assert table.frame["spend"].sum() == 3.25 * 300 * 301 / 2


def test_a_file_that_is_not_there_or_no_database_is_refused(tmp_path):
    with pytest.raises(InputMissingError, match="no such file"):
        propose_contract(tmp_path / "a.csv")
    for name, match in (("a.duckdb", "DuckDB"), ("a.sqlite", "SQLite"), ("a.xlsx", "Excel")):
        (tmp_path / name).write_bytes(b"nothing of the sort, but long enough to be looked at")
        with pytest.raises(LeadsError, match=f"not a readable {match}"):
            propose_contract(tmp_path / name)


def test_long_numbers_are_no_phones(tmp_path):
    rows = "".join(f"{n},{1 / (n + 3):.12f}\n" for n in range(50))
    (tmp_path / "a.csv").write_text(f"id,ratio\n{rows}")
    contract = parse_contract(propose_contract(tmp_path / "a.csv").text)
    assert contract.column("ratio").role == "attribute"


def test_the_name_of_a_line_id_is_free(tmp_path):
    (tmp_path / "a.csv").write_text("Lead Id,x\n1,a\n1,b\n2,a\n")
    contract = parse_contract(propose_contract(tmp_path / "a.csv").text)
    assert [column.name for column in contract.columns][:2] == ["lead_id_2", "lead_id"]


GERMAN = """Lead-Nr.;Anlagedatum;Ansprechpartner;Mitarbeiter;Umsatz;Öffnungsrate;Monate;Bearbeiter;Verkaufschance;Entschieden am
"""


def test_an_export_of_another_country_is_read_by_its_notation(tmp_path):
    rows = [
        f"{i:05d};{1 + i % 28:02d}.03.2025;Müller {i};{'k. A.' if i % 9 == 0 else 3 + i % 70};{1 + i % 9}.{i % 900 + 100},50;"
        f"{i % 90},5 %;{99 if i % 11 == 0 else 1 + i % 12};{('Weiß', 'Groß')[i % 2]};"
        f"{('gewonnen', 'verloren', '')[i % 3]};{'' if i % 2 else '07.05.2025'}"
        for i in range(600)
    ]
    (tmp_path / "export.csv").write_bytes((GERMAN + "\n".join(rows) + "\n").encode("cp1252"))
    proposal = propose_contract(tmp_path / "export.csv")
    contract = parse_contract(proposal.text, folder=tmp_path)
    found = {column.name: column for column in contract.columns}
    roles = {name: column.role for name, column in found.items() if column.role != "attribute"}
    assert roles == {
        "lead_nr": "id",
        "anlagedatum": "created",
        "ansprechpartner": "personal",
        "bearbeiter": "rep",
        "verkaufschance": "outcome",
    }
    assert (found["mitarbeiter"].type, found["monate"].type) == ("integer", "integer")
    assert (found["umsatz"].decimal, found["umsatz"].thousands) == (",", ".")
    assert (found["offnungsrate"].type, found["offnungsrate"].unit) == ("number", "%")
    assert {("Mitarbeiter", "k. A.: no value? Then declare `missing`.")} <= set(proposal.findings)
    assert {("Monate", "99: no value? Then declare `missing`.")} <= set(proposal.findings)
    text = proposal.text.replace(
        "role: attribute, type: integer}", 'role: attribute, type: integer, missing: ["k. A.", "99"]}'
    )
    table = read_leads(parse_contract(text, folder=tmp_path))
    assert table.manifest.quarantined == 0
    assert table.frame["umsatz"].iloc[4] == 5104.5
    assert table.frame["offnungsrate"].iloc[4] == 4.5
    assert table.frame["mitarbeiter"].isna().sum() == 67


def test_short_forms_of_large_numbers_are_declared(tmp_path):
    rows = [f"{i},2025-01-{1 + i % 28:02d},${1 + i % 9}.{i % 10}{'MK'[i % 2]}" for i in range(200)]
    (tmp_path / "export.csv").write_text("id,created,revenue\n" + "\n".join(rows) + "\n")
    contract = parse_contract(propose_contract(tmp_path / "export.csv").text, folder=tmp_path)
    table = read_leads(contract)
    assert table.frame["revenue"].iloc[:2].tolist() == [1_000_000.0, 2_100.0]


def test_words_among_words_are_no_marker(tmp_path):
    rows = [f"{i},2025-01-{1 + i % 28:02d},{('Plan 1', 'Plan 2', 'free')[i % 3]}" for i in range(200)]
    (tmp_path / "export.csv").write_text("id,created,plan\n" + "\n".join(rows) + "\n")
    assert [
        text for column, text in propose_contract(tmp_path / "export.csv").findings if column == "plan"
    ] == []


def test_what_is_missing_for_the_loop_and_repeated_numbers_are_told(tmp_path):
    rows = "".join(f"{n if n != 77 else 76},{'yes' if n % 3 else 'no'}\n" for n in range(200))
    (tmp_path / "a.csv").write_text(f"Record Number,y\n{rows}")
    told = propose_contract(tmp_path / "a.csv").findings
    assert ("", "no column is taken as what became of the leads (`role: verdict`, `outcome`).") in told
    assert any(column == "Record Number" and "repeated in 1 rows only" in words for column, words in told)


def test_words_of_a_verdict_are_told_whatever_the_column_is_called(tmp_path):
    rows = "".join(f"{n},{['New', 'Closed - Unqualified', 'Working'][n % 3]},{n % 4}\n" for n in range(90))
    (tmp_path / "a.csv").write_text(f"id,Stage,size\n{rows}")
    told = dict(propose_contract(tmp_path / "a.csv").findings)
    assert "may be the verdict" in told["Stage"]
    assert "size" not in told
