"""What every command does with words: parses, prints, shows progress, takes signals."""
