"""Read whole, write whole: files are written to a temporary name and renamed."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from leadml.errors import InputMissingError, LeadmlError, LockedError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["compute_sha256", "locked_file", "read_bytes", "replaced_file", "write_text"]


def read_bytes(path: Path | str, *, what: str) -> bytes:
    """Read a file whole, or raise `InputMissingError` saying `what` was looked for ("definition", …)."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputMissingError(f"{path}: cannot read this {what}: {_reason(error)}.") from error


def compute_sha256(path: Path | str) -> str:
    """Compute the SHA-256 of a file as 64 hexadecimal digits, reading it in blocks."""
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputMissingError(f"{path}: cannot read this file: {_reason(error)}.") from error


@contextmanager
def replaced_file(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the same folder and rename it over `path` when the block ends well.

    If the block raises, or the process is killed, the old file is left whole; the temporary file is
    removed when that is still possible. Missing parent folders are made.

    Raises
    ------
    OutputError
        If the folder cannot be made or written, or the disk is full.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{target}: cannot write here: {_reason(error)}.") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, LeadmlError):  # said already, such as an input that is missing
            raise
        raise OutputError(f"{target}: cannot write here: {_reason(error)}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8 with its line ends untouched, whole or not at all."""
    with replaced_file(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


@contextmanager
def locked_file(path: Path | str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` for the block; the system frees it when a holder is killed.

    Parameters
    ----------
    path : path-like
        The lock file. It is made, and removed again by its last holder; its folder must exist.
    wait : float
        Seconds to wait for another holder.

    Raises
    ------
    LockedError
        If another process holds the lock for longer than `wait`.
    OutputError
        If the lock file cannot be made.
    """
    target = Path(path)
    handle = _acquire(target, time.monotonic() + wait)
    try:
        yield
    finally:
        with suppress(OSError):
            target.unlink()
        with suppress(OSError):
            os.close(handle)


def _acquire(target: Path, deadline: float) -> int:
    import fcntl

    while True:
        try:
            handle = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OutputError(f"{target}: cannot write this lock file: {_reason(error)}.") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"{target}: another job holds this lock. Try again when it has ended."
                ) from None
            time.sleep(0.05)
            continue
        except OSError as error:
            os.close(handle)
            raise OutputError(f"{target}: cannot lock this file: {_reason(error)}.") from error
        with suppress(OSError):  # the holder before us may have removed the name while we opened it
            if os.path.samestat(os.fstat(handle), target.stat()):
                return handle
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
