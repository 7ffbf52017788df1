import numpy as np
import torch
from torch.utils.data import DataLoader

from labhelpers.anatomy import head_outline, head_overlap, middle_grey, scaled


# %% right: the slices as numpy arrays, copies found by their bytes
def audit_split(train_set, test_set):
    problems = set()
    codes = []
    for part in (train_set, test_set):
        arrays = [np.stack([item["T1"].numpy()[0], item["T2"].numpy()[0]]) for item in part]
        codes.append({array.tobytes() for array in arrays})
        if part is train_set:
            flipped = {np.ascontiguousarray(array[:, ::-1]).tobytes() for array in arrays}
        for t1, t2 in arrays:
            for image in (t1, t2):
                fine = image[np.isfinite(image)]
                if fine.size < image.size:
                    problems.add("values not finite")
                if not np.allclose([fine.min(), fine.max()], [-1, 1], atol=0.05):
                    problems.add("another scale")
            if middle_grey(torch.tensor(t1)) < middle_grey(torch.tensor(t2)):
                problems.add("modalities exchanged")
        overlaps = [head_overlap(torch.tensor(t1), torch.tensor(t2)) for t1, t2 in arrays]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
    if codes[0] & codes[1]:
        problems.add("subject on both sides")
    if flipped & codes[1]:
        problems.add("mirrored copy on both sides")
    return problems


# %% right: all distances at once, one threshold of a grey
def audit_split(train_set, test_set):
    found = []
    stacks = []
    for part in (train_set, test_set):
        t1 = torch.stack([part[i]["T1"] for i in range(len(part))])
        t2 = torch.stack([part[i]["T2"] for i in range(len(part))])
        both = torch.cat((t1, t2), dim=1)
        stacks.append(both)
        if not torch.isfinite(both).all():
            found.append("values not finite")
        clean = torch.where(torch.isfinite(both), both, torch.zeros_like(both))
        low, high = clean.amin(dim=(2, 3)), clean.amax(dim=(2, 3))
        if ((low + 1).abs() > 0.05).any() or ((high - 1).abs() > 0.05).any():
            found.append("another scale")
        for i in range(len(part)):
            if middle_grey(t1[i]) < 0.58 and middle_grey(t2[i]) > 0.58:
                found.append("modalities exchanged")
        overlaps = [head_overlap(t1[i], t2[i]) for i in range(len(part))]
        if sum(overlaps) < 0.957 * len(part):
            found.append("pairs exchanged")
    train, test = (stack.nan_to_num(7.0, 8.0, 9.0).flatten(1) for stack in stacks)
    mirrored = stacks[0].nan_to_num(7.0, 8.0, 9.0).flip(2).flatten(1)
    if (torch.cdist(train, test, compute_mode="donot_use_mm_for_euclid_dist") == 0).any():
        found.append("subject on both sides")
    if (torch.cdist(mirrored, test, compute_mode="donot_use_mm_for_euclid_dist") == 0).any():
        found.append("mirrored copy on both sides")
    return set(found)


# %% right: copies within rounding, one helper for each question
def audit_split(train_set, test_set):
    def has_copy(change):
        return any(
            all(torch.allclose(change(a[m]), b[m], atol=1e-6, equal_nan=True) for m in ("T1", "T2"))
            for a in train_set
            for b in test_set
        )

    def images():
        for part in (train_set, test_set):
            for item in part:
                yield item["T1"]
                yield item["T2"]

    def off_scale(image):
        values = image[~(image.isnan() | image.isinf())]
        return not (-1.05 <= values.min() <= -0.95 and 0.95 <= values.max() <= 1.05)

    def exchanged(part):
        own = torch.tensor([head_overlap(s["T1"], s["T2"]) for s in part])
        other = torch.tensor(
            [head_overlap(part[k]["T1"], part[k - 1]["T2"]) for k in range(len(part))]
        )
        return bool(own.mean() < other.mean() + 0.01)

    answers = {
        "subject on both sides": has_copy(lambda x: x),
        "mirrored copy on both sides": has_copy(lambda x: torch.flip(x, dims=[-2])),
        "pairs exchanged": exchanged(train_set) or exchanged(test_set),
        "modalities exchanged": any(
            middle_grey(s["T1"]) < middle_grey(s["T2"])
            for part in (train_set, test_set)
            for s in part
        ),
        "another scale": any(off_scale(image) for image in images()),
        "values not finite": any(bool((~image.isfinite()).any()) for image in images()),
    }
    return {name for name, is_so in answers.items() if is_so}


