"""The words that stand where a user id should, and mean nobody (metrics §13)."""

WORDS = ("null", "none", "undefined", "anonymous", "00000000-0000-0000-0000-000000000000")
