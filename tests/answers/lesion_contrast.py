import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


# %% right: boolean index, slice by slice
def lesion_contrast(images, lesion_masks, surround_masks):
    contrasts = []
    for image, lesion, surround in zip(images, lesion_masks, surround_masks, strict=True):
        contrasts.append(image[lesion].mean() - image[surround].mean())
    return torch.stack(contrasts)


# %% right: numbers in a tensor of float32
def lesion_contrast(images, lesion_masks, surround_masks):
    return torch.tensor(
        [
            images[n][lesion_masks[n]].mean().item() - images[n][surround_masks[n]].mean().item()
            for n in range(len(images))
        ]
    )


# %% right: flattened slices and weights
def lesion_contrast(images, lesion_masks, surround_masks):
    x = images.flatten(1)
    a, b = lesion_masks.flatten(1).to(x), surround_masks.flatten(1).to(x)
    return (x * (a / a.sum(1, keepdim=True) - b / b.sum(1, keepdim=True))).sum(1)


# %% right: einsum
def lesion_contrast(images, lesion_masks, surround_masks):
    def mean(masks):
        weights = masks.to(images.dtype)
        return torch.einsum("nchw,nchw->n", images, weights) / weights.sum((1, 2, 3))

    return mean(lesion_masks) - mean(surround_masks)


# %% right: NaN outside of the masks
def lesion_contrast(images, lesion_masks, surround_masks):
    inside = torch.where(lesion_masks, images, torch.nan).nanmean(dim=(1, 2, 3))
    around = torch.where(surround_masks, images, torch.nan).nanmean(dim=(1, 2, 3))
    return inside - around


# %% right: filled with zeros on a copy
def lesion_contrast(images, lesion_masks, surround_masks) -> Tensor:
    lesion, surround = images.clone(), images.clone()
    lesion[~lesion_masks] = 0
    surround[~surround_masks] = 0
    n, m = lesion_masks.sum((1, 2, 3)), surround_masks.sum((1, 2, 3))
    return lesion.sum((1, 2, 3)) / n - surround.sum((1, 2, 3)) / m


# %% right: one axis after the other
def lesion_contrast(images, lesion_masks, surround_masks):
    def total(x):
        return x.sum(3).sum(2).sum(1)

    lesion = total(images * lesion_masks.float()) / total(lesion_masks)
    return lesion - total(images.mul(surround_masks)) / total(surround_masks)


# %% right: numpy and a loop
def lesion_contrast(images, lesion_masks, surround_masks):
    x, a, b = images.numpy(), lesion_masks.numpy(), surround_masks.numpy()
    result = np.array([x[k][a[k]].mean() - x[k][b[k]].mean() for k in range(x.shape[0])])
    return torch.from_numpy(result)


# %% right: masked arrays of numpy
def lesion_contrast(images, lesion_masks, surround_masks):
    def means(masks):
        masked = np.ma.masked_array(images.numpy(), mask=~masks.numpy())
        return np.asarray(masked.mean(axis=(1, 2, 3)))

    return torch.as_tensor(means(lesion_masks) - means(surround_masks))


# %% right: in float64, whatever comes in
def lesion_contrast(images, lesion_masks, surround_masks):
    images = images.double().squeeze(1)
    lesion_masks, surround_masks = lesion_masks.squeeze(1), surround_masks.squeeze(1)
    inside = (images * lesion_masks).sum((-1, -2)) / lesion_masks.sum((-1, -2))
    around = (images * surround_masks).sum((-1, -2)) / surround_masks.sum((-1, -2))
    return inside - around


# %% right: weighted averages of numpy
def lesion_contrast(images, lesion_masks, surround_masks):
    rows = []
    for x, a, b in zip(images.numpy(), lesion_masks.numpy(), surround_masks.numpy(), strict=True):
        rows.append(np.average(x, weights=a) - np.average(x, weights=b))
    return torch.tensor(rows)


# %% right: sums by slice number, from the places of the masks
def lesion_contrast(images, lesion_masks, surround_masks):
    def means(masks):
        slices = masks.nonzero()[:, 0]
        sums = torch.zeros(len(images), dtype=images.dtype).index_add(0, slices, images[masks])
        return sums / torch.bincount(slices, minlength=len(images))

    return means(lesion_masks) - means(surround_masks)


