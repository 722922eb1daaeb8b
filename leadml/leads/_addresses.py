"""Where leads lie when they lie in no file: a URL, a database table, or the name of either."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from leadml.errors import InputMissingError, LeadsError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["expand_environment", "is_address", "is_database", "mask_address", "split_address"]

_SQL = re.compile(r"(sqlite|postgres|mysql|mariadb|mssql|oracle|snowflake|bigquery|duckdb)[a-z0-9+]*://")


def is_address(place: Path | str) -> bool:
    """Whether a place is a URL, or names one (``env:NAME#table``), and no path."""
    return isinstance(place, str) and ("://" in place or place.startswith("env:"))


def is_database(place: Path | str) -> bool:
    """Say whether a place is a table of a database."""
    return isinstance(place, str) and "://" in place and ("#" in place or _SQL.match(place) is not None)


def split_address(address: str) -> tuple[str, str | None, str]:
    """Split ``<database URL>#<schema>.<table>`` into URL, schema (or None) and table.

    Examples
    --------
    >>> split_address("postgresql+psycopg://db.example/crm#sales.leads")
    ('postgresql+psycopg://db.example/crm', 'sales', 'leads')
    """
    url, _, name = address.partition("#")
    schema, _, table = name.rpartition(".")
    if not table:
        raise LeadsError(
            f"{mask_address(address)}: expected a database address that ends in `#table`, got no table."
        )
    return url, schema or None, table


def mask_address(address: str) -> str:
    """Return an address without its password."""
    return re.sub(r"(?<=://)([^/@]*?):[^/@]*@", r"\1:***@", address)


def expand_environment(place: str, *, where: str) -> str:
    """Replace ``env:NAME#table`` by the URL that the environment holds."""
    if not place.startswith("env:"):
        return place
    name, _, rest = place.removeprefix("env:").partition("#")
    if name not in os.environ:
        raise InputMissingError(f"{where}: the environment variable {name} is not set.")
    return f"{os.environ[name]}#{rest}"
