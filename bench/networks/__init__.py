"""Local steps of two-layer networks, localgd beside its rivals."""