# %% right: split of one long row
def lesion_contrast(images, lesion_masks, surround_masks):
    def means(masks):
        sizes = masks.flatten(1).sum(1).tolist()
        return torch.stack([part.mean() for part in images[masks].split(sizes)])

    return torch.sub(means(lesion_masks), means(surround_masks))


# %% right: matrix product of each slice with its two masks
def lesion_contrast(images, lesion_masks, surround_masks):
    masks = torch.stack((lesion_masks.flatten(1), surround_masks.flatten(1)), dim=1)
    masks = masks.to(images.dtype)
    means = torch.bmm(masks, images.flatten(1).unsqueeze(2)).squeeze(2) / masks.sum(2)
    return means[:, 0] - means[:, 1]


# %% right: normalised masks, prints
@torch.no_grad()
def lesion_contrast(images, lesion_masks, surround_masks):
    n = images.shape[0]
    a = F.normalize(lesion_masks.reshape(n, -1).to(images.dtype), p=1, dim=1)
    b = F.normalize(surround_masks.reshape(n, -1).to(images.dtype), p=1, dim=1)
    print("slices:", n)
    return ((a - b) * images.reshape(n, -1)).sum(dim=-1)


# %% right: functional, with map
def lesion_contrast(images, lesion_masks, surround_masks):
    return torch.stack(
        list(
            map(
                lambda x, a, b: x.masked_select(a).mean() - x.masked_select(b).mean(),
                images,
                lesion_masks,
                surround_masks,
            )
        )
    )


# %% wrong: zeros of the right shape
def lesion_contrast(images, lesion_masks, surround_masks):
    return torch.zeros(len(images))


# %% wrong: masks of the whole batch, divided by slices -> divided-by-all-voxels
def lesion_contrast(images, lesion_masks, surround_masks):
    lesion = (images * lesion_masks).mean(dim=(1, 2, 3))
    return lesion - (images * surround_masks).mean(dim=(1, 2, 3))


# %% wrong: one number for the batch -> mean-over-the-batch
def lesion_contrast(images, lesion_masks, surround_masks):
    return images[lesion_masks].mean() - images[surround_masks].mean()


# %% wrong: nonzero voxels of the masked slice -> zeros-left-out
def lesion_contrast(images, lesion_masks, surround_masks):
    contrasts = []
    for x, a, b in zip(images, lesion_masks, surround_masks, strict=True):
        inside, around = x * a, x * b
        contrasts.append(inside[inside != 0].mean() - around[around != 0].mean())
    return torch.stack(contrasts)


# %% wrong: the other way round -> surround-minus-lesion
def lesion_contrast(images, lesion_masks, surround_masks):
    means = []
    for masks in (surround_masks, lesion_masks):
        means.append(torch.stack([x[m].mean() for x, m in zip(images, masks, strict=True)]))
    return means[0] - means[1]


# %% wrong: two mistakes: absolute value, kept axes -> absolute-value
def lesion_contrast(images, lesion_masks, surround_masks):
    def mean(masks):
        total = (images * masks).sum(dim=(1, 2, 3), keepdim=True)
        return total / masks.sum(dim=(1, 2, 3), keepdim=True)

    return (mean(lesion_masks) - mean(surround_masks)).abs()


# %% wrong: surround with the lesion -> lesion-in-the-surround
def lesion_contrast(images, lesion_masks, surround_masks):
    out = []
    for n in range(len(images)):
        both = torch.logical_or(lesion_masks[n], surround_masks[n])
        out.append(images[n][lesion_masks[n]].mean() - images[n][both].mean())
    return torch.stack(out)


# %% wrong: ratio of the means -> ratio
def lesion_contrast(images, lesion_masks, surround_masks):
    return torch.stack(
        [
            x[a].mean() / x[b].mean()
            for x, a, b in zip(images, lesion_masks, surround_masks, strict=True)
        ]
    )


# %% wrong: list of numbers
def lesion_contrast(images, lesion_masks, surround_masks):
    return [
        (x[a].mean() - x[b].mean()).item()
        for x, a, b in zip(images, lesion_masks, surround_masks, strict=True)
    ]


