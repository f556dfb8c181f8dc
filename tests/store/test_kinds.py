"""A file is known by its first bytes, whatever its name says."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlutils.store.kinds import Kind, kind_of, kind_of_bytes


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return stream.getvalue()


def saved(save: object) -> bytes:
    stream = io.BytesIO()
    save(stream, np.zeros(3))  # type: ignore[operator]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", Kind.EMPTY),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", Kind.LFS_POINTER),
        (b"/annex/objects/MD5E-s6--00.h5\n", Kind.ANNEX_POINTER),
        (b"<html><body>Virus scan warning</body></html>", Kind.WEB_PAGE),
        (b"\n\n  <!DOCTYPE html>\n<title>403", Kind.WEB_PAGE),
        (b"\xef\xbb\xbf<!-- saved -->\n<HTML>", Kind.WEB_PAGE),
        (b'<?xml version="1.0"?><Error><Code>NoSuchKey', Kind.XML),
        (b"\x89HDF\r\n\x1a\n\0\0", Kind.HDF5),
        (saved(np.savez), Kind.NUMPY_ARCHIVE),
        (saved(np.savez)[:-30], Kind.DAMAGED_ZIP),
        (archive(model_dot_weights_dot_h5=b"", config_dot_json=b""), Kind.KERAS_MODEL),
        (archive(archive__data_dot_pkl=b"", archive__version=b""), Kind.TORCH_ZIP),
        (saved(np.save), Kind.NUMPY_ARRAY),
        (b"\x80\x02\x8a\nl\xfc", Kind.PICKLE),
        (b"weights of my network", Kind.UNKNOWN),
    ],
)
def test_what_a_file_is_shows_in_its_beginning(tmp_path: Path, content: bytes, kind: Kind) -> None:
    (tmp_path / "weights.h5").write_bytes(content)
    assert kind_of(tmp_path / "weights.h5") == kind


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda content: b"PK\x03\x04" + content))
def test_any_bytes_are_looked_at_without_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("kinds") / "file"
    path.write_bytes(content)
    assert isinstance(kind_of(path), Kind)


@pytest.mark.parametrize(("last", "kind"), [(b"<html>", Kind.WEB_PAGE), (b"no page", Kind.UNKNOWN)])
def test_many_comments_before_a_page_take_no_longer_than_their_length(last: bytes, kind: Kind) -> None:
    # With a choice of where each ends, the ways to read 10,000 of them would outlast the test.
    assert kind_of_bytes(b"<!---->" * 10_000 + last) == kind
