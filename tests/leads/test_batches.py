import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadml.errors import InputMissingError, LeadsError, QuarantineError
from leadml.leads import (
    _blocks,
    load_contract,
    open_leads,
    parse_contract,
    read_leads,
    write_synthetic_leads,
)
from leadml.leads._addresses import mask_address, split_address

CONTRACT = """\
name: small
tables:
  leads: {path: leads.csv, format: csv}
  accounts: {path: accounts.csv, format: csv, join: {leads.account: id}}
columns:
  lead_id: {from: leads.id, role: id}
  created_on: {from: leads.created, role: created, type: date, format: "%Y-%m-%d"}
  employees: {from: leads.employees, role: attribute, type: integer}
  industry: {from: accounts.industry, role: attribute, type: category}
  verdict: {from: leads.verdict, role: verdict, accepted: [y], rejected: [n]}
  email: {from: leads.email, role: personal}
"""
HEADER = "id,created,employees,account,verdict,email\n"


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    return write_synthetic_leads(tmp_path_factory.mktemp("leads"), n_leads=600, random_state=3)


@pytest.fixture
def small(tmp_path):
    (tmp_path / "accounts.csv").write_text("id,industry\na1,software\na2,public\n")
    return parse_contract(CONTRACT, folder=tmp_path)


def write(contract, *rows, name="leads.csv"):
    path = contract.folder / name
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def read(contract, **options):
    """Read everything: one frame, counts, rejects as (line, column, rule)."""
    with open_leads(contract, **options) as stream:
        batches = list(stream)
    frame = pd.concat([batch.frame.astype(object) for batch in batches], ignore_index=True)
    rejects = [(reject.line, reject.column, reject.rule) for batch in batches for reject in batch.rejects]
    counts = (sum(batch.read for batch in batches), sum(batch.duplicates for batch in batches))
    return frame, counts, rejects


def test_batches_give_what_reading_at_once_gives(synthetic, monkeypatch):
    contract = load_contract(synthetic.contract_path)
    table = read_leads(contract, need="attributes")
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 5_000)
    frame, counts, rejects = read(contract)
    assert counts == (table.manifest.read, table.manifest.duplicates)
    expected = table.quarantine[~table.quarantine["column"].isin(["decided_on", "closed_on", "amount"])]
    assert rejects == list(
        expected.loc[expected["table"] == "leads", ["line", "column", "rule"]].itertuples(
            index=False, name=None
        )
    )
    both = frame["lead_id"].isin(table.frame["lead_id"])
    assert len(frame) - both.sum() == len(table.quarantine) - len(expected)
    pd.testing.assert_frame_equal(
        frame[both].reset_index(drop=True), table.frame[frame.columns].astype(object), check_dtype=False
    )


def test_a_parquet_file_gives_the_same_leads_as_its_csv(small):
    path = write(small, "1,2026-01-01,5,a1,,", "2,2026-01-02,,a2,,", "3,2026-01-03,7,a9,,")
    frame, counts, _ = read(small)
    pd.read_csv(path, dtype=str).to_parquet(path.with_suffix(".parquet"))
    again, again_counts, _ = read(small, leads=path.with_suffix(".parquet"), batch_rows=2)
    assert counts == again_counts == (3, 0)
    pd.testing.assert_frame_equal(frame, again)


def test_a_repeated_id_is_settled_across_batches(small, monkeypatch):
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 60)
    rows = [f"{n},2026-01-01,5,a1,," for n in range(20)]
    write(
        small,
        *rows,
        "3,2026-01-01,5,a1,,",
        "4,2026-01-01,6,a1,,",
        ",2026-01-01,6,a1,,",
        "3,2026-01-01,5,a1,,",
    )
    frame, counts, rejects = read(small)
    assert counts == (24, 2)
    assert frame["lead_id"].tolist() == [str(n) for n in range(20)]
    assert rejects == [(23, "lead_id", "conflicting_id"), (24, "lead_id", "missing_id")]


