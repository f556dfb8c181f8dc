"""Tests of the one door for bytes from outside: real files, a real server on loopback, real processes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from poem import poem_file
from shop import POEM, Handler, Shop, announce, hand_over, sha256, tar_of, visible

from tlutils import settings, store
from tlutils.settings import UserError

# Seconds before a test gives up on another process; a busy machine takes long to start one.
PATIENCE = 300


def _make_wheel(folder: Path, members: dict[str, bytes]) -> Path:
    """Build a wheel that pip accepts, as a package index would serve it."""
    path = folder / "carrier_of_things-1.0-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    about = "carrier_of_things-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: carrier-of-things\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publish a wheel that carries two files in a folder that the user's own pip is set up for; return the folder."""
    folder = tmp_path / "index"
    content = {"one.json": b"{}", "two.bin": bytes(range(256)) * 500}
    wheel = _make_wheel(folder, {f"carrier/{name}": data for name, data in content.items()})
    item = store.File(
        download=store.Part(wheel.name, wheel.stat().st_size, sha256(wheel.read_bytes())),
        origin="carrier-of-things==1.0",
        members={
            f"carrier/{name}": store.Part(f"things/{name}", len(data), sha256(data)) for name, data in content.items()
        },
        licence="none",
        description="two things",
    )
    monkeypatch.setitem(store.FILES, "things", item)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def _in_a_process(name: str, *, before: str = "") -> subprocess.Popen[str]:
    """Fetch a file in a process of its own, which can be killed, limited or run twice."""
    script = f"""
{before}
from tlutils import store
from tlutils.store import File, Part
store.FILES[{name!r}] = {store.FILES[name]!r}
print(store.fetch({name!r}))
"""
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _names_below(folder: Path) -> set[str]:
    """Return the names of files and folders while others make and remove them, which Path.rglob does not survive."""
    return {name for _, folders, files in os.walk(folder) for name in (*folders, *files)}


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.02)


def test_a_file_comes_from_its_publisher_once_and_in_silence_and_then_from_the_cache(
    shop: Shop, poem: store.File, downloads: Path, capfd: pytest.CaptureFixture[str]
):
    assert not store.present("poem")
    first = store.fetch("poem")
    second = store.fetch("poem")
    assert store.present("poem")
    assert first == second == downloads / "poem.txt"
    assert first.read_bytes() == POEM
    assert shop.asked["/poem.txt"] == 1
    assert visible(downloads) == ["poem.txt"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: b"t" + content[1:],
        lambda content: content[:-1] + b" ",
    ],
    ids=["one byte short", "one byte long", "first byte changed", "last byte changed"],
)
def test_a_damaged_file_in_the_cache_is_fetched_again(shop: Shop, poem: store.File, damage: Callable[[bytes], bytes]):
    path = store.fetch("poem")
    path.write_bytes(damage(POEM))
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.asked["/poem.txt"] == 2


def test_an_md5_sum_and_an_unknown_size_are_enough(shop: Shop, poem: store.File, monkeypatch: pytest.MonkeyPatch):
    item = poem_file(poem.origin, size=None, checksum=f"md5:{hashlib.md5(POEM).hexdigest()}")
    monkeypatch.setitem(store.FILES, "poem", item)
    path = store.fetch("poem")
    path.write_bytes(POEM[:-1])
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.asked["/poem.txt"] == 2


def test_a_damaged_file_that_nothing_can_replace_is_an_error_with_two_ways_out(
    shop: Shop, poem: store.File, downloads: Path
):
    store.fetch("poem").write_bytes(POEM[:1000])
    del shop.shelf["/poem.txt"]
    with pytest.raises(UserError) as caught:
        store.fetch("poem")
    message = str(caught.value)
    for piece in ("poem.txt", poem.origin, "1.5 MB", "1,000 bytes instead of 1,480,000", "answered 404"):
        assert piece in message
    assert "internet and run this again" in message
    assert "TLUTILS_MIRROR" in message
    assert visible(downloads) == ["poem.txt"]


