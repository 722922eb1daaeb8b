"""What the models learned that the definition does not say."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from leadml._render import format_count, format_rate, format_rate_range, format_value
from leadml.explain import explain_dependence
from leadml.review._figures import SMALLEST_GROUP, TARGET_WORDS, count_figure, rows_of
from leadml.review._parts import ExpectedLine, KeptWord
from leadml.review._words import say_rule

if TYPE_CHECKING:
    from leadml.compare import DefinitionComparison
    from leadml.explain import Dependence
    from leadml.models import TrainedModel, UntrainedModel
    from leadml.review._parts import Run

__all__ = [
    "describe_crossings",
    "describe_kept_word",
    "describe_model",
    "describe_predicted",
    "describe_uses",
    "find_dependences",
]

_MOST = 5
_MAX_DEPENDENCES = 4
_THINGS = {"accepted": "acceptance", "won": "won deals"}


def _at_equal_volume(comparison: DefinitionComparison | None) -> tuple[str, ...]:
    if comparison is None:
        return ()
    lines = []
    for row in rows_of(comparison.at_equal_volume):
        if row.volume < SMALLEST_GROUP or not isfinite(row.difference):
            continue
        if row.volume == row.n:
            lines.append(
                "Only leads that the definition hands over have an answer, so nobody can say whether "
                "the model would choose better ones."
            )
            continue
        lines.append(
            f"Choosing {format_count(row.volume)} of the {format_count(row.n)} newest leads with an answer: "
            f"the definition's are {format_rate(row.rate_definition)} {TARGET_WORDS[str(row.target)]} "
            f"({format_rate_range(row.ci_low_definition, row.ci_high_definition)}), the model's "
            f"{format_rate(row.rate_model)} ({format_rate_range(row.ci_low_model, row.ci_high_model)})."
        )
    return tuple(lines)


def describe_model(target: str, model: TrainedModel | UntrainedModel) -> str:
    """Say how well a model does, for those who ask."""
    evaluation = getattr(model, "evaluation", None)
    if evaluation is None:
        return f"{TARGET_WORDS[target]}: no model; {getattr(model, 'reason', '')}"
    metrics = evaluation.metrics
    if not metrics["n_test"] or metrics["auc"] != metrics["auc"]:  # nan: the later leads do not tell
        return f"{TARGET_WORDS[target]}: a model, but too few later leads to judge it by"
    area = f"{metrics['auc']:.2f} ({metrics['auc_low']:.2f}–{metrics['auc_high']:.2f})"
    counts = (
        f"trained on {format_count(metrics['n_train'])} earlier leads, "
        f"judged on {format_count(metrics['n_test'])} later ones"
    )
    return f"{TARGET_WORDS[target]}: area under the curve {area}, {counts}. {evaluation.verdict}"


def describe_predicted(run: Run) -> tuple[str, ...]:
    """Say what can be predicted, without a figure that needs explaining."""
    words = {"accepted": "what Sales accepts", "won": "which deals are won"}
    lines = []
    for target, model in run.models.items():
        evaluation = getattr(model, "evaluation", None)
        if evaluation is None:
            lines.append(f"There are too few answers to learn {words[target]}.")
        elif evaluation.predictive:
            lines.append(f"What is known about a lead helps to predict {words[target]}.")
        else:
            lines.append(f"Nothing that is known about a lead predicts {words[target]}.")
    lines += _at_equal_volume(run.comparison)
    if run.comparison is not None:
        matter = run.comparison.unused
        for row in rows_of(matter[matter["matters"].astype(bool)])[:_MOST]:
            lines.append(
                f"No criterion uses “{row.attribute}”, but among the leads handed over it separates those "
                f"{TARGET_WORDS[row.target]} ({row.reading})."
            )
    return tuple(dict.fromkeys(lines))


# ---- attribute by attribute ----------------------------------------------------------------------


def describe_uses(run: Run) -> tuple[tuple[str, str], ...]:
    """Say of each model what it looks at most, and whether the definition asks for that."""
    asked = {criterion.attribute for criterion in run.definition.criteria()}
    asked |= {rule.when.attribute for score in run.definition.points for rule in score.rules}
    lines = []
    for target, attribution in run.attributions.items():
        frame = attribution.to_frame()
        frame = frame[frame["mean_abs_shap"] > 0]
        if frame.empty:
            continue
        share = frame["mean_abs_shap"] / frame["mean_abs_shap"].sum()
        top = [
            f"“{name}” {format_rate(weight)}"
            for name, weight in zip(frame["attribute"].head(3), share.head(3), strict=True)
        ]
        alone = [str(name) for name in frame["attribute"].head(_MOST) if name not in asked]
        words = f"Of all that it looks at, most weight lies on {', '.join(top)}"
        if alone:
            words += f"; no criterion asks for {', '.join(f'“{name}”' for name in alone)}"
        n = format_count(int(frame["n"].iloc[0]))
        lines.append((_THINGS[target], f"{words} (over {n} leads)."))
    return tuple(lines)


def find_dependences(run: Run) -> tuple[Dependence, ...]:
    """Hold each model against the attributes that the definition's thresholds test, the strongest first."""
    thresholds = {
        criterion.attribute
        for criterion in run.definition.criteria()
        if criterion.operator in {">=", ">", "<=", "<", "between"}
    }
    thresholds &= set(run.table.frame.columns)
    wanted = [
        (target, attribution, str(name))
        for target, attribution in run.attributions.items()
        for name in [n for n in attribution.to_frame()["attribute"] if n in thresholds][:_MAX_DEPENDENCES]
    ]
    return tuple(
        explain_dependence(
            attribution, run.table.frame, name, definition=run.definition, goal=_goal(run, target)
        )
        for target, attribution, name in wanted
    )


