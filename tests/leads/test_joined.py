"""Joined tables and tables of changes lie on disk: same leads, flat memory, nothing personal, nothing left."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leadml.errors import OutputError
from leadml.leads import _store, ingest_leads, open_leads, parse_contract, read_leads
from leadml.leads._batches import read_others
from leadml.leads._blocks import FileSource

CONTRACT = """
name: chained
tables:
  leads: {path: leads.csv}
  links: {path: links.csv, join: {leads.Email: Mail}}
  deals: {path: deals.csv, join: {links.Deal: Id}, deleted: {Gone: ["true"]}, merged: {Twin: ["*"]}}
  reps: {path: reps.csv, join: {deals.Owner: Mail}}
  changes: {path: changes.csv, history: {lead: Lead, field: Field, old: Old, at: At}}
quarantine_limit: 90%
columns:
  lead_id: {from: leads.Id, role: id}
  created_on: {from: leads.Created, role: created, type: date}
  size: {from: leads.Size, role: attribute, type: integer}
  email: {from: leads.Email, role: personal}
  channel: {from: links.Channel, role: attribute, type: category}
  outcome: {from: deals.Stage, role: outcome, won: [Won], lost: [Lost], only_if: {Closed: ["true"]}}
  closed_on: {from: deals.Day, role: closed, type: date}
  amount: {from: deals.Amount, role: amount, type: number, thousands: ","}
  urgent: {from: deals.Urgent, role: attribute, type: boolean}
  reason: {from: deals.Why, role: reason, families: {definitional: [Too small]}}
  rep: {from: reps.Name, role: rep, queues: ["Queue*"]}
  team: {from: reps.Team, role: attribute, type: ordinal, levels: [east, west]}
