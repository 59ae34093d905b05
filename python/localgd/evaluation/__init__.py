"""Is the federated model as good as one of the pooled rows, or as each client's own?"""

from __future__ import annotations

from .api import evaluate
from .table import Evaluation

__all__ = ["Evaluation", "evaluate"]
