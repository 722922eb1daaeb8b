"""Each defect of a real export, alone and all together: exactly its lines are quarantined, no clean row changes."""

import gzip
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadml.errors import LeadsError
from leadml.leads import ingest_leads, parse_contract, read_leads

CONTRACT = """
name: acme
tables:
  leads: {path: leads.csv, format: csv, delimiter: ",", encoding: utf-8}
columns:
  lead_id: {from: leads.Id, role: id}
  created_on: {from: leads.Created, role: created, type: date, format: "%Y-%m-%d"}
  handed_on: {from: leads.Handed, role: handed_over, type: date, format: "%m/%d/%Y"}
  seen_at: {from: leads.Seen, role: attribute, type: date, format: "%Y-%m-%dT%H:%M:%S%z"}
  company: {from: leads.Company, role: account}
  city: {from: leads.City, role: attribute, type: category}
  employees: {from: leads.Employees, role: attribute, type: integer}
  revenue: {from: leads.Revenue, role: attribute, type: number, decimal: ".", thousands: ",", currency: USD}
  turnover: {from: leads.Turnover, role: attribute, type: number, decimal: ",", thousands: "."}
  budget: {from: leads.Budget, role: attribute, type: ordinal, levels: [none, some, approved]}
  demo: {from: leads.Demo, role: attribute, type: boolean}
  verdict: {from: leads.Verdict, role: verdict, accepted: ["1"], rejected: ["0"]}
  email: {from: leads.Email, role: personal}
quarantine_limit: 80%
"""
NAMES = [
    "Id",
    "Created",
    "Handed",
    "Seen",
    "Company",
    "City",
    "Employees",
    "Revenue",
    "Turnover",
    "Budget",
    "Demo",
    "Verdict",
    "Email",
    "Note",
]
HEADER = ",".join(NAMES)


def row(number, **changed):
    fields = {
        "Id": f"00{number:04d}",
        "Created": f"2024-{1 + number % 12:02d}-{1 + number % 28:02d}",
        "Handed": f"{1 + number % 12:02d}/{1 + number % 28:02d}/2024",
        "Seen": f"2024-03-{1 + number % 28:02d}T10:00:00+02:00",
        "Company": f'"Acme {number}, Inc"',
        "City": ["NA", "None", "null", "Köln", "O'Hara"][number % 5],
        "Employees": str(number * 3),
        "Revenue": ['"$1,200.50"', "300", "", '"(4,000)"'][number % 4],
        "Turnover": ['"1.234,56"', '"0,5"', "12", ""][number % 4],
        "Budget": ["none", "some", "approved", ""][number % 4],
        "Demo": ["true", "False", "1", "no", ""][number % 5],
        "Verdict": ["1", "0", ""][number % 3],
        "Email": f"canary{number}@secret.example",
        "Note": ['""', '"line1\nline2"', '"say ""hi"""', "plain"][number % 4],
    }
    return ",".join((fields | changed).values())


