"""What people mean by a subjective word, said in objective criteria, or that it cannot be said."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from leadml._plotting import plot_ranges
from leadml._render import format_count, format_rate, render_card, render_frame
from leadml._yaml import suggest
from leadml.compare._objectify_criteria import FEWEST, Candidate, build_candidates
from leadml.compare._objectify_search import Rule, choose, evaluate, search_all
from leadml.compare._rating_sheets import CLASS, is_free_text
from leadml.compare._ratings import find_leads
from leadml.errors import LeadsError
from leadml.metrics import Agreement, cohen_kappa, rule_agreement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from leadml.compare._rating_answers import Ratings
    from leadml.definitions import Attribute
    from leadml.leads import LeadTable

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["Objectified", "objectify"]

Kind = Literal["all_of", "at_least"]
Answer = Literal["said", "said in part", "cannot be said"]

MAX_SEARCHED = 20_000
_TRIED_COLUMNS = (
    *("n_criteria", "kind", "k", "criteria", "chosen", "balanced_found", "balanced", "balanced_low"),
    *("balanced_high", "kappa", "kappa_low", "kappa_high"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objectified:
    """What a subjective word means in criteria that two people read alike.

    Attributes
    ----------
    word : str
        The word.
    answer : {"said", "said in part", "cannot be said"}
        Whether the criteria repeat what people meant: on leads they were not chosen on.
    reason : str
        Why, in one sentence.
    criteria : tuple of str
        The criteria in the words of a definition; empty if it cannot be said.
    kind : {"all_of", "at_least"}
        How they go together.
    k : int
        How many of them a lead must meet.
    balanced, kappa : Agreement
        Of the criteria with the people, on the leads kept apart: mean share of yes and no repeated, and
        Cohen's kappa. If it cannot be said, of the best that was found.
    ceiling : Agreement
        Cohen's kappa of the people with each other on the leads two of them judged: what one more person
        would reach. NaN where only one opinion per lead is known.
    n_found, n_judged : int
        Leads the criteria were chosen on, and those they were judged on.
    tried : DataFrame
        The best rule of each number of criteria; see `to_frame`.
    notes : tuple of str
        What a reader must know.
    """

    word: str
    answer: Answer
    reason: str
    criteria: tuple[str, ...]
    kind: Kind
    k: int
    balanced: Agreement
    kappa: Agreement
    ceiling: Agreement
    n_found: int
    n_judged: int
    tried: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The lines that can stand in a class of a definition file; empty if it cannot be said."""
        if not self.criteria:
            return ""
        items = "\n".join(f"  - {_quoted(criterion)}" for criterion in self.criteria)
        return f"all_of:\n{items}" if self.kind == "all_of" else f"at_least: {self.k}\nof:\n{items}"

    def to_frame(self) -> pd.DataFrame:
        """Return the best rule of each number of criteria that was tried.

        Returns
        -------
        DataFrame
            ``n_criteria``, ``kind``, ``k``, ``criteria`` (joined by "; "), ``chosen``, ``balanced_found`` (on
            the leads it was found on: too high), and on the leads kept apart ``balanced`` and ``kappa`` with
            ``_low`` and ``_high``. Only the chosen one was judged once; the others are for comparison.
        """
        return self.tried.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; what is not defined is None."""
        return {
            "word": self.word,
            "answer": self.answer,
            "reason": self.reason,
            "criteria": list(self.criteria),
            "kind": self.kind,
            "k": self.k,
            **{name: _plain(getattr(self, name)) for name in ("balanced", "kappa", "ceiling")},
            "n_found": self.n_found,
            "n_judged": self.n_judged,
            "notes": list(self.notes),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot kappa of the criteria with the people beside that of the people with each other."""
        rows = [("criteria with people", self.kappa), ("people with each other", self.ceiling)]
        frame = pd.DataFrame(
            [(label, "", one.value, one.ci_low, one.ci_high) for label, one in rows],
            columns=["label", "group", "value", "ci_low", "ci_high"],
        )
        return plot_ranges(frame, ax, xlabel=f"kappa for {self.word!r}")

    def __repr__(self) -> str:
        head = {
            "said": "means",
            "said in part": "means in part",
            "cannot be said": "cannot be said objectively",
        }
        lines = [f"{self.word!r} {head[self.answer]}: {self.reason}"]
        if self.criteria:
            how = f"all {self.k} of" if self.kind == "all_of" else f"at least {self.k} of"
            lines += [f"  {how if len(self.criteria) > 1 else 'one criterion'}:"]
            lines += [f"    {criterion}" for criterion in self.criteria]
        if not np.isnan(self.kappa.value):
            lines.append(
                f"  on {format_count(self.n_judged)} leads kept apart: balanced agreement "
                f"{format_rate(self.balanced.value)}, kappa {_figure(self.kappa)}"
            )
        if not np.isnan(self.ceiling.value):
            lines.append(f"  people with each other: kappa {_figure(self.ceiling)}, {self.ceiling.n:,} leads")
        return "\n".join(lines + [f"  note: {note}" for note in self.notes[:2]])

    def _repr_html_(self) -> str:
        return str(
            render_card(repr(self).splitlines()[0], [self.text, render_frame(self.tried)], notes=self.notes)
        )


