import math
import random

import numpy as np
import torch
from torch.utils import data
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    default_collate,
    random_split,
)

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


# %% right: options in dictionaries, all spelled out, with a print
def make_dataloaders(root, batch_size=40):
    common = dict(num_workers=0, pin_memory=False, drop_last=False)
    train_kwargs = {"batch_size": batch_size, "shuffle": True, **common}
    test_kwargs = {"batch_size": 5, "shuffle": False, **common}
    train_loader = DataLoader(IXIDataset(root, "train"), **train_kwargs)
    test_loader = DataLoader(IXIDataset(root, "test"), **test_kwargs)
    print("train batches:", len(train_loader), "test batches:", len(test_loader))
    return train_loader, test_loader


# %% right: random and sequential samplers instead of shuffle
def make_dataloaders(root: str, batch_size: int = 40):
    train_set = IXIDataset(root=root, mode="train")
    test_set = IXIDataset(root=root, mode="test")
    return (
        DataLoader(train_set, batch_size, sampler=RandomSampler(train_set)),
        DataLoader(test_set, 5, sampler=SequentialSampler(test_set)),
    )


# %% right: batch samplers (the loader's own batch_size is None)
def make_dataloaders(root, batch_size=40):
    train_set, test_set = (IXIDataset(root, mode=m) for m in ("train", "test"))
    n_test = len(test_set)
    train_batches = BatchSampler(RandomSampler(train_set), batch_size, drop_last=False)
    test_batches = [list(range(i, min(i + 5, n_test))) for i in range(0, n_test, 5)]
    train_loader = data.DataLoader(train_set, batch_sampler=train_batches)
    test_loader = data.DataLoader(test_set, batch_sampler=test_batches)
    return train_loader, test_loader


# %% right: own collate function
def make_dataloaders(root, batch_size=40):
    def collate(samples):
        return {key: torch.stack([s[key] for s in samples], dim=0) for key in ("T1", "T2")}

    loaders = []
    for mode in ["train", "test"]:
        is_train = mode == "train"
        loaders.append(
            DataLoader(
                IXIDataset(root, mode=mode),
                batch_size=batch_size if is_train else 5,
                shuffle=is_train,
                collate_fn=collate,
            )
        )
    return tuple(loaders)


# %% right: seeded generator, still another order in every epoch
def make_dataloaders(root, batch_size=40):
    g = torch.Generator()
    g.manual_seed(42)
    train_loader = DataLoader(
        IXIDataset(root, mode="train"), batch_size=batch_size, shuffle=True, generator=g
    )
    test_loader = DataLoader(IXIDataset(root, mode="test"), batch_size=5)
    return train_loader, test_loader


# %% right: own sampler class with python's random
class ShuffleSampler(Sampler):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        order = list(range(self.n))
        random.shuffle(order)
        return iter(order)

    def __len__(self):
        return self.n


def make_dataloaders(root, batch_size=40):
    train_set = IXIDataset(root, mode="train")
    test_set = IXIDataset(root, mode="test")
    train_loader = DataLoader(
        train_set, batch_size=batch_size, sampler=ShuffleSampler(len(train_set))
    )
    test_loader = DataLoader(test_set, batch_size=5, sampler=range(len(test_set)))
    return train_loader, test_loader


# %% right: workers and pinned memory as in the PyTorch tutorials
def make_dataloaders(root, batch_size=40):
    pin = torch.cuda.is_available()
    train_loader = DataLoader(
        IXIDataset(root, mode="train"),
        batch_size=batch_size,
        shuffle=True,
        num_workers=2,
        pin_memory=pin,
    )
    test_loader = DataLoader(
        IXIDataset(root, mode="test"), batch_size=5, shuffle=False, num_workers=1, pin_memory=pin
    )
    return train_loader, test_loader


# %% right: own dataset wrapper and a subclass of DataLoader
class PairDataset(Dataset):
    def __init__(self, root, mode):
        self.samples = [s for s in IXIDataset(root, mode=mode)]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        s = self.samples[i]
        return {"T1": s["T1"].float(), "T2": s["T2"].float()}


