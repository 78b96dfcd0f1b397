"""A book of memory: every storage that a pass makes, when it comes and when it goes. Views and in-place results make none."""

from __future__ import annotations

import bisect
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from archprof.build import Origin
from archprof.footprint import ACTIVATIONS, BUFFERS, FORWARD, STEP, TEMPORARIES, Block, Live
from archprof.footprint.ruled import keeps_shape, result_of, run
from archprof.meta import tensors_in
from archprof.trace import ASSUMED

Memo = dict[Any, Any]
"""What operations on meta return: equal calls are answered from it."""

CONSTANT = "constant"
NEW, IN_PLACE, OTHER = "new", "in place", "other"
ITEM = torch.ops.aten._local_scalar_dense.default  # noqa: SLF001 - what item() calls
BATCH_NORM = torch.ops.aten.native_batch_norm.default


class _Storage(weakref.ref):
    """A reference to a storage that knows its block; memory is free when it breaks."""

    __slots__ = ("block", "key")
    block: Block
    key: int


class Ledger(TorchDispatchMode):
    """Notes every storage made while it is on; it holds none of them alive.

    It counts the storages themselves, on meta as on a real device, so that both give the same number. `origin`,
    `is_container` and `failed` are what `archprof.trace.watched_modules` tells it.
    """

    def __init__(self, memo: Memo | None = None) -> None:
        """Begin with nothing; `memo` is shared by passes on meta."""
        super().__init__()
        self.memo: Memo = {} if memo is None else memo
        self.blocks: list[Block] = []
        self.phases: list[tuple[str, int]] = []
        self.opaque: set[str] = set()
        self.is_container = False
        self._known: dict[int, _Storage] = {}
        self._clock = 0
        self._phase = FORWARD
        self._origin = Origin("", "", None)
        self._numbers: list[int] = []
        self._paths: list[str] = []

    @property
    def origin(self) -> Origin:
        """Where in the model the pass is."""
        return self._origin

    @origin.setter
    def origin(self, origin: Origin) -> None:
        # Autograd numbers its nodes as they are made, so that a node of the backward pass tells its module by its number.
        self._origin = origin
        self._numbers.append(torch._C._autograd._get_sequence_nr())  # type: ignore[attr-defined]  # noqa: SLF001
        self._paths.append(origin.path)

    @property
    def failed(self) -> None:
        """Nothing: an error would hold the tensors of its frames, and checkpoints raise one as they end."""
        return

    @failed.setter
    def failed(self, failed: object) -> None:
        pass

    @property
    def path(self) -> str:
        """Path of the module that is running, or of the one whose gradients are computed."""
        if self._origin.path or self._phase == FORWARD:
            return self._origin.path
        node = torch._C._current_autograd_node()  # noqa: SLF001
        place = bisect.bisect_right(self._numbers, node._sequence_nr()) if node is not None else 0  # noqa: SLF001
        return self._paths[place - 1] if place else ""

    def begin(self, phase: str, again: str = "") -> None:
        """Say which part of the pass begins, and which time if not the first: then what autograd kept before is over."""
        self._phase = phase
        self.phases.append((phase + again, self._clock))
        for block in self.blocks if again and phase == FORWARD else ():
            block.is_saved = False
        self.origin = Origin("", "", None)

    def hold(self, tensor: torch.Tensor, kind: str, name: str) -> None:
        """Note a tensor that is there before the pass."""
        block = self.block(tensor)
        if block is None:
            self._open(tensor.untyped_storage(), Block(0, kind, "", name, 0))

    def block(self, tensor: torch.Tensor) -> Block | None:
        """Return the block that a tensor lies in, if it is known."""
        if tensor.layout is not torch.strided:  # a sparse one has several
            return None
        storage = self._known.get(tensor.untyped_storage()._cdata)  # noqa: SLF001
        return storage.block if storage is not None else None

    def saved(self, tensor: torch.Tensor) -> torch.Tensor:
        """Note that autograd keeps a tensor, and return what it is to keep: the same memory without a way back to the op."""
        block = self.block(tensor)
        if block is not None:
            block.is_saved = True
        return tensor.detach()

    def closed(self) -> Live:
        """Return the life of all memory up to where the last part of the pass began."""
        end = self.phases[-1][1]
        blocks = [replace(block) for block in self.blocks if block.born <= end]
        for block in blocks:
            if block.died is not None and block.died > end:
                block.died = None
            if block.path == CONSTANT and block.died is None:  # it was there before; what goes was made unseen
                block.born = 0
        return Live(blocks, tuple(self.phases[:-1]), end)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Do without the wrapper that imports torch's compiler, whose work this is not."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, and note what it makes."""
        kwargs = kwargs or {}
        given = tensors_in(args) + tensors_in(kwargs) if kwargs else tensors_in(args)
        for tensor in given:
            self._note(tensor, func, None)  # what nobody made: a constant of the model
        is_meta = not given or all(tensor.is_meta for tensor in given)
        if func is ITEM and is_meta and self._phase == STEP:  # Adafactor asks how large its weights are
            return 1.0
        if func is ITEM and is_meta and (block := self.block(args[0])) is not None and block.op in ASSUMED:
            return ASSUMED[block.op]
        if not is_meta:
            result = func(*args, **kwargs)
        else:
            result = self._remembered(func, args, kwargs, given) if given else run(func, args, kwargs)
        path = None
        for tensor in tensors_in(result):
            path = self.path if path is None else path
            self._note(tensor, func, path)
        return result

    def _note(self, tensor: torch.Tensor, func: Any, path: str | None) -> None:
        if tensor.layout is not torch.strided:  # a sparse one has several storages
            self.opaque.add(func.overloadpacket.__name__)
            return
        storage = tensor.untyped_storage()
        known = self._known.get(storage._cdata)  # noqa: SLF001
        if known is not None and known.block.bytes == storage.nbytes():
            return
        if known is not None:  # resized in place
            self._close(known)
        self._clock += 1
        if path is None:
            self._open(storage, Block(0, BUFFERS, "", CONSTANT, self._clock))
            return
        kind = ACTIVATIONS if self._phase == FORWARD else TEMPORARIES
        self._open(storage, Block(0, kind, func.overloadpacket.__name__, path, self._clock))

    def _open(self, storage: Any, block: Block) -> None:
        block.bytes = storage.nbytes()
        found = _Storage(storage, self._close)
        found.block, found.key = block, storage._cdata  # noqa: SLF001
        self._known[found.key] = found
        self.blocks.append(block)

    def _close(self, storage: _Storage) -> None:
        if self._known.get(storage.key) is storage:
            del self._known[storage.key]
            self._clock += 1
            storage.block.died = self._clock

    def _remembered(self, func: Any, args: Any, kwargs: Any, given: list[torch.Tensor]) -> Any:
        """Return what an operation on meta returns; new tensors like those of an equal call, if there was one."""
        kind = _aliasing(func, self.memo)
        if kind == OTHER:
            return run(func, args, kwargs)
        try:
            key = (func, *_keys(args), *_keys(kwargs))
            kept = self.memo.get(key)
        except TypeError:
            return run(func, args, kwargs)
        if kept is None and kind == IN_PLACE:
            result = args[0] if keeps_shape(func, args, kwargs) else run(func, args, kwargs)
            self.memo[key] = result is args[0]
            return result
        if kept is None:
            result = result_of(func, args, kwargs, given)
            result = run(func, args, kwargs) if result is None else result
            if func is BATCH_NORM and not args[5]:  # only on meta does it make statistics that nobody wants
                result = (result[0], result[1].new_empty(0), result[2].new_empty(0))
            self.memo[key] = _kept(result, given)
            return result
        if kept is False:
            return run(func, args, kwargs)
        if kept is True:  # on meta there is nothing to write
            return args[0]
        made = [spec and torch.empty_strided(spec[0], spec[1], dtype=spec[2], device="meta") for spec in kept[1]]
        return kept[0](made) if kept[0] is not None else made[0]


