"""The peer's side: DuckDB copies a log into one folder a day. Run by the interpreter that has duckdb.

    python duckdb_copy.py SOURCE TARGET OPTIONS THREADS

The columns are named because detection needs a file that can be read twice, and a pipe cannot.
"""

import sys

import duckdb

COPY = """
COPY (
  SELECT *, CAST(ts AS DATE) AS date
  FROM   read_json('{source}', format = 'newline_delimited', columns = {{
           event_id: 'VARCHAR', ts: 'TIMESTAMP', event_type: 'VARCHAR', user_id: 'VARCHAR', session_id: 'VARCHAR',
           target_type: 'VARCHAR', target_id: 'VARCHAR', properties: 'JSON', context: 'JSON'
         }})
)
TO '{target}' ({options}, PARTITION_BY (date))
"""


def main() -> None:
    """Copy, and print how many rows were written."""
    source, target, options, threads = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute(f"SET threads = {int(threads)}")
    connection.execute(COPY.format(source=source, target=target, options=options))
    print(connection.fetchall()[0][0])


if __name__ == "__main__":
    main()
