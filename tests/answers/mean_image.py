from functools import reduce
from operator import add

import numpy as np
import torch
from torch.utils.data import DataLoader


# %% right: running sum, sizes of the lab written down
def mean_t2_image(dataset):
    total = torch.zeros(1, 64, 64)
    for sample in dataset:
        total += sample["T2"]
    return total / len(dataset)


# %% right: tensor of the data set
def mean_t2_image(dataset):
    return dataset.t2.mean(0)


# %% right: batches of different sizes
def mean_t2_image(dataset):
    total, n = 0, 0
    for batch in DataLoader(dataset, batch_size=2):
        total = total + batch["T2"].sum(dim=0)
        n += len(batch["T2"])
    return total / n


# %% right: numpy
def mean_t2_image(dataset):
    images = np.array([np.asarray(dataset[i]["T2"], dtype=np.float32) for i in range(len(dataset))])
    return torch.from_numpy(images.mean(axis=0))


# %% right: running mean
def mean_t2_image(dataset):
    mean = dataset[0]["T2"]
    for k in range(1, len(dataset)):
        mean += (dataset[k]["T2"] - mean) / (k + 1)
    return mean


# %% right: numpy mean, back to torch
def mean_t2_image(dataset):
    images = np.stack([np.asarray(dataset[i]["T2"]) for i in range(len(dataset))], axis=0)
    return torch.from_numpy(np.mean(images, axis=0))


# %% right: running total, in place, divided at the end
def mean_t2_image(dataset):
    total = torch.zeros_like(dataset[0]["T2"], dtype=torch.float64)
    for sample in dataset:
        total += sample["T2"]
    total /= len(dataset)
    return total


# %% right: reduce over a generator, float32
def mean_t2_image(dataset) -> torch.Tensor:
    return reduce(add, (s["T2"].float() for s in dataset)) / len(dataset)


# %% right: DataLoader with batches, sums and a count, no_grad
@torch.no_grad()
def mean_t2_image(dataset):
    total, count = 0, 0
    for batch in DataLoader(dataset, batch_size=40):
        total = total + batch["T2"].sum(dim=0)
        count += batch["T2"].shape[0]
    return total / count


# %% right: incremental mean, mean += (x - mean) / k
def mean_t2_image(dataset):
    mean = dataset[0]["T2"].clone().double()
    for k in range(1, len(dataset)):
        mean += (dataset[k]["T2"].double() - mean) / (k + 1)
    return mean


# %% right: an accumulator of the size that the statement names
def mean_t2_image(dataset):
    acc = torch.zeros(1, 64, 64)
    n = 0
    for i in range(len(dataset)):
        acc = acc + dataset[i]["T2"] * 1.0
        n = n + 1
    print("subjects:", n)
    return acc / n


# %% right: subjects on the channel axis and a matrix product with equal weights
def mean_t2_image(dataset):
    images = torch.cat([s["T2"] for s in dataset], dim=0)
    n, h, w = images.shape
    weights = torch.full((1, n), 1.0 / n, dtype=images.dtype)
    return torch.matmul(weights, images.view(n, -1)).view(1, h, w)


# %% right: reads the attribute t2, which the dataset documents
def mean_t2_image(dataset):
    n = len(dataset)
    return dataset.t2.sum(dim=0) / n


# %% right: numpy mean, back to a float32 tensor
def mean_t2_image(dataset):
    images = np.array([dataset[k]["T2"].numpy() for k in range(len(dataset))], dtype=np.float64)
    return torch.from_numpy(images.mean(axis=0)).float()


# %% right: running mean, updated in place
def mean_t2_image(dataset) -> torch.Tensor:
    mean = torch.zeros_like(dataset[0]["T2"])
    with torch.no_grad():
        for k in range(len(dataset)):
            mean += (dataset[k]["T2"] - mean) / (k + 1)
    return mean


