import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadml.compare import compare_ratings, read_ratings, sample_ratings, write_rating_sheets
from leadml.definitions import assign_classes, parse_definition
from leadml.errors import DefinitionError, InputMissingError, LeadsError, OutputError
from leadml.leads import DEMO_DEFINITION, generate_leads

TABLE, _ = generate_leads(1_500, random_state=3)
DEFINITION = parse_definition(DEMO_DEFINITION, source="demo.yaml")


def fill(sample, answer, *, folder, sides=None):
    """Write the sheets and fill them: answer(side, lead_id, question) -> text."""
    key = folder / "apart" / "key.json"
    write_rating_sheets(sample, folder / "sheets", key=key)
    ids = dict(zip(sample.key["sheet_id"], sample.key["lead_id"], strict=True))
    paths = []
    for side in sides or sample.sides:
        path = folder / "sheets" / f"{side}.csv"
        rows = read_csv(path)
        for row in rows[1:]:
            for place, title in enumerate(rows[0]):
                question = title.split(":")[0]
                if ":" in title:
                    row[place] = answer(side, ids[row[0]], question)
        write_csv(path, rows)
        paths.append(path)
    return paths, key


def read_csv(path, **dialect):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream, **dialect))


def write_csv(path, rows, *, encoding="utf-8", **dialect):
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream, **dialect).writerows(rows)


def written_classes():
    names = assign_classes(DEFINITION, TABLE.frame).astype(str)
    return dict(zip(TABLE.role("id"), names, strict=True))


CLASSES = written_classes()


# ---- drawing -------------------------------------------------------------------------------------


def test_a_sheet_shows_attributes_and_nothing_else():
    sample = sample_ratings(DEFINITION, TABLE, n=60)
    for side in ("marketing", "sales"):
        titles = [title.split(" ")[0] for title in sample.sheets[side].columns]
        assert titles == ["sheet_id", *(attribute.name for attribute in DEFINITION.attributes)]
        assert not sample.sheets[side]["sheet_id"].isin(TABLE.role("id")).any()


def test_no_lead_id_rep_verdict_or_reason_stands_in_a_sheet(tmp_path):
    table = replace(TABLE, frame=TABLE.frame.assign(lead_id=[f"SECRET-{i}" for i in range(len(TABLE))]))
    table.frame["rep"] = "CANARY-REP"
    table.frame["reason"] = "CANARY-REASON"
    written = write_rating_sheets(
        sample_ratings(DEFINITION, table), tmp_path / "s", key=tmp_path / "key.json"
    )
    for path in written:
        if path.suffix == ".csv":
            text = path.read_text(encoding="utf-8-sig")
        else:
            openpyxl = pytest.importorskip("openpyxl")
            book = openpyxl.load_workbook(path)
            text = "\n".join(str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row)
        for secret in ("SECRET", "CANARY", "Accepted", "accepted", "rejected", "won", "lost"):
            assert secret not in text
    assert "SECRET" in (tmp_path / "key.json").read_text()


def test_every_side_judges_the_same_leads_in_its_own_order():
    sample = sample_ratings(DEFINITION, TABLE, n=90, sides=("marketing", "rep-a", "rep-b"))
    drawn = [sample.key[sample.key["side"] == side]["lead_id"].tolist() for side in sample.sides]
    assert drawn[0] != drawn[1] != drawn[2]
    assert set(drawn[0]) == set(drawn[1]) == set(drawn[2])
    assert sample.key["sheet_id"].is_unique


def test_classes_are_drawn_equally_and_weights_count_the_leads():
    sample = sample_ratings(DEFINITION, TABLE, n=90)
    one = sample.key[sample.key["side"] == "sales"]
    assert one.groupby("stratum").size().tolist() == [30, 30, 30]
    assert one["weight"].sum() == pytest.approx(len(TABLE))


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 300), size=st.integers(1, 250), seed=st.integers(0, 5))
def test_as_many_leads_are_drawn_as_asked_or_as_there_are(n, size, seed):
    table = replace(TABLE, frame=TABLE.frame.head(size))
    sample = sample_ratings(DEFINITION, table, n=n, random_state=seed)
    again = sample_ratings(DEFINITION, table, n=n, random_state=seed)
    drawn = sample.key[sample.key["side"] == "sales"]["lead_id"]
    assert drawn.is_unique
    assert len(drawn) == min(n, size)
    assert sample.key.equals(again.key)


