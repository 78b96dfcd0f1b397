"""The oracle of receptive fields: where the gradient of one output with respect to the input is not zero.

The model runs on the CPU in double precision, with positive weights, activations made linear, and the largest of a window
replaced by its mean: else zeros of its own (a ReLU that is off, weights that cancel) would look like a smaller field.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archprof import inputs as given_inputs
from archprof.errors import UserError
from archprof.meta import Seen, described, tensors_in
from archprof.progress import Tell, nobody
from archprof.receptive import Fields
from archprof.receptive.region import NOTHING
from archprof.result import Profile
from archprof.runs.failing import theirs
from archprof.runs.stand_ins import CHANNELWISE, Thin, mixed, tamed
from archprof.substrate import with_weights
from archprof.trace import Recorder

OPS, PLACES = 6, 3
"""So many ops of a network are looked at, each at so many places."""

PASSING = frozenset({
    "relu", "relu6", "gelu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "sigmoid", "tanh", "elu", "selu",
    "celu", "leaky_relu", "log_sigmoid", "softplus", "softsign", "softshrink", "hardshrink", "tanhshrink", "threshold",
    "prelu", "rrelu", "exp", "sqrt", "rsqrt", "log", "square", "abs", "clamp", "clamp_min", "clamp_max", "neg", "erf",
    "reciprocal", "pow", "scaled_tanh", "dropout", "dropout2d", "dropout3d", "alpha_dropout", "sign", "round", "floor",
})  # fmt: skip
"""Kinds of op of one element that are left out."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One element of an op's output: what it is said to see along each input axis, and what its gradient says it sees."""

    op: str
    index: tuple[int, ...]
    claimed: tuple[tuple[int, int] | None, ...]
    found: tuple[tuple[int, int] | None, ...]

    @property
    def is_equal(self) -> bool:
        """Whether both say the same; along no axis is anything seen where one is empty."""
        return self.claimed == self.found


