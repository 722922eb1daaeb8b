"""Texts that look alike but are not: letters of two scripts in one word, and names that read the same."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from leadml._yaml import ScalarNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadml._yaml import Node

__all__ = ["find_lookalikes", "find_mixed_words"]

_SCRIPTS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})
_TWINS = str.maketrans(
    "аеорсухіјѕԁһԛԝѵткмАВЕКМНОРСТУХІЈЅԌԚԜαοινρτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdhqwvtkmABEKMHOPCTYXIJSGQWaoivptuxABEZHIKMNOPTYX",
)


def find_mixed_words(node: Node) -> Iterator[tuple[ScalarNode, str]]:
    """Yield every text in which one word has letters of two scripts, with that word."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, ScalarNode):
            if not item.text.isascii():
                yield from ((item, word) for word in re.findall(r"\w+", item.text) if len(_scripts(word)) > 1)
            continue
        for child in item.items:
            stack.extend(child if isinstance(child, tuple) else (child,))


def _scripts(word: str) -> set[str]:
    return {unicodedata.name(char, "").split(" ")[0] for char in word if char.isalpha()} & _SCRIPTS


def find_lookalikes(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of different names that a reader cannot tell apart."""
    seen: dict[str, str] = {}
    for name in names:
        skeleton = " ".join(unicodedata.normalize("NFKC", name).translate(_TWINS).split())
        other = seen.setdefault(skeleton, name)
        if other != name:
            yield other, name