CELLS = {
    "another format": {"Handed": "2024-05-06"},
    "day and month swapped": {"Handed": "25/12/2024"},
    "30 February": {"Created": "2024-02-30"},
    "29 February of no leap year": {"Created": "2023-02-29"},
    "month 13": {"Created": "2024-13-01"},
    "zero date": {"Created": "0000-00-00"},
    "a time where a day is declared": {"Created": "2024-01-02 10:00"},
    "short year": {"Created": "24-01-02"},
    "serial day of a spreadsheet": {"Created": "45291"},
    "words for a day": {"Created": "yesterday"},
    "marker for a day": {"Created": "N/A"},
    "no zone": {"Seen": "2024-03-01T10:00:00"},
    "zone beyond the earth": {"Seen": "2024-03-01T10:00:00+99:00"},
    "zone with 70 minutes": {"Seen": "2024-03-01T10:00:00+01:70"},
    "zone before the first year": {"Seen": "0001-01-01T00:00:00+02:00"},
    "ambiguous name of a zone": {"Seen": "2024-03-01T10:00:00EST"},
    "hour 25": {"Seen": "2024-03-01T25:00:00Z"},
    "millions": {"Revenue": "$1.2M"},
    "thousands by letter": {"Revenue": "1.2k"},
    "European money as American": {"Revenue": '"1.234,56"'},
    "American money as European": {"Turnover": '"1,234.56"'},
    "another currency": {"Revenue": "€300"},
    "percent of nothing declared": {"Revenue": "12%"},
    "a range": {"Revenue": "100-200"},
    "about": {"Revenue": "~100"},
    "too large for a number": {"Revenue": "1e309"},
    "infinity": {"Revenue": "inf"},
    "not a number": {"Revenue": "NaN"},
    "a dash": {"Revenue": "-"},
    "groups of two": {"Revenue": '"1,23,456"'},
    "two points": {"Revenue": "1.2.3"},
    "underscore": {"Revenue": "1_000"},
    "other digits": {"Revenue": "١٢٣"},
    "error of a spreadsheet": {"Revenue": "#VALUE!"},
    "formula": {"Revenue": "=1+1"},
    "brackets without currency": {"Turnover": "(300)"},
    "part of a person": {"Employees": "3.5"},
    "groups not declared": {"Employees": '"1,200"'},
    "words for a number": {"Employees": "many"},
    "forty digits": {"Employees": "9" * 40},
    "bands": {"Employees": "50-100"},
    "at least": {"Employees": "50+"},
    "an unknown level": {"Budget": "huge"},
    "a level in other letters": {"Budget": "Approved"},
    "neither yes nor no": {"Demo": "maybe"},
    "no id": {"Id": ""},
    "an id of spaces": {"Id": "   "},
    "an id that a spreadsheet rounded": {"Id": "1.23457E+11"},
}
LINES = {
    "a field too few": [row(900).rpartition(",")[0]],
    "trailing delimiter": [row(900) + ","],
    "open quote": [row(900, Company='"Acme')],
    "stray quote": [row(900, Company='Ac"me')],
    "backslash before a quote": [row(900, Company='"Ac\\"me"')],
    "NUL": [row(900, Company="a\0b")],
    "another encoding": [row(900, City="Köln").encode("latin-1")],
    "byte order mark inside the file": ["\ufeff" + row(900)],
    "line break outside quotes": ["000900,2024-01-01,01/01/2024", "Acme,x"],
    "line break in the id": [row(904)[:3], row(904)[3:]],
    "carriage return outside quotes": [row(900, Company="Acme\rInc")],
    "blank": [""],
    "delimiters only": ["," * (len(NAMES) - 1)],
    "repeated header": [HEADER],
    "second table": ["Region,Total", "EMEA,5", "APAC,6"],
    "comment": ["# exported by somebody"],
    "two rows in one": [row(900) + row(904)],
    "shifted right": ["," + row(900).rpartition(",")[0]],
    "shifted left": [row(900, Company="Acme").partition(",")[2] + ","],
    "unquoted delimiter": [row(900, Company="Acme, Inc")],
    "same id, other content": [row(5, City="Elsewhere")],
    "same id with spaces": [row(8, Id=" 000008 ")],
    "cut off": [row(900)[:60]],
}
DEFECTS = {**{name: [row(900, **cell)] for name, cell in CELLS.items()}, **LINES}


def as_bytes(line):
    return line if isinstance(line, bytes) else line.encode()


def build(pieces, *, end):
    """Return a file of 40 clean rows with `pieces` among them, and the lines of the pieces."""
    lines, damaged, number = [HEADER.encode()], set(), 2
    for place in range(40):
        clean = row(place).replace("\n", end).encode()
        lines.append(clean)
        number += clean.count(b"\n") + 1
        for piece in pieces.get(place, []):
            lines.append(as_bytes(piece))
            damaged.add(number)
            number += as_bytes(piece).count(b"\n") + 1
    return end.encode().join(lines) + end.encode(), damaged


def ingest(folder, data, *, name="leads.csv", contract=CONTRACT):
    (folder / name).write_bytes(data)
    out = folder / "out.parquet"
    report = ingest_leads(
        parse_contract(contract, folder=folder),
        output=out,
        quarantine=folder / "q.csv",
        leads=folder / name,
    )
    return report, pd.read_parquet(out)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    frames = {}
    for end in ("\n", "\r\n"):
        report, frames[end] = ingest(tmp_path_factory.mktemp("clean"), build({}, end=end)[0])
        assert (report.manifest.kept, report.manifest.quarantined) == (40, 0)
    return frames


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_alone_takes_exactly_its_own_lines(kind, end, clean, tmp_path):
    data, damaged = build({20: DEFECTS[kind]}, end=end)
    report, frame = ingest(tmp_path, data)
    assert {entry["line"] for entry in report.to_dict()["quarantine"]} == damaged
    pd.testing.assert_frame_equal(frame, clean[end])
    rows = report.manifest
    assert rows.read == rows.kept + rows.quarantined + rows.duplicates
    written = (tmp_path / "q.csv").read_text() + repr(report)
    assert "canary" not in written
    assert "secret" not in written


def test_all_defects_together_take_exactly_their_lines(clean, tmp_path):
    pieces = {}
    for number, (kind, lines) in enumerate(DEFECTS.items()):
        if kind not in {"cut off", "open quote"}:
            pieces.setdefault(6 + number % 33, []).extend(lines)
    pieces[39] = DEFECTS["cut off"]
    data, damaged = build(pieces, end="\n")
    report, frame = ingest(tmp_path, data)
    assert {entry["line"] for entry in report.to_dict()["quarantine"]} == damaged
    pd.testing.assert_frame_equal(frame, clean["\n"])


def test_a_repeated_row_is_a_duplicate_and_nothing_else(clean, tmp_path):
    data, _ = build({20: [row(5).replace("\n", " ")], 30: [row(4), row(4)]}, end="\n")
    report, frame = ingest(tmp_path, data)
    assert (report.manifest.duplicates, report.manifest.quarantined) == (3, 0)
    pd.testing.assert_frame_equal(frame, clean["\n"])


