"""The written definition against the leads, criterion by criterion."""

from leadml.compare._comparison import DefinitionComparison, compare_definition
from leadml.compare._objectify import Objectified, objectify
from leadml.compare._profile import MarginalProfile
from leadml.compare._rating_answers import Ratings, read_ratings
from leadml.compare._rating_sheets import RatingSample, sample_ratings, write_rating_sheets
from leadml.compare._ratings import RatingComparison, Strictness, compare_ratings

__all__ = [
    "DefinitionComparison",
    "MarginalProfile",
    "Objectified",
    "RatingComparison",
    "RatingSample",
    "Ratings",
    "Strictness",
    "compare_definition",
    "compare_ratings",
    "objectify",
    "read_ratings",
    "sample_ratings",
    "write_rating_sheets",
]
