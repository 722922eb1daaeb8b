import csv
import io

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadml.errors import OutputError
from leadml.scoring import SCORE_COLUMNS
from leadml.scoring._write import csv_text, open_writer, safe_cell, safe_cells


def scores(**changes):
    values = {
        "lead_id": ["1", "2"],
        "lead_class": ["hot", "cold"],
        "probability_accepted": [0.123456789, float("nan")],
        "probability_won": [1.0, 1e-9],
        "reasons": ["meets a; meets b", "fails é <= 6"],
        "definition_version": ["1", "1"],
        "bundle": ["ff", "ff"],
    }
    return pd.DataFrame({**values, **changes})[list(SCORE_COLUMNS)]


def write(path, *batches):
    with open_writer(path, suffix=path.suffix, columns=SCORE_COLUMNS) as writer:
        for batch in batches:
            writer.write(batch)
    return path


def test_a_score_csv_has_fixed_digits_and_empty_cells_for_what_is_not_known(tmp_path):
    text = write(tmp_path / "a.csv", scores()).read_bytes().decode()
    assert text == (
        "lead_id,lead_class,probability_accepted,probability_won,reasons,definition_version,bundle\n"
        "1,hot,0.123457,1.000000,meets a; meets b,1,ff\n"
        "2,cold,,0.000000,fails é <= 6,1,ff\n"
    )


def test_a_score_parquet_has_numbers_rounded_to_the_same_digits(tmp_path):
    table = pq.read_table(write(tmp_path / "a.parquet", scores()))
    assert table.column_names == list(SCORE_COLUMNS)
    assert table["probability_accepted"].to_pylist() == [0.123457, None]
    assert [str(kind) for kind in table.schema.types[:3]] == ["string", "string", "double"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_batches_leave_no_trace_in_the_bytes(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("leadml.scoring._write.ROW_GROUP", 3)
    frame = pd.concat([scores()] * 5, ignore_index=True)
    whole = write(tmp_path / f"a{suffix}", frame).read_bytes()
    parts = write(tmp_path / f"b{suffix}", frame[:1], frame[1:6], frame[6:6], frame[6:]).read_bytes()
    assert whole == parts


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_no_leads_give_a_file_with_only_its_columns(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", scores()[:0])
    found = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert list(found.columns) == list(SCORE_COLUMNS)
    assert found.empty


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        " =1",
        "\r=1",
        "\ufeff=1",
        "＝1",
        "|x",
        "%x",
        "\n=1",
    ],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell):
    assert safe_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "L-1", "-5", "+1,5", "00Q5g00000", "a=b", "fails employees >= 50", "é"])
def test_harmless_cells_stay_as_they_are(cell):
    assert safe_cell(cell) == cell


@given(st.lists(st.text(max_size=20), max_size=5))
def test_every_cell_survives_the_csv_and_none_begins_like_a_formula(tmp_path_factory, texts):
    frame = pd.concat([scores()[:1]] * len(texts), ignore_index=True) if texts else scores()[:0]
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    frame = frame.assign(lead_id=texts) if texts else frame
    rows = list(csv.reader(io.StringIO(write(path, frame).read_bytes().decode(), newline="")))[1:]
    for text, row in zip(texts, rows, strict=True):
        assert row[0] in {text, f"'{text}"}
        assert row[0][:1] not in set("=@\t\r")


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"expected a score file ending in .csv or .parquet"):
        write(tmp_path / "a.xlsx", scores())


@given(
    st.lists(
        st.one_of(
            st.floats(0, 1),
            st.integers(0, 10**6).map(lambda k: (k + 0.5) / 10**6),
            st.sampled_from([float("nan"), 0.0, 1.0, 1e-300, 0.9999995, 0.99999949999, 1.5, -0.25, 1e300]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_probabilities_have_the_digits_that_python_gives_them(values):
    frame = pd.DataFrame({"probability_won": np.array(values, dtype=np.float64)})
    expected = "".join("\n" if value != value else f"{value:.6f}\n" for value in values)
    assert csv_text(frame, ["probability_won"]).decode() == expected


@given(
    st.lists(st.one_of(st.text(max_size=6), st.text('a=+,"\n\r\t 1', max_size=5)), min_size=1, max_size=20)
)
def test_texts_become_the_cells_that_each_would_be_by_itself(texts):
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    lines = csv_text(pd.DataFrame({"reasons": pd.Series(texts, dtype=object)}), ["reasons"]).decode()
    assert lines == "".join(f"{safe_cells([text])[0]}\n" for text in texts)
