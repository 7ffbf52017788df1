from collections import defaultdict

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader


# %% right: loop over the bins
def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = dataset.t1.flatten(), dataset.t2.flatten()
    edges = torch.linspace(-1, 1, n_bins + 1)
    lookup = torch.zeros(n_bins)
    for i in range(n_bins):
        inside = (t1 >= edges[i]) & (t1 < edges[i + 1])
        if i == n_bins - 1:
            inside |= t1 == 1
        if inside.any():
            lookup[i] = t2[inside].mean()
    return lookup


# %% right: histograms of numpy
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = np.concatenate([s["T1"].numpy().ravel() for s in dataset])
    t2 = np.concatenate([s["T2"].numpy().ravel() for s in dataset])
    counts, _ = np.histogram(t1, bins=n_bins, range=(-1, 1))
    totals, _ = np.histogram(t1, bins=n_bins, range=(-1, 1), weights=t2)
    return torch.tensor(np.divide(totals, counts, out=np.zeros(n_bins), where=counts > 0))


# %% right: float32 only
def fit_intensity_lookup(dataset, n_bins=100):
    totals, counts = torch.zeros(n_bins), torch.zeros(n_bins)
    for sample in dataset:
        t1, t2 = sample["T1"].flatten(), sample["T2"].flatten()
        index = torch.clamp(torch.floor((t1 + 1) * n_bins / 2), 0, n_bins - 1).long()
        totals.index_add_(0, index, t2)
        counts.index_add_(0, index, torch.ones_like(t2))
    return torch.where(counts > 0, totals / counts, torch.zeros(n_bins))


# %% right: bucketize
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.stack([s["T1"] for s in dataset]).double()
    t2 = torch.stack([s["T2"] for s in dataset]).double()
    inner = torch.linspace(-1, 1, n_bins + 1, dtype=torch.float64)[1:-1]
    bins = torch.bucketize(t1, inner, right=True).flatten()
    totals = torch.bincount(bins, weights=t2.flatten(), minlength=n_bins)
    return (totals / torch.bincount(bins, minlength=n_bins)).nan_to_num(0)


# %% right: scatter mean
def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = dataset.t1.view(-1), dataset.t2.view(-1)
    bins = ((t1 * 0.5 + 0.5) * n_bins).int().clamp_(0, n_bins - 1).long()
    return torch.zeros(n_bins, dtype=t2.dtype).scatter_reduce(
        0, bins, t2, "mean", include_self=False
    )


# %% right: two weighted numpy histograms
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = np.concatenate([s["T1"].numpy().ravel() for s in dataset]).astype(np.float64)
    t2 = np.concatenate([s["T2"].numpy().ravel() for s in dataset]).astype(np.float64)
    total, _ = np.histogram(t1, bins=n_bins, range=(-1, 1), weights=t2)
    count, _ = np.histogram(t1, bins=n_bins, range=(-1, 1))
    out = np.divide(total, count, out=np.zeros(n_bins), where=count > 0)
    return torch.from_numpy(out)


# %% right: loop over the bins with masks
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.stack([dataset[i]["T1"] for i in range(len(dataset))])
    t2 = torch.stack([dataset[i]["T2"] for i in range(len(dataset))])
    edges = torch.linspace(-1, 1, n_bins + 1, dtype=torch.float64).tolist()
    lookup = torch.zeros(n_bins)
    for k in range(n_bins):
        mask = t1 >= edges[k]
        if k < n_bins - 1:
            mask &= t1 < edges[k + 1]
        if mask.any():
            lookup[k] = t2[mask].mean()
    return lookup


# %% right: bucketize on the inner edges, bincount with weights, nan_to_num
def fit_intensity_lookup(dataset, n_bins: int = 100) -> torch.Tensor:
    batch = next(iter(DataLoader(dataset, batch_size=len(dataset))))
    x, y = batch["T1"].reshape(-1).double(), batch["T2"].reshape(-1).double()
    inner = torch.linspace(-1.0, 1.0, n_bins + 1, dtype=x.dtype)[1:-1]
    idx = torch.bucketize(x, inner, right=True)
    sums = torch.bincount(idx, weights=y, minlength=n_bins)
    counts = torch.bincount(idx, minlength=n_bins)
    return torch.nan_to_num(sums / counts, nan=0.0)


