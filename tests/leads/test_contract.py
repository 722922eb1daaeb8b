import pytest

from leadml.errors import ContractError, InputMissingError
from leadml.leads import load_contract, parse_contract

FULL = """
name: marketstar
tables:                                    # one or more
  leads: {path: Leads.csv, format: csv, delimiter: ",", encoding: utf-8}
  opportunities: {path: Opportunities.csv, format: csv, join: {leads.ConvertedOpportunityId: OpportunityId}}
columns:
  lead_id: {from: leads.LeadId, role: id}
  created_on: {from: leads.CreatedDate, role: created, type: date, format: "%Y%m%d"}
  employees: {from: leads.Employees, role: attribute, type: integer, missing: ["", "-"]}
  lead_source: {from: leads.LeadSource, role: attribute, type: category}
  verdict: {from: opportunities.IsAccepted, role: verdict, accepted: ["1"], rejected: ["0"]}
  decided_on: {from: opportunities.AcceptedDecisionDate, role: decided, type: date, format: ["%m/%d/%Y", "%m/%d/%Y %H:%M"]}
  reason: {from: leads.DisqualifiedReason, role: reason, families: {definitional: [No Need], after_contact: [No Budget, Bad Timing]}}
  outcome: {from: opportunities.Stage, role: outcome, won: [Closed Won], lost: [Closed Lost]}
  closed_on: {from: opportunities.CloseDate, role: closed, type: date, format: "%Y-%m-%d"}
  amount: {from: opportunities.Amount, role: amount, type: number, decimal: ".", thousands: ",", currency: USD}
  rep: {from: leads.OwnerEmployeeId, role: rep}
  email: {from: leads.Email, role: personal}
windows: {verdict: 30 days, outcome: 180 days}
"""

SMALL = """
name: small
tables: {leads: {path: leads.csv}}
columns:
  lead_id: {from: leads.Id, role: id}
"""


def findings(text):
    with pytest.raises(ContractError) as caught:
        parse_contract(text, source="c.yaml")
    return caught.value.findings


def test_the_documented_contract_is_read():
    contract = parse_contract(FULL)
    assert contract.name == "marketstar"
    assert [table.name for table in contract.tables] == ["leads", "opportunities"]
    assert contract.tables[1].join == ("leads", "ConvertedOpportunityId", "OpportunityId")
    assert contract.attributes() == {"employees": "integer", "lead_source": "category"}
    assert contract.column("decided_on").format == ("%m/%d/%Y", "%m/%d/%Y %H:%M")
    assert contract.column("verdict").meaning_of() == {"1": "accepted", "0": "rejected"}
    assert contract.column("reason").family_of()["Bad Timing"] == "after_contact"
    assert contract.column_by_role("amount").currency == "USD"
    assert (contract.windows_verdict, contract.windows_outcome) == (30, 180)
    assert contract.quarantine_limit == 0.05
    assert len(contract.sha256) == 64
    assert contract.column("nothing") is None
    assert contract.column_by_role("weight") is None
    assert contract.table("leads").path == "Leads.csv"
    assert contract.table("deals") is None


def test_equal_texts_give_equal_contracts():
    assert parse_contract(FULL) == parse_contract(FULL)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ("windows: from data", (None, None)),
        ("windows: {verdict: 2 weeks, outcome: 6 months}", (14, 183)),
        ("windows: {verdict: from data, outcome: 90}", (None, 90)),
        ("", (None, None)),
    ],
)
def test_windows_are_days_or_left_to_the_data(windows, expected):
    contract = parse_contract(SMALL + windows)
    assert (contract.windows_verdict, contract.windows_outcome) == expected


def test_one_table_needs_no_table_name_in_from():
    assert parse_contract(SMALL.replace("leads.Id", "Id")).columns[0].source == "Id"


def test_a_column_name_may_hold_dots_and_spaces():
    contract = parse_contract(SMALL.replace("leads.Id", "leads.No. of Employees (2021)"))
    assert contract.columns[0].source == "No. of Employees (2021)"


def test_the_format_follows_from_the_file_name():
    assert parse_contract(SMALL.replace("leads.csv", "x.parquet")).tables[0].format == "parquet"
    assert parse_contract(SMALL).tables[0].format == "csv"


def test_a_tab_can_be_spelled():
    text = SMALL.replace("{path: leads.csv}", "{path: leads.csv, delimiter: tab, quote: none}")
    table = parse_contract(text).tables[0]
    assert (table.delimiter, table.quote) == ("\t", "")


def test_the_quarantine_limit_is_a_share():
    assert parse_contract(SMALL + "quarantine_limit: 2%").quarantine_limit == 0.02
    assert parse_contract(SMALL + "quarantine_limit: 0.5").quarantine_limit == 0.5
    assert "expected a share" in findings(SMALL + "quarantine_limit: lots")[0]
    assert "expected a share" in findings(SMALL + "quarantine_limit: 500%")[0]


