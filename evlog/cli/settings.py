"""Settings: flag, environment, file, default, in this order; each knows where it came from.

The file is the nearest `evlog.toml` upwards from the working folder. A relative path in it is relative to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evlog.cli.specs import KEYS, SPECS, Spec
from evlog.errors import UsageError
from evlog.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

FILE = "evlog.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, and where each came from."""

    data: Path
    plan: Path | None
    tz: str
    week_start: Literal["monday", "sunday"]
    as_of: str | None
    days: int
    funnel_window: timedelta | None
    session_timeout: timedelta
    abandon_after: timedelta
    max_line: int
    max_age: timedelta | None
    consent: Literal["optional", "required"]
    placeholder_users: Literal["reject", "null"]
    assume_tz: str
    flush_interval: timedelta
    max_rejects: int | float | None
    workers: int | None
    pii: Literal["redact", "truncate", "reject", "allow"]
    pii_allow: tuple[str, ...]
    pseudonym_key: Path | None
    retention: timedelta
    rollups_retention: timedelta | None
    late_allowance: timedelta
    remember: tuple[str, ...]
    check_last_days: int
    check_rejects: float | None
    check_nulls: float | None
    check_duplicates: float | None
    check_wrong: float | None
    check_late: float | None
    check_lag: timedelta | None
    check_freshness: timedelta | None
    check_volume: float | None
    check_rate_per_user: float | None
    check_rollup_seconds: float | None
    check_overdue: timedelta | None
    check_ingest_rate: float | None
    origins: Mapping[str, str]

    def origin(self, name: str) -> str:
        """Where the setting came from: `flag --tz`, `environment EVLOG_TZ`, `file …`, `default`."""
        return self.origins[name]

    def place(self, name: str) -> str:
        """The same without its kind, for errors: `--tz`, `EVLOG_TZ`, the file and the key in it."""
        return self.origins[name].partition(" ")[2]


@dataclass(frozen=True, slots=True)
class _Found:
    """A value as somebody wrote it, where, and what relative paths in it are relative to."""

    value: object
    origin: str
    base: Path | None = None


def resolve(
    flags: Mapping[str, object], environ: Mapping[str, str], folder: Path, file: Path | None = None
) -> Settings:
    """All settings for a call made in `folder`; UsageError names the first value that cannot be."""
    file = file or nearest_file(folder)
    from_file = _from_file(file) if file else {}
    chosen: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for spec in SPECS:
        found = _found(spec, flags, environ, from_file) or _default(spec, file)
        chosen[spec.name] = _read(spec, found)
        origins[spec.name] = found.origin
    return Settings(**chosen, origins=origins)


def nearest_file(folder: Path) -> Path | None:
    """The `evlog.toml` of `folder` or of the nearest folder above it that has one."""
    return next((path / FILE for path in (folder, *folder.parents) if (path / FILE).is_file()), None)


def _found(
    spec: Spec, flags: Mapping[str, object], environ: Mapping[str, str], from_file: Mapping[str, _Found]
) -> _Found | None:
    if (flag := flags.get(spec.name)) is not None:
        return _Found(flag, f"flag {spec.option}")
    if environ.get(spec.env):
        return _Found(environ[spec.env], f"environment {spec.env}")
    return from_file.get(spec.name)


def _default(spec: Spec, file: Path | None) -> _Found:
    if spec.name == "plan" and file is not None and (file.parent / "plan.toml").is_file():
        return _Found("plan.toml", f"default (beside {file})", file.parent)
    return _Found(spec.default, "default")


def _read(spec: Spec, found: _Found) -> Any:
    if found.value is None:
        return None
    try:
        value = spec.kind.read(found.value)
    except (ValueError, UsageError) as error:
        place = found.origin.partition(" ")[2]
        raise UsageError(f"{place}: expected {spec.kind.expects}, got {_shown(found.value)}") from error
    return value if not spec.kind.path or value is None else _path(value, found, spec)


def _path(value: str, found: _Found, spec: Spec) -> Path:
    try:
        path = None if "\0" in value else Path(value).expanduser()
    except RuntimeError:  # ~NAME of somebody who has no home here
        path = None
    if path is None:
        place = found.origin.partition(" ")[2]
        raise UsageError(f"{place}: expected {spec.kind.expects}, got {_shown(value)}")
    return found.base / path if found.base else path


def _shown(value: object) -> str:
    from evlog.event.reject import shown

    return shown(value)


def _from_file(file: Path) -> dict[str, _Found]:
    """The settings that `file` gives; an unknown key is an error, so that a typing error is not silence."""
    found = {}
    for key, value in _flat(_toml(file)):
        spec = KEYS.get(key)
        if spec is None:
            raise _unknown(file, key)
        found[spec.name] = _Found(value, f"file {_place(file, key)}", file.parent)
    return found


def _toml(file: Path) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _flat(body: Mapping[str, object]) -> list[tuple[str, object]]:
    flat: list[tuple[str, object]] = []
    for name, value in body.items():
        inner = value.items() if isinstance(value, dict) else None
        flat.extend([(f"{name}.{key}", item) for key, item in inner] if inner is not None else [(name, value)])
    return flat


def _place(file: Path, key: str) -> str:
    table, dot, name = key.rpartition(".")
    return f"{file}: [{table}] {name}" if dot else f"{file}: {key}"


def _unknown(file: Path, key: str) -> UsageError:
    from evlog.cli.suggest import nearest

    places = {spec.name: spec.key for spec in SPECS} | {place.rpartition(".")[2]: place for place in KEYS}
    near = [places[name] for name in nearest(key.rpartition(".")[2], places)] or nearest(key, KEYS)
    near = list(dict.fromkeys(near))
    hint = f"did you mean {' or '.join(map(_bracketed, near))}?" if near else "evlog config lists every setting"
    return UsageError(f"{_place(file, key)}: there is no such setting", hint=hint)


def _bracketed(key: str) -> str:
    table, dot, name = key.rpartition(".")
    return f"[{table}] {name}" if dot else key
