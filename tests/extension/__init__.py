"""A loss and a server that the package does not have, as docs/architecture.md says to add one."""
