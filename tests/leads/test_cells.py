from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.leads._cells import _read_distinct, type_column
from leadml.leads._contract import Column
from leadml.leads._texts import Texts


def column(kind, role="attribute", **more):
    return Column(name="x", table="leads", source="X", role=role, type=kind, **more)


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("1200", {}, 1200.0),
        (" 12.5 ", {}, 12.5),
        ("-3", {}, -3.0),
        ("+3", {}, 3.0),
        ("\u22123", {}, -3.0),
        ("1.5e3", {}, 1500.0),
        (".5", {}, 0.5),
        ("5.", {}, 5.0),
        ("1.234,56", {"decimal": ",", "thousands": "."}, 1234.56),
        ("1 234 567", {"thousands": " "}, 1234567.0),
        ("1\u00a0234\u202f567", {"thousands": " "}, 1234567.0),
        ("1'234.5", {"thousands": "'"}, 1234.5),
        ("$200,000 ", {"thousands": ",", "currency": "USD"}, 200000.0),
        ("-$5.10", {"currency": "USD"}, -5.1),
        ("$-5.10", {"currency": "USD"}, -5.1),
        ("(5.10)", {"currency": "USD"}, -5.1),
        ("1.200,00 €", {"decimal": ",", "thousands": ".", "currency": "EUR"}, 1200.0),
        ("EUR 12", {"currency": "EUR"}, 12.0),
        ("$1.2M", {"currency": "USD", "suffixes": (("M", Decimal(1000000)), ("k", Decimal(1000)))}, 1.2e6),
        ("45 %", {"suffixes": (("%", Decimal("0.01")),)}, 0.45),
    ],
)
def test_a_number_in_the_declared_notation_is_read(text, more, expected):
    typed = type_column(column("number", **more), [text])
    assert not typed.bad
    assert typed.series[0] == expected


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("NA", {}),
        ("$5", {}),
        ("€5", {"currency": "USD"}),
        ("1,200", {}),
        ("1,20", {"thousands": ","}),
        ("12,00,000", {"thousands": ","}),
        ("1.234,56", {}),
        ("1.2M", {}),
        ("nan", {}),
        ("inf", {}),
        ("--5", {}),
        ("12 34", {}),
        ("٣", {}),
        ("0x10", {}),
        ("1e400", {}),
        (",", {"thousands": ","}),
        ("-", {}),
    ],
)
def test_what_is_not_in_the_declared_notation_is_broken_not_guessed(text, more):
    typed = type_column(column("number", **more), ["7", text])
    assert list(typed.bad) == [1]
    assert typed.series[0] == 7
    assert np.isnan(typed.series[1])


def test_an_integer_is_whole_and_exact():
    typed = type_column(column("integer"), ["9007199254740993", "50.0", "1.5", "99999999999999999999", ""])
    assert typed.series.dtype == "Int64"
    assert typed.series[0] == 9007199254740993
    assert typed.series[1] == 50
    assert typed.bad == {2: "integer", 3: "range"}
    assert typed.series.isna().tolist() == [False, False, True, True, True]


def test_words_for_missing_belong_to_the_column_that_declares_them():
    assert type_column(column("category"), ["NA", "None", "", None]).series.tolist()[:2] == ["NA", "None"]
    typed = type_column(column("category", missing=("NA", "-")), ["NA", " - ", "x", "na"])
    assert typed.series.isna().tolist() == [True, True, False, False]


def test_a_number_declared_missing_is_missing_in_every_spelling():
    typed = type_column(column("number", missing=("0", "999")), ["0", "0.0", "999.00", "9990", "1"])
    assert typed.series.isna().tolist() == [True, True, True, False, False]


def test_identifiers_keep_every_character():
    texts = ["007", " 7", "7.0", "1E5", "=1+1"]
    assert type_column(column("text", role="id"), texts).series.tolist() == texts


def test_booleans_are_words_that_say_so():
    typed = type_column(column("boolean"), ["TRUE", "no", "1", "0", "Y", "f", "", "maybe"])
    assert typed.series.tolist()[:6] == [True, False, True, False, True, False]
    assert typed.series.isna().tolist()[6:] == [True, True]
    assert typed.bad == {7: "boolean"}
    inverted = type_column(column("boolean", true=("No",), false=("Yes",)), ["No", "Yes", "1"])
    assert inverted.series.tolist()[:2] == [True, False]
    assert inverted.bad == {2: "boolean"}


def test_levels_are_a_closed_list_in_order():
    typed = type_column(column("ordinal", levels=("low", "high")), ["high", " low ", "huge", ""])
    assert typed.series.cat.ordered
    assert list(typed.series.cat.categories) == ["low", "high"]
    assert typed.bad == {2: "level"}
    assert typed.series.tolist()[:2] == ["high", "low"]


