"""Which rows train: one file per kind of selection."""
