"""The result: what is proposed, promising, kept and to be explored, with everything that was tested."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from leadml._render import render_card, render_frame, text_table
from leadml.propose._words import name_texts

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup
    from matplotlib.axes import Axes

    from leadml.definitions import Change, Definition
    from leadml.propose._capacity import ShadowPrice
    from leadml.propose._explain import Explanation
    from leadml.propose._goal import Goal, Stakes
    from leadml.propose._guard import Guardrail
    from leadml.propose._judge import Range
    from leadml.propose._registration import Registration
    from leadml.propose._trade import TradeOff

__all__ = ["Exploration", "JudgedChange", "KeptCriterion", "ProposalSet"]

Grade = Literal["A", "B", "C"]
Status = Literal["proposed", "also passed", "not shown", "promising"]

_COLUMNS = (
    "status",
    "criterion",
    "kind",
    "written",
    "proposed",
    "grade",
    "n_changed",
    "gained_per_month",
    "lost_per_month",
    "value_low",
    "value",
    "value_high",
    "won_low",
    "won",
    "won_high",
    "accepted_low",
    "accepted",
    "accepted_high",
    "n_gained",
    "wins_gained",
    "n_lost",
    "wins_lost",
    "p_value",
    "p_adjusted",
    "detectable",
    "confidence_level",
    "tipping_point",
    "reason",
)


def _plain(value: float | None) -> float | None:
    """Return a number that JSON can carry, to ten digits: the same bytes on every machine."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.10g}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedChange:
    """A change of the definition as the newest matured quarters judge it.

    Attributes
    ----------
    status : {"proposed", "also passed", "not shown", "promising"}
    changes : tuple of Change
        What would be written.
    grade : {"A", "B", "C"}
        A: labels for practically all leads that change; B: for some, picked by people; C: for none.
    n_changed : int
        Leads that would change sides in the confirmation window.
    n_gained, wins_gained, n_lost, wins_lost : int
        Accounts with a label among them, and how many of these were won (accepted).
    gained_per_month, lost_per_month : float or None
        None where the leads have no dates.
    value, won, accepted : Range
        Change a month (over the confirmation period where the leads have no dates), lower bound first. The
        bounds are one-sided at the review's error rate over the number of registered changes.
    p_value, p_adjusted : float
        Of "this change gains nothing" (in one segment only: "or no more there than elsewhere"), alone and
        after Holm.
    detectable : float or None
        Smallest true change in value that would have been found with 80 % power.
    confidence_level : float
        Two-sided level of the ranges.
    tipping_point : float or None
        For grade B: the change fails if the leads nobody picked win less often than this.
    reason : str
        What decided, in words.
    guardrails : tuple of Guardrail
        Conditions beside the goal.
    explanation : Explanation or None
        The change in plain words.
    revised : Definition or None
        The new version, comments kept.
    """

    status: Status
    changes: tuple[Change, ...]
    grade: Grade
    n_changed: int
    n_gained: int
    wins_gained: int
    n_lost: int
    wins_lost: int
    gained_per_month: float | None
    lost_per_month: float | None
    value: Range
    won: Range
    accepted: Range
    p_value: float
    p_adjusted: float
    detectable: float | None
    confidence_level: float
    reason: str
    tipping_point: float | None = None
    guardrails: tuple[Guardrail, ...] = ()
    explanation: Explanation | None = field(default=None, repr=False)
    revised: Definition | None = field(default=None, repr=False)

    @property
    def criterion(self) -> str:
        """Addresses of the criteria that change, joined by `` + ``."""
        return " + ".join(name_change(change) for change in self.changes)

    @property
    def kind(self) -> str:
        """Kinds of change, joined by `` + ``."""
        return " + ".join(change.kind for change in self.changes)

    @property
    def written(self) -> str:
        """What is written today, joined by `` + ``."""
        return " + ".join(_words(change, change.written or "(nothing)") for change in self.changes)

    @property
    def proposed(self) -> str:
        """What would be written, joined by `` + ``."""
        return " + ".join(
            "(dropped)" if change.proposed is None else _words(change, change.proposed)
            for change in self.changes
        )

    @property
    def texts(self) -> tuple[str, str]:
        """What is written and what would be, each in words that can stand alone."""
        written, proposed = zip(*map(name_texts, self.changes), strict=True)
        return " + ".join(written), " + ".join(proposed)

    def to_dict(self) -> dict[str, Any]:
        """Return the change in ARCHITECTURE's JSON shape."""
        plain: dict[str, Any] = {
            "criterion": self.criterion,
            "kind": self.kind,
            "written": self.written,
            "proposed": self.proposed,
            "grade": self.grade,
            "n_changed": self.n_changed,
            "gained_per_month": _plain(self.gained_per_month),
            "lost_per_month": _plain(self.lost_per_month),
        }
        for name in ("value", "won", "accepted"):
            found: Range = getattr(self, name)
            plain |= {f"{name}_low": _plain(found.low), name: _plain(found.value)}
            plain[f"{name}_high"] = _plain(found.high)
        return plain | {
            "n_gained": self.n_gained,
            "wins_gained": self.wins_gained,
            "n_lost": self.n_lost,
            "wins_lost": self.wins_lost,
            "p_value": _plain(self.p_value),
            "p_adjusted": _plain(self.p_adjusted),
            "detectable": _plain(self.detectable),
            "confidence_level": _plain(self.confidence_level),
            "tipping_point": _plain(self.tipping_point),
            "status": self.status,
            "reason": self.reason,
            "guardrails": [
                {"name": guardrail.name, "kept": guardrail.kept, "words": guardrail.words}
                for guardrail in self.guardrails
            ],
            "explanation": None if self.explanation is None else self.explanation.to_dict(),
        }


