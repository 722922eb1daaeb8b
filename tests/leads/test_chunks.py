import random

import numpy as np
import pandas as pd
import pytest

from leadml.errors import InputMissingError, LeadsError
from leadml.leads import (
    find_repeated_rows,
    hash_lead_ids,
    load_contract,
    open_chunk,
    open_leads,
    parse_contract,
    plan_chunks,
    settle_repeated_rows,
    write_synthetic_leads,
)

CONTRACT = """\
name: small
tables:
  leads: {path: leads.csv, format: csv}
columns:
  lead_id: {from: leads.id, role: id}
  created_on: {from: leads.created, role: created, type: date, format: "%Y-%m-%d"}
  note: {from: leads.note, role: attribute, type: category}
"""
HEADER = "id,created,note\n"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Files of a few lines have many blocks here."""
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 100)


@pytest.fixture
def small(tmp_path):
    return parse_contract(CONTRACT, folder=tmp_path)


def collect(stream):
    frames, counts, rejects = [], [0, 0], []
    for batch in stream:
        frames.append(batch.frame.astype(object))
        counts[0] += batch.read
        counts[1] += batch.duplicates
        rejects += batch.rejects
    return pd.concat(frames, ignore_index=True), tuple(counts), rejects


def whole(contract, **options):
    with open_leads(contract, **options) as stream:
        return collect(stream)


def parts(contract, n_chunks, **options):
    """Read every part by itself, as many readers side by side would."""
    plan = plan_chunks(contract, n_chunks=n_chunks, **options)
    chunks, contract = plan.chunks, plan.contract
    hashes = np.concatenate([hash_lead_ids(contract, chunk) for chunk in chunks])
    values, times = np.unique(hashes, return_counts=True)
    repeated = values[times > 1]
    fates = settle_repeated_rows(
        [row for chunk in chunks for row in find_repeated_rows(contract, chunk, repeated)]
        if len(repeated)
        else []
    )
    frames, counts, rejects = [], [0, 0], []
    for chunk in chunks:
        with open_chunk(contract, chunk, fates=fates) as stream:
            frame, some, more = collect(stream)
        frames.append(frame)
        counts = [a + b for a, b in zip(counts, some, strict=True)]
        rejects += more
    return (pd.concat(frames, ignore_index=True), tuple(counts), rejects), len(chunks)


def check_equal(first, second):
    pd.testing.assert_frame_equal(first[0], second[0], check_dtype=False)
    assert first[1] == second[1]
    assert [tuple(reject) for reject in first[2]] == [tuple(reject) for reject in second[2]]


@pytest.mark.parametrize("n_chunks", [1, 2, 9])
def test_parts_give_what_one_reader_gives(tmp_path, n_chunks, monkeypatch):
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 2_000)
    files = write_synthetic_leads(tmp_path, n_leads=200, random_state=4)
    contract = load_contract(files.contract_path)
    found, n_found = parts(contract, n_chunks)
    check_equal(whole(contract), found)
    assert n_found > n_chunks / 2


@pytest.mark.parametrize("n_chunks", [2, 5])
@pytest.mark.parametrize("group", [7, 1_000])
def test_a_parquet_file_is_divided_by_rows(small, n_chunks, group):
    frame = pd.DataFrame(
        {"id": [str(n) for n in range(50)], "created": "2026-01-01", "note": ["a", None] * 25}
    )
    frame.loc[30, "id"] = "3"
    frame.loc[31] = frame.loc[4]
    path = small.folder / "leads.parquet"
    frame.to_parquet(path, row_group_size=group)
    found, n_found = parts(small, n_chunks, leads=path)
    check_equal(whole(small, leads=path), found)
    assert n_found == n_chunks


def test_texts_with_line_ends_and_damaged_quotes_are_never_cut(small):
    chance = random.Random(0)
    for _ in range(15):
        rows = []
        for _ in range(chance.randint(5, 60)):
            note = chance.choice(
                [
                    "a",
                    "b",
                    '"x\ny"',
                    '"p,q\n1,2026-01-01,r\ns"',
                    '"open',
                    'cl"ose',
                    "",
                    '"a ""b"" c"',
                    "\n",
                    "é",
                ]
            )
            rows.append(f"{chance.randint(0, 40)},2026-01-0{chance.randint(1, 9)},{note}")
        text = HEADER + chance.choice(["\n", "\r\n"]).join(rows) + chance.choice(["", "\n", "\n\n"])
        (small.folder / "leads.csv").write_bytes(text.encode())
        expected = whole(small)
        for n_chunks in (2, 9):
            found, _ = parts(small, n_chunks)
            check_equal(expected, found)


@pytest.mark.parametrize(
    "data",
    [
        HEADER.encode() + b"1,2026-01-01,a\n" * 3,
        (HEADER + "1,2026-01-01,a\n").encode("utf-16"),
        HEADER.replace("\n", "\r").encode() + b"1,2026-01-01,a\r2,2026-01-01,b\r",
    ],
)
def test_what_cannot_be_divided_is_one_part(small, data):
    (small.folder / "leads.csv").write_bytes(data)
    contract = small
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        contract = parse_contract(
            CONTRACT.replace("format: csv}", "format: csv, encoding: utf-16}"), folder=small.folder
        )
    found, n_found = parts(contract, 4)
    check_equal(whole(contract), found)
    assert n_found <= 3


def test_a_file_that_is_missing_or_no_file_is_refused(small):
    with pytest.raises(InputMissingError, match=r"leads.csv"):
        plan_chunks(small, n_chunks=2)
    with pytest.raises(LeadsError, match="only a file can be read in parts"):
        plan_chunks(small, leads="sqlite:///x.db#leads", n_chunks=2)
