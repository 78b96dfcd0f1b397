"""Programs saved by torch.export.save: `file.pt2`."""

from __future__ import annotations

import os
import warnings

import torch

from archprof.errors import UserError
from archprof.sources import Opened, Wish, module, source


@source("pt2", accepts=lambda text: text.endswith(".pt2"))
def pt2(name: str, wish: Wish) -> Opened:
    """Program exported by torch (`file.pt2`), with the inputs it was exported for.

    Raises UserError where there is no such file, it holds no program, or a wish is not for it to fulfil.
    """
    if not os.path.isfile(name):  # noqa: PTH113 - pathlib's raises where a name is too long
        raise UserError(f"there is no file {name!r}")
    if wish.settings or wish.dtype or wish.batch != 1:
        raise UserError(
            "an exported program has its batch, dtype and settings for good: --batch, --dtype, --set are not for it"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 2.10 warns of its own buffers
            program = torch.export.load(name)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{name!r} is no program saved by torch.export.save: {reason}") from error
    inputs = {key: wish.tensor(key) for key in wish.inputs} or None
    return module.opened(program, inputs, os.path.basename(name))  # noqa: PTH119 - it is only shown
