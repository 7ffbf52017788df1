# ruff: noqa: F811
import numpy as np
import torch


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


# %% wrong: empty bins are NaN
def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = dataset.t1.flatten(), dataset.t2.flatten()
    bins = ((t1 + 1) / 2 * n_bins).long().clamp(max=n_bins - 1)
    totals = torch.bincount(bins, weights=t2, minlength=n_bins)
    return totals / torch.bincount(bins, minlength=n_bins)


# %% wrong: last bin open
def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = dataset.t1.flatten(), dataset.t2.flatten()
    bins = ((t1 + 1) / 2 * n_bins).long()
    totals = torch.bincount(bins, weights=t2, minlength=n_bins)[:n_bins]
    return totals / torch.bincount(bins, minlength=n_bins)[:n_bins].clamp(min=1)


# %% wrong: bins between the smallest and largest value of one subject
def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = dataset.t1.flatten(), dataset.t2.flatten()
    bins = ((t1 + 1) / 2 * (n_bins - 1)).long()
    totals = torch.bincount(bins, weights=t2, minlength=n_bins)
    return totals / torch.bincount(bins, minlength=n_bins).clamp(min=1)


# %% wrong: means of subjects averaged
def fit_intensity_lookup(dataset, n_bins=100):
    tables = []
    for t1, t2 in zip(dataset.t1, dataset.t2, strict=True):
        bins = ((t1.flatten() + 1) / 2 * n_bins).long().clamp(max=n_bins - 1)
        totals = torch.bincount(bins, weights=t2.flatten(), minlength=n_bins)
        tables.append(totals / torch.bincount(bins, minlength=n_bins).clamp(min=1))
    return torch.stack(tables).mean(0)


# %% wrong: number of bins ignored
def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = dataset.t1.flatten(), dataset.t2.flatten()
    bins = ((t1 + 1) / 2 * 100).long().clamp(max=99)
    totals = torch.bincount(bins, weights=t2, minlength=100)
    return totals / torch.bincount(bins, minlength=100).clamp(min=1)


# %% wrong: T1 from T2
def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = dataset.t2.flatten(), dataset.t1.flatten()
    bins = ((t1 + 1) / 2 * n_bins).long().clamp(max=n_bins - 1)
    totals = torch.bincount(bins, weights=t2, minlength=n_bins)
    return totals / torch.bincount(bins, minlength=n_bins).clamp(min=1)


# %% wrong: sums instead of means
def fit_intensity_lookup(dataset, n_bins=100):
    t1, t2 = dataset.t1.flatten(), dataset.t2.flatten()
    bins = ((t1 + 1) / 2 * n_bins).long().clamp(max=n_bins - 1)
    return torch.bincount(bins, weights=t2, minlength=n_bins)