"""


def write_tables(folder, *, n, seed):
    rng = np.random.default_rng(seed)

    def pick(*words, size=n):
        return rng.choice(np.array(words, dtype=object), size)

    mails = np.array([f"person{number:05d}@kanari.example" for number in range(n)], dtype=object)
    tables = {
        "leads": {
            "Id": [f"L{number}" for number in range(n)],
            "Created": "2021-01-05",
            "Size": pick("1", "20", "300"),
            "Email": np.where(rng.random(n) < 0.1, "", rng.choice(mails, n)),
        },
        "links": {
            "Mail": [f" {mail}" for mail in rng.choice(mails, n)],
            "Deal": rng.permuted([f"D{number % (n // 2)}" for number in range(n)]),
            "Channel": pick("web", "fair", ""),
        },
        "deals": {
            "Id": [f"D{number}" for number in rng.integers(0, n // 2, n)],
            "Gone": pick("true", "false", "false", "false"),
            "Twin": pick("D1", "", "", "", ""),
            "Stage": pick("Won", "Lost", "New"),
            "Closed": pick("true", "true", "false"),
            "Day": pick("2021-03-04", "2021-04-05", "", "soon"),
            "Amount": pick("1", '"1,000"', "2.5"),
            "Urgent": pick("yes", "no", ""),
            "Why": pick("Too small", "Other words", ""),
            "Owner": pick(*mails[:9]),
        },
        "reps": {
            "Mail": mails[:8],
            "Name": [f"Kanari Vogel {number}" if number else "Queue East" for number in range(8)],
            "Team": pick("east", "west", "", size=8),
        },
        "changes": {
            "Lead": [f"L{number}" for number in rng.integers(0, n, 3 * n)],
            "Field": pick("Size", "Owner", size=3 * n),
            "Old": pick("7", "many", "", size=3 * n),
            "At": pick("2021-01-04", "2021-02-03", "2021-02-01", "", size=3 * n),
        },
    }
    for name, columns in tables.items():
        lines = [",".join(columns), *map(",".join, pd.DataFrame(columns).to_numpy(dtype=object))]
        if name in {"links", "deals"}:
            lines += lines[1:40:3]  # the same rows again, word for word
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n\n")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tables_on_disk_give_the_same_leads_as_tables_in_memory(tmp_path, monkeypatch, seed):
    write_tables(tmp_path, n=300, seed=seed)
    contract = parse_contract(CONTRACT, folder=tmp_path)
    whole = read_leads(contract)
    monkeypatch.setattr("leadml.leads._csv.BLOCK_BYTES", 700)
    monkeypatch.setattr(FileSource, "_gathered", lambda _, blocks: ([block] for block in blocks))
    report = ingest_leads(contract, output=tmp_path / "out.csv")
    with open_leads(contract, columns="all") as stream:
        parts = [batch.frame.astype(object) for batch in stream]
    frame = pd.concat(parts, ignore_index=True)
    assert len(parts) > 10
    expected = whole.frame[frame.columns].astype(object)
    pd.testing.assert_frame_equal(frame.where(frame.notna(), None), expected.where(expected.notna(), None))
    assert frame["amount"].notna().sum() > 20
    assert frame["rep"].notna().sum() > 5
    assert sorted(report.manifest.notices) == sorted(whole.manifest.notices)
    assert report.manifest.other_tables == whole.manifest.other_tables
    assert min(each.duplicates for each in report.manifest.other_tables[:2]) > 0
    pd.testing.assert_frame_equal(report.quarantine, whole.quarantine)
    assert {"conflicting_key", "deleted", "date_format"} <= set(report.quarantine["rule"])


def test_a_joining_e_mail_and_the_names_of_reps_are_never_in_the_working_file(tmp_path):
    write_tables(tmp_path, n=60, seed=0)
    contract = parse_contract(CONTRACT, folder=tmp_path)
    store = _store.open_store()
    joined, _ = read_others(contract, store=store, changes="all")
    written = store.connection.serialize()
    assert joined["reps"].keep.sum() == 8
    assert b"fair" in written  # an attribute, so that the search would find what is there
    assert b"anari" not in written
    store.close()


def test_a_joining_e_mail_that_becomes_a_pseudonym_still_joins(tmp_path):
    write_tables(tmp_path, n=60, seed=0)
    contract = parse_contract(CONTRACT, folder=tmp_path)
    plain, named = read_leads(contract), read_leads(contract, pseudonym_key="a key of good length")
    assert named.frame["email_pseudonym"].notna().any()
    assert plain.frame["amount"].notna().any()
    pd.testing.assert_frame_equal(named.frame[plain.frame.columns], plain.frame)


def test_a_full_disk_is_named_and_nothing_is_published(tmp_path, monkeypatch):
    write_tables(tmp_path, n=300, seed=0)
    monkeypatch.setattr(_store, "SETTINGS", (*_store.SETTINGS, "max_page_count = 8"))
    contract = parse_contract(CONTRACT, folder=tmp_path)
    with pytest.raises(OutputError, match=r"working file: .*disk is full.* TMPDIR") as caught:
        ingest_leads(contract, output=tmp_path / "out.csv")
    assert caught.value.exit_code == 73
    assert not list(tmp_path.glob("*out.csv*"))


KILLED = """
import contextlib, os, signal, sys
from leadml.leads import _store, load_contract, open_leads
_store.SETTINGS = ("journal_mode = OFF", "cache_size = -16")
with open_leads(load_contract(sys.argv[1])) as stream:
    next(iter(stream))
    sizes = []
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if sys.argv[2] in os.readlink(f"/proc/self/fd/{number}"):
                sizes.append(os.fstat(number).st_size)
    print(max(sizes, default=0), len(os.listdir(sys.argv[2])), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_job_leaves_no_file_behind(tmp_path):
    if not Path("/proc/self/fd").exists():
        pytest.skip("open files are read from /proc, which this system does not have")
    write_tables(tmp_path, n=2_000, seed=0)
    (tmp_path / "c.yaml").write_text(CONTRACT)
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "c.yaml"), str(work)],
        env=os.environ | {"TMPDIR": str(work), "SQLITE_TMPDIR": str(work)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    size, n_names = map(int, done.stdout.split())
    assert size > 50_000  # it was on disk
    assert n_names == 0
    assert not list(work.iterdir())


MEASURE = """
import re, sys
from pathlib import Path
from leadml.leads import load_contract, open_leads
with open_leads(load_contract(sys.argv[1]), columns="all", batch_rows=5_000) as stream:
    kept = sum(len(batch.frame) for batch in stream)
print(kept, re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])
"""
LONG = """
name: long
tables:
  leads: {path: leads.csv}
  deals: {path: deals.csv, join: {leads.deal: id}}
  changes: {path: changes.csv, history: {lead: lead, field: field, old: old, at: at}}
columns:
  lead_id: {from: leads.id, role: id}
  created_on: {from: leads.day, role: created, type: date}
  size: {from: leads.size, role: attribute, type: integer}
  outcome: {from: deals.stage, role: outcome, won: [won], lost: [lost]}
  amount: {from: deals.amount, role: amount, type: number}
"""


def write_long(folder, n):
    note = "x" * 100  # so that also the short tables fill the blocks in which a file is read
    rows = {
        "leads": (f"{note},L{i},2021-01-05,{i % 977},D{i * 7919 % n}\n" for i in range(n)),
        "deals": (f"{note},D{i},{'won' if i % 3 else 'lost'},{i}\n" for i in range(n)),
        "changes": (f"{note},L{i % n},size,{i % 11},2021-0{2 + i % 3}-03\n" for i in range(n)),
    }
    headers = {"leads": "id,day,size,deal", "deals": "id,stage,amount", "changes": "lead,field,old,at"}
    for name, lines in rows.items():
        with (folder / f"{name}.csv").open("w") as stream:
            stream.write(f"note,{headers[name]}\n")
            stream.writelines(lines)


@pytest.mark.slow
def test_memory_does_not_grow_with_joined_tables_and_changes(tmp_path):
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc, which this system does not have")
    peaks = []
    (tmp_path / "c.yaml").write_text(LONG)
    for n in (20_000, 320_000):
        write_long(tmp_path, n)
        command = [sys.executable, "-c", MEASURE, str(tmp_path / "c.yaml")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        kept, kilobytes = map(int, done.stdout.split())
        assert kept == n
        peaks.append(kilobytes)
    assert peaks[1] <= 1.15 * peaks[0], peaks


@pytest.mark.parametrize("read", [read_leads, lambda contract: ingest_leads(contract, output="out.csv")])
def test_a_join_that_finds_nothing_at_all_is_said(tmp_path, monkeypatch, read):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leads.csv").write_text("id,day,size,deal\nL1,2021-01-05,3,D1\nL2,2021-01-05,3,D2\n")
    (tmp_path / "deals.csv").write_text("id,stage,amount\nd1,won,3\nd2,lost,3\n")
    (tmp_path / "changes.csv").write_text("lead,field,old,at\n")
    said = read(parse_contract(LONG, folder=tmp_path)).manifest.notices
    assert any("deals: no lead finds its row. The two columns of the join" in notice for notice in said)
    (tmp_path / "deals.csv").write_text("id,stage,amount\nD1,won,3\nd2,lost,3\n")
    said = read(parse_contract(LONG, folder=tmp_path)).manifest.notices
    assert not any("no lead finds its row" in notice for notice in said)
