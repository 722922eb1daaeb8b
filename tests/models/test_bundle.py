"""The bundle: the same bytes, the same scores, and refusal of everything that is not what was written."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from leadml.errors import BundleError, InputMissingError
from leadml.models import UntrainedModel, load_bundle, train_model, write_bundle
from leadml.models._archive import compute_digest, dump_pipeline, load_pipeline, pack, unpack


@pytest.fixture
def written(trained, tmp_path):
    model, table, definition = trained
    path = tmp_path / "m.leadml-bundle"
    digest = write_bundle({"won": model}, path, definition=definition, contract=table.contract)
    return path, digest


def _rewrite(path, change):
    """Write a changed bundle with its own true digest, as somebody with access to both files could."""
    members = unpack(path.read_bytes(), where="test")
    change(members)
    data = pack(members)
    path.write_bytes(data)
    return compute_digest(data)


def test_loaded_models_score_as_the_trained_ones(trained, written):
    model, table, definition = trained
    path, digest = written
    bundle = load_bundle(path, digest=digest)
    scores = bundle.predict(table.frame)
    assert scores.columns.tolist() == ["probability_accepted", "probability_won"]
    assert np.array_equal(scores["probability_won"], model.predict_proba(table.frame))
    assert scores["probability_accepted"].isna().all()
    assert bundle.definition_sha256 == definition.sha256
    assert bundle.digest == digest
    assert bundle.attributes == ("budget", "demo", "employees", "founded_on", "source")
    assert "predicts won deals" in repr(bundle)
    assert "<table" in bundle._repr_html_()


def test_the_same_models_give_the_same_bytes(trained, written, tmp_path, make_world):
    _, table, definition = trained
    path, digest = written
    _, targets, split, _ = make_world()
    again = train_model(table, targets, target="won", definition=definition, split=split)
    other = tmp_path / "again.leadml-bundle"
    assert write_bundle({"won": again}, other, definition=definition, contract=table.contract) == digest
    assert other.read_bytes() == path.read_bytes()


def test_the_digest_stands_beside_the_bundle(written):
    path, digest = written
    assert (path.parent / (path.name + ".sha256")).read_text() == f"{digest}  {path.name}\n"
    assert load_bundle(path).digest == digest
    (path.parent / (path.name + ".sha256")).unlink()
    with pytest.raises(BundleError, match="no digest was given"):
        load_bundle(path)
    with pytest.raises(BundleError, match="64 hexadecimal digits"):
        load_bundle(path, digest="abc")


def test_a_bundle_that_is_not_there_is_an_input_that_is_missing(tmp_path):
    with pytest.raises(InputMissingError, match="model bundle"):
        load_bundle(tmp_path / "none.leadml-bundle", digest="0" * 64)


def test_no_lead_stands_in_the_file(trained, written):
    _, table, _ = trained
    data = written[0].read_bytes()
    for text in table.frame["lead_id"].tail(50).tolist() + table.frame["call_notes"].tail(50).tolist():
        assert text.encode() not in data
    manifest = json.loads(unpack(data, where="test")["bundle.json"])
    rows = manifest["models"]["won"]["test_rows"]
    assert len(rows["employees"]) == len(manifest["models"]["won"]["test_scores"]) == 50


def test_untrained_targets_are_kept_as_reasons(tmp_path, trained):
    model, table, _ = trained
    reason = "cannot train: 0 accepted leads."
    path = tmp_path / "b.leadml-bundle"
    write_bundle(
        {"won": model, "accepted": UntrainedModel(target="accepted", reason=reason)},
        path,
        definition=None,
        contract=None,
    )
    bundle = load_bundle(path)
    assert bundle.untrained == {"accepted": reason}
    assert reason in repr(bundle)
    assert bundle.to_frame()["target"].tolist() == ["won", "accepted"]
    write_bundle({}, path, definition=None, contract=None)
    assert load_bundle(path).predict(table.frame.head(2)).isna().all(axis=None)


def test_every_kind_of_pipeline_survives(make_world, tmp_path):
    from leadml.models._candidates import list_candidates

    table, targets, _, definition = make_world(400)
    features = [*train_features(table, definition)]
    from leadml.models import compute_features

    X = compute_features(table.frame, features, clock=("created_on",))
    for candidate in list_candidates(features, random_state=0):
        pipeline = candidate.build().fit(X, targets["won"].to_numpy())
        loaded = load_pipeline(dump_pipeline(pipeline), where="test")
        assert np.array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))


def train_features(table, definition):
    from leadml.models import choose_features

    rows = np.ones(len(table.frame), dtype=bool)
    return choose_features(table.frame, contract=table.contract, definition=definition, rows=rows)[0]


def test_bit_flips_and_truncations_are_refused(written):
    path, digest = written
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(500):
        broken = bytearray(data)
        broken[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(broken))
        with pytest.raises(BundleError, match="SHA-256"):
            load_bundle(path, digest=digest)
    for cut in rng.integers(0, len(data), 500):
        path.write_bytes(data[:cut])
        with pytest.raises(BundleError, match="SHA-256"):
            load_bundle(path, digest=digest)


def test_damage_behind_a_fresh_digest_is_refused_or_changes_nothing(written, trained):
    """Even if the digest was recomputed over the damage: checksums, list of types and test rows stand."""
    path, _ = written
    _, table, _ = trained
    data = path.read_bytes()
    expected = load_bundle(path).predict(table.frame.head(20))
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(200):
        broken = bytearray(data)
        broken[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(broken))
        try:
            bundle = load_bundle(path, digest=compute_digest(bytes(broken)))
        except BundleError:
            refused += 1
        else:
            pd.testing.assert_frame_equal(bundle.predict(table.frame.head(20)), expected)
    assert refused > 150


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: m.update({"extra.txt": b"x"}), "members are not those"),
        (lambda m: m.pop("model-won.skops"), "members are not those"),
        (lambda m: m.pop("bundle.json"), "bundle.json cannot be read"),
        (lambda m: m.update({"bundle.json": b"{"}), "bundle.json cannot be read"),
        (lambda m: m.update({"bundle.json": b"[1]"}), "bundle.json cannot be read"),
        (lambda m: m.update({"model-won.skops": b"PK"}), "not the file that bundle.json names"),
    ],
)
def test_other_members_are_refused(written, change, match):
    path, _ = written
    digest = _rewrite(path, change)
    with pytest.raises(BundleError, match=match):
        load_bundle(path, digest=digest)


def _edit_manifest(members, edit):
    manifest = json.loads(members["bundle.json"])
    edit(manifest)
    members["bundle.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda m: m.update(format=99), "bundle format 99"),
        (lambda m: m["versions"].update({"scikit-learn": "1.2.3"}), "trained with scikit-learn 1.2.3"),
        (lambda m: m["models"]["won"]["test_scores"].__setitem__(3, 0.123), "test rows score otherwise"),
        (lambda m: m["models"]["won"]["test_scores"].pop(), "test rows score otherwise"),
        (lambda m: m["models"]["won"].pop("features"), "cannot be read"),
        (lambda m: m["models"].update(lost=m["models"].pop("won")), "members are not those"),
    ],
)
def test_other_versions_scores_and_keys_are_refused(written, edit, match):
    path, _ = written
    digest = _rewrite(path, lambda members: _edit_manifest(members, edit))
    with pytest.raises(BundleError, match=match):
        load_bundle(path, digest=digest)


def _plant(path, data):
    def change(members):
        members["model-won.skops"] = data
        _edit_manifest(members, lambda m: m["models"]["won"].update(sha256=compute_digest(data)))

    return _rewrite(path, change)


def _hostile_schema(loader, module, name, target):
    node = {"__class__": name, "__module__": module, "__loader__": loader, "__id__": 1}
    node["content"] = {
        "__class__": "tuple",
        "__module__": "builtins",
        "__loader__": "TupleNode",
        "content": [
            {
                "__class__": "str",
                "__module__": "builtins",
                "__loader__": "JsonNode",
                "content": json.dumps(f"touch {target}"),
                "is_json": True,
            }
        ],
    }
    node["reduce"] = node["args"] = node["content"]
    node["protocol"] = 2
    node["_skops_version"] = "0.16.0"
    return pack({"schema.json": json.dumps(node).encode()})


@pytest.mark.parametrize(
    ("loader", "module", "name"),
    [
        ("FunctionNode", "os", "system"),
        ("ObjectNode", "os", "system"),
        ("TypeNode", "subprocess", "Popen"),
        ("OperatorFuncNode", "operator", "methodcaller"),
        ("MethodNode", "builtins", "exec"),
        ("PartialNode", "functools", "partial"),
        ("ReduceNode", "builtins", "eval"),
        ("ObjectNode", "builtins", "list"),
        ("NoSuchNode", "builtins", "dict"),
        ("CachedNode", "os", "system"),
    ],
)
def test_hostile_model_files_are_refused_and_run_nothing(written, tmp_path, loader, module, name):
    path, _ = written
    mark = tmp_path / "executed"
    digest = _plant(path, _hostile_schema(loader, module, name, mark))
    with pytest.raises(BundleError):
        load_bundle(path, digest=digest)
    assert not mark.exists()


def test_foreign_estimators_and_plain_objects_are_refused(written):
    path, _ = written
    foreign = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    digest = _plant(path, skops.io.dumps(foreign))
    with pytest.raises(BundleError, match="types that leadml does not load"):
        load_bundle(path, digest=digest)
    digest = _plant(path, skops.io.dumps({"a": [1, 2]}))
    with pytest.raises(BundleError):
        load_bundle(path, digest=digest)
    with pytest.raises(BundleError, match="types that leadml does not load"):
        dump_pipeline(foreign)


class _Opens:
    """Makes a file when it is unpickled."""

    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return (open, (self.name, "w"))


def test_pickles_are_not_read(written, tmp_path):
    path, _ = written
    mark = tmp_path / "executed"
    data = pickle.dumps(_Opens(str(mark)))
    for content in (data, pack({"bundle.json": data}), pack({"schema.json": data})):
        path.write_bytes(content)
        with pytest.raises(BundleError):
            load_bundle(path, digest=compute_digest(content))


def test_a_pickle_in_place_of_an_array_is_not_read(written, tmp_path):
    path, _ = written
    mark = tmp_path / "executed"
    data = pickle.dumps(_Opens(str(mark)))
    array = io.BytesIO()
    np.save(array, np.array([_Opens(str(mark))], dtype=object), allow_pickle=True)
    node = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode"}
    schema = {
        **node,
        "__id__": 1,
        "type": "numpy",
        "file": "000001.npy",
        "protocol": 2,
        "_skops_version": "0.16.0",
    }
    digest = _plant(path, pack({"schema.json": json.dumps(schema).encode(), "000001.npy": array.getvalue()}))
    with pytest.raises(BundleError):
        load_bundle(path, digest=digest)
    digest = _plant(path, pack({"schema.json": b"{}", "000001.npy": data}))
    with pytest.raises(BundleError):
        load_bundle(path, digest=digest)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a\\b", "C:x", ".hidden", "ünicode"])
def test_member_names_that_leave_the_file_are_refused(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(BundleError, match="members are not those of a leadml bundle"):
        unpack(buffer.getvalue(), where="test")


def test_compressed_and_doubled_members_are_refused():
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"0" * 10_000_000)
    double = io.BytesIO()
    with zipfile.ZipFile(double, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", b"2")
    for buffer in (bomb, double):
        with pytest.raises(BundleError, match="members"):
            unpack(buffer.getvalue(), where="test")


_WRITE = """
import sys
sys.path[:0] = [{here!r}]
from conftest import build_world
from leadml.models import train_model, write_bundle
table, targets, split, definition = build_world(900)
model = train_model(table, targets, target="accepted", definition=definition, split=split)
print(write_bundle({{"accepted": model}}, {path!r}, definition=definition, contract=table.contract))
"""


@pytest.mark.slow
def test_threads_hash_seed_and_processor_do_not_change_a_byte(root, tmp_path):
    digests = set()
    for number, settings in enumerate(
        [
            {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
            {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "7"},
            {"OMP_NUM_THREADS": "4", "OPENBLAS_CORETYPE": "Haswell", "TZ": "Asia/Tokyo"},
            {"OPENBLAS_CORETYPE": "Prescott", "LC_ALL": "C"},
        ]
    ):
        code = _WRITE.format(
            here=str(root / "tests" / "models"), path=str(tmp_path / f"{number}.leadml-bundle")
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(root), "OMP_WAIT_POLICY": "PASSIVE", **settings},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
