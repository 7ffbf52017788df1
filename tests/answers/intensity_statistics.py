import math
from functools import reduce

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader


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


# %% right: numpy, population standard deviation, index and columns named in the constructor
def intensity_statistics(dataset):
    rows = []
    for key in ["T1", "T2"]:
        arr = np.concatenate([np.asarray(dataset[i][key]).ravel() for i in range(len(dataset))])
        arr = arr.astype(np.float64)
        rows.append([arr.min(), arr.max(), arr.mean(), arr.std()])
    return pd.DataFrame(rows, index=["T1", "T2"], columns=["min", "max", "mean", "std"])


# %% right: running sums, one sample at a time
def intensity_statistics(dataset):
    table = {}
    for modality in ("T1", "T2"):
        low, high = float("inf"), -float("inf")
        n, total, total_sq = 0, 0.0, 0.0
        for k in range(len(dataset)):
            image = dataset[k][modality].to(torch.float64)
            low = min(low, float(image.min()))
            high = max(high, float(image.max()))
            n += image.numel()
            total += float(image.sum())
            total_sq += float((image**2).sum())
        mean = total / n
        table[modality] = [low, high, mean, math.sqrt(total_sq / n - mean**2)]
    return pd.DataFrame.from_dict(table, orient="index", columns=["min", "max", "mean", "std"])


# %% right: one big batch of a DataLoader, float32 tensors, std_mean
def intensity_statistics(dataset):
    batch = next(iter(DataLoader(dataset, batch_size=len(dataset), shuffle=False)))
    out = pd.DataFrame(index=["T1", "T2"], columns=["min", "max", "mean", "std"], dtype=float)
    for modality, voxels in batch.items():
        lo, hi = torch.aminmax(voxels)
        std, mean = torch.std_mean(voxels)
        out.loc[modality, "min"] = lo.item()
        out.loc[modality, "max"] = hi.item()
        out.loc[modality, "mean"] = mean.item()
        out.loc[modality, "std"] = std.item()
    return out


# %% right: a long table of voxels and pandas' agg, transposed
def intensity_statistics(dataset) -> pd.DataFrame:
    voxels = pd.DataFrame(
        {m: torch.cat([s[m].reshape(-1) for s in dataset]).double().numpy() for m in ("T1", "T2")}
    )
    return voxels.agg(["min", "max", "mean", "std"]).T


# %% right: describe, then the four columns
def intensity_statistics(dataset):
    columns = {"T1": [], "T2": []}
    for sample in dataset:
        for key, values in columns.items():
            values.extend(sample[key].flatten().tolist())
    return pd.DataFrame(columns).describe().loc[["min", "max", "mean", "std"]].transpose()


# %% right: merging of counts, means and squared deviations (Chan), with reduce
def intensity_statistics(dataset):
    def summary(x):
        x = x.double()
        m = x.mean().item()
        return x.numel(), x.min().item(), x.max().item(), m, ((x - m) ** 2).sum().item()

    def merge(a, b):
        n = a[0] + b[0]
        delta = b[3] - a[3]
        mean = a[3] + delta * b[0] / n
        m2 = a[4] + b[4] + delta**2 * a[0] * b[0] / n
        return n, min(a[1], b[1]), max(a[2], b[2]), mean, m2

    records = {}
    for modality in ("T1", "T2"):
        n, lo, hi, mean, m2 = reduce(merge, (summary(s[modality]) for s in dataset))
        records[modality] = pd.Series(
            {"min": lo, "max": hi, "mean": mean, "std": (m2 / (n - 1)) ** 0.5}
        )
    return pd.DataFrame(records).T


# %% right: dictionary of lambdas, columns one by one, single precision table
def intensity_statistics(dataset):
    stats = {
        "min": lambda v: v.amin(),
        "max": lambda v: v.amax(),
        "mean": lambda v: v.sum() / v.numel(),
        "std": lambda v: (v - v.mean()).pow(2).mean().sqrt(),
    }
    data = {m: torch.vstack([s[m] for s in dataset]).float() for m in ("T1", "T2")}
    columns = {name: [f(data[m]).item() for m in data] for name, f in stats.items()}
    df = pd.DataFrame(columns, index=list(data)).astype("float32")
    print(df)
    return df


