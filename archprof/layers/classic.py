"""LeNet-5's own layers, after LeCun et al. 1998 (Proc. IEEE 86(11)), section II."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import handle_torch_function, has_torch_function

from archprof.layers import Built, Count, ShapeError, layer
from archprof.layers.window import inside, spatial
from archprof.records import Tensor


@layer
def Subsample(x: Tensor, /, kernel_size: Count, stride: int | None = None) -> Built:
    """Sum over windows, times a learnt coefficient, plus a learnt bias, one of each a map."""
    spatial(x, 2, "Subsample")
    return Subsampling(x.shape[1], kernel_size, stride or kernel_size)


@layer
def SparseConv2d(
    x: Tensor, /, kernel_size: Count, connections: list[list[int]], stride: int = 1, padding: int = 0
) -> Built:
    """Convolution whose maps see only some input maps: a table of 1 and 0, rows are input maps, columns output maps."""
    spatial(x, 2, "SparseConv2d")
    if len(connections) != x.shape[1]:
        raise ShapeError(f"the table has {len(connections)} rows, and there are {x.shape[1]} input maps")
    seen = tuple(tuple(i for i, bit in enumerate(column) if bit) for column in zip(*connections, strict=True))
    if not all(seen):
        raise ShapeError(f"output map {seen.index(())} sees no input map")
    return SparseConvolution(seen, kernel_size, stride, padding)


@layer
def ScaledTanh(x: Tensor, /, amplitude: float = 1.7159, slope: float = 2 / 3) -> Built:
    """amplitude * tanh(slope * x), LeNet's squashing function."""
    return ScaledTanhActivation(amplitude, slope)


@layer
def RBF(x: Tensor, /, classes: Count) -> Built:
    """Squared Euclidean distance to one fixed +-1 pattern a class (LeNet's output); the patterns are seeded, not the paper's."""
    if len(x.shape) != 2:
        raise ShapeError(f"RBF needs features, and gets {inside(x)}")
    return RadialBasis(x.shape[-1], classes)


class Subsampling(nn.Module):
    """See Subsample."""

    def __init__(self, maps: int, kernel_size: int, stride: int) -> None:
        """Start as average pooling: coefficient 1/k**2, bias 0."""
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.coefficient = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))
        nn.init.constant_(self.coefficient, 1 / kernel_size**2)
        nn.init.constant_(self.bias, 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, c, *x] -> [n, c, *y]."""
        return subsample(x, self.coefficient, self.bias, self.kernel_size, self.stride)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{len(self.bias)}, kernel_size={self.kernel_size}, stride={self.stride}"


class SparseConvolution(nn.Module):
    """See SparseConv2d; it stores one kernel a connection, not a masked dense weight."""

    def __init__(self, connections: tuple[tuple[int, ...], ...], kernel_size: int, stride: int, padding: int) -> None:
        """`connections` has the input maps that each output map sees."""
        super().__init__()
        self.connections, self.stride, self.padding = connections, stride, padding
        count = sum(map(len, connections))
        self.weight = nn.Parameter(torch.empty(count, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(len(connections)))
        bound = 1 / math.sqrt(kernel_size**2 * count / len(connections))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, c, *x] -> [n, m, *y]."""
        return sparse_conv2d(x, self.weight, self.bias, self.connections, self.stride, self.padding)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{len(self.weight)} kernels to {len(self.bias)} maps, stride={self.stride}, padding={self.padding}"


class ScaledTanhActivation(nn.Module):
    """See ScaledTanh."""

    def __init__(self, amplitude: float, slope: float) -> None:
        """Keep the two numbers."""
        super().__init__()
        self.amplitude, self.slope = amplitude, slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[*x] -> [*x]."""
        return scaled_tanh(x, self.amplitude, self.slope)


class RadialBasis(nn.Module):
    """See RBF; the patterns are a buffer, so they are not trained."""

    def __init__(self, features: int, classes: int) -> None:
        """Draw the patterns from a fixed seed."""
        super().__init__()
        device = torch.get_default_device()
        if device.type == "meta":  # shapes only: nothing of the size of the patterns may be made
            signs = torch.empty(classes, features)
        else:
            generator = torch.Generator().manual_seed(1998)
            signs = torch.randint(0, 2, (classes, features), generator=generator, device="cpu") * 2.0 - 1.0
        self.register_buffer("centres", signs.to(device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, f] -> [n, m]."""
        return rbf(x, self.centres)


def subsample(
    input: torch.Tensor, coefficient: torch.Tensor, bias: torch.Tensor, kernel_size: int, stride: int
) -> torch.Tensor:
    """[n, c, *x] -> [n, c, *y]: the sum of every window times its map's coefficient, plus its map's bias."""
    if has_torch_function((input, coefficient, bias)):
        return handle_torch_function(
            subsample, (input, coefficient, bias), input, coefficient, bias, kernel_size, stride
        )
    summed = functional.avg_pool2d(input, kernel_size, stride, divisor_override=1)
    return summed * coefficient[:, None, None] + bias[:, None, None]


def sparse_conv2d(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, connections: tuple[tuple[int, ...], ...],
                  stride: int = 1, padding: int = 0) -> torch.Tensor:  # fmt: skip
    """[n, c, *x] * [connections, *k] -> [n, m, *y]: each output map sums over the input maps it is connected with."""
    if has_torch_function((input, weight, bias)):
        return handle_torch_function(
            sparse_conv2d, (input, weight, bias), input, weight, bias, connections, stride, padding
        )
    dense = weight.new_zeros(len(connections), input.shape[1], *weight.shape[1:])
    rows = [m for m, maps in enumerate(connections) for _ in maps]
    columns = [c for maps in connections for c in maps]
    dense = dense.index_put((torch.tensor(rows), torch.tensor(columns)), weight)
    return functional.conv2d(input, dense, bias, stride, padding)


def scaled_tanh(input: torch.Tensor, amplitude: float = 1.7159, slope: float = 2 / 3) -> torch.Tensor:
    """[*x] -> [*x]: amplitude * tanh(slope * x)."""
    if has_torch_function((input,)):
        return handle_torch_function(scaled_tanh, (input,), input, amplitude, slope)
    return amplitude * torch.tanh(slope * input)


def rbf(input: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """[n, f] x [m, f] -> [n, m]: the squared distance to every centre."""
    if has_torch_function((input, centres)):
        return handle_torch_function(rbf, (input, centres), input, centres)
    return (input[:, None] - centres).square().sum(-1)
