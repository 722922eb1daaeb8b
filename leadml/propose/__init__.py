"""Few, small, objective changes of a written definition: found, registered, confirmed or refused."""

from leadml.propose._goal import Goal
from leadml.propose._propose import propose_changes
from leadml.propose._registration import Registration
from leadml.propose._result import Exploration, JudgedChange, KeptCriterion, ProposalSet

__all__ = [
    "Exploration",
    "Goal",
    "JudgedChange",
    "KeptCriterion",
    "ProposalSet",
    "Registration",
    "propose_changes",
]
