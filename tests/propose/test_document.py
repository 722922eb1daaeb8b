"""A result as Markdown and against its schema."""

import numpy as np
import pytest

from leadml.propose import Goal, format_proposals, proposal_schema


def check(value, schema, where="$"):
    """Check the parts of JSON Schema that ours uses."""
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    if "enum" in schema:
        assert value in schema["enum"], where
        return
    wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(isinstance(value, kinds[kind]) for kind in wanted), (where, value)
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema["required"]) == set(value), where
        for name, part in schema["properties"].items():
            check(value[name], part, f"{where}.{name}")
    if isinstance(value, list):
        assert len(value) <= schema.get("maxItems", len(value)), where
        for item in value:
            check(item, schema.get("items", {"type": list(kinds)}), f"{where}[]")


@pytest.fixture(name="reviews")
def reviews_fixture(worlds):
    rng = np.random.default_rng(1)
    frame = worlds.draw_attributes(3000, rng)
    hot = ((frame.employees >= 50) & (frame.months <= 12)).to_numpy()
    good = worlds.make_world(frame, np.where(frame.months <= 6, 0.2, 0.03), rng, worked=hot).propose()
    none = worlds.make_world(frame.head(40), np.full(40, 0.2), rng).propose(Goal(maximise="won"))
    return good, none


def test_every_result_keeps_to_the_schema(reviews):
    for result in reviews:
        check(result.to_dict(), proposal_schema())


def test_markdown_begins_with_the_lower_bound_and_ends_with_what_was_tested(reviews):
    good, none = reviews
    text = format_proposals(good)
    assert "## `months <= 6` instead of `months <= 12`" in text
    assert text.index("At least +") < text.index("## Kept") < text.index("## Everything that was tested")
    assert "1.2 to 2.6 times too high" in text
    assert "of 100 leads no longer handed over" in text
    assert "Nothing is proposed." in format_proposals(none)
    assert "keep `employees >= 50`" in format_proposals(none)
