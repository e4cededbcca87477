"""Keys and the ids of the erased stand nowhere but where they must: not in answers, errors, tracebacks, logs or files."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import household
import pytest
import torture

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally

_ERASED = b"gone_for_good"
_KEYS = ("store/tombstones/key", "store/tombstones/pseudonym-key", "mask.key")


def _told(home: Path, said: household.Told, secrets: dict[str, bytes]) -> list[str]:
    """Where a secret stands, in what was said or in a file that is not its own."""
    own = {home / name for name in (*_KEYS, "first.ndjson", "second.ndjson", "third.ndjson")}
    texts = {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file() and path not in own}
    texts |= {"stdout": said.out.encode(), "stderr": said.err.encode()}
    return [f"{name} in {where}" for name, one in secrets.items() for where, text in texts.items() if one in text]


def _secrets(home: Path) -> dict[str, bytes]:
    found = {"erased id": _ERASED}
    for name in _KEYS:
        key = (home / name).read_bytes()
        found |= {name: key, f"{name}, hex": key.hex().encode(), f"{name}, base64": base64.b64encode(key)[:40]}
    return found


@pytest.mark.parametrize("debug", [False, True])
def test_secrets_stay_where_they_are(debug: bool, tmp_path: Path, tally: Tally) -> None:  # noqa: FBT001 - a case
    names = [name for name in household.CALLS if name != "ingest"]  # it brings the erased user's lines again: see below
    some = torture.share(names, 11, "x" * debug)
    for name in some:
        home = household.copied(household.usual(), tmp_path / name.replace(" ", "-"))
        secrets = _secrets(home)
        said = household.call(home, *(["--debug"] if debug else []), *household.CALLS[name])
        assert _told(home, said, secrets) == [], name
    tally("secrets", calls=len(some))


def test_lines_of_the_erased_leave_nothing(tmp_path: Path) -> None:
    home = household.copied(household.usual(), tmp_path / "home")
    secrets = _secrets(home)
    said = household.call(home, "ingest", "third.ndjson", "--format", "json")
    assert '"erased":4' in said.out.replace(" ", "") or '"erased":8' in said.out.replace(" ", ""), said
    assert _told(home, said, secrets) == []


def test_an_error_with_its_traceback_shows_no_key(tmp_path: Path) -> None:
    home = household.copied(household.usual(), tmp_path / "home")
    secrets = _secrets(home)
    key = home / "store/tombstones/key"
    key.write_bytes(key.read_bytes() + b"x")
    said = household.call(home, "--debug", "ingest", "third.ndjson")
    assert said.code == 1
    assert "Traceback" in said.err
    assert _told(home, said, secrets) == []


def test_the_check_sees_what_it_looks_for(tmp_path: Path) -> None:
    home = household.copied(household.usual(), tmp_path / "home")
    (home / "note").write_bytes((home / "mask.key").read_bytes().hex().encode())
    assert _told(home, household.Told(0, "", "gone_for_good"), _secrets(home)) == [
        "erased id in stderr",
        "mask.key, hex in " + str(home / "note"),
    ]
