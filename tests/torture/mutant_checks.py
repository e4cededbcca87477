"""Which checks are tried upon the mutants of a file, cheapest first."""

from __future__ import annotations

from commands import COMMANDS
from test_watched import TWICE

_OWN = {
    "compact/": "compact again merge",
    "purge/": "purge archive",
    "person/erase.py": "delete unsaid anonymise|delete again|delete dry",
    "person/rewrite.py": "delete unsaid anonymise",
    "person/pending.py": "await cancel|cancel all",
    "person/suppress.py": "suppress lift",
    "person/link.py": "link unlink",
    "archive/out.py": "archive copy",
    "archive/day.py": "archive copy",
    "archive/restore.py": "restore",
    "ingest/": "ingest first whole nameless replay",
    "export/folder.py": "export|export first",
    "export/resume.py": "point",
    "rollup/": "rollup anew",
    "replay.py": "replay clear|clear some",
    "verify.py": "repair",
    "store/runs.py": "run line",
    "store/pseudonym.py": "key rotate|rotate outside",
    "store/audit.py": "tell delete",
    "store/layout.py": "create first",
    "store/parts.py": "compact again delete",
    "store/snapshot.py": "compact again purge",
    "store/links.py": "link unlink unsaid",
    "store/tombstones.py": "ingest purge suppress delete",
    "store/locks.py": "key ingest compact rollup",
    "store/durable.py": "key create ingest compact",
    "store/journal.py": "ingest compact merge",
}  # fmt: skip
_FILES = {
    "compact/": "test_locked.py test_holders.py test_compact.py test_keys.py test_compact_lines.py",
    "purge/": "test_locked.py test_holders.py test_purge_promises.py test_purge.py",
    "person/erase.py": "test_meanwhile.py test_locked.py test_holders.py test_person_erase.py",
    "person/rewrite.py": "test_meanwhile.py test_locked.py test_person_erase.py test_anonymise.py",
    "person/pending.py": "test_meanwhile.py test_locked.py test_holders.py test_erasure_promise.py",
    "person/suppress.py": "test_locked.py test_suppress.py",
    "person/link.py": "test_meanwhile.py test_locked.py test_links.py",
    "archive/": "test_half_done.py test_meanwhile.py test_locked.py test_holders.py test_archive.py test_archive_crash.py",
    "ingest/": "test_meanwhile.py test_locked.py test_ingest_dedupe.py test_store_invariants.py test_consent.py",
    "export/": "test_holders.py test_export_resume.py",
    "rollup/": "test_meanwhile.py test_holders.py test_locked.py",
    "replay.py": "test_meanwhile.py test_holders.py test_locked.py test_replay.py",
    "verify.py": "test_meanwhile.py test_holders.py test_locked.py test_verify.py",
    "store/snapshot.py": "test_half_done.py test_locked.py test_store_readers.py test_compact.py",
    "store/": "test_half_done.py test_locked.py test_holders.py test_store_paths.py test_store_invariants.py test_store_readers.py",
    "store/journal.py": "test_half_done.py test_locked.py test_holders.py test_subsets.py",
    "store/durable.py": "test_half_done.py test_holders.py test_locked.py test_subsets.py",
    "store/audit.py": "test_half_done.py test_locked.py test_audit.py",
    "store/links.py": "test_half_done.py test_locked.py test_links.py",
    "store/pseudonym.py": "test_half_done.py test_pseudonym.py",
}  # fmt: skip


def checks(file: str) -> list[str]:
    """The checks of a file: its own commands watched, whole files of tests, and for the store all other commands."""
    own = [name for key, value in _OWN.items() if file.startswith(key) for name in _split(value)]
    rest = [name for name in COMMANDS if name not in own] if file.startswith("store/") else []
    keys = sorted((key for key in _FILES if file.startswith(key)), key=len, reverse=True)
    tests = list(dict.fromkeys(test for key in keys for test in _FILES[key].split()))
    return [*_watched(own), *tests[:2], *_watched(rest), *tests[2:]]


def _watched(names: list[str]) -> list[str]:
    """The commands watched: upon a store in order, after a crash, and when another process dies meanwhile."""
    steps = [f"test_watched.py::test_each_step[{name}]" for name in names]
    left = [f"test_watched.py::test_after_a_crash[{name}]" for name in names if COMMANDS[name].left]
    died = [f"test_watched.py::test_when_another_dies_meanwhile[{name}]" for name in names if name in TWICE]
    return [*steps, *left, *died]


def _split(names: str) -> list[str]:
    return [one for part in names.split("|") for one in ([part] if part in COMMANDS else part.split())]
