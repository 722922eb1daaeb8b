"""The errors that leadml raises on purpose.

::

    LeadmlError
    ├── DefinitionError     (ValueError)         a written definition is refused               exit 65
    ├── ContractError       (ValueError)         a leads contract is refused                   exit 65
    ├── LeadsError          (ValueError)         the leads themselves are refused              exit 65
    │   └── QuarantineError                      too many rows in quarantine, nothing kept     exit 4
    ├── ExperimentError     (ValueError)         an experiment file is refused                 exit 65
    ├── InputMissingError   (FileNotFoundError)  a file that was named is not there            exit 66
    ├── OutputError         (OSError)            a result cannot be written                    exit 73
    ├── LockedError         (OSError)            another job holds the output, retry           exit 75
    └── BundleError         (ValueError)         a model bundle is refused                     exit 78

Each class also inherits the builtin it refines. A file or table is checked as a whole and raised once:
``error.findings`` holds every finding, one line each; the message is their text.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "BundleError",
    "ContractError",
    "DefinitionError",
    "ExperimentError",
    "InputMissingError",
    "LeadmlError",
    "LeadsError",
    "LockedError",
    "OutputError",
    "QuarantineError",
]


class LeadmlError(Exception):
    """Base of every error that leadml raises on purpose.

    Parameters
    ----------
    *findings : str
        What is wrong, one sentence or two each: where, what was expected, what came, how to fix it.
        Never the value of a lead's personal data.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, *findings: str) -> None:
        super().__init__("\n".join(findings))
        self.findings: tuple[str, ...] = findings


class DefinitionError(LeadmlError, ValueError):
    """A written definition cannot be read."""

    exit_code = 65


class ContractError(LeadmlError, ValueError):
    """A leads contract cannot be read."""

    exit_code = 65


class LeadsError(LeadmlError, ValueError):
    """The leads do not fit what was asked of them."""

    exit_code = 65


class QuarantineError(LeadsError):
    """More rows broke the contract than its limit allows, so nothing was published.

    Attributes
    ----------
    quarantine : DataFrame or None
        The masked list of the damaged rows, for whoever wants to write it to a file.
    """

    exit_code = 4
    quarantine: Any = None


class ExperimentError(LeadmlError, ValueError):
    """An experiment file cannot be read."""

    exit_code = 65


class InputMissingError(LeadmlError, FileNotFoundError):
    """A file that was named is not there."""

    exit_code = 66


class OutputError(LeadmlError, OSError):
    """A result cannot be written where it was asked for."""

    exit_code = 73


class LockedError(LeadmlError, OSError):
    """Another job is writing the same output."""

    exit_code = 75


class BundleError(LeadmlError, ValueError):
    """A model bundle is not what its digest or its self-test says."""

    exit_code = 78
