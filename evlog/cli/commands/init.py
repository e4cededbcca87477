"""`evlog init`: a settings file, a starter plan, a store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument

from evlog.cli.command import command
from evlog.cli.specs import SPECS, Spec
from evlog.errors import EvlogError

if TYPE_CHECKING:
    from evlog.cli.call import Call


@command(example="evlog init my-events")
def init(
    call: "Call",
    folder: Annotated[str, Argument(metavar="[DIR]", help="The folder to begin in; by default this one.")] = ".",
) -> None:
    """Write a settings file (evlog.toml) and a starter tracking plan (plan.toml), and make an empty store.

    Nothing is overwritten.
    """
    from evlog.cli.settings import FILE
    from evlog.event.starter import STARTER
    from evlog.store import layout

    home = Path(folder)
    texts = {home / FILE: _toml(str(call.flags.get("data") or "evlog-data")), home / "plan.toml": STARTER}
    there = next((path for path in texts if path.exists()), None)
    if there is not None:
        raise EvlogError(f"{there} is there already; nothing was written", hint="edit it, or begin in another folder")
    home.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    store = layout.create(home / (call.flags.get("data") or "evlog-data"))  # type: ignore[operator]
    for made in (*texts, store.root):
        call.out.text(f"made {made}")
    call.out.note(f"next: {'' if folder == '.' else f'cd {folder} && '}evlog ingest < events.ndjson")


def _toml(data: str) -> str:
    """The settings file: every setting with its default, commented out but for the store."""
    lines = [
        "# Settings of evlog; `evlog config` prints each and where it came from.",
        "# A flag or EVLOG_… goes first.",
    ]
    table = ""
    for spec in sorted(SPECS, key=lambda spec: "." in spec.key):
        head, dot, name = spec.key.rpartition(".")
        if dot and head != table:
            lines += ["", f"[{head}]"]
            table = head
        lines += _line(spec, name, data)
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
