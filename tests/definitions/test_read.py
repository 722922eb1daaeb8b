"""Definition files: what is read and what is refused."""

import subprocess
import sys
import time
import typing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from leadml.definitions import load_definition, parse_definition
from leadml.errors import DefinitionError, InputMissingError

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "experiments" / "definitions").glob("*.yaml"))

TEXT = """\
name: inbound-lead
version: 2026.10
effective_from: 2026-07-01
review_by: 2026-12-31
owners: {marketing: Director of Demand Generation, sales: VP Sales}
meaning: Which inbound leads Marketing hands to Sales.
attributes:
  months: {type: number, unit: months, dimension: timing, known_at: capture, asked: When?, steps: [1, 2.5, 6]}
  growth: {type: number, unit: percent, range: [-100, 500]}
  title: {type: ordinal, levels: [NO, 012, 1:30, 1e3]}
  demo: {type: boolean}
  created_on: {type: date}
  visited_on: {type: date}
  idle: {type: integer, unit: days, age_of: visited_on, anchor: created_on}
points:
  engagement:
    - {when: demo, points: 40, fades_over: 90, age: idle}
    - {when: months <= 3, points: -0.5}
classes:
  - name: hot
    meaning: Soon.
    all_of:
      - months <= 6
      - any_of: [title >= 012, demo, months <= 1]
      - at_least: 1
        of:
          - engagement >= 5
          - any_of: [demo]
  - name: cold
    otherwise: true
handoff: [hot]
prices: {won: {default: 12000, by: {demo: 40000}}, worked_lead: 150, currency: EUR}
"""


def test_everything_in_a_definition_is_read_as_written():
    definition = parse_definition(TEXT, source="d.yaml")
    assert (definition.name, definition.version) == ("inbound-lead", "2026.10")
    assert (definition.effective_from, definition.review_by) == (date(2026, 7, 1), date(2026, 12, 31))
    assert definition.owners == (("marketing", "Director of Demand Generation"), ("sales", "VP Sales"))
    assert definition.attribute("months").steps == (Decimal(1), Decimal("2.5"), Decimal(6))
    assert definition.attribute("title").levels == ("NO", "012", "1:30", "1e3")
    assert definition.attribute("growth").lowest == Decimal(-100)
    assert definition.attribute("months").lowest == Decimal(0)
    assert definition.attribute("idle").lowest is None
    assert definition.attribute("engagement").unit == "points"
    assert [criterion.address for criterion in definition.criteria()] == [
        "hot.months",
        "hot.title",
        "hot.demo",
        "hot.months#2",
        "hot.engagement",
        "hot.demo#2",
    ]
    rule = definition.lead_class("hot").rule
    assert [member.address for member in rule.members] == ["hot.months", "hot.any_of", "hot.at_least"]
    assert rule.members[2].members[1].address == "hot.any_of#2"
    assert definition.criterion("hot.months#2").line == 24
    assert definition.criterion("hot.months#2").column == 38
    assert definition.points[0].rules[0].fades_over == Decimal(90)
    assert definition.handed_over("hot")
    assert not definition.handed_over("cold")
    assert definition.prices.won_by[0][1] == Decimal(40000)
    assert definition.text == TEXT


def test_a_meaning_may_be_folded_over_lines():
    text = TEXT.replace("meaning: Soon.", "meaning: >-\n      Decides soon and\n      has a budget.")
    assert parse_definition(text).classes[0].meaning == "Decides soon and has a budget."


def test_equal_texts_are_equal_definitions():
    assert parse_definition(TEXT) == parse_definition(TEXT)
    assert parse_definition(TEXT) != parse_definition(TEXT.replace("months <= 6", "months <= 7"))
    assert hash(parse_definition(TEXT)) == hash(parse_definition(TEXT))


