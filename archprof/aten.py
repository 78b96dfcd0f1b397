"""ATen's operations under the rules of the functions they stand for: what exported programs and decompositions call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archprof.ops import RULES

if TYPE_CHECKING:
    from torch._ops import OpOverload

KINDS: Mapping[str, str] = {
    "native_layer_norm": "layer_norm", "native_group_norm": "group_norm", "native_batch_norm": "batch_norm",
    "_native_batch_norm_legit": "batch_norm", "_native_batch_norm_legit_no_training": "batch_norm",
    "_fused_rms_norm": "rms_norm", "native_dropout": "dropout", "alpha_dropout": "dropout",
    "_softmax": "softmax", "_safe_softmax": "softmax", "_log_softmax": "log_softmax", "_to_copy": "to",
    "_unsafe_view": "view", "_reshape_alias": "view", "alias": "view", "lift_fresh_copy": "clone", "lift_fresh": "view",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d", "max_pool2d_with_indices": "max_pool2d",
    "_scaled_dot_product_flash_attention_for_cpu": "scaled_dot_product_attention",
    "_scaled_dot_product_flash_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_efficient_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_attention_math": "scaled_dot_product_attention",
    "_assert_scalar": "size", "_assert_tensor_metadata": "size",
}  # fmt: skip
"""ATen's own names for what has a rule under another; of several outputs the first is what the rule speaks of."""

OURS = ("aten", "torchvision")
"""Libraries whose operations have rules under their own names."""

ARGUMENTS: Mapping[str, str] = {"self": "input", "attn_bias": "attn_mask"}
"""ATen's own names for arguments."""


def kind_of(operation: OpOverload) -> str:
    """Return the op kind of an ATen operation.

    >>> import torch
    >>> kind_of(torch.ops.aten.relu_.default), kind_of(torch.ops.aten._softmax.default)
    ('relu', 'softmax')

    An operation of somebody else's library is never taken for torch's: it goes by `library.name`.
    """
    name = operation.overloadpacket.__name__
    if operation.namespace in OURS:
        return KINDS.get(name, name.strip("_"))
    return f"{operation.namespace}.{name}"


def arguments_of(
    operation: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call under the names of the operation's rule.

    What the rule does not ask for (which library computes a norm) is left out. Without a rule, and for sizes that a rule
    takes one by one, they are returned as they are.
    """
    rule = RULES.get(kind_of(operation))
    if rule is None:
        return args, dict(kwargs)
    names = [argument.name for argument in operation._schema.arguments]  # noqa: SLF001 - what torch itself binds with
    found = {**dict(zip(names, args, strict=False)), **kwargs}
    known = rule.signature.parameters
    bound = {}
    for name, value in found.items():
        ours = name if name in known else ARGUMENTS.get(name, name)
        if ours in known:
            bound[ours] = value
    first = next(iter(known), None)
    if names and first not in bound and names[0] in found:
        bound = {first: found[names[0]], **bound} if first else bound
    return (), bound
