"""Grammar-aware fuzzing of every reader that takes bytes of others: a result or a typed error, soon and in little memory."""
