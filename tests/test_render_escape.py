"""No terminal is steered by data."""

import subprocess
import sys

import pytest
from golden.made import STEERING
from hypothesis import given
from hypothesis import strategies as st

from evlog.render.escape import escape


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("\x1b[31mred", r"\x1b[31mred"), ("a\nb\tc\rd", r"a\nb\tc\rd"), ("\x9b2J", r"\x9b2J"), ("\x7f\x00", r"\x7f\x00"),
        ("\u202egpj.exe", r"\u202egpj.exe"), ("\u2066x\u2069", r"\u2066x\u2069"), ("a\u2028b", r"a\u2028b"),
        ("caf\udce9.log", r"caf\xe9.log"), ("\ud83d", r"\ud83d"), ("日本 🎉 é → fine", "日本 🎉 é → fine"), ("", ""),
        ("a\u200bb", r"a\u200bb"), ("\ufeffx", r"\ufeffx"), ("x\U000e0041", r"x\U000e0041"), ("👩\u200d💻", "👩\u200d💻"),
    ],
)  # fmt: skip
def test_what_steers_is_written_out(raw, told):
    assert escape(raw) == told


def test_every_steering_character_is_caught():
    assert not {char for char in STEERING if char in escape(f"a{char}b")}


@given(st.text(st.characters(categories=["Cc", "Cs", "Zl", "Zp", "L", "Cf"])))
def test_the_result_can_be_printed_and_stands(raw):
    told = escape(raw)
    assert escape(told) == told
    assert not set(told) & set(STEERING)
    told.encode("utf-8")


def test_importing_it_costs_nothing():
    code = "import sys, evlog.render.escape, evlog.render.human, evlog.render; print({'rich','orjson','pyarrow','csv'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