def _quoted(criterion: str) -> str:
    """Quote what YAML would read as something else than one text."""
    return f"'{criterion.replace(chr(39), chr(39) * 2)}'" if set(criterion) & set("[]{}#:'\"") else criterion


def _figure(one: Agreement) -> str:
    return (
        f"{one.value:.2f}"
        if np.isnan(one.ci_low)
        else f"{one.value:.2f} ({one.ci_low:.2f} to {one.ci_high:.2f})"
    )


def _plain(one: Agreement) -> dict[str, Any]:
    numbers = {name: getattr(one, name) for name in ("value", "ci_low", "ci_high")}
    return {name: value if np.isfinite(value) else None for name, value in numbers.items()} | {"n": one.n}


def objectify(
    attributes: Mapping[str, Attribute],
    table: LeadTable,
    meant: Ratings | str,
    *,
    word: str,
    max_criteria: int = 3,
    judge_share: float = 0.4,
    min_kappa: float = 0.4,
    confidence_level: float = 0.95,
    random_state: int = 0,
) -> Objectified:
    """Find the few objective criteria that best repeat what people mean by a word.

    The leads are split at random (accounts whole). On one part every threshold on round numbers, every level
    and every answer is tried, alone and two or three together; the fewest criteria whose kappa is within one
    standard error of the best are taken. The other part, which nothing was chosen on, tells how well they
    repeat the people.
    "Cannot be said" is a normal answer: the word may rest on what no attribute holds, or mean nothing.

    Parameters
    ----------
    attributes : mapping of name to Attribute
        What may be used (`Definition.typed_attributes`). Dates, ages, point scores, free text and whatever is
        known only after the handoff are left out.
    table : LeadTable
        The leads.
    meant : Ratings or str
        Judgements from `read_ratings`, or the column of the leads that holds the word (the CRM's Hot, Warm,
        Cold). Leads without a value say nothing.
    word : str
        Which class (or, with `Ratings`, a criterion by its address or as it is written) or which value of the
        column.
    max_criteria : int, default=3
        One to three.
    judge_share : float, default=0.4
        Share of the leads kept apart.
    min_kappa : float, default=0.4
        A rule that agrees less than this with the people says the word in part at most.
    confidence_level : float, default=0.95
        Of every interval.
    random_state : int, default=0
        Seed of the split.

    Returns
    -------
    Objectified

    Raises
    ------
    LeadsError
        If the word or the column is not there, or no attribute can be used.
    ValueError
        If a setting cannot be.

    References
    ----------
    Breiman, Friedman, Olshen and Stone (1984), Classification and Regression Trees, section 3.4.3 (one
    standard error).
    """
    _check_settings(max_criteria, judge_share, min_kappa)
    frame, answers = _read_meaning(table, meant, word)
    usable, notes = _usable(attributes, table, frame, column=meant if isinstance(meant, str) else "")
    # The people hold each other to account on all leads: nothing is chosen on them here.
    ceiling = _ceiling(answers, confidence_level)
    found, judged = _split(answers, _accounts(table, frame), judge_share, random_state)
    result = _Result(word, ceiling, len(found), len(judged), tuple(notes), confidence_level, min_kappa)
    fewest = min(_sides(answers[part]) for part in (found, judged)) if len(found) and len(judged) else 0
    if fewest < FEWEST:
        yes, no = int((answers == 1).any(axis=1).sum()), int((answers == 0).any(axis=1).sum())
        return result.refuse(
            f"{yes:,} leads are called {word!r} and {no:,} are not; at least {FEWEST} of each are needed to "
            "find criteria and as many again to judge them."
        )
    if not np.isnan(ceiling.value) and ceiling.ci_high < min_kappa:
        return result.refuse(
            f"people agree too little with each other (kappa {_figure(ceiling)}): settle what is meant first."
        )
    searched = found
    if len(found) > MAX_SEARCHED:
        searched = np.sort(np.random.default_rng(random_state).choice(found, MAX_SEARCHED, replace=False))
    tests = build_candidates(usable, frame, searched, answers)
    if not tests:
        return result.refuse("no attribute has two values on enough leads.")
    best = search_all(tests, answers[searched], searched, max_criteria)
    chosen = choose(best, tests, answers[searched], searched)
    rules = [chosen if len(rule.members) == len(chosen.members) else rule for rule in best]
    masks = {rule: evaluate(rule, tests) for rule in rules}
    return result.judge(chosen, rules, masks, tests, answers, found, judged)


