"""Where leads lie when they lie in no file: a URL, a database table, or the name of either."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from leadml.errors import InputMissingError, LeadsError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["expand_environment", "is_address", "is_database", "mask_address", "mask_url", "split_address"]

_SQL = re.compile(r"(sqlite|postgres|mysql|mariadb|mssql|oracle|snowflake|bigquery|duckdb)[a-z0-9+]*://")
_FILES = re.compile(r"(https?|ftp|sftp|file|memory|s3a?|gs|gcs|abfss?|az|adl|hdfs)://")


def is_address(place: Path | str) -> bool:
    """Whether a place is a URL, or names one (``env:NAME#table``), and no path."""
    return isinstance(place, str) and ("://" in place or place.startswith("env:"))


def is_database(place: Path | str) -> bool:
    """Say whether a place is a table of a database."""
    if not isinstance(place, str) or "://" not in place or _FILES.match(place) is not None:
        return False
    return "#" in place or _SQL.match(place) is not None


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


def mask_url(url: str) -> str:
    """Return the URL of a file without its password and without what follows its path: that may be a key.

    Examples
    --------
    >>> mask_url("https://me:secret@host.example/leads.csv?sig=abc")
    'https://me:***@host.example/leads.csv'
    """
    return mask_address(url.partition("?")[0])


def expand_environment(place: str, *, where: str) -> str:
    """Replace ``env:NAME#table`` by the URL that the environment holds."""
    if not place.startswith("env:"):
        return place
    name, _, rest = place.removeprefix("env:").partition("#")
    if name not in os.environ:
        raise InputMissingError(f"{where}: the environment variable {name} is not set.")
    return f"{os.environ[name]}#{rest}"
