"""The written definition against the leads, criterion by criterion."""

from leadml.compare._comparison import DefinitionComparison, compare_definition

__all__ = ["DefinitionComparison", "compare_definition"]
