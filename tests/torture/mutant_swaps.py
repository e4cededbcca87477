"""Swapped steps that do the same, and why: told by hand, where the flow of data does not show it."""

from __future__ import annotations

_STAGED = "both write files that nobody names yet; they are synced together"
_READ = "both only read, under the same lock"
_SPARE = "it only writes a staged file that no record names"
_AGAIN = "a commit in between that does more than add events makes it look again"
_NUMBER = "a number of a staged file, whatever it is"
_LATER = "both are read after the stamp"
_OWN = "each rewrites files of its own, and one commit names them all"
_STAGES = "the one stages a file, the other only reads"
_ONE = "one commit names both"
_MEMORY = "in memory, read at the end"
_NAMED = "both are staged, and one commit names them"
_LOOKS = "it only reads"
_EARLY = "progress is told a day early"
_APART = "neither reads the other"

SWAPPED: dict[str, dict[str, str]] = {
    "store/journal.py staging": {
        "`_leave(store, staged.path, fd)` before `staged.drop()`": "files that are gone are let go of a moment later",
    },
    "store/journal.py commit": {
        "`durable.sync_folder(staged.path)` before `staged.sync()`": "contents and names both last before the record, in either order",
        "`for folder in {(store.root / target).parent for _, target i…` before "
        "`durable.sync_folder(staged.path)`": "it only looks, and what is staged lasts or goes either way",
    },
    "store/journal.py _apply": {
        "`if again:` before `durable.folder(target)`": "a folder that is there is synced either way, and one that is made is synced by who makes it",
    },
    "store/journal.py _mark_applied": {
        "`for name in durable.files(store.journal, '.done')[:-_KEPT]:` before `if durable.is_there(path):`": "records of long ago go; the newest is not among them",
    },
    "store/journal.py _sweep": {
        "`for folder in (store.journal, store.tombstones, store.root):` before "
        "`with locks.staging(store):`": "scratch files of the commit lie elsewhere, and the commit lock is held throughout",
    },
    "store/snapshot.py _look": {
        "`cold = list(_parts(store, pending, gone))` before `hot = _hot(store, pending, gone)`": _AGAIN,
        "`memory = _memory(store, pending)` before `cold = list(_parts(store, pending, gone))`": _AGAIN,
        "`if any((_stamp(part.path) != part.stamp for part in found i…` before `try:`": "what replaces a part is a commit, which is seen at the end",
        "`if journal.replaced_since(store, batch):` before "
        "`if any((_stamp(part.path) != part.stamp for part in found i…`": "both must hold, and both are looked at after everything was read",
        "`kept = [segment for segment in segments if segment.name.bat…` before "
        "`if journal.replaced_since(store, batch):`": "it only chooses among what was read",
    },
    "store/audit.py entry": {
        "`name = f'{staged.serial()}-audit'` before "
        "`body = {'number': number + 1, 'at': act.at, 'what': act.wha…`": _NUMBER,
    },
    "store/audit.py _kept": {
        "`body = _parsed(log.head)` before `if (own := _copy_of(log, log.head)):`": "it only parses bytes that were read",
    },
    "store/audit.py _log": {
        "`before, head = (head, _read(store))` before "
        "`strange += [*durable.others(store.audit), *durable.folders(…`": "no act puts there what does not belong there",
    },
    "store/links.py files": {
        "`for source, target in record.renames:` before `for gone in record.unlinks:`": "no record puts a file of links in place and removes it",
    },
    "store/pseudonym.py key_of": {
        "`own = store.root / KEY` before `if path is not None:`": "it is only a name",
    },
    "store/pseudonym.py rotate": {
        "`staged.write('key', [os.urandom(_LEAST)])` before `journal.recover(store)`": _SPARE,
    },
    "store/tombstones.py load": {
        "`days = purged.load(store)` before `users = purged.document(store.tombstones / USERS, {'users': […`": _LATER,
        "`held = frozenset(map(str, users['users']))` before "
        "`consent = words.of(purged.document(store.tombstones / SUPPRE…`": "it is of the file that was read",
    },
    "person/erase.py erase_each": {
        "`if batch is not None:` before `if how.dry_run:`": "a dry run has no number of a commit",
    },
    "person/erase.py _attempt": {
        "`if how.dry_run:` before `staged.sync()`": "of a dry run nothing stays",
        "`receipt.days = _days(work, who)` before `beside.cleared(work)`": "what lies beside the events is of no day",
        "`if closure.of_each(store, [one.named for one in who]) != wh…` before `journal.recover(store)`": "what is committed is read whether it is applied or not",
        "`work.files(snapshot.snapshot(store), quarantine.files(store…` before "
        "`if closure.of_each(store, [one.named for one in who]) != wh…`": "an attempt that is given up is dropped whole",
        "`beside.cleared(work)` before `work.files(snapshot.snapshot(store), quarantine.files(store…`": _OWN,
        "`work.remembered()` before `beside.cleared(work)`": _OWN,
        "`receipt.days = _days(work, who)` before `work.remembered()`": _STAGES,
        "`if not how.anonymise:` before `receipt.days = _days(work, who)`": "each has files of its own, and one commit names them all",
        "`if not (work.renames or work.unlinks) and tombstones.load(s…` before `if not how.anonymise:`": "who is erased already has no event left that shares an id with others",
        "`_tell(store, work, how)` before `_bury(store, work)`": _ONE,
    },
    "person/erase.py _bury": {
        "`if receipt.days:` before `work.put(f'tombstones/{tombstones.USERS}', tombstones.users…`": _ONE,
    },
    "person/erase.py _tell": {
        "`act = audit.Act(how.what, how.at or _newest(store), how.by,…` before `if not how.anonymise:`": "it holds the very dict that is added to",
        "`work.renames.append((name, target))` before "
        "`receipt.audit = orjson.loads(work.staged.file(name).read_by…`": _ONE,
        "`details |= {'mentions': receipt.mentions, 'days': len(recei…` before "
        "`details |= {f'removed_{tier}': count for tier, count in sor…`": "the seal is of sorted names",
    },
    "person/rewrite.py Rewrite.put": {
        "`self.renames.append((name, target))` before `self.staged.write(name, [content])`": "the file is written and synced before the record",
    },
    "person/rewrite.py Rewrite.replace": {
        "`before = _sha256(path) if counts.pop('telling', True) else …` before "
        "`tier = counts.pop('tier', target.partition('/')[0])`": "each takes its own word out of the counts",
    },
    "person/rewrite.py Rewrite._part": {
        "`if not cold.may_speak(part.path, self.going.crowd):` before `out = Outcome()`": "an outcome of nothing is only made",
        "`name = f'{self.staged.serial()}-part'` before `if not cold.may_speak(part.path, self.going.crowd):`": _NUMBER,
        "`if out.moved:` before `if not out.changed:`": "what has moved has changed",
        "`if out.kept:` before `after = _sha256(self.staged.file(name)) if out.kept else No…`": "the content is the same before and after it is synced",
        "`self.days.add(part.day)` before `if out.kept:`": _MEMORY,
        "`self.receipt.files.append(Changed(target, 'parquet', before…` before `self.days.add(part.day)`": _MEMORY,
        "`self._reindex(part.day, PART_IDS, out, emptied=not out.kept)` before "
        "`self.receipt.files.append(Changed(target, 'parquet', before…`": _ONE,
        "`return` before `path.unlink()`": "what is staged goes with its folder; the removal gives its disk back sooner",
        "`self.renames.append((name, target))` before `self.staged.adopt(name)`": "the file is synced before the record",
    },
    "person/rewrite.py Rewrite._reindex": {
        "`if out.former:` before `self.put(index, b''.join(ids.chunks(ids.merged([kept, new])…`": _STAGES,
    },
    "person/pending.py await_erasure": {
        "`subjects = tuple(map(tombstones.load(store).subject, new))` before "
        "`kept = [one for one in pending(store) if one.user not in ne…`": _READ,
        "`staged.write('pending', [content([*kept, *new.values()])])` before "
        "`subjects = tuple(map(tombstones.load(store).subject, new))`": _SPARE,
        "`told = audit.entry(staged, audit.Act('user delete --after',…` before "
        "`staged.write('pending', [content([*kept, *new.values()])])`": _NAMED,
    },
    "person/pending.py cancel": {
        "`subjects = tuple(map(tombstones.load(store).subject, sorted…` before `if len(gone) < len(named):`": _LOOKS,
    },
    "person/suppress.py suppress": {
        "`if journal.newest(store) != seen:` before `journal.recover(store)`": "a record has its number before it is applied",
        "`known = tombstones.load(store)` before `if journal.newest(store) != seen:`": _READ,
    },
    "person/suppress.py _commit": {
        "`subjects = sorted({subject for more in news for subject in …` before `if now == held:`": _LOOKS,
        "`staged.write('suppressed', [tombstones.suppressed_file(now)…` before "
        "`entry = audit.entry(staged, audit.Act(what, at, by, tuple(s…`": _NAMED,
    },
    "person/link.py _said": {
        "`known = tombstones.load(store)` before `journal.recover(store)`": "it is judged again, and refused then",
        "`if journal.replaced_since(store, since):` before "
        "`if known.erased(line.source) or known.erased(line.target):`": "it is judged again, and refused then",
        "`before = [one for file in links.files(store) for one in fil…` before "
        "`if journal.replaced_since(store, since):`": _READ,
    },
    "archive/out.py Writer.take": {
        "`self._sweep()` before `mine = manifest.store_id(self.store)`": "the one removes scratch files, the other reads which store it is",
        "`self._held = manifest.there(self.folder)` before `self._sweep()`": "the one reads the manifest, the other removes scratch files",
        "`wanted = [day for day in seen.days if day < before]` before "
        "`if any((entry.store != mine for entry in self._held)):`": _LOOKS,
        "`self.seen(number, len(wanted))` before `self._take(seen, day)`": _EARLY,
    },
    "archive/out.py Writer.settle": {
        "`self.written = Written(self.folder, entries, manifest.sha25…` before "
        "`durable.replace_whole(self.folder / SUMS, manifest.sums(eve…`": "in memory, and where the checksums cannot be written the run fails",
    },
    "archive/out.py Writer._take": {
        "`name = f'{self.staged.serial()}-{day}.day'` before "
        "`if known is not None and known.scratch is not None:`": _NUMBER,
        "`plain.unlink()` before `self._taken[day] = _Taken(files, entry, scratch)`": "the staged file is not needed once the day lies beside its place",
    },
    "archive/out.py writing": {
        "`if whole.is_relative_to(store.root.resolve()) or store.root…` before "
        "`layout.must_be_utf8(whole)`": "each refuses, and nothing was made before either",
    },
    "archive/out.py copy": {
        "`if not any((day < before for day in seen.days)):` before `writer.take(seen, before)`": "where no day leaves, none is written",
    },
    "archive/restore.py _Restore.read": {
        "`seen(number, len(self.wanted))` before `self._file(entry, day)`": _EARLY,
        "`segments = Segments(self.store, self.staged, entry.day, sel…` before "
        "`names = durable.inodes(self.store.ids(entry.day), '.ids')`": "it reads the index of the day only when a file comes",
    },
    "archive/restore.py _Restore.commit": {
        "`batch = journal.newest(store) + 1` before "
        "`if any((durable.inodes(store.ids(day), '.ids') != one.index…`": "it only reads, under the same lock",
        "`renames.append(audit.entry(self.staged, self._act(at, by)))` before "
        "`renames.append(('touched', rollups.TOUCHED))`": _NAMED,
    },
    "archive/restore.py _Restore._lifted": {
        "`self.staged.write('days', [tombstones.days_file(purged_befo…` before `if back <= known:`": _SPARE,
    },
    "ingest/commit.py Committer.all_or_nothing": {
        "`self._whole = whole = _Whole(held.enter_context(journal.sta…` before "
        "`journal.recover(self.store)`": "a record has its number before it is applied, and a sweep leaves what has an owner",
    },
    "ingest/commit.py Committer.commit": {
        "`tally = batch.parsed.tally` before `with batch.held:`": "it is the same tally throughout",
        "`self._repeating = tally.duplicates > tally.stored` before `tally.batches += 1`": _APART,
        "`return tally` before `self._repeating = tally.duplicates > tally.stored`": "it is only what makes a look before writing worth while",
        "`self._whole.received = batch.moment.received` before "
        "`self._whole.renames += self._settle(batch, self._whole.base…`": _MEMORY,
        "`self.heard = batch.parsed.heard` before `self._whole.received = batch.moment.received`": _MEMORY,
        "`self.heard = batch.parsed.heard` before "
        "`renames = self._settle(batch, journal.newest(self.store) + …`": "where it cannot be settled the run fails",
        "`writes, unlinks = also() if also is not None else ([], [])` before "
        "`renames += self._consent(batch.staging, batch.moment.receiv…`": "what is put in place besides is no word of consent",
    },
    "ingest/commit.py Committer._write": {
        "`found.staged = name = f'{batch.staging.serial()}-{day}'` before "
        "`if self._dry_run or not keep.any():`": _NUMBER,
        "`batch.staging.write(f'{name}.ids', ids.chunks(ids.chosen(fo…` before "
        "`batch.staging.write(f'{name}.lines', [found.rows.lines if k…`": _STAGED,
    },
    "ingest/commit.py Committer._consent": {
        "`stored = tombstones.load(self.store).suppressed` before "
        "`if self._dry_run or not self.heard.said.words:`": _LOOKS,
        "`staged = f'{staging.serial()}-suppressed'` before `if now == stored:`": _NUMBER,
        "`changed = sorted((one for one in now.words if now.words[one…` before "
        "`staging.write(staged, [tombstones.suppressed_file(now)])`": "it only reads what was loaded",
    },
    "ingest/run.py _Handling.prepare": {
        "`heard = self.committer.heard if whose is None else self.com…` before "
        "`if known is None or known.stamp != tombstones.current(self.…`": "what this run heard is of no file",
    },
    "export/folder.py publish": {
        "`targets = {files.folder / name: scratch / str(number) for n…` before "
        "`if former and (not again):`": "they are only names",
        "`durable.write_new(scratch / SUMS, [_sums(files, sums)])` before "
        "`for folder in {path.parent for path in (*targets, *former)}:`": "it is written beside, and named when the folders are synced",
    },
    "rollup/run.py Run.all": {
        "`seen(counted, len(found))` before `self._count(chunk, staged)`": "progress is told a moment early",
    },
    "rollup/run.py Run._commit": {
        "`renames = []` before `if not files:`": "an empty list",
    },
    "replay.py _file": {
        "`told.unreplayable += sum((1 for found in held if not found.…` before "
        "`tried = [found for found in held if found.whole and asked.w…`": "both only choose among what was read",
    },
    "replay.py _again": {
        "`committer = Committer(asked.store, dedupe=asked.rules.dedup…` before "
        "`again, parsed.rejects = (parsed.rejects, [])`": "it is only made",
        "`told.stayed += len(news)` before `stay = _staying(held, tried, news)`": _APART,
        "`told.left += len(held) - len(stay)` before `told.stayed += len(news)`": _APART,
        "`if stay == [quarantine.record(found.body) for found in held…` before "
        "`told.left += len(held) - len(stay)`": "where all lines stay, none has left",
    },
    "verify.py _index": {
        "`try:` before `told.files += 1`": "it is counted, whatever is wrong with it",
    },
}
