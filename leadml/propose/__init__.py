"""Few, small, objective changes of a written definition: found, registered, confirmed or refused."""

from leadml.propose._audit import AdoptionAudit, audit_adopted, split_error_rate
from leadml.propose._capacity import ShadowPrice, find_shadow_price
from leadml.propose._censor import censoring_weights
from leadml.propose._count import CountRequest, EvidenceCounter, count_in_duckdb, count_locally
from leadml.propose._document import format_proposals, proposal_schema
from leadml.propose._explain import Explanation
from leadml.propose._floor import WidestDefinition, find_widest_definition
from leadml.propose._goal import Goal, Stakes
from leadml.propose._guard import Guardrail
from leadml.propose._joint import JointCounts
from leadml.propose._judge import Range
from leadml.propose._parts import LeadPart, LeadParts
from leadml.propose._propose import propose_changes, propose_from_parts
from leadml.propose._registration import Registration
from leadml.propose._result import Exploration, JudgedChange, KeptCriterion, ProposalSet
from leadml.propose._sample import (
    ExplorationProgress,
    follow_exploration,
    read_exploration,
    sample_exploration,
    write_exploration,
)
from leadml.propose._steps import make_steps
from leadml.propose._trade import TradeOff, compute_trade_off
from leadml.propose._whatif import WhatIf, judge_what_if, parse_what_if

__all__ = [
    "AdoptionAudit",
    "CountRequest",
    "EvidenceCounter",
    "Explanation",
    "Exploration",
    "ExplorationProgress",
    "Goal",
    "Guardrail",
    "JointCounts",
    "JudgedChange",
    "KeptCriterion",
    "LeadPart",
    "LeadParts",
    "ProposalSet",
    "Range",
    "Registration",
    "ShadowPrice",
    "Stakes",
    "TradeOff",
    "WhatIf",
    "WidestDefinition",
    "audit_adopted",
    "censoring_weights",
    "compute_trade_off",
    "count_in_duckdb",
    "count_locally",
    "find_shadow_price",
    "find_widest_definition",
    "follow_exploration",
    "format_proposals",
    "judge_what_if",
    "make_steps",
    "parse_what_if",
    "proposal_schema",
    "propose_changes",
    "propose_from_parts",
    "read_exploration",
    "sample_exploration",
    "split_error_rate",
    "write_exploration",
]
