"""The closed loop as a table: contract, readers, verdicts and outcomes, targets, audit, synthetic leads.

Names are loaded when first used: reading a contract needs no pandas.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadml.leads._addresses import is_address, mask_address
    from leadml.leads._audit import audit_leads, find_late_columns, find_leaks
    from leadml.leads._batches import LeadBatch, LeadStream, open_leads
    from leadml.leads._chunks import (
        LeadChunk,
        LeadPlan,
        find_repeated_rows,
        hash_lead_ids,
        open_chunk,
        plan_chunks,
        settle_repeated_rows,
    )
    from leadml.leads._contract import Column, Contract, Table
    from leadml.leads._contract_file import load_contract, parse_contract
    from leadml.leads._demo import (
        DEMO_CONTRACT,
        DEMO_DEFINITION,
        SyntheticLeads,
        SyntheticTruth,
        generate_leads,
        render_demo_definition,
        write_synthetic_leads,
    )
    from leadml.leads._export import write_leads, write_quarantine
    from leadml.leads._finding import AuditFinding, AuditReport, sort_findings
    from leadml.leads._funnel import FunnelReport, compute_funnel, find_recycled, summarise_reasons
    from leadml.leads._ingest import IngestReport, ingest_leads
    from leadml.leads._lags import compute_lag_curve, count_lags, curve_from_counts, window_from_curve
    from leadml.leads._loop import PartTally, read_loop, settle_tallies
    from leadml.leads._propose import ContractProposal, propose_contract
    from leadml.leads._read import read_leads
    from leadml.leads._table import LeadTable, Manifest
    from leadml.leads._targets import (
        SplitPoint,
        TimeSplit,
        compute_targets,
        last_mature_start,
        split_at,
        split_by_quarters,
        split_periods,
        target_windows,
    )
    from leadml.leads._world import SyntheticWorld

_HOMES = {
    "sort_findings": "_finding",
    "count_lags": "_lags",
    "curve_from_counts": "_lags",
    "window_from_curve": "_lags",
    "PartTally": "_loop",
    "read_loop": "_loop",
    "settle_tallies": "_loop",
    "SplitPoint": "_targets",
    "last_mature_start": "_targets",
    "split_at": "_targets",
    "split_by_quarters": "_targets",
    "is_address": "_addresses",
    "mask_address": "_addresses",
    "LeadChunk": "_chunks",
    "LeadPlan": "_chunks",
    "find_late_columns": "_audit",
    "find_leaks": "_audit",
    "find_recycled": "_funnel",
    "find_repeated_rows": "_chunks",
    "hash_lead_ids": "_chunks",
    "open_chunk": "_chunks",
    "plan_chunks": "_chunks",
    "settle_repeated_rows": "_chunks",
    "AuditFinding": "_finding",
    "AuditReport": "_finding",
    "Column": "_contract",
    "Contract": "_contract",
    "ContractProposal": "_propose",
    "DEMO_CONTRACT": "_demo",
    "DEMO_DEFINITION": "_demo",
    "FunnelReport": "_funnel",
    "IngestReport": "_ingest",
    "LeadBatch": "_batches",
    "LeadStream": "_batches",
    "LeadTable": "_table",
    "Manifest": "_table",
    "SyntheticLeads": "_demo",
    "SyntheticTruth": "_demo",
    "SyntheticWorld": "_world",
    "Table": "_contract",
    "TimeSplit": "_targets",
    "audit_leads": "_audit",
    "compute_funnel": "_funnel",
    "compute_lag_curve": "_lags",
    "compute_targets": "_targets",
    "generate_leads": "_demo",
    "ingest_leads": "_ingest",
    "load_contract": "_contract_file",
    "open_leads": "_batches",
    "parse_contract": "_contract_file",
    "propose_contract": "_propose",
    "read_leads": "_read",
    "render_demo_definition": "_demo",
    "split_periods": "_targets",
    "summarise_reasons": "_funnel",
    "target_windows": "_targets",
    "write_leads": "_export",
    "write_quarantine": "_export",
    "write_synthetic_leads": "_demo",
}

__all__ = [
    "DEMO_CONTRACT",
    "DEMO_DEFINITION",
    "AuditFinding",
    "AuditReport",
    "Column",
    "Contract",
    "ContractProposal",
    "FunnelReport",
    "IngestReport",
    "LeadBatch",
    "LeadChunk",
    "LeadPlan",
    "LeadStream",
    "LeadTable",
    "Manifest",
    "PartTally",
    "SplitPoint",
    "SyntheticLeads",
    "SyntheticTruth",
    "SyntheticWorld",
    "Table",
    "TimeSplit",
    "audit_leads",
    "compute_funnel",
    "compute_lag_curve",
    "compute_targets",
    "count_lags",
    "curve_from_counts",
    "find_late_columns",
    "find_leaks",
    "find_recycled",
    "find_repeated_rows",
    "generate_leads",
    "hash_lead_ids",
    "ingest_leads",
    "is_address",
    "last_mature_start",
    "load_contract",
    "mask_address",
    "open_chunk",
    "open_leads",
    "parse_contract",
    "plan_chunks",
    "propose_contract",
    "read_leads",
    "read_loop",
    "render_demo_definition",
    "settle_repeated_rows",
    "settle_tallies",
    "sort_findings",
    "split_at",
    "split_by_quarters",
    "split_periods",
    "summarise_reasons",
    "target_windows",
    "window_from_curve",
    "write_leads",
    "write_quarantine",
    "write_synthetic_leads",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"leadml.leads.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'leadml.leads' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
