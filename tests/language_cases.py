"""Small specs of every construct of the language, with the program and the state-dict keys each one means."""

from __future__ import annotations

CASES = {
    "share applies the very same layer": (
        """\
inputs:
  left: float32[4]
  right: float32[4]
steps:
  f1: left -> Linear(8)
  f2: right -> share(f1)
  d: f1 - f2
""",
        """\
f1 = Linear[0] -> 8
f2 = Linear of f1[1] -> 8
d = Subtract[2, 3] -> 8
outputs: d=4
""",
        "f1.weight f1.bias",
    ),
    "share applies a whole block again": (
        """\
inputs:
  a: float32[3, 8, 8]
  b: float32[3, 8, 8]
blocks:
  Net:
    c: Conv2d(4, 3)
    n: BatchNorm2d
steps:
  enc:
    body: a -> Net
  two: b -> share(enc.body)
  d: enc - two
""",
        """\
enc.body.c = Conv2d[0] -> 4x6x6
enc.body.n = BatchNorm2d[2] -> 4x6x6
two.c = Conv2d of enc.body.c[1] -> 4x6x6
two.n = BatchNorm2d of enc.body.n[4] -> 4x6x6
d = Subtract[3, 5] -> 4x6x6
outputs: d=6
""",
        "enc.body.c.weight enc.body.c.bias enc.body.n.weight enc.body.n.bias enc.body.n.running_mean enc.body.n.running_var enc.body.n.num_batches_tracked",
    ),
    "share of a shared step": (
        """\
inputs:
  x: float32[3, 8, 8]
steps:
  a: Conv2d(3, 3, padding=1)
  b: share(a)
  c: share(b) -> ReLU
""",
        """\
a = Conv2d[0] -> 3x8x8
b = Conv2d of a[1] -> 3x8x8
c.0 = Conv2d of a[2] -> 3x8x8
c.1 = ReLU[3] -> 3x8x8
outputs: c=4
""",
        "a.weight a.bias",
    ),
    "tie names a layer by its path": (
        """\
inputs:
  t: int64[5] < 9
steps:
  model:
    embed: Embedding(9, 4)
    act: ReLU
  head: Linear(9, bias=false, tie=model.embed)
""",
        """\
model.embed = Embedding[0] -> 5x4
model.act = ReLU[1] -> 5x4
head = Linear[2] -> 5x9
outputs: head=3
""",
        "model.embed.weight head.weight",
    ),
    "tie names a numbered layer": (
        """\
inputs:
  t: float32[4]
steps:
  a: Linear(4) * 2
  b: Linear(4, tie=a[1])
""",
        """\
a.0 = Linear[0] -> 4
a.1 = Linear[1] -> 4
b = Linear[2] -> 4
outputs: b=3
""",
        "a.0.weight a.0.bias a.1.weight a.1.bias b.weight b.bias",
    ),
    "blocks with several inputs and outputs": (
        """\
inputs:
  x: float32[3, 8, 8]
blocks:
  Up[x, skip](width):
    up: x -> ConvTranspose2d(width, 2, stride=2)
    out: (up, skip) -> Concat -> Conv2d(width, 1)
  Neck(n):
    p3: Conv2d(n, 1)
    p4: p3 -> MaxPool2d(2)
    outputs: {p3: p3, p4: p4}
steps:
  neck: Neck(4)
  head: (neck.p4, neck.p3) -> Up(6)
""",
        """\
neck.p3 = Conv2d[0] -> 4x8x8
neck.p4 = MaxPool2d[1] -> 4x4x4
head.up = ConvTranspose2d[2] -> 6x8x8
head.out.concat = Concat[3, 1] -> 10x8x8
head.out = Conv2d[4] -> 6x8x8
outputs: head=5
""",
        "neck.p3.weight neck.p3.bias head.up.weight head.up.bias head.out.weight head.out.bias",
    ),
    "outputs of a block by place": (
        """\
inputs:
  x: float32[3, 8, 8]
blocks:
  Neck(n):
    p3: Conv2d(n, 1)
    p4: p3 -> MaxPool2d(2)
    outputs: {p3: p3, p4: p4}
steps:
  fine, coarse: Neck(4)
  up: coarse -> Upsample(scale_factor=2)
  s: fine + up
""",
        """\
fine.p3 = Conv2d[0] -> 4x8x8
fine.p4 = MaxPool2d[1] -> 4x4x4
up = Upsample[2] -> 4x8x8
s = Add[1, 3] -> 4x8x8
outputs: s=4
""",
        "fine.p3.weight fine.p3.bias",
    ),
    "an output nobody needs": (
        """\
inputs:
  x: float32[3, 8, 8]
blocks:
  Neck(n):
    p3: Conv2d(n, 1)
    p4: p3 -> MaxPool2d(2)
    outputs: {p3: p3, p4: p4}
steps:
  fine, _: Neck(4)
  s: ReLU
""",
        """\
fine.p3 = Conv2d[0] -> 4x8x8
fine.p4 = MaxPool2d[1] -> 4x4x4
s = ReLU[1] -> 4x8x8
outputs: s=3
""",
        "fine.p3.weight fine.p3.bias",
    ),
    "a block as a param, settings given in part": (
        """\
inputs:
  x: float32[3, 8, 8]
params: 
  Block: Basic(skip=false)
blocks:
  Basic(width, skip=true, Act=ReLU):
    conv: in -> Conv2d(width, 1)
    act: Act
    if skip:
      sum: in + act
steps:
  a: Block(3)
  b: Block(3, skip=true, Act=GELU)
""",
        """\
a.conv = Conv2d[0] -> 3x8x8
a.act = ReLU[1] -> 3x8x8
b.conv = Conv2d[2] -> 3x8x8
b.act = GELU[3] -> 3x8x8
b.sum = Add[2, 4] -> 3x8x8
outputs: b=5
""",
        "a.conv.weight a.conv.bias b.conv.weight b.conv.bias",
    ),
    "for and if among steps": (
        """\
inputs:
  x: float32[3, 8, 8]
params: {rows: [[4, 1], [8, 3]]}
steps:
  for w, k in rows:
    conv{k}: Conv2d(w, k)
    act{k}: ReLU
  if rows[0][0] == 4:
    end: Conv2d(2, 1)
""",
        """\
conv1 = Conv2d[0] -> 4x8x8
act1 = ReLU[1] -> 4x8x8
conv3 = Conv2d[2] -> 8x6x6
act3 = ReLU[3] -> 8x6x6
end = Conv2d[4] -> 2x6x6
outputs: end=5
""",
        "conv1.weight conv1.bias conv3.weight conv3.bias end.weight end.bias",
    ),
    "for and if in a list are numbered on": (
        """\
inputs:
  x: float32[3, 8, 8]
steps:
  features:
    - in -> Conv2d(4, 1)
    - for i in reversed(1..3):
      - Conv2d(i, 1)
      - if i > 1:
        - ReLU
    - MaxPool2d(2)
""",
        """\
features.0 = Conv2d[0] -> 4x8x8
features.1 = Conv2d[1] -> 3x8x8
features.2 = ReLU[2] -> 3x8x8
features.3 = Conv2d[3] -> 2x8x8
features.4 = ReLU[4] -> 2x8x8
features.5 = Conv2d[5] -> 1x8x8
features.6 = MaxPool2d[6] -> 1x4x4
outputs: features=7
""",
        "features.0.weight features.0.bias features.1.weight features.1.bias features.3.weight features.3.bias features.5.weight features.5.bias",
    ),
    "pictures and rows of numbers": (
        """\
inputs:
  x: float32[2, 8, 8]
tables:
  t: |
    X.X
    .XX
  sizes: [[1, 2], [3, 4]]
steps:
  c: SparseConv2d(3, connections=t)
  d: Conv2d(sizes[1][0], sizes[0][1])
""",
        """\
c = SparseConv2d[0] -> 3x6x6
d = Conv2d[1] -> 3x5x5
outputs: d=2
""",
        "c.weight c.bias d.weight d.bias",
    ),
    "layers as settings": (
        """\
inputs:
  x: float32[3, 8, 8]
blocks:
  Conv(width, k=3, Act=ReLU): in -> Conv2d(width, k, padding=k // 2) -> Act
steps:
  a: Conv(8)
  b: Conv(8, Act=SiLU)
  c: Conv(8, Act=Identity -> GELU)
""",
        """\
a.0 = Conv2d[0] -> 8x8x8
a.1 = ReLU[1] -> 8x8x8
b.0 = Conv2d[2] -> 8x8x8
b.1 = SiLU[3] -> 8x8x8
c.0 = Conv2d[4] -> 8x8x8
c.1 = Identity[5] -> 8x8x8
c.2 = GELU[6] -> 8x8x8
outputs: c=7
""",
        "a.0.weight a.0.bias b.0.weight b.0.bias c.0.weight c.0.bias",
    ),
    "several outputs of a layer": (
        """\
inputs:
  x: float32[5, 4]
steps:
  out, _: LSTM(8)
  fc: Linear(2)
""",
        """\
out = LSTM[0] -> 5x8, 1x8
fc = Linear[1] -> 5x2
outputs: fc=3
""",
        "out.weight_ih_l0 out.weight_hh_l0 out.bias_ih_l0 out.bias_hh_l0 fc.weight fc.bias",
    ),
    "the second output only": (
        """\
inputs:
  x: float32[5, 4]
steps:
  _, h: LSTM(8)
  fc: Linear(2)
""",
        """\
h = LSTM[0] -> 5x8, 1x8
fc = Linear[2] -> 1x2
outputs: fc=3
""",
        "h.weight_ih_l0 h.weight_hh_l0 h.bias_ih_l0 h.bias_hh_l0 fc.weight fc.bias",
    ),
    "a tensor of its own": (
        """\
inputs:
  x: float32[5, 4]
steps:
  pos: Parameter([5, 4], init="normal")
  fc: in + pos -> Linear(2)
""",
        """\
pos = Parameter[] -> 5x4
fc.add = Add[0, 1] -> 5x4
fc = Linear[2] -> 5x2
outputs: fc=3
""",
        "pos fc.weight fc.bias",
    ),
    "numbers in names": (
        """\
inputs:
  x: float32[3, 8, 8]
params: {n: 2}
steps:
  for i in 1..n:
    enc{i}: Conv2d(4, 1)
    enc{i}_{i * 2}out: ReLU
  z: enc2_4out -> Conv2d(2, 1)
""",
        """\
enc1 = Conv2d[0] -> 4x8x8
enc1_2out = ReLU[1] -> 4x8x8
enc2 = Conv2d[2] -> 4x8x8
enc2_4out = ReLU[3] -> 4x8x8
z = Conv2d[4] -> 2x8x8
outputs: z=5
""",
        "enc1.weight enc1.bias enc2.weight enc2.bias z.weight z.bias",
    ),
    "defaults of layers and blocks": (
        """\
inputs:
  x: float32[3, 8, 8]
defaults:
  Conv2d: {bias: false, padding: 1}
  Basic: {k: 3}
blocks:
  Basic(width, k=1): Conv2d(width, k)
steps:
  a: Basic(4)
  b: Basic(4, k=1)
  c: Conv2d(2, 3, padding=0, bias=true)
""",
        """\
a = Conv2d[0] -> 4x8x8
b = Conv2d[1] -> 4x10x10
c = Conv2d[2] -> 2x8x8
outputs: c=3
""",
        "a.weight b.weight c.weight c.bias",
    ),
    "divisible never rounds far down": (
        """\
inputs:
  x: float32[3, 8, 8]
params: {w: 0.75}
steps:
  a: Conv2d(divisible(32 * w, 8), 1)
  b: Conv2d(divisible(10, 8), 1)
""",
        """\
a = Conv2d[0] -> 24x8x8
b = Conv2d[1] -> 16x8x8
outputs: b=2
""",
        "a.weight a.bias b.weight b.bias",
    ),
    "a variant like another": (
        """\
inputs:
  x: float32[3, 8, 8]
params: {n: 8, k: 3}
variants:
  small: {n: 4}
  tiny: {like: small, k: 1}
steps:
  c: Conv2d(n, k)
""",
        """\
c = Conv2d[0] -> 4x8x8
outputs: c=1
""",
        "c.weight c.bias",
    ),
    "only the branch taken is built": (
        """\
inputs:
  x: float32[3, 8, 8]
blocks:
  S(w, s): in -> Conv2d(w, 1, s) -> BatchNorm2d if s > 1 or in.channels != w else in
steps:
  a: S(3, 1)
  b: S(4, 2)
  c: ReLU
""",
        """\
b.0 = Conv2d[0] -> 4x4x4
b.1 = BatchNorm2d[1] -> 4x4x4
c = ReLU[2] -> 4x4x4
outputs: c=3
""",
        "b.0.weight b.0.bias b.1.weight b.1.bias b.1.running_mean b.1.running_var b.1.num_batches_tracked",
    ),
    "defaults use the input and earlier settings": (
        """\
inputs:
  x: float32[3, 8, 8]
blocks:
  Half(width = in.channels // 3, deep = width * 2): in -> Conv2d(width, 1) -> Conv2d(deep, 1)
steps:
  a: Half
""",
        """\
a.0 = Conv2d[0] -> 1x8x8
a.1 = Conv2d[1] -> 2x8x8
outputs: a=2
""",
        "a.0.weight a.0.bias a.1.weight a.1.bias",
    ),
    "several outputs, some under a condition": (
        """\
inputs:
  x: float32[3, 8, 8]
steps:
  a: Conv2d(4, 1)
  b: a -> ReLU
outputs:
  first: a
  if true:
    second: b
""",
        """\
a = Conv2d[0] -> 4x8x8
b = ReLU[1] -> 4x8x8
outputs: first=1, second=2
""",
        "a.weight a.bias",
    ),
    "repeats none, one and several": (
        """\
inputs:
  x: float32[3, 8, 8]
blocks:
  B(w): Conv2d(w, 1)
steps:
  a: B(3) * 0
  b: B(3) * 1
  c: B(3) -> B(3) * 2
""",
        """\
b.0 = Conv2d[0] -> 3x8x8
c.0 = Conv2d[1] -> 3x8x8
c.1 = Conv2d[2] -> 3x8x8
c.2 = Conv2d[3] -> 3x8x8
outputs: c=4
""",
        "b.0.weight b.0.bias c.0.weight c.0.bias c.1.weight c.1.bias c.2.weight c.2.bias",
    ),
    "a list as the whole network": (
        """\
inputs:
  x: float32[3, 8, 8]
steps:
  - Conv2d(4, 3)
  - ReLU
  - Flatten
  - Linear(2)
""",
        """\
0 = Conv2d[0] -> 4x6x6
1 = ReLU[1] -> 4x6x6
flatten = Flatten[2] -> 144
2 = Linear[3] -> 2
outputs: out=4
""",
        "0.weight 0.bias 2.weight 2.bias",
    ),
    "steps within steps": (
        """\
inputs:
  x: float32[3, 8, 8]
steps:
  model:
    stem: in -> Conv2d(4, 1)
    body:
      a: in -> Conv2d(4, 1)
      s: a + stem
  head: ReLU
""",
        """\
model.stem = Conv2d[0] -> 4x8x8
model.body.a = Conv2d[0] -> 4x8x8
model.body.s = Add[2, 1] -> 4x8x8
head = ReLU[3] -> 4x8x8
outputs: head=4
""",
        "model.stem.weight model.stem.bias model.body.a.weight model.body.a.bias",
    ),
    "null is false": (
        """\
inputs:
  x: float32[3, 8, 8]
params: {act: null}
steps:
  a: Conv2d(4, 1)
  if act:
    b: ReLU
""",
        """\
a = Conv2d[0] -> 4x8x8
outputs: a=1
""",
        "a.weight a.bias",
    ),
}