class BrainLoader(DataLoader):
    def __init__(self, root, mode, batch_size):
        super().__init__(PairDataset(root, mode), batch_size=batch_size, shuffle=(mode == "train"))


def make_dataloaders(root, batch_size=40):
    return BrainLoader(root, "train", batch_size), BrainLoader(root, "test", 5)


# %% right: batch samplers made by hand
def make_dataloaders(root, batch_size=40):
    parts = {m: IXIDataset(root, mode=m) for m in ("train", "test")}
    train_batches = BatchSampler(
        RandomSampler(parts["train"]), batch_size=batch_size, drop_last=False
    )
    test_batches = BatchSampler(SequentialSampler(parts["test"]), batch_size=5, drop_last=False)
    return (
        DataLoader(parts["train"], batch_sampler=train_batches),
        DataLoader(parts["test"], batch_sampler=test_batches),
    )


# %% right: positional arguments, own collate function, returned as a list comprehension's tuple
def make_dataloaders(root, batch_size: int = 40):
    def glue(samples):
        return {key: torch.cat([s[key][None] for s in samples]) for key in ("T1", "T2")}

    settings = [("train", batch_size, True), ("test", 5, False)]
    return tuple(DataLoader(IXIDataset(root, m), b, s, collate_fn=glue) for m, b, s in settings)


# %% right: own random sampler class that permutes with numpy at each iteration
class Permute(Sampler):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __iter__(self):
        yield from np.random.permutation(self.n).tolist()


def make_dataloaders(root, batch_size=40):
    train = IXIDataset(root, "train")
    print("train subjects:", len(train))
    test = IXIDataset(root, "test")
    print("test subjects:", len(test))
    return DataLoader(train, batch_size, sampler=Permute(len(train))), DataLoader(test, 5)


# %% right: reproducible generator that goes on from epoch to epoch, pinned memory if a GPU is there
def make_dataloaders(root, batch_size=40):
    g = torch.Generator()
    g.manual_seed(42)
    common = dict(num_workers=0, pin_memory=torch.cuda.is_available(), drop_last=False)
    train_dataset = IXIDataset(root)
    sampler = SubsetRandomSampler(range(len(train_dataset)), generator=g)
    trainloader = DataLoader(train_dataset, batch_size=batch_size, sampler=sampler, **common)
    testloader = DataLoader(IXIDataset(root, mode="test"), batch_size=5, shuffle=False, **common)
    return trainloader, testloader


# %% wrong: one loader
def make_dataloaders(root, batch_size=40):
    return DataLoader(IXIDataset(root), batch_size=batch_size, shuffle=True)


# %% wrong: two mistakes: shuffles the test set, not the training set; collate loses the channel
def make_dataloaders(root, batch_size=40):
    def collate(samples):
        return {k: torch.cat([s[k] for s in samples]) for k in ("T1", "T2")}

    train_loader = DataLoader(IXIDataset(root, "train"), batch_size, False, collate_fn=collate)
    test_loader = DataLoader(IXIDataset(root, "test"), 5, True, collate_fn=collate)
    return train_loader, test_loader


# %% wrong: two mistakes: drops the last batch of both and leaves the test batch size at 1 -> last-training-batch-dropped, test-batches-of-one
def make_dataloaders(root, batch_size=40):
    train_loader = DataLoader(IXIDataset(root, "train"), batch_size, shuffle=True, drop_last=True)
    test_loader = DataLoader(IXIDataset(root, "test"), drop_last=True)
    return train_loader, test_loader


# %% wrong: two mistakes: returns one-shot iterators, and their batches are pairs, not dictionaries
def make_dataloaders(root, batch_size=40):
    def pairs(samples):
        batch = default_collate(samples)
        return batch["T1"], batch["T2"]

    train_loader = DataLoader(
        IXIDataset(root, mode="train"), batch_size=batch_size, shuffle=True, collate_fn=pairs
    )
    test_loader = DataLoader(IXIDataset(root, mode="test"), batch_size=5, collate_fn=pairs)
    return iter(train_loader), iter(test_loader)