def test_prose_classes_give_one_stratum():
    prose = parse_definition(DEMO_DEFINITION.replace("purchase_timeframe <= 6 ", "decides soon "))
    sample = sample_ratings(prose, TABLE, n=30, criteria="prose")
    assert sample.criteria == (("hot.decides_soon", "decides soon"),)
    assert "hot" not in set(sample.key["stratum"])
    assert "class and 1 criteria" in repr(sample)


def test_attributes_that_may_not_be_shown_are_named():
    text = DEMO_DEFINITION.replace(
        "industry: {type: category, levels: [software, manufacturing, public],", "industry: {type: category,"
    )
    text = text.replace("title_level: {type: ordinal, levels: [staff, manager, director, vp, c_level], dimension: authority, known_at: capture}",
                        "title_level: {type: ordinal, levels: [staff, manager, director, vp, c_level], dimension: authority, known_at: after}\n  revenue: {type: number}")  # fmt: skip
    frame = TABLE.frame.copy()
    frame["industry"] = pd.Categorical([f"Firm {i}" for i in range(len(frame))])
    sample = sample_ratings(parse_definition(text), replace(TABLE, frame=frame), n=30)
    said = " ".join(sample.notes)
    for words in ("industry has too many", "title_level is known only after", "revenue is not an attribute"):
        assert words in said
    assert "Firm" not in str(sample.sheets)


def test_leads_without_any_attribute_are_not_drawn():
    frame = TABLE.frame.head(20).copy()
    names = [attribute.name for attribute in DEFINITION.attributes]
    for name in names:
        frame.loc[:14, name] = None if frame[name].dtype != float else np.nan
    sample = sample_ratings(DEFINITION, replace(TABLE, frame=frame), n=50)
    assert sample.key["lead_id"].nunique() == 5
    assert "15 leads without any attribute" in " ".join(sample.notes)
    assert "Only 5 leads" in repr(sample)


def test_a_sample_that_cannot_be_drawn_is_refused():
    with pytest.raises(LeadsError, match="at least one lead"):
        sample_ratings(DEFINITION, replace(TABLE, frame=TABLE.frame.head(0)))
    with pytest.raises(ValueError, match="n: expected at least 1"):
        sample_ratings(DEFINITION, TABLE, n=0)
    for sides in ("sales", ("sales",), ("sales", "Sales"), ()):
        with pytest.raises(ValueError, match="two different names"):
            sample_ratings(DEFINITION, TABLE, sides=sides)
    with pytest.raises(ValueError, match=r"names of letters.*\.\./x"):
        sample_ratings(DEFINITION, TABLE, sides=("../x", "sales"))
    with pytest.raises(ValueError, match="criteria: expected none"):
        sample_ratings(DEFINITION, TABLE, criteria="some")
    with pytest.raises(
        DefinitionError, match=r"no criterion at 'hot.employes'. Did you mean 'hot.employees'"
    ):
        sample_ratings(DEFINITION, TABLE, criteria=("hot.employes",))
    nothing = parse_definition(
        "name: x\nversion: 1\nattributes:\n  size: {type: number}\nclasses:\n"
        "  - {name: hot, meaning: m, all_of: [big]}\n  - {name: cold, meaning: m, otherwise: true}\nhandoff: [hot]\n"
        "owners: {marketing: a, sales: b}\nmeaning: m\nreview_by: 2099-01-01\n"
    )
    with pytest.raises(LeadsError, match="none of its attributes"):
        sample_ratings(nothing, TABLE)


# ---- sheets --------------------------------------------------------------------------------------


