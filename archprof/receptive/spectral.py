"""What Fourier transforms see: all along the axes they transform, or a window of a signal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from archprof.receptive.gathering import gathered
from archprof.receptive.indexing import part
from archprof.receptive.moving import settings
from archprof.receptive.region import aligned, mixed, permuted, reduced, reshaped
from archprof.receptive.rules import Answer, Call, dims, sees

KINDS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")


@sees(*(f"fft_{kind}{more}" for kind in KINDS for more in ("", "2", "n")))
def fourier(call: Call) -> Answer:
    """All along the axes that are transformed, or as much of it as the size asked for takes."""
    region, rank = call.input, len(call.input.shape)
    sizes: Any = call("n") if call("n") is not None else call("s")
    sizes = (sizes,) if isinstance(sizes, int) else sizes
    default = {"2": (-2, -1), "n": None}.get(call.op.kind[-1], (-1,))
    wanted = call("dim", default)
    if wanted is None:
        wanted = range(rank - len(sizes), rank) if sizes else range(rank)
    axes = dims(wanted if isinstance(wanted, int) else tuple(wanted), rank)
    from_half = call.op.kind.startswith(("fft_irfft", "fft_hfft"))
    for place, axis in enumerate(axes):
        size = sizes[place] if sizes is not None and sizes[place] != -1 else None
        if size is not None:
            is_half = from_half and place == len(axes) - 1  # half a spectrum has the frequencies up to size / 2
            region = part(region, axis, slice(0, size // 2 + 1 if is_half else size))
    return replace(mixed(region, axes), shape=call.out)


@sees("fft_fftshift", "fft_ifftshift")
def shift(call: Call) -> Answer:
    """The elements moved along by half of each axis, with those that fall off put in front."""
    rest, named = settings(call)
    region = call.input
    for axis in dims(next(iter([*rest, *named.values()]), None), len(call.out)):
        size = call.out[axis]
        by = size // 2 if call.op.kind == "fft_fftshift" else -(size // 2)
        region = gathered(region, axis, ((np.arange(size) - by) % size)[:, None], None)
    return region


def windowed(call: Call) -> tuple[int, int, int, int]:
    """Return how far frames are apart, and of each where its window begins, its length, and how far it is moved back."""
    points = call("n_fft")
    length = call("win_length") or points
    return call("hop_length") or points // 4, (points - length) // 2, length, points // 2 * call("center", True)


@sees("stft")
def stft(call: Call) -> Answer:
    """Each frame its window of the signal; what is mirrored at the borders is read twice."""
    region = call.input
    hop, begin, length, back = windowed(call)
    size, axis = region.shape[-1], len(region.shape) - 1
    at = len(region.shape) + 1 - len(call.out) if len(call.out) == axis + 3 else -1
    frames = call.out[axis + 1]
    nominal = np.arange(frames)[:, None] * hop + begin - back + np.arange(length)
    taps = nominal
    if call("pad_mode", "reflect") == "reflect":
        taps = np.abs(taps)
        taps = np.where(taps >= size, 2 * (size - 1) - taps, taps)
    region = gathered(region, axis, taps, (1, hop), nominal=nominal)
    lead = region.shape[:-1]
    region = reshaped(region, (*lead, 1, frames))
    if at == -1:
        return replace(region, shape=call.out)
    return replace(reshaped(region, (*region.shape, 1)), shape=call.out)  # real and imaginary parts behind


@sees("istft")
def istft(call: Call) -> Answer:
    """Each place of the signal all frequencies of the frames whose windows reach it."""
    hop, begin, length, back = windowed(call)
    region = call.input
    if len(region.shape) - len(call.out) > 1:
        region = reduced(region, [-1], keep=False)
    region = reduced(region, [-2], keep=False)
    place = np.arange(call.out[-1])[:, None] + back - begin
    frame = place // hop - np.arange(-(-length // hop) + 1)
    inside = (place - frame * hop >= 0) & (place - frame * hop < length)
    return gathered(region, len(region.shape) - 1, frame, (hop, 1), reads=inside)


@sees("view_as_complex", "view_as_real")
def pairs(call: Call) -> Answer:
    """Two numbers for one, along a last axis more or less."""
    if call.op.kind == "view_as_complex":
        return reduced(call.input, [-1], keep=False)
    region = call.input
    rank = len(region.shape)
    return replace(permuted(aligned(region, rank + 1), (*range(1, rank + 1), 0)), shape=call.out)
