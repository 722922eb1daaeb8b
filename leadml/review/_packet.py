"""The packet: one self-contained page that a sales leader reads in five minutes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from leadml._files import write_text
from leadml._plotting import draw_svg, plot_bars, plot_curve, plot_quadrant, plot_series
from leadml._render import render_template
from leadml.definitions import parse_criterion
from leadml.errors import DefinitionError
from leadml.explain import NOT_A_CAUSE
from leadml.review._build import build_parts
from leadml.review._figures import SMALLEST_GROUP
from leadml.review._learned import find_dependences
from leadml.review._sides import quadrant_points
from leadml.review._whatif import build_what_if, hash_script, read_script
from leadml.review._words import say_rule

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from leadml.compare import DefinitionComparison, MarginalProfile
    from leadml.review._history import History
    from leadml.review._parts import Run

__all__ = ["build_packet", "write_packet"]

_MAX_PERIODS = 8
_MAX_ATTRIBUTES = 10
_FEWEST_POINTS, _MOST_POINTS = 3, 8  # of a curve


def build_packet(run: Run, *, history: History | None = None) -> str:
    """Build the packet of a review as one HTML page.

    The page needs no network, runs no script but its own what-if, follows the reader's light or dark
    setting and prints. It holds counts and rates of groups of at least five leads, never a lead.

    Parameters
    ----------
    run : Run
        What one run of the loop found.
    history : History, optional
        What was decided before: proposals that were rejected or deferred are shown with their reasons.

    Returns
    -------
    str
        The page; the same run gives the same bytes.
    """
    what_if = build_what_if(run)
    return render_template(
        "leadml.review",
        "packet.html",
        what_if=None if what_if is None else what_if.to_payload(),
        script=read_script(),
        hash=hash_script(),
        parts=build_parts(run),
        reviewed=history is not None and bool(history.entries),
        refused=() if history is None else history.refused(),
        smallest=SMALLEST_GROUP,
        not_a_cause=NOT_A_CAUSE,
        quarters=_draw_quarters(run),
        quadrant=_draw_quadrant(run),
        attributions=_draw_attributions(run),
        dependences=_draw_dependences(run),
        pictures=_draw_proposals(run),
        trade_off=_draw_trade_off(run),
        profiles=_draw_profiles(run),
    )


def write_packet(run: Run, path: Path | str, *, history: History | None = None) -> None:
    """Write the packet of a review, whole or not at all.

    Parameters
    ----------
    run : Run
        What one run of the loop found.
    path : path-like
        The file, usually ending in ``.html``.
    history : History, optional
        What was decided before.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(path, build_packet(run, history=history))


def _draw_quarters(run: Run) -> Markup | None:
    """Draw acceptance and won rate of the leads handed over, quarter by quarter."""
    if run.comparison is None:
        return None
    frame = run.comparison.handoff
    frame = frame[(frame["period"] != "all") & (frame["n"] >= SMALLEST_GROUP)]
    periods = sorted(set(frame["period"]))[-_MAX_PERIODS:]
    frame = frame[frame["period"].isin(periods)].rename(columns={"target": "group", "rate": "value"})
    if len(periods) < 2:
        return None
    label = "Share of the leads handed over that Sales accepted and that were won, period by period."
    return Markup(draw_svg(lambda ax: plot_series(frame, ax), name="quarters", label=label, size=(5.6, 2.6)))  # noqa: S704


def _draw_quadrant(run: Run) -> Markup | None:
    """Draw what acceptance and won deals say of each criterion, side against side."""
    points = quadrant_points(run.comparison)
    if not points:
        return None
    frame = pd.DataFrame(points, columns=["label", "x", "y"])
    frame["label"] = frame["label"].map(say_rule)
    label = "Each criterion by how much more its leads are accepted and how much more they close."
    svg = draw_svg(partial(_draw_points, frame), name="quadrant", label=label, size=(5.6, 3.4))
    return Markup(svg)  # noqa: S704 - made and escaped by draw_svg


def _draw_points(points: pd.DataFrame, ax: Axes) -> None:
    plot_quadrant(
        points, ax, xlabel="accepted: meets it minus does not", ylabel="won: meets it minus does not"
    )


def _draw_trade_off(run: Run) -> Markup | None:
    """Draw the share that is won (accepted) against the leads that are handed over."""
    found = run.proposals.to_dict().get("trade_off") if run.proposals is not None else None
    if found is None or len(found["points"]) < _FEWEST_POINTS:
        return None
    points = pd.DataFrame(found["points"])
    points = points.iloc[np.unique(np.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(int))]
    frame = points.rename(columns={"leads": "x", "rate": "y"})
    label = f"Share {found['target']} against the leads handed over a month, best case on the older leads."
    svg = draw_svg(
        lambda ax: plot_curve(
            frame, ax, xlabel="leads handed over a month", ylabel=f"share {found['target']}"
        ),
        name="trade-off",
        label=label,
        size=(5.6, 2.6),
    )
    return Markup(svg)  # noqa: S704 - made and escaped by draw_svg


