"""A question put to embedded ClickHouse, in a process of its own: python ask_chdb.py SQL THREADS. Prints a JSON list a row."""

import sys

import chdb


def main() -> None:
    """Ask and print."""
    sql, threads = sys.argv[1:]
    print(chdb.query(f"{sql} SETTINGS max_threads = {int(threads)}", "JSONCompactEachRow"), end="")


if __name__ == "__main__":
    main()
