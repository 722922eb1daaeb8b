"""The candidates for a model and the choice among them by log loss on later leads."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from leadml.errors import LeadmlError
from leadml.metrics import log_losses
from leadml.models._ebm import EbmClassifier
from leadml.models._encoder import LeadEncoder, factorize_texts
from leadml.models._logistic import SplineLogisticClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from leadml.models._features import Feature

__all__ = ["Candidate", "Choice", "choose_candidate", "list_candidates", "order_rows", "split_origins"]

_ORIGINS = (0.4, 0.6, 0.8)
_ORIGINS_OF_MANY = (0.5, 0.75)
_MIN_CLASS = 5
_MAX_BINS = 255  # the most that the booster takes
_MANY_LEADS = 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pipeline that may become the model.

    Attributes
    ----------
    name : str
        Short name for pages.
    build : callable
        Gives the unfitted pipeline.
    takes_groups : bool
        Whether it can be adjusted for who decided.
    ignores : tuple of str
        Attributes that it leaves out.
    follows : str
        It is only tried if the best candidate so far has a name that begins so.
    """

    name: str
    build: Callable[[], Pipeline]
    takes_groups: bool = False
    ignores: tuple[str, ...] = ()
    follows: str = ""

    def fit(
        self, X: pd.DataFrame, y: NDArray[np.float64], groups: NDArray[np.int64] | None = None
    ) -> Pipeline:
        """Build the pipeline and fit it, adjusted for `groups` if they are given."""
        pipeline = self.build()
        return pipeline.fit(X, y) if groups is None else pipeline.fit(X, y, model__groups=groups)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """What the candidates reached on leads later than those they were fitted on.

    Attributes
    ----------
    name : str
        The chosen candidate.
    table : DataFrame
        One row per candidate, simplest first: candidate, log_loss, behind, standard_error, chosen.
    rows : ndarray of int
        Positions of the later leads, in order of time.
    y_prob : ndarray of float
        What the chosen candidate said of them before it saw them.
    stretches : ndarray of int
        Number of the origin after which each of them stands.
    """

    name: str
    table: pd.DataFrame
    rows: NDArray[np.int64]
    y_prob: NDArray[np.float64]
    stretches: NDArray[np.int64]


def list_candidates(
    features: Sequence[Feature], *, random_state: int, n_leads: int = 0, extras: Sequence[str] = ()
) -> tuple[Candidate, ...]:
    """List the candidates, simplest first.

    Parameters
    ----------
    features : sequence of Feature
        What the model may see; their directions become monotone constraints of one booster.
    random_state : int
        Seed of the boosters.
    n_leads : int, default 0
        Training leads; from 15,000 on a larger booster is tried where the small one is the best, and the
        strong shrinkage is not, for so many leads outweigh either penalty.
    extras : sequence of {"ebm"}
        Candidates that need an extra package.

    Returns
    -------
    tuple of Candidate
    """
    unknown = sorted(set(extras) - {"ebm"})
    if unknown:
        raise ValueError(f"extras: expected 'ebm', got {unknown[0]!r}.")
    if "ebm" in extras and importlib.util.find_spec("interpret") is None:
        raise LeadmlError("ebm: interpret is not installed. Install it with `pip install leadml[ebm]`.")
    directions = [feature.direction for feature in features]
    kinds = tuple(_code_kind(feature) for feature in features)
    long = tuple(feature.name for feature in features if feature.long)

    def logistic(name: str, penalty: float, ignore: tuple[str, ...]) -> Candidate:
        def build() -> Pipeline:
            return _pipeline(features, SplineLogisticClassifier(kinds=kinds, penalty=penalty), ignore)

        return Candidate(name=name, build=build, takes_groups=True, ignores=ignore)

    def boosting(
        name: str, monotone: Sequence[int] | None, ignore: tuple[str, ...], *, n_leaves: int = 8
    ) -> Candidate:
        def build() -> Pipeline:
            model = HistGradientBoostingClassifier(
                learning_rate=0.08,
                max_iter=80 if n_leaves == 8 else 120,
                max_leaf_nodes=n_leaves,
                min_samples_leaf=25,
                l2_regularization=5.0,
                max_bins=_MAX_BINS,
                early_stopping=False,
                monotonic_cst=list(monotone) if monotone is not None else None,
                random_state=random_state,
            )
            return _pipeline(features, model, ignore, max_groups=_MAX_BINS)

        follows = "" if n_leaves == 8 else "boosting"
        return Candidate(name=name, build=build, ignores=ignore, follows=follows)

    many = n_leads >= _MANY_LEADS
    found = [] if many else [logistic("logistic, strongly shrunk", 30.0, long)]
    found.append(logistic("logistic", 3.0, long))
    if any(directions):
        found.append(boosting("boosting, monotone as the definition says", directions, long))
    found.append(boosting("boosting", None, long))
    if many:
        found.append(boosting("boosting, larger", None, long, n_leaves=24))
    if long:
        found.append(logistic("logistic, strongly shrunk, with long lists", 30.0, ()))
        found.append(boosting("boosting, with long lists", None, ()))
    if "ebm" in extras:
        found.append(
            Candidate(
                name="explainable boosting machine",
                build=lambda: _pipeline(features, EbmClassifier(random_state=random_state), long),
                ignores=long,
            )
        )
    return tuple(found)


