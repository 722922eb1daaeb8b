"""The traps that the real sets are known for are found from the values alone, and honest columns are left alone."""

import importlib.util
from pathlib import Path

import pytest

from leadml.leads import audit_leads, parse_contract, propose_contract, read_leads

_spec = importlib.util.spec_from_file_location("naive_contracts", Path(__file__).with_name("contracts.py"))
contracts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(contracts)

LEAKS = {
    "leakage_single_column",
    "filled_after_outcome",
    "leakage_suspected",
    "duration_column",
    "event_state",
    "target_rate_column",
    "target_score",
    "outcome_in_text",
    "filled_by_sales",
    "outcome_duration",
    "values_jump",
}


def audit(shared_data, name):
    text = getattr(contracts, name)(shared_data)
    return audit_leads(read_leads(parse_contract(text, folder=shared_data)))


def columns(report, *codes):
    return {finding.column for finding in report.findings if finding.code in codes}


def only(report, code, column=None):
    found = [each for each in report.findings if each.code == code and column in {None, each.column}]
    assert found, code
    return found[0]


def test_xeducation(shared_data):
    report = audit(shared_data, "xeducation")
    assert columns(report, "leakage_single_column") == {"Tags"}
    assert columns(report, *LEAKS) == {"Tags", "Lead_Quality", "Last_Activity", "Last_Notable_Activity"}
    occupation = only(report, "missingness_gives_outcome_away", "What_is_your_current_occupation").evidence
    assert (occupation["rate_missing"], occupation["rate_filled"]) == pytest.approx((0.138, 0.487), abs=0.001)
    assert "Lead_Profile" in columns(report, "missingness_gives_outcome_away")
    jump = only(report, "rate_jump", "Total_Time_Spent_on_Website").evidence
    assert jump["from"] == pytest.approx(600, abs=50)
    assert (jump["rate_below"], jump["rate_above"]) == pytest.approx((0.17, 0.65), abs=0.04)
    zero = only(report, "special_value", "Total_Time_Spent_on_Website").evidence
    assert (zero["value"], zero["rate"]) == (0, pytest.approx(0.42, abs=0.005))
    assert columns(report, "missing_marker") >= {"Specialization", "City", "Lead_Profile"}
    assert columns(report, "missing_in_two_ways") >= {"Specialization", "City", "Lead_Profile"}
    assert columns(report, "level_variants") == {"Lead_Source"}
    assert len(columns(report, "constant_column")) == 5
    assert only(report, "nameless_column").evidence["place"] == 38
    assert "duplicate_leads" not in {finding.code for finding in report.findings}  # they look alike only
    honest = {"Lead_Origin", "Do_Not_Email", "Country", "A_free_copy_of_Mastering_The_Interview"}
    assert not honest & columns(report, *LEAKS, "missingness_gives_outcome_away", "date_proxy")


@pytest.mark.slow
def test_bank_marketing(shared_data):
    report = audit(shared_data, "bank_marketing")
    assert columns(report, *LEAKS) == {"duration"}
    assert columns(report, "date_proxy") >= {
        "emp_var_rate",
        "cons_price_idx",
        "cons_conf_idx",
        "euribor3m",
        "nr_employed",
    }
    assert only(report, "missing_marker", "pdays").evidence["values"] == ["999"]
    rates = only(report, "target_drift").evidence["rates"]
    assert rates[-1] == pytest.approx(0.308, abs=0.002)
    honest = {"age", "job", "marital", "education", "housing", "loan", "campaign"}
    assert not honest & columns(
        report, *LEAKS, "date_proxy", "special_value", "missingness_gives_outcome_away"
    )


def test_salvirt(shared_data):
    report = audit(shared_data, "salvirt_b2b")
    repeats = only(report, "duplicate_leads").evidence
    assert repeats["n_same_label"] == 83
    assert repeats["n_alone"] > 2 * repeats["expected_alone"]
    assert columns(report, *LEAKS) == set()
    assert {finding.code for finding in report.findings} == {
        "duplicate_leads",
        "missing_marker",
        "known_at_undeclared",
    }


def test_olist(shared_data):
    report = audit(shared_data, "olist_funnel")
    leaky = columns(report, "leakage_single_column", "filled_after_outcome")
    assert leaky >= {"seller_id", "sdr_id", "sr_id", "business_segment", "lead_type", "business_type"}
    assert columns(report, *LEAKS, "missingness_gives_outcome_away") >= {
        "has_company",
        "has_gtin",
        "average_stock",
        "declared_product_catalog_size",
    }
    truncated = only(report, "left_truncation").evidence
    assert truncated["first_recorded"] == "2017-12-05"
    assert only(report, "dates_out_of_order").evidence["n"] == 1
    assert "origin" in columns(report, "missing_marker")
    origin = only(report, "missing_is_a_kind", "origin")
    assert origin.severity == "warning"
    assert origin.evidence["kinds"]["blank"] == {"n": 60, "rate": 0.2}
    assert origin.evidence["kinds"]["'unknown'"]["rate"] > 1.75 * origin.evidence["rate_filled"]
    assert only(report, "target_drift").evidence["rates"][0] == 0
    assert columns(report, "zero_may_mean_missing") == {"declared_monthly_revenue"}
    assert columns(report, "only_successes_recorded") == {"outcome"}
    assert not {"origin", "landing_page_id"} & columns(report, *LEAKS)


