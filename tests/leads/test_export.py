import pandas as pd
import pytest

from leadml.errors import OutputError
from leadml.leads import generate_leads, write_leads, write_quarantine


def test_leads_are_written_with_their_types(tmp_path):
    table, _ = generate_leads(300, random_state=0)
    write_leads(table, tmp_path / "leads.parquet")
    back = pd.read_parquet(tmp_path / "leads.parquet")
    pd.testing.assert_frame_equal(back, table.frame)
    write_leads(table, tmp_path / "leads.csv")
    text = pd.read_csv(tmp_path / "leads.csv", dtype=str, keep_default_na=False)
    assert list(text.columns) == list(table.frame.columns)
    assert len(text) == 300


def test_the_quarantine_is_listed(tmp_path):
    frame = pd.DataFrame(
        {"table": ["leads"], "line": [7], "column": ["employees"], "rule": ["type"], "shape": ["aa"]}
    )
    write_quarantine(frame, tmp_path / "q.csv")
    assert (tmp_path / "q.csv").read_text() == "table,line,column,rule,shape\nleads,7,employees,type,aa\n"


def test_another_ending_is_refused(tmp_path):
    table, _ = generate_leads(50, random_state=0)
    with pytest.raises(OutputError, match=r"written as .csv or .parquet, not as '.xlsx'"):
        write_leads(table, tmp_path / "leads.xlsx")
    assert list(tmp_path.iterdir()) == []