def test_attributes_of_a_joined_table_follow_their_lead(small):
    write(small, "1,2026-01-01,5,a2,,", "2,2026-01-01,5,,,", "3,2026-01-01,5,a1,,")
    frame, _, _ = read(small)
    assert [value if isinstance(value, str) else None for value in frame["industry"]] == [
        "public",
        None,
        "software",
    ]
    assert list(frame.columns) == ["lead_id", "created_on", "employees", "industry"]


def test_a_joined_table_that_is_not_there_is_missed_only_if_an_attribute_needs_it(small):
    write(small, "1,2026-01-01,5,a2,,")
    (small.folder / "accounts.csv").unlink()
    with pytest.raises(InputMissingError, match=r"accounts.csv"):
        read(small)
    without = parse_contract(
        CONTRACT.replace("role: attribute, type: category", "role: reason"), folder=small.folder
    )
    frame, _, _ = read(without)
    assert list(frame.columns) == ["lead_id", "created_on", "employees"]


def test_a_damaged_joined_table_is_refused(small):
    write(small, "1,2026-01-01,5,a2,,")
    (small.folder / "accounts.csv").write_text("id,industry\na1,software\na1,public\n")
    with pytest.raises(QuarantineError, match="accounts"):
        read(small)


def test_no_rows_still_have_columns(small):
    write(small)
    frame, counts, _ = read(small)
    assert counts == (0, 0)
    assert list(frame.columns) == ["lead_id", "created_on", "employees", "industry"]


@pytest.mark.parametrize("missing", ["employees", "created", "account"])
def test_a_column_that_is_missing_is_said_before_any_row(small, missing):
    path = write(small, "1,2026-01-01,5,a2,,")
    path.write_text(path.read_text().replace(missing, "other"))
    with pytest.raises(LeadsError, match=f"no column '{missing}'"):
        read(small)


def test_a_file_that_changes_while_it_is_read_is_refused(small):
    path = write(small, "1,2026-01-01,5,a2,,")
    with pytest.raises(LeadsError, match="changed while it was read"), open_leads(small) as stream:
        path.write_text(path.read_text() + "2,2026-01-01,5,a2,,\n")
        list(stream)


