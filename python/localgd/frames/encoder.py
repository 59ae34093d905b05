"""What makes rows of numbers of a table: gaps filled, numbers scaled, texts one-hot."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _validation as check
from ..rows import Found, Rows
from ..tables import column_text, columns_of
from .columns import Columns, Name, is_text, missing_of, read_columns, table_of

__all__ = ["FILLS", "SCALES", "Encoder", "encoded"]

FILLS = ("median", "mean", "most_frequent")  # of numbers; texts always have the most frequent one
SCALES = ("standard",)
MOST_SHOWN = 3  # categories in a warning
# A column with more texts than this, more than half as many as rows, is taken for names or ids.
MOST_TEXTS = 50
MOST_CODES = 20  # numbers as texts that are taken for categories


@dataclass(frozen=True, eq=False, repr=False)
class Encoder:
    """scikit-learn's transformers, fitted to the columns of a table.

    ``[(fill(numbers) - mean)/std, one-hot(fill(texts))]``

    Attributes
    ----------
    numbers, texts : tuple
        The columns of each kind, in the order of the table.
    fill_numbers : sklearn.impute.SimpleImputer or None
    scaler : sklearn.preprocessing.StandardScaler or None
    fill_texts : sklearn.impute.SimpleImputer or None
    one_hot : sklearn.preprocessing.OneHotEncoder or None
        Of two categories the first has no column: the other is 1.
    sparse : bool
        Whether rows are CSR, as is decided where it is fitted: where these take less than half.
    label, client : str, int or None, label also a list
        The columns that are none of the features.
    factor : float
        What all numbers of the rows are multiplied by in the end.
    """

    numbers: tuple[Name, ...]
    texts: tuple[Name, ...]
    fill_numbers: Any
    scaler: Any
    fill_texts: Any
    one_hot: Any
    sparse: bool
    label: Name | list[Name] | None = None
    client: Name | None = None
    factor: float = 1.0

    @classmethod
    def fit(
        cls,
        name: str,
        columns: Columns,
        *,
        categorical: Any = "onehot",
        impute: str | None = "median",
        scale: str | None = "standard",
        label: Name | list[Name] | None = None,
        client: Name | None = None,
    ) -> Encoder:
        """Learn medians, means and categories of columns, of which ``categorical`` are texts."""
        asked = check_options(categorical, impute, scale)
        _check_gaps(name, columns, impute)
        texts = [key for key, values in columns.values.items() if is_text(values)]
        if texts and categorical is None:
            example = next(v for v in columns.values[texts[0]] if v is not None)
            raise TypeError(
                f"{name}: {column_text(texts[0])} holds texts such as {example!r}; want numbers, "
                "categorical='onehot', or a table without it"
            )
        for key in texts:
            if key not in asked:
                _check_categories(name, key, columns.values[key])
        numbers = [key for key in columns.values if key not in texts]
        fitted = cls(
            tuple(numbers),
            tuple(texts),
            *_fit(columns, numbers, texts, impute, scale),
            sparse=False,
        )
        sparse = _csr_is_smaller(fitted._one_hot_of(columns), len(columns), len(numbers))
        return cls(**{**fitted.__dict__, "sparse": sparse, "label": label, "client": client})

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Those of the rows: of a number its column's, of a category ``column_category``."""
        names = [str(key) for key in self.numbers]
        if self.one_hot is not None:
            names += self.one_hot.get_feature_names_out([str(key) for key in self.texts]).tolist()
        return tuple(names)

    def encoded(self, name: str, X: Any) -> Any:
        """Rows of a table that has these columns among others, in any order; other rows unchanged.

        A table of the features themselves is unchanged, too.
        """
        found = columns_of(X)
        if found is None or tuple(found[0]) == self.feature_names:
            return X
        table = table_of(name, X)
        for key in (*self.numbers, *self.texts):
            if key not in table:
                raise ValueError(
                    f"{name}: there is no {column_text(key)}, which the model was trained with"
                    f"{check.did_you_mean(key, table)}"
                )
        chosen = {key: table[key] for key in (*self.numbers, *self.texts)}
        return self.transform(name, read_columns(name, chosen, self.texts, self.numbers))

    def transform(self, name: str, columns: Columns) -> Rows:
        """The rows of columns that were read, with a warning of categories that were not there."""
        self._warn_of_unseen(name, columns)
        if self.fill_numbers is None:
            _check_gaps(name, columns, None)
        numbers = np.empty((len(columns), 0))
        if self.numbers:
            numbers = _block(columns, self.numbers)
            for step in (self.fill_numbers, self.scaler):
                numbers = numbers if step is None else step.transform(numbers)
        one_hot = self._one_hot_of(columns)
        if self.sparse:
            from scipy.sparse import csr_array, hstack

            rows = csr_array(hstack([csr_array(numbers), one_hot], format="csr"))
        else:
            rows = numbers if one_hot is None else np.hstack([numbers, one_hot.toarray()])
        return rows if self.factor == 1 else rows * self.factor

    def found(self, name: str, columns: Columns) -> Found:
        """The rows with the names of their features."""
        return Found(self.transform(name, columns), self.feature_names)

    def state(self) -> dict[str, Any]:
        """All that was learned, as plain values that JSON and TOML can hold."""
        learned = {
            "fill_numbers": getattr(self.fill_numbers, "statistics_", None),
            "means": getattr(self.scaler, "mean_", None),
            "scales": getattr(self.scaler, "scale_", None),
            "fill_texts": getattr(self.fill_texts, "statistics_", None),
        }
        return {
            "numbers": list(self.numbers),
            "texts": list(self.texts),
            **{key: values.tolist() for key, values in learned.items() if values is not None},
            "categories": self._categories,
            "sparse": self.sparse,
            "factor": self.factor,
            **{
                role: getattr(self, role)
                for role in ("label", "client")
                if getattr(self, role) is not None
            },
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Encoder:
        """The same transformers again, of what :meth:`state` gave."""
        sklearn = _Sklearn()
        fill_numbers, scaler, fill_texts, one_hot = None, None, None, None
        # Fitted to a row without meaning; then what was learned is put in its place.
        row = np.zeros((1, len(state["numbers"])))
        if "fill_numbers" in state:
            fill_numbers = sklearn.imputer(strategy="median").fit(row)
            fill_numbers.statistics_ = np.array(state["fill_numbers"])
        if "means" in state:
            scaler = sklearn.scaler().fit(row)
            scaler.mean_, scaler.scale_ = np.array(state["means"]), np.array(state["scales"])
            scaler.var_ = scaler.scale_**2
        if state["texts"]:
            categories = [np.array(c, dtype=object) for c in state["categories"]]
            first = np.array([[c[0] for c in categories]], dtype=object)
            one_hot = sklearn.one_hot(categories).fit(first)
            if "fill_texts" in state:
                fill_texts = sklearn.fill_texts().fit(first)
                fill_texts.statistics_ = np.array(state["fill_texts"], dtype=object)
        return cls(
            tuple(state["numbers"]),
            tuple(state["texts"]),
            fill_numbers,
            scaler,
            fill_texts,
            one_hot,
            state["sparse"],
            state.get("label"),
            state.get("client"),
            state["factor"],
        )

    def __repr__(self) -> str:
        return (
            f"Encoder({len(self.numbers)} columns of numbers, {len(self.texts)} of texts: "
            f"{len(self.feature_names)} features)"
        )

    def _one_hot_of(self, columns: Columns) -> Any:
        """CSR of the categories; None without such columns."""
        if not self.texts:
            return None
        block = _block(columns, self.texts)
        if self.fill_texts is not None:
            block = self.fill_texts.transform(block)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)  # said above
            return self.one_hot.transform(block)

    def _warn_of_unseen(self, name: str, columns: Columns) -> None:
        for key, categories in zip(self.texts, self._categories, strict=True):
            known, values = set(categories), columns.values[key]
            unseen = np.array([v is not None and v not in known for v in values], dtype=bool)
            if not unseen.any():
                continue
            found = sorted({*values[unseen].tolist()})
            shown = ", ".join(map(repr, found[:MOST_SHOWN])) + ", …" * (len(found) > MOST_SHOWN)
            taken = repr(categories[0]) if len(known) == 2 else "none of its categories"
            warnings.warn(
                f"{name}: {column_text(key)} holds {shown} in {_rows(int(unseen.sum()))}, which "
                f"did not occur where the model was trained; counted as {taken}",
                UserWarning,
                stacklevel=2,
            )

    @property
    def _categories(self) -> list[list[str]]:
        """Of each column of texts."""
        return [categories.tolist() for categories in getattr(self.one_hot, "categories_", ())]


