"""What our classifiers share: two classes, and a probability that follows from their log-odds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from leadml.metrics import expit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["LogOddsClassifier"]


class LogOddsClassifier(ClassifierMixin, BaseEstimator):
    """Base of classifiers of two classes that take codes and numbers with missing values.

    A subclass has `fit` and `decision_function`, the log-odds of the second class.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Labels, the second is the positive one.
    """

    classes_: NDArray[Any]

    def _check_two_classes(
        self, X: Any, y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64]]:
        """Check the training leads, keep the classes and give X, y and y as 0 and 1."""
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", reset=True)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if self.classes_.size > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass: "
                f"{self.classes_.size} classes."
            )
        if self.classes_.size < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        labels = np.asarray(y)
        return X, labels, np.asarray(labels == self.classes_[1], dtype=np.float64)

    def _check_leads(self, X: Any) -> NDArray[np.floating]:
        """Check leads that are to be scored."""
        check_is_fitted(self)
        kinds = [np.float64, np.float32]
        return np.asarray(validate_data(self, X, dtype=kinds, ensure_all_finite="allow-nan", reset=False))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the log-odds of the second class."""
        raise NotImplementedError

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Compute the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_leads, n_columns)
            Codes and numbers, missing as nan.

        Returns
        -------
        ndarray of shape (n_leads, 2)
        """
        p = expit(self.decision_function(X))
        return np.column_stack([1 - p, p])

    def predict(self, X: Any) -> NDArray[Any]:
        """Give the likelier class.

        Parameters
        ----------
        X : array-like of shape (n_leads, n_columns)
            Codes and numbers, missing as nan.

        Returns
        -------
        ndarray of shape (n_leads,)
        """
        check_is_fitted(self)
        return np.asarray(self.classes_[(self.decision_function(X) > 0).astype(np.int64)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags
