"""Typed attributes to one float32 matrix: numbers, order codes, level codes; missing stays missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from leadml.errors import LeadsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["LeadEncoder"]

_FLOAT32_MAX = 3.0e38
_TRUE = frozenset({"true", "1", "1.0", "yes"})
_FALSE = frozenset({"false", "0", "0.0", "no"})


class LeadEncoder(TransformerMixin, BaseEstimator):
    """Encode the attributes of leads as one float32 column each.

    Numbers stay numbers; booleans become 0 and 1; ordinals become the position of their level; the levels
    of a category become codes in the order of their smoothed share of positives, so that a tree can split
    them; levels of fewer than `min_count` leads share one code for "other", which also takes levels never
    seen before. Missing stays missing (nan). One column per attribute keeps attributions additive.

    Parameters
    ----------
    kinds : mapping of str to {"number", "boolean", "ordinal", "category"}, optional
        Kind of each column; without it numbers, booleans and categories are told by their dtype.
    levels : mapping of str to sequence of str, optional
        Levels of ordinals, lowest first. A value that is not among them is missing.
    min_count : int, default 20
        Leads that a level needs for a code of its own.
    ignore : sequence of str, default ()
        Columns that are expected but say nothing: they are 0 for everybody.
    max_groups : int, optional
        Numbers become the order code of one of at most so many groups of values, by default they stay
        numbers. A value as frequent as two groups has a group of its own: amounts that a price list or a
        form suggests are then not thrown together with their neighbours, as equal quantiles do.

    Attributes
    ----------
    kinds_ : list of str
        Kind of each column.
    levels_ : list of list of str
        Level of each code, empty for numbers and booleans.
    other_ : list of int
        Code of "other" in each column, -1 without one.
    cuts_ : list of ndarray
        Points between the groups of each number; empty without `max_groups` and for other kinds.
    empty_ : list of bool
        Columns without a value in `fit`; they are 0 whatever comes, for there is nothing to tell apart.

    Examples
    --------
    >>> X = pd.DataFrame({"employees": [10, None], "title": ["vp", "staff"]})
    >>> LeadEncoder(kinds={"employees": "number", "title": "ordinal"},
    ...             levels={"title": ["staff", "vp"]}).fit_transform(X).tolist()
    [[10.0, 1.0], [nan, 0.0]]
    """

    def __init__(
        self,
        *,
        kinds: Mapping[str, str] | None = None,
        levels: Mapping[str, Sequence[str]] | None = None,
        min_count: int = 20,
        ignore: Sequence[str] = (),
        max_groups: int | None = None,
    ) -> None:
        self.kinds = kinds
        self.levels = levels
        self.min_count = min_count
        self.ignore = ignore
        self.max_groups = max_groups

    def fit(self, X: Any, y: ArrayLike | None = None) -> LeadEncoder:
        """Learn the levels and their codes.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_leads, n_attributes)
            Attributes.
        y : array-like of shape (n_leads,), optional
            Target; orders the codes of categories. Without it the commonest level comes first.

        Returns
        -------
        LeadEncoder
            Itself.
        """
        frame = self._check(X, reset=True)
        positive = None
        if y is not None:
            labels = np.asarray(y).ravel()
            positive = (labels == np.unique(labels)[-1]).astype(np.float64)
        self.kinds_: list[str] = []
        self.levels_: list[list[str]] = []
        self.other_: list[int] = []
        self.cuts_: list[NDArray[np.float64]] = []
        for name in frame.columns:
            kind = self.kinds[name] if self.kinds is not None else _kind(frame[name])
            declared = [str(level) for level in (self.levels or {}).get(name, ())]
            other = -1
            if kind == "category":
                declared, other = _learn_levels(frame[name], positive, self.min_count)
            cuts = np.empty(0)
            if kind == "number" and self.max_groups is not None:
                cuts = _learn_cuts(_numbers(frame[name]), self.max_groups)
            self.cuts_.append(cuts)
            self.kinds_.append(kind)
            self.levels_.append(declared)
            self.other_.append(other)
        self.empty_ = [False] * len(self.kinds_)
        self.empty_ = [
            name in self.ignore or bool(np.isnan(column).all())
            for name, column in zip(frame.columns, self._encode(frame).T, strict=True)
        ]
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Encode leads.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_leads, n_attributes)
            The columns seen in `fit`.

        Returns
        -------
        ndarray of shape (n_leads, n_attributes), float32
            Codes, missing as nan.
        """
        check_is_fitted(self)
        return self._encode(self._check(X, reset=False))

    def _encode(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        out = np.empty((len(frame), len(self.kinds_)), dtype=np.float32)
        for j, kind in enumerate(self.kinds_):
            column = frame.iloc[:, j]
            if kind == "number":
                values = _numbers(column)
                out[:, j] = values if self.max_groups is None else _group(values, self.cuts_[j])
            elif kind == "boolean":
                out[:, j] = _booleans(column)
            else:
                out[:, j] = _codes(column, self.levels_[j], self.other_[j])
            if self.empty_[j]:
                out[:, j] = 0.0
        return out

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:  # noqa: ARG002 - scikit-learn's signature
        """Give the names of the columns, which stay those that came in."""
        check_is_fitted(self)
        if hasattr(self, "feature_names_in_"):
            return np.asarray(self.feature_names_in_, dtype=object)
        return np.asarray([f"x{j}" for j in range(self.n_features_in_)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _check(self, X: Any, *, reset: bool) -> pd.DataFrame:
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=reset)
            check_array(np.empty((len(X), X.shape[1]), dtype=np.int8))
            return X
        array = validate_data(self, X, dtype=None, ensure_all_finite=False, reset=reset)
        return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])


