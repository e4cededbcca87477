"""How the files of an archive are sealed: not at all, to age recipients (library pyrage), or to GPG keys (program gpg).

Sealing goes from a file in the store's own staging to the archive, so that a folder elsewhere never holds plain text.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

from evlog.errors import EvlogError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.archive.manifest import Entry

_PIECE = 1 << 20


class Sink(Protocol):
    """Where sealed or opened bytes go."""

    def write(self, piece: bytes, /) -> object:
        """Take a piece, all of it."""


@dataclass(frozen=True, slots=True)
class Seal:
    """To whom files are sealed; empty: to nobody, they are plain."""

    kind: Literal["", "age", "gpg"] = ""
    recipients: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """What a file's name ends in besides."""
        return f".{self.kind}" if self.kind else ""

    def write(self, source: Path, target: Sink) -> None:
        """Write what `source` holds to `target`, sealed."""
        with source.open("rb") as plain:
            if self.kind == "age":
                _age(plain, target, self.recipients)
            elif self.kind == "gpg":
                named = [word for recipient in self.recipients for word in ("--recipient", recipient)]
                _gpg(plain, target, ["--encrypt", *named])
            else:
                shutil.copyfileobj(plain, target, _PIECE)


def asked(age: Sequence[str], gpg: Sequence[str]) -> Seal:
    """The seal for these recipients: each a key, or a file of age recipients, one a line."""
    if age and gpg:
        raise UsageError("--encrypt-to and --encrypt-to-gpg exclude each other", hint="give one of them")
    if gpg:
        if any(not key.strip() or key.startswith("-") for key in gpg):
            raise UsageError("--encrypt-to-gpg names no key", hint="name a key id, a fingerprint or an address")
        _program()
        return Seal("gpg", tuple(sorted(set(gpg))))
    keys = tuple(sorted({key for word in age for key in _keys(word)}))
    if age:
        _recipients(keys)
    return Seal("age", keys) if age else Seal()


def opened(source: Path, target: Sink, entry: Entry, identities: Sequence[Path]) -> None:
    """Write what a sealed file holds to `target`; with age one of the `identities` must open it, gpg asks its agent."""
    with source.open("rb") as sealed:
        if entry.encryption == "gpg":
            _gpg(sealed, target, ["--decrypt"])
        else:
            _unage(sealed, target, source, identities)


def _keys(word: str) -> list[str]:
    """The recipients that a word of the command line names."""
    if word.startswith("age1"):
        return [word.strip()]
    try:
        lines = Path(word).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        hint = "a key looks like age1…; a file holds one a line"
        raise UsageError(f"--encrypt-to: {word!r} is neither a key nor a file that can be read", hint=hint) from error
    found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise UsageError(f"--encrypt-to: {word} names no recipient")
    return found


def _pyrage() -> Any:
    try:
        return import_module("pyrage")
    except ImportError as error:
        hint = "install it with: pip install 'evlog-toolkit[archive]'"
        raise EvlogError("encryption to age recipients needs the library pyrage", hint=hint) from error


def _recipients(keys: Sequence[str]) -> list[Any]:
    pyrage = _pyrage()
    found = []
    for key in keys:
        try:
            found.append(pyrage.x25519.Recipient.from_str(key))
        except pyrage.RecipientError as error:
            raise UsageError(f"--encrypt-to: {key!r} is no age recipient: {error}") from error
    return found


def _age(plain: IO[bytes], target: Sink, keys: Sequence[str]) -> None:
    pyrage = _pyrage()
    try:
        pyrage.encrypt_io(plain, target, _recipients(keys))
    except pyrage.EncryptError as error:
        raise EvlogError(f"cannot encrypt: {error}") from error


def _unage(sealed: IO[bytes], target: Sink, source: Path, identities: Sequence[Path]) -> None:
    if not identities:
        raise EvlogError(f"{source} is encrypted to an age recipient", hint="name its key: --identity FILE")
    pyrage = _pyrage()
    keys = [key for path in identities for key in _identities(path)]
    try:
        pyrage.decrypt_io(sealed, target, keys)
    except (pyrage.DecryptError, OSError) as error:  # OSError: what was changed or cut off
        raise EvlogError(f"cannot decrypt {source}: {error}", hint="name the right key: --identity FILE") from error


def _identities(path: Path) -> list[Any]:
    """The secret keys in a file, as `age-keygen` writes it. What is no key is not repeated in an error."""
    pyrage = _pyrage()
    try:
        lines = path.read_text("utf-8").splitlines()
        words = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        return [pyrage.x25519.Identity.from_str(word) for word in words]
    except (OSError, ValueError, pyrage.IdentityError) as error:
        raise UsageError(f"--identity: {path} holds no age key that can be read") from error


def _program() -> str:
    found = shutil.which("gpg")
    if found is None:
        raise EvlogError("encryption to GPG keys needs the program gpg", hint="install GnuPG, or use --encrypt-to")
    return found


def _gpg(source: IO[bytes], target: Sink, words: Sequence[str]) -> None:
    """Pass `source` through gpg to `target`."""
    call = [_program(), "--batch", "--no-tty", "--quiet", "--output", "-", *words]
    with subprocess.Popen(call, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:  # noqa: S603 - no shell; the words are ours, and keys that begin with no dash
        assert running.stdout is not None
        assert running.stderr is not None
        shutil.copyfileobj(running.stdout, target, _PIECE)
        said = running.stderr.read(_PIECE).decode(errors="replace").strip().splitlines()
    if running.returncode:
        raise EvlogError(f"gpg failed: {said[-1] if said else f'exit {running.returncode}'}")
