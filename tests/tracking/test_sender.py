import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leadml._files import locked_file
from leadml.tracking import (
    Alias,
    Artifact,
    Params,
    RegisteredDefinition,
    disable_autologging,
    metric_items,
    params_item,
    tag_items,
)
from leadml.tracking._sender import Store, drain_spool, sqlite_path
from leadml.tracking._spool import Message, destination_of, list_messages, write_message

# MLflow 3.17 uses a loader option that SQLAlchemy 2.1 deprecates; drop this when MLflow no longer does.
# Its advice on type hints and input examples (lead rows!) comes on import and on saving a model.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*An input example was not provided:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*Add type hints to the `predict` method:UserWarning"),
]

SHA = "ab" * 32


class Writer:
    """Writes messages for one SQLite store and sends them in this process."""

    def __init__(self, folder):
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.spool = folder / "spool"
        self.spool.mkdir()
        self.artifacts = (folder / "artifacts").as_uri()

    def say(self, *items, run="r1", status="started", parent=None, at_ms=1_700_000_000_000):
        return write_message(
            self.spool,
            Message(
                destination=destination_of(self.uri),
                experiment="review",
                artifacts=self.artifacts,
                run=run,
                name=f"name of {run}",
                kind="experiment",
                parent=parent,
                at_ms=at_ms,
                status=status,
                items=tuple(items),
            ),
        )

    def send(self):
        return drain_spool(self.spool, uri=self.uri)

    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(self.uri, registry_uri=self.uri)

    def runs(self):
        client = self.client()
        experiment = client.get_experiment_by_name("review")
        return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])


@pytest.fixture
def writer(store_folder):
    return Writer(store_folder)


def definition(**changes):
    values = {"name": "inbound-lead", "version": "1", "sha256": SHA, "text": "name: x\n", "alias": "champion"}
    return RegisteredDefinition(**{**values, **changes})


def test_items_arrive_in_one_run_with_its_nested_runs(writer):
    writer.say(params_item({"goal": "won"}), *tag_items({"data.sha256": SHA}), run="outer")
    writer.say(*metric_items({"auc": 0.75}), run="inner", parent="outer", status="completed")
    writer.say(
        Artifact(name="a/b.json", content="{}\n"), Artifact(name="p.png", content=b"\0\r\n"), run="outer"
    )
    writer.say(run="outer", status="completed")
    result = writer.send()
    assert (result.sent, result.left, result.refused, result.reason) == (4, 0, 0, None)
    outer, inner = sorted(writer.runs(), key=lambda run: "mlflow.parentRunId" in run.data.tags)
    assert outer.data.params == {"goal": "won"}
    assert outer.data.tags["data.sha256"] == SHA
    assert outer.data.tags["status"] == "completed"
    assert outer.info.status == "FINISHED"
    assert inner.data.metrics == {"auc": 0.75}
    assert inner.data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert inner.info.run_name == "name of inner"
    folder = Path(outer.info.artifact_uri.removeprefix("file://"))
    assert (folder / "p.png").read_bytes() == b"\0\r\n"
    assert (folder / "a" / "b.json").read_text() == "{}\n"


def test_more_items_than_one_batch_holds_arrive(writer):
    writer.say(
        params_item({f"p{i}": i for i in range(230)}),
        *metric_items({f"m{i}": i for i in range(1_700)}),
        *tag_items({f"t{i}": i for i in range(120)}),
    )
    assert writer.send().sent == 1
    (run,) = writer.runs()
    assert len(run.data.params) == 230
    assert len(run.data.metrics) == 1_700
    assert run.data.tags["t119"] == "119"


