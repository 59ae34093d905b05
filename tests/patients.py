"""A table of patients in twelve hospitals, made up, as people have them."""

from __future__ import annotations

import numpy as np
import pandas as pd

HOSPITALS = [f"hospital {k:02d}" for k in range(12)]


def patients(n: int = 1200, seed: int = 0) -> pd.DataFrame:
    """Numbers with gaps, texts, categories, booleans and integers that may be missing."""
    rng = np.random.default_rng(seed)
    hospital = rng.integers(0, 12, n)
    age = rng.normal(62 + hospital / 2, 12, n).round()
    pressure = rng.normal(135, 18, n)
    smoker = rng.choice(["no", "former", "yes"], n, p=[0.6, 0.25, 0.15])
    sex = rng.choice(["f", "m"], n)
    diabetic = rng.random(n) < 0.2
    visits = rng.poisson(2, n)
    score = (age - 62) / 12 + (pressure - 135) / 30 + 1.2 * (smoker == "yes") + diabetic
    died = rng.random(n) < 1 / (1 + np.exp(2.2 - score))
    frame = pd.DataFrame(
        {
            "age": age,
            "pressure": pressure.astype(np.float32),
            "smoker": smoker,
            "sex": pd.Categorical(sex),
            "diabetic": pd.array(diabetic, dtype="boolean"),
            "visits": pd.array(visits, dtype="Int64"),
            "hospital": np.array(HOSPITALS)[hospital],
            "outcome": np.where(died, "yes", "no"),
        }
    )
    for name, share in {"age": 0.05, "pressure": 0.1, "smoker": 0.04, "diabetic": 0.03}.items():
        frame.loc[rng.random(n) < share, name] = None
    return frame