def encoded(name: str, about: Mapping[str, Any], X: Any) -> Any:
    """Rows of a table by the encoder of a problem that was made of one; any other rows unchanged.

    ``about``: the problem as the config of a run has it.
    """
    if "encoder" not in about:
        return X
    if getattr(X, "ndim", 2) == 1:
        raise ValueError(f"{name}: got one row; want a table of it, such as frame.iloc[[0]]")
    if columns_of(X) is None:
        return X
    return Encoder.from_state(about["encoder"]).encoded(name, X)


def check_options(categorical: Any, impute: Any, scale: Any) -> tuple[Name, ...]:
    """Columns that are categories although they may hold numbers."""
    for option, value, allowed in (("impute", impute, FILLS), ("scale", scale, SCALES)):
        if value is not None:
            check.one_of(option, value, allowed)
    if categorical is None or isinstance(categorical, str):
        if categorical is not None:
            check.one_of("categorical", categorical, ("onehot",))
        return ()
    if not isinstance(categorical, Sequence):
        raise TypeError(
            f"categorical: got {categorical!r}; want 'onehot', None, or the names of columns"
        )
    return tuple(categorical)


def _fit(
    columns: Columns,
    numbers: Sequence[Name],
    texts: Sequence[Name],
    impute: str | None,
    scale: str | None,
) -> tuple[Any, Any, Any, Any]:
    sklearn = _Sklearn()
    fill_numbers, scaler, fill_texts, one_hot = None, None, None, None
    if numbers:
        block = _block(columns, numbers)
        if impute is not None:
            fill_numbers = sklearn.imputer(strategy=impute).fit(block)
            block = fill_numbers.transform(block)
        if scale is not None:
            scaler = sklearn.scaler().fit(block)
    if texts:
        block = _block(columns, texts)
        if impute is not None:
            fill_texts = sklearn.fill_texts().fit(block)
            block = fill_texts.transform(block)
        one_hot = sklearn.one_hot("auto").fit(block)
    return fill_numbers, scaler, fill_texts, one_hot


