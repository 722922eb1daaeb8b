"""The packet says what the run found, in words, and holds nothing else."""

import dataclasses
import re
from datetime import date
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup

from leadml._render import render_template
from leadml.definitions import parse_definition
from leadml.errors import OutputError
from leadml.review import Entry, _packet, build_packet, write_packet
from leadml.review._build import build_parts
from leadml.review._parts import Figure


class _Skeleton(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text, self.style = [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.style = tag in {"style", "script"}

    def handle_endtag(self, tag):
        self.tags.append(("/" + tag, ()))
        self.style = False

    def handle_data(self, data):
        if not self.style:
            self.text.append(data)


def read(page):
    parser = _Skeleton()
    parser.feed(page)
    return parser


def words(page):
    return " ".join(" ".join(read(page).text).replace("\xa0", " ").split())


@pytest.fixture(scope="module")
def page(run):
    return build_packet(run)


@pytest.fixture(autouse=True)
def cheap_pictures(request, monkeypatch):
    """Draw only where a test looks at the whole page; drawing is most of the time."""
    if not {"page", "plain"} & set(request.fixturenames):
        monkeypatch.setattr(_packet, "draw_svg", lambda *_, name, **__: f'<svg class="{name}"></svg>')


def test_same_run_gives_the_same_bytes(run, make_run, page):
    assert build_packet(run) == page
    assert build_packet(make_run()) == page


def test_page_asks_nobody_for_anything(page):
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-" in page
    text = page.replace("http://www.w3.org/2000/svg", "")  # the name of SVG, not an address
    assert not re.search(r"https?:|//[a-z]|url\((?!#)|@import|<link|<iframe|\son[a-z]+=|\ssrc=", text)
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(|eval\(|innerHTML", text)


def test_every_tag_is_closed(page):
    void = {"meta", "br", "!doctype", "line", "path", "use", "rect"}
    stack = []
    for tag, _ in read(page).tags:
        if tag.startswith("/"):
            if tag[1:] in void:
                continue
            assert stack.pop() == tag[1:]
        elif tag not in void:
            stack.append(tag)
    assert stack == []


def test_ids_are_unique(page):
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_at_least_figure_comes_first_in_a_proposal(page):
    text = words(page)
    assert "One change is proposed: warm: “employees ≥ 20” instead of “employees ≥ 50”." in text
    assert "At least EUR 2,310 more a month (best guess EUR 6,820, at most EUR 11,900)" in text
    assert text.index("At least EUR 2,310") < text.index("Leads that change ")


def test_everything_that_was_found_is_said(page):
    text = words(page)
    for sentence in (
        "Should hot ask for smaller companies?",
        "The definition hands 194 of 4,000 leads (4.9 %) to Sales, about 11 a month.",
        "Tightening to approved would lose more than it saves. (a gain under EUR 1,850 a month would not have shown)",
        "Promising, not proposed: warm: “purchase_timeframe ≤ 9” instead of “purchase_timeframe ≤ 6”",
        "Nobody can measure this sentence, so no lead meets it.",
        "“budget_status ≥ exploring” instead of “budget_status ≥ requested” 220 9 weeks EUR 33,000",
        "Put aside (damaged) 96",
        "created_on: date format (60 rows)",
        "warning industry: one day brought 40 %.",
        "outcome: 'On hold' (12 rows) is not declared and read as open.",
        "For Marketing: Director of Demand Generation Date",
        "For Sales: VP Sales Date",
        "Next review: 2026-12-31",
        "won: area under the curve 0.71 (0.66–0.76), trained on 1,800 earlier leads",
    ):
        assert sentence in text, sentence


JARGON = """
AUC|ROC|SHAP|Shapley|MOVER|Holm|Wilson|Clopper|Newcombe|Bonferroni|Manski|Mantel|kappa|Cram.r|PSI|Brier|logit|odds|
confidence|interval|p-value|p [=<]|significan\\w*|hypothes\\w*|regression|coefficient|calibrat\\w*|likelihood|posterior|
standard deviation|standard error|variance|quantile|percentile|median|bootstrap|Bayes\\w*|prior|stochastic|isotonic|
estimat\\w*|sample size|statistical\\w*|discriminat\\w*|cross-validat\\w*|overfit\\w*|log loss|feature importance
""".replace("\n", "")


def outside_folds(page):
    return words(re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL))


def test_statistics_words_stay_in_the_folds(page):
    assert re.findall(rf"\b(?:{JARGON})\b", outside_folds(page), flags=re.IGNORECASE) == []
    assert re.search(rf"\b(?:{JARGON})\b", words(page)), "the fold holds them for those who ask"


def test_the_sections_stand_in_the_order_of_the_meeting(page):
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "What the definition says",
        "What it did this quarter",
        "Where Marketing and Sales see it differently",
        "What is proposed",
        "What is not proposed, and why",
        "Criterion by criterion",
        "What if a threshold moved",
        "What the model knows that the definition does not",
        "What the data is worth",
        "What Sales did with the leads",
        "Leads that came back",
        "What was not agreed before",
        "Decisions to take",
    ]


def test_every_chart_has_a_sentence_below_it(page):
    after = re.findall(r'<svg[^>]*class="chart"[^>]*>.*?</svg>\s*(<[^>]*>)([^<]*)', page, flags=re.DOTALL)
    assert len(after) >= 5
    for tag, sentence in after:
        assert tag.startswith('<p class="small"')
        assert sentence.strip().endswith(".") or "wi-curve-words" in tag


def test_groups_under_five_leads_are_hidden(make_run):
    run = make_run(n_leads=60)
    text = words(build_packet(run))
    handoff = run.comparison.handoff
    counts = set(handoff.loc[handoff["period"] == "all", "n"])
    assert counts & {1, 2, 3, 4}, "the sample must have a small group"
    assert not re.search(r"n = [1-4]\b", text)
    assert "too few" in text
    assert "lead_id: missing id (under 5 rows)" in text


def test_no_lead_stands_on_the_page(run):
    frame = run.table.frame.copy()
    marked = frame.assign(employees=pd.array(np.arange(7_000_001, 7_000_001 + len(frame)), dtype="Int64"))
    run = SimpleNamespace(**(vars(run) | {"table": SimpleNamespace(**(vars(run.table) | {"frame": marked}))}))
    assert "7000" not in build_packet(run).replace(",", "")


NOTHING = {"proposals": [], "promising": [], "kept": [], "explore": []}


def test_when_nothing_is_proposed_the_decision_is_to_keep(make_run):
    text = words(build_packet(make_run(proposals=NOTHING)))
    assert "No change is proposed: keep the definition as it is." in text
    assert "Keep inbound-lead 2026.3 as it is" in text
    assert "Nothing else was tested." in text
    assert "No plan is needed" in text


def test_something_promising_is_not_called_a_proposal(make_run, run):
    promising = run.proposals.to_dict() | {"proposals": []}
    text = words(build_packet(make_run(proposals=promising)))
    assert "No change is proposed. Something looks promising, but the leads do not show it yet." in text


def test_several_proposals_are_counted_and_decided_one_by_one(make_run, run):
    first = run.proposals.to_dict()["proposals"][0]
    dropped = first | {"proposed": None, "value_low": None, "criterion": "warm.budget_status"}
    added = first | {"written": None, "value_low": float("nan"), "won_low": None}
    text = words(build_packet(make_run(proposals=NOTHING | {"proposals": [first, dropped, added]})))
    assert "3 changes are proposed." in text
    assert "Proposal 2: warm: drop “employees ≥ 50” At least 0.40 won deals more a month" in text
    assert "Proposal 3: warm: also ask for “employees ≥ 20”" in text
    assert text.count("accept reject defer") == 3


def only_inside(frame, targets):
    """Only leads that the definition hands over have an answer."""
    inside = (frame["purchase_timeframe"] <= 6) & frame["budget_status"].isin(["requested", "approved"])
    inside &= (frame["employees"] >= 50).fillna(False).astype(bool)
    return targets.assign(accepted=targets["accepted"].where(inside), won=targets["won"].where(inside))


def without_dates(frame, targets):
    order = np.arange(len(frame), dtype=float)
    period = [f"block {1 + 5 * i // max(len(frame), 1)}" for i in range(len(frame))]
    return targets.assign(t0=order, age_days=np.nan, period=period)


def test_without_answers_outside_nobody_knows_and_the_model_cannot_be_compared(make_run):
    run = make_run(change=only_inside)
    text = words(build_packet(run))
    assert "of the other leads nobody knows" in text
    assert "Only leads that the definition hands over have an answer" in text
    assert "nobody knows what these would bring" in text


def test_leads_without_dates_are_counted_in_all(make_run, run):
    whole = make_run(change=without_dates)
    whole.models = {}
    whole.table.as_of = date(1970, 1, 1)
    text = words(build_packet(whole))
    assert "leads as of an unknown day" in text
    assert "Leads to Sales, per month" not in text
    assert "block 5" in text
    assert "Next review: 2026-12-31" in text
    whole.definition = parse_definition(run.definition.text.replace("review_by: 2026-12-31\n", ""))
    whole.table.as_of = None
    assert "Next review" not in words(build_packet(whole))


def test_no_leads_make_a_page_that_says_so(make_run):
    assert "There are no leads." in words(build_packet(make_run(n_leads=0)))


@pytest.mark.parametrize(
    ("kind", "proposed", "gained", "lost", "verdict"),
    [
        ("dropped", "(dropped)", 3.0, 0.0, "drop"),
        ("threshold", "employees >= 20", None, None, "loosen"),
        ("threshold", "employees >= 100", None, None, "tighten"),
        ("threshold", "employees between 10 and 90", 3.0, 0.0, "loosen"),
        ("threshold", "employees between 70 and 90", 0.0, 3.0, "tighten"),
        ("threshold", "nice people", 2.0, 3.0, "change"),
    ],
)
def test_verdict_of_a_criterion_that_is_to_change_is_the_direction(
    run, kind, proposed, gained, lost, verdict
):
    entry = run.proposals.to_dict()["proposals"][0] | {"kind": kind, "proposed": proposed}
    entry |= {"gained_per_month": gained, "lost_per_month": lost}
    parts = build_parts(with_proposals(run, NOTHING | {"proposals": [entry]}))
    line = next(c for c in parts.criteria if c.lead_class == "warm" and c.written.startswith("employees"))
    assert line.verdict == verdict
    assert line.reason.startswith("A change is proposed above.")


def test_verdict_of_an_ordinal_is_the_direction_of_its_levels(run):
    entry = run.proposals.to_dict()["proposals"][0] | {
        "criterion": "warm.employees + warm.budget_status",
        "kind": "threshold + threshold",
        "written": "employees >= 50 + budget_status >= requested",
        "proposed": "employees >= 20 + budget_status >= approved",
    }
    parts = build_parts(with_proposals(run, NOTHING | {"proposals": [entry]}))
    warm = [c.verdict for c in parts.criteria if c.lead_class == "warm"]
    assert warm[1:] == ["tighten", "loosen"]


def with_proposals(run, found):
    return SimpleNamespace(**(vars(run) | {"proposals": SimpleNamespace(to_dict=lambda: dict(found))}))


def judged_as(run, **values):
    verdicts = run.comparison.verdicts.astype(object)
    for column, value in values.items():
        verdicts.loc[verdicts["criterion"] == "warm.employees", column] = value
    return SimpleNamespace(
        **(vars(run) | {"comparison": dataclasses.replace(run.comparison, verdicts=verdicts)})
    )


def test_what_the_search_did_not_confirm_is_no_call_for_change(run):
    judged = judged_as(run, verdict="loosen", rule="They pay.", through="warm.budget_status", stable=False)
    parts = build_parts(with_proposals(judged, NOTHING))
    line = next(c for c in parts.criteria if c.lead_class == "warm" and c.written.startswith("employees"))
    assert line.verdict == "keep"
    assert line.reason.replace("\xa0", " ") == (
        "They pay. All settled leads together point to “loosen”, but the newest do not confirm it. "
        "It matters only through “budget_status ≥ requested”. "
        "It does not separate leads in the same way in every period."
    )


def test_a_criterion_that_both_sides_see_differently_is_named(run):
    parts = build_parts(judged_as(run, quadrant="Sales likes it but it closes less"))
    assert ("employees ≥\xa050", "Sales likes it but it closes less") in parts.disagreement


def test_attributes_that_no_criterion_uses_are_named(run):
    unused = pd.DataFrame(
        [
            {
                "attribute": "region",
                "target": "won",
                "n": 300,
                "matters": True,
                "reading": "north 20 %, south 9.0 %",
            }
        ]
    )
    comparison = dataclasses.replace(run.comparison, unused=unused)
    parts = build_parts(SimpleNamespace(**(vars(run) | {"comparison": comparison})))
    assert (
        "No criterion uses “region”, but among the leads handed over it separates those won "
        "(north 20 %, south 9.0 %)." in parts.predicted
    )


def test_leads_that_wait_for_a_verdict_are_counted(run):
    verdict = pd.Series(["pending"] * len(run.table.frame))
    roles = {"verdict": verdict, "decided": None, "reason": None}
    table = SimpleNamespace(**(vars(run.table) | {"role": roles.get}))
    parts = build_parts(SimpleNamespace(**(vars(run) | {"table": table})))
    assert "have no verdict, although there was time: 100 % (" in " ".join(parts.followup).replace(
        "\xa0", " "
    )
    table = SimpleNamespace(**(vars(run.table) | {"role": lambda _: None}))
    assert build_parts(SimpleNamespace(**(vars(run) | {"table": table}))).followup == ()


def test_what_only_a_statistician_reads_is_left_to_the_audit(run):
    message = "industry (3 levels): reps differ (Cramér's V 0.19, p 9e-09): part of the label is who gave it."
    finding = SimpleNamespace(column=None, severity="warning", message=message)
    text = words(
        build_packet(SimpleNamespace(**(vars(run) | {"audit": SimpleNamespace(findings=(finding,))})))
    )
    assert "industry (3 levels): reps differ: part of the label is who gave it." in text


def test_a_pair_of_changes_is_one_sentence(make_run, run):
    entry = run.proposals.to_dict()["proposals"][0]
    pair = entry | {
        "criterion": "warm.employees + warm.budget_status",
        "kind": "threshold + dropped",
        "written": "employees >= 50 + budget_status >= requested",
        "proposed": "employees >= 20 + (dropped)",
        "value_low": -100.0,
        "tipping_point": 0.03,
    }
    text = words(build_packet(make_run(proposals=NOTHING | {"promising": [pair]})))
    assert (
        "warm: “employees ≥ 20” instead of “employees ≥ 50”; warm: drop “budget_status ≥ requested”" in text
    )
    assert "Between −EUR 100 and EUR 11,900 a month (best guess EUR 6,820)" in text
    assert "Fails if the leads nobody picked win less often than 3.0 %" in text
    safe = make_run(proposals=NOTHING | {"promising": [pair | {"tipping_point": 0.0}]})
    assert "less often than 0" not in words(build_packet(safe))


def test_everything_that_was_tested_stands_in_the_fold(make_run, run):
    tested = run.proposals.to_dict()["proposals"][0] | {"status": "not shown", "p_adjusted": 0.31}
    page = build_packet(make_run(proposals=NOTHING | {"tested": [tested], "n_searched": 412}))
    fold = words(page[page.index("<summary>How we know</summary>") :])
    assert "Tested warm: “employees ≥ 20” instead of “employees ≥ 50”: not shown, adjusted p = 0.31" in fold
    assert "Changes looked at 412" in fold


def test_without_signed_prices_gains_are_deals(make_run, run):
    entry = run.proposals.to_dict()["proposals"][0] | {"value_low": 2.0, "value": 3.0, "value_high": None}
    unpriced = NOTHING | {"proposals": [entry], "stakes": {"unit": "won deals"}, "per": "confirmation period"}
    text = words(build_packet(make_run(proposals=unpriced)))
    assert "At least 2 won deals more a confirmation period (best guess 3 won deals)" in text


def test_stages_that_were_not_run_are_left_out(run):
    part = SimpleNamespace(
        **(vars(run) | {"comparison": None, "proposals": None, "models": {}, "attributions": {}})
    )
    text = words(build_packet(part))
    assert "Criterion by criterion" not in text
    assert "What is proposed" not in text


def test_overdue_review_gets_a_new_date(make_run, run):
    text = run.definition.text.replace("review_by: 2026-12-31", "review_by: 2026-09-01")
    page = words(build_packet(make_run(definition=text)))
    assert "Next review: 2026-12-30 (the date in the definition, 2026-09-01, has passed)" in page
    text = run.definition.text.replace("review_by: 2026-12-31\n", "")
    assert "Next review: 2026-12-30 " in words(build_packet(make_run(definition=text)))


def test_packet_is_written_whole(run, page, tmp_path):
    write_packet(run, tmp_path / "new" / "packet.html")
    assert (tmp_path / "new" / "packet.html").read_text(encoding="utf-8") == page
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["packet.html"]
    with pytest.raises(OutputError, match="cannot write here"):
        write_packet(run, tmp_path)


PIECES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "{{ 7 * 7 }}",
    "{% raw %}",
]
PIECES += [
    "]]><svg/onload=x>",
    "<!--",
    "-->",
    "</style><b>",
    "</title>",
    "&lt;b&gt;",
    "\x00\x1b[31m",
    "\u202egnp.exe",
]
PIECES += [
    "\ud800",
    "javascript:alert(1)",
    "<![CDATA[",
    "$\\frac{1}{0}$",
    "a" * 3000,
    "</script><script>x",
    "<plaintext>",
]
BEFORE = ["", "x", '"', "'", ">", "<", "</td>", "-->", "\n", "\\", "&#34;"]
AFTER = ["", "y", '"', "'", ">", "<", "<td>", "<!--", "\r\n", "\t", "&gt;", "\u2028", "\ufeff"]
HOSTILE = list(dict.fromkeys(b + piece + a for piece in PIECES for b in BEFORE for a in AFTER))[:2673]


def spoil(run, hostile):
    found = run.proposals.to_dict()
    cell = hostile.encode("utf-8", "replace").decode()  # a frame cannot hold a lone surrogate

    def spoil_entry(entry):
        return {
            key: hostile if isinstance(value, str) and key not in {"criterion", "kind", "grade"} else value
            for key, value in entry.items()
        }

    lists = {
        name: [spoil_entry(e) for e in found[name]] for name in ("proposals", "promising", "kept", "explore")
    }
    spoiled = found | lists | {"per": hostile, "stakes": {"unit": hostile}, "notices": []}
    manifest = SimpleNamespace(**(vars(run.table.manifest) | {"notices": (hostile,), "data_sha256": hostile}))
    quarantine = run.table.quarantine.astype(object).replace(
        {"column": {"employees": cell}, "rule": {"date_format": cell}}
    )
    uses = dataclasses.replace(run.attributions["won"], attributes=(cell, "employees"))
    return build_packet(
        SimpleNamespace(
            **(
                vars(run)
                | {
                    "experiment": SimpleNamespace(question=hostile),
                    "proposals": SimpleNamespace(to_dict=lambda: spoiled),
                    "table": SimpleNamespace(
                        **(vars(run.table) | {"manifest": manifest, "quarantine": quarantine})
                    ),
                    "audit": SimpleNamespace(
                        findings=(SimpleNamespace(column=None, severity=hostile, message=hostile),)
                    ),
                    "attributions": {"won": uses},
                }
            )
        )
    )


@pytest.fixture(scope="module")
def plain(run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_packet, "_draw_profiles", lambda _: ())
        patch.setattr(_packet, "_draw_quarters", lambda _: None)
        patch.setattr(_packet, "_draw_quadrant", lambda _: None)
        return read(spoil(run, "plain words")).tags


@pytest.mark.parametrize("hostile", PIECES[::2], ids=range(len(PIECES[::2])))
def test_hostile_text_in_any_field_never_changes_the_skeleton(run, plain, hostile, monkeypatch):
    monkeypatch.setattr(_packet, "_draw_profiles", lambda _: ())
    monkeypatch.setattr(_packet, "_draw_quarters", lambda _: None)
    monkeypatch.setattr(_packet, "_draw_quadrant", lambda _: None)
    made = spoil(run, hostile)
    made.encode("utf-8")
    assert read(made).tags == plain


def poison(value, hostile):
    """Put a string into every text of the packet's parts; one entry of each list is enough."""
    if isinstance(value, str):
        return hostile
    if isinstance(value, tuple):
        whole = any(isinstance(entry, str | Figure) for entry in value)
        return tuple(poison(entry, hostile) for entry in (value if whole else value[:1]))
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return dataclasses.replace(value, **{name: poison(getattr(value, name), hostile) for name in names})
    return value


@pytest.mark.slow
def test_2673_hostile_strings_in_every_field_never_change_the_skeleton(run):
    parts = build_parts(run)
    entry = Entry(**dict.fromkeys(Entry.__dataclass_fields__, "x"))

    def skeleton(hostile):
        page = render_template(
            "leadml.review",
            "packet.html",
            parts=poison(parts, hostile),
            refused=(dataclasses.replace(entry, **dict.fromkeys(Entry.__dataclass_fields__, hostile)),),
            what_if={"months": 1.0, "smallest": 5, "turned": True, "names": [hostile]},
            script="",
            hash="",
            smallest=5,
            reviewed=True,
            not_a_cause=hostile,
            quarters="",
            quadrant=None,
            pictures=[[(hostile, "")]],
            profiles=[(hostile, "")],
            attributions=[""],
            dependences=[(hostile, "")],
        )
        page.encode("utf-8")
        return read(re.sub("<style>.*?</style>", "<style></style>", page, flags=re.DOTALL)).tags

    expected = skeleton("plain words")
    assert len(expected) > 300
    assert len(set(HOSTILE)) == 2673
    assert skeleton(Markup("<b>")) != expected, "the test must notice what is not escaped"
    assert [hostile for hostile in HOSTILE if skeleton(hostile) != expected] == []