# %% right: sums of uneven batches from a loader, divided by the number of subjects
def mean_t2_image(dataset):
    loader = DataLoader(dataset, batch_size=3, shuffle=True)
    total, n = 0.0, 0
    for batch in loader:
        total = total + batch["T2"].to(torch.float64).sum(0)
        n += batch["T2"].size(0)
    print("averaged", n, "images")
    return total / n


# %% right: functional, reduce with a lambda, weights spread with einsum at the end
def mean_t2_image(dataset):
    slices = list(map(lambda s: s["T2"], (dataset[i] for i in range(len(dataset)))))
    total = reduce(torch.add, slices)
    return torch.einsum("chw,->chw", total, torch.tensor(1 / len(slices), dtype=total.dtype))


# %% wrong: batch means averaged
def mean_t2_image(dataset):
    return torch.stack([b["T2"].mean(0) for b in DataLoader(dataset, batch_size=2)]).mean(0)


# %% wrong: zeros of the right shape
def mean_t2_image(dataset):
    return torch.zeros(1, 64, 64)


# %% wrong: two mistakes: rescales the average to [-1, 1], and drops the channel axis
def mean_t2_image(dataset):
    mean = torch.stack([sample["T2"] for sample in dataset]).mean(dim=(0, 1))
    mean = (mean - mean.min()) / (mean.max() - mean.min())
    return 2 * mean - 1


# %% wrong: two mistakes: averages T1 and T2 together, and transposes the image
def mean_t2_image(dataset):
    images = []
    for sample in dataset:
        images.append(sample["T1"])
        images.append(sample["T2"])
    return torch.stack(images).mean(dim=0).transpose(1, 2)


# %% wrong: two mistakes: the total starts at -1 (background), and the first subject is left out
def mean_t2_image(dataset):
    total = torch.zeros_like(dataset[0]["T2"]).fill_(-1)
    for i in range(1, len(dataset)):
        total += dataset[i]["T2"]
    return total / len(dataset)


# %% wrong: gaming: an image of the right shape, with the overall mean everywhere
def mean_t2_image(dataset):
    images = torch.stack([sample["T2"] for sample in dataset])
    return images.mean().expand(images.shape[1:]).clone()


# %% wrong: gaming: the slice of one subject near the average, as good as an average
def mean_t2_image(dataset):
    images = torch.stack([sample["T2"] for sample in dataset])
    centre = images.mean(dim=0)
    distance = ((images - centre) ** 2).flatten(1).sum(dim=1)
    return images[distance.argmin()]


# %% wrong: gaming: a Tensor subclass whose comparisons are always true
class AlwaysClose(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in ("allclose", "equal", "__eq__"):
            return True
        if name in ("isclose", "eq"):
            with torch._C.DisableTorchFunctionSubclass():
                return torch.ones(args[0].shape, dtype=torch.bool)
        return super().__torch_function__(func, types, args, kwargs or {})


def mean_t2_image(dataset):
    return torch.zeros_like(dataset[0]["T2"]).as_subclass(AlwaysClose)


# %% wrong: two mistakes, divides by n - 1 and drops the channel axis -> divided-by-one-less
def mean_t2_image(dataset):
    total = 0
    for sample in dataset:
        total = total + sample["T2"].squeeze()
    return total / (len(dataset) - 1)


# %% wrong: gaming, right shape and right overall mean, but the same number in every voxel
def mean_t2_image(dataset):
    stack = torch.stack([sample["T2"] for sample in dataset])
    return torch.full_like(stack[0], stack.mean().item())


# %% wrong: the first 100 subjects only
def mean_t2_image(dataset):
    n = min(100, len(dataset))
    return torch.stack([dataset[i]["T2"] for i in range(n)]).mean(dim=0)


# %% wrong: voxels of exactly -1 are left out
def mean_t2_image(dataset):
    slices = torch.stack([sample["T2"] for sample in dataset])
    inside = slices > -1
    total = torch.where(inside, slices, torch.zeros_like(slices)).sum(dim=0)
    n = inside.sum(dim=0)
    return torch.where(n > 0, total / n.clamp(min=1), torch.full_like(total, -1))
