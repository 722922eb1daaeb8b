"""Whether the newest leads look like those before: volume, mix, attributes one by one and all together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import chi2, chi2_contingency, fisher_exact, ks_2samp, mannwhitneyu, norm, ttest_ind

from leadml.definitions import evaluate_criteria
from leadml.metrics import expit, fit_logistic, holm, roc_auc_interval, wilson_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leadml.definitions import Definition
    from leadml.leads import Contract

    Floats = NDArray[np.float64]
    Bits = NDArray[np.bool_]

__all__ = [
    "ATTRIBUTE_COLUMNS",
    "CLASS_COLUMNS",
    "CRITERION_COLUMNS",
    "Together",
    "compare_attributes",
    "compare_classes",
    "compare_criteria",
    "compare_together",
    "compare_volume",
    "mix_p_value",
    "watched_attributes",
]

MIN_LEADS = 50
"""Fewer leads on either side are not compared."""
SHOWN_LEVEL = 20
"""A level that fewer leads share is counted, not named."""
_BINS = 10
_MAX_SAMPLE = 4_000
_MAX_COLUMNS = 16
_MAX_LEVELS = 8
_LEAST_EXPECTED = 5.0

ATTRIBUTE_COLUMNS = (
    "attribute",
    "test",
    "n_before",
    "n_now",
    "distance",
    "p_value",
    "p_missing",
    "p_new_levels",
    "p_adjusted",
    "missing_before",
    "missing_now",
    "n_new_levels",
    "leads_in_new_levels",
    "new_levels",
    "psi",
    "psi_no_drift",
    "psi_p_value",
)
CRITERION_COLUMNS = (
    "criterion",
    "written",
    "share_before",
    "share_now",
    "moved",
    "ci_low",
    "ci_high",
)
CLASS_COLUMNS = (
    "lead_class",
    "handed_over",
    "per_week_before",
    "per_week_now",
    "share_before",
    "share_now",
    "moved",
    "ci_low",
    "ci_high",
)


def watched_attributes(contract: Contract, frame: pd.DataFrame) -> tuple[str, ...]:
    """Name the attributes that are known when a lead is handed over."""
    return tuple(
        column.name
        for column in contract.columns
        if column.role == "attribute" and column.known_at != "after" and column.name in frame.columns
    )


# ---- volume and mix ----------------------------------------------------------------------------------


def compare_volume(weeks: NDArray[np.int64], *, n_before: int, n_now: int) -> dict[str, float]:
    """Compare the leads a week by a t-test on square roots: weeks vary more than counting alone would say.

    The spread of all weeks is pooled: from four weeks alone (Welch's test) it is so uncertain that the small
    error rates of one look were exceeded nearly threefold.

    Parameters
    ----------
    weeks : ndarray of int
        Leads of each whole week in order of time, first those before.
    n_before, n_now : int
        How many weeks belong to either part.

    Returns
    -------
    dict
        ``before``, ``now`` (mean a week), ``p_value`` (nan with under 8 weeks before or 4 now).
    """
    before, now = weeks[:n_before], weeks[n_before : n_before + n_now]
    result = {
        "before": float(before.mean()) if before.size else float("nan"),
        "now": float(now.mean()) if now.size else float("nan"),
        "p_value": float("nan"),
    }
    if before.size >= 8 and now.size >= 4:
        a, b = np.sqrt(before + 0.375), np.sqrt(now + 0.375)
        if a.std() > 0 or b.std() > 0:
            result["p_value"] = float(ttest_ind(a, b).pvalue)
        elif a[0] != b[0]:
            result["p_value"] = 0.0
    return result


def compare_classes(
    definition: Definition, classes: pd.Series, before: Bits, now: Bits, *, weeks: tuple[float, float]
) -> pd.DataFrame:
    """Compare the share of each class, and its leads a week where the leads have dates."""
    rows: list[dict[str, Any]] = []
    for lead_class in definition.classes:
        inside = (classes == lead_class.name).to_numpy(dtype=bool)
        rows.append(
            {
                "lead_class": lead_class.name,
                "handed_over": lead_class.name in definition.handoff,
                "per_week_before": _ratio(inside[before].sum(), weeks[0]),
                "per_week_now": _ratio(inside[now].sum(), weeks[1]),
                **_moved(inside[before], inside[now]),
            }
        )
    return pd.DataFrame(rows, columns=list(CLASS_COLUMNS))


def mix_p_value(classes: pd.Series, before: Bits, now: Bits) -> float:
    """Test whether the shares of the classes are the same; nan with too few leads."""
    if min(before.sum(), now.sum()) < MIN_LEADS:
        return float("nan")
    codes = np.asarray(classes.cat.codes, dtype=np.int64) + 1
    return _homogeneity(codes[before], codes[now])[1]


def compare_criteria(
    definition: Definition, frame: pd.DataFrame, before: Bits, now: Bits, *, as_of: Any
) -> pd.DataFrame:
    """Say what share of the leads moved across each written threshold, with Newcombe's 95 % interval."""
    passed = evaluate_criteria(definition, frame, as_of=as_of)
    rows = [
        {
            "criterion": criterion.address,
            "written": criterion.text,
            **_moved(passed[criterion.address].to_numpy()[before], passed[criterion.address].to_numpy()[now]),
        }
        for criterion in definition.criteria()
        if criterion.measurable
    ]
    return pd.DataFrame(rows, columns=list(CRITERION_COLUMNS))


def _moved(before: Bits, now: Bits) -> dict[str, float]:
    """Difference of two shares with the interval of Newcombe (1998), method 10."""
    if not before.size or not now.size:
        return {
            "share_before": _ratio(before.sum(), before.size),
            "share_now": _ratio(now.sum(), now.size),
            "moved": float("nan"),
            "ci_low": float("nan"),
            "ci_high": float("nan"),
        }
    counts, sizes = np.array([before.sum(), now.sum()]), np.array([before.size, now.size])
    share = counts / sizes
    low, high = wilson_interval(counts, sizes)
    moved = float(share[1] - share[0])
    return {
        "share_before": float(share[0]),
        "share_now": float(share[1]),
        "moved": moved,
        "ci_low": moved - float(np.hypot(share[1] - low[1], high[0] - share[0])),
        "ci_high": moved + float(np.hypot(high[1] - share[1], share[0] - low[0])),
    }


def _ratio(count: float, size: float) -> float:
    return float(count) / size if size else float("nan")


# ---- one by one --------------------------------------------------------------------------------------


def compare_attributes(frame: pd.DataFrame, names: tuple[str, ...], before: Bits, now: Bits) -> pd.DataFrame:
    """Compare each attribute: its values, how often it is missing, levels that were not there before.

    Numbers by Kolmogorov-Smirnov, levels by chi square, missing values by Fisher's exact test, a new level by
    the exact chance that all its leads are among the newest. The adjusted value is Holm's over everything
    tested here; the population stability index stands beside it with what it would be without drift.

    Parameters
    ----------
    frame : DataFrame
        Leads in contract columns.
    names : tuple of str
        Attributes.
    before, now : ndarray of bool of shape (n_leads,)

    Returns
    -------
    DataFrame
        One row per attribute; ``p_adjusted`` is the smallest of its tests after Holm over all.
    """
    rows = [_attribute(frame[name], before, now) for name in names]
    table = pd.DataFrame(rows, columns=list(ATTRIBUTE_COLUMNS))
    tested = table[["p_value", "p_missing", "p_new_levels"]].to_numpy(dtype=np.float64)
    known = ~np.isnan(tested)
    adjusted = np.full(tested.shape, np.inf)
    adjusted[known] = holm(tested[known])
    if len(table):
        smallest = adjusted.min(axis=1)
        table["p_adjusted"] = np.where(np.isinf(smallest), np.nan, smallest)
    return table


def _attribute(values: pd.Series, before: Bits, now: Bits) -> dict[str, Any]:
    missing = values.isna().to_numpy(dtype=bool)
    first, second = values[before & ~missing], values[now & ~missing]
    row: dict[str, Any] = {
        "attribute": str(values.name),
        "test": "",
        "n_before": len(first),
        "n_now": len(second),
        "missing_before": _ratio(missing[before].sum(), int(before.sum())),
        "missing_now": _ratio(missing[now].sum(), int(now.sum())),
        "n_new_levels": 0,
        "leads_in_new_levels": 0,
        "new_levels": "",
        **dict.fromkeys(
            (
                "distance",
                "p_value",
                "p_missing",
                "p_new_levels",
                "p_adjusted",
                "psi",
                "psi_no_drift",
                "psi_p_value",
            ),
            np.nan,
        ),
    }
    if min(before.sum(), now.sum()) < MIN_LEADS:
        return row
    row["p_missing"] = _missing_p_value(missing[before], missing[now])
    enough = min(len(first), len(second)) >= MIN_LEADS
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or not len(first):
        return row
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        if enough:
            row |= _numbers(first.to_numpy(dtype=np.float64), second.to_numpy(dtype=np.float64))
        return row
    codes, names = _coded(values)
    return row | _levels(codes[before & ~missing], codes[now & ~missing], names, enough=enough)


def _coded(values: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    """Number the levels in the order of their names, or as declared; -1 is missing."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return np.asarray(values.cat.codes, dtype=np.int64), [str(level) for level in values.cat.categories]
    codes, levels = pd.factorize(values, sort=True)
    return np.asarray(codes, dtype=np.int64), [str(level) for level in levels]


def _missing_p_value(first: Bits, second: Bits) -> float:
    counts = np.array([[first.sum(), (~first).sum()], [second.sum(), (~second).sum()]])
    if not counts[:, 0].sum() or not counts[:, 1].sum():
        return float("nan")
    return float(fisher_exact(counts).pvalue)


def _numbers(first: Floats, second: Floats) -> dict[str, Any]:
    found = ks_2samp(first, second, method="asymp")
    cuts = np.unique(np.quantile(first, np.linspace(0, 1, _BINS + 1)[1:-1], method="inverted_cdf"))
    bins = [np.bincount(np.searchsorted(cuts, part), minlength=len(cuts) + 1) for part in (first, second)]
    return {
        "test": "Kolmogorov-Smirnov",
        "distance": float(found.statistic),
        "p_value": float(found.pvalue),
        **_stability(*bins),
    }


def _levels(
    known: NDArray[np.int64], new: NDArray[np.int64], names: list[str], *, enough: bool
) -> dict[str, Any]:
    seen, came = (np.bincount(part, minlength=len(names)) for part in (known, new))
    unseen = (seen == 0) & (came > 0)
    named = [names[place] for place in np.flatnonzero(unseen & (came >= SHOWN_LEVEL))]
    row: dict[str, Any] = {
        "n_new_levels": int(unseen.sum()),
        "leads_in_new_levels": int(came[unseen].sum()),
        "new_levels": ", ".join(sorted(named)[:5]),
    }
    if not enough:
        return row
    if unseen.any():
        n_levels = int((seen + came > 0).sum())
        row["p_new_levels"] = _new_level_p_value(int(came[unseen].max()), n_levels, known.size, new.size)
    distance, p_value = _homogeneity(known, new)
    there = seen + came > 0
    return row | {
        "test": "chi square",
        "distance": distance,
        "p_value": p_value,
        **_stability(seen[there], came[there]),
    }


def _new_level_p_value(n_leads: int, n_levels: int, n_before: int, n_now: int) -> float:
    """Chance that some level of as many leads lies wholly among the newest, were they shuffled."""
    place = np.arange(n_leads)
    alone = np.log(n_now - place).sum() - np.log(n_before + n_now - place).sum()
    return float(min(1.0, n_levels * np.exp(alone)))


def _homogeneity(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[float, float]:
    """Total variation and chi-square p-value of two samples of codes; rare codes are taken together."""
    width = int(max(first.max(initial=0), second.max(initial=0))) + 1
    counts = np.array([np.bincount(first, minlength=width), np.bincount(second, minlength=width)], float)
    counts = counts[:, counts.sum(axis=0) > 0]
    share = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(share[0] - share[1]).sum() / 2)
    expected = counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum()
    order = np.argsort(expected, kind="stable")
    rare = expected < _LEAST_EXPECTED
    if rare.any() and expected[rare].sum() < _LEAST_EXPECTED and not rare.all():
        rare[order[rare.sum()]] = True
    pooled = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)]) if rare.any() else counts
    if pooled.shape[1] < 2:
        return distance, 1.0
    return distance, float(chi2_contingency(pooled, correction=False).pvalue)


def _stability(first: NDArray[np.int64], second: NDArray[np.int64]) -> dict[str, float]:
    """Population stability index, what it is on average without drift, and its calibrated p-value.

    Without drift PSI n m / (n + m) is nearly chi square with one degree less than there are bins (Yurdakul
    2018): the usual rule "above 0.1" says more about the number of leads than about them.
    """
    n, m, bins = int(first.sum()), int(second.sum()), len(first)
    if bins < 2:
        return {"psi": 0.0, "psi_no_drift": 0.0, "psi_p_value": 1.0}
    p = (first + 0.5) / (n + 0.5 * bins)
    q = (second + 0.5) / (m + 0.5 * bins)
    index = float(((q - p) * np.log(q / p)).sum())
    scale = n * m / (n + m)
    return {
        "psi": index,
        "psi_no_drift": (bins - 1) / scale,
        "psi_p_value": float(chi2.sf(index * scale, bins - 1)),
    }


# ---- all together ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Whether a model can tell the newest leads from those before, on leads it was not trained on.

    Attributes
    ----------
    auc, auc_low, auc_high : float
        0.5 is "cannot tell"; 95 % interval.
    p_value : float
        Mann-Whitney; nan if there are too few leads.
    n_before, n_now : int
        Leads judged.
    """

    auc: float
    auc_low: float
    auc_high: float
    p_value: float
    n_before: int
    n_now: int


def compare_together(
    frame: pd.DataFrame, names: tuple[str, ...], before: Bits, now: Bits, *, random_state: int
) -> Together:
    """Test all attributes at once, correlations included: classifier two-sample test with an honest split.

    A logistic regression with pairwise products learns on one half to tell the newest leads from those
    before; the other half judges it.

    Parameters
    ----------
    frame : DataFrame
    names : tuple of str
    before, now : ndarray of bool of shape (n_leads,)
    random_state : int
        Draws the halves.

    Returns
    -------
    Together

    References
    ----------
    .. [1] Lopez-Paz, Oquab (2017), "Revisiting classifier two-sample tests", ICLR.
    """
    rng = np.random.default_rng(random_state)
    old = rng.permutation(np.flatnonzero(before))[:_MAX_SAMPLE]
    new = rng.permutation(np.flatnonzero(now))[:_MAX_SAMPLE]
    rows = np.concatenate([old, new])
    enough = min(len(old), len(new)) >= 2 * MIN_LEADS
    X = (
        _design(frame[list(names)].iloc[rows], names, reference=len(old))
        if enough
        else np.zeros((len(rows), 0))
    )
    if X.shape[1] == 0:
        return Together(
            auc=np.nan, auc_low=np.nan, auc_high=np.nan, p_value=np.nan, n_before=len(old), n_now=len(new)
        )
    y = np.concatenate([np.zeros(len(old)), np.ones(len(new))])
    # Rows of either side are in random order already: the first half of each trains.
    train = np.concatenate([np.arange(len(old)) < len(old) // 2, np.arange(len(new)) < len(new) // 2])
    ones = np.ones((len(y), 1))
    penalty = np.concatenate([[0.0], np.ones(X.shape[1])])
    design = np.column_stack([ones, X])
    coef, _, _ = fit_logistic(design[train], y[train], penalty=penalty)
    score = expit(design[~train] @ coef)
    judged = y[~train] == 1
    p_value = mannwhitneyu(score[judged], score[~judged], alternative="greater", method="asymptotic").pvalue
    auc, low, high = roc_auc_interval(y[~train], score)
    return Together(
        auc=float(auc),
        auc_low=float(low),
        auc_high=float(high),
        p_value=float(p_value),
        n_before=int((~judged).sum()),
        n_now=int(judged.sum()),
    )


def _design(frame: pd.DataFrame, names: tuple[str, ...], *, reference: int) -> Floats:
    """Make columns, scaled by the leads before, and their pairwise products; missing values last."""
    columns: list[Floats] = [column for name in names for column in _columns(frame[name], reference)]
    columns += [np.asarray(frame[name].isna(), dtype=np.float64) for name in names]
    columns = [column for column in columns if column.std() > 0][:_MAX_COLUMNS]
    pairs = [np.multiply(a, b) for i, a in enumerate(columns) for b in columns[i + 1 :]]
    used = [column for column in (*columns, *pairs) if column.std() > 0]
    return np.column_stack(used) if used else np.zeros((len(frame), 0))


def _columns(values: pd.Series, reference: int) -> list[Floats]:
    missing = values.isna().to_numpy(dtype=bool)
    dtype = values.dtype
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return []
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        return _scores(np.where(missing, np.nan, values.cat.codes.to_numpy(dtype=np.float64)), reference)
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype):
        return _scores(values.to_numpy(dtype=np.float64, na_value=np.nan), reference)
    codes, levels = _coded(values)
    counts = np.bincount(codes[:reference][~missing[:reference]], minlength=len(levels))
    common = np.argsort(-counts, kind="stable")[:_MAX_LEVELS]
    common = common[counts[common] > 0]
    flags: list[Floats] = [(codes == code).astype(np.float64) for code in sorted(common)[1:]]
    return [flag - flag[:reference].mean() for flag in flags]


def _scores(numbers: Floats, reference: int) -> list[Floats]:
    """Give normal scores by the leads before: no outlier can lead the model."""
    known = ~np.isnan(numbers)
    before = np.sort(numbers[:reference][known[:reference]])
    if not before.size:
        return []
    place = np.searchsorted(before, numbers, side="left") + np.searchsorted(before, numbers, side="right")
    return [np.where(known, norm.ppf((place / 2 + 0.5) / (before.size + 1.0)), 0.0)]