def _aliasing(func: Any, memo: Memo) -> str:
    """Tell whether an operation makes new tensors, only writes to its first argument, or does something else to what it gets."""
    if func not in memo:
        schema = func._schema  # noqa: SLF001
        entries = [entry.alias_info for entry in (*schema.arguments, *schema.returns)]
        aliases = [entry for entry in entries if entry is not None]
        is_written = len(aliases) == 2 and aliases[0] is entries[0] and aliases[0].is_write
        is_in_place = is_written and schema.name.endswith("_") and torch.Tag.inplace_view not in func.tags
        memo[func] = (IN_PLACE if is_in_place and "resize" not in schema.name else OTHER) if aliases else NEW
    return memo[func]


def _keys(value: Any) -> Iterator[Any]:
    """Yield what a call's result on meta depends on."""
    for item in value.items() if isinstance(value, dict) else value:
        if isinstance(item, torch.Tensor):
            yield item.shape
            yield item.stride()
            yield item.dtype
        elif isinstance(item, (list, tuple)):
            yield (*_keys(item),)
        else:
            yield type(item)
            yield item


def _kept(result: Any, given: list[torch.Tensor]) -> Any:
    """Return the kind of sequence a result is (None: one tensor) and its tensors' sizes; False where that is not all."""
    items = [result] if isinstance(result, torch.Tensor) else result
    if not isinstance(items, (list, tuple)):
        return False
    storages = {tensor.untyped_storage()._cdata for tensor in given}  # noqa: SLF001
    specs: list[Any] = []
    for item in items:
        if item is None:
            specs.append(None)
            continue
        if type(item) is not torch.Tensor or item.untyped_storage()._cdata in storages:  # noqa: SLF001
            return False
        reach = 1 + sum((size - 1) * step for size, step in zip(item.shape, item.stride(), strict=True))
        if not item.is_meta or item.untyped_storage().nbytes() != (reach if item.numel() else 0) * item.element_size():
            return False
        specs.append((item.shape, item.stride(), item.dtype))
    return (None if isinstance(result, torch.Tensor) else type(result)), specs
