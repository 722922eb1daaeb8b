"""Planted people are searched in every byte that the whole loop writes or says, deleted files included."""

import base64
import csv
import gzip
import hashlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import urllib.parse
import zipfile
import zlib

import pandas as pd
import pytest

from leadml.leads import write_synthetic_leads

N = 1500
CORE = "kanari"

# One process runs all commands, with the user's own autolog on. Every file is copied before it is deleted or
# replaced, so that temporary files are searched as well.
FLOW = """
import itertools, json, logging, os, sys
folder, grave, commands = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
os.makedirs(grave, exist_ok=True)
real = {name: getattr(os, name) for name in ("unlink", "remove", "replace", "rename")}
numbers = itertools.count()

def bury(path, dir_fd=None):
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK, dir_fd=dir_fd)
    except OSError:
        return
    with open(handle, "rb") as stream:
        try:
            data = stream.read()
        except OSError:
            return
    with open(os.path.join(grave, str(next(numbers))), "wb") as stream:
        stream.write(data)

def watched(name):
    def call(path, *more, **options):
        if name in ("replace", "rename"):
            bury(more[0] if more else options["dst"])
            bury(path)
        else:
            bury(path, options.get("dir_fd"))
        return real[name](path, *more, **options)
    return call

for name in real:
    setattr(os, name, watched(name))
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
import mlflow
mlflow.set_tracking_uri("sqlite:///" + folder + "/own.db")
mlflow.autolog(silent=True)
from leadml.__main__ import main
codes = []
for words in commands:
    sys.argv = ["leadml", *words]
    codes.append([words[0], main()])
with open(os.path.join(folder, "codes.json"), "w") as stream:
    json.dump(codes, stream)
"""


def person(kind, number):
    return f"{kind}{CORE}{number:04d}vogel"