def _check_settings(max_criteria: int, judge_share: float, min_kappa: float) -> None:
    if max_criteria not in {1, 2, 3}:
        raise ValueError(f"max_criteria: expected 1, 2 or 3, got {max_criteria!r}.")
    if not 0 < judge_share < 1:
        raise ValueError(f"judge_share: expected a number between 0 and 1, got {judge_share!r}.")
    if not 0 <= min_kappa < 1:
        raise ValueError(f"min_kappa: expected a number from 0 to below 1, got {min_kappa!r}.")


# ---- what was said -------------------------------------------------------------------------------


def _read_meaning(table: LeadTable, meant: Ratings | str, word: str) -> tuple[pd.DataFrame, Floats]:
    """Return the leads on which something was said, and yes (1), no (0) or nothing (NaN) by rater."""
    if isinstance(meant, str):
        if meant not in table.frame.columns:
            hint = suggest(meant, map(str, table.frame.columns))
            raise LeadsError(f"leads: no column {meant!r}.{hint} Name it in the contract.")
        column = table.frame[meant]
        words = [str(value) for value in column.dropna().unique()]
        _check_word(word, words, f"column {meant!r}")
        said = column.astype(object).where(column.notna(), None)
        answers = np.array([[nan if one is None else float(str(one) == word)] for one in said])
        frame = table.frame
    else:
        addresses = [address for address, _ in meant.criteria]
        # A criterion may be called by what is written: "decision soon" instead of hot.decision_soon.
        written = [address for address, text in meant.criteria if text == word]
        if len(written) == 1 and word not in meant.classes:
            word = written[0]
        _check_word(word, [*meant.classes, *addresses], "ratings")
        frame = find_leads(meant, table)
        matrix = meant.matrix(word if word in addresses else CLASS).to_numpy(dtype=object)
        yes, no = ("yes", {"no"}) if word in addresses else (word, set(meant.classes) - {word})
        answers = np.full(matrix.shape, nan)
        answers[matrix == yes] = 1
        answers[np.isin(matrix.astype(str), sorted(no))] = 0
    judged = (~np.isnan(answers)).any(axis=1)
    return frame[judged].reset_index(drop=True), answers[judged]


def _check_word(word: str, words: list[str], where: str) -> None:
    if word not in words:
        known = ", ".join(sorted(words)[:5]) or "none"
        raise LeadsError(f"{where}: no {word!r}.{suggest(word, words)} The words are {known}.")


def _usable(
    attributes: Mapping[str, Attribute], table: LeadTable, frame: pd.DataFrame, *, column: str
) -> tuple[list[Attribute], list[str]]:
    allowed = table.contract.attributes()
    usable: list[Attribute] = []
    notes: list[str] = []
    for name, attribute in attributes.items():
        declared = table.contract.column(name)
        if name == column:
            continue
        if name not in allowed or name not in frame.columns or declared is None:
            why = "is not an attribute of the leads"
        elif "after" in {attribute.known_at, declared.known_at}:
            why = "is known only after the handoff"
        elif attribute.type == "date":
            why = "is a date"
        elif attribute.type == "category" and not attribute.levels and is_free_text(frame[name]):
            why = "has too many different values"
        else:
            usable.append(attribute)
            continue
        notes.append(f"{name} {why} and was not tried.")
    if not usable:
        raise LeadsError("attributes: none of them can be used.", *notes)
    return usable, notes


def _ceiling(answers: Floats, confidence_level: float) -> Agreement:
    said = answers[:, (~np.isnan(answers)).any(axis=0)]
    return cohen_kappa(said, categories=(0.0, 1.0), confidence_level=confidence_level)


def _sides(answers: Floats) -> int:
    return min(int((answers == 1).any(axis=1).sum()), int((answers == 0).any(axis=1).sum()))