def test_a_very_long_text_is_a_text(clean, tmp_path):
    long = '"' + "x, y " * 40_000 + '"'
    data, _ = build({20: [row(900, Company=long.replace('"y"', '""y""'), Note='""')]}, end="\n")
    report, frame = ingest(tmp_path, data)
    assert (report.manifest.kept, report.manifest.quarantined) == (41, 0)
    assert len(frame.loc[frame["lead_id"] == "000900", "company"].iloc[0]) >= 200_000
    pd.testing.assert_frame_equal(frame[frame["lead_id"] != "000900"].reset_index(drop=True), clean["\n"])


def test_clean_values_stay_what_they_are(clean):
    frame = clean["\n"]
    assert frame["lead_id"].tolist()[:2] == ["000000", "000001"]
    assert frame["city"].astype(str).tolist()[:5] == ["NA", "None", "null", "Köln", "O'Hara"]
    assert frame["revenue"].tolist()[:2] == [1200.5, 300.0]
    assert frame["revenue"][3] == -4000.0
    assert frame["turnover"].tolist()[:3] == [1234.56, 0.5, 12.0]
    assert str(frame["seen_at"][0]) == "2024-03-01 08:00:00+00:00"
    assert "email" not in frame


def test_percent_is_read_where_the_unit_says_so(tmp_path):
    contract = CONTRACT.replace("type: integer}", "type: number, unit: percent}")
    data = f"{HEADER}\n{row(1, Employees='12.5%')}\n{row(3, Employees='7 %')}\n".encode()
    _, frame = ingest(tmp_path, data, contract=contract)
    assert frame["employees"].tolist() == [12.5, 7.0]


def damaged_archives():
    plain = build({}, end="\n")[0]
    packed = gzip.compress(plain, mtime=0)
    yield "cut gzip", "leads.csv.gz", packed[:-40]
    yield "wrong checksum", "leads.csv.gz", packed[:-8] + b"\0\0\0\0" + packed[-4:]
    yield "cut zip", "leads.zip", b"PK\x03\x04" + packed


@pytest.mark.parametrize(
    ("name", "data"), [pytest.param(*each[1:], id=each[0]) for each in damaged_archives()]
)
def test_a_damaged_archive_is_refused_however_it_is_read(name, data, tmp_path):
    with pytest.raises(LeadsError, match="damaged"):
        ingest(tmp_path, data, name=name)
    with pytest.raises(LeadsError, match="damaged"):
        read_leads(parse_contract(CONTRACT, folder=tmp_path), leads=tmp_path / name)


def test_an_encrypted_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("leads.csv", build({}, end="\n")[0])
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(LeadsError, match="encrypted"):
        ingest(tmp_path, bytes(data), name="leads.zip")


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (pa.array([[1], [2]]), "not one value per lead"),
        (pa.array([b"\xff\xfe", b"x"]), "bytes that are not text"),
        (pa.array([10**7, 1], pa.int32()).cast(pa.date32()), "outside the years"),
    ],
)
def test_what_no_text_stands_for_is_refused(values, match, tmp_path):
    contract = (
        "name: p\ntables: {leads: {path: l.parquet}}\ncolumns:\n  lead_id: {from: leads.id, role: id}\n"
    )
    contract += "  x: {from: leads.x, role: attribute, type: category}\n"
    pq.write_table(pa.table({"id": ["1", "2"], "x": values}), tmp_path / "l.parquet")
    with pytest.raises(LeadsError, match=match):
        read_leads(parse_contract(contract, folder=tmp_path))


def test_bytes_that_are_text_are_read_as_text(tmp_path):
    contract = (
        "name: p\ntables: {leads: {path: l.parquet}}\ncolumns:\n  lead_id: {from: leads.id, role: id}\n"
    )
    pq.write_table(pa.table({"id": pa.array([b"L1", "Lä".encode()])}), tmp_path / "l.parquet")
    assert read_leads(parse_contract(contract, folder=tmp_path)).frame["lead_id"].tolist() == ["L1", "Lä"]


def test_a_parquet_file_with_a_damaged_page_is_refused(tmp_path):
    contract = (
        "name: p\ntables: {leads: {path: l.parquet}}\ncolumns:\n  lead_id: {from: leads.id, role: id}\n"
    )
    ids = pa.table({"id": [f"L{number * 7919 % 100_003}" for number in range(3000)]})
    pq.write_table(ids, tmp_path / "l.parquet", use_dictionary=False)
    data = bytearray((tmp_path / "l.parquet").read_bytes())
    data[4:2000] = bytes(byte ^ 0x5A for byte in data[4:2000])
    (tmp_path / "l.parquet").write_bytes(bytes(data))
    loaded = parse_contract(contract, folder=tmp_path)
    with pytest.raises(LeadsError, match=r"damaged|not a readable"):
        read_leads(loaded)
    with pytest.raises(LeadsError, match=r"damaged|not a readable"):
        ingest_leads(loaded, output=tmp_path / "out.csv")