def name_change(change: Change) -> str:
    """Return the address of the criterion that a change leaves behind (an added one has none yet)."""
    if change.kind != "added" or change.proposed is None:
        return change.address
    return f"{change.address}.{change.proposed.removeprefix('not ').split()[0]}"


def _words(change: Change, text: str) -> str:
    return f"at least {text}" if change.kind == "at_least" else text


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCriterion:
    """A criterion that stays as written, and why.

    Attributes
    ----------
    criterion, written : str
    reason : str
    n_changed : int
        Leads in the band of the change that was looked at, in the confirmation window.
    detectable : float or None
        Smallest change in value a month that would have been found with 80 % power.
    """

    criterion: str
    written: str
    reason: str
    n_changed: int
    detectable: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it in ARCHITECTURE's JSON shape."""
        return {
            "criterion": self.criterion,
            "written": self.written,
            "reason": self.reason,
            "n_changed": self.n_changed,
            "detectable": _plain(self.detectable),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """A plan that would get labels where there are none.

    Attributes
    ----------
    criterion : str
    written, to : str
        The band: leads that fail the criterion as written but meet it as in `to`, and meet everything else.
    n : int
        Leads to hand over to decide with 80 % power.
    share : float
        Share of the band to pick at random.
    leads_per_month : float or None
        Leads in the band.
    weeks : int or None
        How long it takes; None where the leads have no dates.
    cost : float or None
        Cost of working them, at most; None without a signed price.
    break_even, assumed_rate : float
        The rate that pays, and the one that the size was planned for.
    reason : str
    n_known : int
        Leads of the band whose label is known: somebody picked them.
    """

    criterion: str
    written: str
    to: str
    n: int
    share: float
    leads_per_month: float | None
    weeks: int | None
    cost: float | None
    break_even: float
    assumed_rate: float
    reason: str
    n_known: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it in ARCHITECTURE's JSON shape."""
        return {
            "criterion": self.criterion,
            "from": self.written,
            "to": self.to,
            "n": self.n,
            "weeks": self.weeks,
            "cost": _plain(self.cost),
            "share": _plain(self.share),
            "leads_per_month": _plain(self.leads_per_month),
            "break_even": _plain(self.break_even),
            "assumed_rate": _plain(self.assumed_rate),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProposalSet:
    """What a review may propose, and what it may not and why.

    Attributes
    ----------
    definition : Definition
    goal : Goal
    stakes : Stakes or None
        The prices that judged; None if there was no label at all.
    per : {"month", "confirmation period"}
        What changes are counted per.
    proposals : tuple of JudgedChange
        At most one: the best of those that passed.
    promising : tuple of JudgedChange
        Grade B.
    kept : tuple of KeptCriterion
    explore : tuple of Exploration
    tested : tuple of JudgedChange
        Everything that was registered and tested.
    n_searched : int
        Changes looked at on the older quarters.
    registration : Registration
    shadow_price : ShadowPrice or None
        What one more lead a month would bring, where a number of leads is to be kept to.
    trade_off : TradeOff or None
        What other goals would choose, on the older quarters.
    notices : tuple of str
    """

    definition: Definition = field(repr=False)
    goal: Goal
    stakes: Stakes | None
    per: Literal["month", "confirmation period"]
    proposals: tuple[JudgedChange, ...]
    promising: tuple[JudgedChange, ...]
    kept: tuple[KeptCriterion, ...]
    explore: tuple[Exploration, ...]
    tested: tuple[JudgedChange, ...]
    n_searched: int
    registration: Registration = field(repr=False)
    shadow_price: ShadowPrice | None = None
    trade_off: TradeOff | None = field(default=None, repr=False)
    notices: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return ARCHITECTURE's JSON shape, with what was tested and by which prices."""
        return {
            "proposals": [change.to_dict() for change in self.proposals],
            "promising": [change.to_dict() for change in self.promising],
            "kept": [criterion.to_dict() for criterion in self.kept],
            "explore": [plan.to_dict() for plan in self.explore],
            "tested": [change.to_dict() for change in self.tested],
            "n_searched": self.n_searched,
            "per": self.per,
            "goal": self.goal.to_dict(),
            "stakes": None if self.stakes is None else self.stakes.to_dict(),
            "windows": {
                "discover": list(self.registration.discover_periods),
                "confirm": list(self.registration.confirm_periods),
            },
            "shadow_price": None if self.shadow_price is None else self.shadow_price.to_dict(),
            "trade_off": None if self.trade_off is None else self.trade_off.to_dict(),
            "notices": list(self.notices),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row per change that was tested or is promising, always with the same columns."""
        import pandas as pd

        rows = [change.to_dict() for change in (*self.tested, *self.promising)]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def __repr__(self) -> str:
        head = f"{self.definition.name} {self.definition.version}: " + (
            f"{len(self.proposals)} change proposed" if self.proposals else "no change proposed"
        )
        head += f" ({self.n_searched:,} looked at, {len(self.tested)} tested)"
        unit = "" if self.stakes is None else f" {self.stakes.unit}"
        rows = [
            (
                change.status,
                *change.texts,
                f"at least {_signed(change.value.low)}{unit} a {self.per}, p = {change.p_value:.2g}",
            )
            for change in (*self.tested, *self.promising)[:3]
        ]
        parts = [head]
        if rows:
            parts.append(text_table(("", "written", "proposed", "evidence"), rows))
        kept, bands = len(self.kept), len(self.explore)
        parts.append(
            f"kept: {kept} criteri{'on' if kept == 1 else 'a'}; "
            f"to explore: {bands} band{'' if bands == 1 else 's'}"
        )
        return "\n".join("\n".join(parts).split("\n")[:10])

    def _repr_html_(self) -> str:
        return str(render_card(self._headline(), self._parts(), notes=self.notices))

    def _headline(self) -> str:
        return f"Proposed changes of {self.definition.name} {self.definition.version}"

    def _parts(self) -> list[Markup | str]:
        import pandas as pd

        frame = self.to_frame()
        texts = [change.texts for change in (*self.tested, *self.promising)]
        frame["written"], frame["proposed"] = zip(*texts, strict=True) if texts else ((), ())
        shown = ["status", "written", "proposed", "grade", "n_changed", "value_low", "value", "value_high"]
        parts: list[Markup | str] = []
        if len(frame):
            parts.append(render_frame(frame[shown], caption="Tested on the newest matured leads"))
        if self.kept:
            kept = pd.DataFrame([{"criterion": k.written, "why it stays": k.reason} for k in self.kept])
            parts.append(render_frame(kept, caption="Kept as written"))
        if self.shadow_price is not None:
            parts.append(self.shadow_price.words)
        if self.explore:
            plans = pd.DataFrame([{"band": plan.reason} for plan in self.explore])
            parts.append(render_frame(plans, caption="No labels: explore"))
        return parts or ["Nothing was tested."]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the change in value of everything tested, with its range."""
        import pandas as pd

        from leadml._plotting import plot_bars

        rows = [
            {
                "label": change.texts[1],
                "value": change.value.value,
                "ci_low": change.value.low,
                "ci_high": change.value.high,
            }
            for change in self.tested
        ]
        frame = pd.DataFrame(rows, columns=["label", "value", "ci_low", "ci_high"])
        unit = "" if self.stakes is None else self.stakes.unit
        return plot_bars(frame, ax, xlabel=f"change in value ({unit} a {self.per})")


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+,.4g}"
