"""The expressions of an additive score in one SQL dialect, in steps that are nested queries.

First each attribute becomes one number, as the model sees it; then the parts of the log-odds are looked up
and added; then the probability is calibrated. All numbers are doubles with an exponent, which no engine reads
as decimals.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from sqlglot import exp

from leadml.definitions._scorecard import ScoreCurve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leadml.definitions._scorecard import Scorecard, ScoreInput, ScoreTable
    from leadml.definitions._sql import Compiler

__all__ = ["add_scores"]

SINGLE_MAX = 3.0e38  # where the encoder of the models clips
SINGLE_HALF_MIN = 2.0**-150  # what rounds to zero in single precision, which PostgreSQL calls an error
DOUBLE_MAX = 1.7976931348623157e308
SPLIT = 2.0**29 + 1  # Veltkamp's constant: what is left are the 24 bits of single precision
CLIP = 1e-9  # how near 0 and 1 a probability may come before its log-odds are taken
EXPONENT = 700.0  # beyond it PostgreSQL reports an overflow


def add_scores(
    compiler: Compiler, inner: exp.Select, kept: Sequence[str], cards: Sequence[Scorecard | str]
) -> exp.Select:
    """Wrap a query so that it gives the probabilities as well.

    Parameters
    ----------
    compiler : Compiler
        Writes names and types.
    inner : Select
        Gives the kept columns from a source with one column per attribute.
    kept : sequence of str
        Names of the columns to pass on.
    cards : sequence of Scorecard or str
        The scores; of a name alone the column is null.

    Returns
    -------
    Select
        The kept columns and one column per score.
    """
    writer = _ScoreWriter(compiler)
    found = [card for card in cards if not isinstance(card, str)]
    inputs: dict[ScoreInput, str] = {}
    for card in found:
        for entry in card.inputs:
            if entry.kind != "constant":
                inputs.setdefault(entry, f"leadml_{len(inputs) + 1}")
    query = inner.select(*(writer.named(writer.input(entry), name) for entry, name in inputs.items()))
    steps = [writer.steps(card, inputs) for card in found]
    for number in range(max((len(own) for own in steps), default=0)):
        passed = [compiler.column(name) for name in kept]
        for card, own in zip(found, steps, strict=True):
            before = compiler.column(card.name)
            passed.append(writer.named(own[number](before), card.name) if number < len(own) else before)
        query = exp.select(*passed).from_(writer.fenced(query).subquery(f"step_{number + 1}"))
    null = exp.cast(exp.null(), "DOUBLE")
    last = [
        writer.named(null.copy(), card) if isinstance(card, str) else compiler.column(card.name)
        for card in cards
    ]
    passed = [compiler.column(name) for name in kept]
    return exp.select(*passed, *last).from_(writer.fenced(query).subquery("scored_leads"))


class _ScoreWriter:
    """Writes the parts of a score."""

    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self.dialect = compiler.dialect

    def named(self, value: exp.Expr, name: str) -> exp.Expr:
        """Give a column its name."""
        return exp.alias_(value, self.compiler.identifier(name))

    def fenced(self, query: exp.Select) -> exp.Select:
        """Keep PostgreSQL from writing a step into the next one, where it would be computed many times."""
        return query.offset(0) if self.dialect == "postgres" else query

    def double(self, value: float) -> exp.Expr:
        """Write a double with all its digits; PostgreSQL reads an exponent too as a decimal."""
        number = Decimal(repr(float(value)))
        text = f"{abs(number).normalize():E}".replace("+", "") if number else "0E0"
        literal: exp.Expr = exp.Literal.number(text)
        if number < 0:
            literal = exp.Neg(this=literal)
        return exp.cast(literal, "DOUBLE") if self.dialect == "postgres" else literal

    # -- attributes as numbers -----------------------------------------------------------------------------

    def input(self, entry: ScoreInput) -> exp.Expr:
        """Write an attribute as the number that the model sees, null where it is missing."""
        column = self.compiler.column(entry.name)
        if entry.kind == "number":
            return self.single(exp.cast(column, "DOUBLE"))
        if entry.kind == "age":
            return self.single(self.days(column, entry.clock))
        if entry.kind == "boolean":
            case = exp.Case().when(column, self.double(1.0))
            return case.when(exp.not_(column.copy()), self.double(0.0))
        text = exp.cast(column, "TEXT")
        case = exp.Case()
        for place, level in enumerate(entry.levels):
            case = case.when(
                exp.EQ(this=text.copy(), expression=exp.Literal.string(level)), self.double(place)
            )
        if entry.other is not None:
            known = exp.not_(exp.Is(this=text.copy(), expression=exp.null()))
            case = case.when(known, self.double(entry.other))
        return case if case.args.get("ifs") else exp.cast(exp.null(), "DOUBLE")

    def single(self, number: exp.Expr) -> exp.Expr:
        """Round a double to single precision; what is not finite is missing."""
        largest = self.double(SINGLE_MAX)
        smallest = self.double(-SINGLE_MAX)
        clipped = exp.func("LEAST", exp.func("GREATEST", number.copy(), smallest), largest)
        size = exp.Abs(this=number.copy())
        case = exp.Case()
        if self.dialect == "postgres":
            tiny = exp.LTE(this=size.copy(), expression=self.double(SINGLE_HALF_MIN))
            case = case.when(tiny, self.double(0.0))
        finite = exp.LTE(this=size, expression=self.double(DOUBLE_MAX))
        return case.when(finite, self.rounded(clipped))

    def rounded(self, number: exp.Expr) -> exp.Expr:
        """Keep the 24 leading bits, by a type where there is one and else by Veltkamp's splitting."""
        if self.dialect not in {"snowflake", "bigquery"}:
            return exp.cast(exp.cast(number, "FLOAT"), "DOUBLE")
        scaled = exp.Mul(this=self.double(SPLIT), expression=number)
        low = exp.Paren(this=exp.Sub(this=scaled.copy(), expression=number.copy()))
        return exp.Sub(this=scaled, expression=low)

    def days(self, column: exp.Expr, clock: Sequence[str]) -> exp.Expr:
        """Write the days from a date to the first filled column of the clock, with their fractions."""
        moments = [exp.cast(self.compiler.column(name), "TIMESTAMPNTZ") for name in clock]
        if not moments:
            return exp.cast(exp.null(), "DOUBLE")
        end = moments[0] if len(moments) == 1 else exp.Coalesce(this=moments[0], expressions=moments[1:])
        start = exp.cast(column, "TIMESTAMPNTZ")
        seconds: exp.Expr
        if self.dialect == "postgres":
            gone = exp.Paren(this=exp.Sub(this=end, expression=start))
            seconds = exp.cast(exp.Extract(this=exp.var("EPOCH"), expression=gone), "DOUBLE")
        else:
            kind = exp.DatetimeDiff if self.dialect == "bigquery" else exp.TimestampDiff
            micros = exp.cast(kind(this=end, expression=start, unit=exp.var("MICROSECOND")), "DOUBLE")
            seconds = exp.Div(this=micros, expression=self.double(1e6))
        return exp.Div(this=seconds, expression=self.double(86_400.0))

    # -- log-odds ------------------------------------------------------------------------------------------

    def steps(self, card: Scorecard, inputs: dict[ScoreInput, str]) -> list[Callable[[exp.Expr], exp.Expr]]:
        """List what is done one after the other, each from the column before."""
        columns = [
            self.double(0.0) if entry.kind == "constant" else self.compiler.column(inputs[entry])
            for entry in card.inputs
        ]
        parts = [self.double(card.intercept), *(self.term(term, columns) for term in card.terms)]
        found: list[Callable[[exp.Expr], exp.Expr]] = [
            lambda _: self.expit(self.compiler.total(parts)),
        ]
        if card.coef:
            found.append(lambda p: self.expit(self.line(p, *card.coef)))
        if card.grid:
            found += [
                lambda p: self.line(p, 1.0, 1.0, 0.0),
                lambda odds: self.expit(self.curve(odds, card.grid, card.values)),
            ]
        if card.offset:
            found.append(lambda p: self.expit(self.line(p, 1.0, 1.0, card.offset)))
        return found

    def term(self, term: ScoreCurve | ScoreTable, columns: Sequence[exp.Expr]) -> exp.Expr:
        """Write one part of the log-odds."""
        if isinstance(term, ScoreCurve):
            column = columns[term.input]
            case = self.known(column, term.missing, self.curve(column, term.grid, term.values))
            if term.spike is None:
                return case
            there = exp.EQ(this=column.copy(), expression=self.double(term.spike))
            more = self.compiler.choose(there, self.double(term.spike_value), self.double(0.0))
            return self.compiler.paren(exp.Add(this=case, expression=more))
        if len(term.inputs) == 1:
            return self.table(columns[term.inputs[0]], term.cuts[0], [row[0] for row in term.values])
        first, second = (columns[place] for place in term.inputs)
        rows = [self.table(second, term.cuts[1], row) for row in term.values]
        return self.known(first, rows[0], self.search(first, term.cuts[0], rows[1:]))

    def table(self, column: exp.Expr, cuts: Sequence[float], values: Sequence[float]) -> exp.Expr:
        """Write what is looked up by the steps of a column; the first value is for missing."""
        leaves = [self.double(value) for value in values[1:]]
        return self.known(column, values[0], self.search(column, cuts, leaves))

    def known(self, column: exp.Expr, missing: float | exp.Expr, otherwise: exp.Expr) -> exp.Expr:
        """Write one value for a missing number and one for a known one."""
        gone = exp.Is(this=column.copy(), expression=exp.null())
        value = missing if isinstance(missing, exp.Expr) else self.double(missing)
        return self.compiler.choose(gone, value, otherwise)

    def curve(self, column: exp.Expr, grid: Sequence[float], values: Sequence[float]) -> exp.Expr:
        """Write straight lines between points, flat outside."""
        if not grid:
            return self.double(0.0)
        leaves = [self.double(values[0])]
        for low, high, here, there in zip(grid, grid[1:], values, values[1:], strict=False):
            away = exp.Paren(this=exp.Sub(this=column.copy(), expression=self.double(low)))
            rise = exp.Mul(this=self.double((there - here) / (high - low)), expression=away)
            leaves.append(exp.Add(this=rise, expression=self.double(here)))
        leaves.append(self.double(values[-1]))
        return self.search(column, grid, leaves)

    def search(self, column: exp.Expr, cuts: Sequence[float], leaves: Sequence[exp.Expr]) -> exp.Expr:
        """Write a search by halves: the leaf whose place is the number of cuts not above the column."""
        if not cuts:
            return leaves[0]
        middle = len(cuts) // 2
        below = exp.LT(this=column.copy(), expression=self.double(cuts[middle]))
        return self.compiler.choose(
            below,
            self.search(column, cuts[:middle], leaves[: middle + 1]),
            self.search(column, cuts[middle + 1 :], leaves[middle + 1 :]),
        )

    # -- probability ---------------------------------------------------------------------------------------

    def expit(self, odds: exp.Expr) -> exp.Expr:
        """Write ``1 / (1 + exp(-odds))`` without overflow."""
        turned = exp.Neg(this=exp.Paren(this=odds))
        low, high = self.double(-EXPONENT), self.double(EXPONENT)
        kept = exp.func("LEAST", exp.func("GREATEST", turned, low), high)
        one = self.double(1.0)
        return exp.Div(
            this=one, expression=exp.Paren(this=exp.Add(this=one.copy(), expression=exp.Exp(this=kept)))
        )

    def line(self, p: exp.Expr, a: float, b: float, c: float) -> exp.Expr:
        """Write ``a log(p) - b log(1 - p) + c`` of a probability kept away from 0 and 1."""
        near = exp.func("LEAST", exp.func("GREATEST", p, self.double(CLIP)), self.double(1 - CLIP))
        rest = exp.Sub(this=self.double(1.0), expression=near.copy())
        first = exp.Mul(this=self.double(a), expression=exp.Ln(this=near))
        second = exp.Mul(this=self.double(b), expression=exp.Ln(this=rest))
        found = exp.Sub(this=first, expression=second)
        return exp.Add(this=found, expression=self.double(c)) if c else found
