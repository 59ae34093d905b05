"""Estimators of scikit-learn that are trained by local updates; they need the extra ``data``.

``from localgd.sklearn import FederatedClassifier, FederatedRegressor``
"""

from __future__ import annotations

from .. import _validation as check
from ..errors import MissingExtraError

if not hasattr(check.require("sklearn.utils.validation", "data", __name__), "validate_data"):
    raise MissingExtraError(f"{__name__} needs scikit-learn 1.6: pip install 'localgd[data]'")

from .classifier import FederatedClassifier
from .regressor import FederatedRegressor

__all__ = ["FederatedClassifier", "FederatedRegressor"]
