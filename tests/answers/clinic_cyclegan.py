import torch
from torch import nn
from torch.nn import functional as F


def scaled(slices):
    """Scale each slice (N, 1, 64, 64): its darkest voxel becomes -1, its brightest becomes 1."""
    low = slices.amin(dim=(1, 2, 3), keepdim=True)
    high = slices.amax(dim=(1, 2, 3), keepdim=True)
    return 1 - 2 * (slices - low) / (high - low)


def cycle_loss(generator_t1_to_t2, generator_t2_to_t1, real_t1, real_t2):
    """Return how far slices are from themselves after the way there and back, as a sum of two."""
    back_t1, back_t2 = generator_t2_to_t1(real_t2), generator_t1_to_t2(real_t1)
    return F.l1_loss(back_t1, real_t1) + F.l1_loss(back_t2, real_t2)


def update(optimizer, loss):
    """Make one step of the optimizer on this loss; gradients of earlier losses do not count."""
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()


# %% right: cleared by hand, minus, steps
def update_mended(optimizer, loss):
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = None
    loss.backward()
    optimizer.step()


def scaled_mended(slices):
    return -scaled(slices)


def cycle_mended(generator_t1_to_t2, generator_t2_to_t1, real_t1, real_t2):
    fake_t2 = generator_t1_to_t2(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    back_t1 = generator_t2_to_t1(fake_t2)
    back_t2 = generator_t1_to_t2(fake_t1)
    return F.l1_loss(back_t1, real_t1) + F.l1_loss(back_t2, real_t2)


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: cleared before and after, loop, by hand
def update_mended(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def scaled_mended(slices):
    return torch.stack([2 * (one - one.min()) / (one.max() - one.min()) - 1 for one in slices])


def cycle_mended(g, h, t1, t2):
    return (t1 - h(g(t1))).abs().mean() + (t2 - g(h(t2))).abs().mean()


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: closure, flat, loop
def update_mended(optimizer, loss):
    def closure():
        optimizer.zero_grad()
        loss.backward()
        return loss

    optimizer.step(closure)


def scaled_mended(slices):
    flat = slices.flatten(1)
    low, high = flat.min(dim=1).values, flat.max(dim=1).values
    middle, half = (high + low) / 2, (high - low) / 2
    return (slices - middle.view(-1, 1, 1, 1)) / half.view(-1, 1, 1, 1)


def cycle_mended(g, h, t1, t2):
    total = 0
    for there, back, real in ((g, h, t1), (h, g, t2)):
        total = total + nn.L1Loss()(back(there(real)), real)
    return total


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: zeros, aminmax, nested
def update_mended(optimizer, loss):
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    return optimizer.step()


def scaled_mended(slices):
    low, high = slices.flatten(1).aminmax(dim=1)
    low, high = low[:, None, None, None], high[:, None, None, None]
    return torch.lerp(
        -torch.ones_like(slices), torch.ones_like(slices), (slices - low) / (high - low)
    )


def cycle_mended(g, h, real_t1, real_t2):
    def there_and_back(there, back, real):
        return torch.mean(torch.abs(back(there(real)) - real))

    return there_and_back(h, g, real_t2) + there_and_back(g, h, real_t1)


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: cleared by hand, loop, loop
def update_mended(optimizer, loss):
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = None
    loss.backward()
    optimizer.step()


def scaled_mended(slices):
    return torch.stack([2 * (one - one.min()) / (one.max() - one.min()) - 1 for one in slices])


def cycle_mended(g, h, t1, t2):
    total = 0
    for there, back, real in ((g, h, t1), (h, g, t2)):
        total = total + nn.L1Loss()(back(there(real)), real)
    return total


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: cleared before and after, flat, nested
def update_mended(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def scaled_mended(slices):
    flat = slices.flatten(1)
    low, high = flat.min(dim=1).values, flat.max(dim=1).values
    middle, half = (high + low) / 2, (high - low) / 2
    return (slices - middle.view(-1, 1, 1, 1)) / half.view(-1, 1, 1, 1)


def cycle_mended(g, h, real_t1, real_t2):
    def there_and_back(there, back, real):
        return torch.mean(torch.abs(back(there(real)) - real))

    return there_and_back(h, g, real_t2) + there_and_back(g, h, real_t1)


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: closure, aminmax, steps
def update_mended(optimizer, loss):
    def closure():
        optimizer.zero_grad()
        loss.backward()
        return loss

    optimizer.step(closure)


def scaled_mended(slices):
    low, high = slices.flatten(1).aminmax(dim=1)
    low, high = low[:, None, None, None], high[:, None, None, None]
    return torch.lerp(
        -torch.ones_like(slices), torch.ones_like(slices), (slices - low) / (high - low)
    )


def cycle_mended(generator_t1_to_t2, generator_t2_to_t1, real_t1, real_t2):
    fake_t2 = generator_t1_to_t2(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    back_t1 = generator_t2_to_t1(fake_t2)
    back_t2 = generator_t1_to_t2(fake_t1)
    return F.l1_loss(back_t1, real_t1) + F.l1_loss(back_t2, real_t2)


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: zeros, minus, by hand
def update_mended(optimizer, loss):
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    return optimizer.step()


def scaled_mended(slices):
    return -scaled(slices)


def cycle_mended(g, h, t1, t2):
    return (t1 - h(g(t1))).abs().mean() + (t2 - g(h(t2))).abs().mean()


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: cleared by hand, flat, steps
def update_mended(optimizer, loss):
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = None
    loss.backward()
    optimizer.step()


def scaled_mended(slices):
    flat = slices.flatten(1)
    low, high = flat.min(dim=1).values, flat.max(dim=1).values
    middle, half = (high + low) / 2, (high - low) / 2
    return (slices - middle.view(-1, 1, 1, 1)) / half.view(-1, 1, 1, 1)


def cycle_mended(generator_t1_to_t2, generator_t2_to_t1, real_t1, real_t2):
    fake_t2 = generator_t1_to_t2(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    back_t1 = generator_t2_to_t1(fake_t2)
    back_t2 = generator_t1_to_t2(fake_t1)
    return F.l1_loss(back_t1, real_t1) + F.l1_loss(back_t2, real_t2)


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: cleared before and after, aminmax, by hand
def update_mended(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def scaled_mended(slices):
    low, high = slices.flatten(1).aminmax(dim=1)
    low, high = low[:, None, None, None], high[:, None, None, None]
    return torch.lerp(
        -torch.ones_like(slices), torch.ones_like(slices), (slices - low) / (high - low)
    )


def cycle_mended(g, h, t1, t2):
    return (t1 - h(g(t1))).abs().mean() + (t2 - g(h(t2))).abs().mean()


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: closure, minus, loop
def update_mended(optimizer, loss):
    def closure():
        optimizer.zero_grad()
        loss.backward()
        return loss

    optimizer.step(closure)


def scaled_mended(slices):
    return -scaled(slices)


def cycle_mended(g, h, t1, t2):
    total = 0
    for there, back, real in ((g, h, t1), (h, g, t2)):
        total = total + nn.L1Loss()(back(there(real)), real)
    return total


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: zeros, loop, nested
def update_mended(optimizer, loss):
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    return optimizer.step()


def scaled_mended(slices):
    return torch.stack([2 * (one - one.min()) / (one.max() - one.min()) - 1 for one in slices])


def cycle_mended(g, h, real_t1, real_t2):
    def there_and_back(there, back, real):
        return torch.mean(torch.abs(back(there(real)) - real))

    return there_and_back(h, g, real_t2) + there_and_back(g, h, real_t1)


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% right: cleared by hand, aminmax, loop
def update_mended(optimizer, loss):
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = None
    loss.backward()
    optimizer.step()


def scaled_mended(slices):
    low, high = slices.flatten(1).aminmax(dim=1)
    low, high = low[:, None, None, None], high[:, None, None, None]
    return torch.lerp(
        -torch.ones_like(slices), torch.ones_like(slices), (slices - low) / (high - low)
    )


def cycle_mended(g, h, t1, t2):
    total = 0
    for there, back, real in ((g, h, t1), (h, g, t2)):
        total = total + nn.L1Loss()(back(there(real)), real)
    return total


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% wrong: own words, two cases exchanged -> cases-e-and-f-exchanged
def update_mended(optimizer, loss):
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    return optimizer.step()


def scaled_mended(slices):
    flat = slices.flatten(1)
    low, high = flat.min(dim=1).values, flat.max(dim=1).values
    middle, half = (high + low) / 2, (high - low) / 2
    return (slices - middle.view(-1, 1, 1, 1)) / half.view(-1, 1, 1, 1)


def cycle_mended(g, h, t1, t2):
    return (t1 - h(g(t1))).abs().mean() + (t2 - g(h(t2))).abs().mean()


def clinic_cyclegan():
    return {
        "E": ("contrast inverted", scaled_mended),
        "F": ("discriminator never learns", update_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% wrong: range from 0 to 2, own words -> scaling-without-offset
def update_mended(optimizer, loss):
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    return optimizer.step()


def scaled_mended(slices):
    flat = slices.flatten(1)
    low, high = (x.view(-1, 1, 1, 1) for x in (flat.min(dim=1).values, flat.max(dim=1).values))
    return (slices - low) * 2 / (high - low)


def cycle_mended(g, h, t1, t2):
    return (t1 - h(g(t1))).abs().mean() + (t2 - g(h(t2))).abs().mean()


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% wrong: stale gradients, own words -> update-cleared-last
def update_mended(optimizer, loss):
    loss.backward()
    optimizer.step()
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = None


def scaled_mended(slices):
    flat = slices.flatten(1)
    low, high = flat.min(dim=1).values, flat.max(dim=1).values
    middle, half = (high + low) / 2, (high - low) / 2
    return (slices - middle.view(-1, 1, 1, 1)) / half.view(-1, 1, 1, 1)


def cycle_mended(g, h, t1, t2):
    return (t1 - h(g(t1))).abs().mean() + (t2 - g(h(t2))).abs().mean()


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% wrong: one cycle only, own words -> cycle-of-t1-only
def update_mended(optimizer, loss):
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    return optimizer.step()


def scaled_mended(slices):
    flat = slices.flatten(1)
    low, high = flat.min(dim=1).values, flat.max(dim=1).values
    middle, half = (high + low) / 2, (high - low) / 2
    return (slices - middle.view(-1, 1, 1, 1)) / half.view(-1, 1, 1, 1)


def cycle_mended(g, h, t1, t2):
    return (t1 - h(g(t1))).abs().mean() + (t2 - g(t1)).abs().mean()


def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", update_mended),
        "F": ("contrast inverted", scaled_mended),
        "G": ("compared with another person", cycle_mended),
    }


# %% wrong: diagnoses only
def clinic_cyclegan():
    return {
        "E": ("discriminator never learns", None),
        "F": ("contrast inverted", None),
        "G": ("compared with another person", None),
    }


# %% wrong: a list in place of a dictionary
def update_mended(optimizer, loss):
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    return optimizer.step()


def scaled_mended(slices):
    flat = slices.flatten(1)
    low, high = flat.min(dim=1).values, flat.max(dim=1).values
    middle, half = (high + low) / 2, (high - low) / 2
    return (slices - middle.view(-1, 1, 1, 1)) / half.view(-1, 1, 1, 1)


def cycle_mended(g, h, t1, t2):
    return (t1 - h(g(t1))).abs().mean() + (t2 - g(h(t2))).abs().mean()


def clinic_cyclegan():
    return list(
        {
            "E": ("discriminator never learns", update_mended),
            "F": ("contrast inverted", scaled_mended),
            "G": ("compared with another person", cycle_mended),
        }.values()
    )