# %% right: batches of a DataLoader, the largest difference of all pairs
def audit_split(train_set, test_set):
    problems = set()
    vectors = []
    for part in (train_set, test_set):
        batch = next(iter(DataLoader(part, batch_size=len(part))))
        t1, t2 = batch["T1"], batch["T2"]
        both = torch.stack((t1, t2))
        if both.isnan().any() or both.isinf().any():
            problems.add("values not finite")
        for image in both.flatten(0, 1):
            finite = image[image.isfinite()]
            if (finite.min() + 1).abs() > 0.05 or (finite.max() - 1).abs() > 0.05:
                problems.add("another scale")
        if any(middle_grey(a) - middle_grey(b) < 0 for a, b in zip(t1, t2)):
            problems.add("modalities exchanged")
        mean = sum(head_overlap(a, b) for a, b in zip(t1, t2)) / len(part)
        if mean < 0.95:
            problems.add("pairs exchanged")
        vectors.append(torch.cat((t1, t2), dim=1).nan_to_num(0, 1, -1))
    train, test = vectors

    def least(a, b):
        return torch.cdist(a.flatten(1), b.flatten(1), p=torch.inf).min()

    if least(train, test) < 1e-4:
        problems.add("subject on both sides")
    if least(train.flip(2), test) < 1e-4:
        problems.add("mirrored copy on both sides")
    return problems


# %% right: a mean absolute difference, mirrored by an index
def audit_split(train_set, test_set):
    result = set()
    backwards = torch.arange(63, -1, -1)
    for i in range(len(train_set)):
        for j in range(len(test_set)):
            a, b = train_set[i], test_set[j]
            if max((a[m] - b[m]).abs().mean() for m in ("T1", "T2")) < 1e-4:
                result.add("subject on both sides")
            if max((a[m][:, backwards] - b[m]).abs().mean() for m in ("T1", "T2")) < 1e-4:
                result.add("mirrored copy on both sides")
    for part in [train_set, test_set]:
        n = len(part)
        right = wrong = 0.0
        for i in range(n):
            item, t2 = part[i], part[(i + 3) % n]["T2"]
            right += head_overlap(item["T1"], item["T2"]) / n
            wrong += head_overlap(item["T1"], t2) / n
            for m in ("T1", "T2"):
                x = item[m]
                ok = torch.isfinite(x)
                if ok.sum() != x.numel():
                    result.add("values not finite")
                if round(x[ok].min().item(), 1) != -1 or round(x[ok].max().item(), 1) != 1:
                    result.add("another scale")
            if middle_grey(item["T2"]) > middle_grey(item["T1"]):
                result.add("modalities exchanged")
        if right < 0.955 or right < wrong:
            result.add("pairs exchanged")
    return result


# %% right: outlines and brightness of its own, without the helpers of the lab
def audit_split(train_set, test_set):
    problems = set()

    def unit(image):
        x = image[0].clone()
        good = x.isfinite()
        x[~good] = x[good].min()
        return (x - x.min()) / (x.max() - x.min())

    def head(image):
        x = (unit(image) > 0.05).int()
        for axis in (0, 1):
            x = x.cummax(axis).values & x.flip(axis).cummax(axis).values.flip(axis)
        return x

    for a in train_set:
        for b in test_set:
            same = all(torch.equal(a[m], b[m]) for m in a)
            mirrored = all(torch.equal(torch.fliplr(a[m][0].T).T, b[m][0]) for m in a)
            if same:
                problems |= {"subject on both sides"}
            if mirrored:
                problems |= {"mirrored copy on both sides"}
    for part in (train_set, test_set):
        shares = []
        for item in part:
            one, two = head(item["T1"]), head(item["T2"])
            shares.append(float((one & two).sum() / (one | two).sum()))
            centre = {m: unit(item[m])[20:44, 20:44] for m in item}
            share = {m: (x > 0.5 * x.max()).double().mean() for m, x in centre.items()}
            if share["T1"] < share["T2"]:
                problems.add("modalities exchanged")
            for m in item:
                values = [
                    v for v in item[m].flatten().tolist() if abs(v) != float("inf") and v == v
                ]
                if len(values) < 64 * 64:
                    problems.add("values not finite")
                if abs(min(values) + 1) > 0.05 or abs(max(values) - 1) > 0.05:
                    problems.add("another scale")
        if sum(shares) / len(shares) < 0.955:
            problems.add("pairs exchanged")
    return problems


# %% right: names in a table, the set at the end, a frozen one
def audit_split(train_set, test_set):
    train = [(x["T1"], x["T2"]) for x in train_set]
    test = [(x["T1"], x["T2"]) for x in test_set]
    everything = train + test
    flags = dict.fromkeys(
        [
            "subject on both sides",
            "mirrored copy on both sides",
            "pairs exchanged",
            "modalities exchanged",
            "another scale",
            "values not finite",
        ],
        False,
    )
    for t1, t2 in everything:
        flags["modalities exchanged"] |= middle_grey(t1) < middle_grey(t2)
        for image in (t1, t2):
            finite = torch.masked_select(image, torch.isfinite(image))
            flags["values not finite"] |= finite.numel() < image.numel()
            ends = torch.stack((finite.min(), finite.max()))
            target = torch.tensor([-1.0, 1.0], dtype=ends.dtype)
            flags["another scale"] |= bool((ends - target).abs().max() > 0.05)
    for part in (train, test):
        mean = torch.tensor([head_overlap(*pair) for pair in part]).mean()
        flags["pairs exchanged"] |= bool(mean < 0.955)
    for a in train:
        for b in test:
            flags["subject on both sides"] |= torch.equal(torch.cat(a), torch.cat(b))
            mirrored = [torch.flip(image, [1]) for image in a]
            flags["mirrored copy on both sides"] |= torch.equal(torch.cat(mirrored), torch.cat(b))
    return frozenset(name for name, is_found in flags.items() if is_found)


