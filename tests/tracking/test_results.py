import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.definitions import parse_definition
from leadml.tracking import (
    Alias,
    Artifact,
    Metric,
    Params,
    RegisteredDefinition,
    Tag,
    challenger_items,
    comparison_items,
    data_items,
    definition_items,
    model_items,
    note_items,
    packet_items,
    proposal_items,
    registration_items,
    score_items,
    sign_off_items,
    version_items,
)

TEXT = """\
name: inbound-lead
version: 2026.3
owners: {marketing: a, sales: b}
meaning: m.
attributes:
  employees: {type: integer, unit: people, known_at: capture}
  source: {type: category, levels: [web, fair], known_at: capture}
classes:
  - {name: hot, meaning: h., all_of: [employees >= 50]}   # agreed in spring
  - {name: cold, otherwise: true}
handoff: [hot]
"""


@pytest.fixture
def written():
    return parse_definition(TEXT)


def of_kind(items, kind):
    return [item for item in items if isinstance(item, kind)]


def artifacts(items):
    return {item.name: item.content for item in of_kind(items, Artifact)}


def test_a_definition_is_logged_as_its_text_and_registered_without_moving_the_champion(written):
    items = definition_items(written)
    assert artifacts(items) == {"definition.yaml": TEXT}
    (registered,) = of_kind(items, RegisteredDefinition)
    assert (registered.name, registered.version, registered.sha256) == (
        "inbound-lead",
        "2026.3",
        written.sha256,
    )
    assert (registered.alias, registered.keep_alias) == ("champion", True)
    assert registered.columns == (("employees", "number"), ("source", "text"))
    assert Tag(name="definition.version", value="2026.3") in items


def test_a_challenger_shows_what_changes_and_what_it_replaces(written):
    changed = parse_definition(TEXT.replace(">= 50", ">= 20").replace("2026.3", "2026.4"))
    items = challenger_items(changed, written=written)
    difference = artifacts(items)["definition.diff.txt"]
    assert "-  - {name: hot, meaning: h., all_of: [employees >= 50]}   # agreed in spring" in difference
    assert "+  - {name: hot, meaning: h., all_of: [employees >= 20]}   # agreed in spring" in difference
    (registered,) = of_kind(items, RegisteredDefinition)
    assert (registered.alias, registered.keep_alias) == ("challenger", False)
    assert registered.tags == (("definition.sha256", changed.sha256), ("replaces.sha256", written.sha256))


def test_a_challenger_is_found_by_what_both_sides_sign(written):
    changed = parse_definition(TEXT.replace(">= 50", ">= 20").replace("2026.3", "2026.4"))
    items = challenger_items(changed, written=written, sentence="20 | not *50*", subject="ab" * 32)
    assert Tag(name="proposal.subject", value="ab" * 32) in items
    (registered,) = of_kind(items, RegisteredDefinition)
    assert ("proposal.subject", "ab" * 32) in registered.tags
    assert registered.description.endswith("proposed instead of 2026.3: 20 \\| not \\*50\\*")


def test_a_signed_definition_says_who_signed_and_is_no_challenger_any_more(written):
    items = sign_off_items(written, tags={"signoff.sales.by": "VP"}, sentences=["sales: VP accepted"])
    (alias,) = of_kind(items, Alias)
    assert (alias.alias, alias.previous, alias.dropped) == ("champion", "previous", "challenger")
    assert alias.tags == (("signoff.sales.by", "VP"),)
    assert alias.description.splitlines()[-1] == "- sales: VP accepted"
    (registered,) = of_kind(items, RegisteredDefinition)
    assert registered.alias is None


def test_a_note_is_short_enough_for_a_tag_and_cannot_leave_its_box():
    (tag,) = note_items("No change *is* proposed.", "```\n" + "figures\n" * 2_000)
    assert tag.name == "mlflow.note.content"
    assert len(tag.value) <= 5_000
    assert tag.value.startswith("No change \\*is\\* proposed.")
    assert tag.value.count("```") == 2
    assert tag.value.endswith("…\n```")


def test_the_registered_name_can_be_given_and_is_made_safe(written):
    (registered,) = of_kind(definition_items(written, registered_name="team/a:b"), RegisteredDefinition)
    assert registered.name == "team-a-b"