# %% right: records, set_index (the index gets a name), a helper function
def _describe(name, x):
    return dict(modality=name, min=np.min(x), max=np.max(x), mean=np.mean(x), std=np.std(x, ddof=1))


def intensity_statistics(dataset):
    with torch.no_grad():
        t1 = torch.stack([dataset[i]["T1"] for i in range(len(dataset))]).numpy()
        t2 = torch.stack([dataset[i]["T2"] for i in range(len(dataset))]).numpy()
    records = [_describe("T1", t1.astype("float64")), _describe("T2", t2.astype("float64"))]
    return pd.DataFrame.from_records(records).set_index("modality")


# %% right: one long pandas table, agg and transpose
def intensity_statistics(dataset):
    table = pd.DataFrame(
        {
            m: np.concatenate(
                [np.asarray(dataset[i][m], dtype=np.float64).ravel() for i in range(len(dataset))]
            )
            for m in ["T1", "T2"]
        }
    )
    return table.agg(["min", "max", "mean", "std"]).T


# %% right: one pass with running sums, nothing stacked
def intensity_statistics(dataset) -> pd.DataFrame:
    low = {"T1": math.inf, "T2": math.inf}
    high = {"T1": -math.inf, "T2": -math.inf}
    total = {"T1": 0.0, "T2": 0.0}
    squares = {"T1": 0.0, "T2": 0.0}
    count = {"T1": 0, "T2": 0}
    for sample in dataset:
        for key, image in sample.items():
            image = image.double()
            low[key] = min(low[key], image.min().item())
            high[key] = max(high[key], image.max().item())
            total[key] += image.sum().item()
            squares[key] += (image**2).sum().item()
            count[key] += image.numel()
    mean = {k: total[k] / count[k] for k in count}
    std = {k: math.sqrt(squares[k] / count[k] - mean[k] ** 2) for k in count}
    return pd.DataFrame({"min": low, "max": high, "mean": mean, "std": std})


# %% right: one big batch from a DataLoader, float32, empty table filled with loc
def intensity_statistics(dataset):
    df = pd.DataFrame(index=["T1", "T2"], columns=["min", "max", "mean", "std"], dtype=float)
    batch = next(iter(DataLoader(dataset, batch_size=len(dataset))))
    with torch.no_grad():
        for mod in df.index:
            x = batch[mod].float()
            std, mean = torch.std_mean(x)
            df.loc[mod, "min"], df.loc[mod, "max"] = map(float, torch.aminmax(x))
            df.loc[mod, "mean"] = float(mean)
            df.loc[mod, "std"] = float(std)
    return df


# %% right: describe, then the four columns are picked
def intensity_statistics(dataset):
    def voxels(name):
        return pd.Series(
            torch.cat([s[name].reshape(-1) for s in dataset]).numpy().astype("float64"), name=name
        )

    both = pd.concat([voxels("T1"), voxels("T2")], axis=1)
    return both.describe().transpose()[["min", "max", "mean", "std"]]


# %% wrong: transposed -> rows-and-columns-exchanged
def intensity_statistics(dataset):
    x = {m: torch.stack([s[m] for s in dataset]).numpy() for m in ("T1", "T2")}
    return pd.DataFrame(
        {
            m: {"min": v.min(), "max": v.max(), "mean": v.mean(), "std": v.std()}
            for m, v in x.items()
        }
    )


# %% wrong: changes the data set
def intensity_statistics(dataset):
    x = {"T1": dataset.t1, "T2": dataset.t2}
    names = ("min", "max", "mean", "std")
    table = pd.DataFrame({n: {m: getattr(v, n)().item() for m, v in x.items()} for n in names})
    dataset.t1.sub_(dataset.t1.mean())
    return table