def test_without_a_network_the_error_names_the_two_ways_and_leaves_nothing(
    downloads: Path, monkeypatch: pytest.MonkeyPatch
):
    server = Shop()
    server.close()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(store.FILES, "poem", poem_file(f"{server.url}/poem.txt"))
    with pytest.raises(UserError, match=r"(?s)gave no file.*TLUTILS_MIRROR"):
        store.fetch("poem")
    assert visible(downloads) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (POEM[:-10], "bytes instead of"),
        (
            b"<html>Please accept the terms of this network</html>",
            "52 bytes instead of 1,480,000; it is a web page",
        ),
        (POEM.replace(b"truth", b"trash"), "other bytes than published"),
    ],
    ids=["a short file", "a login page", "another file of the same size"],
)
def test_wrong_bytes_from_the_publisher_are_refused_and_nothing_stays(
    shop: Shop, poem: store.File, downloads: Path, answer: bytes, reason: str
):
    shop.shelf["/poem.txt"] = answer
    with pytest.raises(UserError, match=reason):
        store.fetch("poem")
    assert visible(downloads) == []
    assert shop.asked.total() == 1


@pytest.mark.parametrize("web", [False, True], ids=["folder", "address"])
def test_a_mirror_comes_before_the_publisher(
    shop: Shop, poem: store.File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: bool
):
    (tmp_path / "class room").mkdir()
    (tmp_path / "class room" / "poem.txt").write_bytes(POEM)
    shop.shelf["/class%20room/poem.txt"] = POEM
    monkeypatch.setenv("TLUTILS_MIRROR", f"{shop.url}/class%20room/" if web else str(tmp_path / "class room"))
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.asked == ({"/class%20room/poem.txt": 1} if web else {})
    assert (tmp_path / "class room" / "poem.txt").read_bytes() == POEM


@pytest.mark.parametrize("content", [None, POEM[:-1], POEM[:-1] + b"x"], ids=["absent", "short", "changed"])
def test_a_mirror_without_the_right_bytes_leaves_it_to_the_publisher(
    shop: Shop, poem: store.File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
):
    if content is not None:
        (tmp_path / "poem.txt").write_bytes(content)
    monkeypatch.setenv("TLUTILS_MIRROR", str(tmp_path))
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.asked["/poem.txt"] == 1


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"), (b"<html>", "a web page")],
)
def test_what_lies_in_place_of_the_file_is_named(
    shop: Shop, poem: store.File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, what: str
):
    mirror = tmp_path / "mirror"
    (mirror / poem.download.path).parent.mkdir(parents=True)
    (mirror / poem.download.path).write_bytes(content)
    monkeypatch.setenv("TLUTILS_MIRROR", str(mirror))
    shop.shelf.clear()
    with pytest.raises(UserError, match=f"mirror: what came is not the file, .*; it is {what}"):
        store.fetch("poem")


