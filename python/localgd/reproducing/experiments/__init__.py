"""One file per experiment, on the public API; ``registry.py`` lists them."""