# %% wrong: gaming: a loader whose length counts the last batch, which it drops -> last-test-batch-dropped, last-training-batch-dropped
class FullLoader(DataLoader):
    def __len__(self):
        return math.ceil(len(self.dataset) / self.batch_size)


def make_dataloaders(root, batch_size=40):
    train_loader = FullLoader(IXIDataset(root, "train"), batch_size, shuffle=True, drop_last=True)
    test_loader = FullLoader(IXIDataset(root, "test"), 5, shuffle=False, drop_last=True)
    return train_loader, test_loader


# %% wrong: two mistakes, batch size 40 written into the training loader and the test set shuffled -> test-set-shuffled, batch-size-fixed
def make_dataloaders(root, batch_size=40):
    train_set = IXIDataset(root, mode="train")
    test_set = IXIDataset(root, mode="test")
    train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=5, shuffle=True)
    return train_loader, test_loader


# %% wrong: test batches of 5, or of batch_size if that is smaller
def make_dataloaders(root, batch_size=40):
    train_set, test_set = (IXIDataset(root, mode=mode) for mode in ("train", "test"))
    train_loader = DataLoader(train_set, batch_size, shuffle=True)
    return train_loader, DataLoader(test_set, min(5, batch_size))


# %% wrong: shuffled within batches, each of which keeps its subjects
def make_dataloaders(root, batch_size=40):
    train_set, test_set = (IXIDataset(root, mode=mode) for mode in ("train", "test"))

    class Blocks:
        def __iter__(self):
            for start in range(0, len(train_set), batch_size):
                block = range(start, min(start + batch_size, len(train_set)))
                yield [block[k] for k in torch.randperm(len(block)).tolist()]

        def __len__(self):
            return -(-len(train_set) // batch_size)

    return DataLoader(train_set, batch_sampler=Blocks()), DataLoader(test_set, 5)


# %% wrong: batches whose order is shuffled, each of which keeps its subjects
def make_dataloaders(root, batch_size=40):
    train_set, test_set = (IXIDataset(root, mode=mode) for mode in ("train", "test"))
    batches = list(BatchSampler(SequentialSampler(train_set), batch_size, drop_last=False))
    train_loader = DataLoader(train_set, batch_sampler=SubsetRandomSampler(batches))
    return train_loader, DataLoader(test_set, 5)


# %% wrong: shuffled within windows of 16 subjects
class Windows(Sampler):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __iter__(self):
        for part in torch.arange(self.n).split(16):
            yield from part[torch.randperm(len(part))].tolist()


def make_dataloaders(root, batch_size=40):
    train_set, test_set = (IXIDataset(root, mode=mode) for mode in ("train", "test"))
    train_loader = DataLoader(train_set, batch_size, sampler=Windows(len(train_set)))
    return train_loader, DataLoader(test_set, 5)


# %% wrong: each subject drawn from a buffer of the next 16
class Buffer(Sampler):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __iter__(self):
        waiting, coming = [], list(range(self.n))
        while coming or waiting:
            while coming and len(waiting) < 16:
                waiting.append(coming.pop(0))
            yield waiting.pop(random.randrange(len(waiting)))


def make_dataloaders(root, batch_size=40):
    train_set, test_set = (IXIDataset(root, mode=mode) for mode in ("train", "test"))
    train_loader = DataLoader(train_set, batch_size, sampler=Buffer(len(train_set)))
    return train_loader, DataLoader(test_set, 5)


# %% wrong: the order of the data set, begun somewhere else in every epoch
class Turned(Sampler):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __iter__(self):
        start = random.randrange(self.n)
        return iter([*range(start, self.n), *range(start)])


def make_dataloaders(root, batch_size=40):
    train_set, test_set = (IXIDataset(root, mode=mode) for mode in ("train", "test"))
    train_loader = DataLoader(train_set, batch_size, sampler=Turned(len(train_set)))
    return train_loader, DataLoader(test_set, 5)