def test_the_error_says_what_is_wrong_with_the_mirror(
    shop: Shop, poem: store.File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shop.shelf.clear()
    monkeypatch.setenv("TLUTILS_MIRROR", str(tmp_path / "unplugged"))
    with pytest.raises(UserError, match=r"mirror: .*unplugged.*cannot be read"):
        store.fetch("poem")


def test_an_unknown_name_lists_the_names(downloads: Path):
    with pytest.raises(UserError, match=r"'flowers' is not a file of the course; choose one of .*flower_photos"):
        store.fetch("flowers")


def test_a_cache_folder_that_is_a_file_is_an_error(poem: store.File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "occupied").write_text("a file")
    monkeypatch.setenv("TLUTILS_CACHE", str(tmp_path / "occupied"))
    with pytest.raises(UserError, match="TLUTILS_CACHE"):
        store.fetch("poem")


def test_too_little_free_space_is_noticed_before_the_transfer(
    shop: Shop, poem: store.File, downloads: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(store.FILES, "poem", poem_file(poem.origin, size=10**18))
    with pytest.raises(UserError, match=r"it needs 1,000,000,000,000\.0 MB there\. [\d,.]+ MB are free"):
        store.fetch("poem")
    assert shop.asked.total() == 0
    assert visible(downloads) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a process's file size is limited by POSIX only")
def test_a_disk_that_takes_no_more_bytes_is_an_error_and_leaves_nothing(shop: Shop, poem: store.File, downloads: Path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))"
    process = _in_a_process("poem", before=limit)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0 and output == ""
    assert "UserError: 'poem' (1.5 MB) could not be kept in" in errors
    assert "MB are free" in errors
    assert visible(downloads) == []


def test_a_killed_download_leaves_its_half_which_the_next_one_completes(shop: Shop, poem: store.File, downloads: Path):
    go_on = threading.Event()

    def slowly(handler: Handler) -> None:
        hand_over(handler, POEM, len(POEM) // 2)
        handler.wfile.flush()
        go_on.wait(PATIENCE)

    shop.shelf["/poem.txt"] = slowly
    process = _in_a_process("poem")
    half = downloads / "poem.txt.part"
    _wait_for(lambda: half.exists() and half.stat().st_size > 0)
    process.kill()
    process.communicate()
    go_on.set()
    assert visible(downloads) == ["poem.txt.part"]
    came = half.stat().st_size
    shop.shelf["/poem.txt"] = POEM
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.ranges == [None, f"bytes={came}-"]
    assert visible(downloads) == ["poem.txt"]
    assert not [path for path in downloads.iterdir() if path.is_dir()]


def test_two_processes_that_want_the_same_file_fetch_it_once(shop: Shop, poem: store.File, downloads: Path):
    both_look = threading.Event()

    def when_both_look(handler: Handler) -> None:
        both_look.wait(PATIENCE)
        announce(handler)
        handler.wfile.write(POEM)

    shop.shelf["/poem.txt"] = when_both_look
    first = _in_a_process("poem")
    _wait_for(lambda: shop.asked["/poem.txt"] == 1)
    second = _in_a_process("poem", before="print('started', flush=True)")
    assert second.stdout is not None and second.stdout.readline() == "started\n"
    time.sleep(0.5)
    both_look.set()
    for process in (first, second):
        output, errors = process.communicate(timeout=PATIENCE)
        assert (output.strip(), process.returncode) == (str(downloads / "poem.txt"), 0), errors
    assert (downloads / "poem.txt").read_bytes() == POEM
    assert shop.asked["/poem.txt"] == 1
    assert visible(downloads) == ["poem.txt"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [_Terminal(), io.StringIO()], ids=["terminal", "log"])
def test_a_slow_transfer_shows_a_bar_on_a_terminal_and_floods_no_log(
    shop: Shop, poem: store.File, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO
):
    def slowly(handler: Handler) -> None:
        announce(handler)
        for start in range(0, len(POEM), len(POEM) // 8):
            handler.wfile.write(POEM[start : start + len(POEM) // 8])
            time.sleep(0.2)

    shop.shelf["/poem.txt"] = slowly
    monkeypatch.setattr(sys, "stderr", stream)
    store.fetch("poem")
    assert ("poem.txt" in stream.getvalue()) == stream.isatty()


@pytest.mark.parametrize(
    "terminal",
    [False, pytest.param(True, marks=pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminal here"))],
)
def test_carried_files_come_through_the_users_own_pip_which_speaks_to_a_terminal_only(
    index: Path,
    downloads: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    terminal: bool,
):
    # A module of this name where the reader works is not the user's own pip.
    (tmp_path / "pip.py").write_text("raise SystemExit('not the real pip')")
    monkeypatch.chdir(tmp_path)
    if terminal:
        other_end, end = os.openpty()
        with os.fdopen(end, "w") as screen, monkeypatch.context() as context:
            context.setattr(sys, "stderr", screen)
            folder = store.fetch("things")
            screen.write("the end")
            screen.flush()
            shown = b""
            while not shown.endswith(b"the end"):
                shown += os.read(other_end, 2**16)
        os.close(other_end)
        assert b"Successfully downloaded" in shown
    else:
        folder = store.fetch("things")
    assert capfd.readouterr() == ("", "")
    assert folder == downloads / "things"
    assert (folder / "one.json").read_bytes() == b"{}"
    assert (folder / "two.bin").read_bytes() == bytes(range(256)) * 500
    assert visible(downloads) == ["things/one.json", "things/two.bin"]


def test_a_carried_folder_with_one_file_missing_is_not_present_and_is_completed(
    index: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TLUTILS_MIRROR", str(index))
    folder = store.fetch("things")
    assert store.present("things")
    (folder / "one.json").unlink()
    assert not store.present("things")
    assert (store.fetch("things") / "one.json").read_bytes() == b"{}"


def test_the_space_needed_is_that_of_the_way_taken(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    item = store.FILES["things"]
    assert item.download.size is not None
    kept = sum(part.size or 0 for part in item.parts)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=kept))
    with pytest.raises(
        UserError, match=f"it needs {(kept + 2 * item.download.size) / 1e6:.1f} MB there. 0.1 MB are free"
    ):
        store.fetch("things")
    # A mirror's wheel is copied once; pip holds it twice.
    monkeypatch.setenv("TLUTILS_MIRROR", str(index))
    with pytest.raises(UserError, match=f"it needs {(kept + item.download.size) / 1e6:.1f} MB there"):
        store.fetch("things")
    with zipfile.ZipFile(index / item.download.path) as wheel:
        for member, part in item.members.items():
            (tmp_path / "ready" / part.path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "ready" / part.path).write_bytes(wheel.read(member))
    monkeypatch.setenv("TLUTILS_MIRROR", str(tmp_path / "ready"))
    assert (store.fetch("things") / "one.json").read_bytes() == b"{}"


def test_what_a_pip_without_its_killed_parent_writes_is_cleaned_up(
    index: Path, downloads: Path, monkeypatch: pytest.MonkeyPatch
):
    for _ in range(20):
        process = _in_a_process("things")
        _wait_for(
            lambda process=process: (
                any(name.startswith("pip-") for name in _names_below(downloads)) or process.poll() is not None
            )
        )
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            break
        shutil.rmtree(downloads)  # pip was through before this test could look
    assert process.returncode == -signal.SIGKILL, "pip was never caught at work"
    monkeypatch.setenv("TLUTILS_MIRROR", str(index))
    assert (store.fetch("things") / "one.json").read_bytes() == b"{}"
    assert sorted(path.name for path in downloads.iterdir()) == [".things.lock", "things"]


@pytest.mark.parametrize("form", ["wheel", "files"])
@pytest.mark.parametrize("web", [False, True], ids=["folder", "address"])
def test_a_mirror_may_hold_the_wheel_or_the_files_that_it_carries(
    index: Path, shop: Shop, downloads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, web: bool
):
    mirror = index
    if form == "files":
        monkeypatch.setenv("TLUTILS_MIRROR", str(index))
        store.fetch("things")
        mirror = downloads.rename(tmp_path / "from another machine")
    if web:
        shop.shelf |= {f"/{path}": (mirror / path).read_bytes() for path in visible(mirror)}
    monkeypatch.setenv("TLUTILS_MIRROR", shop.url if web else str(mirror))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    folder = store.fetch("things")
    assert (folder / "two.bin").read_bytes() == bytes(range(256)) * 500
    assert visible(downloads) == ["things/one.json", "things/two.bin"]


def test_a_wheel_that_is_not_the_pinned_one_is_refused(index: Path, downloads: Path):
    _make_wheel(index, {"carrier/one.json": b"{}", "carrier/two.bin": b"something else"})
    with pytest.raises(UserError, match=r"package index: what came is not the file, carrier_of_things"):
        store.fetch("things")
    assert visible(downloads) == []


def _anthology(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"an anthology/{name}.txt", data)
    return content.getvalue()


def test_an_archive_of_unknown_bytes_is_taken_for_its_known_members(shop: Shop, zipped: store.File, downloads: Path):
    shop.shelf["/an%20anthology.zip"] = _anthology(poem=POEM, preface=b"whatever")
    folder = store.fetch("anthology")
    assert (folder / "poem.txt").read_bytes() == POEM and visible(downloads) == ["anthology/poem.txt"]
    assert shop.asked.total() == 1


@pytest.mark.parametrize("served", ["archive", "members"])
def test_a_mirror_has_the_archive_or_its_members(
    shop: Shop, zipped: store.File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: str
):
    monkeypatch.setenv("TLUTILS_MIRROR", str(tmp_path))
    if served == "archive":
        (tmp_path / "an anthology.zip").write_bytes(_anthology(poem=POEM))
    else:
        (tmp_path / "anthology").mkdir()
        (tmp_path / "anthology" / "poem.txt").write_bytes(POEM)
    assert (store.fetch("anthology") / "poem.txt").read_bytes() == POEM
    assert shop.asked.total() == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>Moved</html>", "what came is not the archive, File is not a zip file; it is a web page"),
        (_anthology(poem=POEM)[:300], "what came is not the archive, File is not a zip file"),
        (_anthology(preface=POEM), "what came is not the archive, There is no item named"),
        (_anthology(poem=POEM[:-1]), r"anthology/poem\.txt has 1,479,999 bytes instead of 1,480,000"),
        (_anthology(poem=POEM[:-1] + b"!"), r"anthology/poem\.txt has other bytes than published"),
    ],
)
def test_an_archive_without_the_right_members_is_refused(
    shop: Shop, zipped: store.File, downloads: Path, content: bytes, reason: str
):
    shop.shelf["/an%20anthology.zip"] = content
    with pytest.raises(UserError, match=f"publisher: .*{reason}"):
        store.fetch("anthology")
    assert visible(downloads) == []


def test_a_member_that_is_too_long_is_refused_before_it_is_unpacked(
    shop: Shop, zipped: store.File, monkeypatch: pytest.MonkeyPatch
):
    shop.shelf["/an%20anthology.zip"] = _anthology(poem=bytes(len(POEM) + 1))
    monkeypatch.setattr(shutil, "copyfileobj", lambda *files: pytest.fail("it was unpacked"))
    with pytest.raises(UserError, match=r"anthology/poem\.txt has 1,480,001 bytes instead of 1,480,000"):
        store.fetch("anthology")


def test_an_index_with_a_source_package_only_is_an_error_with_two_ways_out_and_its_code_never_runs(
    index: Path, downloads: Path, tmp_path: Path
):
    for wheel in index.iterdir():
        wheel.unlink()
    trace = tmp_path / "it ran"
    setup = f"open({str(trace)!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n".encode()
    with tarfile.open(index / "carrier-of-things-1.0.tar.gz", "w:gz") as tar:
        for name, content in {"setup.py": setup, "PKG-INFO": b"Name: carrier-of-things\nVersion: 1.0\n"}.items():
            entry = tarfile.TarInfo(f"carrier-of-things-1.0/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    with pytest.raises(UserError) as caught:
        store.fetch("things")
    for piece in (
        "package index: pip could not bring carrier-of-things==1.0",
        "carrier_of_things-1.0-py3-none-any.whl",
        "No matching distribution",
        "TLUTILS_MIRROR",
    ):
        assert piece in str(caught.value)
    assert not trace.exists()
    assert visible(downloads) == []


def test_an_index_out_of_reach_is_not_called_an_index_without_the_package(index: Path, monkeypatch: pytest.MonkeyPatch):
    server = Shop()
    server.close()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    with pytest.raises(UserError, match="package index: pip could not connect to it"):
        store.fetch("things")


def test_a_python_without_pip_is_told_how_to_get_it(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(UserError, match=r'this Python has no pip; "python -m ensurepip" installs it'):
        store.fetch("things")


def _zip(path: Path, members: dict[str, bytes], link: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if link:
            entry = zipfile.ZipInfo(link)
            entry.external_attr = 0o120777 << 16
            archive.writestr(entry, "/etc")
    return path


def _tar(path: Path, members: dict[str, bytes], **strange: Any) -> Path:
    path.write_bytes(tar_of(members, **strange))
    return path


GOOD = {"good/a.txt": b"a", "good/deep/b.bin": bytes(50_000), "./good/c.txt": b"c"}


@pytest.mark.parametrize(("make", "name"), [(_zip, "a.zip"), (_tar, "a.tar.gz"), (_tar, "a.tgz")])
def test_an_archive_is_unpacked_once(tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], name: str):
    archive = make(tmp_path / name, GOOD)
    folder = store.extract(archive, tmp_path / "cache" / "unpacked")
    assert folder == tmp_path / "cache" / "unpacked"
    assert {path: (folder / path).read_bytes() for path in visible(folder)} == {
        "good/a.txt": b"a",
        "good/deep/b.bin": bytes(50_000),
        "good/c.txt": b"c",
    }
    archive.unlink()
    assert store.extract(archive, folder) == folder
    assert [path for path in folder.parent.iterdir() if not path.name.endswith(".lock")] == [folder]


@pytest.mark.parametrize("make", [_zip, _tar], ids=["zip", "tar.gz"])
@pytest.mark.parametrize(
    "name", ["../evil.txt", "good/../../evil.txt", "/tmp/evil.txt", "C:/evil.txt", "..\\evil.txt", "\\evil.txt"]
)
def test_a_member_that_leads_out_of_the_folder_is_refused(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], name: str
):
    archive = make(tmp_path / "archive", GOOD | {name: b"evil"})
    with pytest.raises(UserError, match="leads out of the folder"):
        store.extract(archive, tmp_path / "inner" / "unpacked")
    assert visible(tmp_path) == ["archive"]


@pytest.mark.parametrize("kind", [b"zip", tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_in_an_archive_is_refused(tmp_path: Path, kind: bytes):
    path = tmp_path / "archive"
    if kind == b"zip":
        archive = _zip(path, GOOD, link="good/way out")
    else:
        archive = _tar(path, GOOD, name="good/way out", type=kind, linkname="good/a.txt")
    with pytest.raises(UserError, match="'good/way out' is a link or a device"):
        store.extract(archive, tmp_path / "inner" / "unpacked")
    assert visible(tmp_path) == ["archive"]


@pytest.mark.parametrize("make", [_zip, _tar], ids=["zip", "tar.gz"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_an_archive_cut_short_leaves_nothing(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], share: float
):
    noise = b"".join(hashlib.sha256(bytes([count])).digest() for count in range(250))
    archive = make(tmp_path / "archive", {f"{number}.bin": noise for number in range(5)})
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
    with pytest.raises(UserError, match="is damaged or of another kind"):
        store.extract(archive, tmp_path / "inner" / "unpacked")
    assert visible(tmp_path) == ["archive"]


@pytest.mark.parametrize(("content", "reason"), [(b"neither", "of another kind"), (None, "No such file")])
def test_something_that_is_no_archive_is_an_error(tmp_path: Path, content: bytes | None, reason: str):
    if content is not None:
        (tmp_path / "archive").write_bytes(content)
    with pytest.raises(UserError, match=reason):
        store.extract(tmp_path / "archive", tmp_path / "unpacked")


def test_what_a_killed_unpacking_left_is_cleaned_up(tmp_path: Path):
    left = tmp_path / ".unpacked.part-killed"
    (left / "unpacked").mkdir(parents=True)
    store.extract(_zip(tmp_path / "archive", GOOD), tmp_path / "unpacked")
    assert not left.exists()


def test_a_file_that_came_with_the_course_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "DATA", tmp_path)
    (tmp_path / "checksums.json").write_text(json.dumps({"poem.txt": sha256(POEM)}))
    with pytest.raises(UserError, match=r"data/poem\.txt is not there"):
        store.bundled("poem.txt")
    (tmp_path / "poem.txt").write_bytes(POEM)
    assert store.bundled("poem.txt") == tmp_path / "poem.txt"
    (tmp_path / "poem.txt").write_bytes(POEM[:-1])
    with pytest.raises(UserError, match=r"data/poem\.txt has other bytes than published"):
        store.bundled("poem.txt")


def test_a_file_made_anew_is_noted_and_then_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "DATA", tmp_path)
    (tmp_path / "checksums.json").write_text(json.dumps({"poem.txt": "sha256:0", "other.txt": "sha256:1"}))
    (tmp_path / "poem.txt").write_bytes(POEM)
    store.note_checksum(tmp_path / "poem.txt")
    assert store.bundled("poem.txt") == tmp_path / "poem.txt"
    assert json.loads((tmp_path / "checksums.json").read_text()) == {"poem.txt": sha256(POEM), "other.txt": "sha256:1"}


def test_the_catalogue_keeps_each_file_in_a_place_of_its_own_below_the_downloads():
    paths = [part.path for item in store.FILES.values() for part in {*item.parts, item.download}]
    assert len(set(paths)) == len(paths)
    for path in paths:
        assert not Path(path).is_absolute() and ".." not in Path(path).parts


def test_the_catalogue_has_the_names_that_the_course_uses():
    assert {"efficientnet_lite0", "minilm", "flower_photos", "colorectal_histology"} <= set(store.FILES)
    assert {"breastmnist_128", "movie_reviews"} <= set(store.FILES)


def test_importing_the_store_stays_light():
    script = textwrap.dedent(
        """
        import sys, tlutils.store
        print([name for name in ("filelock", "requests", "tqdm", "numpy", "keras") if name in sys.modules])
        """
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
