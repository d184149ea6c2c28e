"""The command line: parse, call, render. Commands are thin and import third-party packages only where they need them."""