def test_a_compressed_file_is_read_and_a_damaged_one_refused(small):
    path = write(small, *(f"{n},2026-01-01,{n},a2,," for n in range(500)))
    packed = gzip.compress(path.read_bytes())
    (small.folder / "leads.csv.gz").write_bytes(packed)
    assert len(read(small, leads=small.folder / "leads.csv.gz")[0]) == 500
    (small.folder / "leads.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(LeadsError, match="compressed file is damaged"):
        read(small, leads=small.folder / "leads.csv.gz")


def test_what_is_no_parquet_file_is_refused(small):
    (small.folder / "x.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(LeadsError, match="not a readable Parquet file"):
        read(small, leads=small.folder / "x.parquet")


def test_an_empty_file_or_none_is_named(small):
    with pytest.raises(InputMissingError, match="no such file"):
        read(small)
    (small.folder / "leads.csv").write_text("")
    with pytest.raises(LeadsError, match="the file is empty"):
        read(small)
    without = parse_contract(
        CONTRACT.replace("{path: leads.csv, format: csv}", "{format: csv}"), folder=small.folder
    )
    with pytest.raises(LeadsError, match="has no path"):
        read(without)


# -- databases -----------------------------------------------------------------------------------------------


@pytest.fixture
def database(small):
    from sqlalchemy import create_engine

    path = write(small, "2,2026-01-02,,a1,,", "1,2026-01-01,5,a1,,", "3,2026-01-03,7,a2,,")
    frame = pd.read_csv(path).drop(columns=["verdict", "email"])
    address = f"sqlite:///{small.folder / 'crm.db'}"
    frame["created"] = pd.to_datetime(frame["created"])
    engine = create_engine(address)
    frame.to_sql("leads", engine, index=False)
    engine.dispose()
    return f"{address}#leads"


def test_a_database_table_gives_the_leads_in_order_of_their_id(small, database):
    frame, counts, _ = read(small, leads=database, batch_rows=2)
    write(small, "1,2026-01-01,5,a1,,", "2,2026-01-02,,a1,,", "3,2026-01-03,7,a2,,")
    expected, _, _ = read(small)
    assert counts == (3, 0)
    pd.testing.assert_frame_equal(frame, expected)


def test_a_database_that_lacks_a_column_or_table_is_refused(small, database):
    with pytest.raises(InputMissingError, match="no such table"):
        read(small, leads=database.replace("#leads", "#other"))
    with pytest.raises(LeadsError, match="no column 'employees'"):
        read(
            parse_contract(CONTRACT.replace("leads.created", "leads.account"), folder=small.folder),
            leads=_without(database, "employees"),
        )


def _without(address, column):
    from sqlalchemy import create_engine, text

    engine = create_engine(address.partition("#")[0])
    with engine.begin() as connection:
        connection.execute(text(f"alter table leads drop column {column}"))
    engine.dispose()
    return address


def test_a_database_that_cannot_be_reached_is_named_without_its_password(small, tmp_path):
    address = f"postgresql+psycopg://me:secret@127.0.0.1:9/{'x'}#leads"
    with pytest.raises(InputMissingError, match=r"me:\*\*\*@127") as caught:
        read(small, leads=address)
    assert "secret" not in str(caught.value)


def test_an_address_without_a_table_is_refused(small):
    with pytest.raises(LeadsError, match="ends in `#table`"):
        read(small, leads="sqlite:///x.db")
    assert split_address("sqlite:///x.db#a.b") == ("sqlite:///x.db", "a", "b")
    assert mask_address("a://b:c@d#e") == "a://b:***@d#e"


def test_values_of_a_database_are_read_as_what_they_are(small):
    from leadml.leads._database import _arrow

    assert _arrow([1, None]).to_pylist() == [1, None]
    assert _arrow([Path("a"), None, np.int64(1)]).to_pylist() == ["a", None, "1"]


def test_texts_that_parquet_holds_in_a_list_are_read_as_any_others(small, tmp_path, monkeypatch):
    rows = pa.table({"lead_id": [f"L{row}" for row in range(3_000)], "source": ["web", "show", None] * 1_000})
    pq.write_table(rows, tmp_path / "leads.parquet", row_group_size=1_000)
    assert _blocks._short_lists(tmp_path / "leads.parquet") == ["source"]
    contract = parse_contract(
        "name: x\ntables: {leads: {path: leads.parquet, format: parquet}}\ncolumns:\n"
        "  lead_id: {from: leads.lead_id, role: id}\n"
        "  source: {from: leads.source, role: attribute, type: category}\n",
        folder=tmp_path,
    )
    found = []
    for lists in (_blocks._short_lists, lambda _: []):
        monkeypatch.setattr(_blocks, "_short_lists", lists)
        with open_leads(contract, batch_rows=700) as stream:
            found.append(pd.concat([batch.frame.astype(object) for batch in stream], ignore_index=True))
    pd.testing.assert_frame_equal(found[0], found[1])
    assert found[0]["source"].notna().sum() == 2_000


def test_first_rows_that_cannot_be_read_are_refused_when_the_leads_are_opened(small, tmp_path):
    rows = pa.table({"id": ["1"], "created": ["2021-01-05"], "employees": [[1]], "account": ["a1"]})
    pq.write_table(rows, tmp_path / "nested.parquet")
    (tmp_path / "accounts.csv").write_text("id,industry\na1,software\n")
    with (
        pytest.raises(LeadsError, match="not one value per lead"),
        open_leads(small, leads=tmp_path / "nested.parquet"),
    ):
        pytest.fail("opened")
