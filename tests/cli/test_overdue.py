"""Every command that takes a definition says when its review is overdue."""

import hashlib
import inspect
import sys
from datetime import UTC, datetime

import pytest

from leadml.__main__ import main
from leadml.cli import app
from leadml.cli._overdue import DefinitionCommand
from leadml.errors import LeadsError
from leadml.review import History
from leadml.review._history import append_entry

DEFINITION = """\
name: small
version: 2026.1
review_by: {day}
owners: {{marketing: Head of Marketing, sales: Head of Sales}}
meaning: Which leads go to Sales.
attributes:
  employees: {{type: integer, unit: people}}
classes:
  - {{name: hot, all_of: [employees >= 50]}}
  - {{name: cold, otherwise: true}}
handoff: [hot]
"""
COMMANDS = {
    "lint": "lint {d}",
    "diff": "diff {d} {d}",
    "document": "document {d}",
    "compile": "compile {d}",
    "compare": "compare {d} --contract {no}",
    "propose": "propose {d} --contract {no}",
    "train": "train {no} --definition {d} --output {no}",
    "score": "score {no} --definition {d} --bundle {no} --output {no}",
    "monitor": "monitor {no} --definition {d}",
    "run": "run {e} --output {out}",
    "review": "review {e} --output {out}/p.html",
    "sign": "sign {no} --definition {d} --side sales --by B --decision accept",
    "rollback": "rollback {h} --by B --because c",
    "verify": "verify {h}",
    "history": "history {d}",
    "adopted": "adopted {d} {d} --contract {no} --proposals {no} --since 2026-01-01",
    "explain": "explain {no} --definition {d} --lead L1",
    "explore sample": "explore sample {d} --contract {no} --change hot.employees=20 --output {out}",
    "explore read": "explore read {d} {no} --contract {no} --break-even 0.1",
    "rate sample": "rate sample {d} --contract {no} --output {out} --key {no}",
    "rate read": "rate read {d} {no} --contract {no} --key {no}",
    "objectify": "objectify {d} --contract {no} --word hot --column employees",
}
WITHOUT_A_DEFINITION = {"demo", "ingest", "audit", "funnel", "flush"}


def refuse(*_, **__):
    raise LeadsError("no leads.")


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    def call(words, day):
        text = DEFINITION.format(day=day)
        definition = tmp_path / "definition.yaml"
        definition.write_text(text)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        entry = {"version": "2026.1", "definition_sha256": sha256, "at": "2026-01-02T00:00:00Z"}
        append_entry(History(name="small"), tmp_path / "small.history.json", kind="adopted", **entry)
        monkeypatch.setattr(
            "leadml.experiment.run_experiment", refuse
        )  # it would make a tracking store first
        experiment = tmp_path / "experiment.yaml"
        experiment.write_text("question: q\ndefinition: definition.yaml\ncontract: no.yaml\n")
        places = {"d": definition, "e": experiment, "h": tmp_path / "small.history.json"}
        said = words.format(**places, no=tmp_path / "no.yaml", out=tmp_path / "out")
        monkeypatch.setattr(sys, "argv", ["leadml", *said.split()])
        main()
        return capsys.readouterr()

    return call


def _commands(tree, before=""):
    for command in tree.registered_commands:
        yield before + (command.name or command.callback.__name__.rstrip("_")), command
    for group in tree.registered_groups:
        yield from _commands(group.typer_instance, f"{group.name} ")


def test_every_command_is_tried_here():
    found = dict(_commands(app))
    assert set(found) == {*COMMANDS, *WITHOUT_A_DEFINITION}
    assert {command.cls for command in found.values()} == {DefinitionCommand}
    for name in WITHOUT_A_DEFINITION:
        assert "definition" not in inspect.signature(found[name].callback).parameters


@pytest.mark.parametrize("command", COMMANDS)
def test_an_overdue_review_is_said_by(command, run):
    said = run(COMMANDS[command], "2020-03-31")
    if command == "lint":
        assert "LD502: The review was due on 2020-03-31" in said.out
    else:
        assert said.err.count("the review of small 2026.1 was due on 2020-03-31") == 1
        assert "was due" not in said.out
    assert "was due" not in "".join(run(COMMANDS[command], "2099-12-31"))


def test_the_day_of_the_leads_decides_where_it_is_given(run):
    assert "1 day ago" in run("compile {d} --as-of 2030-01-02", "2030-01-01").err
    assert "was due" not in run("compile {d} --as-of 2030-01-01", "2030-01-01").err
    assert datetime.now(UTC).year < 2099


def test_a_definition_that_cannot_be_read_is_left_to_the_command(run, tmp_path):
    said = run("document {no}", "2020-01-01")
    assert said.err.count("error:") == 1
