"""Frozen bits: what runs of every kind give, as hashes that hold across commits (see README.md)."""
