"""Reads and shows what others wrote: bounded in bytes, time and depth, and shown with nothing hidden in it (decision 23)."""