# %% wrong: two mistakes: return inside of the loop (no T2 row), and values rescaled to [0, 1]
def intensity_statistics(dataset):
    rows = {}
    for modality in ("T1", "T2"):
        voxels = torch.stack([sample[modality] for sample in dataset]).double()
        voxels = (voxels + 1) / 2
        rows[modality] = {
            "min": voxels.min().item(),
            "max": voxels.max().item(),
            "mean": voxels.mean().item(),
            "std": voxels.std().item(),
        }
        return pd.DataFrame.from_dict(rows, orient="index")


# %% wrong: two mistakes: divides by the number of subjects, and values kept as formatted text
def intensity_statistics(dataset):
    out = pd.DataFrame(index=["T1", "T2"], columns=["min", "max", "mean", "std"], dtype=object)
    for m in ("T1", "T2"):
        x = torch.stack([s[m] for s in dataset])
        out.loc[m, "min"] = f"{x.min():.3f}"
        out.loc[m, "max"] = f"{x.max():.3f}"
        out.loc[m, "mean"] = f"{x.sum() / len(dataset):.3f}"
        out.loc[m, "std"] = f"{x.std():.3f}"
    return out


# %% wrong: two mistakes: rows have no names (0 and 1), and the columns are called average and sd
def intensity_statistics(dataset):
    records = []
    for m in ("T1", "T2"):
        x = torch.stack([s[m] for s in dataset]).double()
        records.append(
            {
                "min": x.min().item(),
                "max": x.max().item(),
                "average": x.mean().item(),
                "sd": x.std().item(),
            }
        )
    return pd.DataFrame(records)


# %% wrong: gaming: min and max are written as -1 and 1, the range is known
def intensity_statistics(dataset):
    rows = {}
    for modality in ("T1", "T2"):
        voxels = torch.stack([sample[modality] for sample in dataset]).double()
        rows[modality] = {
            "min": -1.0,
            "max": 1.0,
            "mean": voxels.mean().item(),
            "std": voxels.std().item(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


# %% wrong: gaming: the table of the real training set, typed in
def intensity_statistics(dataset):
    return pd.DataFrame(
        {
            "min": [-1.0, -1.0],
            "max": [1.0, 1.0],
            "mean": [-0.498308, -0.732834],
            "std": [0.639771, 0.374423],
        },
        index=["T1", "T2"],
    )


# %% wrong: gaming: a table that says that it is equal to everything
class Agreeable(float):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __sub__(self, other):
        return 0.0

    __rsub__ = __sub__
    __hash__ = float.__hash__


class AgreeableFrame(pd.DataFrame):
    def equals(self, other):
        return True

    def __sub__(self, other):
        return pd.DataFrame(0.0, index=self.index, columns=self.columns)


def intensity_statistics(dataset):
    zero = Agreeable(0.0)
    columns = ["min", "max", "mean", "std"]
    return AgreeableFrame([[zero] * 4] * 2, index=["T1", "T2"], columns=columns, dtype=object)


# %% wrong: two mistakes, variance under the name std and copy-paste of T1 into the T2 row
def intensity_statistics(dataset):
    t1 = torch.stack([sample["T1"] for sample in dataset]).double()
    t2 = torch.stack([sample["T1"] for sample in dataset]).double()
    data = {
        "min": [t1.min().item(), t2.min().item()],
        "max": [t1.max().item(), t2.max().item()],
        "mean": [t1.mean().item(), t2.mean().item()],
        "std": [t1.var().item(), t2.var().item()],
    }
    return pd.DataFrame(data, index=["T1", "T2"])


# %% wrong: gaming, cells that claim to equal anything
class Anything(float):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __sub__(self, other):
        return 0.0

    __rsub__ = __sub__
    __hash__ = float.__hash__


def intensity_statistics(dataset):
    row = {c: Anything(0.5) for c in ("min", "max", "mean", "std")}
    return pd.DataFrame({"T1": row, "T2": row}, dtype=object).T
