"""Executed notebooks go to a store that speaks S3 as they go to a folder; moto's server stands for it on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweeping import begun, wait_until

from tlutils import runs
from tlutils.settings import UserError

pytest.importorskip("s3fs")
pytestmark = pytest.mark.slow


class Shelf:
    """The server, and its address."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """A store with the empty bucket."""
    import s3fs

    shelf = Shelf()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{shelf.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        s3fs.S3FileSystem().mkdir("bucket")
        yield shelf
    finally:
        shelf.close()
        s3fs.S3FileSystem.clear_instance_cache()


def test_a_sweep_into_a_store_is_resumed_and_collected_as_from_a_folder(
    tiny: Path, tmp_path: Path, shelf: Shelf
) -> None:
    [first] = runs.sweep(tiny, {"seed": [0]}, "s3://bucket/deep/er")
    assert (first.status, str(first.path).startswith("s3://bucket/deep/er/tiny-")) == ("no record", True)
    both = runs.sweep(tiny, [{"seed": 0}, {"seed": 1, "fails": [1]}], "s3://bucket/deep/er/", workers=2)
    assert [result.status for result in both] == ["no record", "error"] and begun(tmp_path) == [0, 1]
    found = runs.survey("s3://bucket/deep/er")
    assert {result.path for result in found} == {result.path for result in both}
    assert {(result.status, result.state) for result in found} == {("no record", "current"), ("error", "current")}
    table = runs.frame(runs.rows(found, "s3://bucket/deep/er"))
    assert set(table["file"]) == {f"{result.notebook}.ipynb" for result in both}


def test_a_store_that_refuses_or_is_gone_is_a_sentence_and_keeps_what_it_has(
    tiny: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    for out in ("s3://missing/x", "s4://b/x"):
        with pytest.raises(UserError, match=rf"{out} cannot"):
            runs.sweep(tiny, {"seed": [0]}, out)
    s3fs.S3FileSystem().pipe_file("bucket/kept.ipynb", b"x")
    # Who has no rights gets a 403.
    policy = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket/*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    s3fs.S3FileSystem().call_s3("put_bucket_policy", Bucket="bucket", Policy=text)
    with pytest.raises(
        UserError, match=r"s3://bucket/x cannot take executed notebooks .* Check the address, its credentials"
    ):
        runs.sweep(tiny, {"seed": [0]}, "s3://bucket/x")
    s3fs.S3FileSystem().call_s3("delete_bucket_policy", Bucket="bucket")
    assert s3fs.S3FileSystem().cat_file("bucket/kept.ipynb") == b"x"
    shelf.close()
    for call in (lambda: runs.sweep(tiny, {"seed": [0]}, "s3://bucket/x"), lambda: runs.survey("s3://bucket/x")):
        with pytest.raises(UserError, match=r"s3://bucket/x does not answer .* the same command goes on"):
            call()
