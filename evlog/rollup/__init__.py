"""Rollups: what is counted of each hour, day, week and month, and which of them must be counted again."""

from evlog.rollup.asked import GRAINS, Asked, Change, Done, Due
from evlog.rollup.roll import finish, plan, roll

__all__ = ["GRAINS", "Asked", "Change", "Done", "Due", "finish", "plan", "roll"]
