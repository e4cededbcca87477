"""Strings that do harm where they are shown, taken apart or compared without care; no two of them are the same."""

from __future__ import annotations

import unicodedata

STEERING = (
    "\x1b[2J", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "\x1b]52;c;ZXZpbA==\x07", "\x1bP+q\x1b\\",
    "\x9b2J", "\x9d0;t\x9c", "\x90q\x9c", "a\rb", "a\nb", "a\tb", "a\bb", "a\x0bb", "a\x0cb", "a\x00b", "\x00", "\x7f", "\x85", "a\x08\x08\x08b", "\x1a", "\x04", "\x0e",
    "\r\nSet-Cookie: x", "a\n| b | c |", "a\n\nb", "\x1b", "\x1bc", "\x1b[?1049h", "\x1b[6n",
)  # fmt: skip
UNSEEN = (
    "a\u200bb", "a\u200cb", "a\u200db", "a\u2060b", "a\ufeffb", "a\u00adb", "a\u034fb", "a\u061cb", "a\u180eb", "a\u115fb", "a\u3164b", "a\uffa0b", "a\u2064b",
    "a\u206ab", "a\u206fb", "a\u2065b", "a\U000e0041b", "a\U000e0001b", "a\U0001d173b", "a\U0001bca0b", "a\ufff9b", "a\u2028b", "a\u2029b", "ab",
    "\u202egnp.exe", "\u202aa\u202c", "\u2066a\u2069", "\u200ea", "\u200fa", "\u2067RTL\u2069", "\u202d123",
)  # fmt: skip
SPREADSHEET = (
    "=1+1", '=cmd|"/C calc"!A0', "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "＝1+1", "＠x", "＋1", "－1", "'=1", "'a", "=", "-", "+", "@", "-1", "+2.5", "-1e9", '="a"', ";a", "|a",
    'a"b', '"a"', '""', '"', "a,b", "a;b", ",", "'", "''", "`", "a|b", "|", "| - |", "---", "#", "# h", "*b*", "_b_", "<b>", "[a](javascript:b)", "![a](b)", "a\\", "\\", "\\n", "\\x1b", "\\u001b",
    "~~a~~", "&lt;", "&#27;", "$a$",
)  # fmt: skip
PATHS = (
    "/", ".", "..", "../../etc/passwd", "/etc/passwd", "a/b", "C:\\CON", "CON", "a\\b", "~", "~root", "date=2026-03-01", "date=2099-01-01/x", "user_key=1", "part.ids", "events.parquet",
    "__HIVE_DEFAULT_PARTITION__", "%2e%2e%2f", "%00", "file:///etc/passwd", "a?b", "*", "**", "*.parquet", "[a]", "{a,b}", "a b", " a", "a ", "  ", " ", "-", "--", "-rf", "--help", "--data", "-x", "a=b", "?", "!",
)  # fmt: skip
LANGUAGES = (
    "'; DROP TABLE events; --", "' OR '1'='1", '" OR ""="', "1; SELECT 1", "$1", "$first", ":first", "{first}", "{0}", "{}", "%s", "%(a)s", "%n%n", "{{7*7}}", "${jndi:ldap://x}", "$(id)", "`id`", "; id",
    "| id", "&& id", "> /tmp/x", "<script>alert(1)</script>", "<!--", "]]>", "<?php", "null", "NULL", "None", "undefined", "NaN", "nan", "Infinity", "-Infinity", "true", "false", "True", "0", "1", "00", "1.0",
    "1e5", "1e400", "0x10", "9007199254740993", "18446744073709551616", "-0", "2026-03-01", "2026-03-01T10:00:00Z", "(none)", "(other)", "[redacted]", "[erased]", "total", "all", "[]", "{}x", '{"a":1}', "[bold]", "[/bold]",
    "[red]a[/red]", "[link=x]a[/link]", ":smile:", "__proto__", "constructor", "event_type", "user_id", "properties", "properties.a", "a.b", 'a"."b', "a[0]", "$.a", "/a", "~1", "count(*)", "rowid", "file_row_number", "filename",
)  # fmt: skip
SCRIPTS = (
    "é", "e\u0301", "Å", "A\u030a", "\u212b", "ﬁ", "fi", "ß", "SS", "ss", "ı", "I", "i", "İ", "i\u0307", "K", "\u212a", "Ω", "\u2126", "한국", "\u1112\u1161\u11ab국", "日本語", "العربية", "עברית", "a\u05d0b", "ไทย", "👩\u200d👩\u200d👧\u200d👦", "👍🏽", "👍",
    "🏳️\u200d🌈", "🏳️", "🏳", "🇩🇪", "z̷̢a̴", "ﷺ", "\U0001d54f", "X", "Ⅹ", "x", "\ue000", "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\U0001fffe", "\U00020000", "\u00a0", "a\u00a0b", "a b c", "a\u2003b", "a\u3000b", "ͺ", "á" * 120,
    "x" * 256, "日" * 85, "🎉" * 64, "x" * 255 + "y",
)  # fmt: skip
ALL = tuple(dict.fromkeys((*STEERING, *UNSEEN, *SPREADSHEET, *PATHS, *LANGUAGES, *SCRIPTS)))
LONG = ("L" * 5000, "日" * 3000, "=" * 1000, "\x1b[31m" * 500, '"' * 2000, "a " * 2000)
"""Too long for an id, and fine as a property."""

JOINERS = "\u200c\u200d"


def steers(text: str) -> set[str]:
    """What in `text` a terminal might obey, or would not show: by its Unicode category, not by any list of ours."""
    kinds = {"Cc", "Zl", "Zp", "Cs"}
    bad = {sign for sign in text if sign != "\n" and (unicodedata.category(sign) in kinds or sign in _IGNORED)}
    return bad - set(JOINERS)


def _ignorable() -> frozenset[str]:
    """Default_Ignorable_Code_Point of Unicode, but what emoji and scripts need to look as they should: the variation selectors."""
    spans = (
        (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180E, 0x180E), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
        (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE00FF), (0xE01F0, 0xE0FFF),
    )  # fmt: skip
    return frozenset(chr(code) for first, last in spans for code in range(first, last + 1))


_IGNORED = _ignorable()
