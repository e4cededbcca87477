"""Questions: conditions, the `events` relation over both tiers, and the shape of an answer."""