def test_labels_are_what_the_contract_says_and_the_rest_is_counted():
    verdict = column(
        "category", role="verdict", values=(("accepted", ("1",)), ("rejected", ("0",)), ("pending", ()))
    )
    typed = type_column(verdict, ["1", "0", "", "2", "2", None])
    assert typed.series.tolist() == ["accepted", "rejected", "pending", "pending", "pending", "pending"]
    assert typed.unlisted == {"2": 2}
    strict = column("category", role="verdict", values=verdict.values, otherwise="quarantine")
    assert type_column(strict, ["1", "2"]).bad == {1: "value"}


def test_a_star_means_any_value():
    outcome = column("category", role="outcome", values=(("won", ("*",)), ("lost", ("no",)), ("open", ())))
    assert type_column(outcome, ["2021-01-01", "no", ""]).series.tolist() == ["won", "lost", "open"]


def test_dates_with_a_zone_are_utc_and_others_are_naive():
    zoned = type_column(column("date", format=("%Y-%m-%d %H:%M %z",)), ["2021-01-05 10:00 +0200", ""])
    assert str(zoned.series.dt.tz) == "UTC"
    assert zoned.series[0] == pd.Timestamp("2021-01-05 08:00", tz="UTC")
    plain = type_column(column("date", format=("%Y-%m-%d",)), ["2021-01-05", "5.1.2021"])
    assert plain.series.dt.tz is None
    assert plain.bad == {1: "date_format"}


@pytest.mark.parametrize("kind", ["number", "integer", "boolean", "date", "category", "text", "sequence"])
def test_no_rows_give_an_empty_column_of_the_type(kind):
    more = {"format": ("%Y-%m-%d",)} if kind == "date" else {}
    empty = type_column(column(kind, **more), [])
    assert len(empty.series) == 0
    full = type_column(column(kind, **more), ["2021-01-01" if kind == "date" else "1"])
    assert empty.series.dtype == full.series.dtype or kind == "category"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4))
def test_a_plain_number_is_the_nearest_float(value):
    text = format(value, "f")
    assert type_column(column("number"), [text]).series[0] == float(text)


@given(st.integers(min_value=-(10**17), max_value=10**17))
def test_grouping_and_currency_do_not_change_a_number(value):
    text = f"${value:,}" if value >= 0 else f"-${-value:,}"
    typed = type_column(column("integer", thousands=",", currency="USD"), [text])
    assert typed.series[0] == value


def test_local_times_of_a_declared_zone_are_utc():
    local = column("date", format=("%Y-%m-%d %H:%M",), zone="America/New_York")
    typed = type_column(local, ["2021-01-05 19:00", "2021-03-14 02:30", ""])
    assert typed.series[0] == pd.Timestamp("2021-01-06", tz="UTC")
    assert typed.bad == {1: "date_zone"}


def test_an_identifier_that_a_spreadsheet_rounded_is_broken():
    ids = type_column(column("text", role="id"), ["1.23E+15", "1E5X", "0012"])
    assert ids.bad == {0: "id_rounded"}
    assert not type_column(column("category"), ["1.23E+15"]).bad


NUMBER_TEXTS = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.integers().map(str),
    st.sampled_from(
        ["", " 5", "-1", "-1.0", "-", "1,000", "0.10", "1.5e3", "٣", "five", "1_0", "-0.0", "\ud800", None]
    ),
    st.sampled_from(["1,5", "5.", ".5", "1-2", "--1", "1.2.3", "9" * 40, "0" * 400 + "1", "1e400", "\x00"]),
    st.text(alphabet="0123456789.,- ", max_size=6),
    st.text(max_size=4),
)
WORDS = st.one_of(
    st.text(alphabet="aN/+eE01. \u00a0\x1f\t-", max_size=6),
    st.sampled_from(["1.23E+15", "1.23e+15", "N/A", " N/A ", "Acme Corp", "", None]),
)
DATE_TEXTS = st.one_of(
    st.datetimes().map(lambda day: day.strftime("%Y-%m-%d")),
    st.datetimes().map(lambda day: day.strftime("%Y-%m-%dT%H:%M:%S.%f")),
    st.datetimes().map(lambda day: day.strftime("%d/%m/%Y %I:%M %p")),
    st.from_regex(r"\A[0-3]?[0-9]/[01]?[0-9]/20[0-9]{2}( [012][0-9]:[0-6][0-9])?\Z"),
    st.from_regex(
        r"\A(0000|0001|2024|9999)-[01][0-9]-[0-3][0-9]( ?|T)[0-2][0-9]:[0-9]{2}([+-][01][0-9]:?[0-9]{2}|Z)\Z"
    ),
    st.from_regex(r"\A20[0-9]{2}-?[0-3][0-9]{2}\Z"),
    st.sampled_from(
        ["", None, " 2024-02-29", "29 Feb 2024", "30 feb 2024", "1 May 69", "2024-02-30", "٢٠٢٤-٠١-٠١"]
    ),
)
FORMATS = [
    ("%Y-%m-%d",),
    ("%Y%m%d",),
    ("%d/%m/%Y", "%m/%d/%Y"),
    ("%d/%m/%Y %H:%M", "%d/%m/%Y", "%d/%m/%Y %I:%M %p"),
    ("%Y-%m-%dT%H:%M%z", "%Y-%m-%d %H:%M%z"),
    ("%Y-%m-%dT%H:%M:%S.%f", "%Y-%j", "%Y%j"),
    ("%d %b %Y", "%d %B %y"),
    ("20%y-%m-%d",),
]


