"""A transfer over HTTP goes on where it broke off, and what servers do instead of serving ends in a reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from poem import poem_file
from shop import POEM, Handler, Shop, announce, hand_over, visible

from tlutils import store
from tlutils.settings import UserError
from tlutils.store import downloading

HALF = len(POEM) // 2
PAGE = b"<!DOCTYPE html><title>Sign in</title>"


def _breaks_off_after(*amounts: int, content: bytes = POEM) -> Callable[[Handler], None]:
    """Serve so many bytes of what is asked for at each time, then all of it."""
    left = list(amounts)
    return lambda handler: hand_over(handler, content, left.pop(0) if left else None)


def _refused() -> str:
    with pytest.raises(UserError) as caught:
        store.fetch("poem")
    return str(caught.value)


def test_a_broken_transfer_goes_on_behind_what_came(shop: Shop, poem: store.File, downloads: Path) -> None:
    shop.shelf["/poem.txt"] = _breaks_off_after(HALF)
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.ranges == [None, f"bytes={HALF}-"]
    assert visible(downloads) == ["poem.txt"]


def test_tries_are_counted_from_the_last_one_that_came_farther(shop: Shop, poem: store.File) -> None:
    shop.shelf["/poem.txt"] = _breaks_off_after(*[100_000] * 14)
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.asked["/poem.txt"] == 15 > len(downloading.PAUSES) + 1


def test_a_server_that_begins_anew_each_time_and_never_comes_farther_is_left(shop: Shop, poem: store.File) -> None:
    shares = [0.7, 0.3, 0.6, 0.3, 0.6, 1]

    def begin_anew(handler: Handler) -> None:
        announce(handler)
        handler.wfile.write(POEM[: int(shares[shop.asked.total() - 1] * len(POEM))])

    shop.shelf["/poem.txt"] = begin_anew
    assert "gave no file" in _refused()
    assert shop.asked.total() == 3


def test_what_came_before_a_line_broke_for_good_is_kept_and_told_and_the_next_call_goes_on(
    shop: Shop, poem: store.File, downloads: Path
) -> None:
    shop.shelf["/poem.txt"] = _breaks_off_after(HALF, 0, 0)
    assert f"gave no file (ProtocolError); {HALF:,} bytes are here, and the next try goes on" in _refused()
    assert visible(downloads) == ["poem.txt.part"]
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.ranges == [None, *[f"bytes={HALF}-"] * 3]
    assert visible(downloads) == ["poem.txt"]


def test_what_a_broken_transfer_left_needs_no_room_and_goes_when_the_file_comes_another_way(
    shop: Shop, poem: store.File, downloads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads.mkdir(parents=True)
    (downloads / "poem.txt.part").write_bytes(POEM[:HALF])
    with monkeypatch.context() as context:
        context.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=len(POEM) - HALF))
        store.fetch("poem").unlink()
        with pytest.raises(UserError, match="it needs 1.5 MB there"):
            store.fetch("poem")
    (downloads / "poem.txt.part").write_bytes(POEM[:HALF])
    (tmp_path / "poem.txt").write_bytes(POEM)
    monkeypatch.setenv("TLUTILS_MIRROR", str(tmp_path))
    store.fetch("poem")
    assert visible(downloads) == ["poem.txt"]


def test_a_server_that_knows_no_ranges_sends_the_whole_again(shop: Shop, poem: store.File, downloads: Path) -> None:
    downloads.mkdir(parents=True)
    (downloads / "poem.txt.part").write_bytes(POEM[:HALF])

    def whole(handler: Handler) -> None:
        announce(handler)
        handler.wfile.write(POEM)

    shop.shelf["/poem.txt"] = whole
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.ranges == [f"bytes={HALF}-"]


@pytest.mark.parametrize("left", [b"t" + POEM[1:HALF], b"t" + POEM[1:], POEM + b"x"], ids=["half", "whole", "longer"])
def test_bytes_of_another_file_are_thrown_away_which_is_told_once(
    shop: Shop, poem: store.File, downloads: Path, caplog: pytest.LogCaptureFixture, left: bytes
) -> None:
    """As after the publisher has changed the file between two tries."""
    downloads.mkdir(parents=True)
    (downloads / "poem.txt.part").write_bytes(left)
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.ranges[-1] is None
    assert [record.message for record in caplog.records] == [
        "poem.txt: what an earlier try left does not fit; the file is fetched from its start."
    ]
    assert visible(downloads) == ["poem.txt"]


def test_a_file_that_changes_between_two_tries_of_one_call_is_fetched_from_its_start(
    shop: Shop, poem: store.File
) -> None:
    earlier = _breaks_off_after(HALF, content=POEM.replace(b"truth", b"trash"))
    shop.shelf["/poem.txt"] = lambda handler: (earlier if len(shop.ranges) == 1 else _breaks_off_after())(handler)
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.ranges == [None, f"bytes={HALF}-", None]


def test_wrong_bytes_are_refused_after_one_new_start_and_do_not_stay(
    shop: Shop, poem: store.File, downloads: Path
) -> None:
    wrong = POEM.replace(b"truth", b"trash")
    shop.shelf["/poem.txt"] = _breaks_off_after(HALF, len(POEM), HALF, content=wrong)
    assert "poem.txt has other bytes than published" in _refused()
    assert shop.ranges == [None, f"bytes={HALF}-"] * 2
    assert visible(downloads) == []


@pytest.mark.parametrize("size", [len(POEM), None])
def test_a_transfer_that_was_stopped_behind_its_last_byte_is_not_repeated(
    shop: Shop, poem: store.File, downloads: Path, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    downloads.mkdir(parents=True)
    (downloads / "poem.txt.part").write_bytes(POEM)
    monkeypatch.setitem(store.FILES, "poem", poem_file(poem.origin, size, f"md5:{hashlib.md5(POEM).hexdigest()}"))
    assert store.fetch("poem").read_bytes() == POEM
    assert shop.ranges == ([] if size else [f"bytes={len(POEM)}-"])


def test_an_archive_of_unknown_hash_never_goes_on(shop: Shop, zipped: store.File, downloads: Path) -> None:
    """Nothing could tell then whether its halves belong together."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("an anthology/poem.txt", POEM)
    downloads.mkdir(parents=True)
    (downloads / "an anthology.zip.part").write_bytes(packed.getvalue()[:HALF])
    shop.shelf["/an%20anthology.zip"] = packed.getvalue()
    assert (store.fetch("anthology") / "poem.txt").read_bytes() == POEM
    assert shop.ranges == [None]
    assert visible(downloads) == ["anthology/poem.txt"]


