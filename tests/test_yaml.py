import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml._yaml import MAX_BYTES, MappingNode, Problems, ScalarNode, parse_yaml, read_yaml, suggest
from leadml.errors import DefinitionError, InputMissingError, LeadmlError


def parse(text):
    return parse_yaml(text, source="d.yaml", what="definition", error=DefinitionError)


def test_every_scalar_stays_the_text_that_was_written():
    top = parse("a: NO\nb: 012\nc: 1:30\nd: 1e3\ne: ~\nf: 'x'\n")
    assert [(key.text, node.text) for key, node in top.items] == [
        ("a", "NO"), ("b", "012"), ("c", "1:30"), ("d", "1e3"), ("e", "~"), ("f", "x"),
    ]  # fmt: skip
    assert [node.quoted for _, node in top.items] == [False] * 5 + [True]


def test_positions_point_at_the_source():
    text = "a:\n  - x: {y: 'z w'}\n  - employees >= 50\n"
    items = parse(text).get("a")
    inner = items.items[0].get("x").get("y")
    assert (inner.line, inner.column, text[inner.start : inner.end]) == (2, 12, "'z w'")
    second = items.items[1]
    assert (second.line, second.column, text[second.start : second.end]) == (3, 5, "employees >= 50")


def test_a_criterion_may_be_a_key():
    prices = parse("by: {employees >= 500: 40000}").get("by")
    assert prices.keys() == ("employees >= 500",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", r"d.yaml:1:4: anchors and aliases"),
        ("b: *x", r"d.yaml:1:4: anchors and aliases"),
        ("a: !!int 3", r"d.yaml:1:4: tags"),
        ("a: ! 3", r"d.yaml:1:4: tags"),
        ("a: !!map {b: 1}", r"d.yaml:1:4: tags"),
        ("a: 1\na: 2", r"d.yaml:2:1: key 'a' stands here and in line 1"),
        ("<<: {a: 1}", r"d.yaml:1:1: merge keys"),
        ("? [1]\n: 2", r"d.yaml:1:3: a key must be text, got a list"),
        ("[" * 100, r"nested more than 24 levels"),
        ("a: " + "9" * 5000, r"d.yaml:1:4: a text of 5,000 characters"),
        ("---\na: 1\n---\nb: 2", r"d.yaml:4:1: a second document"),
        ("a\u200b: 1", r"d.yaml:1:2: invisible character \(zero width space\)"),
        ("a: x\u202ey", r"d.yaml:1:5: invisible character \(right-to-left override\)"),
        ('a: "\\u202e"', r"d.yaml:1:4: this text contains an invisible character"),
        ('a: "\\x00"', r"d.yaml:1:4: this text contains an invisible character"),
        ("", r"d.yaml:1:1: a definition is a mapping .* got nothing"),
        ("- 1", r"d.yaml:1:1: a definition is a mapping .* got a list"),
        ("a: {b", r"d.yaml:1:6: not readable as YAML"),
        ("%YAML 1.3\n---\na: 1", r"d.yaml:1:1: a line that begins"),
        ("# x\n\n%TAG ! tag:x,2026:\n---\na: 1", r"d.yaml:3:1: a line that begins"),
        ("a: b: c", r"d.yaml:1:5: not readable as YAML: mapping values are not allowed here"),
        ("x" * (MAX_BYTES + 1), r"more than 131,072 bytes"),
    ],
)
def test_what_plain_yaml_does_not_need_is_refused_with_its_place(text, message):
    with pytest.raises(DefinitionError, match=message):
        parse(text)


def test_a_megabyte_of_nesting_is_refused_at_once():
    started = time.process_time()
    with pytest.raises(DefinitionError, match="more than 131,072 bytes"):
        parse("[" * 1_000_000)
    with pytest.raises(DefinitionError, match="nested more than"):
        parse("{a: " * 30_000)
    assert time.process_time() - started < 30  # hangs are caught, speed is not judged


@given(st.text(alphabet=st.sampled_from("a:-[]{}&*!?|>'\"#%@`,\n\t \\x0\u200b<9."), max_size=60))
def test_any_text_is_parsed_or_refused_with_our_error(text):
    try:
        top = parse(text)
    except LeadmlError as error:
        assert error.findings
    else:
        assert isinstance(top, MappingNode)


def test_a_file_is_read_with_its_text(tmp_path):
    path = tmp_path / "d.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    top, text = read_yaml(path, what="definition", error=DefinitionError)
    assert top.get("a").text == "1"
    assert text == "a: 1\r\n"


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(InputMissingError, match="cannot read this definition"):
        read_yaml(tmp_path / "no.yaml", what="definition", error=DefinitionError)
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"a: \xff")
    with pytest.raises(DefinitionError, match="not UTF-8"):
        read_yaml(bad, what="definition", error=DefinitionError)
    bad.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(DefinitionError, match="at most 131,072"):
        read_yaml(bad, what="definition", error=DefinitionError)


def test_problems_are_raised_once_in_the_order_of_the_file():
    top = parse("name: x\nclases: []\nowners: yes\nlevels: [a, [b]]\nkind: bule\n")
    problems = Problems("d.yaml", DefinitionError)
    problems.choice(top.get("kind"), "kind", ("blue", "red"))
    problems.keys(top, "definition", ("name", "classes", "owners", "levels", "kind"), ("version",))
    assert problems.mapping(top.get("owners"), "owners") is None
    assert problems.sequence(top.get("owners"), "owners") is None
    assert problems.texts(top.get("levels"), "levels") == ("a",)
    assert problems.texts(top.get("name"), "name") == ("x",)
    assert problems.mapping(None, "nothing") is None
    assert problems.text(None, "nothing") is None
    assert problems.mapping(top, "top") is top
    problems.add(None, "about the whole file.")
    with pytest.raises(DefinitionError) as raised:
        problems.raise_if_any()
    assert raised.value.findings == (
        "d.yaml: about the whole file.",
        "d.yaml:1:1: definition: key 'version' is missing.",
        "d.yaml:2:1: definition: unknown key 'clases'. Did you mean 'classes'?",
        "d.yaml:3:9: owners: expected a list, got text.",
        "d.yaml:3:9: owners: expected a mapping (`key: value`), got text.",
        "d.yaml:4:13: levels: expected text, got a list.",
        "d.yaml:5:7: kind: expected one of blue, red; got 'bule'. Did you mean 'blue'?",
    )


def test_no_problem_raises_nothing():
    problems = Problems("d.yaml", DefinitionError)
    problems.raise_if_any()
    assert problems.found == []


def test_nothing_close_suggests_nothing():
    assert suggest("zzz", ["employees"]) == ""
    assert isinstance(parse("a: 1").get("a"), ScalarNode)
    assert parse("a: 1").get("b") is None
    assert len(parse("a: [1, 2]").get("a")) == 2
