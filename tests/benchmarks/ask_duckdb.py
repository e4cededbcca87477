"""A question put to DuckDB, in a process of its own: python ask_duckdb.py SQL THREADS. Prints a JSON list a row."""

import json
import sys

import duckdb


def main() -> None:
    """Ask and print."""
    sql, threads = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute(f"SET threads = {int(threads)}")
    for row in connection.execute(sql).fetchall():
        print(json.dumps(row, default=str))


if __name__ == "__main__":
    main()
