"""A file that a person named is whole, or as it was."""

import os
import stat
import threading

import pytest

from evlog.errors import UsageError, WriteFailed
from evlog.render.output import written_whole


def names(folder):
    return [path.name for path in folder.iterdir()]


def interrupted(path, error):
    with written_whole(path) as to:
        to.write(b"half")
        raise error


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_whole_private_and_alone(tmp_path):
    path = tmp_path / "dau.csv"
    with written_whole(path) as to:
        to.write(b"a,b\n")
        assert not path.exists()
    assert path.read_bytes() == b"a,b\n"
    assert mode(path) == 0o600
    assert names(tmp_path) == ["dau.csv"]


def test_a_file_that_was_there_keeps_its_mode_and_until_the_end_its_content(tmp_path):
    path = tmp_path / "dau.csv"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with written_whole(path) as to:
        to.write(b"new")
        to.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o644


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, error):
    path = tmp_path / "dau.csv"
    path.write_bytes(b"old")
    with pytest.raises(error):
        interrupted(path, error)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["dau.csv"]


def test_a_failing_disk_is_told_once_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "dau.csv"
    path.write_bytes(b"old")
    calls = []

    def failing(fd):
        calls.append(fd)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    with (
        pytest.raises(WriteFailed, match=r"cannot write .*dau\.csv: No space left") as caught,
        written_whole(path) as to,
    ):
        to.write(b"new")
    assert len(calls) == 1
    assert caught.value.exit_code == 1
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["dau.csv"]


def test_data_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch):
    steps = []
    real, rename = os.fsync, os.replace

    def sync(fd):
        steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "data")
        real(fd)

    def replaced(*args, **kwargs):
        steps.append("name")
        rename(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replaced)
    with written_whole(tmp_path / "a") as to:
        to.write(b"x")
    assert steps == ["data", "name", "folder"]


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is a folder"), written_whole(tmp_path):
        pytest.fail("not reached")


def test_a_place_that_is_not_there_is_told(tmp_path):
    with pytest.raises(WriteFailed, match="No such file or directory"), written_whole(tmp_path / "no" / "a.csv"):
        pytest.fail("not reached")


def test_names_steer_no_terminal(tmp_path):
    with pytest.raises(WriteFailed, match=r"\\x1b\[2J"), written_whole(tmp_path / "no" / "\x1b[2J"):
        pytest.fail("not reached")


def test_a_symlink_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with written_whole(tmp_path / "link") as to:
        to.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_pipe_is_written_as_it_comes_and_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    with written_whole(path) as to:
        to.write(b"rows")
    reader.join(timeout=10)
    assert read == [b"rows"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_very_long_name_can_be_written(tmp_path):
    path = tmp_path / ("n" * 255)
    with written_whole(path) as to:
        to.write(b"x")
    assert path.read_bytes() == b"x"
