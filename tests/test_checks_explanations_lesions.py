"""What a student reads of contrasts of lesions that are measured in another way."""

import pytest
from checking import Answer, answers, judge, load

from labhelpers.checks.exercises import EXERCISES

HEAD = "import torch\n\n\ndef lesion_contrast(images, lesion_masks, surround_masks):\n"
AXES = "dim=(1, 2, 3)"
BODY = f"""    x = images
    lesion = (x * lesion_masks).sum({AXES}) / lesion_masks.sum({AXES})
    surround = (x * surround_masks).sum({AXES}) / surround_masks.sum({AXES})
    return lesion - surround
"""
ABSOLUTE = "The absolute values of the voxels are averaged: take the values with their signs."
NEW = (
    "Make a new tensor: a method whose name ends in `_`, `+=` and an assignment to a part change "
    "the tensor itself, whatever name it goes by."
)
SCALED = (
    "Each contrast is halved, as it is if the slices are brought to the range from 0 to 1 first: "
    "take the values as they are."
)
NO_AIR = (
    "Of the surround: voxels of -1, the value of air, are not counted. They may belong to the mask."
)
UNEQUAL = (
    "Your function is right where the lesions of all slices have the same number of voxels, and "
    "their surrounds too. In the check the numbers differ, and it stops."
)
SHAPE = "For 4 slices the result has the shape (4, 1), asked for (4,)."
ON = (
    "Of lesion and of surround: sum and number of voxels go on from slice to slice. Begin anew "
    "with each slice."
)
RUNNING = """    a = b = n_a = n_b = 0
    found = []
    for image, lesion, surround in zip(x, lesion_masks, surround_masks):
        a, n_a = a + image[lesion].sum(), n_a + lesion.sum()
        b, n_b = b + image[surround].sum(), n_b + surround.sum()
        found.append(a / n_a - b / n_b)
    return torch.stack(found)
"""
CASES = {
    "one number for the whole batch": (
        "    return images[lesion_masks].mean() - images[surround_masks].mean()\n",
        [
            "Of lesion and of surround: one mean over the voxels of all slices of the batch. Each "
            "slice has its own.",
            "For 4 slices the result has the shape (), asked for (4,).",
        ],
    ),
    "returned in the loop": (
        "    found = []\n"
        "    for image, lesion, surround in zip(images, lesion_masks, surround_masks):\n"
        "        found.append(image[lesion].mean() - image[surround].mean())\n"
        "        return torch.stack(found)\n",
        [
            "The result is the contrast of the first slice alone; each slice has its own.",
            "For 4 slices the result has the shape (1,), asked for (4,).",
            "The `return` of line 8 stands in the loop of line 6, which ends in its first pass.",
        ],
    ),
    "that of the last slice": (
        "    for image, lesion, surround in zip(images, lesion_masks, surround_masks):\n"
        "        found = image[lesion].mean() - image[surround].mean()\n"
        "    return found\n",
        [
            "The result is the contrast of the last slice alone; each slice has its own.",
            "For 4 slices the result has the shape (), asked for (4,).",
        ],
    ),
    "zeros of the surround": (
        BODY.replace(
            f"surround_masks.sum({AXES})", f"(surround_masks & (images != 0)).sum({AXES})"
        ),
        [
            "Of the surround: voxels that are exactly 0 are not counted. They may belong to the "
            "mask."
        ],
    ),
    "the rectangle around each lesion": (
        "    found = []\n"
        "    for image, lesion, surround in zip(images, lesion_masks, surround_masks):\n"
        "        rows, columns = lesion[0].nonzero(as_tuple=True)\n"
        "        box = image[0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]\n"
        "        found.append(100 * (box.mean() - image[surround].mean()))\n"
        "    return torch.stack(found)\n",
        [
            "Of the lesion: the mean is taken over the whole rectangle around the mask. Count the "
            "voxels of the mask alone.",
            "The contrasts are multiplied by 100: return them as they are.",
        ],
    ),
    "the largest mask of the batch": (
        BODY.replace(f" / lesion_masks.sum({AXES})", f" / lesion_masks.sum({AXES}).max()"),
        [
            "Of the lesion: the sum of each slice is divided by the number of voxels of the "
            "largest mask of the batch. Count slice by slice."
        ],
    ),
    "mean counts of the batch": (
        BODY.replace(f"masks.sum({AXES})", "masks.sum().div(len(images))"),
        [
            "Of lesion and of surround: the sum of each slice is divided by the mean number of "
            "masked voxels of the slices of the batch. Count slice by slice."
        ],
    ),
    "absolute values, counts of the batch": (
        BODY.replace("= images", "= images.abs()").replace(f"masks.sum({AXES})", "masks.sum()"),
        [
            ABSOLUTE,
            "Of lesion and of surround: the sum of each slice is divided by the number of masked "
            "voxels of the whole batch. Count slice by slice.",
        ],
    ),
    "absolute values, one surround": (
        BODY.replace("= images", "= images.abs()").replace(
            f"(x * surround_masks).sum({AXES}) / surround_masks.sum({AXES})",
            "x[surround_masks].mean()",
        ),
        [
            ABSOLUTE,
            "Of the surround: one mean over the voxels of all slices of the batch. Each slice has "
            "its own.",
        ],
    ),
    "chunks": (
        "    a, b = (images[m].chunk(len(images)) for m in (lesion_masks, surround_masks))\n"
        "    return torch.stack([p.mean() - q.mean() for p, q in zip(a, b)])\n",
        [
            "Of lesion and of surround: the voxels of all slices lie in one row, which is cut into "
            "parts of equal length. The masks differ in size, so voxels of one slice count in the "
            "mean of another."
        ],
    ),
    "as many parts as slices": (
        "    n = len(images)\n"
        "    a, b = (images[m].tensor_split(n) for m in (lesion_masks, surround_masks))\n"
        "    return torch.stack([p.mean() - q.mean() for p, q in zip(a, b)])\n",
        [
            "Of lesion and of surround: the voxels of all slices lie in one row, which is cut into "
            "as many equal parts as there are slices. The masks differ in size, so voxels of one "
            "slice count in the mean of another."
        ],
    ),
    "mean of the means of rows": (
        "    def mean(mask):\n"
        "        return images.where(mask, torch.nan).nanmean(3).nanmean(2).nanmean(1)\n\n"
        "    return mean(lesion_masks) - mean(surround_masks)\n",
        [
            "Of lesion and of surround: the mean of the means of its rows, in which each row of "
            "the mask counts the same, whatever its number of voxels. Take one mean over all its "
            "voxels."
        ],
    ),
    "another surround, in place": (
        "    surround_masks |= lesion_masks\n" + BODY,
        [
            "Your function changes `surround_masks`, which it was given, and what follows may be "
            f"computed from what is left. {NEW}",
            "The voxels of the lesion are counted in its surround, too.",
        ],
    ),
    "scaled, count of the first slice for all": (
        BODY.replace("= images", "= (images + 1) / 2").replace(
            f"masks.sum({AXES})", "masks[0].sum()"
        ),
        [
            SCALED,
            "Of lesion and of surround: the sum of each slice is divided by the number of voxels "
            "of the first slice's mask. Count slice by slice.",
        ],
    ),
    "count of the first lesion, and the other way round": (
        BODY.replace(f"lesion_masks.sum({AXES})", "lesion_masks[0].sum()").replace(
            "lesion - surround", "surround - lesion"
        ),
        [
            "Of the lesion: the sum of each slice is divided by the number of voxels of the first "
            "slice's mask. Count slice by slice.",
            "The difference is the other way round: the mean of the lesion comes first.",
        ],
    ),
    "255 grey values, the other way round": (
        BODY.replace("= images", "= (images + 1) / 2 * 255").replace(
            "lesion - surround", "surround - lesion"
        ),
        [
            "Each contrast is multiplied by 127.5, as it is if the slices are brought to the range "
            "from 0 to 255 first: take the values as they are.",
            "The difference is the other way round: the mean of the lesion comes first.",
        ],
    ),
    "contrast to noise without a sign": (
        BODY.replace(
            "return lesion - surround",
            "noise = torch.stack([i[m].std() for i, m in "
            "zip(x, surround_masks)])\n    return ((lesion - surround) / noise).abs()",
        ),
        [
            "The difference is divided by the standard deviation of the surround; asked for is the "
            "difference itself.",
            "The result has no sign: a lesion that is darker than its surround has a negative "
            "contrast.",
        ],
    ),
    "sums go on": ("    x = images\n" + RUNNING, [ON]),
    "scaled, and sums go on": ("    x = (images + 1) / 2\n" + RUNNING, [SCALED, ON]),
    "scaled, kept axis": (
        BODY.replace("= images", "= (images + 1) / 2").replace(AXES, "dim=(2, 3)"),
        [SCALED, SHAPE],
    ),
    "median, kept axis": (
        "    rows = zip(images, lesion_masks, surround_masks)\n"
        "    return torch.tensor([[x[a].median() - x[b].median()] for x, a, b in rows])\n",
        ["Each of lesion and surround counts with its median, asked for is its mean.", SHAPE],
    ),
    "at least two voxels": (
        BODY.replace(f"masks.sum({AXES})", f"masks.sum({AXES}).clamp(min=2)"),
        [
            "In what was tried, the contrast is wrong exactly for slices whose lesion is a single "
            "voxel."
        ],
    ),
    "brighter voxels only": (
        f"    def mean(mask):\n        return (images * mask).sum({AXES}, keepdim=True) / "
        f"mask.sum({AXES}, keepdim=True)\n\n"
        "    surround = mean(surround_masks)\n"
        "    return (mean(lesion_masks & (images > surround)) - surround).flatten()\n",
        [
            "Of the lesion: only voxels brighter than the value of the surround count. All voxels "
            "of its mask belong to it."
        ],
    ),
    "rounded": (
        BODY.replace("lesion - surround", "torch.round(lesion - surround, decimals=2)"),
        ["The contrasts are rounded to 2 decimals: return them as they are."],
    ),
    "a tenth added": (
        BODY.replace(f"masks.sum({AXES})", f"(masks.sum({AXES}) + 0.1)")
        .replace("lesion_(masks", "(lesion_masks")
        .replace("surround_(masks", "(surround_masks"),
        [
            "Of lesion and of surround: 0.1 is added to the number of voxels, which changes the "
            "mean of a small mask."
        ],
    ),
    "in place": (
        "    inside = images\n    inside[~lesion_masks] = 0\n" + BODY,
        [
            "Your function changes `images`, which it was given, and what follows may be computed "
            f"from what is left. {NEW}"
        ],
    ),
    "in place, and without a sign": (
        "    images += 1\n    images /= 2\n"
        + BODY.replace("return lesion - surround", "return (lesion - surround).abs()"),
        [
            "Your function changes `images`, which it was given, and what follows may be computed "
            f"from what is left. {NEW}",
            "The result has no sign: a lesion that is darker than its surround has a negative "
            "contrast.",
        ],
    ),
    "in place, and the other way round": (
        "    images[images <= -0.99] = 0\n"
        + BODY.replace("lesion - surround", "surround - lesion"),
        [
            "Your function changes `images`, which it was given, and what follows may be computed "
            f"from what is left. {NEW}",
            "The difference is the other way round: the mean of the lesion comes first.",
        ],
    ),
    "a list, and without a sign": (
        BODY.replace("lesion - surround", "[abs(x.item()) for x in lesion - surround]"),
        [
            "Your function returned a list of 4 values (line 8: `return [abs(x.item()) for x in "
            "lesion - surround]`). Asked for: the contrasts, a tensor (N,).",
            "The result has no sign: a lesion that is darker than its surround has a negative "
            "contrast.",
        ],
    ),
    "one size": (
        "    images, lesion_masks, surround_masks = (\n        t.reshape(-1, 1, 64, 64)"
        " for t in (images, lesion_masks, surround_masks)\n    )\n" + BODY,
        [
            "Your function works for slices of 64 × 64 voxels only. Slices are (N, 1, H, W), and "
            "the check tries other sizes: take H and W from the slices themselves."
        ],
    ),
    "divided by a size, and the other way round": (
        BODY.replace("lesion - surround", "(surround - lesion) / surround.abs()"),
        [
            "The difference is divided by the absolute value of the surround; asked for is the "
            "difference itself.",
            "The difference is the other way round: the mean of the lesion comes first.",
        ],
    ),
    "all voxels in one row": (
        "    n = len(images)\n    lesion = images[lesion_masks].reshape(n, -1)\n"
        "    surround = images[surround_masks].view(n, -1)\n"
        "    return lesion.mean(dim=1) - surround.mean(dim=1)\n",
        [
            f"{UNEQUAL} A Boolean index, such as `images[lesion_masks]`, puts the voxels of all "
            "slices in one row, which does not tell where the next slice begins."
        ],
    ),
    "stacked": (
        "    pairs = zip(images, lesion_masks, surround_masks)\n"
        "    both = [(x[lesion], x[surround]) for x, lesion, surround in pairs]\n"
        "    lesion, surround = (torch.stack(values) for values in zip(*both))\n"
        "    return lesion.mean(dim=1) - surround.mean(dim=1)\n",
        [UNEQUAL],
    ),
    "divided by a deviation, in slices that are changed": (
        "    images[~(lesion_masks | surround_masks)] = 0\n    found = []\n"
        "    for x, lesion, surround in zip(images, lesion_masks, surround_masks):\n"
        "        around = x[surround]\n"
        "        contrast = x[lesion].mean() - around.mean()\n"
        "        found.append(contrast / (around.std(unbiased=False) + 1e-8))\n"
        "    return torch.stack(found)\n",
        [
            "Your function changes `images`, which it was given, and what follows may be computed "
            f"from what is left. {NEW}",
            "The difference is divided by the standard deviation of the surround (divided by n); "
            "asked for is the difference itself.",
        ],
    ),
    "one slice alone stops": (
        BODY.replace("x = images", "x = images + 0 * len(images.squeeze()[:, :, 0])"),
        ["Your function stops with one slice alone (N = 1), and not with several."],
    ),
    "divided by the deviation of the slice": (
        BODY.replace("lesion - surround", "(lesion - surround) / x.flatten(1).std(1)"),
        [
            "The difference is divided by the standard deviation of the slice; asked for is the "
            "difference itself."
        ],
    ),
    "divided by the lesion": (
        BODY.replace("lesion - surround", "(lesion - surround) / lesion"),
        ["The difference is divided by the lesion; asked for is the difference itself."],
    ),
    "eight bits, and without a sign": (
        BODY.replace(
            "x = images", "x = ((images + 1) / 2 * 255).to(torch.uint8).double() / 255"
        ).replace("lesion - surround", "(lesion - surround).abs()"),
        [
            "Each voxel is cut down to one of 256 greys, from 0 to 1, as in an image of 8 bits: "
            "take the values as they are.",
            "The result has no sign: a lesion that is darker than its surround has a negative "
            "contrast.",
        ],
    ),
    "without air in a mask that is changed": (
        "    surround_masks &= images > -0.9\n" + BODY,
        [
            "Your function changes `surround_masks`, which it was given, and what follows may be "
            f"computed from what is left. {NEW}",
            NO_AIR,
        ],
    ),
    "without air in slices that are halved in place": (
        "    images *= 0.5\n    surround_masks = surround_masks & (images > -0.45)\n" + BODY,
        [
            "Your function changes `images`, which it was given, and what follows may be computed "
            f"from what is left. {NEW}",
            SCALED,
            NO_AIR,
        ],
    ),
    "the last slice at 0, roots of mean squares": (
        "    found = torch.zeros(len(images), dtype=images.dtype)\n"
        "    for n in range(len(images) - 1):\n"
        "        a, b = images[n][lesion_masks[n]], images[n][surround_masks[n]]\n"
        "        found[n] = a.pow(2).mean().sqrt() - b.pow(2).mean().sqrt()\n"
        "    return found\n",
        [
            "The last slice of the batch is left out: its contrast is always 0.",
            "Each of lesion and surround counts with the root of the mean of its squares, asked "
            "for is its mean.",
        ],
    ),
    "the first slice at 0, other way round": (
        BODY.replace("lesion - surround", "(surround - lesion) * (torch.arange(len(x)) > 0)"),
        [
            "The first slice of the batch is left out: its contrast is always 0.",
            "The difference is the other way round: the mean of the lesion comes first.",
        ],
    ),
    "a loop without the last slice": (
        "    found = []\n"
        "    for n in range(len(images) - 1):\n"
        "        a, b = images[n][lesion_masks[n]], images[n][surround_masks[n]]\n"
        "        found.append(a.mean() - b.pow(2).mean().sqrt())\n"
        "    return torch.stack(found)\n",
        [
            "The last slice of the batch is left out: for 4 slices the result has 3 values.",
            "The surround counts with the root of the mean of its squares, asked for is its mean.",
        ],
    ),
    "a result without the first slice": (
        BODY.replace("lesion - surround", "(lesion - surround)[1:]"),
        ["The first slice of the batch is left out: for 4 slices the result has 3 values."],
    ),
    "brighter than a surround that goes on": (
        RUNNING.replace("        a, n_a = a + image[lesion].sum(), n_a + lesion.sum()\n", "")
        .replace(
            "        found.append(a / n_a - b / n_b)\n",
            "        a = image[lesion]\n"
            "        a = a[a > b / n_b]\n"
            "        found.append(a.mean() - b / n_b if len(a) else torch.zeros(()))\n",
        )
        .replace("    a = b", "    x = images\n    a = b"),
        [
            "Of the lesion: only voxels brighter than the value of the surround count, and the "
            "contrast is 0 where there are none. All voxels of its mask belong to it.",
            "Of the surround: sum and number of voxels go on from slice to slice. Begin anew with "
            "each slice.",
        ],
    ),
    "voxels above 0, without their number": (
        BODY.replace("(x * lesion_masks)", "(x * (lesion_masks & (x > 0)))").replace(
            f"/ lesion_masks.sum({AXES})", f"/ (lesion_masks & (x > 0)).sum({AXES})"
        ),
        ["Of the lesion: only voxels above 0 count. All voxels of its mask belong to it."],
    ),
    "nan everywhere": (
        BODY.replace(f"/ lesion_masks.sum({AXES})", f"* 0 / (0 * lesion_masks).sum({AXES})"),
        [
            "Every contrast is nan, not a number: something is divided by 0, or infinities are "
            "subtracted from each other."
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_difference_gets_a_sentence(name: str) -> None:
    body, expected = CASES[name]
    report = judge("lesion-contrast", load("lesion-contrast", HEAD + body))
    found = [text for word, text in report.notes if word == "wrong"]
    assert report.status != "right"
    assert found == expected
    assert sum(word == "stopped" for word, _ in report.notes) <= 1


@pytest.mark.parametrize(
    "answer", [x for x in answers("right") if x.exercise == "lesion-contrast"], ids=str
)
def test_right_contrasts_are_not_explained(answer: Answer) -> None:
    explained = EXERCISES[answer.exercise].explain(load(answer.exercise, answer.source), [])
    assert explained is None, explained
