"""`python -m quorate`."""

from quorate.cli.entry import run

if __name__ == "__main__":
    run()
