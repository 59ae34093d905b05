"""How often ``engine="auto"`` is the fastest engine: ``python bench/engine_choice``."""