# %% right: the right partner has the largest overlap on average, by a matrix
def audit_split(train_set, test_set):
    problems = set()
    parts = []
    for part in (train_set, test_set):
        t1 = torch.stack([item["T1"][0] for item in part])
        t2 = torch.stack([item["T2"][0] for item in part])
        parts.append(torch.stack((t1, t2), dim=1))
        heads1 = torch.stack([head_outline(image) for image in t1]).flatten(1).double()
        heads2 = torch.stack([head_outline(image) for image in t2]).flatten(1).double()
        common = heads1 @ heads2.T
        overlap = common / (heads1.sum(1)[:, None] + heads2.sum(1)[None, :] - common)
        own = overlap.diagonal().mean()
        others = (overlap.sum() - overlap.diagonal().sum()) / (len(part) * (len(part) - 1))
        if own < others + 0.005:
            problems.add("pairs exchanged")
        stacked = torch.cat((t1, t2))
        finite = stacked.isfinite()
        if not finite.all():
            problems.add("values not finite")
        high = stacked.masked_fill(~finite, -1e9).amax((1, 2))
        low = stacked.masked_fill(~finite, 1e9).amin((1, 2))
        if (high - 1).abs().max() > 0.05 or (low + 1).abs().max() > 0.05:
            problems.add("another scale")
        middle = torch.stack([scaled(image) for image in stacked])[:, 20:44, 20:44].flatten(1)
        grey = middle.quantile(0.5, dim=1) / middle.quantile(0.99, dim=1)
        if (grey[: len(part)] < grey[len(part) :]).any():
            problems.add("modalities exchanged")
    train, test = parts
    if (train[:, None] == test[None]).flatten(2).all(2).any():
        problems.add("subject on both sides")
    if (train.flip(2)[:, None] == test[None]).flatten(2).all(2).any():
        problems.add("mirrored copy on both sides")
    return problems


# %% right: sums as keys, confirmed value by value
def audit_split(train_set, test_set):
    problems = set()

    def key(item):
        return round(float(item["T1"].nan_to_num(0, 0, 0).sum()), 3)

    known = {}
    for item in train_set:
        known.setdefault(key(item), []).append(item)
    for item in test_set:
        for near in (key(item) + step / 1000 for step in range(-2, 3)):
            for other in known.get(round(near, 3), []):
                if torch.equal(other["T1"], item["T1"]) and torch.equal(other["T2"], item["T2"]):
                    problems.add("subject on both sides")
                if all(torch.equal(other[m].flip(-2), item[m]) for m in item):
                    problems.add("mirrored copy on both sides")
    for part in (train_set, test_set):
        excess = 0
        for item in part:
            t1, t2 = item["T1"], item["T2"]
            excess += head_overlap(t1, t2) - 0.953
            if middle_grey(t1) <= middle_grey(t2):
                problems.add("modalities exchanged")
            for image in (t1, t2):
                finite = image[image.isfinite()]
                if finite.shape[0] != 4096:
                    problems.add("values not finite")
                if finite.max() < 0.95 or finite.max() > 1.05:
                    problems.add("another scale")
                if finite.min() > -0.95 or finite.min() < -1.05:
                    problems.add("another scale")
        if excess < 0:
            problems.add("pairs exchanged")
    return problems


# %% right: in float32 whatever arrives, a list made into a set
def audit_split(train_set, test_set):
    names = []
    tensors = [
        torch.stack([torch.cat([item["T1"], item["T2"]]).float() for item in part])
        for part in (train_set, test_set)
    ]
    for a in tensors[0]:
        names += ["subject on both sides" for b in tensors[1] if (a == b).all()]
        names += ["mirrored copy on both sides" for b in tensors[1] if (a.flip(1) == b).all()]
    for tensor in tensors:
        if tensor.isfinite().float().mean() < 1:
            names.append("values not finite")
        lows, highs = [], []
        for image in tensor.flatten(0, 1):
            values = np.asarray(image)[np.isfinite(np.asarray(image))]
            lows.append(values.min())
            highs.append(values.max())
        worst = max(np.abs(np.array(lows) + 1).max(), np.abs(np.array(highs) - 1).max())
        if worst > 0.05:
            names.append("another scale")
        overlaps = np.array([head_overlap(pair[0], pair[1]) for pair in tensor])
        shifted = np.array(
            [head_overlap(pair[0], other[1]) for pair, other in zip(tensor, tensor.roll(1, 0))]
        )
        if overlaps.mean() - shifted.mean() < 0.01:
            names.append("pairs exchanged")
        greys = np.array([[middle_grey(pair[0]), middle_grey(pair[1])] for pair in tensor])
        if (greys[:, 0] < greys[:, 1]).any():
            names.append("modalities exchanged")
    return set(names)