def test_data_are_a_digest_and_counts(written):
    manifest = SimpleNamespace(read=10, kept=8, quarantined=1, duplicates=1, data_sha256="ff")
    items = data_items(manifest, as_of=date(2026, 9, 30))
    assert Tag(name="data.sha256", value="ff") in items
    assert Metric(name="rows.quarantined", value=1.0) in items
    assert Params(values=(("as_of", "2026-09-30"),)) in items


def test_a_model_is_its_settings_and_metrics():
    evaluation = SimpleNamespace(
        metrics={"auc": 0.7, "brier": np.float64(0.1), "auc_low": float("nan")}, verdict="useful"
    )
    model = SimpleNamespace(
        target="won",
        candidate="logistic",
        features=(SimpleNamespace(name="a"), SimpleNamespace(name="b")),
        evaluation=evaluation,
    )
    items = model_items(model)
    assert of_kind(items, Metric) == [Metric(name="auc", value=0.7), Metric(name="brier", value=0.1)]
    assert dict(of_kind(items, Params)[0].values)["features"] == "a, b"
    assert Tag(name="verdict", value="useful") in items


def test_a_comparison_is_csv_and_json_of_aggregates():
    frame = pd.DataFrame({"criterion": ["hot.employees"], "rate": [0.25]})
    comparison = SimpleNamespace(to_frame=lambda: frame, classes=frame, at_equal_volume=frame)
    found = artifacts(comparison_items(comparison))
    assert sorted(found) == sorted(
        f"comparison/{name}.{kind}"
        for name in ("criteria", "classes", "at_equal_volume")
        for kind in ("csv", "json")
    )
    assert found["comparison/criteria.csv"] == "criterion,rate\nhot.employees,0.25\n"
    assert json.loads(found["comparison/criteria.json"]) == [{"criterion": "hot.employees", "rate": 0.25}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    candidates: tuple
    price: Decimal
    day: date
    share: float
    path: Path
    array: np.ndarray


def test_a_registration_is_kept_word_for_word():
    registration = Registered(
        candidates=({"criterion": "hot.employees"},),
        price=Decimal("0.05"),
        day=date(2026, 1, 1),
        share=float("nan"),
        path=Path("a"),
        array=np.array([1, 2]),
    )
    items = registration_items(registration)
    assert json.loads(artifacts(items)["registration.json"]) == {
        "candidates": [{"criterion": "hot.employees"}],
        "price": "0.05",
        "day": "2026-01-01",
        "share": None,
        "path": "a",
        "array": [1, 2],
    }


def test_proposals_are_json_and_markdown_with_the_lower_bound():
    document = {
        "proposals": [{"criterion": "hot.employees", "proposed": "employees >= 20", "value_low": 12.5}],
        "kept": [{"criterion": "hot.source", "reason": "a | b"}],
    }
    items = proposal_items(document)
    assert json.loads(artifacts(items)["proposals.json"]) == document
    page = artifacts(items)["proposals.md"]
    assert "| hot.employees | employees \\>= 20 | 12.5 |" in page
    assert "a \\| b" in page
    assert "Nothing." in page
    assert Metric(name="proposal.value_low", value=12.5) in items
    assert Metric(name="n_promising", value=0.0) in items


def test_nothing_proposed_is_said():
    items = proposal_items({})
    assert artifacts(items)["proposals.md"].count("Nothing.") == 4


def test_a_packet_is_one_page():
    assert artifacts(packet_items("<!doctype html>")) == {"packet.html": "<!doctype html>"}


def test_versions_and_commit_are_logged():
    items = version_items(random_state=3, git_commit="abc")
    params = dict(of_kind(items, Params)[0].values)
    assert params["random_state"] == "3"
    assert params["version.pandas"] == pd.__version__
    assert Tag(name="mlflow.source.git.commit", value="abc") in items
    assert not [
        item for item in version_items(random_state=None, git_commit=None) if item == Tag(name="x", value="")
    ]


def test_a_score_manifest_is_counts_and_digests_without_paths():
    manifest = {
        "rows": {"read": 3, "scored": 2},
        "bundle": "ff",
        "output": "somewhere/file.csv",
        "batches": 1,
    }
    items = score_items(manifest)
    assert Metric(name="rows.scored", value=2.0) in items
    assert Tag(name="bundle", value="ff") in items
    assert not [item for item in of_kind(items, Tag) if item.name == "output"]
