"""This machine: processes, locks, ports, programs."""
