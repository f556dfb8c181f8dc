"""The one door for bytes from outside: what can be fetched, and how it is fetched and checked."""

from tlutils.store.fetching import bundled, extract, fetch, note_checksum, present
from tlutils.store.sources import FILES, Carried, File, Part

__all__ = ["FILES", "Carried", "File", "Part", "bundled", "extract", "fetch", "note_checksum", "present"]
