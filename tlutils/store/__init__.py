"""The one door for bytes from outside: what can be fetched, and how it is fetched and checked."""

from tlutils.store.fetching import NotFetched, bundled, extract, fetch, note_checksum, present
from tlutils.store.sources import FILES, QUICK, Carried, File, Part, Zipped

__all__ = [
    "FILES",
    "QUICK",
    "Carried",
    "File",
    "NotFetched",
    "Part",
    "Zipped",
    "bundled",
    "extract",
    "fetch",
    "note_checksum",
    "present",
]
