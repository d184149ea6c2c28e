"""Servers that answer as no honest one does, for every test of what reads the bytes of others."""