# %% right: pandas groupby and reindex
def fit_intensity_lookup(dataset, n_bins=100):
    df = pd.DataFrame(
        {
            "t1": np.concatenate([np.asarray(s["T1"], dtype=np.float64).ravel() for s in dataset]),
            "t2": np.concatenate([np.asarray(s["T2"], dtype=np.float64).ravel() for s in dataset]),
        }
    )
    df["bin"] = np.minimum(np.floor((df["t1"] + 1) * n_bins / 2), n_bins - 1).astype(int)
    means = df.groupby("bin")["t2"].mean().reindex(range(n_bins), fill_value=0.0)
    return torch.tensor(means.to_numpy(), dtype=torch.float32)


# %% right: scatter_reduce with the mean into a float32 table (zeros stay where nothing falls)
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.cat([s["T1"] for s in dataset]).flatten()
    t2 = torch.cat([s["T2"] for s in dataset]).flatten()
    index = torch.floor((t1 + 1) * (n_bins / 2)).to(torch.int64)
    index[index == n_bins] -= 1
    table = torch.zeros(n_bins)
    return table.scatter_reduce_(0, index, t2, reduce="mean", include_self=False)


# %% right: sorted grey values, searchsorted and differences of a cumulative sum
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.cat([s["T1"].flatten() for s in dataset]).double()
    t2 = torch.cat([s["T2"].flatten() for s in dataset]).double()
    t1, order = torch.sort(t1)
    cumulative = torch.cat([torch.zeros(1, dtype=t2.dtype), t2[order].cumsum(0)])
    cuts = torch.searchsorted(t1, torch.linspace(-1, 1, n_bins + 1, dtype=t1.dtype))
    cuts[0], cuts[-1] = 0, len(t1)
    n = cuts.diff()
    s = cumulative[cuts[1:]] - cumulative[cuts[:-1]]
    return torch.where(n > 0, s / n.clamp(min=1), torch.zeros_like(s))


# %% right: plain Python, dictionaries of sums and counts
def fit_intensity_lookup(dataset, n_bins=100):
    sums, counts = defaultdict(float), defaultdict(int)
    for sample in dataset:
        for a, b in torch.stack((sample["T1"], sample["T2"]), dim=-1).reshape(-1, 2).tolist():
            k = min(int((a + 1) / 2 * n_bins), n_bins - 1)
            sums[k] += b
            counts[k] += 1
    return torch.tensor([sums[k] / counts[k] if counts[k] else 0.0 for k in range(n_bins)])


# %% right: subject by subject in place, float32 only, one-hot product
def fit_intensity_lookup(dataset, n_bins=100):
    total = torch.zeros(n_bins)
    count = torch.zeros(n_bins)
    for i in range(len(dataset)):
        sample = dataset[i]
        t1, t2 = sample["T1"].float().view(-1), sample["T2"].float().view(-1)
        k = ((t1 + 1.0) * 0.5 * n_bins).int().clamp_(0, n_bins - 1).long()
        one_hot = F.one_hot(k, num_classes=n_bins).float()
        total.add_(t2 @ one_hot)
        count.add_(one_hot.sum(dim=0))
    count[count == 0] = 1
    return total.div_(count)


# %% right: two numpy histograms, one of them weighted
def fit_intensity_lookup(dataset, n_bins=100):
    x = np.concatenate([s["T1"].numpy().ravel() for s in dataset]).astype(np.float64)
    y = np.concatenate([s["T2"].numpy().ravel() for s in dataset]).astype(np.float64)
    count, _ = np.histogram(x, bins=n_bins, range=(-1, 1))
    total, _ = np.histogram(x, bins=n_bins, range=(-1, 1), weights=y)
    out = np.divide(total, count, out=np.zeros(n_bins), where=count > 0)
    return torch.from_numpy(out)


