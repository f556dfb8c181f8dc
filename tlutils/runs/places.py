"""Where executed notebooks are kept: a folder, or a store that fsspec reaches by its address, such as S3."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tlutils.settings import UserError, replacing


class Place:
    """A folder or a store with executed notebooks, under names with ``/`` between folders.

    Parameters
    ----------
    where : Path or str
        A folder, or an address with ``://``.

    Raises
    ------
    UserError
        If the package for this kind of store is not installed, or the address is none.
    """

    def __init__(self, where: Path | str) -> None:
        self.where = str(where)
        self.folder: Path | None = None if "://" in self.where and isinstance(where, str) else Path(where)
        self._store: Any = None
        if self.folder is None:
            import fsspec

            try:
                # What others write meanwhile must be seen.
                self._store, self._root = fsspec.core.url_to_fs(self.where.rstrip("/"), use_listings_cache=False)
            except (ImportError, ValueError) as error:
                raise UserError(
                    f"{where} cannot be opened ({error}). For S3: pip install -c constraints.txt -e '.[s3]'; or give "
                    "a folder."
                ) from error

    def path(self, name: str) -> Path | str:
        """Return where a name lies."""
        return self.folder / name if self.folder is not None else f"{self.where.rstrip('/')}/{name}"

    def prepare(self) -> None:
        """Make the place if need be, and raise UserError if it takes nothing."""
        try:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
            probe = f".{os.getpid()}.probe"
            self._put(probe, b" ")
            self.remove(probe)
        except Exception as error:
            raise self._refusal(error, "cannot take executed notebooks") from error

    def names(self) -> list[str]:
        """Return the names of all notebooks, sorted; hidden files and folders are left out."""
        if self.folder is not None:
            found = [path.relative_to(self.folder).as_posix() for path in sorted(self.folder.rglob("*.ipynb"))]
        else:
            try:
                with self._asked():
                    keys = self._store.find(self._root)
            except FileNotFoundError:
                keys = []
            found = sorted(key[len(self._root) :].lstrip("/") for key in keys if key.endswith(".ipynb"))
        return [name for name in found if not any(part.startswith(".") for part in name.split("/"))]

    def read(self, name: str) -> bytes | None:
        """Return what lies under a name, None if nothing does."""
        try:
            if self.folder is not None:
                return (self.folder / name).read_bytes()
            with self._asked():
                return bytes(self._store.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Put content under a name, whole or not at all, in place of what was there; an OSError says why not."""
        try:
            self._put(name, content)
        # What stands behind a store raises its own classes.
        except Exception as error:
            raise error if isinstance(error, OSError) else OSError(None, str(error)) from error

    def _put(self, name: str, content: bytes) -> None:
        if self.folder is None:
            self._store.pipe_file(f"{self._root}/{name}", content)
        else:
            with replacing(self.folder / name) as temporary:
                temporary.write_bytes(content)

    def remove(self, name: str) -> None:
        """Take a name away, if it is there and may go."""
        with contextlib.suppress(Exception):
            if self.folder is not None:
                (self.folder / name).unlink(missing_ok=True)
            else:
                self._store.rm_file(f"{self._root}/{name}")

    def _refusal(self, error: Exception, what: str) -> UserError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if self.folder is not None:
            return UserError(f"{self.where} {what} ({reason}). Make room there, or choose another output folder.")
        return UserError(
            f"{self.where} {what} ({reason}). Check the address, its credentials and rights, and that the store runs; "
            "finished runs stay as they are, and the same command goes on with the missing ones."
        )

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._refusal(error, "does not answer") from error
