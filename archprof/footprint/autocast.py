"""Automatic mixed precision on meta: torch's autocast looks at the device of tensors, so its casts are made for it there.

Which operations it casts on a device torch itself says; in which way is by its lists, those of `ATen/autocast_mode`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import amp

CPU, CUDA = "cpu", "cuda"
LOWER = frozenset({
    "_addmm_activation", "_convolution", "_native_multi_head_attention", "_scaled_dot_product_flash_attention",
    "_thnn_fused_gru_cell", "_thnn_fused_lstm_cell", "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul",
    "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution",
    "cudnn_convolution", "cudnn_convolution_transpose", "_cudnn_rnn", "einsum", "gru_cell", "linalg_multi_dot",
    "linalg_vecdot", "linear", "lstm_cell", "matmul", "mkldnn_rnn_layer", "mm", "mv", "rnn_relu_cell", "rnn_tanh_cell",
    "scaled_dot_product_attention",
})  # fmt: skip
"""They run in half precision."""
PROMOTED = {
    CPU: frozenset({"cat", "stack", "index_copy"}),
    CUDA: frozenset({
        "addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "grid_sampler", "index_put", "scatter_add", "tensordot",
        "vdot",
    }),
}  # fmt: skip
"""They run in the widest of their types."""
TYPED = {
    CPU: frozenset[str](),
    CUDA: frozenset({
        "cumprod", "cumsum", "linalg_matrix_norm", "linalg_vector_norm", "log_softmax", "prod", "softmax", "sum",
    }),
}  # fmt: skip
"""They are asked for a result of float32. All others, where torch casts at all, get float32."""
ELSEWHERE = frozenset({"scaled_dot_product_attention", "norm"})
"""Attention is cast where it is fused; the two forms of norm make no more than one number for many."""


class Casts:
    """What autocast does to tensors on meta: half-precision copies of weights are made once, and kept until it ends."""

    def __init__(self, lists: str, dtype: torch.dtype) -> None:
        """Cast as on a device, `cpu` or `cuda`."""
        self.lists, self.dtype = lists, dtype
        self._copies: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def clear(self) -> None:
        """Forget the copies of weights, as autocast does where it ends."""
        self._copies.clear()

    def lowered(self, value: Any) -> Any:
        """Return a tensor, or a nest of them, in half precision; what is there unless autocast is on."""
        return self._cast(value, self.dtype) if torch.is_autocast_enabled(CPU) else value

    def function(self, op: Any) -> Callable[..., Any]:
        """Return what an operation does on meta under autocast."""
        name = op._schema.name.partition("::")[2]  # noqa: SLF001
        keys = torch._C.DispatchKey  # noqa: SLF001
        is_composite = torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), keys.CompositeImplicitAutograd)  # noqa: SLF001
        plain = functools.partial(op._op_dk, keys.CompositeImplicitAutograd if is_composite else keys.Autograd)  # noqa: SLF001

        names = [argument.name for argument in op._schema.arguments]  # noqa: SLF001
        place = names.index("dtype") if "dtype" in names else len(names)

        def cast(*args: Any, **kwargs: Any) -> Any:
            if torch.is_autocast_enabled(CPU):
                if name in TYPED[self.lists]:
                    given = args[place] if len(args) > place else kwargs.get("dtype")
                    if given is None and _is_cast(args[0]):
                        args, kwargs = args[:place], {**kwargs, "dtype": torch.float32}
                else:
                    to = self.dtype if name in LOWER else torch.float32
                    if name in PROMOTED[self.lists]:
                        to = self._widest(args)
                    args, kwargs = self._cast(args, to), self._cast(kwargs, to)
                with torch._C._DisableAutocast():  # noqa: SLF001 - what it is made of is not cast again, as in torch
                    return plain(*args, **kwargs)
            return plain(*args, **kwargs)

        return cast

    def _cast(self, value: Any, to: torch.dtype) -> Any:
        if isinstance(value, torch.Tensor):
            return self._one(value, to) if _is_cast(value) and value.dtype != to else value
        if isinstance(value, (list, tuple)):
            return type(value)([self._cast(item, to) for item in reversed(value)][::-1])  # torch begins at the last
        return {name: self._cast(item, to) for name, item in value.items()} if isinstance(value, dict) else value

    def _one(self, tensor: torch.Tensor, to: torch.dtype) -> torch.Tensor:
        is_weight = tensor.requires_grad and tensor.is_leaf and not tensor._is_view()  # noqa: SLF001
        if not is_weight or to != self.dtype or tensor.dtype != torch.float32:
            return tensor.to(to)
        if id(tensor) not in self._copies:
            self._copies[id(tensor)] = tensor, tensor.to(to)
        return self._copies[id(tensor)][1]

    def _widest(self, args: Any) -> torch.dtype:
        tensors = [t for arg in args for t in (arg if isinstance(arg, (list, tuple)) else [arg]) if _is_cast(t)]
        return torch.float32 if any(tensor.dtype == torch.float32 for tensor in tensors) else self.dtype


def _is_cast(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype != torch.float64


@contextlib.contextmanager
def casting(lists: str, dtype: torch.dtype) -> Iterator[Casts]:
    """Have torch.autocast cast tensors on meta as it does on a device; where a model names one, that is meant."""
    casts = Casts(lists, dtype)
    library = torch.library.Library("aten", "IMPL")
    begin, clear = amp.autocast_mode.autocast.__init__, torch.clear_autocast_cache

    def forget() -> None:
        casts.clear()
        clear()

    @functools.wraps(begin)
    def here(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        begin(self, CPU if device_type in {"meta", lists} else device_type, *args, **kwargs)

    torch.clear_autocast_cache, amp.autocast_mode.autocast.__init__ = forget, here  # type: ignore[method-assign]
    try:
        for name in torch._C._dispatch_get_registrations_for_dispatch_key(f"Autocast{lists.upper()}"):  # noqa: SLF001
            packet, _, overload = name.removeprefix("aten::").partition(".")
            if name.startswith("aten::") and packet not in ELSEWHERE:
                op = getattr(getattr(torch.ops.aten, packet), overload or "default")
                library.impl(op, casts.function(op), "AutogradMeta")
        yield casts
    finally:
        torch.clear_autocast_cache, amp.autocast_mode.autocast.__init__ = clear, begin  # type: ignore[method-assign]
        library._destroy()  # noqa: SLF001
