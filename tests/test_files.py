import pytest

from pipeline.storage.files import checksum, replacing, write_text


def interrupted_while_writing(target, content, error):
    with replacing(target) as temporary:
        temporary.write_bytes(content)
        raise error


def test_a_file_is_complete_or_absent(tmp_path):
    target = tmp_path / "deep" / "data.bin"
    with pytest.raises(OSError, match="full"):
        interrupted_while_writing(target, b"half", OSError("full"))
    assert list(target.parent.iterdir()) == []
    with replacing(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert [path.name for path in target.parent.iterdir()] == ["data.bin"]


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "data.bin"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        interrupted_while_writing(target, b"new", KeyboardInterrupt())
    assert target.read_bytes() == b"old"


def test_text_that_is_there_already_is_not_written_again(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "日本語\n")
    before = target.stat().st_mtime_ns, target.stat().st_ino
    write_text(target, "日本語\n")
    assert (target.stat().st_mtime_ns, target.stat().st_ino) == before


def test_the_checksum_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert checksum(tmp_path / "abc").startswith("ba7816bf8f01cfea")
