import gzip

import pytest

from leadml.errors import LeadsError
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
