"""Promises to one person: everything about them out, or gone."""
