"""Rows that do not fit in memory: a file without a name, gone with its process, whatever ends it.

It is SQLite's own temporary database. Where the system can, the file is removed as soon as it is open (on
Windows when it is closed), only this user could open it before, and it is written only when there are more
rows than a few megabytes. A lead's id or e-mail that joins two tables is kept as a keyed hash; the key is
never written.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leadml.errors import LeadmlError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["STORED_ROWS", "Store", "named_if_full", "open_store"]

STORED_ROWS = 10_000  # in memory at a time, on their way into a store
SETTINGS = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -8192")  # KiB of memory


@dataclass(frozen=True, eq=False, kw_only=True)
class Store:
    """An open temporary database and the key of its hashes."""

    connection: sqlite3.Connection
    key: bytes

    def hash_texts(self, texts: Iterable[object]) -> list[bytes | None]:
        """Return a keyed hash (BLAKE2b, 128 bits) of each text without surrounding spaces; None of none."""
        hashes: list[bytes | None] = []
        for text in texts:
            plain = "" if text is None else str(text).strip()
            hashes.append(self.hash_record(plain) if plain else None)
        return hashes

    def hash_record(self, text: str) -> bytes:
        """Return the keyed hash of one text as it stands."""
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=self.key).digest()

    def run(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """Run one statement and return its rows."""
        with named_if_full():
            return self.connection.execute(statement, values).fetchall()

    def scan(self, statement: str) -> Iterator[Any]:
        """Yield the rows of a statement, a few in memory at a time."""
        with named_if_full():
            yield from self.connection.execute(statement)

    def run_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row."""
        with named_if_full():
            self.connection.executemany(statement, rows)

    def close(self) -> None:
        """Give the disk space back."""
        self.connection.close()


def open_store() -> Store:
    """Open an empty store; it is closed when it is no longer used."""
    with named_if_full():
        connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        connection.execute("BEGIN")  # never ended: nothing of it is to stay
    store = Store(connection=connection, key=secrets.token_bytes(32))
    weakref.finalize(store, connection.close)
    return store


@contextmanager
def named_if_full() -> Iterator[None]:
    """Say of a working file that cannot be written what it is and what helps."""
    try:
        yield
    except LeadmlError:
        raise
    except (sqlite3.OperationalError, OSError) as error:
        reason = str(error) if isinstance(error, sqlite3.Error) else (error.strerror or type(error).__name__)
        raise OutputError(
            f"cannot write a working file: {reason.lower()}. Free space where temporary files lie, or name"
            " another folder in the variable TMPDIR."
        ) from None
