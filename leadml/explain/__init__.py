"""Attributions: what a model uses. Not causes, not thresholds."""

from leadml.explain._attribution import NOT_A_CAUSE, Attribution, explain_model

__all__ = ["NOT_A_CAUSE", "Attribution", "explain_model"]
