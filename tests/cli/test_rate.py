"""The commands about what people mean: from a blind sample to objective criteria."""

import csv
import json

import pytest
import typer
from typer.testing import CliRunner

from leadml.cli._rate import add_commands
from leadml.leads import write_synthetic_leads


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return write_synthetic_leads(folder, n_leads=900, random_state=2)


@pytest.fixture
def run():
    app = typer.Typer()
    add_commands(app)

    def call(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return call


@pytest.fixture
def words(export):
    return (export.definition_path, "--contract", export.contract_path)


def fill(path, column, rule):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    name = next(title for title in rows[0] if title.startswith(f"{column}:"))
    for row in rows:
        row[name] = rule(row)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def soon(row):
    months = row["purchase_timeframe (months)"]
    return "hot" if months and float(months) <= 6 else "cold"


def test_sample_fill_read_objectify(run, words, tmp_path):
    sheets, key = tmp_path / "sheets", tmp_path / "apart" / "key.json"
    done = run(
        "rate",
        "sample",
        *words,
        "--output",
        sheets,
        "--key",
        key,
        "--n",
        "150",
        "--criterion",
        "hot.employees",
    )
    assert done.exit_code == 3, done.output  # the export has damaged rows
    assert "class and 1 criteria" in done.output
    assert f"key: {key}" in done.output
    paths = [sheets / "marketing.csv", sheets / "sales.csv"]
    for path in paths:
        fill(path, "class", soon)
    done = run("rate", "read", *words, "--key", key, *map(str, paths))
    assert done.exit_code == 3, done.output
    assert "marketing and sales on 150 leads" in done.output
    done = run(
        "objectify", *words, "--word", "hot", "--ratings", paths[0], "--ratings", paths[1], "--key", key
    )
    assert done.exit_code == 3, done.output
    assert "purchase_timeframe <= 6" in done.output
    assert "for the definition:" in done.output


def test_splits_are_listed_and_counted(run, words, tmp_path):
    sheets, key = tmp_path / "sheets", tmp_path / "key.json"
    run("rate", "sample", *words, "--output", sheets, "--key", key, "--n", "12", "--side", "a", "--side", "b")
    fill(sheets / "a.csv", "class", lambda row: "hot")
    fill(sheets / "b.csv", "class", lambda row: "cold")
    done = run("rate", "read", *words, "--key", key, sheets / "a.csv", sheets / "b.csv")
    assert done.output.count("split: ") == 10
    assert "2 more" in done.output


def test_json_for_machines(run, words, tmp_path):
    sheets, key = tmp_path / "sheets", tmp_path / "key.json"
    done = run("rate", "sample", *words, "--output", sheets, "--key", key, "--n", "30", "--json")
    document = json.loads(done.stdout)
    assert {"n_leads", "criteria", "sides", "sheets", "key", "notes"} == set(document)
    assert document["n_leads"] == 30
    fill(sheets / "sales.csv", "class", soon)
    document = json.loads(run("rate", "read", *words, "--key", key, sheets / "sales.csv", "--json").stdout)
    assert document["n_leads"] == 0
    assert document["agreement"][0]["kappa"] is None
    document = json.loads(
        run(
            "objectify", *words, "--word", "hot", "--ratings", sheets / "sales.csv", "--key", key, "--json"
        ).stdout
    )
    assert document["answer"] == "cannot be said"
    assert document["criteria"] == []


def test_a_crm_column_is_said_or_not(run, words):
    done = run("objectify", *words, "--word", "accepted", "--column", "verdict", "--max-criteria", "1")
    assert done.exit_code == 3, done.output
    assert "'accepted'" in done.output


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            ("rate", "sample", "--output", "x", "--key", "k.json", "--criteria", "some"),
            "--criteria: expected none",
        ),
        (
            ("rate", "sample", "--output", "x", "--key", "k.json", "--side", "one"),
            "--side: sides: expected at least two",
        ),
        (("objectify", "--word", "hot"), "expected one of the two"),
        (("objectify", "--word", "hot", "--ratings", "a.csv"), "expected --key with it"),
    ],
)
def test_options_that_cannot_be_are_usage_errors(run, words, options, match):
    command = options[: 2 if options[0] == "rate" else 1]
    done = run(*command, *words, *options[len(command) :])
    assert getattr(done.exception, "exit_code", None) == 64
    assert match in str(done.exception)


def test_an_unknown_criterion_is_a_definition_error(run, words, tmp_path):
    done = run(
        "rate", "sample", *words, "--output", tmp_path / "s", "--key", tmp_path / "k", "--criterion", "hot.no"
    )
    assert done.exception.exit_code == 65
