"""Twenty ways in which an export changes overnight: each is refused or flagged, none gives a silent number."""

import numpy as np
import pandas as pd
import pytest

from leadml.errors import LeadsError, QuarantineError
from leadml.scoring import score_leads
from leadml.scoring._drift import DriftWatch

LOUD = (LeadsError, QuarantineError)


@pytest.fixture(scope="module")
def sound(world):
    frame = pd.read_csv(world.folder / "leads.csv", dtype=str, keep_default_na=False, on_bad_lines="skip")
    frame = frame[frame["Lead Id"].str.fullmatch(r"L\d+")].drop_duplicates("Lead Id")
    numbers = frame["Employees"].str.replace(",", "").str.fullmatch(r"\d+|-|")
    dates = frame["Created"].str.fullmatch(r"\d{4}-\d\d-\d\d") & frame["Handed Over"].str.fullmatch(
        r"(\d{4}-\d\d-\d\d)?"
    )
    return frame[numbers & dates].reset_index(drop=True)


def score(world, frame, tmp_path, **options):
    frame.to_csv(tmp_path / "new.csv", index=False)
    return score_leads(
        world.contract,
        definition=world.definition,
        bundle=world.bundle,
        leads=tmp_path / "new.csv",
        output=tmp_path / "s.csv",
        **options,
    )


def number(frame, column):
    return pd.to_numeric(frame[column].str.replace(",", ""), errors="coerce")


def times(column, factor):
    def change(frame):
        values = number(frame, column)
        scaled = (values * factor).round(3)
        texts = scaled.map(lambda value: "" if np.isnan(value) else f"{value:.10g}")
        return frame.assign(**{column: texts})

    return change


def swap(first, second):
    return lambda frame: frame.assign(**{first: frame[second], second: frame[first]})


def replace(column, values):
    return lambda frame: frame.assign(**{column: frame[column].replace(values)})


CHANGES = {
    "a column is missing": lambda frame: frame.drop(columns="Employees"),
    "a column is renamed": lambda frame: frame.rename(columns={"Employees": "No. of Employees"}),
    "a column is renamed in case only": lambda frame: frame.rename(columns={"Budget": "budget"}),
    "a column stands there twice": lambda frame: pd.concat([frame, frame[["Employees"]]], axis=1),
    "the id is missing": lambda frame: frame.drop(columns="Lead Id"),
    "numbers become words": lambda frame: frame.assign(Employees="about " + frame["Employees"]),
    "numbers become bands": lambda frame: frame.assign(Employees="10-50"),
    "dates turn round": lambda frame: frame.assign(
        Created=pd.to_datetime(frame["Created"]).dt.strftime("%d.%m.%Y")
    ),
    "yes and no become 1 and 0": replace("Demo Asked", {"Yes": "1", "No": "0"}),
    "decimals change their comma": lambda frame: frame.assign(
        **{
            "Months To Decision": number(frame, "Months To Decision")
            .map("{:.1f}".format)
            .str.replace(".", ",")
        }
    ),
    "a unit times 1000": times("Employees", 1000),
    "a unit by 1000": times("Months To Decision", 0.001),
    "months become days": times("Months To Decision", 30),
    "counts become shares": times("Page Views", 1000),
    "a column is empty": lambda frame: frame.assign(Employees=""),
    "a category is empty": lambda frame: frame.assign(Budget=""),
    "levels get new names": replace(
        "Industry", {"software": "Software & IT", "manufacturing": "Manufacturing", "public": "Public Sector"}
    ),
    "an open category gets new names": lambda frame: frame.assign(Source="UTM " + frame["Source"]),
    "two numbers are swapped": swap("Employees", "Months To Decision"),
    "two counts are swapped": swap("Employees", "Page Views"),
    "two categories are swapped": swap("Budget", "Title Level"),
    "a number and a category are swapped": swap("Employees", "Budget"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_export_is_never_scored_silently(world, sound, tmp_path, change):
    with pytest.raises(LOUD):
        score(world, change(sound), tmp_path)
    assert not (tmp_path / "s.csv").exists()


def test_the_same_leads_and_later_leads_are_scored_without_a_word(world, sound, tmp_path):
    manifest = score(world, sound, tmp_path)
    assert manifest.scored == len(sound)
    assert manifest.notices == ()
    assert score(world, sound[::-1], tmp_path).scored == len(sound)
    assert score(world, sound.tail(300), tmp_path).scored == 300


def test_reordered_columns_are_not_drift(world, sound, tmp_path):
    assert score(world, sound[sound.columns[::-1]], tmp_path).notices == ()


def test_one_lead_with_a_value_beyond_training_says_so_in_its_reasons(world, sound, tmp_path):
    frame = sound[:3].copy()
    frame.loc[0, "Employees"] = "5000000"
    frame.loc[1, "Source"] = "never seen"
    manifest = score(world, frame, tmp_path)
    reasons = pd.read_csv(tmp_path / "s.csv")["reasons"]
    assert manifest.scored == 3
    assert reasons[0].endswith("; check employees: beyond all values at training")
    assert "check lead_source: a level that is rare or was not there at training" in reasons[1]
    assert "check" not in reasons[2]


def test_an_attribute_that_was_always_filled_is_missed_in_every_row(world, sound, tmp_path):
    profile = next(profile for profile in world.bundle.profile if profile.name == "page_views_30d")
    assert profile.missing <= 0.001
    score(world, sound[:2].assign(**{"Page Views": ""}), tmp_path)
    reasons = pd.read_csv(tmp_path / "s.csv")["reasons"]
    assert reasons.str.contains("check page_views_30d: empty, at training it was filled").all()


def test_drift_may_be_scored_on_request_and_is_noted(world, sound, tmp_path):
    manifest = score(world, CHANGES["a unit times 1000"](sound), tmp_path, drift="flag")
    assert manifest.scored == len(sound)
    assert any(notice.startswith("employees: ") for notice in manifest.notices)
    reasons = pd.read_csv(tmp_path / "s.csv")["reasons"]
    assert reasons.str.contains("check employees: beyond").mean() > 0.2


def test_a_moderate_change_is_a_note_and_no_refusal(world, sound, tmp_path):
    frame = sound.copy()
    some = frame.index < 0.3 * len(frame)
    frame.loc[some, "Employees"] = ""
    manifest = score(world, frame, tmp_path)
    assert any("have no value" in notice for notice in manifest.notices)


def test_a_bundle_without_a_profile_is_noticed(world, sound, tmp_path):
    import dataclasses

    bundle = dataclasses.replace(world.bundle, profile=())
    manifest = score_leads(
        world.contract, definition=world.definition, bundle=bundle, output=tmp_path / "s.csv"
    )
    assert any("no profile" in notice for notice in manifest.notices)


def test_an_attribute_that_is_not_in_the_leads_is_left_to_the_reader(world):
    watch = DriftWatch(world.bundle.profile)
    assert watch.flag(pd.DataFrame({"other": [1]})).tolist() == [""]
    assert watch.findings() == ([], [])
