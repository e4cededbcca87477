"""What maintenance takes: `--wait`, `--dry-run`, `--yes`."""

from __future__ import annotations

from typer import Option

from evlog.errors import UsageError

WAIT = Option("--wait", metavar="DURATION|none", help="Wait that long for other maintenance to end; none: for ever.")
DRY_RUN = Option("--dry-run", help="Change nothing; say what would be done.")
YES = Option("--yes", help="Do not ask.")


def seconds(wait: str | None) -> float | None:
    """How long to wait for the lock: not at all, so many seconds, or for ever (`none`)."""
    from evlog.window import limit

    if wait is None:
        return 0.0
    try:
        found = limit(wait)
    except UsageError as error:
        raise UsageError(f"--wait: {error}", hint=error.hint) from error
    return None if found is None else found.total_seconds()
