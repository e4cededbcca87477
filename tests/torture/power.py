"""Power loss: a store on an ext4 file system in a file, whose writes are cut off at an instant, and that is mounted anew.

`FS_IOC_SHUTDOWN` without flushing stops a mounted file system where it stands: what was not synced is lost, as it would
be with the power. It needs root and a loop device.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN, as _IOR('X', 125, __u32)
_NO_FLUSH = struct.pack("I", 2)
_SIZE = 24 << 20
_MAKE = ("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^resize_inode", "-J", "size=4", "-E", "lazy_itable_init=0")
_MOUNT = "loop,commit=600,noauto_da_alloc,noatime"
"""Nothing is written back by time, and a rename does not write what was renamed: only what is synced lasts."""


class Disk:
    """A file system in a file."""

    def __init__(self, image: Path) -> None:
        self.image = image
        self.at = image.with_suffix(".mount")

    def copied(self, image: Path) -> Disk:
        """The same disk once more, holes as holes."""
        subprocess.run(["cp", "--sparse=always", self.image, image], check=True)
        return Disk(image)

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Yield the folder where the file system is mounted; afterwards it is no more."""
        self.at.mkdir(exist_ok=True)
        subprocess.run(["mount", "-o", _MOUNT, self.image, self.at], check=True)
        try:
            yield self.at
        finally:
            subprocess.run(["umount", self.at], check=True)

    def cut(self) -> None:
        """Lose the power, now."""
        fd = os.open(self.at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _NO_FLUSH)
        finally:
            os.close(fd)

    def gone(self) -> None:
        """Forget it."""
        self.image.unlink()
        self.at.rmdir()


def disk_of(home: Path, image: Path) -> Disk:
    """A disk that holds a copy of `home`, all of it written."""
    with image.open("wb") as file:
        file.truncate(_SIZE)
    subprocess.run([*_MAKE, image], check=True)
    disk = Disk(image)
    with disk.mounted() as folder:
        shutil.copytree(home, folder / "home")
        os.sync()
    return disk