def test_a_message_sent_twice_changes_nothing(writer):
    paths = [
        writer.say(params_item({"a": 1}), *metric_items({"m": 2.0}), definition(), status="completed"),
        writer.say(Artifact(name="a.txt", content="x")),
    ]
    kept = [path.read_bytes() for path in paths]
    writer.send()
    for path, content in zip(paths, kept, strict=True):
        path.write_bytes(content)
    assert writer.send().sent == 2
    (run,) = writer.runs()
    assert len(writer.client().get_metric_history(run.info.run_id, "m")) == 1
    assert len(writer.client().search_model_versions("name = 'inbound-lead'")) == 1


def test_a_failed_job_is_marked_failed(writer):
    writer.say(status="failed")
    writer.send()
    (run,) = writer.runs()
    assert (run.info.status, run.data.tags["status"]) == ("FAILED", "failed")


def test_a_definition_is_registered_once_and_the_champion_stays(writer):
    writer.say(definition(tags=(("signoff", "none"),)), run="first")
    writer.say(definition(), run="second")
    writer.say(definition(sha256="cd" * 32, version="2", keep_alias=True), run="third")
    writer.say(definition(sha256="ef" * 32, version="3", alias="challenger"), run="fourth")
    writer.send()
    client = writer.client()
    assert len(client.search_model_versions("name = 'inbound-lead'")) == 3
    champion = client.get_model_version_by_alias("inbound-lead", "champion")
    assert champion.tags["definition.version"] == "1"
    assert champion.tags["signoff"] == "none"
    assert client.get_model_version_by_alias("inbound-lead", "challenger").tags["leadml.sha256"] == "ef" * 32


def test_signing_moves_the_champion_and_keeps_the_previous_one(writer):
    writer.say(definition(), definition(sha256="cd" * 32, version="2", alias="challenger"))
    writer.say(
        Alias(
            name="inbound-lead",
            sha256="cd" * 32,
            alias="champion",
            previous="previous",
            dropped="challenger",
            tags=(("signoff.sales", "VP Sales"),),
            description="2: signed",
        )
    )
    writer.send()
    client = writer.client()
    aliases = client.get_registered_model("inbound-lead").aliases
    assert {alias: int(version) for alias, version in aliases.items()} == {"champion": 2, "previous": 1}
    champion = client.get_model_version_by_alias("inbound-lead", "champion")
    assert champion.tags["definition.version"] == "2"
    assert champion.description == "2: signed"
    assert champion.tags["signoff.sales"] == "VP Sales"
    previous = client.get_model_version_by_alias("inbound-lead", "previous")
    assert previous.tags["definition.version"] == "1"


def test_a_version_keeps_its_description_and_gets_the_newest_tags(writer):
    writer.say(definition(description="1: written", tags=(("since.leads", "10"),)))
    writer.say(definition(description="other", tags=(("since.leads", "20"),)), run="second")
    writer.send()
    client = writer.client()
    (version,) = client.search_model_versions("name = 'inbound-lead'")
    assert (version.description, version.tags["since.leads"]) == ("1: written", "20")
    assert "champion" in client.get_registered_model("inbound-lead").description


def test_an_alias_for_a_text_that_was_never_registered_is_refused(writer):
    writer.say(definition())
    writer.say(Alias(name="inbound-lead", sha256="00" * 32, alias="champion"))
    assert writer.send().refused == 1


def test_what_the_store_will_never_take_is_set_aside_and_the_rest_goes_on(writer):
    writer.say(params_item({"a": 1}))
    writer.say(params_item({"a": 2}))  # a parameter cannot change
    (writer.spool / "00000000000000000001-broken.json").write_text("not json")
    writer.say(*metric_items({"m": 1.0}))
    result = writer.send()
    assert (result.sent, result.refused, result.left) == (2, 2, 0)
    assert len(list((writer.spool / "refused").iterdir())) == 2
    (run,) = writer.runs()
    assert run.data.metrics == {"m": 1.0}


def test_messages_for_another_store_stay(writer, tmp_path):
    path = writer.say()
    other = f"sqlite:///{tmp_path / 'mlflow.db'}?other"
    assert drain_spool(writer.spool, uri=other).sent == 0
    assert path.exists()


