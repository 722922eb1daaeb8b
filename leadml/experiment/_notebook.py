"""The review as an executed notebook: the same loop, cell by cell, for whoever wants to look into it."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadml._files import write_text
from leadml.errors import InputMissingError, LeadsError, OutputError
from leadml.leads import is_address, mask_address

if TYPE_CHECKING:
    from datetime import date

__all__ = ["write_review_notebook"]

_CELL_SECONDS = 3_600


def write_review_notebook(
    experiment: Path | str, path: Path | str, *, leads: Path | str | None = None, as_of: date | None = None
) -> None:
    """Execute the review notebook for one experiment and write it with its outputs.

    The notebook runs in a kernel of its own, from the folder where it will lie, and names its inputs relative
    to that folder, so that it can be run again there. Its parameters stand in a cell of their own, tagged as
    papermill tags them; nbclient, which JupyterLab brings along, executes it. Its outputs are aggregates.

    Parameters
    ----------
    experiment : path-like
        The experiment file.
    path : path-like
        Where the notebook goes (``.ipynb``).
    leads : path-like or URL, optional
        An export that replaces the contract's first table.
    as_of : date, optional
        The day of the export.

    Raises
    ------
    InputMissingError
        If the extra ``notebook`` is not installed.
    LeadsError
        If `leads` is a URL with a password in it.
    OutputError
        If a cell fails or the notebook cannot be written.
    """
    target = Path(path)
    folder = target.absolute().parent
    parameters = {
        "EXPERIMENT": _relative(Path(experiment), folder),
        "LEADS": None if leads is None else _place(leads, folder),
        "AS_OF": None if as_of is None else as_of.isoformat(),
    }
    text = (files("leadml.experiment") / "templates" / "review.ipynb").read_text("utf-8")
    write_text(target, _execute(_parameterise(json.loads(text), parameters), folder, name=target.name))


def _place(leads: Path | str, folder: Path) -> str:
    if not is_address(leads):
        return _relative(Path(leads), folder)
    if mask_address(str(leads)) != leads:
        raise LeadsError(
            "--leads: a password would stand in the notebook; put the URL into an environment variable and "
            "name it as env:NAME#TABLE."
        )
    return str(leads)


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.absolute(), folder)).as_posix()


def _parameterise(notebook: dict[str, Any], parameters: dict[str, str | None]) -> dict[str, Any]:
    """Put the parameters into a cell after the one that holds the defaults."""
    cells = notebook["cells"]
    (place,) = [i for i, cell in enumerate(cells) if "parameters" in cell["metadata"].get("tags", ())]
    injected: dict[str, Any] = {
        "cell_type": "code",
        "id": "parameters",
        "metadata": {"tags": ["injected-parameters"]},
        "source": "\n".join(f"{name} = {value!r}" for name, value in parameters.items()),
        "execution_count": None,
        "outputs": [],
    }
    return {**notebook, "cells": [*cells[: place + 1], injected, *cells[place + 1 :]]}


def _execute(notebook: dict[str, Any], folder: Path, *, name: str) -> str:
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError as error:
        raise InputMissingError(
            "the review notebook needs JupyterLab, which is not installed. Install leadml with its extra "
            "`notebook`: pip install 'leadml[notebook]'."
        ) from error
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # plots inline
    folder.mkdir(parents=True, exist_ok=True)
    loaded = nbformat.reads(json.dumps(notebook), as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        loaded,
        timeout=_CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute(env=environment, stderr=subprocess.DEVNULL)
    except CellExecutionError as error:  # its text may quote a lead
        raise OutputError(f"{name}: a cell failed with {error.ename}; nothing was written.") from None
    return json.dumps(loaded, indent=1, ensure_ascii=False) + "\n"
