"""A whole join, each of its phases, and its rollback."""
