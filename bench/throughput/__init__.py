"""Local steps per second of localgd beside its rivals: ``python bench/throughput``."""