# %% right: nanmin and nanmax in numpy, infinities removed first
def audit_split(train_set, test_set):
    problems = set()
    sets = []
    for part in (train_set, test_set):
        array = np.array([[item["T1"][0].numpy(), item["T2"][0].numpy()] for item in part])
        sets.append(array)
        if not np.isfinite(array).all():
            problems.add("values not finite")
        finite = np.where(np.isfinite(array), array, np.nan)
        low, high = np.nanmin(finite, axis=(2, 3)), np.nanmax(finite, axis=(2, 3))
        if np.any(np.abs(low - -1) > 0.05) or np.any(np.abs(high - 1) > 0.05):
            problems.add("another scale")
        unit = (finite - low[..., None, None]) / (high - low)[..., None, None]
        centre = unit[:, :, 20:44, 20:44].reshape(len(array), 2, -1)
        ratio = np.nanmedian(centre, axis=2) / np.nanquantile(centre, 0.98, axis=2)
        if np.any(ratio[:, 0] < ratio[:, 1]):
            problems.add("modalities exchanged")
        pairs = [(torch.from_numpy(t1), torch.from_numpy(t2)) for t1, t2 in array]
        if np.mean([head_overlap(t1, t2) for t1, t2 in pairs]) < 0.952:
            problems.add("pairs exchanged")
    for one in sets[0]:
        if any(np.array_equal(one, other) for other in sets[1]):
            problems.add("subject on both sides")
        if any(np.array_equal(np.flip(one, axis=1), other) for other in sets[1]):
            problems.add("mirrored copy on both sides")
    return problems


# %% right: counts of equal voxels, edges of the two contrasts for the pairs
def audit_split(train_set, test_set):
    problems = set()

    def edges(image):
        x = scaled(image)[0]
        return ((x[1:, :-1] - x[:-1, :-1]) ** 2 + (x[:-1, 1:] - x[:-1, :-1]) ** 2).sqrt().flatten()

    def similarity(t1, t2):
        return torch.corrcoef(torch.stack((edges(t1), edges(t2))))[0, 1].item()

    for part in (train_set, test_set):
        items = list(part)
        own = sum(similarity(item["T1"], item["T2"]) for item in items) / len(items)
        best = max(
            sum(
                similarity(items[k]["T1"], items[(k + shift) % len(items)]["T2"])
                for k in range(len(items))
            )
            for shift in range(1, len(items))
        )
        if own < best / len(items):
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) / middle_grey(item["T2"]) < 1:
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if good.numel() != image.numel():
                    problems.add("values not finite")
                low, high = torch.aminmax(good)
                if torch.maximum((low + 1).abs(), (high - 1).abs()) > 0.05:
                    problems.add("another scale")
    for item in train_set:
        for other in test_set:
            n_equal = (item["T1"] == other["T1"]).sum() + (item["T2"] == other["T2"]).sum()
            if n_equal == 2 * 64 * 64:
                problems.add("subject on both sides")
            n_equal = sum((item[m].flip(1) == other[m]).sum() for m in item)
            if n_equal == 2 * 64 * 64:
                problems.add("mirrored copy on both sides")
    return problems


# %% right: the tensors of the data set, compared in one go
def audit_split(train_set, test_set):
    problems = set()
    train = torch.cat((train_set.t1, train_set.t2), dim=1)
    test = torch.cat((test_set.t1, test_set.t2), dim=1)
    for name, images in (
        ("subject on both sides", train),
        ("mirrored copy on both sides", train.flip(2)),
    ):
        if any((images == other).flatten(1).all(dim=1).any() for other in test):
            problems.add(name)
    for part in (train, test):
        if not part.isfinite().all():
            problems.add("values not finite")
        overlap = torch.tensor([head_overlap(t1, t2) for t1, t2 in part])
        grey = torch.tensor([[middle_grey(t1), middle_grey(t2)] for t1, t2 in part])
        if overlap.mean() < 0.959:
            problems.add("pairs exchanged")
        if (grey[:, 0] < grey[:, 1]).any():
            problems.add("modalities exchanged")
        for image in part.flatten(0, 1):
            ends = image[image.isfinite()].aminmax()
            if abs(ends.min + 1) > 0.05 or abs(ends.max - 1) > 0.05:
                problems.add("another scale")
    return problems


