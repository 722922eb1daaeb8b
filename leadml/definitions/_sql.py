"""The expressions of one definition in one SQL dialect; only here and in `_sql_score` is sqlglot touched."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from sqlglot import exp

from leadml.definitions._definition import Criterion, Definition, Group, points_scale
from leadml.definitions._grammar import IDENTIFIER, format_value
from leadml.definitions._space import meets
from leadml.definitions._sql_score import add_scores
from leadml.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from leadml.definitions._compile import Dialect
    from leadml.definitions._definition import Attribute, PointRule, PointScore, Value
    from leadml.definitions._scorecard import Scorecard

__all__ = ["Compiler"]

_SNOWFLAKE_RESERVED = frozenset(
    """account all alter and any as between by case cast check column connect connection constraint create
    cross current current_date current_time current_timestamp current_user database delete distinct drop else
    end exists false following for from full grant group gscluster having ilike in increment inner insert
    intersect into is issue join lateral left like localtime localtimestamp minus natural not null of on or
    order organization qualify regexp revoke right rlike row rows sample schema select set some start table
    tablesample then to trigger true try_cast union unique update using values view when whenever where
    with""".split()  # noqa: SIM905 - a list of 90 strings is no easier to read
)
_TABLE_PART = r"""(?:[^\W\d][\w$]*(?:-[\w$]+)*|"[^"]+"|`[^`]+`)"""
_TABLE = re.compile(rf"{_TABLE_PART}(?:\.{_TABLE_PART}){{0,2}}")


