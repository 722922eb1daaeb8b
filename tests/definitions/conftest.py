"""Generated definitions and leads, and a real PostgreSQL server."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

ATTRIBUTES = """\
  n: {type: integer, unit: people, range: [0, 4]}
  x: {type: number, unit: months, range: [0, 3]}
  o: {type: ordinal, levels: [low, mid, high]}
  c: {type: category, levels: [red, green, "it's \\\\ blue"]}
  b: {type: boolean}
  age: {type: integer, unit: days, range: [0, 5]}
  d: {type: date}
  e: {type: date}
  idle: {type: integer, unit: days, age_of: d, anchor: e}
"""
VALUES = {
    "n": [None, 0, 1, 2, 3, 4],
    "x": [None, 0, 0.5, 1, 1.5, 2, 2.5, 3],
    "o": [None, "low", "mid", "high"],
    "c": [None, "red", "green", "it's \\ blue"],
    "b": [None, True, False],
    "age": [None, 0, 1, 2, 3, 4, 5],
}
POOLS = {
    "n": ["-1", "0", "1", "2", "3", "4", "5"],
    "x": ["0", "1", "2", "3"],
    "o": ["low", "mid", "high"],
    "c": ["red", "green", '"it\'s \\ blue"'],
    "points": ["-2", "0", "1", "1.5", "3"],
    "age": ["0", "1", "3", "5"],
    "d": ["2026-01-01", "2026-01-02", "2026-01-05"],
    "idle": ["-1", "0", "1", "3"],
}
COMPARE = st.sampled_from(["<", "<=", ">", ">=", "=", "!="])


@st.composite
def criterion_texts(draw, names):
    name = draw(st.sampled_from(names))
    missing = draw(st.sampled_from(["", "", "", " or missing"]))
    if draw(st.integers(0, 9)) == 0:
        return f"{name} {draw(st.sampled_from(['is known', 'is missing']))}{missing}"
    if name == "b":
        return draw(st.sampled_from(["b", "not b"])) + missing
    value = st.sampled_from(POOLS[name])
    if name == "c":
        form = draw(st.sampled_from(["=", "!=", "in", "not in"]))
    else:
        form = draw(COMPARE | st.sampled_from(["between", "in", "not in"]))
    if form == "between":
        return f"{name} between {draw(value)} and {draw(value)}{missing}"
    if form in {"in", "not in"}:
        levels = draw(st.lists(value, min_size=1, max_size=2, unique=True))
        return f"{name} {form} [{', '.join(levels)}]{missing}"
    return f"{name} {form} {draw(value)}{missing}"


@st.composite
def groups(draw, names, depth=2):
    members = []
    for _ in range(draw(st.integers(1, 3))):
        if depth and draw(st.integers(0, 3)) == 0:
            members.append(draw(groups(names, depth - 1)))
        else:
            members.append("'" + draw(criterion_texts(names)).replace("'", "''") + "'")
    kind = draw(st.sampled_from(["all_of", "any_of", "at_least"]))
    inner = ", ".join(members)
    if kind == "at_least":
        return "{at_least: " + str(draw(st.integers(1, len(members)))) + f", of: [{inner}]}}"
    return f"{{{kind}: [{inner}]}}"


@st.composite
def definition_texts(draw, pool="nxocb"):
    known = pool.split() if " " in pool else list(pool)
    names = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
    rules = []
    if draw(st.booleans()):
        for _ in range(draw(st.integers(1, 3))):
            when = draw(criterion_texts(names)).replace("'", "''")
            points = draw(st.sampled_from(["-2", "-0.5", "0.5", "1", "3"]))
            fade = draw(st.sampled_from(["", "", ", fades_over: 3, age: age"]))
            rules.append(f"    - {{when: '{when}', points: {points}{fade}}}")
        names = [*names, "points"]
    classes = []
    for number in range(draw(st.integers(1, 3))):
        group = draw(groups(names))
        classes.append(f"  - {{name: k{number}, {group[1:]}")
    if draw(st.booleans()):
        classes.append("  - {name: rest, otherwise: true}")
    points = "points:\n  points:\n" + "\n".join(rules) + "\n" if rules else ""
    return f"name: t\nversion: 1\nattributes:\n{ATTRIBUTES}{points}classes:\n" + "\n".join(classes) + "\n"


def make_grid(definition):
    """Return every lead that the used attributes allow."""
    used = {criterion.attribute for criterion in definition.criteria()}
    for score in definition.points:
        used |= {rule.when.attribute for rule in score.rules} | {rule.age for rule in score.rules}
    names = [name for name in VALUES if name in used]
    return type_leads(
        pd.DataFrame(list(product(*(VALUES[name] for name in names))), columns=names, dtype=object)
    )


def make_leads(n_leads, seed):
    """Return random leads with nulls, NaN, infinities, unknown levels, and values next to the thresholds."""
    rng = np.random.default_rng(seed)
    pools = {
        **VALUES,
        "n": [None, -1, 0, 1, 2, 3, 4, 5, 2**60],
        "x": [None, np.nan, np.inf, -np.inf, 0.0, np.nextafter(1, 0), 1.0, np.nextafter(1, 2), 2.0, 3.0],
        "o": [None, "low", "mid", "high", "High", ""],
        "c": [None, "red", "green", "it's \\ blue", "purple", "Red"],
        "age": [None, -3, 0, 1, 2, 3, 4],
        "d": [None, "2025-12-31", "2026-01-01", "2026-01-02 23:59:59", "2026-01-05"],
        "e": [None, "2026-01-01", "2026-01-02", "2026-01-04 12:00:00"],
    }
    columns = {name: [pool[i] for i in rng.integers(0, len(pool), n_leads)] for name, pool in pools.items()}
    return type_leads(pd.DataFrame(columns, dtype=object)).assign(lead_id=np.arange(n_leads))


def type_leads(frame):
    types = {
        "n": "Int64",
        "x": "float64",
        "age": "Int64",
        "b": "boolean",
        "d": "datetime64[us]",
        "e": "datetime64[us]",
    }
    return frame.assign(**{name: frame[name].astype(kind) for name, kind in types.items() if name in frame})


@pytest.fixture(scope="session")
def generated_definitions():
    return definition_texts


@pytest.fixture(scope="session")
def leads_grid():
    return make_grid


@pytest.fixture(scope="session")
def random_leads():
    return make_leads


# -- PostgreSQL ----------------------------------------------------------------------------------------------


def find_program(name):
    found = shutil.which(name)
    if found is None:
        places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        found = str(places[-1]) if places else None
    return found


def skip_or_fail(reason):
    """Skip; where the servers are required, fail instead."""
    if os.environ.get("LEADML_REQUIRE_SERVERS") == "1":
        pytest.fail(f"LEADML_REQUIRE_SERVERS=1, but {reason}")
    pytest.skip(reason)


def need_module(name, extra):
    try:
        return import_module(name)
    except ImportError:
        return skip_or_fail(f"{name} is not installed (extra `{extra}`)")


@pytest.fixture(scope="session")
def needed_module():
    return need_module


@pytest.fixture(scope="session")
def postgres():
    """Yield a connection to a PostgreSQL server of our own on loopback."""
    psycopg = need_module("psycopg", "sql")
    initdb, server = find_program("initdb"), find_program("postgres")
    if initdb is None or server is None:
        skip_or_fail("no PostgreSQL server on this machine (initdb and postgres not found)")
    folder = Path(tempfile.mkdtemp(prefix="leadml-postgres-"))
    user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        entry = next(item for item in pwd.getpwall() if item.pw_name in {"postgres", "nobody"})
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    process = None
    try:
        command = [
            initdb,
            "-D",
            folder / "data",
            "-U",
            "leadml",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-c", "fsync=off"]
        process = subprocess.Popen(
            [server, "-D", folder / "data", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **user,
        )
        with connect(psycopg, f"host=127.0.0.1 port={port} user=leadml dbname=postgres") as connection:
            yield connection
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def connect(psycopg, address):
    deadline = time.monotonic() + 60
    while True:
        try:
            return psycopg.connect(address, autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
