"""Read the tensors of a PyTorch checkpoint of the legacy format without PyTorch, and without running what is in it."""

from __future__ import annotations

import collections
import io
import math
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tlutils.settings import UserError
from tlutils.store.kinds import Kind, kind_of, with_way_out

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class _Storage(NamedTuple):
    """A run of numbers that comes after the pickles: its key, their type as NumPy writes it, and how many."""

    key: str
    kind: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage, in elements; PyTorch's three further fields say nothing about the numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool
    hooks: Any
    metadata: Any = None


_KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8"}


# Python's own unpickler and not the C one: a damaged byte can make the C one set aside gigabytes for its memo.
class _Unpickler(pickle._Unpickler):
    """An unpickler that admits four names and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new function each time, since a pickle may set attributes on what it was given.
            return lambda *fields: _Tensor(*fields)
        if module == "torch" and name in _KINDS:
            return _KINDS[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not admitted")

    def persistent_load(self, pid: Any) -> _Storage:
        marker, kind, key, _location, count, view = pid
        if marker != "storage" or kind not in _KINDS.values() or not isinstance(key, str) or view is not None:
            raise pickle.UnpicklingError("it refers to something that is not a plain storage")
        return _Storage(key, kind, _count(count))


def read_legacy_torch(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a legacy (non-zip) PyTorch checkpoint that holds a state dict.

    Parameters
    ----------
    path : Path
        A file written by ``torch.save`` before PyTorch 1.6, or with ``_use_new_zipfile_serialization=False``. Tensors
        of float32 and int64 are read.

    Returns
    -------
    dict of str to ndarray
        In the order of the file; float32 or int64, C-contiguous, each with memory of its own. The strides that the
        tensors have in the file are honoured.

    Raises
    ------
    UserError
        If the file cannot be read, is cut short or damaged, is of another format, or asks for anything but tensors.
        Nothing in the file is ever run.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"The checkpoint {path} cannot be read ({error.strerror}).") from error
    kind = kind_of(path)
    if kind == Kind.TORCH_ZIP:
        raise UserError(
            f"{path} is a PyTorch checkpoint of the newer zip format, which is not read here. "
            "Save it again with torch.save(..., _use_new_zipfile_serialization=False)."
        )
    # A damaged pickle can fail with nearly any exception, and each means the same to the reader.
    try:
        return _read(io.BytesIO(content))
    except Exception as error:
        reason = f"it is {with_way_out(kind)}"
        if kind == Kind.UNKNOWN:
            reason = "its first bytes are those of another kind of file, or damaged"
        if kind == Kind.PICKLE:
            reason = str(error) or type(error).__name__
        raise UserError(
            f"{path} ({len(content):,} bytes) is not a whole PyTorch checkpoint of the legacy format: {reason}. "
            "If it was downloaded, delete it and fetch it again."
        ) from error


def _read(stream: io.BytesIO) -> dict[str, NDArray[Any]]:
    if _Unpickler(stream).load() != _MAGIC:
        raise ValueError("it does not begin with PyTorch's magic number")
    if _Unpickler(stream).load() != _PROTOCOL:
        raise ValueError(f"its protocol is not {_PROTOCOL}")
    if _Unpickler(stream).load().get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    state = _Unpickler(stream).load()
    if not isinstance(state, dict):
        raise ValueError(f"it holds a {type(state).__name__} instead of a state dict")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor) or not isinstance(tensor.storage, _Storage):
            raise ValueError(f"its entry {name!r} is not a tensor")
    storages = _read_storages(stream, {tensor.storage for tensor in state.values()})
    return {name: _view(name, tensor, storages).copy() for name, tensor in state.items()}


def _read_storages(stream: io.BytesIO, wanted: set[_Storage]) -> dict[_Storage, NDArray[Any]]:
    by_key = {storage.key: storage for storage in wanted}
    keys = _Unpickler(stream).load()
    if not isinstance(keys, list) or sorted(keys) != sorted(by_key) or len(by_key) != len(wanted):
        raise ValueError("its list of storages does not match its tensors")
    storages = {}
    for key in keys:
        storage = by_key[key]
        count = int.from_bytes(stream.read(8), "little")
        if count != storage.length:
            raise ValueError(f"storage {key} is announced with {storage.length:,} numbers and has {count:,}")
        size = count * np.dtype(storage.kind).itemsize
        data = stream.read(size)
        if len(data) != size:
            raise ValueError(f"it is cut short in storage {key}")
        storages[storage] = np.frombuffer(data, storage.kind)
    return storages


def _view(name: str, tensor: _Tensor, storages: dict[_Storage, NDArray[Any]]) -> NDArray[Any]:
    storage = storages[tensor.storage]
    shape = tuple(_count(length) for length in tensor.shape)
    strides = tuple(_count(stride) for stride in tensor.strides)
    offset = _count(tensor.offset)
    # as_strided checks nothing, so the last element is looked for first.
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if math.prod(shape) == 0:
        return np.empty(shape, storage.dtype)
    if last >= storage.size:
        raise ValueError(f"tensor {name!r} reaches beyond its storage")
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("something else stands where a number of elements should")
    return value
