"""`python -m pyrunc`."""

from pyrunc.cli import main

if __name__ == "__main__":
    main()