def _draw_attributions(run: Run) -> tuple[Markup, ...]:
    """Draw what each model uses most; one picture per reading of `describe_uses`."""
    figures = []
    for target, attribution in run.attributions.items():
        frame = attribution.to_frame().sort_values(["mean_abs_shap", "attribute"], ascending=[False, True])
        frame = frame[frame["mean_abs_shap"] > 0]
        frame = frame.head(_MAX_ATTRIBUTES).rename(columns={"attribute": "label", "mean_abs_shap": "value"})
        if frame.empty:
            continue
        svg = draw_svg(
            partial(_draw_bars, frame),
            name=f"uses-{target}",
            label="What the model uses most.",
            size=(5.6, 0.8 + 0.28 * len(frame)),
        )
        figures.append(Markup(svg))  # noqa: S704 - made and escaped by draw_svg
    return tuple(figures)


def _draw_dependences(run: Run) -> tuple[tuple[str, Markup], ...]:
    """Draw what each model makes of the attributes that thresholds test, with the thresholds on it."""
    figures = []
    words = {"accepted": "acceptance", "won": "won deals"}
    for number, found in enumerate(find_dependences(run)):
        if found.frame.empty:
            continue
        label = f"What the model of {words[found.target]} makes of {found.attribute}."
        svg = draw_svg(found.plot, name=f"dependence-{number}", label=label, size=(5.6, 2.9))
        figures.append((label, Markup(svg)))  # noqa: S704 - made and escaped by draw_svg
    return tuple(figures)


def _draw_proposals(run: Run) -> tuple[tuple[tuple[str, Markup], ...], ...]:
    """Draw the profile of each threshold that a proposal moves, with both thresholds on it."""
    if run.proposals is None or run.comparison is None:
        return ()
    pictures = []
    for number, entry in enumerate(run.proposals.to_dict()["proposals"]):
        addresses = str(entry.get("criterion") or "").split(" + ")
        proposed = str(entry.get("proposed") or "").split(" + ")
        drawn: list[tuple[str, Markup]] = []
        for address, text in zip(addresses, proposed, strict=False):
            profile = _profile_of(run.comparison, address)
            if profile is not None:
                name = f"moves-{number}-{len(drawn)}"
                drawn.append(_picture(profile, name, proposed=_threshold(run, address, text)))
        pictures.append(tuple(drawn))
    return tuple(pictures)


def _draw_profiles(run: Run) -> tuple[tuple[str, Markup], ...]:
    """Draw every threshold of the handoff."""
    if run.comparison is None:
        return ()
    addresses = dict.fromkeys(profile.criterion for profile in run.comparison.profiles)
    profiles = [_profile_of(run.comparison, address) for address in addresses]
    return tuple(
        _picture(profile, f"profile-{number}", proposed=None)
        for number, profile in enumerate(profiles)
        if profile is not None
    )


def _profile_of(comparison: DefinitionComparison, address: str) -> MarginalProfile | None:
    """Return the profile of a criterion by won deals, or by acceptance if there are no deals."""
    found = {profile.target: profile for profile in comparison.profiles if profile.criterion == address}
    return found.get("won", found.get("accepted"))


def _threshold(run: Run, address: str, text: str) -> float | None:
    """Read the number (or the place between levels) of a proposed threshold."""
    written = run.definition.criterion(address)
    attributes = run.definition.typed_attributes()
    try:
        criterion = parse_criterion(text, attributes=attributes)
    except DefinitionError:
        return None
    if criterion.operator != written.operator or len(criterion.values) != 1:
        return None
    value = criterion.values[0]  # noqa: PD011 - no frame
    levels = attributes[str(criterion.attribute)].levels
    if not levels:
        return float(value)
    return levels.index(str(value)) + (-0.5 if criterion.operator in {">=", "<"} else 0.5)


def _picture(profile: MarginalProfile, name: str, *, proposed: float | None) -> tuple[str, Markup]:
    verb = {"won": "won", "accepted": "accepted by Sales"}[profile.target]
    reached = f"from {profile.crossing} on" if profile.direction == "rising" else f"up to {profile.crossing}"
    pays = f"They pay {reached}." if profile.crossing else "They pay nowhere."
    words = f"Leads that pass everything else, by {profile.attribute}: the share {verb}. {pays}"
    svg = draw_svg(partial(_draw_profile, profile, proposed), name=name, label=words, size=(5.6, 2.9))
    return words, Markup(svg)  # noqa: S704 - made and escaped by draw_svg


def _draw_profile(profile: MarginalProfile, proposed: float | None, ax: Axes) -> None:
    hidden = replace(
        profile, bins=profile.bins[profile.bins["n_leads"] >= SMALLEST_GROUP].reset_index(drop=True)
    )
    hidden.plot(ax, proposed=proposed)


def _draw_bars(frame: pd.DataFrame, ax: Axes) -> None:
    plot_bars(frame, ax, xlabel="average weight in the model")
