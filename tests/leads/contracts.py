"""Contracts that name every column of a real file as an attribute, as somebody would who suspects nothing."""

import csv
import gzip

HEADS = {
    "xeducation": ("xeducation/Leads.csv", ","),
    "bank_marketing": ("bank_marketing/bank-additional-full.csv.gz", ";"),
    "salvirt_b2b": ("salvirt_b2b/Salvirt_B2B_ML_dataset.csv", ";"),
    "olist_leads": ("olist_funnel/olist_marketing_qualified_leads_dataset.csv", ","),
    "olist_deals": ("olist_funnel/olist_closed_deals_dataset.csv", ","),
    "marketstar": ("marketstar/Leads.csv", ","),
}


def header(folder, name):
    path, delimiter = HEADS[name]
    opened = gzip.open if path.endswith(".gz") else open
    with opened(folder / path, "rt", encoding="utf-8") as stream:
        return next(csv.reader(stream, delimiter=delimiter))


def attributes(names, *, table="leads", skip=(), numbers=(), prefix=""):
    lines = []
    for name in names:
        if name in skip or not name.strip():
            continue
        safe = prefix + "".join(char if char.isalnum() else "_" for char in name)
        kind = "number" if name in numbers else "category"
        lines.append(f'  {safe}: {{from: "{table}.{name}", role: attribute, type: {kind}}}')
    return "\n".join(lines)


def xeducation(folder):
    numbers = ("TotalVisits", "Total Time Spent on Website", "Page Views Per Visit")
    numbers += ("Asymmetrique Activity Score", "Asymmetrique Profile Score")
    skip = ("Prospect ID", "Lead Number", "Converted")
    return f"""
name: xeducation-naive
tables: {{leads: {{path: xeducation/Leads.csv}}}}
columns:
  lead_id: {{from: leads.Prospect ID, role: id}}
  number: {{from: leads.Lead Number, role: created, type: sequence}}
  outcome: {{from: leads.Converted, role: outcome, won: ["1"], lost: ["0"]}}
{attributes(header(folder, "xeducation"), skip=skip, numbers=numbers)}
"""


def bank_marketing(folder):
    numbers = ("age", "duration", "campaign", "pdays", "previous", "emp.var.rate", "cons.price.idx")
    numbers += ("cons.conf.idx", "euribor3m", "nr.employed")
    return f"""
name: bank-naive
tables: {{leads: {{path: bank_marketing/bank-additional-full.csv.gz, delimiter: ";"}}}}
columns:
  lead_id: {{from: "leads.#line", role: id}}
  outcome: {{from: leads.y, role: outcome, won: ["yes"], lost: ["no"]}}
{attributes(header(folder, "bank_marketing"), skip=("y",), numbers=numbers)}
"""


def salvirt_b2b(folder):
    return f"""
name: salvirt-naive
tables: {{leads: {{path: salvirt_b2b/Salvirt_B2B_ML_dataset.csv, delimiter: ";"}}}}
columns:
  lead_id: {{from: "leads.#line", role: id}}
  outcome: {{from: leads.Status, role: outcome, won: [Won], lost: [Lost]}}
{attributes(header(folder, "salvirt_b2b"), skip=("Status",))}
"""


def olist_funnel(folder):
    deals = header(folder, "olist_deals")
    leads = header(folder, "olist_leads")
    numbers = ("declared_monthly_revenue", "declared_product_catalog_size")
    return f"""
name: olist-naive
tables:
  leads: {{path: olist_funnel/olist_marketing_qualified_leads_dataset.csv}}
  deals: {{path: olist_funnel/olist_closed_deals_dataset.csv, join: {{leads.mql_id: mql_id}}}}
columns:
  lead_id: {{from: leads.mql_id, role: id}}
  first_contact: {{from: leads.first_contact_date, role: created, type: date}}
  outcome: {{from: deals.won_date, role: outcome, won: ["*"]}}
  won_on: {{from: deals.won_date, role: closed, type: date, format: "%Y-%m-%d %H:%M:%S"}}
{attributes(leads, skip=("mql_id", "first_contact_date"))}
{attributes(deals, table="deals", skip=("mql_id", "won_date"), numbers=numbers)}
windows: {{outcome: 60 days}}
"""


def ibm_winloss(_folder):
    numbers = (
        "Elapsed Days In Sales Stage",
        "Sales Stage Change Count",
        "Total Days Identified Through Closing",
        "Total Days Identified Through Qualified",
        "Opportunity Amount USD",
        "Ratio Days Identified To Total Days",
        "Ratio Days Validated To Total Days",
        "Ratio Days Qualified To Total Days",
    )
    words = (
        "Supplies Group",
        "Supplies Subgroup",
        "Region",
        "Route To Market",
        "Client Size By Revenue (USD)",
        "Client Size By Employee Count",
        "Revenue From Client Past Two Years (USD)",
        "Competitor Type",
        "Deal Size Category (USD)",
    )
    return f"""
name: ibm-naive
tables: {{leads: {{path: ibm_winloss/df_tagged_full.parquet}}}}
columns:
  lead_id: {{from: leads.Opportunity Number, role: id}}
  outcome: {{from: leads.Opportunity Result, role: outcome, won: [Won], lost: [Loss]}}
{attributes((*numbers, *words), numbers=numbers)}
"""


def marketstar(folder):
    names = header(folder, "marketstar")
    skip = ("LeadId", "Stage", "ConvertedOpportunityId", "OwnerEmployeeId", "CreatedDate")
    return f"""
name: marketstar-naive
tables:
  leads: {{path: marketstar/Leads.csv}}
  opportunities: {{path: marketstar/Opportunities.csv, join: {{leads.ConvertedOpportunityId: OpportunityId}}}}
columns:
  lead_id: {{from: leads.LeadId, role: id}}
  created_on: {{from: leads.CreatedDate, role: created, type: date, format: "%Y%m%d"}}
  verdict: {{from: leads.Stage, role: verdict, accepted: [Qualified], rejected: [Disqualified]}}
  decided_on: {{from: opportunities.CreatedDate, role: decided, type: date, format: "%m/%d/%Y"}}
  why: {{from: leads.DisqualifiedReason, role: reason}}
  rep: {{from: leads.OwnerEmployeeId, role: rep}}
  created_number: {{from: leads.CreatedDate, role: attribute, type: integer}}
{attributes(names, skip=skip, numbers=("Employees",))}
"""
