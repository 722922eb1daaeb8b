"""Which roles the columns of an unknown export may have, from their names and from one another."""

from __future__ import annotations

import re
from typing import Any

from leadml.leads._propose_values import IDENTIFIER, MAX_WORDS, Guess, as_yaml_list, free_name, plain_name

__all__ = ["choose_roles"]

_WON = {"won", "closed won", "1", "true", "yes", "gewonnen", "gagné", "gagnée", "ganado", "ganada"}
_LOST = {"lost", "closed lost", "loss", "verloren", "perdu", "perdue", "perdido", "perdida"}
_REP = re.compile(
    r"(^|_)(owner|seller|sales_?rep|sdr|sr|salesperson|assigned_(to|user)|bearbeiter(in)?|betreuer(in)?"
    r"|verkaufer(in)?|eigentumer|inhaber|vendeur|commercial|vendedor|propietario)(_employee)?(_f?id|_name)?$"
)
_ACCOUNT = re.compile(r"^(property_)?(company|account|organi[sz]ation)(_name|_account)?$")
_AFTERWARDS = re.compile(r"(^|_)(conver|clos|won|lost|decid|decision)")
_OTHER_DAYS = re.compile(r"(^|_)(modif|updat|sync|system|last|recent|hired|expected|start|end|due)")
_CAPTURES = (
    re.compile("creat"),
    re.compile("first_contact|captur|submit|inquir|enter"),
    re.compile("date|contact"),
)
_VERDICT = re.compile(r"(^|_)(accepted|(un|dis)?qualified|converted|rejected)$")
_JUDGED = re.compile(r"\b((un|dis)?qualified|accepted|rejected|(un)?converted)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(^|_)(id|no|nr|num|number|key|code)$")
_REASON = re.compile(r"(^|_)(reason|reasons)(_|$)")
_NEARLY = 0.95


def choose_roles(guesses: list[Guess], filled: dict[str, list[Any]], n: int, taken: set[str]) -> None:
    """Give the roles that values and names make likely; say which others there may be."""
    attributes = [guess for guess in guesses if guess.role == "attribute"]
    _choose_id(guesses, filled, n, taken)
    _choose_created(attributes, filled, n)
    _choose_outcome(attributes, filled)
    _choose_first(attributes, filled, _REP, "rep", "taken as who worked the lead.")
    _choose_first(attributes, filled, _ACCOUNT, "account", "taken as the lead's company.")
    for guess in attributes:
        if guess.role == "attribute":
            _hint(guess, filled[guess.source], n)


def _choose_id(guesses: list[Guess], filled: dict[str, list[Any]], n: int, taken: set[str]) -> None:
    unique = [
        guess
        for guess in guesses
        if guess.role != "personal" and guess.source in filled and len(set(filled[guess.source])) == n > 0
    ]
    named = [guess for guess in unique if IDENTIFIER.search(plain_name(guess.source))]
    rest = [guess for guess in unique if guess.type in {"category", "integer"}]
    chosen = min(named, key=_rank_of_id, default=rest[0] if rest else None)
    if chosen is not None:
        chosen.role, chosen.type, chosen.more, chosen.confirm = "id", "", [], []
        return
    line = Guess(
        free_name("lead_id", taken), "#line", "id", confirm=["no column names each lead; its line does."]
    )
    guesses.insert(0, line)


def _rank_of_id(guess: Guess) -> int:
    name = plain_name(guess.source)
    if name in {"id", "record_id", "lead_id", "hs_object_id", "leadid"}:
        return 0
    return (
        1
        if not re.search(r"(owner|_by_|account|contact|converted|campaign|master|user|session)", name)
        else 2
    )


def _choose_created(attributes: list[Guess], filled: dict[str, list[Any]], n: int) -> None:
    """Take the day on which each lead came in: always there, and not the day of something later."""
    whole = [
        (guess, plain_name(guess.source))
        for guess in attributes
        if guess.type == "date" and len(filled[guess.source]) == n
    ]
    fit = [each for each in whole if not _AFTERWARDS.search(each[1]) and not _OTHER_DAYS.search(each[1])]
    for words in _CAPTURES:
        for guess, name in fit:
            if words.search(name):
                guess.role = "created"
                guess.confirm.append("taken as the day the lead came in.")
                return
    if len(fit) == 1:
        fit[0][0].role = "created"
        fit[0][0].confirm.append("taken as the day the lead came in: the only day that every lead has.")


def _choose_outcome(attributes: list[Guess], filled: dict[str, list[Any]]) -> None:
    for guess in attributes:
        if guess.role != "attribute" or guess.type not in {"category", "boolean"}:
            continue
        plain = {str(text).strip().casefold(): str(text).strip() for text in filled[guess.source]}
        won, lost = ([plain[word] for word in plain if word in words] for words in (_WON, _LOST))
        if 2 <= len(plain) <= MAX_WORDS and won and lost:
            guess.role, guess.type = "outcome", ""
            guess.more = [f"won: {as_yaml_list(won)}", f"lost: {as_yaml_list(lost)}"]
            guess.confirm = ["taken as the outcome."]
            return


def _choose_first(
    attributes: list[Guess], filled: dict[str, list[Any]], names: re.Pattern[str], role: str, why: str
) -> None:
    for guess in attributes:
        values = filled[guess.source]
        if (
            guess.role == "attribute"
            and guess.type in {"category", "integer"}
            and names.search(plain_name(guess.source))
            and 1 < len(set(values)) < len(values)
        ):
            guess.role, guess.type, guess.more, guess.confirm = role, "", [], [why]
            return


def _hint(guess: Guess, values: list[Any], n: int) -> None:
    """Say what a column may be instead of an attribute."""
    name = plain_name(guess.source)
    n_words = len(set(values))
    if guess.type == "date" and _AFTERWARDS.search(name):
        guess.confirm.append(
            "may be the day of the verdict or of the deal's end (`role: decided` or `closed`)."
        )
    elif guess.type == "integer" and n_words == n > MAX_WORDS:
        guess.confirm.append("differs in every row: the number of a record is no attribute.")
    elif _NUMBER.search(name) and n_words > max(MAX_WORDS, _NEARLY * n):
        guess.confirm.append(
            f"is repeated in {n - n_words:,} rows only: if it numbers records, `role: id` puts these aside."
        )
    elif _REASON.search(name):
        guess.confirm.append("may be Sales' reason (`role: reason`).")
    elif n_words <= MAX_WORDS and (
        _VERDICT.search(name) or any(_JUDGED.search(str(text)) for text in set(values))
    ):
        guess.confirm.append("may be the verdict (`role: verdict`); an attribute it is not.")
    elif re.search(r"(^|_)won$", name) and n_words <= MAX_WORDS:
        guess.confirm.append("may be the outcome (`role: outcome`); an attribute it is not.")