class _Sklearn:
    """The transformers of scikit-learn, which is loaded when it is needed."""

    def __init__(self) -> None:
        what = "columns of a table as rows"
        self.imputer = check.require("sklearn.impute", "data", what).SimpleImputer
        preprocessing = check.require("sklearn.preprocessing", "data", what)
        self.scaler, self._one_hot = preprocessing.StandardScaler, preprocessing.OneHotEncoder

    def fill_texts(self) -> Any:
        return self.imputer(strategy="most_frequent", missing_values=None)

    def one_hot(self, categories: Any) -> Any:
        return self._one_hot(categories=categories, drop="if_binary", handle_unknown="ignore")


def _block(columns: Columns, keys: Sequence[Name]) -> np.ndarray:
    return np.column_stack([columns.values[key] for key in keys])


def _csr_is_smaller(one_hot: Any, n: int, n_numbers: int) -> bool:
    if one_hot is None:
        return False
    entries = one_hot.nnz + n * n_numbers
    dense = 8 * n * (one_hot.shape[1] + n_numbers)
    return bool(2 * (12 * entries + 4 * (n + 1)) < dense)


def _check_gaps(name: str, columns: Columns, impute: str | None) -> None:
    gaps = {key: int(missing_of(values).sum()) for key, values in columns.values.items()}
    empty = [key for key, count in gaps.items() if count == len(columns)]
    if empty and impute is not None:
        raise ValueError(
            f"{name}: {column_text(empty[0])} has no value in any row; want a table without it"
        )
    some = [key for key, count in gaps.items() if count]
    if some and impute is None:
        listed = ", ".join(f"{column_text(key)} ({_rows(gaps[key])})" for key in some[:4])
        raise ValueError(
            f"{name}: no value in {listed}{', …' * (len(some) > 4)}; want impute='median', or "
            f"only rows with all values, such as those of dropna(subset={some[:4]})"
        )


def _check_categories(name: str, key: Name, values: np.ndarray) -> None:
    found = {value for value in values if value is not None}
    texts = [value for value in sorted(found) if not _is_number(value)]
    of_numbers = len(texts) < len(found) / 2
    if len(found) <= (MOST_CODES if of_numbers else max(MOST_TEXTS, len(values) / 2)):
        return
    if of_numbers:
        example = f" ({texts[0]!r} is none)" if texts else ""
        cure = f"numbers in place of texts, as pandas.to_numeric makes them{example}"
    else:
        cure = "a table without it if these are names or ids"
    cure += ", or to find it named in categorical=…"
    raise ValueError(
        f"{name}: {column_text(key)} holds {len(found):,} different texts in {len(values):,} rows; "
        f"want {cure}"
    )


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
