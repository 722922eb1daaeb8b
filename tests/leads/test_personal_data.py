"""Planted strings in personal columns are searched in every byte that reading, auditing and writing produce."""

import base64
import contextlib
import hashlib
import io
import logging
import urllib.parse

import numpy as np
import pytest

from leadml.errors import LeadmlError, LeadsError
from leadml.leads import (
    audit_leads,
    compute_funnel,
    ingest_leads,
    parse_contract,
    propose_contract,
    read_leads,
    summarise_reasons,
    write_leads,
    write_quarantine,
)

CONTRACT = """
name: canaries
tables:
  leads: {path: leads.csv}
  deals: {path: deals.csv, join: {leads.Deal: Deal}}
columns:
  lead_id: {from: leads.Id, role: id}
  created_on: {from: leads.Created, role: created, type: date}
  employees: {from: leads.Employees, role: attribute, type: integer}
  source: {from: leads.Source, role: attribute, type: category}
  verdict: {from: leads.Verdict, role: verdict, accepted: [yes], rejected: [no]}
  reason: {from: leads.Reason, role: reason, families: {definitional: [Too small]}}
  rep: {from: leads.Owner, role: rep}
  email: {from: leads.Email, role: personal}
  person: {from: leads.Person, role: personal}
  outcome: {from: deals.Stage, role: outcome, won: [Won], lost: [Lost]}
  contact: {from: deals.Contact, role: personal}
quarantine_limit: LIMIT
"""
N = 160


def canary(kind, number):
    return f"{kind}kanari{number:04d}vogel"


def plant(folder, *, shifted):
    rng = np.random.default_rng(0)
    lines = ["Id,Created,Employees,Source,Verdict,Reason,Owner,Email,Person,Deal"]
    for n in range(N):
        email, person = canary("mail", n) + "@x.example", canary("name", n)
        row = [
            f"L{n}",
            "2021-01-05",
            str(n),
            "Web",
            rng.choice(["yes", "no"]),
            "",
            "r1",
            email,
            person,
            f"D{n}",
        ]
        if row[4] == "no":
            row[5] = "Too small"
        damage = n % 40 if shifted else -1
        if damage == 1:  # everything one to the right: personal values in other columns
            row = [row[0], "", *row[1:-1]]
        elif damage == 2:  # personal values where a number, a date, a verdict or a reason belongs
            row[2] = person
        elif damage == 3:
            row[1] = email
        elif damage == 4:
            row[4] = person
        elif damage == 5:
            row[5] = person
        elif damage == 6:
            row = row[:-2]
        elif damage == 7:
            row[8] = '"' + person
        elif damage == 8:
            row[0] = f"L{n - 1}"
        lines.append(",".join(row))
    (folder / "leads.csv").write_text("\n".join([*lines, ""]))
    deals = ["Deal,Stage,Contact", *(f"D{n},{['Won', 'Lost'][n % 2]},{canary('call', n)}" for n in range(N))]
    (folder / "deals.csv").write_text("\n".join([*deals, ""]))


def forms(text):
    """Return the ways in which a value may hide."""
    raw = text.encode()
    yield from (raw, raw.upper(), text.encode("utf-16-le"), text.encode("utf-16-be"), raw.hex().encode())
    yield urllib.parse.quote(text).encode()
    yield from (base64.b64encode(raw[skip:])[4:-4] for skip in range(3))
    yield from (hashlib.new(name, raw).hexdigest().encode() for name in ("md5", "sha1", "sha256"))


NEEDLES = [
    needle
    for kind in ("mail", "name", "call")
    for number in range(N)
    for value in {canary(kind, number), canary(kind, number) + ("@x.example" if kind == "mail" else "")}
    for needle in forms(value)
]


def found_in(data):
    return any(needle in data for needle in NEEDLES) or b"kanari" in data.lower()


@contextlib.contextmanager
def heard():
    stream, out, err = io.StringIO(), io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    said = []
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield said
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        said += [stream.getvalue(), out.getvalue(), err.getvalue()]


@pytest.mark.parametrize(("shifted", "limit"), [(False, "50%"), (True, "50%"), (True, "0%")])
def test_no_personal_value_is_in_any_byte_that_is_written_or_said(tmp_path, shifted, limit):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    target.mkdir()
    plant(source, shifted=shifted)
    contract = parse_contract(CONTRACT.replace("LIMIT", limit), folder=source)
    texts = []
    with heard() as said:
        for run in (
            lambda: read_leads(contract),
            lambda: ingest_leads(contract, output=target / "a.parquet", quarantine=target / "q.csv"),
            lambda: ingest_leads(contract, output=target / "a.csv", quarantine=target / "q.parquet"),
        ):
            try:
                result = run()
            except LeadmlError as error:
                texts += [str(error), repr(error), repr(error.args)]
                continue
            texts += [repr(result), result._repr_html_(), str(result.to_dict()), str(result.manifest)]
            if hasattr(result, "frame"):
                report = audit_leads(result)
                texts += [repr(report), report._repr_html_(), str(report.to_dict())]
                texts += [compute_funnel(result).frame.to_csv(), summarise_reasons(result).to_csv()]
                if not shifted:
                    write_leads(result, target / "b.parquet")
                    write_leads(result, target / "b.csv")
                write_quarantine(result.quarantine, target / "b.quarantine.csv")
        proposal = propose_contract(source / "leads.csv")
        texts += [proposal.text, repr(proposal), proposal.to_frame().to_csv()]
    kept = {"a.csv", "a.parquet"} if shifted else set()
    for path in target.iterdir():
        if path.name not in kept:  # a person's name typed into the reason is a reason; the file holds it
            assert not found_in(path.read_bytes()), path.name
    assert not found_in("\n".join([*texts, *said]).encode())


def test_the_search_finds_what_is_there(tmp_path):
    assert found_in(b"x" + canary("mail", 3).encode("utf-16-le"))
    assert found_in(hashlib.sha256(canary("name", 3).encode()).hexdigest().encode())
    assert found_in(base64.b64encode(b"before " + canary("call", 3).encode() + b" after"))
    plant(tmp_path, shifted=False)
    assert found_in((tmp_path / "leads.csv").read_bytes())


def test_pseudonyms_are_keyed_and_tell_equal_people(tmp_path):
    plant(tmp_path, shifted=False)
    text = (tmp_path / "leads.csv").read_text()
    text = text.replace(canary("name", 1), " " + canary("name", 0).upper() + " ")
    (tmp_path / "leads.csv").write_text(text)
    contract = parse_contract(CONTRACT.replace("LIMIT", "5%"), folder=tmp_path)
    frame = read_leads(contract, pseudonym_key="a secret of some length").frame
    pseudonyms = frame["person_pseudonym"]
    assert pseudonyms[0] == pseudonyms[1] != pseudonyms[2]
    assert pseudonyms.nunique() == N - 1
    assert frame["contact_pseudonym"].nunique() == N
    assert not found_in(frame.to_csv().encode())
    other = read_leads(contract, pseudonym_key="another secret, also long").frame
    assert other["person_pseudonym"][0] != pseudonyms[0]
    assert "person_pseudonym" not in read_leads(contract).frame.columns
    with pytest.raises(LeadsError, match="at least 16 characters"):
        read_leads(contract, pseudonym_key="short")
