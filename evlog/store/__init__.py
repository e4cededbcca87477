"""Where events lie: layout, locks, journal, segments, parts, id index, quarantine, tombstones, snapshots."""
