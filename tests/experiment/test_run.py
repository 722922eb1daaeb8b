"""The whole loop on generated leads: what is written, what is tracked, what stays private."""

import base64
import json
import sqlite3
import zipfile
from pathlib import Path

import pytest

from leadml.errors import LeadsError
from leadml.experiment import (
    analyse_experiment,
    load_experiment,
    run_experiment,
    write_demo,
    write_models,
    write_proposals,
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    experiment = load_experiment(write_demo(folder, n_leads=6_000, random_state=1))
    steps = []
    result = run_experiment(experiment, output=folder / "out", progress=lambda *step: steps.append(step))
    return folder, result, steps


def test_every_result_is_written(demo):
    folder, result, steps = demo
    out = folder / "out"
    names = {path.name for path in out.iterdir()}
    assert {
        "packet.html",
        "result.json",
        "proposals.json",
        "proposals.md",
        "registration.json",
        "scores.csv",
    } <= names
    assert {"quarantine.csv", "model.leadml-bundle", "model.leadml-bundle.sha256", "mlflow.db"} <= names
    assert not [name for name in names if name.endswith(".part")]
    assert json.loads((out / "result.json").read_text())["definition"] == "inbound-lead"
    assert all(path.exists() for path in result.files.values())
    assert len(steps) >= 8
    assert all(0 <= done <= total for _, done, total in steps)


def test_candidates_are_registered_before_they_are_confirmed(demo):
    folder, result, _ = demo
    registered = json.loads((folder / "out" / "registration.json").read_text())
    assert registered["data_sha256"] == result.table.manifest.data_sha256
    assert registered["definition_sha256"] == result.definition.sha256
    tested = {proposal.proposed for proposal in result.proposals.proposals}
    assert tested <= {candidate["proposed"] for candidate in registered["candidates"]}


def test_the_proposed_definition_keeps_the_authors_comments(demo):
    folder, result, _ = demo
    assert result.proposals.proposals
    written = (folder / "definition.yaml").read_text()
    proposed = (folder / "out" / "inbound-lead-2025.2.yaml").read_text()
    assert written != proposed
    for line in written.splitlines():
        if "#" in line:
            assert line.split("#", 1)[1] in proposed


def test_mlflow_has_the_run_its_parts_and_both_definitions(demo):
    folder, result, _ = demo
    assert (result.tracking.waiting, result.tracking.lost, result.tracking.refused) == (0, 0, 0)
    with sqlite3.connect(folder / "out" / "mlflow.db") as store:
        kinds = dict(store.execute("select value, count(*) from tags where key = 'kind' group by value"))
        assert kinds == {
            "experiment": 1,
            "registration": 1,
            "model": 3,
            "definition": 1,
            "proposal": 1,
            "score": 1,
        }
        aliases = {alias for (alias,) in store.execute("select alias from registered_model_aliases")}
        assert aliases == {"champion", "challenger"}
        statuses = {status for (status,) in store.execute("select status from runs")}
        assert statuses == {"FINISHED"}
        (registered,) = store.execute(
            "select start_time from runs r join tags t on t.run_uuid = r.run_uuid and t.key = 'kind' and t.value = 'registration'"
        ).fetchone()
        (proposed,) = store.execute(
            "select start_time from runs r join tags t on t.run_uuid = r.run_uuid and t.key = 'kind' and t.value = 'proposal'"
        ).fetchone()
    assert registered <= proposed


def test_no_person_of_the_export_is_in_any_byte_that_was_written(demo):
    folder, _, _ = demo
    lines = (folder / "leads.csv").read_text().splitlines()[1:]
    people = {part.strip('"') for line in lines[:400] for part in line.split(",") if "@" in part}
    assert len(people) > 100
    forms = [form for person in people for form in _forms(person)]
    control = folder / "leads.csv"
    assert _holds(control.read_bytes(), forms)
    for path in (folder / "out").rglob("*"):
        if path.is_file():
            assert not _holds(path.read_bytes(), forms), path
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    for name in archive.namelist():
                        assert not _holds(archive.read(name), forms), (path, name)


def _forms(text):
    return (
        text.encode(),
        text.encode("utf-16-le"),
        base64.b64encode(text.encode()),
        text.replace("@", "%40").encode(),
    )


def _holds(data, forms):
    return any(form in data for form in forms)


def test_two_runs_say_the_same(demo, tmp_path):
    folder, result, _ = demo
    again = analyse_experiment(load_experiment(folder / "experiment.yaml"))
    assert again.proposals.to_dict() == result.proposals.to_dict()
    assert str(again) == str(result)


def test_a_run_that_stopped_early_says_so(demo, tmp_path):
    folder, _, _ = demo
    short = analyse_experiment(load_experiment(folder / "experiment.yaml"), until="models")
    assert set(short.models) == {"accepted", "won"}
    with pytest.raises(LeadsError, match="stopped before its proposals"):
        write_proposals(short, tmp_path)
    with pytest.raises(LeadsError, match="stopped before the comparison"):
        short.to_frame()
    assert len(write_models(short, tmp_path / "m.leadml-bundle")) == 64
    assert "inbound-lead" in str(short)
    assert short._repr_html_().startswith("<pre>")
    assert list(
        analyse_experiment(load_experiment(folder / "experiment.yaml"), until="comparison").to_frame()
    )


def test_the_demo_is_the_same_for_the_same_seed(tmp_path):
    for name in ("a", "b"):
        write_demo(tmp_path / name, n_leads=500, random_state=3)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert Path(tmp_path / "a" / "experiment.yaml").exists()