@pytest.mark.slow
def test_ibm(shared_data):
    report = audit(shared_data, "ibm_winloss")
    durations = {
        "Elapsed_Days_In_Sales_Stage",
        "Total_Days_Identified_Through_Closing",
        "Total_Days_Identified_Through_Qualified",
        "Ratio_Days_Identified_To_Total_Days",
        "Ratio_Days_Validated_To_Total_Days",
        "Ratio_Days_Qualified_To_Total_Days",
    }
    assert columns(report, *LEAKS) == durations | {"Opportunity_Amount_USD"}
    assert "Sales_Stage_Change_Count" in columns(report, "special_value")
    assert "Sales_Stage_Change_Count" in columns(report, *LEAKS, "special_value")
    blank = only(report, "missing_in_two_ways", "Competitor_Type").evidence["kinds"]  # it was the word None
    assert blank["blank"] > 9000
    repeats = only(report, "duplicate_leads").evidence  # most lie side by side, with one and the same outcome
    assert repeats["n_alone"] > 1000 > 10 * repeats["expected_alone"]
    assert repeats["n_same_label"] > 0.98 * repeats["n"]
    honest = {"Region", "Route_To_Market", "Client_Size_By_Employee_Count", "Supplies_Group"}
    assert not honest & {finding.column for finding in report.findings}


def test_marketstar(shared_data):
    report = audit(shared_data, "marketstar")
    assert columns(report, *LEAKS) == {"DisqualifiedReason"}
    batch = only(report, "batch_upload")
    assert batch.column == "LeadSource"
    assert batch.evidence["level"] == "Purchased List"
    assert batch.evidence["from"].startswith("2021-01")
    assert batch.evidence["auc"] > 0.62 > 0.55 > batch.evidence["auc_without"]
    contradiction = only(report, "verdict_contradicts_reason").evidence
    assert (contradiction["n"], contradiction["of"]) == (484, 1061)
    censored = only(report, "censored_cohorts")
    assert (censored.evidence["lag_median_days"], censored.evidence["lag_max_days"]) == (71, 442)
    assert columns(report, "date_as_number") == {"created_number"}
    assert only(report, "nameless_column").evidence["table"] == "opportunities"
    assert columns(report, "html_entities") >= {"Industry"}
    assert columns(report, "level_variants") == {"Title", "Industry"}
    placeholders = only(report, "placeholder_value", "Title").evidence["values"]
    assert "Example-Job-title" in placeholders
    assert censored.evidence["by_period"]["2021Q1"] < 0.02 < 0.76 < censored.evidence["by_period"]["2022Q3"]
    window = only(report, "maturity_window").evidence
    assert window["from"] == "data"
    assert window["lag_90_days"] > 150
    honest = {"Employees", "Title", "Industry", "TimeZone", "LeadSource"}
    told = (*LEAKS, "missingness_gives_outcome_away", "date_proxy", "missing_is_a_kind", "rate_jump")
    assert not honest & columns(report, *told)


def test_two_date_formats_money_and_nameless_columns_are_told_before_a_contract_is_written(shared_data):
    proposal = propose_contract(shared_data / "marketstar" / "Opportunities.csv")
    told = dict(proposal.findings)
    assert ("AcceptedDecisionDate", "has 2 date formats in one column.") in proposal.findings
    assert "have the same name or none" in told[""]
    header, *_ = (shared_data / "xeducation" / "Leads.csv").read_text().splitlines()
    assert header.endswith(",")
    told = dict(propose_contract(shared_data / "xeducation" / "Leads.csv").findings)
    assert "have the same name or none" in told[""]
    assert "Select" in told["City"]


def test_a_password_is_never_read(shared_data):
    path = shared_data / "crm_headers" / "dbt_pardot_source__pardot_prospect_data.csv"
    lines = propose_contract(path).text.splitlines()
    said = [line for line in lines if "password" in line.lower()]
    assert said
    assert all("role: personal" in line or line.strip().startswith("#") for line in said)


def test_repeated_ids_are_counted(shared_data):
    rows = read_leads(parse_contract(contracts.ibm_winloss(shared_data), folder=shared_data)).manifest
    assert rows.read == 78_025
    assert rows.quarantined + rows.duplicates == 196
