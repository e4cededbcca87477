"""One call of evlog: what its options said, its settings, its output, its clock."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from evlog.cli.output import Output
    from evlog.cli.settings import Settings
    from evlog.event.plan import Plan
    from evlog.store.layout import Store


class Call:
    """What a command is handed beside its own options; everything in it is read when first asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.flags: dict[str, object] = {}  # settings given as flags, by name
        self.config: str | None = None
        self.quiet = False
        self.no_color = False
        self.debug = False
        self.kept: Callable[[], str] | None = None
        """What a command wants said when it is interrupted: what it kept."""

    @cached_property
    def settings(self) -> Settings:
        """The settings of this call."""
        from evlog.cli import settings

        named = self.config or self.environ.get("EVLOG_CONFIG")
        return settings.resolve(self.flags, self.environ, Path.cwd(), Path(named) if named else None)

    @cached_property
    def out(self) -> Output:
        """Where results, notes and progress go."""
        from evlog.cli.output import Output

        return Output(quiet=self.quiet, color=not (self.no_color or self.environ.get("NO_COLOR")))

    @cached_property
    def now(self) -> datetime:
        """The instant of this call, cut to the second: the default as-of."""
        from evlog.cli import clock

        return clock.now().replace(microsecond=0)

    def plan(self) -> Plan | None:
        """The tracking plan; None where there is none."""
        if self.settings.plan is None:
            return None
        from evlog.event import plan_file

        return plan_file.load(self.settings.plan)

    def store(self) -> Store:
        """The store of this call; StoreMissing if there is none."""
        from evlog.store import layout

        return layout.open_store(self.settings.data)