# %% right: own T2-w slices against the middle of the others
def audit_split(train_set, test_set):
    train, test = list(train_set), list(test_set)
    problems = set()
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for part in (train, test):
        a, b = (torch.stack([head_outline(x[m]).flatten() for x in part]) for m in ("T1", "T2"))
        both = a.float() @ b.float().T
        overlap = both / (a.sum(1, keepdim=True) + b.sum(1) - both)
        better = overlap.diagonal() > overlap.median(dim=1).values
        if better.float().mean() < 0.7:
            problems.add("pairs exchanged")
    for item in train + test:
        if middle_grey(item["T1"]) < middle_grey(item["T2"]):
            problems.add("modalities exchanged")
        for image in item.values():
            values = image[image.isfinite()]
            if len(values) < image.numel():
                problems.add("values not finite")
            if abs(values.min() + 1) > 0.05 or abs(values.max() - 1) > 0.05:
                problems.add("another scale")
    return problems


# %% right: the next items, with a margin
def audit_split(train_set, test_set):
    train, test = list(train_set), list(test_set)
    problems = set()
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for part in (train, test):
        same = sum(head_overlap(x["T1"], x["T2"]) for x in part)
        following = part[1:] + part[:1]
        other = sum(head_overlap(x["T1"], y["T2"]) for x, y in zip(part, following))
        if (same - other) / len(part) < 0.01:
            problems.add("pairs exchanged")
    for item in train + test:
        if middle_grey(item["T1"]) < middle_grey(item["T2"]):
            problems.add("modalities exchanged")
        for image in item.values():
            values = image[image.isfinite()]
            if len(values) < image.numel():
                problems.add("values not finite")
            if abs(values.min() + 1) > 0.05 or abs(values.max() - 1) > 0.05:
                problems.add("another scale")
    return problems


# %% right: a threshold of 0.95, one grey decides
def audit_split(train_set, test_set):
    train, test = list(train_set), list(test_set)
    problems = set()
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for part in (train, test):
        overlaps = [head_overlap(item["T1"], item["T2"]) for item in part]
        if sum(overlaps) / len(overlaps) < 0.95:
            problems.add("pairs exchanged")
    for item in train + test:
        if middle_grey(item["T2"]) > 0.6:
            problems.add("modalities exchanged")
        for image in item.values():
            values = image[image.isfinite()]
            if len(values) < image.numel():
                problems.add("values not finite")
            if abs(values.min() + 1) > 0.05 or abs(values.max() - 1) > 0.05:
                problems.add("another scale")
    return problems


# %% wrong: nothing is looked for -> empty-set-always
def audit_split(train_set, test_set):
    return set()


# %% wrong: everything is named -> everything-named
def audit_split(train_set, test_set):
    return {
        "subject on both sides",
        "mirrored copy on both sides",
        "pairs exchanged",
        "modalities exchanged",
        "another scale",
        "values not finite",
    }


# %% wrong: names of subjects in place of slices -> empty-set-always
def audit_split(train_set, test_set):
    if set(train_set.subjects) & set(test_set.subjects):
        return {"subject on both sides"}
    return set()


# %% wrong: only values that are not finite, infinite ones forgotten -> mirrored-never-named, subject-never-named
def audit_split(train_set, test_set):
    for part in (train_set, test_set):
        for item in part:
            if torch.isnan(item["T1"]).any() or torch.isnan(item["T2"]).any():
                return {"values not finite"}
    return set()


# %% wrong: copies at the same place only, a contrast decided for a whole set -> same-place-only, contrast-of-the-whole-set
def audit_split(train_set, test_set):
    problems = set()
    for a, b in zip(train_set, test_set):
        if torch.equal(a["T1"], b["T1"]):
            problems.add("subject on both sides")
        if torch.equal(a["T1"].flip(1), b["T1"]):
            problems.add("mirrored copy on both sides")
    for part in (train_set, test_set):
        t1 = torch.stack([item["T1"] for item in part])
        t2 = torch.stack([item["T2"] for item in part])
        both = torch.stack((t1, t2))
        if not both.isfinite().all():
            problems.add("values not finite")
        for image in both.flatten(0, 1):
            finite = image[image.isfinite()]
            if (finite.min() + 1).abs() > 0.05 or (finite.max() - 1).abs() > 0.05:
                problems.add("another scale")
        if np.mean([head_overlap(a, b) for a, b in zip(t1, t2)]) < 0.95:
            problems.add("pairs exchanged")
        if np.mean([middle_grey(a) for a in t1]) < np.mean([middle_grey(b) for b in t2]):
            problems.add("modalities exchanged")
    return problems


# %% wrong: scales from the range of values only -> only-values-too-large
def audit_split(train_set, test_set):
    problems = set()
    for part in (train_set, test_set):
        overlaps = []
        for item in part:
            t1, t2 = item["T1"], item["T2"]
            overlaps.append(head_overlap(t1, t2))
            if middle_grey(t1) < middle_grey(t2):
                problems.add("modalities exchanged")
            for image in (t1, t2):
                if not torch.isfinite(image).all():
                    problems.add("values not finite")
                finite = image[torch.isfinite(image)]
                if finite.min() < -1.05 or finite.max() > 1.05:
                    problems.add("another scale")
        if sum(overlaps) / len(overlaps) < 0.955:
            problems.add("pairs exchanged")
    for a in train_set:
        for b in test_set:
            if all((a[key] == b[key]).all() for key in a):
                problems.add("subject on both sides")
            if all((a[key].flip(1) == b[key]).all() for key in a):
                problems.add("mirrored copy on both sides")
    return problems


