"""What a review is made of, in words: every figure with its range and the number of leads behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from leadml.compare import DefinitionComparison, RatingComparison
    from leadml.definitions import ClassPart, Definition
    from leadml.explain import Attribution
    from leadml.leads import AuditReport, LeadTable
    from leadml.models import TrainedModel, UntrainedModel
    from leadml.propose import ProposalSet

__all__ = [
    "Bar",
    "Change",
    "ClassLine",
    "CriterionLine",
    "ExpectedLine",
    "Figure",
    "KeptWord",
    "Parts",
    "PeriodLine",
    "Run",
    "Tile",
]


class Question(Protocol):
    """What the review wants to know."""

    @property
    def question(self) -> str:
        """Return the question."""
        ...


class Run(Protocol):
    """What one run of the loop found; `leadml.experiment.ExperimentResult` is one."""

    @property
    def experiment(self) -> Question:
        """Return the experiment."""
        ...

    @property
    def definition(self) -> Definition:
        """Return the written definition."""
        ...

    @property
    def table(self) -> LeadTable:
        """Return the leads as read."""
        ...

    @property
    def audit(self) -> AuditReport:
        """Return what would make conclusions from the leads wrong."""
        ...

    @property
    def targets(self) -> pd.DataFrame:
        """Return the labels of the leads."""
        ...

    @property
    def models(self) -> Mapping[str, TrainedModel | UntrainedModel]:
        """Return the models by target."""
        ...

    @property
    def attributions(self) -> Mapping[str, Attribution]:
        """Return what each model uses."""
        ...

    @property
    def comparison(self) -> DefinitionComparison | None:
        """Return the definition against the leads."""
        ...

    @property
    def proposals(self) -> ProposalSet | None:
        """Return what is proposed and what is not."""
        ...

    @property
    def ratings(self) -> RatingComparison | None:
        """Return what both sides made of the same leads, judged blind."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A rate as text, with its range and its n; `shown` is False for a group that is too small."""

    text: str
    range: str
    n: str
    value: float
    low: float
    high: float
    shown: bool

    @property
    def line(self) -> str:
        """Return all of it in one phrase."""
        return (
            f"{self.text} ({self.range}, n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{self.n})"
            if self.shown
            else self.text
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rate drawn on a scale of 0 to 100."""

    value: float
    low: float
    high: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLine:
    """What one lead class did."""

    name: str
    meaning: str
    handed_over: bool
    leads: str
    share: str
    accepted: Figure
    won: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodLine:
    """What the definition did in one period; settled says that most of its leads have an answer."""

    name: str
    leads: str
    handed_over: str
    share: Figure
    accepted: Figure
    won: Figure
    value: str
    accepted_settled: bool
    won_settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure of the newest quarter, with its range and the same of the quarter before."""

    title: str
    text: str
    small: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedLine:
    """What a model expected of one quarter, and what came."""

    name: str
    expected: str
    came: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptWord:
    """Whether a model kept its word, quarter by quarter."""

    title: str
    reading: str
    rows: tuple[ExpectedLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionLine:
    """One criterion: what it lets through, what both sides made of that, and the verdict."""

    written: str
    lead_class: str
    to_sales: bool
    verdict: str
    reason: str
    filled: str
    passing: str
    rates: tuple[tuple[str, Figure, Figure], ...]
    bars: tuple[tuple[str, tuple[Bar, ...]], ...]
    dropped: str
    adjusted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A proposed or promising change in words."""

    sentence: str
    headline: str
    grade: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that the packet and the summary say, in the order of the meeting."""

    title: str
    version: str
    question: str
    meaning: str
    as_of: str
    verdict: str
    cautions: tuple[str, ...]
    rules: tuple[ClassPart, ...]
    today: tuple[str, ...]
    hidden: tuple[str, ...]
    tiles: tuple[Tile, ...]
    periods: tuple[PeriodLine, ...]
    trend: str
    classes: tuple[ClassLine, ...]
    disagreement: tuple[tuple[str, str], ...]
    quadrant: str
    reasons: tuple[tuple[str, str], ...]
    reps: tuple[str, ...]
    raters: tuple[str, ...]
    proposals: tuple[Change, ...]
    promising: tuple[Change, ...]
    kept: tuple[tuple[str, str, str], ...]
    explore: tuple[tuple[str, str, str, str], ...]
    goals: tuple[str, ...]
    criteria: tuple[CriterionLine, ...]
    predicted: tuple[str, ...]
    uses: tuple[tuple[str, str], ...]
    crossings: tuple[str, ...]
    kept_word: tuple[KeptWord, ...]
    models: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    quarantine: tuple[tuple[str, str], ...]
    audit: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    followup: tuple[str, ...]
    recycled: tuple[str, ...]
    owners: tuple[tuple[str, str], ...]
    next_review: str
    facts: tuple[tuple[str, str], ...]
