"""The command line: parse, call, render. Thin; third-party imports only inside the command that needs them."""
