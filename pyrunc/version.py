"""Which pyrunc this is. Must import nothing: the packaging reads this file alone."""

VERSION = "0.1.0"
COMMIT = "v0.1.0"  # by its tag; engines look for the line