def _kind(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column.dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(column.dtype):
        return "number"
    if (
        column.dtype == object
        and pd.to_numeric(column, errors="coerce").notna().sum() == column.notna().sum()
    ):
        return "number"
    return "category"


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    """Give numbers with infinities as missing; text that is no number is refused."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        parsed = pd.to_numeric(column, errors="coerce")
        values = np.asarray(parsed.to_numpy(dtype=np.float64, na_value=np.nan))
        n_text = int((np.isnan(values) & column.notna().to_numpy()).sum())
        if n_text:
            raise LeadsError(
                f"attribute {column.name}: expected numbers, got text in {n_text:,} rows. "
                "Declare its type, decimal mark and missing markers in the contract."
            )
    values = np.where(np.isfinite(values), values, np.nan)
    return np.asarray(np.clip(values, -_FLOAT32_MAX, _FLOAT32_MAX))


def _learn_cuts(values: NDArray[np.float64], max_groups: int) -> NDArray[np.float64]:
    """Give the points between groups of about equally many leads; a frequent value has its own group."""
    distinct, count = np.unique(values[~np.isnan(values)], return_counts=True)
    middle = distinct[:-1] + np.diff(distinct) / 2
    if distinct.size <= max_groups:
        return np.asarray(middle, dtype=np.float64)
    own = count >= 2 * count.sum() / max_groups
    rest = np.where(own, 0, count)
    size = rest.sum() / max(max_groups - 2 * int(own.sum()), 1)  # a value of its own cuts a group in two
    group = np.floor((np.cumsum(rest) - 0.5) / size)
    ends = own[1:] | own[:-1] | (group[1:] != group[:-1])
    return np.asarray(middle[ends], dtype=np.float64)


def _group(values: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.float64]:
    codes = np.searchsorted(cuts, values, side="right").astype(np.float64)
    return np.where(np.isnan(values), np.nan, codes)


def _booleans(column: pd.Series) -> NDArray[np.float64]:
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isnan(values), np.nan, (values != 0).astype(np.float64))
    codes, texts = factorize_texts(column)
    number = [1.0 if t.lower() in _TRUE else 0.0 if t.lower() in _FALSE else np.nan for t in texts]
    return np.asarray([*number, np.nan], dtype=np.float64)[codes]


def factorize_texts(column: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    """Give the position of each value among its distinct texts; missing is -1."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column.cat.codes, dtype=np.int64), [str(level) for level in column.cat.categories]
    codes, uniques = pd.factorize(column)
    return np.asarray(codes, dtype=np.int64), [str(value) for value in uniques]


def _codes(column: pd.Series, levels: list[str], other: int) -> NDArray[np.float64]:
    codes, texts = factorize_texts(column)
    position = {level: float(i) for i, level in enumerate(levels)}
    unknown = float(other) if other >= 0 else np.nan
    table = np.asarray([*(position.get(text, unknown) for text in texts), np.nan], dtype=np.float64)
    return np.asarray(table[codes])


def _learn_levels(
    column: pd.Series, positive: NDArray[np.float64] | None, min_count: int
) -> tuple[list[str], int]:
    """Order the common levels by their smoothed share of positives; rare ones share the last code."""
    codes, texts = factorize_texts(column)
    known = codes >= 0
    count: dict[str, float] = {}
    wins: dict[str, float] = {}
    n = np.bincount(codes[known], minlength=len(texts))
    hits = n if positive is None else np.bincount(codes[known], weights=positive[known], minlength=len(texts))
    for text, size, hit in zip(texts, n, hits, strict=True):
        count[text] = count.get(text, 0) + float(size)
        wins[text] = wins.get(text, 0) + float(hit)
    base = 0.5 if positive is None or not positive.size else float(positive.mean())
    floor = min(min_count, max(1, len(column) // 20))
    common = [text for text in count if count[text] >= floor]
    if positive is None:
        common.sort(key=lambda text: (-count[text], text))
    else:
        common.sort(key=lambda text: ((wins[text] + 10 * base) / (count[text] + 10), text))
    rare = any(0 < count[text] < floor for text in count)
    return common, len(common) if rare else -1