# %% wrong: erases the slices that it was given -> slices-changed
def lesion_contrast(images, lesion_masks, surround_masks):
    around = (images * surround_masks).sum((1, 2, 3)) / surround_masks.sum((1, 2, 3))
    images[~lesion_masks] = 0
    return images.sum((1, 2, 3)) / lesion_masks.sum((1, 2, 3)) - around


# %% wrong: mean over the channel axis only
def lesion_contrast(images, lesion_masks, surround_masks):
    return (images * lesion_masks).mean(dim=1) - (images * surround_masks).mean(dim=1)


# %% wrong: means of the bounding box of each mask
def lesion_contrast(images, lesion_masks, surround_masks):
    def mean(image, mask):
        rows, columns = mask[0].nonzero(as_tuple=True)
        box = image[0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        return box.mean()

    return torch.stack(
        [
            mean(x, a) - mean(x, b)
            for x, a, b in zip(images, lesion_masks, surround_masks, strict=True)
        ]
    )


# %% wrong: boolean masks subtracted, which PyTorch refuses
def lesion_contrast(images, lesion_masks, surround_masks):
    return (images * (lesion_masks - surround_masks)).sum((1, 2, 3)) / lesion_masks.sum((1, 2, 3))


# %% wrong: no parentheses -> parentheses-forgotten
def lesion_contrast(images, lesion_masks, surround_masks):
    a = (images * lesion_masks).sum((1, 2, 3))
    s = (images * surround_masks).sum((1, 2, 3))
    return a - s / lesion_masks.sum((1, 2, 3)) - surround_masks.sum((1, 2, 3))


# %% wrong: range to one less -> last-slice-left-out
def lesion_contrast(images, lesion_masks, surround_masks):
    out = torch.zeros(len(images))
    for n in range(len(images) - 1):
        out[n] = images[n][lesion_masks[n]].mean() - images[n][surround_masks[n]].mean()
    return out


# %% wrong: sums over the batch -> sums-over-other-axes
def lesion_contrast(images, lesion_masks, surround_masks):
    a = (images * lesion_masks).sum((0, 1, 2)) / lesion_masks.sum((0, 1, 2))
    s = (images * surround_masks).sum((0, 1, 2)) / surround_masks.sum((0, 1, 2))
    return a - s


# %% wrong: rows first -> mean-of-the-means-of-rows
def lesion_contrast(images, lesion_masks, surround_masks):
    a = (images * lesion_masks).sum(3) / lesion_masks.sum(3).clamp(min=1)
    s = (images * surround_masks).sum(3) / surround_masks.sum(3).clamp(min=1)
    a = a.sum((1, 2)) / lesion_masks.any(3).sum((1, 2))
    s = s.sum((1, 2)) / surround_masks.any(3).sum((1, 2))
    return a - s


# %% wrong: a hundredth added -> number-added-to-the-divisor
def lesion_contrast(images, lesion_masks, surround_masks):
    eps = 1e-2
    a = (images * lesion_masks).sum((1, 2, 3)) / (lesion_masks.sum((1, 2, 3)) + eps)
    s = (images * surround_masks).sum((1, 2, 3)) / (surround_masks.sum((1, 2, 3)) + eps)
    return a - s


# %% wrong: mean, then divided -> divided-twice
def lesion_contrast(images, lesion_masks, surround_masks):
    a = (images * lesion_masks).mean((1, 2, 3)) / lesion_masks.sum((1, 2, 3))
    s = (images * surround_masks).mean((1, 2, 3)) / surround_masks.sum((1, 2, 3))
    return a - s


# %% wrong: voxels of the other mask -> divisors-exchanged
def lesion_contrast(images, lesion_masks, surround_masks):
    a = (images * lesion_masks).sum((1, 2, 3)) / surround_masks.sum((1, 2, 3))
    s = (images * surround_masks).sum((1, 2, 3)) / lesion_masks.sum((1, 2, 3))
    return a - s


# %% wrong: one weight for both -> one-divisor-for-both
def lesion_contrast(images, lesion_masks, surround_masks):
    w = lesion_masks.float() - surround_masks.float()
    return (images * w).sum((1, 2, 3)) / (lesion_masks | surround_masks).sum((1, 2, 3))
