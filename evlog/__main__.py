"""`python -m evlog` is the evlog command."""

from evlog.cli.main import main

if __name__ == "__main__":
    main()
