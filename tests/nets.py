"""Small specs whose every number can be worked out by hand, as the bodies of their files."""

from __future__ import annotations

from pathlib import Path

# conv 3x8x8 -> 4x6x6: 4*3*3*3 + 4 = 112 parameters, 6*6 * 3*3*3 * 4 = 3,888 MACs
# fc 144 -> 10: 1,450 parameters, 1,440 MACs
CHAIN = """
inputs:
  image: float32[3, 8, 8]
steps:
  conv:    Conv2d(4, 3)
  relu:    ReLU
  flatten: Flatten
  fc:      Linear(10)
"""

RESIDUAL = """
inputs:
  x: float32[8]
steps:
  a:   x -> Linear(8)
  act: ReLU
  sum: act + x
"""

# left 8 -> 4: 36 parameters, 32 MACs; right 8 -> 6: 54 parameters, 48 MACs
BRANCHES = """
inputs:
  x: float32[8]
steps:
  left:  x -> Linear(4)
  right: x -> Linear(6)
  both:  (left, right) -> Concat
"""

# twice the same 8 -> 8 (72 parameters, 64 MACs each time), then 8 -> 8 of its own
SHARED = """
inputs:
  x: float32[8]
steps:
  first: Linear(8)
  again: share(first)
  last:  Linear(8)
"""

TIED = """
inputs:
  tokens: int64[5] < 100
steps:
  embed: Embedding(100, 8)
  head:  Linear(100, bias=false, tie=embed)
"""

GAP = """
inputs:
  x: float32[8]
steps:
  a:    Linear(4)
  what:
    odd:  Mystery
    even: Linear(4)
  b:    Linear(2)
"""

TWO = """
inputs:
  x: float32[4]
  y: float32[4]
steps:
  product: x * y
  square:  product * product
  out:     square -> Linear(2)
outputs: {square: square, out: out}
"""

SEQUENCE = """
inputs:
  x: float32[7, 6]
steps:
  rnn, last: LSTM(5)
  mixed:     (rnn, rnn, rnn) -> MultiheadAttention(1)
  sum:       mixed + rnn + mixed
outputs: {sum: sum, last: last}
"""

NOTHING = """
inputs:
  x: float32[4]
steps:
  out: x
"""

# A stem and two equal blocks: what the golden pages show.
SMALL = """
inputs:
  image: float32[3, 8, 8]
blocks:
  Block(width):
    conv: in -> Conv2d(width, 3, padding=1, bias=false)
    bn:   BatchNorm2d
    sum:  bn + in
    relu: ReLU
steps:
  stem:   Conv2d(4, 3, padding=1)
  layers: Block(4) * 2
  pool:   AdaptiveAvgPool2d(1)
  flat:   Flatten
  fc:     Linear(10)
"""

NETS = {
    "chain": CHAIN, "residual": RESIDUAL, "branches": BRANCHES, "shared": SHARED, "tied": TIED, "gap": GAP, "two": TWO,
    "sequence": SEQUENCE, "nothing": NOTHING, "small": SMALL,
}  # fmt: skip


def write(folder: Path) -> Path:
    """Write every net as a file into `folder`, and return that."""
    for name, body in NETS.items():
        (folder / f"{name}.yaml").write_text(f"archprof: 1\nname: {name}\n{body}", encoding="utf-8")
    return folder