def test_an_unknown_address_is_a_key_error():
    definition = parse_definition(TEXT)
    with pytest.raises(KeyError, match="nope"):
        definition.criterion("nope")
    with pytest.raises(KeyError, match="nope"):
        definition.lead_class("nope")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_read_and_named_after_its_file(path):
    definition = load_definition(path)
    assert path.stem == f"{definition.name}-{definition.version}"
    assert definition.source == str(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: inbound-lead", "nam: inbound-lead", r":1:1: .*unknown key 'nam'. Did you mean 'name'\?"),
        ("name: inbound-lead", "name: ''", "name: expected text, got nothing"),
        (
            "2026-07-01",
            "01.07.2026",
            r":3:17: effective_from: expected a day as YYYY-MM-DD, got '01.07.2026'",
        ),
        (
            "owners: {marketing: Director of Demand Generation, sales: VP Sales}",
            "owners: x",
            "owners: expected a map",
        ),
        ("type: number, unit: months", "type: nmber, unit: months", "Did you mean 'number'"),
        ("type: number, unit: months", "typ: number, unit: months", "Did you mean 'type'"),
        ("[NO, 012, 1:30, 1e3]", "[NO]", "at least two `levels`"),
        ("[NO, 012, 1:30, 1e3]", "[NO, NO]", "stands there 2 times"),
        ("type: boolean", "type: boolean, levels: [a]", "not a boolean"),
        ("type: boolean", "type: boolean, steps: [1]", "only a number or an integer has steps"),
        ("[1, 2.5, 6]", "[1, 6, 2.5]", "expected ascending numbers"),
        ("[1, 2.5, 6]", "[1, x]", "expected a plain decimal number .* got 'x'"),
        ("[-100, 500]", "[500, -100]", "the lowest value is above the highest"),
        ("[-100, 500]", "[500]", r"expected \[lowest, highest\], got 1"),
        (
            "known_at: capture",
            "known_at: later",
            "known_at: expected one of capture, handoff, after; got 'later'",
        ),
        ("  demo: {type", "  1demo: {type", "a name is made of plain letters"),
        ("  demo: {type", "  dеmo: {type", "a name is made of plain letters"),
        ("  demo: {type", "  missing: {type", "is a word of the criterion grammar"),
        ("age_of: visited_on", "age_of: visted_on", "Did you mean 'visited_on'"),
        ("anchor: created_on", "anchor: demo", "anchor: expected the name of a date attribute, got 'demo'"),
        ("  engagement:", "  months:", "an attribute has this name already"),
        ("points: 40, ", "", "key 'points' is missing"),
        ("points: 40, ", "points: many, ", "expected a plain decimal number"),
        (", age: idle", "", "`fades_over` and `age` belong together"),
        ("age: idle", "age: idl", "Did you mean 'idle'"),
        ("age: idle", "age: months", "expected the name of an integer attribute"),
        ("fades_over: 90", "fades_over: 0.5", "expected whole days"),
        ("points: -0.5", "points: 99999999999.9999", "too many digits"),
        ("    all_of:\n", "    all_off:\n", r":\d+:5: .*unknown key 'all_off'. Did you mean 'all_of'\?"),
        ("    otherwise: true", "    otherwise: yes", "expected one of true, .*got 'yes'"),
        ("    otherwise: true", "    otherwise: true\n    any_of: [demo]", "exclude each other"),
        ("at_least: 1", "at_least: 0", "expected a whole number from 1, got '0'"),
        ("at_least: 1\n        of:", "of:", "`of` needs `at_least: k`"),
        ("at_least: 1\n        of:", "any_of: [demo]\n        all_of:", "got all_of and any_of"),
        ("- any_of: [demo]", "- any_of: []", "expected at least one criterion"),
        ("- any_of: [demo]", "- [demo]", "expected a criterion or a group, got a list"),
        ("- any_of: [demo]", "- anyof: [demo]", "unknown key 'anyof'. Did you mean 'any_of'"),
        ("- any_of: [demo]", "- 'note': [demo]", "contains a colon"),
        ("- any_of: [demo]", "- any_of: demo", "expected a list, got text"),
        ("- any_of: [demo]", "- ''", "expected a criterion, got an empty text"),
        ("  - name: cold", "  - name: hot", "a class 'hot' stands above already"),
        (
            "handoff: [hot]",
            "handoff: [hto]",
            "expected one of the classes hot, cold; got 'hto'. Did you mean 'hot'",
        ),
        ("default: 12000", "default: 12k", "prices.won.default: expected a plain decimal number"),
        ("worked_lead: 150", "worked_led: 150", "Did you mean 'worked_lead'"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_its_cure(old, new, message):
    assert old in TEXT
    with pytest.raises(DefinitionError, match=message):
        parse_definition(TEXT.replace(old, new, 1), source="d.yaml")


def test_brackets_inside_brackets_are_told_to_be_quoted():
    text = TEXT.replace("any_of: [demo]", "any_of: [title in [NO, 012]]")
    with pytest.raises(DefinitionError, match=r"d\.yaml:28:\d+: .*put a criterion with brackets in quotes"):
        parse_definition(text, source="d.yaml")


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file():
    text = TEXT.replace("2026-07-01", "soon").replace("type: boolean", "type: bool").replace("[hot]", "[hto]")
    with pytest.raises(DefinitionError, match=r"d\.yaml") as caught:
        parse_definition(text, source="d.yaml")
    lines = [int(finding.split(":")[1]) for finding in caught.value.findings]
    assert len(lines) == 3
    assert lines == sorted(lines)


@pytest.mark.parametrize("missing", ["name", "version", "classes"])
def test_what_must_be_there_is_asked_for(missing):
    text = "name: a\nversion: 1\nclasses: [{name: hot, otherwise: true}]\n"
    kept = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(missing))
    with pytest.raises(DefinitionError, match=f"key '{missing}' is missing"):
        parse_definition(kept)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(InputMissingError, match="cannot read this definition"):
        load_definition(tmp_path / "none.yaml")


HOSTILE = {
    "empty": "",
    "list": "- a\n",
    "text": "hello",
    "duplicate key": TEXT.replace("  demo:", "  months:", 1),
    "anchor": TEXT.replace("type: boolean", "type: &a boolean", 1),
    "alias": TEXT.replace("type: boolean", "type: *a", 1),
    "tag": TEXT.replace("type: boolean", "type: !!python/name:os.system boolean", 1),
    "merge": TEXT.replace("type: boolean", "<<: {type: boolean}", 1),
    "two documents": TEXT + "---\n" + TEXT,
    "zero width": TEXT.replace("months <= 6", "mon\u200bths <= 6"),
    "bidi": TEXT.replace("Which inbound", "\u202eWhich inbound"),
    "escaped bidi": TEXT.replace("meaning: Soon.", 'meaning: "\\u202eSoon."'),
    "null byte": TEXT.replace("Soon.", "So\0on."),
    "surrogate": TEXT.replace("Soon.", "So\ud800on."),
    "two scripts in a word": TEXT.replace("months <= 6", "mоnths <= 6"),
    "levels that look alike": TEXT.replace("[NO, 012", "[NO, ΝΟ, 012"),
    "classes that look alike": TEXT.replace("name: cold", "name: һоt".replace("t", "т")).replace(
        "[hot]", "[hot]"
    ),
    "classes wide": TEXT.replace("name: cold", "name: ｈｏｔ"),
    "wide digits": TEXT.replace("points: 40", "points: ４０"),
    "deep": TEXT.replace("any_of: [demo]", "any_of: " + "[" * 3000 + "]" * 3000),
    "deep groups": TEXT.replace("- any_of: [demo]", "- " + "{all_of: [" * 60 + "demo" + "]}" * 60),
    "megabyte of nesting": "a: " + "[" * 1_000_000,
    "megabyte of keys": "".join(f"k{number}: 1\n" for number in range(100_000)),
    "many braces": "{" * 120_000,
    "many dashes": "- " * 60_000,
    "long number": TEXT.replace("default: 12000", "default: " + "9" * 5000),
    "nan": TEXT.replace("default: 12000", "default: .nan"),
    "infinity": TEXT.replace("default: 12000", "default: .inf"),
    "billion laughs": "a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    "tabs": TEXT.replace("    meaning: Soon.", "\tmeaning: Soon."),
    "unclosed": TEXT.replace("handoff: [hot]", "handoff: [hot"),
    "directive": "%YAML 9.9\n---\n" + TEXT,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_at_once_with_a_clear_message(name):
    start = time.process_time()
    with pytest.raises(DefinitionError, match=r"d\.yaml"):
        parse_definition(HOSTILE[name], source="d.yaml")
    assert time.process_time() - start < (1 if sys.gettrace() is None else 10)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "d.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(DefinitionError, match="not UTF-8"):
        load_definition(path)


def test_reading_and_linting_load_no_heavy_package():
    program = (
        "import sys, datetime, leadml.definitions as d\n"
        f"definition = d.load_definition({str(EXAMPLES[0])!r})\n"
        "d.lint_definition(definition, as_of=datetime.date(2026, 1, 1)).to_dict()\n"
        "heavy = {'numpy', 'pandas', 'sklearn', 'mlflow', 'shap', 'matplotlib', 'jinja2', 'sqlglot'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_public_names_are_all_there():
    import leadml.definitions

    assert len(leadml.definitions.__all__) == len(set(leadml.definitions.__all__))
    assert set(dir(leadml.definitions)) >= set(leadml.definitions.__all__)
    for name in leadml.definitions.__all__:
        value = getattr(leadml.definitions, name)
        # A constant and a list of choices (`Literal`) have no docstring of their own.
        assert value.__doc__ or name.isupper() or typing.get_origin(value) is typing.Literal
    with pytest.raises(AttributeError, match="no attribute"):
        _ = leadml.definitions.nothing


def _many(what, count):
    lines = {
        "attributes": "attributes:\n"
        + "".join(f"  attribute_{i}: {{type: boolean}}\n" for i in range(count))
        + "classes: [{name: hot, otherwise: true}]\n",
        "classes": "classes:\n" + "".join(f"  - {{name: k{i}, otherwise: true}}\n" for i in range(count)),
        "criteria": "attributes: {n: {type: integer, unit: p}}\nclasses:\n  - name: hot\n    all_of:\n"
        + "".join(f"      - n >= {i}\n" for i in range(count)),
        "levels": f"attributes: {{c: {{type: category, levels: [{', '.join(map(str, range(count)))}]}}}}\n"
        "classes: [{name: hot, otherwise: true}]\n",
    }
    return f"name: t\nversion: 1\n{lines[what]}"


@pytest.mark.parametrize(
    ("what", "most"), [("attributes", 500), ("classes", 100), ("criteria", 500), ("levels", 1000)]
)
def test_what_nobody_wrote_by_hand_is_refused(what, most):
    if what != "classes":
        assert parse_definition(_many(what, most)) is not None
    with pytest.raises(DefinitionError, match=rf"{most:,}|{most}"):
        parse_definition(_many(what, most + 1))


@pytest.mark.parametrize("criterion", ["n between 1{0}x", "n{0}x", "n >= 1{0}y", "n{0}or{0}missin"])
def test_long_runs_of_spaces_are_read_once(criterion):
    line = f"      - '{criterion.format(' ' * 1900)}'\n"
    text = "name: t\nversion: 1\nattributes: {n: {type: integer, unit: p}}\nclasses:\n  - name: hot\n    all_of:\n"
    start = time.process_time()
    definition = parse_definition(text + line * 30)
    assert time.process_time() - start < 1
    assert not any(item.measurable for item in definition.criteria())


def test_many_misspelt_names_are_read_in_a_second():
    text = "name: t\nversion: 1\nattributes:\n"
    text += "".join(f"  attribute_{i}: {{type: boolean}}\n" for i in range(500))
    text += "classes:\n  - name: hot\n    all_of:\n"
    text += "".join(f"      - atribute_{i} >= 3\n" for i in range(500))
    start = time.process_time()
    definition = parse_definition(text)
    assert time.process_time() - start < 2
    assert "Did you mean 'attribute_7'?" in definition.criterion("hot.atribute_7").fault.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  n:", "  lead_class:", r"4:3: .*'lead_class' is what leadml calls the result"),
        ("  n:", f"  {'n' * 64}:", r"4:3: .*at most 63 characters, got 64"),
        ("  n:", "  N: {type: boolean}\n  n:", r"5:3: 'N' and 'n' differ only in capital letters"),
        ("  s:", "  N:", r"6:3: points.N: an attribute has this name already"),
        ("name: t", "%YAML 1.3\n---\nname: t", r"<text>:1:1: a line that begins with `%`"),
    ],
)
def test_names_that_sql_would_confuse_are_refused(old, new, message):
    text = (
        "name: t\nversion: 1\nattributes:\n  n: {type: integer, unit: p}\npoints:\n"
        "  s: [{when: n is known, points: 1}]\nclasses: [{name: hot, otherwise: true}]\n"
    )
    assert parse_definition(text).points[0].name == "s"
    with pytest.raises(DefinitionError, match=message):
        parse_definition(text.replace(old, new, 1))


def test_a_long_number_is_not_repeated_in_the_message():
    text = "name: t\nversion: 1\nattributes: {n: {type: integer, unit: p}}\nclasses: [{name: hot, all_of: [n >= %s]}]\n"
    fault = parse_definition(text % ("$" + "9" * 3_000)).criterion("hot.n").fault
    assert len(fault.message + fault.fix) < 400
    with pytest.raises(DefinitionError, match="at most 4,000"):
        parse_definition(text % ("9" * 5_000))
