"""The parts of the funnel report: its question, what it reads, whom it counts, and what it says (metrics §7)."""
