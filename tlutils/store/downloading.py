"""One file over HTTP, gone on with where an earlier try broke off."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

# Seconds to wait for a connection, and for the next bytes once it stands.
TIMEOUT = (10, 30)
# Seconds before another try; the first again after a try that came farther than all before.
PAUSES = (1, 4)
# Answers of a server that may answer otherwise a little later (RFC 9110, sections 15.5.9 and 15.6; RFC 6585).
_BUSY = (408, 429, 500, 502, 503, 504)
_CHUNK = 2**16


class Unavailable(Exception):
    """One place does not give the right bytes; the message is the reason, for the report of all places."""


def download(url: str, half: Path, size: int | None) -> bool:
    """Bring what `half` lacks of the file at an address; broken off for good, it stays for the next time.

    Nothing here tells whether old bytes and new ones belong together: that is for the hash of the whole. So no date and
    no tag of the server's is kept, and a file that has changed there is found out the same way.

    Parameters
    ----------
    url : str
        http or https. Proxies and certificates are those that requests finds in the environment.
    half : Path
    size : int or None
        Bytes of the whole file; more are not taken.

    Returns
    -------
    bool
        Whether `half` had bytes before any of its tries.

    Raises
    ------
    Unavailable
    OSError
        If the disk does not take the file.
    """
    import requests
    from urllib3.exceptions import HTTPError

    resumed, farthest, pauses = False, 0, iter(PAUSES)
    while True:
        here = half.stat().st_size if half.exists() else 0
        resumed |= here > 0
        farthest = max(farthest, here)
        if size is not None and here >= size:
            return resumed
        try:
            _append(url, half, here, size)
            return resumed
        except (requests.RequestException, HTTPError) as error:
            came = half.stat().st_size if half.exists() else 0
            if came >= farthest + _CHUNK:
                pauses = iter(PAUSES)
            pause = next(pauses, None) if _passes(error) else None
            if pause is None:
                kept = f"; {came:,} bytes are here, and the next try goes on behind them" if came else ""
                raise Unavailable(f"{url} {_in_words(error)}{kept}") from error
        time.sleep(pause)


def _append(url: str, half: Path, here: int, size: int | None) -> None:
    import requests

    # What is asked for are the bytes on the publisher's disk. A server may call the gzip of an archive a transfer
    # encoding all the same; it is not undone either, since the hash is that of the archive.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if here and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # Nothing lies behind what is here.
        answer.raise_for_status()
        # A server that cannot go on sends the whole file.
        goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {here}-")
        with half.open("ab" if goes_on else "wb") as file, _bar(half.stem, here * goes_on, size) as bar:
            for chunk in answer.raw.stream(_CHUNK, decode_content=False):
                file.write(chunk)
                bar.update(len(chunk))
                if size is not None and file.tell() > size:
                    return


def _passes(error: Exception) -> bool:
    """Whether another try may end otherwise: the server was busy, or the line broke or stalled once it stood."""
    import requests
    from urllib3.exceptions import HTTPError, MaxRetryError

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code in _BUSY
    if type(error) is requests.ConnectionError:
        return not isinstance(error.args[0], MaxRetryError)  # Then it never stood.
    return isinstance(error, (HTTPError, requests.ReadTimeout))


def _in_words(error: Exception) -> str:
    import requests
    from urllib3.exceptions import ReadTimeoutError

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code}"
    if isinstance(error, (requests.ReadTimeout, ReadTimeoutError)):
        return f"sent nothing for {TIMEOUT[1]} seconds"
    return f"gave no file ({type(error).__name__})"


def _bar(name: str, here: int, size: int | None) -> Any:
    """Return a progress bar in bytes that keeps quiet for a second, and that writes rarely where lines pile up."""
    from tqdm import tqdm

    return tqdm(
        total=size,
        initial=here,
        desc=name,
        unit="B",
        unit_scale=True,
        ncols=79,
        delay=1,
        leave=False,
        mininterval=0.1 if sys.stderr.isatty() else 10,
        ascii=sys.platform == "win32",
    )
