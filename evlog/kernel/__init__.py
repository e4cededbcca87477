"""Arithmetic over sorted columns: what a funnel asks of each person's events. Knows no store and no SQL."""
