"""Local steps on sparse rows, localgd beside its rivals: ``python bench/sparse_rows``."""
