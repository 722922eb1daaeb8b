"""Attributions: what a model uses. Not causes, not thresholds."""

from leadml.explain._attribution import NOT_A_CAUSE, Attribution, explain_model
from leadml.explain._dependence import (
    AttributionStability,
    Dependence,
    explain_dependence,
    explain_interactions,
    explain_stability,
)

__all__ = [
    "NOT_A_CAUSE",
    "Attribution",
    "AttributionStability",
    "Dependence",
    "explain_dependence",
    "explain_interactions",
    "explain_model",
    "explain_stability",
]
