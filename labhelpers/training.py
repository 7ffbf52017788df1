"""What a readable training loop needs: batches, progress, sample images, safe stop, averages."""

import copy
import math
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from labhelpers import plots
from labhelpers.batches import DeviceBatches, mirrored
from labhelpers.metrics import evaluating
from labhelpers.session import is_interactive

__all__ = ["TrainingRun", "WeightAverage", "load_history", "strong_start"]


def strong_start(network: nn.Module) -> nn.Module:
    """Draw the weights of all convolutions anew, so that signals keep their strength; return it.

    PyTorch draws weights so small that each layer with a leaky ReLU weakens what passes; after five
    of them a network hardly depends on its input, and learns slowly at first. Weights as of He et
    al., "Delving deep into rectifiers", ICCV 2015, keep the variance.

    Used in notebook 4, section "Training".

    Args:
        network: A network with leaky ReLUs of slope 0.2, such as a discriminator.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            nn.init.zeros_(layer.bias)
    return network


class WeightAverage:
    """Follows a network during training with the running average of its weights.

    Single steps push the weights here and there, most of all in a GAN; their average lies between
    the places where they were and often makes better images than any of them (Polyak and Juditsky,
    "Acceleration of stochastic approximation by averaging", 1992).

    Used in the training functions of notebooks 2 to 4.

    Args:
        network: The network that is trained.
        decay: How much of the average is kept at each step, below 1; 0 for no average. The first
            steps keep less, so that a short training forgets where it began.

    Attributes:
        network: The averaged network, in the end the result of the training.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network) if decay else network
        self._trained, self._decay, self._steps = network, decay, 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now; call it after every step."""
        if self.network is self._trained:
            return
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        pairs = zip(self.network.parameters(), self._trained.parameters(), strict=True)
        for average, weight in pairs:
            average.lerp_(weight, 1 - decay)


class TrainingRun:
    """Accompanies a training loop: batches, progress, losses, sample images, safe interruption.

    Used in the section "Training" of notebooks 2 to 4:

        with TrainingRun("generator", train_loader, test_loader, num_epoch, device) as run:
            for epoch in run.epochs():
                for batch in run.batches():
                    run.log(generator=generator_step(...))
                run.save_samples(generator)

    The stop button (or Ctrl-C) ends the `with` block quietly: the network trained so far is kept.

    Args:
        method: Name of the method; images go to `images/<method>/`.
        train_loader: Batches to train on.
        test_loader: Its first batch is the one shown in the sample images.
        num_epoch: Passes over `train_loader`, at least 1.
        device: Where the batches are to be.
        flip: Whether slices are mirrored left to right at random.

    Attributes:
        history: Mean losses, one row per finished epoch, index `epoch` from 1.
        interrupted: Whether the student stopped the training.
        num_step: Batches in all.

    Raises:
        ValueError: If `num_epoch` is below 1 or the training set is empty.
    """

    def __init__(
        self,
        method: str,
        train_loader: DataLoader,
        test_loader: DataLoader,
        num_epoch: int,
        device: torch.device | str = "cpu",
        flip: bool = False,
    ) -> None:
        if num_epoch < 1:
            raise ValueError(f"num_epoch is {num_epoch}: training needs at least 1 epoch.")
        if len(train_loader) == 0:
            raise ValueError("The training set is empty: give a loader with at least one batch.")
        self.method = method
        self.folder = Path("images") / method
        self.history = pd.DataFrame()
        self.interrupted = False
        self.num_step = num_epoch * len(train_loader)
        self._flip = flip
        self._train_batches = DeviceBatches(train_loader, device)
        self._samples = next(iter(test_loader))
        self._num_epoch = num_epoch
        self._painter = ThreadPoolExecutor(max_workers=1)
        self._drawn: list[Future] = []
        self._epoch = 0
        self._losses: dict[str, list[Tensor]] = {}
        self._rows: list[dict[str, float]] = []
        self._progress: tqdm | None = None

    def __enter__(self) -> "TrainingRun":
        self.folder.mkdir(parents=True, exist_ok=True)
        for image in self.folder.glob("epoch-*.png"):
            image.unlink()  # else those of an earlier, longer run would pass for this one's
        self._progress = _progress_bar(self.num_step)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self._progress.close()
        self._painter.shutdown()  # waits for the last sample image
        if self.interrupted:
            print(
                f"Training stopped in epoch {self._epoch} of {self._num_epoch}: "
                "the network trained so far is kept."
            )
        if kind is None or self.interrupted:
            for drawn in self._drawn:
                drawn.result()  # raises what went wrong while drawing
        return self.interrupted

    def epochs(self) -> Iterator[int]:
        """Yield the epochs 1, 2, ..., and close each one: mean losses, one line of progress."""
        for epoch in range(1, self._num_epoch + 1):
            self._epoch, self._losses = epoch, {}
            yield epoch
            self._close_epoch()

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of one pass over the training set, on the device."""
        for batch in self._train_batches:
            yield mirrored(batch) if self._flip else batch
            self._progress.update()

    def log(self, **losses: Tensor | float) -> None:
        """Record the losses of one batch by name, for instance `run.log(generator=loss)`."""
        for name, loss in losses.items():
            # Kept as a tensor: reading its value here would make a GPU wait at every batch.
            value = loss.detach() if isinstance(loss, Tensor) else torch.tensor(float(loss))
            self._losses.setdefault(name, []).append(value)

    def save_samples(self, generator: nn.Module) -> Path:
        """Save `images/<method>/epoch-<n>.png`: T1-w, generated and true T2-w of test subjects.

        The file is there at the end of the `with` block, at the latest.
        """
        path = self.folder / f"epoch-{self._epoch}.png"
        with evaluating(generator) as device:
            fake_t2 = generator(self._samples["T1"].to(device)).cpu()
        # Drawn beside the training, which on a GPU would have to wait for it.
        slices = self._samples["T1"], fake_t2, self._samples["T2"]
        self._drawn.append(self._painter.submit(plots.save_sample_grid, path, *slices))
        return path

    def _close_epoch(self) -> None:
        means = {
            name: torch.stack(values).float().mean().item() for name, values in self._losses.items()
        }
        self._rows.append({"epoch": self._epoch, **means})
        self.history = pd.DataFrame(self._rows).set_index("epoch")
        self.history.to_csv(self.folder / "losses.csv")
        losses = ", ".join(f"{name} loss {value:.4f}" for name, value in means.items())
        width = len(str(self._num_epoch))
        self._progress.write(
            f"Epoch {self._epoch:>{width}}/{self._num_epoch}: {losses}", file=sys.stdout
        )
        if not all(math.isfinite(value) for value in means.values()):
            raise FloatingPointError(
                f"A loss is no longer a number in epoch {self._epoch}: {means}. "
                "The usual reasons are a learning rate that is too high or a loss that grows "
                "without limit; lower `lr` and look at your loss function."
            )


def load_history(method: str) -> pd.DataFrame:
    """Return the mean losses of the last training of `method`, one row per epoch.

    Raises:
        FileNotFoundError: If the method has not been trained in this folder yet.
    """
    path = Path("images") / method / "losses.csv"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: train {method!r} first.")
    return pd.read_csv(path, index_col="epoch")


def _progress_bar(total: int) -> tqdm:
    """Return a bar with the time left: a widget in a notebook, a line in a terminal, else none."""
    # Never stderr: a grader takes any text there for a failure.
    return tqdm(
        total=total, unit="batch", leave=False, file=sys.stdout, disable=not is_interactive()
    )
