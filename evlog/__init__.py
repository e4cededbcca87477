"""evlog: product analytics without a service, over append-only NDJSON logs."""

__version__ = "0.1.0"