def _code_kind(feature: Feature) -> str:
    return "number" if feature.kind == "age" else feature.kind


def _pipeline(
    features: Sequence[Feature], model: Any, ignore: tuple[str, ...], *, max_groups: int | None = None
) -> Pipeline:
    encoder = LeadEncoder(
        kinds={feature.name: _code_kind(feature) for feature in features},
        levels={feature.name: list(feature.levels) for feature in features if feature.levels},
        ignore=ignore,
        max_groups=max_groups,
    )
    return Pipeline([("encode", encoder), ("model", model)])


def _best(candidates: Sequence[Candidate], y: NDArray[np.float64], predicted: NDArray[np.float64]) -> str:
    """Give the name of the candidate with the least log loss so far."""
    losses = [log_losses(y, p).mean() if y.size else 0.0 for p in predicted]
    return candidates[int(np.nanargmin(losses))].name


def order_rows(X: pd.DataFrame, y: NDArray[np.float64], t0: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order leads by time, then by what they look like, so that the order of the file does not matter.

    Parameters
    ----------
    X : DataFrame
        Features.
    y : ndarray of shape (n_leads,)
        Label: the last key, between leads that are otherwise the same.
    t0 : ndarray of float of shape (n_leads,)
        Time; missing comes first.

    Returns
    -------
    ndarray of int
        Positions.
    """
    if not len(X):
        return np.zeros(0, dtype=np.int64)
    look = np.zeros(len(X), dtype=np.uint64)
    for j, name in enumerate(X.columns):
        column = X[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            hashed = pd.util.hash_array(column.to_numpy(dtype=np.float64, na_value=np.nan))
        else:
            codes, texts = factorize_texts(column)
            hashed = pd.util.hash_array(np.asarray([*texts, "\0"], dtype=object))[codes]
        look = look * np.uint64(1_000_003) + hashed + np.uint64(j)
    time = np.where(np.isnan(t0), -np.inf, t0)
    return np.asarray(np.lexsort((y, look, time)), dtype=np.int64)


def split_origins(t0: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[slice, slice]]:
    """Split leads in order of time into what comes before and after three origins (two from 15,000 leads).

    Leads of the same moment are never divided unless nearly all have one. Each origin needs five leads of
    each class before it and one of each after it.

    Parameters
    ----------
    t0 : ndarray of float of shape (n_leads,)
        Sorted.
    y : ndarray of shape (n_leads,)
        Labels in the same order.

    Returns
    -------
    list of (slice, slice)
        Earlier leads to fit on, the next stretch to judge on.
    """
    n = y.size
    cuts = []
    for share in _ORIGINS if n < _MANY_LEADS else _ORIGINS_OF_MANY:
        cut = int(n * share)
        start = int(np.searchsorted(t0, t0[cut], side="left"))
        cuts.append(start if start >= 0.5 * cut else cut)
    ends = [*cuts[1:], n]
    out = []
    for cut, end in zip(cuts, ends, strict=True):
        wins = y[:cut].sum()
        if end > cut and min(wins, cut - wins) >= _MIN_CLASS:
            out.append((slice(0, cut), slice(cut, end)))
    return out


def choose_candidate(
    candidates: Sequence[Candidate],
    X: pd.DataFrame,
    y: NDArray[np.float64],
    *,
    t0: NDArray[np.float64],
    step: Callable[[str], None],
    groups: NDArray[np.int64] | None = None,
) -> Choice:
    """Choose by rolling-origin log loss the simplest candidate within one standard error of the best.

    Parameters
    ----------
    candidates : sequence of Candidate
        Simplest first.
    X : DataFrame
        Features of the training leads in order of time.
    y : ndarray of shape (n_leads,)
        0 or 1.
    t0 : ndarray of float of shape (n_leads,)
        Their times, sorted.
    step : callable
        Told the name of each fit as it begins.
    groups : ndarray of int of shape (n_leads,), optional
        Who decided, for candidates that can be adjusted for it.

    Returns
    -------
    Choice
        The first candidate, unjudged, if there are too few leads to divide.

    References
    ----------
    .. [1] Tashman (2000), International Journal of Forecasting 16, 437-450 (rolling origin).
    .. [2] Breiman et al. (1984), Classification and Regression Trees (one standard error).
    """
    folds = split_origins(t0, y)
    later_rows = [np.arange(later.start, later.stop, dtype=np.int64) for _, later in folds]
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *later_rows])
    predicted = np.full((len(candidates), rows.size), np.nan)
    for i, candidate in enumerate(candidates):
        start = 0
        if candidate.follows and not _best(candidates[:i], y[rows], predicted[:i]).startswith(
            candidate.follows
        ):
            continue
        for earlier, later in folds:
            step(candidate.name)
            pipeline = candidate.fit(X.iloc[earlier], y[earlier], None if groups is None else groups[earlier])
            size = later.stop - later.start
            predicted[i, start : start + size] = pipeline.predict_proba(X.iloc[later])[:, 1]
            start += size
    if not rows.size:
        table = pd.DataFrame(
            {
                "candidate": [candidate.name for candidate in candidates],
                "log_loss": np.nan,
                "behind": np.nan,
                "standard_error": np.nan,
                "chosen": [i == 0 for i in range(len(candidates))],
            }
        )
        return Choice(name=candidates[0].name, table=table, rows=rows, y_prob=np.zeros(0), stretches=rows)
    losses = np.stack([log_losses(y[rows], p) for p in predicted])
    mean = losses.mean(axis=1)  # missing for a candidate that was not tried
    best = int(np.nanargmin(mean))
    gap = losses - losses[best]
    error = gap.std(axis=1, ddof=1) / np.sqrt(rows.size) if rows.size > 1 else np.zeros(len(candidates))
    chosen = int(np.flatnonzero(gap.mean(axis=1) <= error)[0])
    table = pd.DataFrame(
        {
            "candidate": [candidate.name for candidate in candidates],
            "log_loss": mean,
            "behind": gap.mean(axis=1),
            "standard_error": error,
            "chosen": [i == chosen for i in range(len(candidates))],
        }
    )
    return Choice(
        name=candidates[chosen].name,
        table=table.round(10),
        rows=rows,
        y_prob=predicted[chosen],
        stretches=np.repeat(np.arange(len(later_rows)), [part.size for part in later_rows]),
    )
