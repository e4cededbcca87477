"""The inputs that fuzzing found worth keeping, once more through their targets; and that the targets can fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fuzz import targets

if TYPE_CHECKING:
    from conftest import Tally

_MOST = 300 << 10  # bytes of the whole corpus


@pytest.mark.parametrize("name", targets.TARGETS)
def test_every_input_that_is_kept_passes(name: str, tally: Tally) -> None:
    kept = targets.corpus(name)
    assert kept
    for path in kept:
        targets.TARGETS[name](path.read_bytes())
    tally("corpus", inputs=len(kept))


def test_the_corpus_belongs_to_targets_and_is_small() -> None:
    assert {path.name for path in targets.CORPUS.iterdir()} == targets.TARGETS.keys()
    assert sum(len(path.read_bytes()) for name in targets.TARGETS for path in targets.corpus(name)) < _MOST