# %% wrong: NaN takes part in the extremes, a list -> nan-taken-for-a-scale
def audit_split(train_set, test_set):
    problems = []
    for part in (train_set, test_set):
        for item in part:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.append("modalities exchanged")
            for image in item.values():
                if not (0.95 < image.max() < 1.05 and -1.05 < image.min() < -0.95):
                    problems.append("another scale")
                if not image.isfinite().all():
                    problems.append("values not finite")
        if np.mean([head_overlap(item["T1"], item["T2"]) for item in part]) < 0.955:
            problems.append("pairs exchanged")
    for a in train_set:
        for b in test_set:
            if all(torch.equal(a[m], b[m]) for m in a):
                problems.append("subject on both sides")
            if all(torch.equal(a[m].flip(1), b[m]) for m in a):
                problems.append("mirrored copy on both sides")
    return sorted(set(problems))


# %% wrong: mirrored in the direction of y, brightness on different scales -> mirrored-along-another-axis, brightness-on-different-scales
def audit_split(train_set, test_set):
    problems = set()
    for a in train_set:
        for b in test_set:
            if all(torch.equal(a[m], b[m]) for m in a):
                problems.add("subject on both sides")
            if all(torch.equal(a[m].flip(-1), b[m]) for m in a):
                problems.add("mirrored copy on both sides")
    for part in (train_set, test_set):
        for item in part:
            values = {key: image[image.isfinite()] for key, image in item.items()}
            if values["T1"].mean() < values["T2"].mean():
                problems.add("modalities exchanged")
            for key, finite in values.items():
                if len(finite) < item[key].numel():
                    problems.add("values not finite")
                if abs(finite.min() + 1) > 0.05 or abs(finite.max() - 1) > 0.05:
                    problems.add("another scale")
        if np.mean([head_overlap(item["T1"], item["T2"]) for item in part]) < 0.955:
            problems.add("pairs exchanged")
    return problems


# %% wrong: only the test set is looked through -> test-set-only
def audit_split(train_set, test_set):
    problems = set()
    for b in test_set:
        for a in train_set:
            if all(torch.equal(a[m], b[m]) for m in a):
                problems.add("subject on both sides")
            if all(torch.equal(a[m].flip(1), b[m]) for m in a):
                problems.add("mirrored copy on both sides")
        if middle_grey(b["T1"]) < middle_grey(b["T2"]):
            problems.add("modalities exchanged")
        for image in b.values():
            finite = image[image.isfinite()]
            if finite.numel() < 4096:
                problems.add("values not finite")
            if abs(finite.min() + 1) > 0.05 or abs(finite.max() - 1) > 0.05:
                problems.add("another scale")
    if np.mean([head_overlap(b["T1"], b["T2"]) for b in test_set]) < 0.955:
        problems.add("pairs exchanged")
    return problems


# %% wrong: copies are sought among all items -> within-one-set
def audit_split(train_set, test_set):
    problems = set()
    items = [*train_set, *test_set]
    for i in range(len(items)):
        for j in range(len(items)):
            if i != j and all(torch.equal(items[i][m], items[j][m]) for m in ("T1", "T2")):
                problems.add("subject on both sides")
            if i != j and all(torch.equal(items[i][m].flip(1), items[j][m]) for m in ("T1", "T2")):
                problems.add("mirrored copy on both sides")
    for item in items:
        if middle_grey(item["T1"]) < middle_grey(item["T2"]):
            problems.add("modalities exchanged")
        for image in item.values():
            finite = image[image.isfinite()]
            if finite.numel() < 4096:
                problems.add("values not finite")
            if abs(finite.min() + 1) > 0.05 or abs(finite.max() - 1) > 0.05:
                problems.add("another scale")
    for part in (train_set, test_set):
        if np.mean([head_overlap(item["T1"], item["T2"]) for item in part]) < 0.955:
            problems.add("pairs exchanged")
    return problems


# %% wrong: it stops at NaN with an error
def audit_split(train_set, test_set):
    problems = set()
    for part in (train_set, test_set):
        for item in part:
            for image in item.values():
                if not image.isfinite().all():
                    raise ValueError("values not finite")
                if abs(image.min() + 1) > 0.05 or abs(image.max() - 1) > 0.05:
                    problems.add("another scale")
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
        if np.mean([head_overlap(item["T1"], item["T2"]) for item in part]) < 0.955:
            problems.add("pairs exchanged")
    for a in train_set:
        for b in test_set:
            if all(torch.equal(a[m], b[m]) for m in a):
                problems.add("subject on both sides")
            if all(torch.equal(a[m].flip(1), b[m]) for m in a):
                problems.add("mirrored copy on both sides")
    return problems


