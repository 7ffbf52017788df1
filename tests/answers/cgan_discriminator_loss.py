# ruff: noqa: F811
import torch
from torch import nn
from torch.nn import functional as F


# %% right: loss object, labels by size
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    bce = nn.BCEWithLogitsLoss()
    valid = torch.ones(real_t1.size(0), 1, 1, 1, dtype=real_t1.dtype)
    fooled = torch.zeros(real_t1.size(0), 1, 1, 1, dtype=real_t1.dtype)
    loss = bce(discriminator(fake_t2.detach(), real_t1), fooled)
    loss += bce(discriminator(real_t2, real_t1), valid)
    return 0.5 * loss


# %% right: softplus
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    real_part = F.softplus(-discriminator(real_t2, real_t1)).mean()
    fake_part = F.softplus(discriminator(fake_t2.detach(), real_t1)).mean()
    return 0.5 * real_part + 0.5 * fake_part


# %% right: one batch of both
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    logits = torch.cat(
        (discriminator(real_t2, real_t1), discriminator(fake_t2.detach(), real_t1))
    ).squeeze()
    labels = torch.zeros_like(logits)
    labels[: len(real_t1)] = 1
    return F.binary_cross_entropy_with_logits(logits, labels)


# %% right: cut off by data, probabilities
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    with torch.no_grad():
        cut = fake_t2.data.clone()
    real_part = -torch.log(torch.sigmoid(discriminator(real_t2, real_t1)))
    fake_part = -torch.log(1 - torch.sigmoid(discriminator(cut, real_t1)))
    return (real_part.mean() + fake_part.mean()).div(2)


# %% right: float32 labels only
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    real_logits, fake_logits = (
        discriminator(real_t2, real_t1),
        discriminator(fake_t2.detach(), real_t1),
    )
    real_part = F.cross_entropy(
        torch.cat((torch.zeros(len(real_t1), 1), real_logits.view(-1, 1)), 1),
        torch.ones(len(real_t1), dtype=torch.long),
    )
    fake_part = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros(fake_logits.shape))
    return sum([real_part, fake_part]) / 2


# %% wrong: factor missing
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    return (
        F.softplus(-discriminator(real_t2, real_t1)).mean()
        + F.softplus(discriminator(fake_t2.detach(), real_t1)).mean()
    )


# %% wrong: labels exchanged
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    return (
        F.softplus(discriminator(real_t2, real_t1)).mean()
        + F.softplus(-discriminator(fake_t2.detach(), real_t1)).mean()
    ) / 2


# %% wrong: still attached
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    return (
        F.softplus(-discriminator(real_t2, real_t1)).mean()
        + F.softplus(discriminator(fake_t2, real_t1)).mean()
    ) / 2


# %% wrong: real part only
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    return F.softplus(-discriminator(real_t2, real_t1)).mean() / 2


# %% wrong: no graph
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    with torch.no_grad():
        return (
            F.softplus(-discriminator(real_t2, real_t1)).mean()
            + F.softplus(discriminator(fake_t2.detach(), real_t1)).mean()
        ) / 2


# %% wrong: other input
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    return (
        F.softplus(-discriminator(real_t1, real_t2)).mean()
        + F.softplus(discriminator(fake_t2.detach(), real_t1)).mean()
    ) / 2


# %% wrong: least squares
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    return (
        (discriminator(real_t2, real_t1) - 1).square().mean()
        + discriminator(fake_t2.detach(), real_t1).square().mean()
    ) / 2


# %% wrong: discriminator cut off in the real part
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    return (
        F.softplus(-discriminator(real_t2, real_t1)).mean().detach()
        + F.softplus(discriminator(fake_t2.detach(), real_t1)).mean()
    ) / 2
