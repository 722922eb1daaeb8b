"""Why one lead is where it is: the definition's reasons, the nearest way in, what the models make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml._plotting import plot_bars
from leadml._render import format_rate, render_card, render_frame
from leadml.definitions import assign_classes, explain_classes
from leadml.errors import LeadsError
from leadml.explain import NOT_A_CAUSE, explain_model
from leadml.review._nearest import describe_nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from matplotlib.axes import Axes

    from leadml.definitions import Definition
    from leadml.models import BundledModel, TrainedModel

__all__ = ["LeadExplanation", "explain_lead"]

_MOST = 3
_WORDS = {"accepted": "accepted by Sales", "won": "won"}
_COLUMNS = ["target", "attribute", "shap", "odds_factor"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeadExplanation:
    """Why one lead is in its class, what would hand it over, and what the models make of it.

    No value of the lead is held: the reasons name criteria, the weights name attributes.

    Attributes
    ----------
    lead_id, lead_class : str
    version : str
        The definition's name and version.
    reasons : str
        In the definition's words (`leadml.definitions.explain_classes`).
    nearest : str
        The fewest criteria that it would have to meet (`describe_nearest`).
    probabilities : mapping of target to float
        What each model says.
    weights : DataFrame
        One row per target and attribute, the strongest first: ``target``, ``attribute``, ``shap`` (log-odds,
        relative to the average of the leads beside it) and ``odds_factor`` (its exponential). The values of a
        target add up to the model's log-odds.
    """

    lead_id: str
    lead_class: str
    version: str
    reasons: str
    nearest: str
    probabilities: Mapping[str, float]
    weights: pd.DataFrame = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per target and attribute: target, attribute, shap, odds_factor."""
        return self.weights.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "lead_id": self.lead_id,
            "lead_class": self.lead_class,
            "definition": self.version,
            "reasons": self.reasons,
            "nearest": self.nearest,
            "probabilities": dict(self.probabilities),
            "weights": self.weights.to_dict("records"),
            "note": NOT_A_CAUSE,
        }

    def __repr__(self) -> str:
        lines = [
            f"{self.lead_id}: {self.lead_class} ({self.version})",
            f"  {self.reasons}",
            f"  {self.nearest}",
        ]
        for target, probability in self.probabilities.items():
            lines.append(f"  {_WORDS[target]}: {format_rate(probability)} by the model; {self._say(target)}")
        return "\n".join([*lines, NOT_A_CAUSE] if self.probabilities else lines)

    def _say(self, target: str) -> str:
        """Name what moves the model most, with the factor on the odds."""
        own = self.weights[(self.weights["target"] == target) & (self.weights["shap"] != 0)]
        said = [
            f"{'raised' if factor > 1 else 'lowered'} by {name} (×{factor:.2g})"
            for name, factor in zip(
                own["attribute"].head(_MOST), own["odds_factor"].head(_MOST).astype(float), strict=True
            )
        ]
        return ", ".join(said) or "nothing known of it moves that"

    def _repr_html_(self) -> str:
        title, *parts = repr(self).splitlines()
        return str(render_card(title, [*parts, render_frame(self.weights)], notes=[NOT_A_CAUSE]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what moves the first model, the strongest ten."""
        target = next(iter(self.probabilities), "")
        own = self.weights[self.weights["target"] == target].head(10)
        bars = own.rename(columns={"attribute": "label", "shap": "value"})[["label", "value"]]
        return plot_bars(bars, ax, xlabel=f"change of the log-odds of {target} (not a cause)")


def explain_lead(
    definition: Definition,
    leads: pd.DataFrame,
    lead_id: str,
    *,
    id_column: str,
    models: Mapping[str, TrainedModel | BundledModel] | None = None,
    as_of: date | None = None,
) -> LeadExplanation:
    """Explain one lead to the person who works it.

    Parameters
    ----------
    definition : Definition
        The definition that is applied.
    leads : DataFrame of shape (n_leads, …)
        The lead among others of its export: the models' weights are relative to the average of these (at
        most 2,000 of them).
    lead_id : str
        Which one.
    id_column : str
        The column that names the lead.
    models : mapping of target to model, optional
        From a bundle or a run; without, only the definition is explained.
    as_of : date, optional
        The day at which ages in the definition end.

    Returns
    -------
    LeadExplanation

    Raises
    ------
    LeadsError
        If there is no such lead, or more than one.
    ValueError
        If the values do not add up to the model's log-odds.
    """
    own = (leads[id_column].astype(str) == lead_id).to_numpy(dtype=bool)
    if own.sum() != 1:
        raise LeadsError(f"{id_column}: expected one lead with this id, found {int(own.sum()):,}.")
    lead = leads[own]
    # The lead stands first, so that drawing others never leaves it out.
    beside = pd.concat([lead, leads[~own].head(1_999)])
    probabilities, rows = {}, []
    for number, (target, model) in enumerate((models or {}).items()):
        found = explain_model(model, beside)
        probabilities[target] = float(found.probability[0])
        rows += [
            {
                "target": target,
                "attribute": name,
                "shap": float(value),
                "odds_factor": float(np.exp(value)),
                "model": number,
                "size": abs(float(value)),
            }
            for name, value in zip(found.attributes, np.asarray(found.values)[0], strict=True)
        ]
    weights = pd.DataFrame(rows, columns=[*_COLUMNS, "model", "size"]).sort_values(
        ["model", "size", "attribute"], ascending=[True, False, True], ignore_index=True
    )
    return LeadExplanation(
        lead_id=lead_id,
        lead_class=str(assign_classes(definition, lead, as_of=as_of).iloc[0]),
        version=f"{definition.name} {definition.version}",
        reasons=str(explain_classes(definition, lead, as_of=as_of).iloc[0]),
        nearest=str(describe_nearest(definition, lead, as_of=as_of).iloc[0]),
        probabilities=probabilities,
        weights=weights[_COLUMNS],
    )
