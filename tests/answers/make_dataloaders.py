# ruff: noqa: F811
import torch
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, Subset

from labhelpers.data import IXIDataset


# %% right: positional arguments
def make_dataloaders(root, batch_size=40):
    train, test = (IXIDataset(root, mode) for mode in ("train", "test"))
    return [DataLoader(train, batch_size, True), DataLoader(test, 5)]


# %% right: samplers
def make_dataloaders(root, batch_size=40):
    train = IXIDataset(root)
    test = IXIDataset(root, mode="test")
    return (
        DataLoader(train, batch_size=batch_size, sampler=RandomSampler(train)),
        DataLoader(test, batch_size=5, sampler=SequentialSampler(test), drop_last=False),
    )


# %% right: own generator and a wrapped test set
def make_dataloaders(root, batch_size=40):
    shuffle = torch.Generator().manual_seed(3)
    test = IXIDataset(str(root), mode="test")
    return (
        DataLoader(IXIDataset(str(root)), batch_size, shuffle=True, generator=shuffle),
        DataLoader(Subset(test, range(len(test))), batch_size=5),
    )


# %% right: loaders written by hand
class Loader:
    def __init__(self, dataset, batch_size, shuffle):
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self):
        n = len(self.dataset)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for part in order.split(self.batch_size):
            yield {"T1": self.dataset.t1[part], "T2": self.dataset.t2[part]}


def make_dataloaders(root, batch_size=40):
    return Loader(IXIDataset(root), batch_size, True), Loader(IXIDataset(root, "test"), 5, False)


# %% wrong: not shuffled
def make_dataloaders(root, batch_size=40):
    return (
        DataLoader(IXIDataset(root), batch_size=batch_size),
        DataLoader(IXIDataset(root, "test"), batch_size=5),
    )


# %% wrong: shuffled once
def make_dataloaders(root, batch_size=40):
    train = IXIDataset(root)
    train = Subset(train, torch.randperm(len(train)).tolist())
    return (
        DataLoader(train, batch_size=batch_size),
        DataLoader(IXIDataset(root, "test"), batch_size=5),
    )


# %% wrong: last batch dropped
def make_dataloaders(root, batch_size=40):
    return (
        DataLoader(IXIDataset(root), batch_size=batch_size, shuffle=True, drop_last=True),
        DataLoader(IXIDataset(root, "test"), batch_size=5),
    )


# %% wrong: test set shuffled
def make_dataloaders(root, batch_size=40):
    return (
        DataLoader(IXIDataset(root), batch_size=batch_size, shuffle=True),
        DataLoader(IXIDataset(root, "test"), batch_size=5, shuffle=True),
    )


# %% wrong: test batches as large as the training batches
def make_dataloaders(root, batch_size=40):
    return (
        DataLoader(IXIDataset(root), batch_size=batch_size, shuffle=True),
        DataLoader(IXIDataset(root, "test"), batch_size=batch_size),
    )


# %% wrong: batch size ignored
def make_dataloaders(root, batch_size=40):
    return (
        DataLoader(IXIDataset(root), batch_size=40, shuffle=True),
        DataLoader(IXIDataset(root, "test"), batch_size=5),
    )


# %% wrong: training set twice
def make_dataloaders(root, batch_size=40):
    return (
        DataLoader(IXIDataset(root), batch_size=batch_size, shuffle=True),
        DataLoader(IXIDataset(root), batch_size=5),
    )


# %% wrong: other order
def make_dataloaders(root, batch_size=40):
    return (
        DataLoader(IXIDataset(root, "test"), batch_size=5),
        DataLoader(IXIDataset(root), batch_size=batch_size, shuffle=True),
    )


# %% wrong: one loader
def make_dataloaders(root, batch_size=40):
    return DataLoader(IXIDataset(root), batch_size=batch_size, shuffle=True)
