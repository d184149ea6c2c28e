"""What every dry run says last, so that nobody takes a plan for a result."""

NOTHING_DONE = "dry run: nothing was changed"
