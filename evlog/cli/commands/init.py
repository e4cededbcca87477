"""`evlog init`: a settings file, a starter plan, a store."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evlog.cli.command import command
from evlog.cli.settings import FILE
from evlog.cli.specs import SPECS, Spec
from evlog.errors import EvlogError, UsageError
from evlog.render.escape import escape

if TYPE_CHECKING:
    from evlog.cli.call import Call

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@command(example="evlog init my-events\nevlog init --cron")
def init(
    call: "Call",
    folder: Annotated[str, Argument(metavar="[DIR]", help="The folder to begin in; by default this one.")] = ".",
    *,
    cron: Annotated[bool, Option("--cron", help="Print a crontab that keeps the store in order.")] = False,
    systemd: Annotated[bool, Option("--systemd", help="Print the same as timers of systemd: a script for sh.")] = False,
) -> None:
    """Write a settings file (evlog.toml) and a starter tracking plan (plan.toml), and make an empty store.

    Nothing is overwritten. With --cron or --systemd, what is there already is taken as it is.
    """
    if cron and systemd:
        raise UsageError("--cron and --systemd exclude each other", hint="one clock is enough")
    home = Path(folder)
    if not (cron or systemd):
        for made in _begun(call, home):
            call.out.text(escape(f"made {made}"))
        call.out.note(f"next: {'' if folder == '.' else f'cd {folder} && '}evlog ingest < events.ndjson")
        return
    from evlog.cli import crontab

    if not _is_begun(call, home):
        for made in _begun(call, home):
            call.out.note(f"made {made}")
    start = (*crontab.evlog(), *_named(call, home), "--quiet")
    call.out.text((crontab.systemd(start) if systemd else crontab.crontab(start, home.resolve())).rstrip("\n"))


def _begun(call: "Call", home: Path) -> list[Path]:
    """What was made: the two files, and the store."""
    from evlog.event.starter import STARTER
    from evlog.store import durable, layout

    data = str(call.flags.get("data") or "evlog-data")
    texts = {home / FILE: _toml(data), home / "plan.toml": STARTER}
    there = next((path for path in texts if os.path.lexists(path)), None)
    if there is not None:
        raise EvlogError(f"{there} is there already; nothing was written", hint="edit it, or begin in another folder")
    new = not home.exists()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = layout.create(home / data)  # it may be refused; the files are not
    for path, text in texts.items():
        with open(os.open(path, _NEW, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    for folder in (home.resolve(), *([home.resolve().parent] if new else [])):
        durable.sync_folder(folder)
    return [*texts, store.root]


def _is_begun(call: "Call", home: Path) -> bool:
    """Whether there are settings or a store already, here or where the call says."""
    from evlog.store.layout import MARKER

    if (home / FILE).exists():
        return True
    return home == Path() and (_settings_file(call) is not None or (call.settings.data / MARKER).exists())


def _named(call: "Call", home: Path) -> tuple[str, ...]:
    """The options that name settings and store from any folder; what the environment says here, cron does not know."""
    file = home / FILE if (home / FILE).exists() else _settings_file(call)
    named = () if file is None else ("--config", str(file.resolve()))
    missing = [spec.env for spec in SPECS if call.environ.get(spec.env) and spec.name != "data"]
    if missing:
        call.out.note(f"not known to cron: {', '.join(missing)}; what it says belongs into {FILE}")
    said = call.flags.get("data") or call.environ.get("EVLOG_DATA")
    if file is not None and not said:
        return named
    data = home / str(said) if call.flags.get("data") else call.settings.data
    return (*named, "--data", str(data.resolve()))


def _settings_file(call: "Call") -> Path | None:
    """The settings file of this call, if there is one."""
    from evlog.cli.settings import nearest_file

    named = call.config or call.environ.get("EVLOG_CONFIG")
    return Path(named) if named else nearest_file(Path.cwd())


def _toml(data: str) -> str:
    """The settings file: every setting with its default, commented out but for the store; each table once."""
    lines = [
        "# Settings of evlog; `evlog config` prints each and where it came from.",
        "# A flag or EVLOG_… goes first.",
    ]
    tables: dict[str, list[str]] = {"": []}
    for spec in SPECS:
        head, _, name = spec.key.rpartition(".")
        tables.setdefault(head, []).extend(_line(spec, name, data))
    for head, settings in tables.items():
        lines += ["", f"[{head}]", *settings] if head else settings
    return "\n".join(lines) + "\n"


def _line(spec: Spec, name: str, data: str) -> list[str]:
    value = {"data": data, "plan": "plan.toml"}.get(spec.name, spec.default)
    mark = "" if spec.name == "data" else "# "
    return [f"# {spec.help} Expects {spec.kind.expects}.", f"{mark}{name} = {_literal(value)}"]


def _literal(value: object) -> str:
    import json

    return json.dumps(
        "none" if value is None else list(value) if isinstance(value, tuple) else value, ensure_ascii=False
    )
