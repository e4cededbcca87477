"""Mutants that do the same as the original, and why: told by hand, where the flow of data does not show it."""

from __future__ import annotations

from mutant_swaps import SWAPPED

_STAGED = "both write files that nobody names yet; they are synced together"
_READ = "both only read, under the same lock"
_SPARE = "it only writes a staged file that no record names"

_BY_FUNCTION: dict[str, dict[str, str]] = {
    "store/durable.py Writer.write": {
        "`if len(self._open) >= _MANY:` before `with told_once('write', path):`": "one descriptor more is held, at most",
    },
    "store/durable.py folder": {
        "`sync_folder(path.parent.resolve())` before `if not is_folder(path):`": "the race that is looked for was lost before; a sync "
        "changes nothing of it",
    },
    "compact/__init__.py _compacted": {
        "`known = keys.Keys(tombstones.load(store))` before `if not days:`": "where there are no days nobody "
        "asks for a key",
    },
    "compact/__init__.py _commit": {
        "`if not made.apart:` before `journal.recover(staged.store)`": "the mark stands by itself, and comes before the commit",
    },
    "compact/part.py _odd": {
        "`return found` before `for segment in odd:`": "the staging folder goes with all that is in it",
    },
    "compact/part.py _by_engine": {
        "`if name is not None:` before `with contextlib.suppress(engine.OutOfMemory), engine.connec…`": "what is left of the "
        "try before is written over",
    },
    "compact/__init__.py _merge": {
        "`staged.write('ids', ids.chunks(_ids(store, day)))` before `staged.write('lines', lines())`": _STAGED,
        "`size = staged.file('lines').stat().st_size` before `staged.sync()`": "a file has its size before it is synced",
        "`yield absolute(raw, segment.name)` before `events += raw.count(b'\\n')`": "the generator is always run to its end",
    },
    "purge/leave.py apply": {
        "`memory.take(seen)` before `unrolled = _rolled(roll, force=force) if roll is not None a…`": (
            "both read the same snapshot; where counting fails, nothing of either is kept"
        ),
        "`if carrier is not None:` before `memory.take(seen)`": "both read the same snapshot, and name nothing",
    },
    "purge/leave.py _Leaving.commit": {
        "`moved = self.carrier is not None` before `if still and _leaving(now, self.before) != _leaving(seen, s…`": (
            "it binds a name that the other does not read"
        ),
        "`self.memory.take(now)` before `found = days.plan(self.store, before=self.before, rollups_b…`": _READ,
        "`renames, unlinks = ([], []) if moved else _quarantine(self.…` before `self.memory.take(now)`": _READ,
    },
    "purge/leave.py _Leaving._tombstone": {
        "`self.staged.write('days', [tombstones.days_file(purged_befo…` before `if (purged, restored) == "
        "(known.purged_before, known.restor…`": _SPARE,
    },
    "purge/memory.py Memory.take": {
        "`for memory in _LIMITS:` before `if not hot and (not cold):`": "of no files, nothing is read",
        "`self._taken |= {file.stamp for file in hot} | {file.stamp f…` before `for memory in _LIMITS:`": (
            "where reading fails, the purge fails, and its memory with it"
        ),
    },
    "person/erase.py erase_each": {
        "`who = closure.of_each(store, named)` before `known = tombstones.load(store)`": (
            "of the one only the key is used, which never changes"
        ),
    },
    "person/erase.py _attempt": {
        "`receipt = Receipt(leaving.users, how.anonymise, how.dry_run…` before `with locks.commit(store):`": (
            "what went elsewhere is read without a lock either way"
        ),
        "`known = tombstones.load(store)` before `journal.recover(store)`": "only its key is used, which never changes",
        "`seen, rejects = (snapshot.snapshot(store), quarantine.files…` before `known = tombstones.load(store)`": _READ,
    },
    "export/folder.py _written": {"without os.O_NOFOLLOW": "O_EXCL follows no symlink either"},
    "archive/out.py constants": {"_NEW without os.O_NOFOLLOW": "O_EXCL follows no symlink either"},
    "store/layout.py create": {
        "`for path in reversed([root, *root.parents]):` before `if root.is_symlink() and (not (root / MARKER).exists()):`": "where "
        "there is a symlink no folder is made, wherever it leads",
        "`if root.is_symlink() and (not (root / MARKER).exists()):` before `must_be_utf8(root)`": "both refuse before "
        "anything is written",
    },
    "store/locks.py _take": {
        "`time.sleep(_POLL)` before `if time.monotonic() >= give_up:`": "it gives up a twentieth of a second later",
    },
    "store/locks.py awaited": {
        "with a shared lock `fcntl.LOCK_EX`": "who holds it holds it alone, and who awaits it keeps nobody out",
    },
    "export/resume.py turn": {
        "`time.sleep(_POLL)` before `if until is not None and time.monotonic() >= until:`": (
            "it gives up a twentieth of a second later"
        ),
    },
    "store/parts.py write": {
        "`writer.add_key_value_metadata({_COVERS.decode(): str(covers…` before `path.chmod(durable.FILE_MODE)`": (
            "nothing of an event is in the file yet"
        ),
        "`for table in chain([first], (_shaped(table, first.schema) f…` before `writer.add_key_value_metadata({_COVERS.decode(): "
        "str(covers…`": (
            "what is told of a file is written with its footer, at the end"
        ),
    },
}  # fmt: skip

EQUAL = {
    f"{place}: {what}": why
    for told in (_BY_FUNCTION, SWAPPED)
    for place, whats in told.items()
    for what, why in whats.items()
}
