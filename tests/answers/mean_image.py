# ruff: noqa: F811
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


# %% wrong: T1
def mean_t2_image(dataset):
    return dataset.t1.mean(0)


# %% wrong: no channel axis
def mean_t2_image(dataset):
    return dataset.t2.mean(0)[0]


# %% wrong: one number
def mean_t2_image(dataset):
    return dataset.t2.mean()


# %% wrong: batch means averaged
def mean_t2_image(dataset):
    return torch.stack([b["T2"].mean(0) for b in DataLoader(dataset, batch_size=2)]).mean(0)


# %% wrong: last subject left out
def mean_t2_image(dataset):
    return dataset.t2[:-1].mean(0)


# %% wrong: median
def mean_t2_image(dataset):
    return dataset.t2.median(dim=0).values


# %% wrong: numpy array
def mean_t2_image(dataset):
    return dataset.t2.mean(0).numpy()


# %% wrong: zeros of the right shape
def mean_t2_image(dataset):
    return torch.zeros(1, 64, 64)
