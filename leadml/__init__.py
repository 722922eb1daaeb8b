"""leadml settles with data what a lead is.

It reads the written definition, learns from the closed loop which attributes predict acceptance and won
deals, holds the two against each other and proposes few, small threshold changes with their evidence.

The names below are loaded when they are first used, so ``import leadml`` stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "assign_classes": "leadml.definitions",
    "compare_definition": "leadml.compare",
    "lint_definition": "leadml.definitions",
    "load_contract": "leadml.leads",
    "load_definition": "leadml.definitions",
    "load_experiment": "leadml.experiment",
    "propose_changes": "leadml.propose",
    "read_leads": "leadml.leads",
    "run_experiment": "leadml.experiment",
    "score_leads": "leadml.scoring",
    "train_model": "leadml.models",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - names of the table above


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'leadml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
