"""Models that a profile has to leave as they were: small ones of torch, torchvision, timm and transformers, built on the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune

Made = tuple[Callable[[], nn.Module], Any]
"""What makes a model, and its inputs."""


class LooksAtData(nn.Module):
    """Asks what only values can answer, so that it runs on the CPU, and draws random numbers there."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        if x.sum().item() == float("inf"):
            return x
        return self.head(x + torch.rand_like(x))


class Caches(nn.Module):
    """Keeps what it computed, counts its calls and grows a list."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.register_buffer("last", torch.zeros(2, 6))
        self.calls = 0
        self.seen: list[torch.Tensor] = []
        self.table: dict[str, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen.append(x)
        self.table["x"] = x
        self.last.copy_(x)
        self.fresh = x
        return self.norm(x) + self.last


class Closure(nn.Module):
    """Calls a layer through a function that closed over it, and through a method of its own kept as an attribute."""

    def __init__(self, *, looks: bool = False) -> None:
        super().__init__()
        self.looks = looks
        norm = self.norm = nn.BatchNorm1d(6)
        self.through = lambda x: norm(x)
        self.again = self.twice

    def twice(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.norm(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.again(self.through(x))
        return x + 1 if self.looks and x.sum().item() > 0 else x


def tied() -> nn.Module:
    """Return an embedding and a head with one weight."""
    net = nn.Sequential(nn.Embedding(20, 8), nn.Linear(8, 20, bias=False))
    net[1].weight = net[0].weight
    return net


def pruned() -> nn.Module:
    """Return a layer with half of its weights masked."""
    layer = nn.Linear(8, 8)
    prune.random_unstructured(layer, "weight", 0.5)
    return nn.Sequential(layer, nn.ReLU())


def block(*parts: nn.Module) -> nn.Module:
    return nn.Sequential(*parts)


ints = torch.zeros(2, 5, dtype=torch.int64)
TORCH: dict[str, Made] = {
    "conv1d": (lambda: block(nn.Conv1d(4, 8, 3), nn.BatchNorm1d(8), nn.ReLU(inplace=True)), (2, 4, 9)),
    "conv2d": (lambda: block(nn.Conv2d(4, 8, 3, groups=2), nn.BatchNorm2d(8), nn.SiLU(inplace=True)), (2, 4, 9, 9)),
    "conv3d": (lambda: block(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4), nn.Dropout3d()), (2, 2, 5, 5, 5)),
    "transposed": (lambda: block(nn.ConvTranspose2d(4, 8, 2, 2), nn.InstanceNorm2d(8, track_running_stats=True)), (2, 4, 5, 5)),
    "lazy": (lambda: block(nn.Linear(6, 4), nn.LayerNorm(4), nn.GELU()), (2, 6)),
    "groups": (lambda: block(nn.GroupNorm(2, 4), nn.PReLU(4), nn.RReLU()), (2, 4, 5)),
    "rms": (lambda: block(nn.RMSNorm(6), nn.Softmax(-1)), (2, 6)),
    "pools": (lambda: block(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.AlphaDropout()), (2, 4, 9, 9)),
    "shuffles": (lambda: block(nn.Upsample(scale_factor=2), nn.PixelShuffle(2), nn.Conv2d(1, 2, 1)), (2, 4, 4, 4)),
    "lstm": (lambda: nn.LSTM(4, 6, 2, bidirectional=True, dropout=0.5), (5, 2, 4)),
    "gru": (lambda: nn.GRU(4, 6, batch_first=True), (2, 5, 4)),
    "rnn": (lambda: nn.RNN(4, 6), (5, 2, 4)),
    "cell": (lambda: nn.LSTMCell(4, 6), (2, 4)),
    "attention": (lambda: nn.MultiheadAttention(8, 2, dropout=0.1), [(5, 2, 8)] * 3),
    "encoder": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), (2, 5, 8)),
    "decoder": (lambda: nn.TransformerDecoderLayer(8, 2, 16), [(5, 2, 8), (4, 2, 8)]),
    "transformer": (lambda: nn.Transformer(8, 2, 1, 1, 16), [(5, 2, 8), (4, 2, 8)]),
    "embedding": (lambda: block(nn.Embedding(20, 8), nn.Linear(8, 3)), ints),
    "bag": (lambda: nn.EmbeddingBag(20, 8), ints),
    "bilinear": (lambda: nn.Bilinear(4, 5, 6), [(2, 4), (2, 5)]),
    "tied": (tied, ints),
    "pruned": (pruned, (2, 8)),
    "weight norm": (lambda: block(nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)), nn.ReLU()), (2, 6)),
    "spectral norm": (lambda: block(nn.utils.spectral_norm(nn.Linear(6, 4)), nn.ReLU()), (2, 6)),
    "spectral parametrization": (lambda: block(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 4)), nn.ReLU()), (2, 6)),
    "half": (lambda: block(nn.Linear(6, 4), nn.BatchNorm1d(4)).to(torch.bfloat16), (2, 6)),
    "frozen": (lambda: block(nn.Linear(6, 4), nn.BatchNorm1d(4)).requires_grad_(requires_grad=False), (2, 6)),
    "meta": (lambda: block(nn.Linear(6, 4), nn.BatchNorm1d(4)).to("meta"), (2, 6)),
    "looks at data": (LooksAtData, (2, 6)),
    "caches": (Caches, (2, 6)),
    "closure": (Closure, (2, 6)),
    "closure that looks at data": (lambda: Closure(looks=True), (2, 6)),
}  # fmt: skip


def of_torchvision() -> dict[str, Made]:
    """Return small networks of torchvision, where it is installed."""
    if importlib.util.find_spec("torchvision") is None:
        return {}
    from torchvision import models

    names = {
        "resnet18": {}, "mobilenet_v2": {}, "mobilenet_v3_small": {}, "squeezenet1_1": {}, "shufflenet_v2_x0_5": {},
        "mnasnet0_5": {}, "efficientnet_b0": {}, "regnet_y_400mf": {}, "googlenet": {"init_weights": False},
        "lraspp_mobilenet_v3_large": {"weights_backbone": None},
    }  # fmt: skip
    return {
        name: (lambda name=name, options=options: models.get_model(name, weights=None, **options), (1, 3, 64, 64))
        for name, options in names.items()
    }


def of_timm() -> dict[str, Made]:
    """Return the networks that timm has for its own tests, where it is installed."""
    if importlib.util.find_spec("timm") is None:
        return {}
    import timm

    names = [name for name in timm.list_models("test_*") if not name.startswith("test_efficientnet_")]
    return {name: (lambda name=name: timm.create_model(name), (1, 3, 160, 160)) for name in names}


def of_transformers() -> dict[str, Made]:
    """Return tiny networks of transformers, where it is installed."""
    if importlib.util.find_spec("transformers") is None:
        return {}
    import transformers as hf

    usual = {
        "vocab_size": 50,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    picture = {key: usual[key] for key in usual if key != "vocab_size"} | {"image_size": 16, "patch_size": 8}
    configurations = {
        "bert": (hf.BertConfig(**usual), ints),
        "roberta": (hf.RobertaConfig(**usual), ints),
        "llama": (hf.LlamaConfig(**usual), ints),
        "gpt2": (hf.GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2), ints),
        "vit": (hf.ViTConfig(**picture), (1, 3, 16, 16)),
    }
    return {
        name: (lambda config=config: hf.AutoModel.from_config(config), inputs)
        for name, (config, inputs) in configurations.items()
    }


MODELS: dict[str, Made] = TORCH | of_torchvision() | of_timm() | of_transformers()