def _goal(run: Run, target: str) -> float | None:
    """Return the probability from which a lead is wanted: what was agreed, else what pays."""
    goal = getattr(run.experiment, "goal", None)
    agreed = getattr(goal, "minimum_acceptance", None)
    if target == "accepted":
        return None if agreed is None else float(agreed)
    if run.comparison is None or run.definition.prices.won_default is None:
        return None
    frame = run.comparison.contributions
    rates = frame.loc[frame["target"] == target, "break_even"].dropna()
    return float(rates.iloc[0]) if len(rates) else None


def describe_crossings(dependences: tuple[Dependence, ...]) -> tuple[str, ...]:
    """Say where each model passes the goal, beside what the definition asks for."""
    lines = []
    for found in dependences:
        if found.goal is None or not found.thresholds:
            continue
        written = " and ".join(dict.fromkeys(f"“{say_rule(text)}”" for text, _ in found.thresholds))
        goal = format_rate(found.goal)
        if not found.crossings:
            side = found.frame["probability"].mean() >= found.goal
            says = f"expects {'more' if side else 'less'} than the {goal} that is wanted at every value"
        elif len(found.crossings) > 1:
            times = format_count(len(found.crossings))
            says = f"passes the {goal} that is wanted {times} times, so no one threshold is its own"
        else:
            says = f"passes the {goal} that is wanted {_place(found)}"
        model = f"By “{found.attribute}” the model of {_THINGS[found.target]}"
        lines.append(f"{model} {says}; the definition says {written}.")
    return tuple(lines)


def _place(found: Dependence) -> str:
    """Say where a model passes the goal, and which way."""
    known = found.frame[found.frame["label"] != "missing"].reset_index(drop=True)
    rising = known["probability"].iloc[-1] >= known["probability"].iloc[0]
    place = found.crossings[0]
    if known["low"].notna().any():
        return f"{'from' if rising else 'up to'} about {format_value(float(f'{place:.2g}'))}"
    level = known["label"].iloc[int(place + 0.5) if rising else int(place)]
    return f"{'from' if rising else 'up to'} “{level}”"


# ---- did the model keep its word -----------------------------------------------------------------


def describe_kept_word(run: Run) -> tuple[KeptWord, ...]:
    """Set what each model expected beside what came, quarter by quarter of the leads it had not seen."""
    tables = []
    for target, model in run.models.items():
        parts = getattr(model, "parts", None)
        if parts is None:
            continue
        found = [row for row in rows_of(parts.frame, by="period") if row.n >= SMALLEST_GROUP]
        missed = [
            str(row.level) for row in found if not row.observed_low <= row.expected <= row.observed_high
        ]
        if not found:
            continue
        reading = "What was expected lies in the range of what came, every time."
        if missed:
            outside = f"What was expected lies outside the range of what came in {', '.join(missed)}"
            reading = f"{outside}; by chance that happens to one quarter in twenty."
        rows = tuple(
            ExpectedLine(
                name=str(row.level),
                expected=format_rate(row.expected),
                came=count_figure(int(row.n_positive), int(row.n)),
            )
            for row in found
        )
        tables.append(KeptWord(title=_THINGS[target], reading=reading, rows=rows))
    return tuple(tables)
