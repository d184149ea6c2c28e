"""Calls to one member: connections, and the choice of a member that answers now."""
