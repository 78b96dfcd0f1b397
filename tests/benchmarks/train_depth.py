"""Does a network without shortcuts train worse the deeper it is, and one with them not? A real experiment, minutes long.

`python tests/benchmarks/train_depth.py` (or `poe depth`) trains the plain and the residual networks of `specs/resnet-cifar.yaml`
with 8 to 56 layers on scikit-learn's 8 x 8 digits, several times each, and writes `reports/depth.tsv` (a row a training) and
`reports/depth.svg`. Recipe after He et al. 2015, section 4.2 (SGD, momentum 0.9, weight decay 1e-4, batches of 128, rate 0.1
divided by 10 twice, normal weights of size sqrt(2 / fan-in)), but for the data, fewer steps, and no augmentation.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from rich.progress import track
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import archprof
from archprof.runs.signal import kaiming

REPORTS = Path(__file__).resolve().parents[2] / "reports"
BLOCKS = (1, 2, 3, 5, 7, 9)
"""Blocks a stage: 6n + 2 layers with weights."""
FAMILIES: Mapping[str, str] = {"plain": "plain20", "residual": "resnet20"}
"""The variants with 3 blocks a stage; `n` says how many there are instead."""
EPOCHS, DROPS, RATE, BATCH = 40, (20, 30), 0.1, 128
SEEDS = (0, 1, 2)
COLUMNS = ("kind", "layers", "seed", "epochs", "first_loss", "loss", "train_accuracy", "test_accuracy")
Data = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def digits() -> Data:
    """Return 1,437 pictures to train on with their labels, and 360 others: 1x8x8 floats of mean 0 and variance 1."""
    pixels, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        pixels, labels, test_size=360, random_state=0, stratify=labels
    )
    mean, size = train.mean(), train.std()
    pictures = (torch.tensor((part - mean) / size, dtype=torch.float32).view(-1, 1, 8, 8) for part in (train, test))
    return *pictures, torch.tensor(train_labels), torch.tensor(test_labels)


def network(kind: str, blocks: int, seed: int) -> nn.Module:
    """Return a network with weights, as its spec builds it."""
    spec = archprof.load(FAMILIES[kind], {"image": (1, 8, 8)}, settings={"n": str(blocks)})
    torch.manual_seed(seed)
    return archprof.compile(spec, device="cpu").apply(kaiming)


def epoch_losses(model: nn.Module, pictures: torch.Tensor, labels: torch.Tensor, seed: int) -> Iterator[float]:
    """Train, and yield the mean loss of every epoch's batches."""
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, DROPS, 0.1)
    order = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        losses = []
        for chosen in torch.randperm(len(labels), generator=order).split(BATCH):
            loss = nn.functional.cross_entropy(model(pictures[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        yield statistics.fmean(losses)


@torch.no_grad()
def accuracy(model: nn.Module, pictures: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of pictures that are told right, in evaluation mode."""
    return (model.eval()(pictures).argmax(1) == labels).double().mean().item()


def row(data: Data, kind: str, blocks: int, seed: int) -> dict[str, object]:
    """Train one network and return what came of it."""
    train, test, train_labels, test_labels = data
    model = network(kind, blocks, seed)
    losses = list(epoch_losses(model, train, train_labels, seed))
    known = {"kind": kind, "layers": 6 * blocks + 2, "seed": seed, "epochs": EPOCHS}
    found = (losses[0], losses[-1], accuracy(model, train, train_labels), accuracy(model, test, test_labels))
    return known | dict(zip(COLUMNS[4:], (f"{value:.5f}" for value in found), strict=True))


def draw(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Draw loss against depth: one line a kind through the medians, one dot a training."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from archprof.plot import PALETTE, STYLE, saved

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.0), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, column, words in zip(
            panels, ("loss", "train_accuracy"), ("training loss", "training accuracy"), strict=True
        ):
            for kind, colour in zip(FAMILIES, PALETTE, strict=False):
                dots = [(int(str(r["layers"])), float(str(r[column]))) for r in rows if r["kind"] == kind]
                depths = sorted({depth for depth, _ in dots})
                axes.plot(*zip(*dots, strict=True), "o", color=colour, ms=3, alpha=0.5)
                axes.plot(
                    depths,
                    [statistics.median(v for d, v in dots if d == depth) for depth in depths],
                    color=colour,
                    label=kind,
                )
            axes.set_title(words, fontsize=9, loc="left", fontweight="bold")
            axes.set_xlabel("layers with weights")
            axes.set_xticks([6 * blocks + 2 for blocks in BLOCKS])
            axes.grid(color="#e6e6e6", lw=0.6)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_yscale("log")
        panels[0].legend(frameon=False)
        figure.suptitle(f"plain and residual networks after {rows[0]['epochs']} epochs on 1,437 digits", fontsize=9.5)
        saved(figure, path, "training loss against depth, plain and residual")


def main() -> None:
    """Train all, then write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=REPORTS, help="folder to write to")
    into = parser.parse_args().into
    torch.set_num_threads(1)  # two runs are equal, and tensors this small gain nothing
    data = digits()
    plan = [(kind, blocks, seed) for blocks in BLOCKS for kind in FAMILIES for seed in SEEDS]
    rows = [row(data, *which) for which in track(plan, "training")]
    with (into / "depth.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, into / "depth.svg")


if __name__ == "__main__":
    main()