def test_no_cell_becomes_a_formula(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    text = DEMO_DEFINITION.replace(
        "[software, manufacturing, public]", "['=1+1', '@cmd', '-x', '+y', \"=HYPERLINK(1)\"]"
    )
    text = text.replace("meaning: Everybody else.", "meaning: '=2+2'")
    frame = TABLE.frame.head(60).copy()
    levels = ["=1+1", "@cmd", "-x", "+y", "=HYPERLINK(1)"]
    frame["industry"] = pd.Categorical([levels[i % 5] for i in range(60)])
    sample = sample_ratings(parse_definition(text), replace(TABLE, frame=frame), n=40, criteria="all")
    write_rating_sheets(sample, tmp_path / "s", key=tmp_path / "key.json")
    rows = read_csv(tmp_path / "s" / "sales.csv")
    assert not [cell for row in rows for cell in row if cell[:1] in {"=", "@", "+", "-"}]
    assert any(cell == "'=1+1" for row in rows for cell in row)
    book = openpyxl.load_workbook(tmp_path / "s" / "sales.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert "=1+1" in {cell.value for cell in cells}


def test_the_workbook_offers_the_words(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    sample = sample_ratings(DEFINITION, TABLE, n=20, criteria=("hot.employees",))
    write_rating_sheets(sample, tmp_path / "s", key=tmp_path / "key.json")
    book = openpyxl.load_workbook(tmp_path / "s" / "marketing.xlsx")
    rules = book["leads"].data_validations.dataValidation
    assert [rule.type for rule in rules] == ["list", "list"]
    assert [str(rule.sqref) for rule in rules] == ["I2:I21", "J2:J21"]
    assert [book["words"].cell(row, 1).value for row in (2, 3, 4)] == ["hot", "medium", "cold"]
    assert [book["words"].cell(row, 2).value for row in (2, 3, 4)] == ["yes", "no", "cannot say"]
    assert "Everybody else." in str([cell.value for row in book["words"].iter_rows() for cell in row])


def test_the_key_must_not_lie_with_the_sheets(tmp_path):
    sample = sample_ratings(DEFINITION, TABLE, n=5)
    for key in (tmp_path / "s" / "key.json", tmp_path / "s" / "deep" / "key.json"):
        with pytest.raises(OutputError, match="must not lie with the sheets"):
            write_rating_sheets(sample, tmp_path / "s", key=key)
    assert not (tmp_path / "s").exists()


def test_without_openpyxl_there_is_a_csv_only(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    written = write_rating_sheets(
        sample_ratings(DEFINITION, TABLE, n=5), tmp_path / "s", key=tmp_path / "key.json"
    )
    assert [path.name for path in written] == ["marketing.csv", "sales.csv"]


# ---- reading back --------------------------------------------------------------------------------


def test_what_was_filled_in_is_read_back(tmp_path):
    sample = sample_ratings(DEFINITION, TABLE, n=30, criteria=("hot.employees",))
    words = {"class": "  HOT ", "hot.employees": "Cannot  say"}
    paths, key = fill(
        sample, lambda side, lead, question: words[question] if side == "sales" else "", folder=tmp_path
    )
    ratings = read_ratings(paths, key=key)
    assert ratings.matrix()["sales"].tolist() == ["hot"] * 30
    assert ratings.matrix("hot.employees")["sales"].tolist() == ["cannot say"] * 30
    assert ratings.matrix()["marketing"].tolist() == [None] * 30
    assert len(ratings.to_frame()) == 60
    assert "sales: 30 classed" in repr(ratings)
    assert "<table" in ratings._repr_html_()


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(";", "cp1252"), ("\t", "utf-8-sig"), (",", "utf-8"), ("\t", "utf-16")]
)
def test_sheets_come_back_as_spreadsheets_save_them(tmp_path, delimiter, encoding):
    sample = sample_ratings(DEFINITION, TABLE, n=10)
    paths, key = fill(sample, lambda *_: "cold", folder=tmp_path)
    for path in paths:
        rows = [[*row[:-1], "è" if row[-1] == "" else row[-1]] for row in read_csv(path)]
        write_csv(path, [*rows, [], [""] * 4], delimiter=delimiter, encoding=encoding)
    assert (read_ratings(paths, key=key).answers["answer"] == "cold").all()


@pytest.mark.parametrize("above", [[["sep=;"]], [["Judged by Anna, 3 March"], []]])
def test_rows_above_the_titles_and_another_case_of_them_do_no_harm(tmp_path, above):
    sample = sample_ratings(DEFINITION, TABLE, n=10, criteria="all")
    paths, key = fill(
        sample, lambda _, lead, question: "Hot" if question == "class" else "NO", folder=tmp_path
    )
    asked = read_ratings(paths, key=key).answers
    for path in paths:
        titles, *rows = read_csv(path)
        write_csv(path, [*above, [f" {title.upper()}" for title in titles], *rows], delimiter=";")
    pd.testing.assert_frame_equal(read_ratings(paths, key=key).answers, asked)
    titles, first, *rest = read_csv(paths[0], delimiter=";")[len(above) :]
    place = next(place for place, title in enumerate(titles) if "CLASS:" in title)
    write_csv(paths[0], [*above, titles, [*first[:place], "warm", *first[place + 1 :]], *rest])
    with pytest.raises(LeadsError, match=f"row {len(above) + 2}, column 'class': expected one of hot"):
        read_ratings(paths, key=key)


def test_a_filled_workbook_is_read_beside_the_empty_csv(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    sample = sample_ratings(DEFINITION, TABLE, n=10)
    written = write_rating_sheets(sample, tmp_path / "s", key=tmp_path / "key.json")
    path = tmp_path / "s" / "sales.xlsx"
    book = openpyxl.load_workbook(path)
    for row in range(2, 12):
        book["leads"].cell(row, 9).value = "medium"
    book.save(path)
    ratings = read_ratings(written, key=tmp_path / "key.json")
    assert ratings.matrix()["sales"].tolist() == ["medium"] * 10


def test_every_mistake_is_named_with_row_and_column(tmp_path):
    sample = sample_ratings(DEFINITION, TABLE, n=10, criteria=("hot.employees",))
    paths, key = fill(
        sample, lambda side, lead, question: "hot" if question == "class" else "yes", folder=tmp_path
    )
    rows = read_csv(paths[0])
    rows[3][8] = "hto"
    rows[4][9] = "maybe"
    rows[5][0] = rows[6][0]
    rows[7][0] = rows[7][0].replace("marketing", "marketting")
    rows[8] = rows[8][:5]
    write_csv(paths[0], rows)
    rows = read_csv(paths[1])
    rows[0][9] = "employees?"
    write_csv(paths[1], rows)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "broken.xlsx").write_bytes(b"PK not a workbook")
    with pytest.raises(LeadsError) as caught:
        read_ratings([*paths, tmp_path / "other.csv", tmp_path / "broken.xlsx"], key=key)
    found = "\n".join(caught.value.findings)
    assert "row 4, column 'class': expected one of hot, medium, cold, got 'hto'. Did you mean 'hot'?" in found
    assert "row 5, column 'hot.employees': expected one of yes, no, cannot say, got 'maybe'." in found
    assert "row 7, column 'sheet_id'" in found
    assert "stands in row 6 already" in found
    assert "row 8, column 'sheet_id'" in found
    assert "Did you mean 'marketing-" in found
    assert "begins with 'hot.employees:', got none" in found
    assert found.count("expected a .csv or .xlsx sheet") == 2
    assert len(caught.value.findings) == 7


def test_two_files_of_a_side_must_not_contradict(tmp_path):
    sample = sample_ratings(DEFINITION, TABLE, n=5)
    paths, key = fill(sample, lambda *_: "hot", folder=tmp_path)
    rows = read_csv(paths[0])
    rows[1][8] = "cold"
    other = tmp_path / "again.csv"
    write_csv(other, rows)
    with pytest.raises(LeadsError, match="'cold', but 'hot' in"):
        read_ratings([*paths, other], key=key)


@pytest.mark.parametrize("text", ["not json", "[]", '{"definition": "x"}', '{"definition": 1}'])
def test_another_file_as_key_is_refused(tmp_path, text):
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(LeadsError, match="not the key of rating sheets"):
        read_ratings([], key=tmp_path / "key.json")
    with pytest.raises(InputMissingError, match="key of rating sheets"):
        read_ratings([], key=tmp_path / "no.json")


# ---- comparing -----------------------------------------------------------------------------------


def compare(tmp_path, answer, *, n=120, criteria="none", sides=("marketing", "sales"), definition=DEFINITION):
    sample = sample_ratings(definition, TABLE, n=n, criteria=criteria, sides=sides)
    paths, key = fill(sample, answer, folder=tmp_path)
    return compare_ratings(read_ratings(paths, key=key), definition, TABLE)


def test_sides_that_follow_the_definition_agree_fully(tmp_path):
    found = compare(tmp_path, lambda side, lead, question: CLASSES[lead])
    frame = found.to_frame()
    assert (frame[["raw", "kappa", "ac1", "alpha"]] == 1).all(axis=None)
    assert (frame["kappa_low"] < 1).all()
    assert (found.by_side["kappa_written"] == 1).all()
    assert found.splits.empty
    assert found.strictness.odds_ratio == 1
    assert found.strictness.p_value == 1
    assert found.notes == ()
    assert "strictest" not in repr(found)


def test_the_stricter_side_is_found_and_measured(tmp_path):
    rng = np.random.default_rng(0)
    down = {"hot": "medium", "medium": "medium", "cold": "cold"}

    def answer(side, lead, question):
        strict = side == "sales" and rng.random() < 0.5
        return down[CLASSES[lead]] if strict else "hot" if rng.random() < 0.02 else CLASSES[lead]

    found = compare(tmp_path, answer)
    assert found.strictness.strictest == "sales"
    assert found.strictness.ci_low > 1
    assert found.strictness.p_value < 0.01
    rates = found.by_side.set_index("side")["rate"]
    assert rates["sales"] < rates["marketing"]
    effects = found.by_side.set_index("side")["effect"]
    assert np.exp(effects["marketing"] - effects["sales"]) == pytest.approx(found.strictness.odds_ratio)
    # From the leads on which they differ, half a lead added to either side.
    hot = found.splits["answers"]
    lenient = hot.str.contains("marketing: hot").sum()
    strict = hot.str.contains("sales: hot").sum()
    assert found.strictness.odds_ratio == pytest.approx((lenient + 0.5) / (strict + 0.5))
    assert "strictest: sales" in repr(found)


def test_three_who_judge_give_one_number(tmp_path):
    rng = np.random.default_rng(1)
    chance = {"marketing": 0.6, "rep-a": 0.6, "rep-b": 0.2}
    answer = lambda side, lead, question: "hot" if rng.random() < chance[side] else "cold"  # noqa: E731
    found = compare(tmp_path, answer, sides=tuple(chance))
    assert found.strictness.strictest == "rep-b"
    assert found.strictness.odds_ratio > 1.5
    assert found.strictness.p_value < 0.01
    assert np.isnan(found.strictness.ci_low)
    assert found.by_side["effect"].sum() == pytest.approx(0, abs=1e-9)
    same = compare(tmp_path / "same", lambda *_: "hot", sides=tuple(chance))
    assert same.strictness.odds_ratio == 1
    assert same.strictness.p_value == 1


def test_a_split_lead_is_told_in_attribute_words(tmp_path):
    found = compare(tmp_path, lambda side, lead, question: "hot" if side == "sales" else "cold", n=12)
    assert len(found.splits) == 12
    assert found.splits["answers"].iloc[0] == "marketing: cold, sales: hot"
    assert found.splits["lead"].str.contains("purchase_timeframe").all()
    assert found.splits["lead"].str.contains("months").any()
    assert (found.split_bands["rate"] == 1).all()
    assert found.split_bands.groupby("attribute")["n"].sum().tolist() == [12] * 7
    assert "only 12 leads were classed by two or more" in repr(found)


def test_a_side_that_did_not_answer_is_named(tmp_path):
    found = compare(tmp_path, lambda side, lead, question: "hot" if side == "sales" else "", n=12)
    assert "no answer of marketing came back: its sheet is missing or was left empty." in found.notes
    assert (
        "no lead was classed by two or more: nothing can be said of how far the sides agree." in found.notes
    )
    assert not any("sales" in note for note in found.notes)


def test_a_criterion_is_compared_without_the_cannot_says(tmp_path):
    rng = np.random.default_rng(2)

    def answer(side, lead, question):
        if question == "class":
            return CLASSES[lead]
        return "cannot say" if side == "sales" and rng.random() < 0.5 else str(rng.choice(["yes", "no"]))

    found = compare(tmp_path, answer, criteria=("hot.employees",))
    row = found.to_frame().set_index("question").loc["hot.employees"]
    assert row["written"] == "employees >= 10"
    assert row["n"] + row["n_cannot_say"] == 120
    assert abs(row["kappa"]) < 0.4
    assert "cannot say" not in " ".join(found.splits["answers"])
    assert set(found.splits["question"]) == {"hot.employees"}


def test_sheets_that_nobody_filled_have_nothing_to_compare(tmp_path):
    found = compare(tmp_path, lambda *_: "", n=10, criteria="all")
    assert found.n_leads == 0
    assert found.to_frame()["kappa"].isna().all()
    assert np.isnan(found.strictness.odds_ratio)
    assert found.strictness.strictest == ""
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["agreement"][0]["kappa"] is None
    assert len(repr(found).splitlines()) <= 10


def test_the_comparison_shows_itself(tmp_path):
    rng = np.random.default_rng(4)
    found = compare(tmp_path, lambda *_: str(rng.choice(["hot", "medium", "cold"])), criteria="none")
    assert len(repr(found).splitlines()) <= 10
    assert "<script" not in found._repr_html_()
    ax = found.plot()
    assert ax.get_yticklabels()[0].get_text() == "class"
    document = found.to_dict()
    json.dumps(document, allow_nan=False)
    assert document["sides"] == ["marketing", "sales"]
    sample = sample_ratings(DEFINITION, TABLE, n=20)
    assert "stratum" in sample._repr_html_()
    assert len(sample.to_frame()) == 40


def test_prose_that_nobody_meets_has_no_written_class(tmp_path):
    text = DEMO_DEFINITION.replace("    otherwise: true", "    all_of: [worth staying in touch with]")
    text = text.replace("purchase_timeframe <= 6 ", "decides soon ").replace("at_least: 2", "at_least: 3")
    text = text.replace("engagement >= 40]", "some interest]").replace("steps: [1, 2, 5, 10, 20]}", "unit: views}").replace("unit: views, dimension: interest, known_at: capture, unit: views", "unit: views, dimension: interest, known_at: capture")  # fmt: skip
    found = compare(tmp_path, lambda side, lead, question: "hot" if side == "sales" else "cold", n=15, definition=parse_definition(text))  # fmt: skip
    assert found.by_side["kappa_written"].isna().all()
    assert "puts none of these leads in a class" in " ".join(found.notes)
    bands = found.split_bands[found.split_bands["attribute"] == "page_views_30d"]["band"]
    assert bands.str.contains("below").any()


def test_another_definition_or_table_is_refused(tmp_path):
    sample = sample_ratings(DEFINITION, TABLE, n=10)
    paths, key = fill(sample, lambda *_: "hot", folder=tmp_path)
    ratings = read_ratings(paths, key=key)
    with pytest.raises(LeadsError, match="expected the classes that were judged"):
        compare_ratings(
            ratings, parse_definition(DEMO_DEFINITION.replace("name: medium", "name: warm")), TABLE
        )
    with pytest.raises(LeadsError, match="10 of 10 leads that were drawn are not in this table"):
        compare_ratings(ratings, DEFINITION, replace(TABLE, frame=TABLE.frame.head(0)))
    newer = parse_definition(DEMO_DEFINITION.replace("version: 2025.1", "version: 2025.2"))
    assert "another text" in " ".join(compare_ratings(ratings, newer, TABLE).notes)