def test_everything_wrong_is_said_at_once_with_its_place():
    found = findings(
        """
name: broken
tabels: {}
tables:
  leads: {path: leads.csv, delimiter: ";;", encodng: latin, encoding: klingon}
  deals: {path: deals.csv, join: {lead.DealId: DealId}}
columns:
  lead_id: {from: leeds.Id, role: id}
  size: {from: leads.Size, role: atribute, type: integer}
  verdict: {from: leads.V, role: verdict, accepted: [yes], rejected: [yes]}
  day: {from: leads.Day, role: created, type: date, format: "%Y-%q"}
  reason: {from: leads.R, role: reason, families: {definitonal: [x]}}
windows: {verdikt: soon}
"""
    )
    text = "\n".join(found)
    for part in (
        "unknown key 'tabels'. Did you mean 'tables'?",
        "unknown key 'encodng'. Did you mean 'encoding'?",
        "expected one character (or tab), got ';;'",
        "unknown encoding 'klingon'",
        "'lead' is not a table above this one. Did you mean 'leads'?",
        "got 'leeds.Id'. Did you mean 'leads'?",
        "got 'atribute'. Did you mean 'attribute'?",
        "'yes' already means accepted",
        "unknown directive %q",
        "unknown family 'definitonal'. Did you mean 'definitional'?",
        "unknown key 'verdikt'. Did you mean 'verdict'?",
    ):
        assert part in text
    assert all(line.startswith("c.yaml:") for line in found)
    assert "c.yaml:8:13:" in text or "c.yaml:8:19:" in text


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("x: {from: leads.X, role: attribute}", "needs a `type`"),
        ("x: {from: leads.X, role: attribute, type: ordinal}", "needs `levels`"),
        ("x: {from: leads.X, role: attribute, type: text}", "role attribute is one of"),
        ("x: {from: leads.X, role: created, type: number}", "role created is one of date, sequence"),
        ("x: {from: leads.X}", "key 'role' is missing"),
        ("x: {role: id}", "key 'from' is missing"),
        ("x: {from: leads.X, role: id}", "all have role id"),
        ("x: {from: leads.X, role: verdict}", "say which words mean accepted"),
        ("x: {from: leads.X, role: verdict, won: [a], accepted: [b]}", "'won' is for role outcome"),
        ("x: {from: leads.X, role: attribute, type: category, thousands: ','}", "'thousands' is for type"),
        ("x: {from: leads.X, role: attribute, type: number, decimal: ',', thousands: ','}", "are both ','"),
        ("x: {from: leads.X, role: attribute, type: number, decimal: ab}", "expected one separator"),
        ("x: {from: leads.X, role: attribute, type: number, suffixes: {M: many}}", "expected a number"),
        ("x: {from: leads.X, role: attribute, type: category, levels: [a, a]}", "stands here twice"),
        (
            "x: {from: leads.X, role: verdict, accepted: [a], otherwise: open}",
            "expected one of pending, quarantine",
        ),
        (
            "x: {from: leads.X, role: created, type: date, format: ['%Y-%m-%d', '%Y-%m-%d %z']}",
            "some have none",
        ),
        ("x: {from: leads.X, role: attribute, type: category, known_at: later}", "capture, handoff, after"),
        ("x: [1]", "expected a mapping"),
        ("x-y: {from: leads.X, role: rep}", "only letters, digits and _"),
    ],
)
def test_a_column_that_cannot_be_meant_is_refused(line, match):
    assert match in "\n".join(findings(SMALL + f"  {line}\n"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name: x\ntables: {}\ncolumns: {}\n", "at least one table"),
        (SMALL.replace("role: id", "role: rep"), "no column has `role: id`"),
        (SMALL.replace("{path: leads.csv}", "{path: ''}"), "expected a file name"),
        (
            SMALL.replace("{path: leads.csv}", "{path: a.csv, join: {leads.A: B}}"),
            "the first table holds the leads",
        ),
        (
            SMALL.replace("{path: leads.csv}}", "{path: a.csv}, b: {path: b.csv}}"),
            "tables.b.join: is missing",
        ),
        (
            SMALL.replace(
                "{path: leads.csv}}", "{path: a.csv}, b: {path: b.csv, join: {leads.A: B, leads.C: D}}}"
            ),
            "got 2",
        ),
        (
            SMALL.replace("{path: leads.csv}}", "{path: a.csv}, b: {path: b.csv, join: {A: B}}}"),
            "expected `table.Column: Column`",
        ),
        (SMALL.replace("{path: leads.csv}", "{path: a.csv, quote: '<<'}"), "expected one character or none"),
        (SMALL.replace("{path: leads.csv}", "{path: a.csv, delimiter: ',', quote: ','}"), "are both ','"),
        (SMALL.replace("{leads:", "{le-ads:").replace("leads.Id", "le-ads.Id"), "only letters, digits and _"),
        (SMALL + "windows: {verdict: soon}", "expected `30 days`"),
        (SMALL + "windows: [1]", "expected a mapping"),
    ],
)
def test_a_contract_that_cannot_be_meant_is_refused(text, match):
    assert match in "\n".join(findings(text))


def test_words_of_known_families_are_recognised_in_the_trade_s_spelling():
    text = (
        SMALL
        + "  r: {from: leads.R, role: reason, families: {Already ours: [a], opt-out: [b], other+text: [c]}}\n"
    )
    assert dict(parse_contract(text).column("r").families) == {
        "already_ours": ("a",),
        "opt_out": ("b",),
        "other": ("c",),
    }
    own = SMALL + "  r: {from: leads.R, role: reason, families: {legal: [a], opt-out: [a]}}\n"
    assert "'a' stands in legal and in opt_out" in findings(own)[0]


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputMissingError, match="cannot read this contract"):
        load_contract(tmp_path / "nothing.yaml")


def test_table_paths_are_relative_to_the_contract(tmp_path):
    (tmp_path / "c.yaml").write_text(SMALL)
    assert load_contract(tmp_path / "c.yaml").folder == tmp_path


def test_reading_a_contract_loads_no_pandas():
    import subprocess
    import sys

    code = "import sys; from leadml.leads import parse_contract; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_shipped_contract_is_read(root):
    paths = sorted((root / "experiments" / "contracts").glob("*.yaml"))
    assert len(paths) >= 3
    for path in paths:
        assert load_contract(path).column_by_role("id") is not None
