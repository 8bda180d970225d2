"""Folders that strangers filled are removed, however deep they are."""

import os
from pathlib import Path

import pytest

from mlreg.controller.removal import remove_folder
from mlreg.controller.services.work_folder import LOCK, PREFIX, sweep
from mlreg.controller.trainers.errors import TrainingFailedError
from mlreg.controller.trainers.files import copy_plain


def deepen(folder, levels, name="a"):
    """Make folders within folders, and return a descriptor of the last."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    return here


@pytest.fixture
def stranger(tmp_path):
    """A folder as a wild program leaves it."""
    folder = tmp_path / "stranger"
    (folder / "many" / "of").mkdir(parents=True)
    last = deepen(folder, 3_000)
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=last))
    os.close(last)
    for number in range(50):
        (folder / "many" / str(number)).mkdir()
    (folder / "many" / "closed").mkdir(mode=0)
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"\xff\n")).write_text("x")
    yield folder
    remove_folder(folder)  # or pytest would end in a recursion


def test_nothing_stays_and_no_link_is_followed(stranger, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("ours")
    (stranger / "link").symlink_to(kept)
    remove_folder(stranger)
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").read_text() == "ours"
    remove_folder(stranger)
    remove_folder(kept / "file")
    assert (kept / "file").exists()


def test_a_link_that_takes_the_place_of_a_folder_meanwhile_is_not_followed(tmp_path, monkeypatch):
    """As a daemon might do that outlives its program: once the first look is over, at each."""
    kept, stranger, aside = (tmp_path / name for name in ("kept", "stranger", "aside"))
    kept.mkdir()
    aside.mkdir()
    (kept / "file").write_text("ours")
    for number in range(3):
        (stranger / str(number)).mkdir(parents=True)
    looks, look = [], os.scandir

    def swap_and_look(folder):
        looks.append(folder)
        for above, folders, _ in os.walk(stranger) if len(looks) == 2 else ():
            for name in filter(str.isdigit, folders):
                Path(above, name).rename(aside / name)
                Path(above, name).symlink_to(kept)
        return look(folder)

    monkeypatch.setattr(os, "scandir", swap_and_look)
    remove_folder(stranger)
    monkeypatch.undo()
    assert len(looks) > 1
    assert (kept / "file").read_text() == "ours"


def test_the_folder_of_a_dead_worker_keeps_no_worker_from_its_start(stranger, tmp_path):
    dead = tmp_path / "work" / f"{PREFIX}x"
    dead.mkdir(parents=True)
    (dead / LOCK).touch()
    stranger.rename(dead / "run")
    sweep(tmp_path / "work")
    assert not dead.exists()


def test_an_artifact_deeper_than_a_name_may_be_long_is_refused(stranger, tmp_path):
    (stranger / "pipe").unlink()
    with pytest.raises(TrainingFailedError, match="a path of more than 500 letters"):
        copy_plain(stranger, tmp_path / "out", max_bytes=1000)