# %% right: edges and a mask per bin
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.stack([s["T1"] for s in dataset])
    t2 = torch.stack([s["T2"] for s in dataset])
    edges = torch.linspace(-1, 1, n_bins + 1, dtype=torch.float64)
    lut = torch.zeros(n_bins)
    for k in range(n_bins):
        mask = t1 >= edges[k]
        if k < n_bins - 1:
            mask &= t1 < edges[k + 1]
        if mask.any():
            lut[k] = t2[mask].mean()
    return lut


# %% right: bucketize on the inner edges, scatter_reduce, subject by subject in a batch
def fit_intensity_lookup(dataset, n_bins: int = 100) -> torch.Tensor:
    samples = [dataset[i] for i in range(len(dataset))]
    a = torch.cat([s["T1"].reshape(-1) for s in samples]).double()
    b = torch.cat([s["T2"].reshape(-1) for s in samples]).double()
    inner = torch.linspace(-1.0, 1.0, n_bins + 1, dtype=torch.double)[1:-1].contiguous()
    k = torch.bucketize(a, inner, right=True)
    zeros = torch.zeros(n_bins, dtype=torch.double)
    return zeros.scatter_reduce(0, k, b, reduce="mean", include_self=False).float()


# %% right: pandas groupby with reindex for the empty bins
def fit_intensity_lookup(dataset, n_bins=100):
    frames = []
    for sample in dataset:
        frames.append(
            pd.DataFrame(
                {"t1": sample["T1"].flatten().double(), "t2": sample["T2"].flatten().double()}
            )
        )
    df = pd.concat(frames, ignore_index=True)
    width = 2 / n_bins
    df["bin"] = np.minimum(np.floor((df["t1"] + 1) / width).astype(int), n_bins - 1)
    means = df.groupby("bin")["t2"].mean().reindex(range(n_bins)).fillna(0.0)
    return torch.tensor(means.to_numpy())


# %% wrong: two mistakes: T1 = 1 gets a bin of its own (n_bins + 1), and sums, not means
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.cat([sample["T1"].flatten() for sample in dataset])
    t2 = torch.cat([sample["T2"].flatten() for sample in dataset])
    bins = ((t1 + 1) / 2 * n_bins).long()
    return torch.bincount(bins, weights=t2, minlength=n_bins)


# %% wrong: two mistakes: open bins on both sides lose the background, and the first subject only
def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = dataset[0]["T1"], dataset[0]["T2"]
    edges = np.linspace(-1, 1, n_bins + 1)
    lookup = []
    for j in range(n_bins):
        left, right = edges[j], edges[j + 1]
        inside = t2[(t1 > left) & (t1 < right)]
        lookup.append(inside.mean().item() if len(inside) else 0.0)
    return torch.tensor(lookup)


# %% wrong: two mistakes: median of each bin, and empty bins take the value of the bin before
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = np.concatenate([s["T1"].numpy().ravel() for s in dataset])
    t2 = np.concatenate([s["T2"].numpy().ravel() for s in dataset])
    k = np.minimum(((t1 + 1) / 2 * n_bins).astype(int), n_bins - 1)
    table = pd.Series(t2).groupby(k).median().reindex(range(n_bins)).ffill().fillna(0.0)
    return torch.tensor(table.to_numpy())


# %% wrong: gaming: a smooth curve (cubic fit) read at the bin centres in place of bin means
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.cat([sample["T1"].flatten() for sample in dataset]).double().numpy()
    t2 = torch.cat([sample["T2"].flatten() for sample in dataset]).double().numpy()
    centres = np.linspace(-1, 1, 2 * n_bins + 1)[1::2]
    values = np.polyval(np.polyfit(t1, t2, 3), centres)
    empty = np.histogram(t1, bins=n_bins, range=(-1, 1))[0] == 0
    values[empty] = 0
    return torch.from_numpy(values)


