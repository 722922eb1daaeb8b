"""Words of a review that stand in more than one of its parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadml.definitions import Definition

__all__ = ["say_plainly", "say_rule", "say_rule_at", "say_rules_in"]

_SPACE = "\N{NO-BREAK SPACE}"
# What only a statistician reads: it stands in the result files and in the folds.
_JARGON = re.compile(
    r"\b(?:AUC|SHAP|PSI|Brier|Cram[eé]r|chi-?squared?|Holm|Wilson|Shapley|kappa|log[- ]?loss|log-odds|"
    r"odds ratio|confidence|significan\w*|p(?:-value)?\s*[=<]|p [0-9])"
)


def say_rule(rule: str) -> str:
    """Write a rule as people do: one sign for at least and one for at most, and never broken after it."""
    for sign, written in ((">=", "≥"), ("<=", "≤"), ("!=", "≠")):
        rule = rule.replace(sign, written)
    return re.sub(r"([≥≤≠<>=]) ", f"\\1{_SPACE}", rule)


def say_rule_at(definition: Definition, address: object) -> str:
    """Write the rule that stands at an address; the address itself if there is none."""
    known = {criterion.address: criterion.text for criterion in definition.criteria()}
    return say_rule(known.get(str(address), str(address)))


def say_rules_in(text: str) -> str:
    """Write the rules that a text quotes as people do."""
    return re.sub(r"`([^`]*)`", lambda rule: f"“{say_rule(rule[1])}”", text)


def say_plainly(message: str) -> str:
    """Leave out what only a statistician reads: brackets and sentences with such words."""
    text = re.sub(r" \([^()]*\)", lambda bracket: "" if _JARGON.search(bracket[0]) else bracket[0], message)
    if not _JARGON.search(text):
        return text
    sentences = re.split(r"(?<=[.!?;]) ", text)
    plain = " ".join(sentence for sentence in sentences if not _JARGON.search(sentence))
    return plain or "Something for the analyst: it stands in the audit (leadml audit)."
