"""Studies: grids of runs in a TOML file, and the folders that hold what came of them."""
