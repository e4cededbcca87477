"""Purge: whole days older than the retention go, from every tier, and stay gone.

A plan says what would go (`days`); applying it is one commit: the tombstone of the days, the memory of who was first
seen when (metrics §13), the entry of the audit log, and the unlinks (`leave`). Days that are carried into an archive
leave by the same door.
"""

from evlog.purge.days import Day, Plan, cutoff, plan
from evlog.purge.leave import Carrier, NotRolledUp, Signed, apply

__all__ = ["Carrier", "Day", "NotRolledUp", "Plan", "Signed", "apply", "cutoff", "plan"]
