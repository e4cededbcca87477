"""Fuzz every target for a while, guided by coverage; `make fuzz` (SECONDS=300 for longer, TARGET=times for one).

    python tests/fuzz/run.py [--seconds N] [TARGET …]      each in a process of its own; exit 1 where one found something
    python tests/fuzz/run.py --keep [TARGET …]             the smallest inputs that still reach everything go to corpus/

What makes a target fail is left in build/fuzz/found/. A target runs without this too: `tests/torture/test_corpus.py`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "build" / "fuzz"
_ONE = "--one"
_LONGEST = 1024  # bytes of an input: more only slows down


def main() -> int:
    """Run what was asked for; 1 where a target failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--keep", action="store_true")
    if sys.argv[1:2] == [_ONE]:
        _one(sys.argv[2], sys.argv[3:])
        return 0
    asked = parser.parse_args()
    names = asked.targets or _names()
    return max([_keep(name) if asked.keep else _fuzz(name, asked.seconds) for name in names], default=0)


def _names() -> list[str]:
    return sorted(path.name for path in (HERE / "corpus").iterdir() if path.is_dir())


def _one(name: str, rest: list[str]) -> None:
    """Fuzz one target to the end of this process."""
    import atheris

    sys.path[:0] = [str(HERE.parent), str(HERE.parent / "torture")]
    with atheris.instrument_imports(include=["evlog", "tomllib", "dateutil"]):
        from fuzz import targets
    atheris.Setup([sys.argv[0], *rest], targets.TARGETS[name])
    atheris.Fuzz()


def _fuzz(name: str, seconds: int) -> int:
    grown, found = WORK / "grown" / name, WORK / "found"
    for folder in (grown, found):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-max_len={_LONGEST}", "-timeout=20", "-rss_limit_mb=1500"]
    done = _called(
        name, *options, f"-artifact_prefix={found}/{name}-", "-print_final_stats=1", grown, HERE / "corpus" / name
    )
    stats = dict(line[6:].split(": ") for line in done.splitlines() if line.startswith("stat::"))
    failed = "Done " not in done
    print(
        f"{name}: {int(stats.get('number_of_executed_units', 0)):,} inputs in {seconds} s, {'FAILED' if failed else '0 failures'}",
        flush=True,
    )
    if failed:
        print("\n".join(done.splitlines()[-40:]), flush=True)
    return int(failed)


def _keep(name: str) -> int:
    """Keep of what was grown the inputs that reach what no smaller ones reach."""
    kept, corpus = WORK / "kept" / name, HERE / "corpus" / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    _called(name, "-merge=1", f"-max_len={_LONGEST}", kept, corpus, WORK / "grown" / name)
    seeds = {path.name for path in corpus.iterdir() if path.name.startswith("seed-")}
    for path in corpus.iterdir():
        if path.name not in seeds:
            path.unlink()
    held = {(corpus / seed).read_bytes() for seed in seeds}
    for path in kept.iterdir():
        if path.read_bytes() not in held:
            shutil.copyfile(path, corpus / path.name[:12])
    print(f"{name}: {len(list(corpus.iterdir()))} inputs kept", flush=True)
    return 0


def _called(name: str, *options: str | Path) -> str:
    words = [sys.executable, __file__, _ONE, name, *map(str, options)]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd=ROOT)
    return done.stdout.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
