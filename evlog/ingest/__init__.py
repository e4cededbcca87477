"""From lines to durable batches: read, parse, dedupe, commit."""
