"""Parts that every command uses: parsing, output, progress and signals."""