class Compiler:
    """Turns the parts of one definition into expressions of one dialect."""

    def __init__(self, definition: Definition, dialect: Dialect, as_of: date | None) -> None:
        self.definition = definition
        self.dialect = dialect
        self.as_of = as_of
        self.attributes = definition.typed_attributes()
        self.scores = {score.name for score in definition.points}

    # -- the query -----------------------------------------------------------------------------------------

    def query(self, table: str, columns: Sequence[str], cards: Sequence[Scorecard | str] = ()) -> str:
        """Build the SELECT, with scores if there are any."""
        chosen = [self.column(name) for name in columns] or [exp.Star()]
        scores = [self.column(score.name) for score in self.definition.points] if columns else []
        name = exp.alias_(self.classes(), self.identifier("lead_class"))
        built = exp.select(*chosen, *scores, name).from_(self.source(table))
        if cards:
            kept = [*columns, *(score.name for score in self.definition.points), "lead_class"]
            built = add_scores(self, built, kept, cards)
        return self.write(built)

    def parts(
        self, table: str, columns: Sequence[str], values: Mapping[str, str], tests: Mapping[str, Criterion]
    ) -> str:
        """Build the SELECT of single values and tests, by the names that they get."""
        chosen: list[exp.Expr] = [self.column(name) for name in columns]
        chosen += [
            exp.alias_(self.value(self.attributes[attribute]), name) for name, attribute in values.items()
        ]
        chosen += [
            exp.alias_(self.choose(self.test(criterion), self.number(1), self.number(0)), name)
            for name, criterion in tests.items()
        ]
        return self.write(exp.select(*chosen).from_(self.source(table)))

    def write(self, query: exp.Select) -> str:
        """Write a query in the dialect."""
        return query.sql(dialect=self.dialect, pretty=True, identify=self.dialect != "snowflake")

    def source(self, name: str) -> exp.Expr:
        """Refer to the table of leads, with its points."""
        table = self.table(name)
        if not self.definition.points:
            return table
        sums = [
            exp.alias_(self.points(score), self.identifier(score.name)) for score in self.definition.points
        ]
        return exp.select(exp.Star(), *sums).from_(table).subquery("scored")

    def table(self, name: str) -> exp.Table:
        """Refer to the table of leads, perhaps with its schema and database; no other SQL passes here."""
        back = self.dialect in {"bigquery", "spark"}
        if _TABLE.fullmatch(name) is None or ("`" in name and not back) or ('"' in name and back):
            quote = "`" if back else '"'
            raise DefinitionError(
                f"table: expected a name such as leads or crm.leads, got {name[:60]!r}. "
                f"Put a name with spaces or signs in {quote}{quote}."
            )
        return exp.to_table(name, dialect=self.dialect)

    def identifier(self, name: str) -> exp.Identifier:
        """Quote a name; in Snowflake, where that would forbid its upper case, only if it must be."""
        if self.dialect != "snowflake":
            return exp.to_identifier(name, quoted=True)
        if IDENTIFIER.fullmatch(name) is None:
            return exp.to_identifier(name, quoted=True)
        reserved = name.lower() in _SNOWFLAKE_RESERVED
        return exp.to_identifier(name.upper() if reserved else name, quoted=reserved)

    def column(self, name: str) -> exp.Expr:
        """Refer to a column."""
        return exp.column(self.identifier(name))

    def classes(self) -> exp.Expr:
        """Build the CASE of the classes in the order of the file."""
        case = exp.Case()
        for lead_class in self.definition.classes:
            text = exp.Literal.string(lead_class.name)
            if lead_class.rule is None:
                return case.else_(text) if case.args.get("ifs") else text
            case = case.when(self.rule(lead_class.rule), text)
        return case

    # -- rules ---------------------------------------------------------------------------------------------

    def rule(self, rule: Criterion | Group) -> exp.Expr:
        """Build the condition of a criterion or a group."""
        if isinstance(rule, Criterion):
            return self.test(rule)
        parts = [self.rule(member) for member in rule.members]
        if rule.kind == "all_of":
            return exp.and_(*parts)
        if rule.kind == "any_of":
            return exp.or_(*parts)
        counted = [self.choose(part, self.number(1), self.number(0)) for part in parts]
        return exp.GTE(this=self.paren(self.total(counted)), expression=self.number(rule.k))

    def test(self, criterion: Criterion) -> exp.Expr:
        """Build the condition of one criterion; null counts as not met."""
        if not criterion.measurable:
            return exp.false()
        name = cast("str", criterion.attribute)
        attribute = self.attributes[name]
        value = self.value(attribute)
        if attribute.type == "ordinal":
            return self.ordinal_test(criterion, attribute, value)
        missing = exp.Is(this=value.copy(), expression=exp.null())
        if criterion.operator == "is missing":
            return missing
        if criterion.operator == "is known":
            known: exp.Expr = exp.not_(missing.copy())
        else:
            known = self.known_test(criterion, attribute, value)
        return self.paren(exp.or_(known, missing)) if criterion.or_missing else known

    def known_test(self, criterion: Criterion, attribute: Attribute, value: exp.Expr) -> exp.Expr:
        """Build the test of a value that is there."""
        operator = criterion.operator
        if operator == "is true":
            return value
        if operator == "is false":
            return exp.not_(value)
        bounds = [self.literal(bound, attribute) for bound in criterion.values]
        if operator in {"in", "not in"}:
            inside = exp.In(this=value, expressions=bounds)
            return inside if operator == "in" else exp.not_(inside)
        if operator == "between":
            return exp.Between(this=value, low=bounds[0], high=bounds[1])
        kinds: dict[str, type[exp.Binary]] = {
            "=": exp.EQ,
            "!=": exp.NEQ,
            "<": exp.LT,
            "<=": exp.LTE,
            ">": exp.GT,
            ">=": exp.GTE,
        }
        return kinds[operator or ""](this=value, expression=bounds[0])

    def ordinal_test(self, criterion: Criterion, attribute: Attribute, value: exp.Expr) -> exp.Expr:
        """Build the test of an ordinal as a list of levels; a level that is not listed is missing."""
        inside = [level for level in attribute.levels if meets(criterion, level, attribute)]
        listed = exp.In(this=value, expressions=[exp.Literal.string(level) for level in inside])
        met: exp.Expr = listed if inside else exp.false()
        if not (criterion.or_missing or criterion.operator == "is missing"):
            return met
        levels = exp.In(
            this=value.copy(), expressions=[exp.Literal.string(level) for level in attribute.levels]
        )
        unknown = exp.Is(this=value.copy(), expression=exp.null())
        return self.paren(exp.or_(met, unknown, exp.not_(levels)))

    # -- values --------------------------------------------------------------------------------------------

    def value(self, attribute: Attribute) -> exp.Expr:
        """Build the value of an attribute, null where it is missing."""
        if attribute.name in self.scores:
            return self.column(attribute.name)
        if attribute.age_of is not None:
            return self.age(attribute)
        column = self.column(attribute.name)
        if attribute.is_numeric:
            return self.without_nan(column)
        if attribute.type == "date":
            return exp.cast(column, "DATE")
        return column if attribute.type == "boolean" else exp.cast(column, "TEXT")

    def without_nan(self, column: exp.Expr) -> exp.Expr:
        """Read a number as a double and NaN, which SQL puts above all numbers, as null."""
        number = exp.cast(column, "DOUBLE")
        if self.dialect == "bigquery":
            return exp.If(this=exp.IsNan(this=number), true=exp.null(), false=number.copy())
        return exp.func("NULLIF", number, exp.cast(exp.Literal.string("NaN"), "DOUBLE"))

    def age(self, attribute: Attribute) -> exp.Expr:
        """Build the whole days from a day to its anchor."""
        start = exp.cast(self.column(cast("str", attribute.age_of)), "DATE")
        anchor = attribute.anchor
        if anchor is not None and anchor in self.attributes:
            end: exp.Expr = exp.cast(self.column(anchor), "DATE")
        elif self.as_of is not None:
            end = exp.cast(exp.Literal.string(self.as_of.isoformat()), "DATE")
        else:
            end = exp.CurrentDate()
        if self.dialect == "postgres":
            return self.paren(exp.Sub(this=end, expression=start))
        return exp.DateDiff(this=end, expression=start, unit=exp.var("DAY"))

    def literal(self, value: Value, attribute: Attribute) -> exp.Expr:
        """Write a threshold or a level."""
        if isinstance(value, Decimal):
            return self.number(value)
        if attribute.type == "date":
            return exp.cast(exp.Literal.string(str(value)), "DATE")
        return exp.Literal.string(str(value))

    def number(self, value: Decimal | int) -> exp.Expr:
        """Write a number: whole ones plainly, others with an exponent, which makes them doubles."""
        number = Decimal(value)
        negative = number < 0
        plain = format_value(abs(number))
        literal: exp.Expr = exp.Literal.number(plain if "." not in plain else f"{plain}E0")
        return exp.Neg(this=literal) if negative else literal

    # -- points --------------------------------------------------------------------------------------------

    def points(self, score: PointScore) -> exp.Expr:
        """Build the sum of a score in whole numbers, divided once at the end."""
        scale = points_scale(score)
        total = self.total([self.earned(rule, scale) for rule in score.rules])
        if scale == 1:
            return total
        double = exp.cast(self.paren(total), "DOUBLE")
        return exp.Div(this=double, expression=exp.cast(self.number(scale), "DOUBLE"))

    def earned(self, rule: PointRule, scale: int) -> exp.Expr:
        """Build what one rule earns."""
        full = int(rule.points * scale)
        met = self.test(rule.when)
        if rule.fades_over is None:
            return self.choose(met, self.number(full), self.number(0))
        span = int(rule.fades_over)
        age = self.value(self.attributes[cast("str", rule.age)])
        gone = exp.Is(this=age.copy(), expression=exp.null())
        old = exp.GTE(this=age.copy(), expression=self.number(span))
        new = exp.LTE(this=age.copy(), expression=self.number(0))
        days = exp.cast(exp.Floor(this=age.copy()), "BIGINT")
        left = exp.Mul(
            this=self.number(full // span),
            expression=self.paren(exp.Sub(this=self.number(span), expression=days)),
        )
        case = exp.Case().when(gone, self.number(0)).when(old, self.number(0))
        return case.when(exp.and_(new, met), self.number(full)).when(met.copy(), left).else_(self.number(0))

    def choose(self, condition: exp.Expr, then: exp.Expr, otherwise: exp.Expr) -> exp.Expr:
        """Build ``CASE WHEN condition THEN then ELSE otherwise END``."""
        return exp.Case().when(condition, then).else_(otherwise)

    def total(self, parts: list[exp.Expr]) -> exp.Expr:
        """Add parts up, from left to right."""
        found = parts[0]
        for part in parts[1:]:
            found = exp.Add(this=found, expression=part)
        return found

    def paren(self, part: exp.Expr) -> exp.Expr:
        """Put a part into parentheses."""
        return exp.Paren(this=part)
