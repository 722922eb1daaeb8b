"""Commands about what people mean: rate sample, rate read, objectify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from leadml.cli._output import (
    AsOf,
    ContractOption,
    DefinitionFile,
    Json,
    Leads,
    RandomState,
    Ratings,
    RatingsKey,
    UsageError,
    as_day,
    finish,
    print_json,
)

__all__ = ["add_commands"]

Key = Annotated[
    Path,
    typer.Option("--key", metavar="FILE", help="Which lead is which; keep it from those who judge (.json)."),
]


def sample(
    definition: DefinitionFile,
    contract: ContractOption,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Gets one sheet per side.")],
    key: Key,
    n: Annotated[int, typer.Option("--n", metavar="N", min=1, help="Leads to judge.")] = 120,
    side: Annotated[
        list[str] | None,
        typer.Option("--side", metavar="NAME", help="Who judges; repeat it [default: marketing, sales]."),
    ] = None,
    criteria: Annotated[
        str, typer.Option("--criteria", metavar="WHICH", help="Judge criteria too: none, prose or all.")
    ] = "none",
    criterion: Annotated[
        list[str] | None,
        typer.Option("--criterion", metavar="ADDRESS", help="Judge this criterion too; repeat it."),
    ] = None,
    leads: Leads = None,
    as_of: AsOf = None,
    random_state: RandomState = 0,
    json: Json = False,
) -> None:
    """Draw leads for both sides to judge blind: the same leads, attributes only, one spreadsheet each."""
    from leadml.compare import sample_ratings, write_rating_sheets
    from leadml.definitions import load_definition
    from leadml.leads import load_contract, read_leads

    if criteria not in {"none", "prose", "all"}:
        raise UsageError(f"--criteria: expected none, prose or all, got {criteria!r}.")
    table = read_leads(load_contract(contract), leads=leads, as_of=as_day(as_of))
    try:
        drawn = sample_ratings(
            load_definition(definition),
            table,
            n=n,
            sides=tuple(side) if side else ("marketing", "sales"),
            criteria=criterion or cast("Any", criteria),
            random_state=random_state,
        )
    except ValueError as error:
        if not getattr(error, "findings", None):
            raise UsageError(f"--side: {error}") from error
        raise
    written = write_rating_sheets(drawn, output, key=key)
    if json:
        counts = {
            "n_leads": int(drawn.key["lead_id"].nunique()),
            "criteria": [list(c) for c in drawn.criteria],
        }
        sheets = [str(path) for path in written]
        print_json(
            {**counts, "sides": list(drawn.sides), "sheets": sheets, "key": str(key), "notes": drawn.notes}
        )
    else:
        print(drawn)
        for path in written:
            print(f"sheet: {path}")
        print(f"key: {key} (keep it from those who judge)")
    finish(rows=table.manifest)


def read(
    definition: DefinitionFile,
    sheets: Annotated[
        list[Path], typer.Argument(metavar="SHEET...", help="The filled sheets (.csv or .xlsx).")
    ],
    contract: ContractOption,
    key: Key,
    leads: Leads = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Read the filled sheets back: what the sides agree about, where they part, who is stricter."""
    from leadml.compare import compare_ratings, read_ratings
    from leadml.definitions import load_definition
    from leadml.leads import load_contract, read_leads

    table = read_leads(load_contract(contract), leads=leads, as_of=as_day(as_of))
    result = compare_ratings(read_ratings(sheets, key=key), load_definition(definition), table)
    if json:
        print_json(result.to_dict())
    else:
        print(result)
        splits = result.splits[result.splits["question"] == "class"]
        for row in splits.head(10).itertuples(index=False):
            print(f"  split: {row.lead_id}: {row.answers} | {row.lead}")
        if len(splits) > 10:
            print(f"  … {len(splits) - 10:,} more; --json has them all")
    finish(rows=table.manifest)


def objectify(
    definition: DefinitionFile,
    contract: ContractOption,
    word: Annotated[
        str, typer.Option("--word", metavar="WORD", help="Which word, such as hot or 'decision soon'.")
    ],
    column: Annotated[
        str | None, typer.Option("--column", metavar="NAME", help="The leads' column that holds the word.")
    ] = None,
    ratings: Ratings = None,
    key: RatingsKey = None,
    max_criteria: Annotated[
        int, typer.Option("--max-criteria", metavar="N", min=1, max=3, help="How many criteria at most.")
    ] = 3,
    leads: Leads = None,
    as_of: AsOf = None,
    random_state: RandomState = 0,
    json: Json = False,
) -> None:
    """Say a subjective word in objective criteria, and how well they repeat what people meant by it."""
    from leadml.compare import objectify as find_criteria
    from leadml.compare import read_ratings
    from leadml.definitions import load_definition
    from leadml.leads import load_contract, read_leads

    if (column is None) == (not ratings):
        raise UsageError("--column, --ratings: expected one of the two.")
    if ratings and key is None:
        raise UsageError("--ratings: expected --key with it, the key of these sheets.")
    table = read_leads(load_contract(contract), leads=leads, as_of=as_day(as_of))
    result = find_criteria(
        load_definition(definition).typed_attributes(),
        table,
        column if column is not None else read_ratings(ratings or (), key=cast("Path", key)),
        word=word,
        max_criteria=max_criteria,
        random_state=random_state,
    )
    if json:
        print_json(result.to_dict())
    else:
        print(result)
        if result.text:
            print("for the definition:\n" + result.text)
    finish(rows=table.manifest)


def add_commands(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    rate = typer.Typer(
        no_args_is_help=True, help="Both sides judge the same leads blind; see what they mean."
    )
    rate.command()(sample)
    rate.command()(read)
    app.add_typer(rate, name="rate")
    app.command()(objectify)
