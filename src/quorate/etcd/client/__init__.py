"""How one member is asked: connections, and who answers now."""