def test_a_second_sender_leaves_the_spool_to_the_first(writer):
    writer.say()
    with locked_file(writer.spool / ".lock"):
        result = writer.send()
    assert (result.sent, result.left, result.reason) == (0, 1, "another job is sending")


def test_a_deleted_experiment_is_restored(writer):
    writer.say()
    writer.send()
    client = writer.client()
    client.delete_experiment(client.get_experiment_by_name("review").experiment_id)
    writer.say(run="r2")
    assert writer.send().reason is None
    assert len(writer.runs()) == 2


class Doubtful:
    """A client whose first `create_…` call reaches the store and then times out."""

    def __init__(self, client, failing, after=None):
        self.client, self.failing, self.after = client, failing, after

    def __getattr__(self, name):
        value = getattr(self.client, name)
        if name != self.failing:
            return value

        def call(*args, **kwargs):
            self.failing = None
            if self.after is None:
                value(*args, **kwargs)
            else:
                self.after.append(lambda: value(*args, **kwargs))
            raise TimeoutError

        return call


@pytest.mark.parametrize("call", ["create_run", "create_model_version"])
def test_an_attempt_that_timed_out_but_arrived_is_found_again(writer, call):
    writer.say(definition(), *metric_items({"m": 1.0}))
    store = Store(uri=writer.uri, spool=writer.spool)
    store.connect()
    store.client = Doubtful(store.client, call)
    assert drain_spool(writer.spool, uri=writer.uri, store=store).sent == 1
    assert len(writer.runs()) == 1
    assert len(writer.client().search_model_versions("name = 'inbound-lead'")) == 1


@pytest.mark.parametrize("call", ["create_run", "create_model_version"])
def test_an_attempt_that_arrives_after_its_repetition_is_deleted(writer, call):
    writer.say(definition(), *metric_items({"m": 1.0}))
    store = Store(uri=writer.uri, spool=writer.spool)
    store.connect()
    late = []
    store.client = Doubtful(store.client, call, after=late)
    assert drain_spool(writer.spool, uri=writer.uri, store=store).sent == 1
    late[0]()
    if call == "create_run":
        assert len(writer.runs()) == 2
    writer.send()
    (run,) = writer.runs()
    assert run.data.metrics == {"m": 1.0}
    assert len(writer.client().search_model_versions("name = 'inbound-lead'")) == 1


def test_old_doubts_are_forgotten(writer, monkeypatch):
    doubts = writer.spool / "doubts"
    doubts.mkdir()
    note = doubts / "x.json"
    note.write_text(json.dumps({"what": "run", "experiment": "0", "key": "k", "kept": None}))
    writer.send()
    assert note.exists()
    monkeypatch.setattr("leadml.tracking._sender.DOUBT_SECONDS", -1)
    writer.send()
    assert not note.exists()


def test_a_store_that_cannot_be_reached_leaves_everything(tmp_path, monkeypatch):
    monkeypatch.setattr("leadml.tracking._sender.time.sleep", lambda _: None)
    writer = Writer(tmp_path)
    writer.uri = "http://127.0.0.1:9"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    path = writer.say()
    result = writer.send()
    assert result.left == 1
    assert "cannot be reached" in result.reason
    assert path.exists()


def test_mlflow_that_is_missing_leaves_everything(writer, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    writer.say()
    assert writer.send().reason == "MLflow cannot be imported (ModuleNotFoundError)"


def test_a_store_of_an_older_mlflow_is_reported_when_it_is_upgraded(tmp_path):
    import sqlite3

    path = tmp_path / "mlflow.db"
    store = Store(uri=f"sqlite:///{path}", spool=tmp_path)
    connection = sqlite3.connect(path)
    connection.execute("create table alembic_version (version_num text)")
    connection.execute("insert into alembic_version values ('0')")
    connection.commit()
    connection.close()

    class Client:
        def __init__(self, *args, **kwargs): ...

        def search_experiments(self, max_results):
            with sqlite3.connect(path) as upgraded:
                upgraded.execute("update alembic_version set version_num = '1'")
            upgraded.close()

    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow, "MlflowClient", Client)
        store.connect()
    assert "written by an older MLflow" in store.notices[0]