@pytest.mark.parametrize(("status", "times"), [(404, 1), (403, 1), (416, 1), (500, 3), (503, 3), (429, 3)])
def test_a_busy_server_is_asked_again_and_a_clear_no_is_one(
    shop: Shop, poem: store.File, downloads: Path, status: int, times: int
) -> None:
    shop.shelf["/poem.txt"] = lambda handler: handler.send_error(status)
    assert f"publisher: {poem.origin} answered {status}" in _refused()
    assert shop.asked["/poem.txt"] == times
    assert visible(downloads) == []


def test_a_server_that_hangs_up_is_asked_again_and_one_out_of_reach_is_not(
    shop: Shop, poem: store.File, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.shelf["/poem.txt"] = lambda handler: None
    assert "gave no file (ConnectionError)" in _refused()
    assert shop.asked["/poem.txt"] == 3
    shop.close()
    monkeypatch.setattr(downloading, "PAUSES", (60,))
    started = time.monotonic()
    assert "gave no file (ConnectionError)" in _refused()
    assert time.monotonic() - started < 30


def test_a_server_that_is_busy_once_is_forgiven(shop: Shop, poem: store.File) -> None:
    shop.shelf["/poem.txt"] = lambda handler: (
        handler.send_error(503) if shop.asked.total() == 1 else hand_over(handler, POEM)
    )
    assert store.fetch("poem").read_bytes() == POEM


@pytest.mark.parametrize("sent", [None, HALF], ids=["before its answer", "within the file"])
def test_a_server_that_stalls_is_left(
    shop: Shop, poem: store.File, downloads: Path, monkeypatch: pytest.MonkeyPatch, sent: int | None
) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT", (10, 0.3))
    over = threading.Event()

    def stall(handler: Handler) -> None:
        if sent is not None and not handler.headers["Range"]:
            announce(handler)
            handler.wfile.write(POEM[:sent])
        over.wait(60)

    shop.shelf["/poem.txt"] = stall
    assert "sent nothing for 0.3 seconds" in _refused()
    over.set()
    assert shop.asked["/poem.txt"] == len(downloading.PAUSES) + 1
    assert visible(downloads) == ([] if sent is None else ["poem.txt.part"])


def _announces(size: int | None, **headers: str) -> Callable[[Handler], None]:
    def lie(handler: Handler) -> None:
        announce(handler, size, **headers)
        handler.wfile.write(POEM)

    return lie


@pytest.mark.parametrize(
    "answer",
    [_announces(None), _announces(None, Content_Length="some"), _announces(len(POEM) + 100)],
    ids=["no", "no number", "too much"],
)
def test_the_length_that_a_server_announces_does_not_matter_where_all_came(
    shop: Shop, poem: store.File, answer: Callable[[Handler], None]
) -> None:
    shop.shelf["/poem.txt"] = answer
    assert store.fetch("poem").read_bytes() == POEM


def test_a_length_that_is_too_short_is_found_out(shop: Shop, poem: store.File, downloads: Path) -> None:
    shop.shelf["/poem.txt"] = _announces(HALF)
    assert f"poem.txt has {HALF:,} bytes instead of {len(POEM):,}" in _refused()
    assert visible(downloads) == []


def test_no_more_is_taken_than_belongs_to_the_file(shop: Shop, poem: store.File, downloads: Path) -> None:
    sent = 0

    def endless(handler: Handler) -> None:
        nonlocal sent
        announce(handler, None)
        while True:
            handler.wfile.write(bytes(2**16))
            sent += 2**16

    shop.shelf["/poem.txt"] = endless
    assert "bytes instead of" in _refused()
    # What the customer took, and what lay in the buffers between.
    assert sent < len(POEM) + 20e6
    assert visible(downloads) == []


def _to(place: str) -> Callable[[Handler], None]:
    return lambda handler: announce(handler, 0, 302, Location=place)


def test_a_redirection_is_followed(shop: Shop, poem: store.File) -> None:
    shop.shelf |= {"/poem.txt": _to("/elsewhere"), "/elsewhere": POEM}
    assert store.fetch("poem").read_bytes() == POEM


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/poem.txt", "gave no file (TooManyRedirects)"),
        ("file:///etc/hostname", "gave no file (InvalidSchema)"),
        (
            "/login",
            f"{len(PAGE)} bytes instead of 1,480,000; it is a web page, as a server sends it",
        ),
    ],
    ids=["in a circle", "to a file", "to a login page"],
)
def test_a_redirection_to_nowhere_is_named(
    shop: Shop, poem: store.File, downloads: Path, place: str, reason: str
) -> None:
    shop.shelf |= {"/poem.txt": _to(place), "/login": PAGE}
    assert reason in _refused()
    assert visible(downloads) == []


def test_the_gzip_of_an_archive_is_not_undone_on_the_way(
    shop: Shop, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers announce it as an encoding of the transfer, though none is asked for."""
    packed = gzip.compress(POEM)
    asked = []

    def answer(handler: Handler) -> None:
        asked.append(handler.headers["Accept-Encoding"])
        announce(handler, len(packed), Content_Encoding="x-gzip")
        handler.wfile.write(packed)

    shop.shelf["/poem.txt"] = answer
    monkeypatch.setitem(
        store.FILES, "poem", poem_file(f"{shop.url}/poem.txt", len(packed), f"md5:{hashlib.md5(packed).hexdigest()}")
    )
    assert store.fetch("poem").read_bytes() == packed
    assert asked == ["identity"]


def test_the_proxy_of_the_machine_is_asked(shop: Shop, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("http_proxy", shop.url)
    shop.shelf["http://publisher.invalid/poem.txt"] = POEM
    monkeypatch.setitem(store.FILES, "poem", poem_file("http://publisher.invalid/poem.txt"))
    assert store.fetch("poem").read_bytes() == POEM
