"""Files and folders that appear whole, or not at all."""

import pytest

from mlreg.client.new_files import new_file, new_folder


def test_a_file_appears_at_the_end_of_the_block(tmp_path):
    target = tmp_path / "state.json"
    target.write_text("old")
    with new_file(target) as file:
        file.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_file_that_failed(tmp_path, error):
    def fail():
        with new_file(tmp_path / "state.json") as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    target = tmp_path / "state.json"
    with new_file(target) as first:
        first.write(b"first")
        with new_file(target) as second:
            second.write(b"second")
    assert target.read_text() == "first"


def test_a_folder_appears_at_the_end_of_the_block(tmp_path):
    target = tmp_path / "deep" / "model"
    with new_folder(target) as part:
        (part / "a").write_text("a")
        assert not target.exists()
    assert [file.name for file in target.iterdir()] == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_folder_that_failed(tmp_path, error):
    def fail():
        with new_folder(tmp_path / "model") as part:
            (part / "a").write_text("a")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_takes_no_full_one_s_place(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "precious").touch()
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "model"):
        pass
    assert (tmp_path / "model" / "precious").exists()
