"""The review as an executed notebook: figures, plots, no lead, no path of a machine."""

import json
import re
import sys

import pytest

from leadml.errors import InputMissingError, LeadsError, OutputError
from leadml.experiment import load_experiment, write_demo, write_review_notebook
from leadml.experiment._notebook import _parameterise


def notebook():
    from importlib.resources import files

    return json.loads((files("leadml.experiment") / "templates" / "review.ipynb").read_text("utf-8"))


def test_the_template_is_as_short_and_plain_as_the_other_notebooks():
    cells = notebook()["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) <= 15
    for cell in code:
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
        assert not re.search(r"^\s*(def|class) ", "".join(cell["source"]), re.MULTILINE)


def test_parameters_stand_after_their_defaults():
    cells = _parameterise(notebook(), {"EXPERIMENT": "it's here/e.yaml", "AS_OF": None})["cells"]
    tags = [cell["metadata"].get("tags") for cell in cells]
    place = tags.index(["injected-parameters"])
    assert tags[place - 1] == ["parameters"]
    found = {}
    exec(cells[place]["source"], found)
    assert (found["EXPERIMENT"], found["AS_OF"]) == ("it's here/e.yaml", None)


def test_without_jupyter_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbclient", None)
    with pytest.raises(InputMissingError, match=r"leadml\[notebook\]"):
        write_review_notebook("experiment.yaml", tmp_path / "review.ipynb")
    assert list(tmp_path.iterdir()) == []


def test_a_password_never_stands_in_the_notebook(tmp_path):
    with pytest.raises(LeadsError, match="environment variable") as caught:
        write_review_notebook(
            "e.yaml", tmp_path / "review.ipynb", leads="postgresql://me:geheim@host/crm#leads"
        )
    assert "geheim" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_notebook_is_executed_shows_figures_and_holds_no_lead(tmp_path):
    source = write_demo(tmp_path / "data", n_leads=1_500, random_state=3)
    target = tmp_path / "out" / "packet.ipynb"
    write_review_notebook(source, target)
    text = target.read_text("utf-8")
    cells = json.loads(text)["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"execute_result", "display_data"}
    assert sum("image/png" in output["data"] for output in outputs) >= 1
    assert str(tmp_path) not in text
    table = (tmp_path / "data" / "leads.csv").read_text("utf-8")
    people = {*re.findall(r"^L\d{6}", table, re.MULTILINE), *re.findall(r"[\w.]+@[\w.]+", table)}
    assert len(people) > 2_000
    assert not [person for person in people if person in text]
    assert load_experiment(source).definition.name in text


@pytest.mark.slow
def test_a_cell_that_fails_leaves_nothing_behind_and_quotes_nothing(tmp_path):
    with pytest.raises(OutputError, match=r"a cell failed with InputMissingError; nothing was written\.$"):
        write_review_notebook(tmp_path / "none.yaml", tmp_path / "packet.ipynb")
    assert not (tmp_path / "packet.ipynb").exists()