def _accounts(table: LeadTable, frame: pd.DataFrame) -> NDArray[Any]:
    """Return a number per lead that leads of one account share."""
    column = table.contract.column_by_role("account")
    alone = np.arange(len(frame))
    if column is None or column.name not in frame.columns:
        return alone
    known = frame[column.name].notna().to_numpy()
    codes, _ = pd.factorize(frame[column.name])
    return np.where(known, codes, len(frame) + alone)


def _split(
    answers: Floats, accounts: NDArray[Any], judge_share: float, random_state: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split accounts at random, those that were called by the word and the others each in this share."""
    rng = np.random.default_rng(random_state)
    yes = np.nanmean(answers, axis=1) > 0.5 if len(answers) else np.zeros(0, dtype=bool)
    groups, first = np.unique(accounts, return_index=True)
    apart = np.zeros(len(groups), dtype=bool)
    for side in (True, False):
        members = np.flatnonzero(yes[first] == side)
        apart[rng.permutation(members)[: round(judge_share * len(members))]] = True
    inside = apart[np.searchsorted(groups, accounts)]
    return np.flatnonzero(~inside), np.flatnonzero(inside)


# ---- the answer ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Result:
    """What every answer carries."""

    word: str
    ceiling: Agreement
    n_found: int
    n_judged: int
    notes: tuple[str, ...]
    confidence_level: float
    min_kappa: float

    def refuse(self, reason: str) -> Objectified:
        nothing = [
            Agreement(coefficient=name, value=nan, ci_low=nan, ci_high=nan, n=0)
            for name in ("balanced", "kappa")
        ]
        tried = pd.DataFrame(columns=list(_TRIED_COLUMNS))
        return self.answer("cannot be said", reason, None, [], nothing, tried)

    def judge(
        self,
        chosen: Rule,
        rules: list[Rule],
        masks: Mapping[Rule, Mask],
        tests: list[Candidate],
        answers: Floats,
        found: NDArray[np.int64],
        judged: NDArray[np.int64],
    ) -> Objectified:
        rows, figures = [], {}
        for rule in rules:
            fitted, _ = rule_agreement(
                masks[rule][found], answers[found], confidence_level=self.confidence_level
            )
            figures[rule] = rule_agreement(
                masks[rule][judged], answers[judged], confidence_level=self.confidence_level
            )
            balanced, kappa = figures[rule]
            words = "; ".join(tests[member].text for member in rule.members)
            row = (len(rule.members), _kind(rule), rule.k, words, rule == chosen, fitted.value)
            numbers = [
                getattr(one, name) for one in (balanced, kappa) for name in ("value", "ci_low", "ci_high")
            ]
            rows.append((*row, *numbers))
        balanced, kappa = figures[chosen]
        answer, reason = self.decide(kappa)
        texts = [tests[member].text for member in chosen.members]
        tried = pd.DataFrame(rows, columns=list(_TRIED_COLUMNS))
        return self.answer(answer, reason, chosen, texts, [balanced, kappa], tried)

    def decide(self, kappa: Agreement) -> tuple[Answer, str]:
        if np.isnan(kappa.ci_low) or kappa.ci_low <= 0:
            return "cannot be said", (
                f"on leads kept apart the best criteria agree with people no better than chance "
                f"(kappa {_figure(kappa)}): these attributes do not hold what is meant."
            )
        if kappa.value < self.min_kappa:
            return "said in part", (
                f"better than chance, but kappa {kappa.value:.2f} is below {self.min_kappa:g}: "
                "people also go by what these attributes do not hold."
            )
        if np.isnan(self.ceiling.value):
            return "said", f"kappa {kappa.value:.2f} with what people called it."
        short = self.ceiling.value - kappa.value
        return "said", (
            f"kappa {kappa.value:.2f} with people, who reach {self.ceiling.value:.2f} with each other"
            + (
                "."
                if short <= 0.1
                else ": a part of what they mean takes more criteria, or is in no attribute."
            )
        )

    def answer(
        self,
        answer: Answer,
        reason: str,
        rule: Rule | None,
        texts: list[str],
        figures: list[Agreement],
        tried: pd.DataFrame,
    ) -> Objectified:
        said = answer != "cannot be said" and rule is not None
        return Objectified(
            word=self.word,
            answer=answer,
            reason=reason,
            criteria=tuple(texts) if said else (),
            kind=_kind(rule) if rule is not None and said else "all_of",
            k=rule.k if rule is not None and said else 0,
            balanced=figures[0],
            kappa=figures[1],
            ceiling=self.ceiling,
            n_found=self.n_found,
            n_judged=self.n_judged,
            tried=tried,
            notes=self.notes,
        )


def _kind(rule: Rule) -> Kind:
    return "all_of" if rule.k == len(rule.members) else "at_least"
