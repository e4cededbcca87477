"""The lines of the benchmark's table, a family a file. Rows of a round run in order: what one stored, another compacts."""

from benchmarks.rows import active, funnel, growth, memory, person, purge, retention, rollup, starting, storing

ROWS = (
    *storing.ROWS,
    *starting.ROWS,
    *active.ROWS,
    *funnel.ROWS,
    *retention.ROWS,
    *person.ROWS,
    *purge.ROWS,
    *rollup.ROWS,
    *growth.ROWS,
    *memory.ROWS,
)
