"""`python -m quorate`."""

from quorate.cli.main import run

if __name__ == "__main__":
    run()