def plant(folder, *, shifted=False):
    """Write the demo's export with planted people, some of them in columns where they do not belong."""
    write_synthetic_leads(folder, n_leads=N, random_state=3)
    with (folder / "leads.csv").open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    place = {name: number for number, name in enumerate(header)}
    for number, row in enumerate(rows):
        if len(row) != len(header):
            continue
        row[place["Contact"]] = person("name", number)
        row[place["Email"]] = person("mail", number) + "@x.example"
        row[place["Company"]] = person("firm", number // 3)
        damage = number % 60 if shifted else -1
        wrong = {1: "Employees", 2: "Created", 3: "Sales Verdict", 4: "Budget", 5: "Months To Decision"}
        if damage in wrong:
            row[place[wrong[damage]]] = row[place["Email"]]
        elif damage == 6:
            row.insert(1, "")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    (folder / "leads.csv").write_text(text.getvalue(), encoding="utf-8")


def hidden(text):
    """Return the forms in which a text may stand, and from which it could be read back."""
    raw = text.encode()
    yield from (raw, raw.upper(), raw.title(), text.encode("utf-16-le"), text.encode("utf-16-be"))
    yield from (raw.hex().encode(), raw.hex().upper().encode(), urllib.parse.quote(text).encode())
    yield "".join(f"\\u{ord(char):04x}" for char in text).encode()
    for skip in range(3):
        yield base64.b64encode(b"\0" * skip + raw)[4:-4]


KINDS = ("name", "mail", "firm")
NEEDLES = sorted({form for kind in KINDS for form in hidden(kind + CORE) if len(form) >= 8})
DIGESTS = frozenset(
    hashlib.new(name, spelling.encode()).hexdigest()
    for kind in KINDS
    for number in range(N + 20)
    for text in {person(kind, number), person(kind, number) + ("@x.example" if kind == "mail" else "")}
    for spelling in {text, text.upper()}
    for name in ("md5", "sha1", "sha256")
)


def layers(data):
    """Yield the bytes, and what lies in them: members of archives, compressed streams, Parquet's columns."""
    yield data
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from layers(archive.read(name))
    elif data[:2] == b"\x1f\x8b":
        yield from layers(gzip.decompress(data))
    elif data[:1] == b"\x78":
        try:
            yield from layers(zlib.decompress(data))
        except zlib.error:
            return
    elif data[:4] == b"PAR1":
        yield pd.read_parquet(io.BytesIO(data)).to_csv().encode()


def found_in(data):
    for layer in layers(data):
        if any(needle in layer for needle in NEEDLES):
            return True
        if any(found.decode() in DIGESTS for found in re.findall(rb"[0-9a-f]{32,64}", layer.lower())):
            return True
    return False


def flow(out, commands):
    """Run the commands in one process of its own; return exit codes and what it said."""
    temporary = out / "tmp"
    temporary.mkdir(parents=True)
    result = subprocess.run(
        [sys.executable, "-c", FLOW, str(out), str(out / "grave"), json.dumps(commands)],
        capture_output=True,
        check=False,
        cwd=out,
        env={**os.environ, "TMPDIR": str(temporary), "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    codes = json.loads((out / "codes.json").read_text()) if (out / "codes.json").exists() else []
    return codes, result.stdout + b"\n" + result.stderr


def searched(out, *, least=100):
    """Return the files below `out` in which a planted person is found."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    assert len(files) >= least
    return [str(path.relative_to(out)) for path in files if found_in(path.read_bytes())]


EXPERIMENT = """
question: Is anybody's name in what this writes?
definition: definition.yaml
contract: contract.yaml
targets: [accepted, won]
goal: {maximise: net_value}
proposals: {max_changes: 1, max_candidates: 2, error_rate: 0.05}
random_state: 0
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    plant(folder)
    (folder / "experiment.yaml").write_text(EXPERIMENT)
    return folder


@pytest.mark.slow
def test_nobody_is_in_any_byte_of_the_whole_loop(world, tmp_path):
    contract, definition = str(world / "contract.yaml"), str(world / "definition.yaml")
    experiment, bundle = str(world / "experiment.yaml"), str(tmp_path / "run" / "model.leadml-bundle")
    against = [contract, "--definition", definition]
    scored = ["score", *against, "--bundle", bundle]
    rated = ["rate", "sample", definition, "--contract", contract, "--n", "30"]
    commands = [
        ["ingest", "--propose", str(world / "leads.csv")],
        ["ingest", contract, "--output", "kept.csv", "--quarantine", "put-aside.csv"],
        ["ingest", contract, "--output", "kept.parquet"],
        ["audit", contract],
        ["audit", contract, "--json"],
        ["funnel", contract, "--by", "rep"],
        ["run", experiment, "--output", "run"],
        ["review", experiment, "--output", "page.html"],
        ["compare", definition, "--contract", contract, "--json"],
        [
            "propose",
            definition,
            "--contract",
            contract,
            "--what-if",
            "hot.employees=50",
            "--output",
            "what-if",
        ],
        [*scored, "--output", "scores.csv", "--quarantine", "scores-aside.csv"],
        [*scored, "--output", "scores.parquet", "--json"],
        [
            "monitor",
            *against,
            "--bundle",
            bundle,
            "--since",
            "2025-10-01",
            "--output",
            "look.html",
            "--track",
            "run",
        ],
        ["explain", *against, "--bundle", bundle, "--lead", "L000007"],
        ["history", definition, "--contract", contract, "--json"],
        [*rated, "--output", "sheets", "--key", "key.json"],
        [
            "explore",
            "sample",
            definition,
            "--contract",
            contract,
            "--change",
            "hot.employees=5",
            "--output",
            "picked.csv",
        ],
    ]
    done = len(commands)
    shifted = tmp_path.parent / "shifted"
    plant(shifted, shifted=True)
    other = ["--leads", str(shifted / "leads.csv")]
    commands += [  # what must fail, and must not name anybody when it does
        ["ingest", contract, *other, "--output", "no.csv", "--quarantine", "no-aside.csv"],
        ["audit", contract, *other],
        ["run", experiment, *other, "--output", "no-run"],
        ["compare", definition, "--contract", contract, *other],
        [*scored, *other, "--output", "no-scores.csv", "--quarantine", "no-scores-aside.csv"],
        ["monitor", *against, "--bundle", bundle, *other, "--since", "2025-10-01"],
        ["explain", *against, *other, "--lead", "L000007"],
        ["score", *against, "--bundle", bundle, "--output", "scores.csv", "--crm", "salesforce"],
    ]
    codes, said = flow(tmp_path, commands)
    assert [name for name, _ in codes] == [words[0] for words in commands], said[-2000:].decode()
    assert {code for _, code in codes[:done]} <= {0, 1, 3}, codes
    assert {code for _, code in codes[done:]} <= {4, 65}, codes
    assert (tmp_path / "no-aside.csv").exists()
    assert any((tmp_path / "grave").iterdir())
    assert not found_in(said)
    assert searched(tmp_path) == []


@pytest.mark.slow
def test_the_search_finds_whoever_is_there(tmp_path):
    plant(tmp_path / "in")
    contract = tmp_path / "in" / "contract.yaml"
    contract.write_text(contract.read_text().replace("role: personal}", "role: attribute, type: category}"))
    out = tmp_path / "out"
    code, said = flow(out, [["ingest", str(contract), "--output", "kept.parquet"]])
    assert code == [["ingest", 3]], said
    assert "kept.parquet" in searched(out, least=2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_search_looks_into_every_form(kind, tmp_path):
    text = person(kind, 7)
    for form in hidden(f"before {text} after"):
        assert found_in(b"x" + form + b"y"), form
    assert found_in(hashlib.sha1(text.encode()).hexdigest().upper().encode())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.gz", gzip.compress(text.encode()))
    assert text.encode() not in packed.getvalue()
    assert found_in(packed.getvalue())
    assert found_in(zlib.compress(text.encode()))
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE a (b TEXT)")
        database.execute("INSERT INTO a VALUES (?)", ["x" * 9000 + text])
    database.close()
    assert found_in((tmp_path / "a.db").read_bytes())
    pd.DataFrame({"a": [text] * 9}).to_parquet(tmp_path / "a.parquet")
    assert found_in((tmp_path / "a.parquet").read_bytes())
    assert not found_in(b"somebody else, " + hashlib.md5(b"nobody").hexdigest().encode())
