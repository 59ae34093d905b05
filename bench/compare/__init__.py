"""Two versions of localgd side by side: ``python bench/compare OLD NEW``."""
