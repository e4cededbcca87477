"""Questions put to evlog and to its peers about the same Parquet, and the answers that must agree."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from benchmarks import peers
from benchmarks.row import Row, evlog, same_as
from benchmarks.stores import AS_OF

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.measure import Cost
    from benchmarks.row import Bench, Reach

REPORT_MB = 2048  # what any report may take
_PEERS = {"duckdb": f"DuckDB, {peers.THREADS} threads", "chdb": f"chdb, {peers.THREADS} threads"}
_READ = {
    "duckdb": "read_parquet('{}/parquet/*/*.parquet', hive_partitioning = true)",
    "chdb": "file('{}/parquet/*/*.parquet', Parquet)",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question in evlog's words and, for each peer, in SQL, where `{events}` is the Parquet of the store.

    `answer` picks from evlog's JSON what the peers say: a list of rows.
    """

    name: str
    work: str
    reach: Reach
    words: tuple[str, ...]
    answer: Callable[[Any], list[list[Any]]]
    sql: Mapping[Literal["duckdb", "chdb"], str]

    def rows(self) -> tuple[Row, ...]:
        """A row for each peer; in each round the first runs evlog, the others compare with that."""
        first, *others = self.sql
        return (
            Row(self.name, self.work, _PEERS[first], self.reach, self._ours, self._theirs(first)),
            *(
                Row(f"{self.name}-{peer}", self.work, _PEERS[peer], self.reach, same_as(self.name), self._theirs(peer))
                for peer in others
            ),
        )

    def _ours(self, bench: Bench) -> Cost:
        words = (*self.words, "--as-of", AS_OF, "--format", "json")
        cost = evlog(*words, data=bench.store(bench.size.asked))
        return replace(cost, answer=self.answer(json.loads(cost.out)))

    def _theirs(self, peer: Literal["duckdb", "chdb"]) -> Callable[[Bench], Cost]:
        def asked(bench: Bench) -> Cost:
            events = _READ[peer].format(bench.store(bench.size.asked))
            return peers.asked(peer, self.sql[peer].format(events=events))

        return asked
