from datetime import date
from pathlib import Path

import pytest

from leadml.errors import ExperimentError, InputMissingError
from leadml.experiment import load_experiment, parse_experiment
from leadml.propose import Goal

WHOLE = """
question: Should "hot" ask for a shorter timeframe?
definition: definitions/inbound-lead-2026.3.yaml
contract: contracts/marketstar.yaml
leads: ../export.csv
targets: [won]
as_of: 2022-09-30
confirm_from: 2022-04-01
goal: {maximise: net_value, capacity: 400 per month, minimum_acceptance: 0.6}
proposals: {max_changes: 1, max_candidates: 2, error_rate: 0.0125}
random_state: 7
"""


def test_a_whole_file_is_read():
    experiment = parse_experiment(WHOLE, folder="place")
    assert experiment.definition == Path("place/definitions/inbound-lead-2026.3.yaml")
    assert experiment.contract == Path("place/contracts/marketstar.yaml")
    assert experiment.leads == Path("place/../export.csv")
    assert experiment.targets == ("won",)
    assert (experiment.as_of, experiment.confirm_from) == (date(2022, 9, 30), date(2022, 4, 1))
    assert experiment.goal == Goal(maximise="net_value", capacity=400.0, minimum_acceptance=0.6)
    assert (experiment.max_changes, experiment.max_candidates, experiment.error_rate) == (1, 2, 0.0125)
    assert experiment.random_state == 7
    assert parse_experiment(f"{WHOLE}also_try: [ebm]\n", folder="place").also_try == ("ebm",)
    assert experiment.also_try == ()


def test_the_error_rate_of_a_year_is_shared_among_its_reviews_and_looks():
    start = "question: q\ndefinition: d\ncontract: c\nproposals: "
    assert parse_experiment(f"{start}{{error_rate_per_year: 0.05}}\n").error_rate == 0.0125
    shared = "{error_rate_per_year: 0.08, reviews_per_year: 2, looks: 4, segments: [industry]}"
    experiment = parse_experiment(f"{start}{shared}\n")
    assert (experiment.error_rate, experiment.segments) == (0.01, ("industry",))
    with pytest.raises(ExperimentError, match="expected one of them, got both"):
        parse_experiment(f"{start}{{error_rate: 0.05, error_rate_per_year: 0.05}}\n")
    with pytest.raises(ExperimentError, match="looks: expected error_rate_per_year beside it"):
        parse_experiment(f"{start}{{looks: 2}}\n")


def test_rating_sheets_are_named_with_their_key():
    experiment = parse_experiment(
        f"{WHOLE}ratings: {{sheets: [m.csv, s.csv], key: key.json}}\n", folder="place"
    )
    assert experiment.ratings == (Path("place/m.csv"), Path("place/s.csv"))
    assert experiment.ratings_key == Path("place/key.json")
    with pytest.raises(ExperimentError, match="key"):
        parse_experiment(f"{WHOLE}ratings: {{sheets: [m.csv]}}\n")


def test_leads_may_be_an_address():
    text = WHOLE.replace("../export.csv", "env:CRM_URL#leads")
    assert parse_experiment(text, folder="place").leads == "env:CRM_URL#leads"


def test_what_is_left_out_has_the_documented_default():
    experiment = parse_experiment(
        "question: q\ndefinition: d\ncontract: c\nconfirm_from: last two matured quarters\n"
    )
    assert experiment.targets == ("accepted", "won")
    assert experiment.goal == Goal(maximise="net_value")
    assert (experiment.max_changes, experiment.max_candidates, experiment.error_rate) == (2, 3, 0.05)
    assert (experiment.leads, experiment.as_of, experiment.confirm_from) == (None, None, None)
    assert experiment.random_state == 0


def test_everything_wrong_is_said_at_once_with_its_line():
    text = """question: q
definition: d
targets: [won, revenue]
confirm_from: 1.4.2022
goal: {maximise: netvalue, capacity: many, minimum_acceptance: 60}
proposals: {max_changes: 9, max_candidates: 2.5, error_rate: 0, colour: red}
random_state: -1
contrat: c
also_try: [ebm, svm]
"""
    with pytest.raises(ExperimentError) as raised:
        parse_experiment(text, source="q.yaml")
    assert raised.value.findings == (
        "q.yaml:1:1: experiment: key 'contract' is missing.",
        "q.yaml:3:10: targets: expected accepted or won, got 'revenue'.",
        "q.yaml:4:15: confirm_from: expected a day such as 2026-04-01, got '1.4.2022'.",
        "q.yaml:5:18: goal: maximise: expected one of net_value, accepted, won; got 'netvalue'. Did you mean 'net_value'?",
        "q.yaml:5:38: goal: capacity: expected leads per month such as '400 per month', got 'many'.",
        "q.yaml:5:64: goal: minimum_acceptance: expected a number above 0 and below 1, got '60'.",
        "q.yaml:6:26: max_changes: expected a whole number from 1 to 3, got '9'.",
        "q.yaml:6:45: max_candidates: expected a whole number from 1 to 3, got '2.5'.",
        "q.yaml:6:62: error_rate: expected a number above 0 and below 0.5, got '0'.",
        "q.yaml:6:65: proposals: unknown key 'colour'.",
        "q.yaml:7:15: random_state: expected a whole number from 0 to 4294967295, got '-1'.",
        "q.yaml:8:1: experiment: unknown key 'contrat'. Did you mean 'contract'?",
        "q.yaml:9:11: also_try: expected ebm, got 'svm'.",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("targets: []", "targets: expected accepted, won or both, got an empty list"),
        ("goal: net_value", "goal: expected a mapping"),
        ("goal: {capacity: 400}", "goal: key 'maximise' is missing"),
        ("goal: {maximise: won, capacity: 0}", "expected leads per month"),
        ("proposals: 3", "proposals: expected a mapping"),
        ("goal: {maximise: won, minimum_acceptance: x}", "expected a number above 0"),
        ("question: [a]", "question: expected text, got a list"),
    ],
)
def test_each_wrong_part_is_refused(line, message):
    base = {"question": "question: q", "definition": "definition: d", "contract": "contract: c"}
    base[line.split(":")[0]] = line
    with pytest.raises(ExperimentError, match=message):
        parse_experiment("\n".join(base.values()))


def test_a_missing_experiment_file_is_named(tmp_path):
    with pytest.raises(InputMissingError, match="cannot read this experiment"):
        load_experiment(tmp_path / "no.yaml")


def test_paths_start_at_the_file(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text("question: q\ndefinition: d.yaml\ncontract: c.yaml\n")
    assert load_experiment(path).definition == tmp_path / "d.yaml"


def test_every_experiment_of_the_project_loads(root):
    from leadml.definitions import load_definition
    from leadml.leads import load_contract

    files = sorted((root / "experiments").glob("*.yaml"))
    assert len(files) >= 3
    for path in files:
        experiment = load_experiment(path)
        assert load_definition(experiment.definition).classes
        assert load_contract(experiment.contract).columns
