"""Observation of a cluster: reads, and writes to quorate's own keys only. Nothing here changes a member."""