def assert_read_alike(declared, cells):
    """Hold what is read at once against each distinct text read by itself."""
    texts = cells if isinstance(cells, Texts) else Texts(cells)
    at_once, one_by_one = type_column(declared, texts), _read_distinct(declared, Texts(texts.objects()))
    pd.testing.assert_series_equal(at_once.series, one_by_one.series, check_exact=True)
    assert at_once.bad == one_by_one.bad


@settings(deadline=None)
@given(
    st.lists(NUMBER_TEXTS, max_size=30),
    st.sampled_from(["number", "integer"]),
    st.sampled_from(
        [
            {},
            {"missing": ("-1", "0.1", "x")},
            {"thousands": ","},
            {"decimal": ","},
            {"decimal": ",", "thousands": "."},
            {"currency": "EUR", "suffixes": (("k", Decimal(1000)), ("5", Decimal(2)))},
        ]
    ),
)
def test_numbers_read_at_once_are_those_read_one_by_one(texts, kind, more):
    assert_read_alike(column(kind, **more), texts)


@settings(deadline=None)
@given(st.lists(DATE_TEXTS, max_size=30), st.sampled_from(FORMATS), st.sampled_from([(), ("2024-01-01",)]))
def test_dates_read_at_once_are_those_read_one_by_one(texts, formats, missing):
    assert_read_alike(column("date", format=formats, missing=missing), texts)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=20), st.sampled_from(["attribute", "id"]))
def test_texts_kept_at_once_are_those_read_one_by_one(texts, role):
    assert_read_alike(column("text", role=role, missing=("N/A",)), texts)


FLOATS = st.lists(st.one_of(st.none(), st.floats(), st.integers(-3, 3).map(float)), max_size=20)


@settings(deadline=None)
@given(
    FLOATS, st.sampled_from(["number", "integer", "category", "text"]), st.sampled_from([(), ("2", "-1.0")])
)
def test_typed_numbers_are_what_their_texts_say(values, kind, missing):
    whole = [None if value is None or not abs(value) < 2**62 else int(value) for value in values]
    flags = [None if value is None else value > 0 for value in values]
    for typed in (pa.array(values, pa.float64()), pa.array(whole, pa.int64()), pa.array(flags, pa.bool_())):
        assert_read_alike(column(kind, missing=missing), Texts(typed))
    assert_read_alike(column("boolean", true=("true", "1")), Texts(pa.array(flags, pa.bool_())))


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.datetimes()), max_size=10),
    st.sampled_from([None, "UTC"]),
    st.sampled_from(["%Y-%m-%d", "%Y-%d-%mT%H:%M:%S.%f"]),
    st.sampled_from([None, "Europe/Berlin"]),
)
def test_typed_dates_are_what_their_texts_say(values, tz, declared, zone):
    texts = Texts(pa.array(values, pa.timestamp("us")).cast(pa.timestamp("us", tz=tz)))
    alike = (declared,) if tz is None else ()
    assert_read_alike(column("date", format=(*texts.formats, *alike), zone=zone), texts)


def test_a_column_of_numbers_is_read_without_looking_at_single_texts(monkeypatch):
    monkeypatch.setattr("leadml.leads._cells._reader", lambda _: pytest.fail("a cell was read by itself"))
    plain = [("number", ["1", "-2.50", "", None]), ("integer", ["12", "-3"]), ("text", ["00Q5", "", "A b"])]
    for kind, texts in plain:
        assert not type_column(column(kind), texts).bad
    typed = type_column(column("number"), Texts(pa.array([0.1, None, float("nan")])))
    assert typed.series.isna().tolist() == [False, True, True]
    dates = column("date", format=("%Y-%m-%d", "%d.%m.%Y %H:%M"))
    assert type_column(dates, ["2024-02-29", "29.02.2024 12:00"]).series.notna().all()


def test_a_part_of_an_array_is_held_from_its_own_beginning():
    import pyarrow as pa

    texts = [str(number) for number in range(40)]
    for kind in (pa.string(), pa.large_string()):
        part = Texts(pa.array(texts, kind).slice(30))
        assert part.arrow.offset == 0
        assert part.objects().tolist() == texts[30:]
    encoded = Texts(pa.array(texts).dictionary_encode().slice(30))
    assert encoded.objects().tolist() == texts[30:]
