"""The written definition against the leads, criterion by criterion."""

from leadml.compare._comparison import DefinitionComparison, compare_definition
from leadml.compare._profile import MarginalProfile

__all__ = ["DefinitionComparison", "MarginalProfile", "compare_definition"]
