"""The command that explains one lead: explain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadml.cli._output import AsOf, ContractFile, DefinitionOption, Json, Leads, as_day, print_json

if TYPE_CHECKING:
    import pandas as pd

    from leadml.leads import Contract

__all__ = ["add_commands"]

BESIDE = 1_999


def explain(
    contract: ContractFile,
    definition: DefinitionOption,
    lead: Annotated[str, typer.Option("--lead", metavar="ID", help="The id of the lead.")],
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="BUNDLE", help="Its models; without, only the definition speaks."),
    ] = None,
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Say why one lead is in its class.

    The reasons in the definition's words, the nearest way to Sales, and what the models make of it: not a
    cause. No value of the lead is printed.
    """
    from leadml.definitions import load_definition
    from leadml.leads import load_contract
    from leadml.models import load_bundle
    from leadml.review import explain_lead

    loaded = load_contract(contract)
    models = {} if bundle is None else load_bundle(bundle).models
    name = next(column.name for column in loaded.columns if column.role == "id")
    found = explain_lead(
        load_definition(definition),
        _read_beside(loaded, leads, lead, name),
        lead,
        id_column=name,
        models=models,
        as_of=as_day(as_of),
    )
    if json:
        print_json(found.to_dict())
    else:
        print(found)


def _read_beside(contract: Contract, leads: str | None, lead: str, name: str) -> pd.DataFrame:
    """Read the lead and the first others of its export, whatever the length of the file."""
    import pandas as pd

    from leadml.leads import open_leads

    parts: list[pd.DataFrame] = []
    others = 0
    with open_leads(contract, leads=leads) as stream:
        for batch in stream:
            own = (batch.frame[name].astype(str) == lead).to_numpy(dtype=bool)
            rest = batch.frame[~own].head(BESIDE - others)
            others += len(rest)
            parts += [batch.frame[own], rest]
    return pd.concat(parts, ignore_index=True)


def add_commands(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command()(explain)
