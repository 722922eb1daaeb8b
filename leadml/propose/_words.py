"""Changes and amounts in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadml._render import format_change, format_count, format_money

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadml.definitions import Change
    from leadml.propose._goal import Stakes

__all__ = ["name_texts", "say_amount", "say_changes", "say_leads", "say_leads_needed", "say_sentence"]

_HOPELESS = 100  # times as many leads as there are: nobody waits for them


def say_leads(n: float, word: str = "lead") -> str:
    """Say how many leads: ``1 lead``, ``1,200 leads``."""
    text = format_count(n)
    return f"{text} {word}" if text == "1" else f"{text} {word}s"


def say_leads_needed(needed: int, n: int) -> str:
    """Say how many leads would decide, where there are `n`."""
    if needed > _HOPELESS * max(n, 1):
        return "so close to break-even that no number of leads will decide"
    return f"about {format_count(needed)} needed to decide"


def say_amount(value: float | None, stakes: Stakes) -> str:
    """Say a change in value without its unit: three digits of money, else as a count."""
    if value is None or not stakes.signed:
        return format_change(value)
    text = format_money(value)
    return f"+{text}" if value > 0 and text != "0" else text


def name_texts(change: Change) -> tuple[str, str]:
    """Return what is written and what would be, so that each can stand alone."""
    if change.kind == "added":
        return f"nothing more in `{change.address}`", f"also {change.proposed}"
    if change.proposed is None:
        return change.written, "(dropped)"
    if change.kind in {"group", "at_least"}:
        least = "at least " if change.kind == "at_least" else ""
        return (
            f"{least}{change.written} in `{change.address}`",
            f"{least}{change.proposed} in `{change.address}`",
        )
    return change.written, change.proposed


def say_changes(changes: Sequence[Change]) -> str:
    """Name changes in a few words: ``dropping `demo` and `months <= 12` instead of `months <= 6```."""
    return " and ".join(_say_change(change) for change in changes)


def _say_change(change: Change) -> str:
    written, proposed = name_texts(change)
    if change.kind == "added":
        return f"asking also for `{change.proposed}` in `{change.address}`"
    if change.proposed is None:
        return f"dropping `{written}`"
    if change.kind in {"group", "at_least"}:
        return f"asking for {proposed}"
    return f"`{proposed}` instead of `{written}`"


def say_sentence(changes: Sequence[Change]) -> str:
    """Say before and after in a sentence."""
    parts = []
    for change in changes:
        name = change.address.split(".")[0]
        if change.kind == "added":
            parts.append(f"`{name}` also asks for `{change.proposed}`")
        elif change.proposed is None:
            parts.append(f"`{name}` no longer asks for `{change.written}`")
        elif change.kind == "at_least":
            parts.append(f"`{name}` asks for at least {change.proposed} instead of {change.written}")
        elif change.kind == "points":
            parts.append(f"`{name}` gives {change.proposed} instead of {change.written}")
        else:
            parts.append(f"`{name}` asks for `{change.proposed}` instead of `{change.written}`")
    return "; ".join(parts) + "."
