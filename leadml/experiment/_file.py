"""The experiment file: one question, the definition and the leads that answer it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from leadml._yaml import Problems, parse_yaml, read_yaml
from leadml.errors import ExperimentError
from leadml.leads import is_address
from leadml.propose import Goal, split_error_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadml._yaml import MappingNode, Node

__all__ = ["Experiment", "load_experiment", "parse_experiment"]

Target = Literal["accepted", "won"]

_KEYS = (
    "question",
    "definition",
    "contract",
    "leads",
    "targets",
    "as_of",
    "confirm_from",
    "goal",
    "proposals",
    "also_try",
    "ratings",
)
_PROPOSALS = (
    "max_changes",
    "max_candidates",
    "error_rate",
    "error_rate_per_year",
    "reviews_per_year",
    "looks",
    "segments",
)
_EXTRAS = ("ebm",)
_TARGETS = ("accepted", "won")
_GOALS = ("net_value", "accepted", "won")
_MAX_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One question to the closed loop.

    Attributes
    ----------
    question : str
        What the review wants to know.
    definition, contract : Path
        The written definition and the leads contract.
    leads : Path, str or None
        An export that replaces the contract's first table.
    targets : tuple of {"accepted", "won"}
        What is modelled and compared.
    as_of : date or None
        The day the leads were exported; None takes the newest date in them.
    confirm_from : date or None
        First day of the confirmation leads; None takes the last two matured quarters.
    goal : Goal
        What a proposal has to improve.
    max_changes, max_candidates : int
        Changes per proposal, and candidates registered for confirmation.
    error_rate : float
        Chance of any false proposal in this review, in (0, 0.5). The file may give it for a year instead.
    segments : tuple of str
        Attributes by which a threshold may differ, if the evidence for the difference is confirmed.
    also_try : tuple of {"ebm"}
        Further candidates for the models: the explainable boosting machine (extra ``ebm``; slow).
    ratings : tuple of Path
        Rating sheets that both sides filled in (`leadml rate sample`); for the packet.
    ratings_key : Path or None
        The key of these sheets.
    random_state : int
        Seed of everything random.
    source : str
        The file's name.
    """

    question: str
    definition: Path
    contract: Path
    leads: Path | str | None = None
    targets: tuple[Target, ...] = ("accepted", "won")
    as_of: date | None = None
    confirm_from: date | None = None
    goal: Goal = field(default_factory=lambda: Goal(maximise="net_value"))
    max_changes: int = 2
    max_candidates: int = 3
    error_rate: float = 0.05
    segments: tuple[str, ...] = ()
    also_try: tuple[str, ...] = ()
    ratings: tuple[Path, ...] = ()
    ratings_key: Path | None = None
    random_state: int = 0
    source: str = "<experiment>"


def load_experiment(path: Path | str) -> Experiment:
    """Read an experiment file; the paths in it are relative to the file.

    Raises
    ------
    InputMissingError
        If the file cannot be read.
    ExperimentError
        With everything that is wrong in it.
    """
    top, _ = read_yaml(path, what="experiment", error=ExperimentError)
    return _read(top, source=str(path), folder=Path(path).parent)


def parse_experiment(text: str, *, source: str = "<experiment>", folder: Path | str = ".") -> Experiment:
    """Read an experiment from text; `folder` is where its relative paths start."""
    top = parse_yaml(text, source=source, what="experiment", error=ExperimentError)
    return _read(top, source=source, folder=Path(folder))


def _read(top: MappingNode, *, source: str, folder: Path) -> Experiment:
    problems = Problems(source, ExperimentError)
    required = ("question", "definition", "contract")
    problems.keys(top, "experiment", (*_KEYS, "random_state"), required)
    paths = {key: problems.text(top.get(key), key) for key in ("definition", "contract", "leads")}
    proposals = problems.mapping(top.get("proposals"), "proposals")
    if proposals is not None:
        problems.keys(proposals, "proposals", _PROPOSALS)

    def option(key: str) -> Node | None:
        return None if proposals is None else proposals.get(key)

    ratings = problems.mapping(top.get("ratings"), "ratings")
    if ratings is not None:
        problems.keys(ratings, "ratings", ("sheets", "key"), ("sheets", "key"))
    key = None if ratings is None else problems.text(ratings.get("key"), "ratings: key")
    sheets = () if ratings is None else problems.texts(ratings.get("sheets"), "ratings: sheets")
    experiment = Experiment(
        question=problems.text(top.get("question"), "question") or "",
        definition=folder / (paths["definition"] or ""),
        contract=folder / (paths["contract"] or ""),
        leads=_leads(paths["leads"], folder),
        targets=_targets(problems, top.get("targets")),
        as_of=_day(problems, top.get("as_of"), "as_of"),
        confirm_from=_day(problems, top.get("confirm_from"), "confirm_from"),
        goal=_goal(problems, top.get("goal")),
        max_changes=_integer(problems, option("max_changes"), "max_changes", 2, 1, 3),
        max_candidates=_integer(problems, option("max_candidates"), "max_candidates", 3, 1, 3),
        error_rate=_error_rate(problems, option),
        segments=problems.texts(option("segments"), "segments") if option("segments") is not None else (),
        also_try=_also_try(problems, top.get("also_try")),
        ratings=tuple(folder / sheet for sheet in sheets),
        ratings_key=None if key is None else folder / key,
        random_state=_integer(problems, top.get("random_state"), "random_state", 0, 0, _MAX_SEED),
        source=source,
    )
    problems.raise_if_any()
    return experiment


