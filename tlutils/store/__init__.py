"""The one door for bytes from outside: what can be fetched, and how it is fetched and checked."""

from tlutils.store.fetching import NotFetched, announced, bundled, extract, fetch, note_checksum, present
from tlutils.store.sources import FILES, QUICK, File, Part

__all__ = [
    "FILES",
    "QUICK",
    "File",
    "NotFetched",
    "Part",
    "announced",
    "bundled",
    "extract",
    "fetch",
    "note_checksum",
    "present",
]