def test_sqlite_files_are_recognised():
    assert sqlite_path("sqlite:////a/b.db") == Path("/a/b.db")
    assert sqlite_path("sqlite:///b.db?mode=ro") == Path("b.db")
    assert sqlite_path("http://127.0.0.1") is None


def test_a_registered_definition_loads_as_a_model_without_pickle(writer, tmp_path):
    text = (
        "name: x\nversion: 1\nowners: {marketing: a, sales: b}\nmeaning: m.\n"
        "attributes:\n  employees: {type: integer, unit: people, known_at: capture}\n"
        "  asked: {type: boolean, known_at: capture}\n"
        "classes:\n  - {name: hot, meaning: h., all_of: [employees >= 50, asked]}\n"
        "  - {name: cold, otherwise: true}\nhandoff: [hot]\n"
    )
    columns = (("employees", "number"), ("asked", "boolean"))
    writer.say(definition(text=text, columns=columns))
    assert writer.send().reason is None
    import mlflow.pyfunc
    import pandas as pd

    version = writer.client().get_model_version_by_alias("inbound-lead", "champion")
    folder = Path(version.source.removeprefix("file://"))
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "MLmodel",
        "conda.yaml",
        "definition.yaml",
        "model.py",
        "python_env.yaml",
        "requirements.txt",
    ]
    model = mlflow.pyfunc.load_model(str(folder))
    leads = pd.DataFrame({"employees": [49.0, 50.0, None], "asked": [True, True, True]})
    assert list(model.predict(leads)) == ["cold", "hot", "cold"]


def test_autolog_stays_out_of_the_block_even_nested(writer):
    import mlflow
    from mlflow.utils import autologging_utils

    assert mlflow is sys.modules["mlflow"]
    with disable_autologging():
        with disable_autologging():
            assert autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED
        assert autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED
    assert not autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED


def test_disabling_autolog_imports_nothing():
    code = (
        "import sys\nfrom leadml.tracking import disable_autologging\n"
        "with disable_autologging(): pass\nassert 'mlflow' not in sys.modules\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_waiting_messages_are_in_the_order_they_were_said(writer):
    paths = []
    for _ in range(5):
        paths.append(writer.say())
        time.sleep(0.001)
    assert list_messages(writer.spool, destination_of(writer.uri)) == paths


def test_params_of_one_run_are_merged(writer):
    writer.say(Params(values=(("a", "1"),)), Params(values=(("a", "1"), ("b", "2"))))
    assert writer.send().refused == 0
    assert writer.runs()[0].data.params == {"a": "1", "b": "2"}


def test_the_sending_process_answers_each_line_and_waits_after_a_failure(writer, monkeypatch, tmp_path):
    import io

    from leadml.tracking import _sender

    writer.say()
    answers, results = tmp_path / "answers", [_sender.Drained(left=1, reason="down"), _sender.Drained(sent=1)]
    with answers.open("w") as stream:
        monkeypatch.setattr(_sender.os, "dup", lambda _: 9)
        monkeypatch.setattr(_sender.os, "dup2", lambda *_: None)
        monkeypatch.setattr(_sender.os, "fdopen", lambda *_, **__: stream)
        monkeypatch.setattr(_sender, "drain_spool", lambda *_, **__: results.pop(0))
        monkeypatch.setattr(sys, "argv", ["sender", str(writer.spool)])
        monkeypatch.setattr(sys, "stdin", io.StringIO("soon\nsoon\nnow\n"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", writer.uri)
        _sender.main()
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [(line["sent"], line["left"], line["reason"]) for line in lines] == [
        (0, 1, "down"),
        (0, 1, "down"),
        (1, 0, None),
    ]
