"""The benchmark: `make bench` (docs/performance.md)."""
