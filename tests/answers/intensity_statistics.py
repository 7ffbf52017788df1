# ruff: noqa: F811
import numpy as np
import pandas as pd
import torch


# %% right: numpy, divisor n
def intensity_statistics(dataset):
    images = {m: np.stack([s[m].numpy() for s in dataset]) for m in ("T1", "T2")}
    return pd.DataFrame(
        {
            name: {m: getattr(x, name)() for m, x in images.items()}
            for name in ("min", "max", "mean", "std")
        }
    )


# %% right: tensors in the cells, other order, one column more
def intensity_statistics(dataset):
    table = pd.DataFrame(index=["T2", "T1"], columns=["std", "mean", "median", "max", "min"])
    for modality in table.index:
        x = torch.cat([dataset[i][modality].flatten() for i in range(len(dataset))])
        for column in table.columns:
            table.loc[modality, column] = getattr(x, column)()
    return table


# %% right: running sums
def intensity_statistics(dataset):
    rows = []
    for modality in ["T1", "T2"]:
        n, total, squares, low, high = 0, 0.0, 0.0, 2.0, -2.0
        for sample in dataset:
            x = sample[modality].double()
            n += x.numel()
            total += x.sum()
            squares += (x**2).sum()
            low, high = min(low, x.min()), max(high, x.max())
        mean = total / n
        std = ((squares - n * mean**2) / (n - 1)) ** 0.5
        rows.append([float(v) for v in (low, high, mean, std)])
    return pd.DataFrame(rows, index=["T1", "T2"], columns=["min", "max", "mean", "std"])


# %% right: pandas describe on the tensors of the data set
def intensity_statistics(dataset):
    frame = pd.DataFrame({"T1": dataset.t1.flatten().numpy(), "T2": dataset.t2.flatten().numpy()})
    return frame.describe().T[["min", "max", "mean", "std"]]


# %% right: sizes of the lab written down
def intensity_statistics(dataset):
    result = {}
    for modality in ("T1", "T2"):
        voxels = torch.zeros(len(dataset), 64 * 64)
        for row, sample in enumerate(dataset):
            voxels[row] = sample[modality].reshape(64 * 64)
        result[modality] = [voxels.min(), voxels.max(), voxels.mean(), voxels.std()]
    return pd.DataFrame(result, index=["min", "max", "mean", "std"]).T


# %% wrong: transposed
def intensity_statistics(dataset):
    x = {m: torch.stack([s[m] for s in dataset]).numpy() for m in ("T1", "T2")}
    return pd.DataFrame(
        {
            m: {"min": v.min(), "max": v.max(), "mean": v.mean(), "std": v.std()}
            for m, v in x.items()
        }
    )


# %% wrong: one subject only
def intensity_statistics(dataset):
    x = {m: dataset[0][m] for m in ("T1", "T2")}
    names = ("min", "max", "mean", "std")
    return pd.DataFrame({n: {m: getattr(v, n)().item() for m, v in x.items()} for n in names})


# %% wrong: std averaged over subjects
def intensity_statistics(dataset):
    rows = {}
    for m in ("T1", "T2"):
        v = torch.stack([s[m] for s in dataset])
        std = torch.stack([s[m].std() for s in dataset]).mean()
        rows[m] = {
            "min": v.min().item(),
            "max": v.max().item(),
            "mean": v.mean().item(),
            "std": std.item(),
        }
    return pd.DataFrame(rows).T


# %% wrong: variance
def intensity_statistics(dataset):
    rows = {}
    for m in ("T1", "T2"):
        v = torch.stack([s[m] for s in dataset])
        rows[m] = {
            "min": v.min().item(),
            "max": v.max().item(),
            "mean": v.mean().item(),
            "std": v.var().item(),
        }
    return pd.DataFrame(rows).T


# %% wrong: exchanged modalities
def intensity_statistics(dataset):
    x = {"T1": dataset.t2, "T2": dataset.t1}
    names = ("min", "max", "mean", "std")
    return pd.DataFrame({n: {m: getattr(v, n)().item() for m, v in x.items()} for n in names})


# %% wrong: a dictionary
def intensity_statistics(dataset):
    x = {"T1": dataset.t1, "T2": dataset.t2}
    return {
        m: {"min": v.min(), "max": v.max(), "mean": v.mean(), "std": v.std()} for m, v in x.items()
    }


# %% wrong: changes the data set
def intensity_statistics(dataset):
    x = {"T1": dataset.t1, "T2": dataset.t2}
    names = ("min", "max", "mean", "std")
    table = pd.DataFrame({n: {m: getattr(v, n)().item() for m, v in x.items()} for n in names})
    dataset.t1.sub_(dataset.t1.mean())
    return table
