"""Archives: whole days as plain Parquet in a folder outside of the store, with checksums; and back again.

    DIR/date=YYYY-MM-DD/events.parquet     a day (with .age or .gpg where it is encrypted; events-2 the second time)
    DIR/manifest.ndjson                    a line per file: what it holds, of which store, its checksum
    DIR/SHA256SUMS                         for `sha256sum -c`

`out` writes and checks them before a day leaves the store, `restore` brings days back, `verify` holds an archive
against its checksums. No erasure reaches what lies there; `log` tells where archives went.
"""
