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

from leadml.cli import app
from leadml.compare import sample_ratings, write_rating_sheets
from leadml.definitions import load_definition
from leadml.leads import SyntheticWorld, load_contract, read_leads, write_synthetic_leads

N = 2500
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
    with open(os.path.join(grave, f"{next(numbers)}-{os.path.basename(path)}"), "wb") as stream:
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
    """Write the demo's export with planted people, some of them in columns where they do not belong.

    The market is one in which something is proposed, so that it can be signed.
    """
    world = SyntheticWorld(
        win_rate=0.6, win_rate_outside=0.005, rep_spread=0.1, drift=0.0, attribute_effects=0.0
    )
    write_synthetic_leads(folder, n_leads=N, random_state=3, world=world)
    with (folder / "leads.csv").open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    place = {name: number for number, name in enumerate(header)}
    for number, row in enumerate(rows):
        if len(row) != len(header):
            continue
        row[place["Contact"]] = person("name", number)
        row[place["Email"]] = person("mail", number) + "@x.example"
        row[place["Company"]] = person("firm", number // 3)
        if row[place["Owner"]].startswith("rep-"):
            row[place["Owner"]] = person("reps", int(row[place["Owner"]].removeprefix("rep-")))
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


KINDS = ("name", "mail", "firm", "reps")
NEEDLES = {kind: sorted(form for form in set(hidden(kind + CORE)) if len(form) >= 8) for kind in KINDS}
DIGESTS = {
    hashlib.new(name, spelling.encode()).hexdigest(): kind
    for kind in KINDS
    for number in range(N + 20)
    for text in {person(kind, number), person(kind, number) + ("@x.example" if kind == "mail" else "")}
    for spelling in {text, text.upper()}
    for name in ("md5", "sha1", "sha256")
}


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
    """Return the kinds of people that are in the bytes."""
    kinds = set()
    for layer in layers(data):
        kinds |= {kind for kind, forms in NEEDLES.items() if any(form in layer for form in forms)}
        kinds |= {DIGESTS.get(found.decode(), "") for found in re.findall(rb"[0-9a-f]{32,64}", layer.lower())}
    return kinds - {""}


def flow(out, commands):
    """Run the commands in one process of its own; return exit codes and what it said."""
    temporary = out / "tmp"
    temporary.mkdir(parents=True)
    result = subprocess.run(
        [sys.executable, "-c", FLOW, str(out), str(out / "grave"), json.dumps(commands)],
        capture_output=True,
        check=False,
        cwd=out,
        env={
            **os.environ,
            "TMPDIR": str(temporary),
            "JUPYTER_RUNTIME_DIR": str(temporary),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )
    codes = json.loads((out / "codes.json").read_text()) if (out / "codes.json").exists() else []
    return codes, result.stdout + b"\n" + result.stderr


def searched(*folders, least=100, named=(), given=()):
    """Return the files in which a planted person is found, with the kinds.

    The leads that are read are `given`. The copies of the leads that the user asked for are `named`: they name
    the reps as the contract says, under a temporary name as well, but nobody else.
    """
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) >= least
    found = {}
    for path in files:
        if path not in given:
            may = {"reps"} if any(name in path.name for name in named) else set()
            if kinds := found_in(path.read_bytes()) - may:
                found[str(path)] = kinds
    return found


EXPERIMENT = """
question: Is anybody's name in what this writes?
definition: definition.yaml
contract: contract.yaml
targets: [accepted, won]
goal: {maximise: net_value}
proposals: {max_changes: 1, max_candidates: 2, error_rate: 0.05}
random_state: 0
"""


WRONG = {  # a column whose values are people, in the place of another one
    "number": ("leads.Employees,", "leads.Email,"),
    "day": ("leads.Created,", "leads.Contact,"),
    "verdict": ("leads.Sales Verdict,", "leads.Email,"),
    "reason": ("from: leads.Reject Reason", "from: leads.Contact"),
    "rep": ("leads.Owner,", "leads.Email,"),
    "level": ("leads.Budget,", "leads.Company,"),
    "nowhere": ("leads.Budget,", "leads.Bugdet,"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Write the planted export, contracts of it right and wrong, and rating sheets that both sides filled."""
    folder = tmp_path_factory.mktemp("in")
    plant(folder)
    plant(folder / "shifted", shifted=True)
    (folder / "few.csv").write_text(
        "".join((folder / "leads.csv").read_text().splitlines(keepends=True)[:99])
    )
    contract = (folder / "contract.yaml").read_text()
    (folder / "experiment.yaml").write_text(EXPERIMENT)
    for name, (right, wrong) in WRONG.items():
        assert contract.count(right) == 1
        (folder / f"{name}.yaml").write_text(contract.replace(right, wrong))
    table = read_leads(load_contract(folder / "contract.yaml"))
    drawn = sample_ratings(load_definition(folder / "definition.yaml"), table, n=60)
    for sheet in write_rating_sheets(drawn, folder / "sheets", key=folder / "key.json"):
        if sheet.suffix == ".csv":
            filled = pd.read_csv(sheet, dtype=str, keep_default_na=False)
            title = next(name for name in filled.columns if name.startswith("class:"))
            filled[title] = ["hot" if row % 3 else "cold" for row in range(len(filled))]
            filled["comment"] = person("mail", 7)
            filled.to_csv(sheet, index=False)
    return folder


def good_commands(folder):
    """Return what must go well: every command, each in the ways in which it meets leads."""
    contract, definition = str(folder / "contract.yaml"), str(folder / "definition.yaml")
    experiment, bundle = str(folder / "experiment.yaml"), "run/model.leadml-bundle"
    asked, against = [definition, "--contract", contract], [contract, "--definition", definition]
    scored = ["score", *against, "--bundle", bundle]
    judged = [str(folder / "sheets" / f"{side}.csv") for side in ("marketing", "sales")]
    key = ["--key", str(folder / "key.json")]
    ratings = [word for sheet in judged for word in ("--ratings", sheet)]
    signed = ["run/proposal-1.json", "--definition", definition, "--decision", "accept"]
    log = str(folder / "inbound-lead.history.json")
    look = ["monitor", *against, "--bundle", bundle, "--since", "2025-10-01"]
    new = "run/inbound-lead-2025.2.yaml"
    return [
        ["ingest", "--propose", str(folder / "leads.csv")],
        ["ingest", "--propose", str(folder / "leads.csv"), "--output", "first.yaml"],
        ["ingest", contract, "--output", "kept.csv", "--quarantine", "put-aside.csv"],
        ["ingest", contract, "--output", "kept.parquet"],
        ["audit", contract],
        ["audit", contract, "--json"],
        ["lint", *asked, "--leads", str(folder / "leads.csv")],
        ["document", definition, "--output", "wall.html"],
        ["compile", definition],
        *(["funnel", contract, "--by", by, *more] for by in ("rep", "industry") for more in ([], ["--json"])),
        ["run", experiment, "--output", "run"],
        ["train", *against, "--output", "own.leadml-bundle", "--also", "ebm"],
        ["compile", definition, "--with-score", "--bundle", bundle, "--column", "lead_id",
         "--target", "accepted"],
        ["review", experiment, "--output", "page.html", *ratings, *key, "--notebook"],
        ["compare", *asked, "--json"],
        ["diff", definition, new, "--contract", contract, "--segment", "industry"],
        ["propose", *asked, "--what-if", "hot.employees=50"],
        ["propose", *asked, "--what-if", "hot.employees=50", "--json"],
        [*scored, "--output", "scores.csv", "--quarantine", "scores-aside.csv"],
        [*scored, "--output", "scores.parquet", "--json"],
        [*look, "--output", "look.html", "--track", "run", "--promise", "run/promise.json"],
        ["explain", *against, "--bundle", bundle, "--lead", "L000007"],
        ["rate", "sample", *asked, "--n", "30", "--output", "sheets", "--key", "key.json"],
        ["rate", "read", *asked, *key, *judged],
        ["rate", "read", *asked, *key, *judged, "--json"],
        ["objectify", *asked, "--word", "hot", *ratings, *key],
        ["objectify", *asked, "--word", "accepted", "--column", "verdict", "--json"],
        ["explore", "sample", *asked, "--change", "hot.employees=5", "--output", "picked.csv"],
        ["explore", "read", definition, "picked.csv", "--contract", contract, "--break-even", "0.05"],
        *(["sign", *signed, "--side", side, "--by", f"Head of {side}"] for side in ("marketing", "sales")),
        ["verify", log],
        ["history", log, "--contract", contract],
        ["history", log, "--contract", contract, "--json"],
        [
            "adopted", definition, new, "--contract", contract, "--proposals", "run/proposals.json",
            "--since", "2025-10-01",
        ],
        ["rollback", log, "--by", "Head", "--because", "a trial"],
        ["flush", "run"],
        *([name, str(folder / f"{each}.yaml"), *more] for each in ("reason", "rep")
          for name, more in (("audit", []), ("funnel", ["--by", "rep"]))),
    ]  # fmt: skip


def bad_commands(folder):
    """Return what must fail, and must not name anybody when it does: damaged leads, wrong columns, wrong files."""
    contract, definition = str(folder / "contract.yaml"), str(folder / "definition.yaml")
    experiment, bundle = str(folder / "experiment.yaml"), "run/model.leadml-bundle"
    asked, against = [definition, "--contract", contract], [contract, "--definition", definition]
    other = ["--leads", str(folder / "shifted" / "leads.csv")]
    leads, key = str(folder / "few.csv"), ["--key", str(folder / "key.json")]
    sheet = str(folder / "sheets" / "sales.csv")
    wrong = [str(folder / f"{name}.yaml") for name in WRONG if name not in {"reason", "rep"}]
    return [
        ["ingest", contract, *other, "--output", "no.csv", "--quarantine", "no-aside.csv"],
        ["audit", contract, *other],
        ["funnel", contract, *other],
        ["run", experiment, *other, "--output", "no-run"],
        ["review", experiment, *other, "--output", "no.html"],
        ["train", *against, *other, "--output", "no.leadml-bundle"],
        ["compare", *asked, *other],
        ["propose", *asked, *other],
        ["lint", *asked, *other],
        ["diff", definition, definition, "--contract", contract, *other],
        ["score", *against, "--bundle", bundle, *other, "--output", "no-scores.csv", "--quarantine", "no-2.csv"],
        ["score", *against, "--bundle", bundle, "--output", "scores.csv", "--crm", "salesforce"],
        ["monitor", *against, "--bundle", bundle, *other, "--since", "2025-10-01"],
        ["explain", *against, *other, "--lead", "L000007"],
        ["explain", *against, "--lead", person("mail", 7)],
        ["rate", "sample", *asked, *other, "--output", "no-sheets", "--key", "no-key.json"],
        ["rate", "read", *asked, *key, leads],
        ["rate", "read", *asked, "--key", leads, sheet],
        ["objectify", *asked, "--word", "hot", "--ratings", leads, *key],
        ["objectify", *asked, *other, "--word", "accepted", "--column", "verdict"],
        ["explore", "sample", *asked, *other, "--change", "hot.employees=5", "--output", "no-picked.csv"],
        ["explore", "read", definition, leads, "--contract", contract, "--break-even", "0.05"],
        [
            "adopted", definition, definition, "--contract", contract, "--proposals", leads,
            "--since", "2025-10-01",
        ],
        ["history", "inbound-lead", "--definitions", str(folder), "--contract", contract, *other],
        ["sign", leads, "--definition", definition, "--side", "sales", "--by", "Head", "--decision", "accept"],
        *([name, leads] for name in ("lint", "document", "compile", "verify", "history", "audit", "funnel")),
        *([name, leads, "--output", "no.html"] for name in ("run", "review")),
        ["diff", definition, leads],
        ["rollback", leads, "--by", "Head", "--because", "a trial"],
        ["score", contract, "--definition", definition, "--bundle", leads, "--output", "scores.csv"],
        *([name, each, *more] for each in wrong for name, more in (("ingest", ["--output", "no.csv"]), ("audit", []))),
        *(["propose", definition, "--contract", each] for each in wrong),
    ]  # fmt: skip


def names_of(tree, before=()):
    for command in tree.registered_commands:
        yield (*before, command.name or command.callback.__name__.rstrip("_"))
    for group in tree.registered_groups:
        yield from names_of(group.typer_instance, (group.name,))


def test_every_command_is_among_those_that_are_searched(tmp_path):
    commands = [tuple(words) for words in good_commands(tmp_path)]
    names = set(names_of(app)) - {("demo",)}  # it reads nobody's leads
    assert {name for name in names if not any(words[: len(name)] == name for words in commands)} == set()


@pytest.mark.slow
def test_nobody_is_in_any_byte_of_the_whole_loop(world, tmp_path):
    good, bad = good_commands(world), bad_commands(world)
    codes, said = flow(tmp_path, good + bad)
    assert [name for name, _ in codes] == [words[0] for words in good + bad], said[-2000:].decode()
    told = list(zip(good + bad, (code for _, code in codes), strict=True))
    assert [each for each in told[: len(good)] if each[1] not in {0, 1, 3}] == []
    assert [each for each in told[len(good) :] if each[1] not in {1, 4, 65, 66, 78}] == []
    assert (tmp_path / "no-aside.csv").exists()
    assert any((tmp_path / "grave").iterdir())
    assert [line[:200] for line in said.splitlines() if found_in(line)] == []
    named = ("kept.csv", "kept.parquet", "no.csv")
    given = {*world.rglob("leads.csv"), world / "few.csv", *(world / "sheets").iterdir()}
    assert searched(tmp_path, world, named=named, given=given) == {}


@pytest.mark.slow
def test_the_search_finds_whoever_is_there(tmp_path):
    plant(tmp_path / "in")
    contract = tmp_path / "in" / "contract.yaml"
    contract.write_text(contract.read_text().replace("role: personal}", "role: attribute, type: category}"))
    out = tmp_path / "out"
    code, said = flow(out, [["ingest", str(contract), "--output", "kept.parquet"]])
    assert code == [["ingest", 3]], said
    assert str(out / "kept.parquet") in searched(out, least=2)


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
