"""Errors while a model runs: which are the model's and are told in a line, which are for lack of memory, which are ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from archprof.errors import UserError
from archprof.substrate import is_ours, shortened

LACKS = ("out of memory", "allocate memory", "ALLOC_FAILED", "ALLOCATION_FAILED")
"""What is said for lack of memory by those who have no exception for it: the CPU, MPS, cuBLAS, cuDNN, the driver."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory is what was lacking.

    >>> is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    True
    """
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in LACKS)
    )


@contextlib.contextmanager
def theirs(told: str) -> Iterator[None]:
    """Tell an error of a model, or of its compiler, in a line that begins so; our own bugs keep their traceback.

    Lack of memory is always raised as torch.OutOfMemoryError.
    """
    try:
        yield
    except (torch.OutOfMemoryError, UserError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise torch.OutOfMemoryError(str(error)) from error
        if is_ours(error):
            raise
        raise UserError(f"{told}: {shortened(error)}") from error


@contextlib.contextmanager
def memory_on(device: torch.device) -> Iterator[None]:
    """Tell in a line where the memory of a device is too small."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(f"out of memory on {device}: try a smaller batch, or a smaller dtype") from error
