# ruff: noqa: DTZ001 - dates without a zone are the subject
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml.leads._dates import check_format, has_zone, is_zone, parse_date, to_utc


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("2021-01-05", "%Y-%m-%d", datetime(2021, 1, 5)),
        ("20210105", "%Y%m%d", datetime(2021, 1, 5)),
        ("1/18/2021 0:00", "%m/%d/%Y %H:%M", datetime(2021, 1, 18)),
        ("9/30/2022", "%m/%d/%Y", datetime(2022, 9, 30)),
        ("05.01.21", "%d.%m.%y", datetime(2021, 1, 5)),
        ("Jan 5, 2021 3:07 PM", "%b %d, %Y %I:%M %p", datetime(2021, 1, 5, 15, 7)),
        ("5 january 2021", "%d %B %Y", datetime(2021, 1, 5)),
        ("2021-036", "%Y-%j", datetime(2021, 2, 5)),
        ("2021-01-05T10:00:00.25", "%Y-%m-%dT%H:%M:%S.%f", datetime(2021, 1, 5, 10, 0, 0, 250000)),
        ("2021-01-05 10:00 +0200", "%Y-%m-%d %H:%M %z", datetime(2021, 1, 5, 8, tzinfo=UTC)),
        ("2021-01-05T10:00:00Z", "%Y-%m-%dT%H:%M:%S%z", datetime(2021, 1, 5, 10, tzinfo=UTC)),
        ("2018-09-20 02:07:59 UTC", "%F %T %Z", datetime(2018, 9, 20, 2, 7, 59, tzinfo=UTC)),
        ("Tue 5 Jan 2021", "%a %d %b %Y", datetime(2021, 1, 5)),
    ],
)
def test_a_date_in_the_declared_format_is_read(text, form, expected):
    assert check_format(form) is None
    assert parse_date(text, (form,)) == expected


@pytest.mark.parametrize(
    ("text", "form", "rule"),
    [
        ("2021105", "%Y%m%d", "date_format"),  # strptime reads this as 5 October
        ("2021-1-5 extra", "%Y-%m-%d", "date_format"),
        ("21-01-05", "%Y-%m-%d", "date_format"),
        ("2021-02-30", "%Y-%m-%d", "date_value"),
        ("13/13/2021", "%m/%d/%Y", "date_value"),
        ("2021-01-05 25:00", "%Y-%m-%d %H:%M", "date_value"),
        ("2021-366", "%Y-%j", "date_value"),
        ("2021-000", "%Y-%j", "date_value"),
        ("1/5/2021 13:00 PM", "%m/%d/%Y %I:%M %p", "date_value"),
        ("２０２１-01-05", "%Y-%m-%d", "date_format"),
    ],
)
def test_what_is_no_such_date_is_not_guessed(text, form, rule):
    assert parse_date(text, (form,)) == rule


def test_alternatives_that_disagree_make_a_date_ambiguous():
    both = ("%m/%d/%Y", "%d/%m/%Y")
    assert parse_date("01/02/2021", both) == "date_ambiguous"
    assert parse_date("02/02/2021", both) == datetime(2021, 2, 2)
    assert parse_date("25/02/2021", both) == datetime(2021, 2, 25)


@pytest.mark.parametrize(
    ("form", "match"),
    [
        ("%H:%M", "no year"),
        ("%Y-%m", "no month or no day"),
        ("%Y-%m-%d %Q", "unknown directive %Q"),
        ("%Y-%m-%d %Y", "twice"),
        ("yyyy-mm-dd", "no year"),
    ],
)
def test_a_format_that_cannot_name_a_day_is_refused(form, match):
    assert match in (check_format(form) or "")


def test_only_a_format_with_a_zone_is_zoned():
    assert has_zone("%Y-%m-%d %z")
    assert not has_zone("%Y-%m-%d")


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)))
def test_what_strftime_writes_is_read_back(moment):
    for form in (
        "%Y-%m-%dT%H:%M:%S.%f",
        "%d.%m.%Y %H:%M:%S.%f",
        "%Y%m%d%H%M%S.%f",
        "%b %d %Y %I:%M:%S.%f %p",
    ):
        assert parse_date(moment.strftime(form), (form,)) == moment


@given(st.text(max_size=20))
def test_no_text_breaks_the_reader(text):
    result = parse_date(text, ("%Y-%m-%d", "%m/%d/%Y %I:%M %p %z"))
    assert isinstance(result, datetime) or result in {"date_format", "date_value", "date_ambiguous"}


def test_local_times_become_instants_where_there_is_one():
    assert to_utc(datetime(2021, 7, 1, 12), "Europe/Berlin") == datetime(2021, 7, 1, 10, tzinfo=UTC)
    assert to_utc(datetime(2021, 3, 28, 2, 30), "Europe/Berlin") == "date_zone"  # clocks went forward
    assert to_utc(datetime(2021, 10, 31, 2, 30), "Europe/Berlin") == "date_zone"  # this time came twice
    aware = datetime(2021, 7, 1, 12, tzinfo=UTC)
    assert to_utc(aware, "Europe/Berlin") is aware
    assert is_zone("UTC")
    assert not is_zone("Europe/Atlantis")
    assert not is_zone("../etc/passwd")
