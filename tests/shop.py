"""A publisher on loopback, for tests of what comes over HTTP."""

from __future__ import annotations

import hashlib
import http.server
import io
import re
import tarfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

POEM = b"Tell all the truth but tell it slant\n" * 40_000
Handler = http.server.BaseHTTPRequestHandler


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tar_of(members: dict[str, bytes], **strange: Any) -> bytes:
    """Pack files into a .tar.gz; with `strange`, one more entry that has these attributes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if strange:
            entry = tarfile.TarInfo()
            for attribute, value in strange.items():
                setattr(entry, attribute, value)
            archive.addfile(entry)
    return packed.getvalue()


def visible(folder: Path) -> list[str]:
    """Return every file below `folder` but the locks, which stay and are empty."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


def announce(handler: Handler, size: int | None = len(POEM), status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in (({} if size is None else {"Content-Length": str(size)}) | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def hand_over(handler: Handler, content: bytes, most: int | None = None) -> None:
    """Send what was asked for of a file, as servers do that know ranges; with `most`, break off after so many bytes."""
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    start = int(asked[1]) if asked else 0
    if asked and start >= len(content):
        announce(handler, 0, 416, Content_Range=f"bytes */{len(content)}")
    elif asked:
        announce(handler, len(content) - start, 206, Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        announce(handler, len(content))
    handler.wfile.write(content[start:] if most is None else content[start : start + most])


class Shop:
    """A web server; `shelf` says what it serves, or how it misbehaves, and `asked` and `ranges` what was asked for."""

    def __init__(self) -> None:
        self.shelf: dict[str, bytes | Callable[[Handler], None]] = {}
        self.asked: Counter[str] = Counter()
        self.ranges: list[str | None] = []
        shop = self

        class Seller(Handler):
            def do_GET(self) -> None:
                shop.asked[self.path] += 1
                shop.ranges.append(self.headers["Range"])
                goods = shop.shelf.get(self.path)
                if goods is None:
                    self.send_error(404)
                elif isinstance(goods, bytes):
                    hand_over(self, goods)
                else:
                    goods(self)

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Keep quiet about customers who leave."""

        self.server = Server(("127.0.0.1", 0), Seller)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