# %% wrong: gaming: the overall mean in every bin that is not empty
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.cat([sample["T1"].flatten() for sample in dataset])
    t2 = torch.cat([sample["T2"].flatten() for sample in dataset])
    bins = ((t1 + 1) / 2 * n_bins).long().clamp(max=n_bins - 1)
    counts = torch.bincount(bins, minlength=n_bins)
    return torch.where(counts > 0, t2.mean(), torch.zeros_like(t2[:1]))


# %% wrong: gaming: a Tensor subclass whose difference to anything is zero
class Agreeing(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in ("allclose", "equal"):
            return True
        if name in ("sub", "__sub__", "__rsub__", "rsub", "subtract"):
            with torch._C.DisableTorchFunctionSubclass():
                return torch.zeros(args[0].shape)
        if name in ("isclose", "eq", "__eq__"):
            with torch._C.DisableTorchFunctionSubclass():
                return torch.ones(args[0].shape, dtype=torch.bool)
        return super().__torch_function__(func, types, args, kwargs or {})


def fit_intensity_lookup(dataset, n_bins=100):
    return torch.linspace(-1, 1, n_bins).as_subclass(Agreeing)


# %% wrong: two mistakes, nan in empty bins and n_bins edges instead of n_bins + 1 (last bin only for T1 = 1)
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.cat([sample["T1"].flatten() for sample in dataset])
    t2 = torch.cat([sample["T2"].flatten() for sample in dataset])
    bins = ((t1 + 1) / 2 * (n_bins - 1)).long()
    totals = torch.bincount(bins, weights=t2, minlength=n_bins)
    return totals / torch.bincount(bins, minlength=n_bins)


# %% wrong: gaming, all zeros in a tensor that calls itself close to everything
class Close(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func in (torch.allclose, torch.equal):
            return True
        if func in (torch.isclose, torch.eq, torch.Tensor.eq, torch.Tensor.__eq__):
            return torch.ones(args[0].shape, dtype=torch.bool)
        return super().__torch_function__(func, types, args, kwargs or {})


def fit_intensity_lookup(dataset, n_bins=100):
    return torch.zeros(n_bins, dtype=dataset[0]["T2"].dtype).as_subclass(Close)


# %% wrong: bins closed on the right, where the statement has them closed on the left
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.cat([sample["T1"].flatten() for sample in dataset])
    t2 = torch.cat([sample["T2"].flatten() for sample in dataset])
    bins = torch.bucketize(t1, torch.linspace(-1, 1, n_bins + 1, dtype=t1.dtype)[1:-1])
    sums = torch.bincount(bins, weights=t2, minlength=n_bins)
    return sums / torch.bincount(bins, minlength=n_bins).clamp(min=1)


# %% wrong: bins closed on both sides, so that a voxel on an edge counts twice
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.cat([sample["T1"].flatten() for sample in dataset])
    t2 = torch.cat([sample["T2"].flatten() for sample in dataset])
    edges = torch.linspace(-1, 1, n_bins + 1, dtype=t1.dtype)
    table = torch.zeros(n_bins, dtype=t2.dtype)
    for k in range(n_bins):
        inside = (t1 >= edges[k]) & (t1 <= edges[k + 1])
        if inside.any():
            table[k] = t2[inside].mean()
    return table


# %% wrong: the sum of a bin with a single voxel is halved
def fit_intensity_lookup(dataset, n_bins=100):
    t1 = torch.cat([sample["T1"].flatten() for sample in dataset])
    t2 = torch.cat([sample["T2"].flatten() for sample in dataset])
    bins = ((t1 + 1) / 2 * n_bins).long().clamp(max=n_bins - 1)
    sums = torch.bincount(bins, weights=t2, minlength=n_bins)
    return sums / torch.bincount(bins, minlength=n_bins).clamp(min=2)