def _leads(text: str | None, folder: Path) -> Path | str | None:
    return text if text is None or is_address(text) else folder / text


def _error_rate(problems: Problems, option: Callable[[str], Node | None]) -> float:
    """Return the error rate of the review: given, or the share of a year's that falls on it."""
    rate = _number(problems, option("error_rate"), "error_rate", 0.5)
    yearly = _number(problems, option("error_rate_per_year"), "error_rate_per_year", 0.5)
    reviews = _integer(problems, option("reviews_per_year"), "reviews_per_year", 4, 1, 366)
    looks = _integer(problems, option("looks"), "looks", 1, 1, 366)
    if yearly is None:
        for name in ("reviews_per_year", "looks"):
            if option(name) is not None:
                problems.add(option(name), f"{name}: expected error_rate_per_year beside it, to be shared.")
        return rate or 0.05
    if rate is not None:
        problems.add(option("error_rate"), "error_rate, error_rate_per_year: expected one of them, got both.")
    return split_error_rate(yearly, reviews_per_year=reviews, looks=looks)


def _targets(problems: Problems, node: Node | None) -> tuple[Target, ...]:
    found = problems.texts(node, "targets") if node is not None else _TARGETS
    for text in found:
        if text not in _TARGETS:
            problems.add(node, f"targets: expected accepted or won, got {text!r}.")
    if node is not None and not found:
        problems.add(node, "targets: expected accepted, won or both, got an empty list.")
    return tuple(cast("Target", target) for target in _TARGETS if target in found)


def _also_try(problems: Problems, node: Node | None) -> tuple[str, ...]:
    found = problems.texts(node, "also_try") if node is not None else ()
    for text in found:
        if text not in _EXTRAS:
            problems.add(node, f"also_try: expected ebm, got {text!r}.")
    return tuple(name for name in _EXTRAS if name in found)


def _goal(problems: Problems, node: Node | None) -> Goal:
    goal = problems.mapping(node, "goal")
    if goal is None:
        return Goal(maximise="net_value")
    problems.keys(goal, "goal", ("maximise", "capacity", "minimum_acceptance"), ("maximise",))
    maximise = problems.choice(goal.get("maximise"), "goal: maximise", _GOALS)
    return Goal(
        maximise=cast("Literal['net_value', 'accepted', 'won']", maximise if maximise in _GOALS else "won"),
        capacity=_capacity(problems, goal.get("capacity")),
        minimum_acceptance=_number(problems, goal.get("minimum_acceptance"), "goal: minimum_acceptance", 1),
    )


def _capacity(problems: Problems, node: Node | None) -> float | None:
    text = problems.text(node, "goal: capacity")
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)(?: +(?:per|a) +month)?", text.strip())
    if match is None or float(match[1]) <= 0:
        problems.add(node, f"goal: capacity: expected leads per month such as '400 per month', got {text!r}.")
        return None
    return float(match[1])


def _day(problems: Problems, node: Node | None, what: str) -> date | None:
    text = problems.text(node, what)
    if text is None or (what == "confirm_from" and text == "last two matured quarters"):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        problems.add(node, f"{what}: expected a day such as 2026-04-01, got {text!r}.")
        return None


def _integer(problems: Problems, node: Node | None, what: str, default: int, low: int, high: int) -> int:
    text = problems.text(node, what)
    if text is None:
        return default
    if re.fullmatch(r"\d{1,10}", text) and low <= int(text) <= high:
        return int(text)
    problems.add(node, f"{what}: expected a whole number from {low} to {high}, got {text!r}.")
    return default


def _number(problems: Problems, node: Node | None, what: str, high: float) -> float | None:
    text = problems.text(node, what)
    if text is None:
        return None
    try:
        value = float(Decimal(text))
    except InvalidOperation:
        value = float("nan")
    if 0 < value < high:
        return value
    problems.add(node, f"{what}: expected a number above 0 and below {high:g}, got {text!r}.")
    return None
