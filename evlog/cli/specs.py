"""Each setting: its name, its place in the file, its flag and environment variable, how it is read, its default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.cli import values
from evlog.frozen import dataclass
from evlog.window import MOST_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Kind:
    """What values a setting takes: a reader, the words for what it expects, and for help."""

    read: Callable[[object], Any]
    expects: str
    metavar: str
    path: bool = False
    many: bool = False  # the flag may be repeated

    def or_none(self) -> Kind:
        """Take `none` as well."""
        return Kind(values.optional(self.read), f"{self.expects}, or none", self.metavar, self.path, self.many)


def _one_of(*known: str) -> Kind:
    return Kind(values.choice(*known), f"{', '.join(known[:-1])} or {known[-1]}", "|".join(known))


@dataclass(frozen=True, slots=True)
class Spec:
    """One setting."""

    name: str
    key: str  # in the file: `table.key`, or `key`
    default: object  # as it would be written in the file; None: there is none
    kind: Kind
    help: str
    flag: str = ""  # where it is not called as the setting

    @property
    def env(self) -> str:
        """The environment variable of this setting."""
        return f"EVLOG_{self.name.upper()}"

    @property
    def option(self) -> str:
        """The flag of this setting."""
        return self.flag or f"--{self.name.replace('_', '-')}"


_DURATION = Kind(values.duration, "a duration such as 30m, 12h or 90d", "DURATION")
_ZONE = Kind(values.zone, "a time zone such as UTC or Europe/Berlin", "ZONE")
_OFFSET = Kind(values.event_zone, "a time zone such as UTC or Europe/Berlin, or an offset such as +02:00", "ZONE")
_FOLDER = Kind(values.text, "a folder", "DIR", path=True)
_FILE = Kind(values.text, "a file", "FILE", path=True)
_AS_OF = Kind(values.moment, "a date, an instant or latest", "DATE|INSTANT|latest")
_DAYS = Kind(values.number(1, MOST_DAYS), f"a number of days from 1 to {MOST_DAYS}", "N")
_SIZE = Kind(values.size(1 << 10, 8 << 20), "a size from 1KiB to 8MiB", "SIZE")
_REJECTS = Kind(values.tolerance, "a number such as 100, or a share such as 1%", "N|P%")
_WORKERS = Kind(values.number(1, 64), "a number from 1 to 64", "N")
_NAMES = Kind(values.listed, "a list of names", "NAME", many=True)
_SHARE = Kind(values.share, "a share such as 1%", "P%").or_none()
_AMOUNT = Kind(values.amount, "a number above 0 such as 60 or 3.5", "N").or_none()
_COUNT_OR_SHARE = Kind(values.amount_or_share, "a number such as 10000, or a share such as 5%", "N|P%").or_none()

SPECS: tuple[Spec, ...] = (
    Spec("data", "store.path", "evlog-data", _FOLDER, "The store."),
    Spec("plan", "plan", None, _FILE.or_none(), "The tracking plan; by default plan.toml beside evlog.toml."),
    Spec("tz", "report.tz", "UTC", _ZONE, "The zone that days are read in."),
    Spec("week_start", "report.week_start", "monday", _one_of("monday", "sunday"), "The first day of a week."),
    Spec("as_of", "report.as_of", None, _AS_OF.or_none(), "What plays now; a date means its end."),
    Spec("days", "report.days", 30, _DAYS, "The last N whole days, the as-of day included."),
    Spec("funnel_window", "report.funnel_window", "14d", _DURATION.or_none(),
         "How long a funnel may take from its first step on.", "--window"),
    Spec("session_timeout", "report.session_timeout", "30m", _DURATION,
         "How long nothing may happen within a session that has no id.", "--timeout"),
    Spec("abandon_after", "report.abandon_after", "24h", _DURATION,
         "How long an open start is in progress; then it is abandoned."),
    Spec("max_line", "ingest.max_line", "1MiB", _SIZE, "A longer line is rejected."),
    Spec("max_age", "ingest.max_age", "none", _DURATION.or_none(), "An older event is rejected."),
    Spec("consent", "ingest.consent", "optional", _one_of("optional", "required"),
         "Whether an event must say that its user agreed."),
    Spec("placeholder_users", "ingest.placeholder_users", "reject", _one_of("reject", "null"),
         "What becomes of a user id that means nobody."),
    Spec("assume_tz", "ingest.assume_tz", "UTC", _OFFSET, "The zone of event times without an offset."),
    Spec("flush_interval", "ingest.flush_interval", "5s", _DURATION, "How often an endless stream is committed."),
    Spec("max_rejects", "ingest.max_rejects", None, _REJECTS.or_none(),
         "Tolerate that many rejects; with more, nothing is published."),
    Spec("workers", "ingest.workers", None, _WORKERS.or_none(), "Processes that validate; by default one a core."),
    Spec("pii", "privacy.pii", "redact", _one_of("redact", "truncate", "reject", "allow"),
         "What becomes of personal data in properties."),
    Spec("pii_allow", "privacy.pii_allow", (), _NAMES, "A property that is not personal data, whatever its name."),
    Spec("pseudonym_key", "privacy.pseudonym_key", None, _FILE.or_none(),
         "The file with the key of --pseudonymise, which only its owner may read; by default the store has one."),
    Spec("retention", "retention.raw", "90d", _DURATION, "How long events are kept.", "--older-than"),
    Spec("rollups_retention", "retention.rollups", None, _DURATION.or_none(), "How long rollups are kept.",
         "--rollups-older-than"),
    Spec("late_allowance", "rollup.late_allowance", "2d", _DURATION,
         "How long after a period late events are expected; then its rollup is final."),
    Spec("remember", "retention.remember", ("signup", "sign_up", "register", "install"), _NAMES,
         "An event type whose first time with each user outlives a purge, as that of any activity does."),
    Spec("check_last_days", "check.last_days", 7, _DAYS, "The last N whole days, the as-of day included.", "--days"),
    Spec("check_rejects", "check.rejects", "1%", _SHARE, "The most of a day's lines that may be rejected.",
         "--rejects"),
    Spec("check_nulls", "check.nulls", "5%", _SHARE, "The most of a day's events that may lack a field.", "--nulls"),
    Spec("check_duplicates", "check.duplicates", "1%", _SHARE, "The most of a day's lines that may be stored already.",
         "--duplicates"),
    Spec("check_wrong", "check.wrong", "1%", _SHARE,
         "The most of a day's events, completions or sessions that may contradict others.", "--wrong"),
    Spec("check_late", "check.late", "5%", _SHARE, "The most of a day's live events that may come a day late.",
         "--late"),
    Spec("check_lag", "check.lag", "5m", _DURATION.or_none(), "How long all but 5% of live events may take to come.",
         "--lag"),
    Spec("check_freshness", "check.freshness", "2d", _DURATION.or_none(),
         "How old the newest event may be where events come in live.", "--freshness"),
    Spec("check_volume", "check.volume", "3.5", _AMOUNT,
         "How many robust deviations a day's events may be off the median of its weekday.", "--volume"),
    Spec("check_rate_per_user", "check.rate_per_user", "10000", _COUNT_OR_SHARE,
         "The most events of one user on a day, or the largest share.", "--rate-per-user"),
    Spec("check_rollup_seconds", "check.rollup_seconds", "60", _AMOUNT, "How many seconds a rollup may take.",
         "--rollup-seconds"),
    Spec("check_overdue", "check.overdue", "2d", _DURATION.or_none(),
         "How long a day may wait for compact or purge.", "--overdue"),
    Spec("check_ingest_rate", "check.ingest_rate", "none", _AMOUNT,
         "The fewest lines a minute that ingest may take in.", "--ingest-rate"),
)  # fmt: skip
NAMES: dict[str, Spec] = {spec.name: spec for spec in SPECS}
KEYS: dict[str, Spec] = {spec.key: spec for spec in SPECS}
