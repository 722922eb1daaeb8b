"""The grammar of a criterion."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml.definitions import Attribute, format_criterion, parse_criterion
from leadml.definitions._grammar import format_value, read_criterion
from leadml.errors import DefinitionError

ATTRIBUTES = {
    "employees": Attribute(name="employees", type="integer", unit="people"),
    "months": Attribute(name="months", type="number", unit="months", steps=(Decimal(3), Decimal(6))),
    "growth": Attribute(name="growth", type="number"),
    "title": Attribute(name="title", type="ordinal", levels=("staff", "manager", "director")),
    "industry": Attribute(
        name="industry", type="category", levels=("software", "Retail, Food", "R&D and more")
    ),
    "source": Attribute(name="source", type="category"),
    "demo": Attribute(name="demo", type="boolean"),
    "created_on": Attribute(name="created_on", type="date"),
}


def read(text):
    return read_criterion(text, attributes=ATTRIBUTES)


@pytest.mark.parametrize(
    ("text", "operator", "values", "or_missing", "canonical"),
    [
        ("demo", "is true", (), False, "demo"),
        ("not demo", "is false", (), False, "not demo"),
        ("demo = no or missing", "is false", (), True, "not demo or missing"),
        ("demo is true", "is true", (), False, "demo"),
        ("demo != yes", "is false", (), False, "not demo"),
        ("employees >= 50", ">=", (Decimal(50),), False, "employees >= 50"),
        ("employees>=50", ">=", (Decimal(50),), False, "employees >= 50"),
        ("months <= 6 months", "<=", (Decimal(6),), False, "months <= 6"),
        ("months < 1 month", "<", (Decimal(1),), False, "months < 1"),
        ("months <= 6.50", "<=", (Decimal("6.50"),), False, "months <= 6.5"),
        ("growth > -0.5", ">", (Decimal("-0.5"),), False, "growth > -0.5"),
        ("employees between 50 and 500", "between", (Decimal(50), Decimal(500)), False, None),
        ("employees BETWEEN 9 AND 3 OR MISSING", "between", (Decimal(9), Decimal(3)), True, None),
        ("employees not in [1, 2]", "not in", (Decimal(1), Decimal(2)), False, None),
        ("title >= manager", ">=", ("manager",), False, None),
        ("title between staff and manager", "between", ("staff", "manager"), False, None),
        ("industry in [software, 'Retail, Food']", "in", ("software", "Retail, Food"), False, None),
        ('industry = "R&D and more"', "=", ("R&D and more",), False, None),
        ("industry = R&D and more", "=", ("R&D and more",), False, 'industry = "R&D and more"'),
        ("source = Web Registration", "=", ("Web Registration",), False, None),
        ("source in [Web Registration, SVP / VP]", "in", ("Web Registration", "SVP / VP"), False, None),
        ("source = missing or missing", "=", ("missing",), True, None),
        ("source is known", "is known", (), False, "source is known"),
        ("source is missing", "is missing", (), False, "source is missing"),
        ("created_on >= 2026-07-01", ">=", ("2026-07-01",), False, "created_on >= 2026-07-01"),
    ],
)
def test_every_form_is_read(text, operator, values, or_missing, canonical):
    criterion = read(text)
    assert criterion.measurable
    assert (criterion.operator, criterion.values, criterion.or_missing) == (operator, values, or_missing)
    words = format_criterion(criterion)
    if canonical is not None:
        assert words == canonical
    again = read(words)
    assert (again.attribute, again.operator, again.values) == (criterion.attribute, operator, values)
    assert again.or_missing == or_missing


@pytest.mark.parametrize(
    "text",
    ["strong interest", "soon", "worth staying in touch with", "employees at least 50", "budget between us"],
)
def test_prose_is_kept_and_not_measurable(text):
    criterion = read(text)
    assert criterion.attribute is None
    assert criterion.fault is None
    assert not criterion.measurable
    assert format_criterion(criterion) == text


@pytest.mark.parametrize(
    ("text", "kind", "message", "fix"),
    [
        ("employes >= 50", "unknown_attribute", "Did you mean 'employees'?", "Declare 'employes'"),
        ("asked_for_dem", "unknown_attribute", "unknown attribute 'asked_for_dem'", "Declare"),
        ("demmo", "unknown_attribute", "Did you mean 'demo'?", "Declare"),
        ("revenue is known", "unknown_attribute", "'revenue'", "Declare"),
        ("region in [a, b]", "unknown_attribute", "'region'", "Declare"),
        ("revenue between 5 and 9", "unknown_attribute", "'revenue'", "Declare"),
        ("title >= boss", "unknown_level", "'boss' is not a level of 'title'", "staff, manager, director"),
        ("title between staff and directr", "unknown_level", "Did you mean 'director'?", "Use one of"),
        ("employees >= fifty", "bad_value", "expected a number", "employees >= 10"),
        ("employees >= 1,000", "bad_value", "expected a number", "Write 1000."),
        ("employees >= 10k", "bad_value", "expected a number", "Write 10000."),
        ("employees >= 1e3", "bad_value", "expected a number", "plain decimal"),
        ("months <= 6 weeks", "bad_value", "is in months, not in 'weeks'", "in months"),
        ("growth >= 5 percent", "bad_value", "has no unit", "Declare the unit"),
        ("employees >= " + "9" * 5000, "bad_value", "too long", "at most 15 digits"),
        ("employees >= nan", "bad_value", "expected a number", "plain decimal"),
        ("employees >= ٥٠", "bad_value", "a number", ""),
        ("created_on >= 1/7/2026", "bad_value", "expected a day", "YYYY-MM-DD"),
        ("created_on >= 2026-02-30", "bad_value", "expected a day", "YYYY-MM-DD"),
        ("employees", "bad_operator", "only a boolean stands alone", "employees >= 10"),
        ("not title", "bad_operator", "only a boolean stands alone", "title >= director"),
        ("industry >= software", "bad_operator", "has no order", "`not in`"),
        ("demo >= 1", "bad_operator", "is a boolean", "Write `demo` or `not demo`"),
        ("employees => 50", "syntax", "'=>' is not an operator", "employees >= 50"),
        ("employees ≥ 50", "syntax", "is not an operator", "employees >= 50"),
        ("employees == 50", "syntax", "is not an operator", "employees = 50"),
        ("employees >=", "syntax", "nothing stands after", "employees >= 10"),
        ("industry in []", "syntax", "nothing stands after", "industry"),
        ("employees >= 50 and months <= 6", "syntax", "one criterion tests one attribute", "all_of"),
        ("source = a and employees >= 5", "syntax", "more than a level", "all_of"),
        (">= 50", "syntax", "expected `attribute operator value`", "employees >= 50"),
    ],
)
def test_a_broken_criterion_says_what_was_expected(text, kind, message, fix):
    criterion = read(text)
    assert not criterion.measurable
    assert criterion.fault.kind == kind
    assert message in criterion.fault.message
    assert fix in criterion.fault.fix
    with pytest.raises(DefinitionError, match="criterion"):
        parse_criterion(text, attributes=ATTRIBUTES)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    criterion = read(text)
    assert criterion.text == text


@given(
    st.sampled_from(sorted(ATTRIBUTES)),
    st.text(alphabet=" <>=!in[]notbetweenandormisg'\",0159.-", max_size=40),
)
def test_no_text_after_an_attribute_breaks_the_reader(name, rest):
    criterion = read(f"{name}{rest}")
    if criterion.measurable:
        again = read(format_criterion(criterion))
        assert (again.operator, again.values, again.or_missing) == (
            criterion.operator,
            criterion.values,
            criterion.or_missing,
        )


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_a_threshold_comes_back_as_it_was_written(number):
    criterion = read(f"growth >= {format_value(number)}")
    assert criterion.values == (number,)
    assert Decimal(repr(float(number))) == number


@given(st.text(min_size=1, max_size=20).filter(lambda level: level == level.strip()))
def test_every_level_can_be_written(level):
    words = f"source = {format_value(level)}"
    if not ("'" in level and '"' in level):
        assert read(words).values == (level,)