def compared(
    module: nn.Module,
    inputs: Mapping[str, Any],
    kinds: Sequence[str],
    names: Sequence[str],
    fields: Fields,
    *,
    ops: int = OPS,
    places: int = PLACES,
    seed: int = 0,
    tell: Tell = nobody,
) -> list[Compared]:
    """Return claims of `fields` beside the gradient's answer, for `ops` ops (the last among them) at `places` places each.

    `module` is changed: it is on the CPU and may be had for nothing else. `kinds` and `names` are those of its ops.
    Raises UserError where it does not run this way.
    """
    tell("forward", 0.0)
    chance = random.Random(seed)  # noqa: S311 - which places are looked at
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _positive(module)
        values = {name: _floats(given_inputs.on("cpu", value)) for name, value in inputs.items()}
        leaves = dict(given_inputs.leaves(values))
        source = leaves[fields.input]
        if not source.is_floating_point():
            raise UserError(
                f"whole numbers have no gradient, and those of {fields.input!r} are: there is nothing to compare"
            )
        source.requires_grad_()
        recorder = Linear()
        passed = _replaced(values, source, source * 1)
        args, kwargs = given_inputs.call(module.forward, passed)
        with theirs("it does not run in double precision with linear activations"), torch.enable_grad(), recorder:
            module.eval()(*args, **kwargs)
    if recorder.kinds != list(kinds):
        raise UserError("run with values, it does other things than on shapes: there is nothing to compare")
    able = [
        i
        for i, (tensor, version) in enumerate(zip(recorder.made, recorder.versions, strict=True))
        if tensor is not None and tensor.requires_grad and tensor.numel() and tensor._version == version  # noqa: SLF001
        and fields.regions[names[i]][0] is not None
    ]  # fmt: skip
    if not able:
        return []
    step = max(1, len(able) // ops)
    looked = sorted({*able[::-1][::step][:ops]})
    precise = 1e-13 if "interpolate" in kinds else 0.0
    found = []
    for done, i in enumerate(looked, 1):
        tell(f"gradients of {names[i]}", done / (len(looked) + 1))
        tensor = recorder.made[i]
        assert tensor is not None  # noqa: S101 - for the type checker
        for index in _places(tensor.shape, places, chance):
            (gradient,) = torch.autograd.grad(tensor[index], source, retain_graph=True, allow_unused=True)
            found.append(
                Compared(names[i], index, claim(fields, names[i], index), _ends(gradient, fields.axes, precise))
            )
    return found


def check(profile: Profile, fields: Fields, tell: Tell = nobody) -> list[Compared]:
    """Return the claims about a profile's model beside the gradient's answer; see `compared`."""
    _, opened = profile._run  # noqa: SLF001 - what it was made from
    ops = profile.network.ops
    kinds, names = [op.kind for op in ops], [op.name for op in ops]
    return compared(with_weights(opened), opened.inputs, kinds, names, fields, tell=tell)


def told(rows: Sequence[Compared]) -> str:
    """Return how claims fare against the gradient, in lines."""
    wrong = [row for row in rows if not row.is_equal]
    lines = [f"gradient check: {len(rows) - len(wrong)} of {len(rows)} outputs see what is claimed"]
    lines += [f"! {row.op}{list(row.index)}: claimed {row.claimed}, gradient {row.found}" for row in wrong]
    return "\n".join(lines) + "\n"


def claim(fields: Fields, name: str, index: Sequence[int]) -> tuple[tuple[int, int] | None, ...]:
    """Return first and last position along each input axis that an element of an op's first output is said to see."""
    region = fields.regions[name][0]
    if region is None:
        raise UserError(f"nobody knows what {name} sees")
    found: list[tuple[int, int] | None] = []
    for extent in region.extents:
        place = tuple(i if size > 1 else 0 for i, size in zip(index, extent.ends.shape[1:], strict=True))
        first, last = int(extent.ends[(0, *place)]), -int(extent.ends[(1, *place)])
        found.append(None if first >= NOTHING else (first, last))
    return (None,) * len(found) if None in found else tuple(found)


def _places(shape: Sequence[int], count: int, chance: random.Random) -> list[tuple[int, ...]]:
    """Return indices into a tensor: the first, the last, the middle, and others by chance."""
    fixed = [tuple(0 for _ in shape), tuple(n - 1 for n in shape), tuple(n // 2 for n in shape)]
    others = [tuple(chance.randrange(n) for n in shape) for _ in range(max(0, count - len(fixed)))]
    return list(dict.fromkeys([*fixed, *others]))[:count]


def _ends(gradient: torch.Tensor | None, axes: Sequence[int], precise: float) -> tuple[tuple[int, int] | None, ...]:
    """Return the first and last position along each axis where a gradient is not zero."""
    if gradient is None or not bool(gradient.count_nonzero()):
        return (None,) * len(axes)
    is_seen = gradient.abs() > precise * gradient.abs().max()
    ends = []
    for axis in axes:
        line = is_seen.movedim(axis, 0).flatten(1).any(1).nonzero().flatten()
        ends.append((int(line[0]), int(line[-1])))
    return tuple(ends)


def _positive(module: nn.Module) -> None:
    """Give a module positive weights in double precision, of a size that keeps what passes through of one size."""
    module.double()
    with torch.no_grad():
        for tensor in module.parameters():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
                if tensor.ndim > 1:
                    tensor.div_(max(1, tensor[0].numel()))
        for name, tensor in module.named_buffers():
            if name.endswith("running_mean"):
                tensor.zero_()
            if name.endswith("running_var"):
                tensor.fill_(1)


def _floats(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.double() + 0.5 if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: _floats(item) for name, item in value.items()}
    return type(value)(map(_floats, value)) if type(value) in {list, tuple} else value


def _replaced(value: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    if value is old:
        return new
    if isinstance(value, dict):
        return {name: _replaced(item, old, new) for name, item in value.items()}
    return type(value)(_replaced(item, old, new) for item in value) if type(value) in {list, tuple} else value


class Linear(Recorder):
    """Runs a model with a linear function in place of each that is not, and keeps what every op returns first."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        super().__init__({}, is_meta=False)
        self.kinds: list[str] = []
        self.made: list[torch.Tensor | None] = []
        self.versions: list[int] = []
        self.thin = Thin()

    def learn(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], key: Any
    ) -> tuple[Seen, Any]:
        """Run the call, or what stands for it."""
        kind, _, arguments = self.bound(func, *key[1:3])
        stand_in = self.stand_in(kind, func, args, kwargs)
        result = func(*args, **kwargs) if stand_in is None else stand_in
        self.follow(kind, func, args, kwargs, result)
        changed = args[0] if kind == "setitem" else result
        return Seen(kind, arguments, tuple(map(described, tensors_in(changed))), None), result

    def seen(self, func: Callable[..., Any], args: Any, kwargs: Any, seen: Seen, result: Any) -> Any:
        """Note the call as a recorder does, and what came out."""
        before = len(self.records)
        result = super().seen(func, args, kwargs, seen, result)
        if len(self.records) > before:
            self.kinds.append(seen.kind)
            tensor = tensors_in(args[0] if result is None else result)[0]
            self.made.append(tensor if tensor.is_floating_point() else None)
            self.versions.append(tensor._version)  # noqa: SLF001 - what is written over later is no longer what was made
        return result

    def follow(self, kind: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """Keep the one channel that stands for all of a result, where there is one for what it is made of."""
        if not args or not isinstance(result, torch.Tensor) or result is args[0]:
            return
        one = self.thin.of(args[0])
        if kind in {"cat", "add"}:
            self.thin.keep(result, self.thin.joined(kind, args, kwargs))
        elif one is None or (kind == "batch_norm" and (args[5] if len(args) > 5 else kwargs.get("training"))):
            return
        elif kind in PASSING or kind == "batch_norm":
            self.thin.keep(result, one * 1)
        elif kind.startswith(CHANNELWISE):
            found = self.stand_in(kind, func, (one, *args[1:]), kwargs)
            self.thin.keep(result, func(one, *args[1:], **kwargs) if found is None else found)

    def stand_in(self, kind: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a linear function makes of the arguments; None where the function itself will do."""
        x = next(iter(tensors_in((args, kwargs))), None)
        if x is None or not x.is_floating_point():
            return None
        name = getattr(func, "__name__", "")
        if kind in PASSING:
            is_inplace = (name.endswith("_") and not name.endswith("__")) or kwargs.get("inplace") is True
            return x if is_inplace or (args and args[-1] is True) else x * 1
        if (kind in {"sub", "rsub", "div"} and not name.endswith("_")) or name in {
            "__sub__",
            "__truediv__",
            "__rsub__",
        }:
            other = args[1] if len(args) > 1 else kwargs.get("other", 1)
            return x + other if kind != "div" else x * other
        if kind == "mul" and all(torch.is_tensor(t) and t.requires_grad for t in args[:2]) and not name.endswith("_"):
            return args[0] + args[1]  # a gate
        if kind in {"matmul", "bmm", "einsum"} and all(t.requires_grad for t in tensors_in(args)):
            return tamed(func(*args, **kwargs))
        if kind in {"linear", "conv1d", "conv2d", "conv3d"} or kind.startswith("conv_transpose"):
            return self.thin.layer(kind, func, args, kwargs)
        return mixed(kind, x, *args[1:], **kwargs)
