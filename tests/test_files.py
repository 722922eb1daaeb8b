import hashlib
import os
import subprocess
import sys

import pytest

from leadml._files import compute_sha256, locked_file, read_bytes, replaced_file, write_text
from leadml.errors import InputMissingError, LeadmlError, LockedError, OutputError


def test_text_is_written_as_it_is(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    write_text(path, "é\r\nx\n")
    assert path.read_bytes() == "é\r\nx\n".encode()
    assert compute_sha256(path) == hashlib.sha256("é\r\nx\n".encode()).hexdigest()
    assert os.listdir(path.parent) == ["a.txt"]


def test_a_failed_block_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(LeadmlError, match="stop"), replaced_file(path) as temporary:
        temporary.write_text("half")
        raise LeadmlError("stop")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_cannot_be_written_says_where_and_why(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"file/a.txt: cannot write here: file exists"):
        write_text(tmp_path / "file" / "a.txt", "x")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match="taken: cannot write here: is a directory"):
        write_text(tmp_path / "taken", "x")
    with pytest.raises(OutputError, match="inner"), replaced_file(tmp_path / "b"):
        raise OutputError("inner")


def test_what_cannot_be_read_says_what_was_looked_for(tmp_path):
    with pytest.raises(InputMissingError, match="cannot read this contract: no such file"):
        read_bytes(tmp_path / "no", what="contract")
    with pytest.raises(InputMissingError, match="cannot read this file: is a directory"):
        compute_sha256(tmp_path)


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path):
    path = tmp_path / "x.lock"
    with locked_file(path):
        assert path.exists()
        with pytest.raises(LockedError, match="another job holds this lock"), locked_file(path):
            pass
    assert not path.exists()
    with locked_file(path, wait=1.0):
        pass


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path):
    path = tmp_path / "x.lock"
    code = f"import time\nfrom leadml._files import locked_file\nwith locked_file({str(path)!r}):\n    print('held', flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(LockedError, match="Try again"), locked_file(path, wait=0.1):
            pass
        holder.kill()
        holder.wait()
        with locked_file(path, wait=2.0):
            pass


def test_a_lock_in_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with (
        pytest.raises(OutputError, match="cannot write this lock file"),
        locked_file(tmp_path / "no" / "x.lock"),
    ):
        pass