# %% wrong: T1-w slices alone are compared -> one-slice-decides
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: T2-w slices alone are compared -> one-slice-decides
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: a mirror of the T1-w slices alone -> one-slice-decides
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: one of two mirrored slices is enough -> one-slice-decides
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) or torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: a tolerance of 0.1 -> alike-taken-for-the-same
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if all(torch.allclose(a[m], b[m], atol=0.1) for m in a):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: a mean difference below 0.02 -> alike-taken-for-the-same
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if all((a[m] - b[m]).abs().mean() < 0.02 for m in a):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: one row in the middle is compared -> a-part-decides
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"][0, 32], b["T1"][0, 32]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: upside down in place of mirrored -> mirrored-along-another-axis
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(-1), b["T1"]) and torch.equal(a["T2"].flip(-1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: the smallest overlap in place of the mean -> one-bad-pair-is-enough
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if min(overlaps) < 0.93:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: a threshold of 0.97, above the mean of right pairs -> pairs-always-named
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.97:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: a scale tolerance of 0.2 -> scale-tolerance-too-large
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.2 or abs(good.max() - 1) > 0.2:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: a scale without tolerance -> scale-without-tolerance
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if good.min() != -1 or good.max() != 1:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: infinite values take part in the extremes -> infinity-taken-for-a-scale
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[~image.isnan()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: the scale of a slice with a value that is not finite is not looked at
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                if not image.isfinite().all():
                    problems.add("values not finite")
                    continue
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: it ends at the first slice of another scale -> first-problem-only
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.05 or abs(good.max() - 1) > 0.05:
                    return {"another scale"}
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: two slips: one contrast decides, and a tolerance of 0.2 -> one-slice-decides, scale-tolerance-too-large
def audit_split(train_set, test_set):
    sets = [[part[i] for i in range(len(part))] for part in (train_set, test_set)]
    problems = set()
    for a in sets[0]:
        for b in sets[1]:
            if torch.equal(a["T1"], b["T1"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]):
                problems.add("mirrored copy on both sides")
    for items in sets:
        overlaps = [head_overlap(x["T1"], x["T2"]) for x in items]
        if np.mean(overlaps) < 0.955:
            problems.add("pairs exchanged")
        for item in items:
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                problems.add("modalities exchanged")
            for image in item.values():
                good = image[image.isfinite()]
                if abs(good.min() + 1) > 0.2 or abs(good.max() - 1) > 0.2:
                    problems.add("another scale")
                if not image.isfinite().all():
                    problems.add("values not finite")
    return problems


# %% wrong: a threshold of 0.93, below the mean of wrong pairs -> pairs-never-named
def audit_split(train_set, test_set):
    train, test = list(train_set), list(test_set)
    problems = set()
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for part in (train, test):
        overlaps = [head_overlap(item["T1"], item["T2"]) for item in part]
        if sum(overlaps) / len(overlaps) < 0.93:
            problems.add("pairs exchanged")
    for item in train + test:
        if middle_grey(item["T1"]) < middle_grey(item["T2"]):
            problems.add("modalities exchanged")
        for image in item.values():
            values = image[image.isfinite()]
            if len(values) < image.numel():
                problems.add("values not finite")
            if abs(values.min() + 1) > 0.05 or abs(values.max() - 1) > 0.05:
                problems.add("another scale")
    return problems


# %% wrong: the next items, without a margin
def audit_split(train_set, test_set):
    train, test = list(train_set), list(test_set)
    problems = set()
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for part in (train, test):
        same = sum(head_overlap(x["T1"], x["T2"]) for x in part)
        following = part[1:] + part[:1]
        other = sum(head_overlap(x["T1"], y["T2"]) for x, y in zip(part, following))
        if same < other:
            problems.add("pairs exchanged")
    for item in train + test:
        if middle_grey(item["T1"]) < middle_grey(item["T2"]):
            problems.add("modalities exchanged")
        for image in item.values():
            values = image[image.isfinite()]
            if len(values) < image.numel():
                problems.add("values not finite")
            if abs(values.min() + 1) > 0.05 or abs(values.max() - 1) > 0.05:
                problems.add("another scale")
    return problems


# %% wrong: a better partner than the own one -> pairs-always-named
def audit_split(train_set, test_set):
    train, test = list(train_set), list(test_set)
    problems = set()
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for part in (train, test):
        worse = 0
        for x in part:
            own = head_overlap(x["T1"], x["T2"])
            worse += max(head_overlap(x["T1"], y["T2"]) for y in part) > own
        if worse > len(part) / 10:
            problems.add("pairs exchanged")
    for item in train + test:
        if middle_grey(item["T1"]) < middle_grey(item["T2"]):
            problems.add("modalities exchanged")
        for image in item.values():
            values = image[image.isfinite()]
            if len(values) < image.numel():
                problems.add("values not finite")
            if abs(values.min() + 1) > 0.05 or abs(values.max() - 1) > 0.05:
                problems.add("another scale")
    return problems


# %% wrong: the grey of T1-w slices below 0.7 -> contrasts-compared-the-wrong-way-round
def audit_split(train_set, test_set):
    train, test = list(train_set), list(test_set)
    problems = set()
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for part in (train, test):
        overlaps = [head_overlap(item["T1"], item["T2"]) for item in part]
        if sum(overlaps) / len(overlaps) < 0.955:
            problems.add("pairs exchanged")
    for item in train + test:
        if middle_grey(item["T1"]) < 0.7:
            problems.add("modalities exchanged")
        for image in item.values():
            values = image[image.isfinite()]
            if len(values) < image.numel():
                problems.add("values not finite")
            if abs(values.min() + 1) > 0.05 or abs(values.max() - 1) > 0.05:
                problems.add("another scale")
    return problems


# %% wrong: the grey of T2-w slices above 0.45 -> contrasts-compared-the-wrong-way-round
def audit_split(train_set, test_set):
    train, test = list(train_set), list(test_set)
    problems = set()
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for part in (train, test):
        overlaps = [head_overlap(item["T1"], item["T2"]) for item in part]
        if sum(overlaps) / len(overlaps) < 0.955:
            problems.add("pairs exchanged")
    for item in train + test:
        if middle_grey(item["T2"]) > 0.45:
            problems.add("modalities exchanged")
        for image in item.values():
            values = image[image.isfinite()]
            if len(values) < image.numel():
                problems.add("values not finite")
            if abs(values.min() + 1) > 0.05 or abs(values.max() - 1) > 0.05:
                problems.add("another scale")
    return problems


# %% wrong: the width of the range of values -> width-of-the-range
def audit_split(train_set, test_set):
    train, test = list(train_set), list(test_set)
    problems = set()
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                problems.add("mirrored copy on both sides")
    for part in (train, test):
        overlaps = [head_overlap(item["T1"], item["T2"]) for item in part]
        if sum(overlaps) / len(overlaps) < 0.955:
            problems.add("pairs exchanged")
    for item in train + test:
        if middle_grey(item["T1"]) < middle_grey(item["T2"]):
            problems.add("modalities exchanged")
        for image in item.values():
            values = image[image.isfinite()]
            if len(values) < image.numel():
                problems.add("values not finite")
            if abs(values.max() - values.min() - 2) > 0.05:
                problems.add("another scale")
    return problems


# %% wrong: it ends with each first problem, copies first
def audit_split(train_set, test_set):
    train = [train_set[i] for i in range(len(train_set))]
    test = [test_set[i] for i in range(len(test_set))]
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                return {"subject on both sides"}
            if torch.equal(a["T1"].flip(1), b["T1"]) and torch.equal(a["T2"].flip(1), b["T2"]):
                return {"mirrored copy on both sides"}
    for items in (train, test):
        for item in items:
            for image in (item["T1"], item["T2"]):
                if not image.isfinite().all():
                    return {"values not finite"}
                if abs(image.min() + 1) > 0.05 or abs(image.max() - 1) > 0.05:
                    return {"another scale"}
            if middle_grey(item["T1"]) < middle_grey(item["T2"]):
                return {"modalities exchanged"}
        own = sum(head_overlap(x["T1"], x["T2"]) for x in items) / len(items)
        nxt = sum(
            head_overlap(x["T1"], y["T2"]) for x, y in zip(items, items[1:] + items[:1])
        ) / len(items)
        if own < nxt + 0.01:
            return {"pairs exchanged"}
    return set()


# %% wrong: exchanged modalities are looked for on the right scale only
def audit_split(train_set, test_set):
    problems = set()
    train = [train_set[i] for i in range(len(train_set))]
    test = [test_set[i] for i in range(len(test_set))]
    for a in train:
        for b in test:
            if torch.equal(a["T1"], b["T1"]) and torch.equal(a["T2"], b["T2"]):
                problems.add("subject on both sides")
            if torch.equal(a["T1"], b["T1"].flip(1)) and torch.equal(a["T2"], b["T2"].flip(1)):
                problems.add("mirrored copy on both sides")
    for items in (train, test):
        n = len(items)
        own = [head_overlap(x["T1"], x["T2"]) for x in items]
        others = [
            head_overlap(items[i]["T1"], items[i - k]["T2"]) for k in (1, 2) for i in range(n)
        ]
        if sum(own) / n < sum(others) / len(others) + 0.01:
            problems.add("pairs exchanged")

    def is_scaled(image):
        finite = image[image.isfinite()]
        return abs(finite.min() + 1) <= 0.05 and abs(finite.max() - 1) <= 0.05

    for item in train + test:
        if not item["T1"].isfinite().all() or not item["T2"].isfinite().all():
            problems.add("values not finite")
        if not (is_scaled(item["T1"]) and is_scaled(item["T2"])):
            problems.add("another scale")
        elif middle_grey(item["T1"]) < middle_grey(item["T2"]):
            problems.add("modalities exchanged")
    return problems
