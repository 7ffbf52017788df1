# ruff: noqa: F811
import torch
from torch import nn
from torch.nn import functional as F


# %% right: loss object, labels by size
def cyclegan_discriminator_loss(discriminator, real, fake):
    bce = nn.BCEWithLogitsLoss()
    valid = torch.ones(real.size(0), 1, 1, 1, dtype=real.dtype)
    fooled = torch.zeros(real.size(0), 1, 1, 1, dtype=real.dtype)
    loss = bce(discriminator(fake.detach()), fooled)
    loss += bce(discriminator(real), valid)
    return 0.5 * loss


# %% right: softplus
def cyclegan_discriminator_loss(discriminator, real, fake):
    real_part = F.softplus(-discriminator(real)).mean()
    fake_part = F.softplus(discriminator(fake.detach())).mean()
    return 0.5 * real_part + 0.5 * fake_part


# %% right: one batch of both
def cyclegan_discriminator_loss(discriminator, real, fake):
    logits = torch.cat((discriminator(real), discriminator(fake.detach()))).squeeze()
    labels = torch.zeros_like(logits)
    labels[: len(real)] = 1
    return F.binary_cross_entropy_with_logits(logits, labels)


# %% right: cut off by data, probabilities
def cyclegan_discriminator_loss(discriminator, real, fake):
    with torch.no_grad():
        cut = fake.data.clone()
    real_part = -torch.log(torch.sigmoid(discriminator(real)))
    fake_part = -torch.log(1 - torch.sigmoid(discriminator(cut)))
    return (real_part.mean() + fake_part.mean()).div(2)


# %% right: float32 labels only
def cyclegan_discriminator_loss(discriminator, real, fake):
    real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
    real_part = F.cross_entropy(
        torch.cat((torch.zeros(len(real), 1), real_logits.view(-1, 1)), 1),
        torch.ones(len(real), dtype=torch.long),
    )
    fake_part = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros(fake_logits.shape))
    return sum([real_part, fake_part]) / 2


# %% wrong: factor missing
def cyclegan_discriminator_loss(discriminator, real, fake):
    return F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()


# %% wrong: labels exchanged
def cyclegan_discriminator_loss(discriminator, real, fake):
    return (
        F.softplus(discriminator(real)).mean() + F.softplus(-discriminator(fake.detach())).mean()
    ) / 2


# %% wrong: still attached
def cyclegan_discriminator_loss(discriminator, real, fake):
    return (F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()) / 2


# %% wrong: real part only
def cyclegan_discriminator_loss(discriminator, real, fake):
    return F.softplus(-discriminator(real)).mean() / 2


# %% wrong: no graph
def cyclegan_discriminator_loss(discriminator, real, fake):
    with torch.no_grad():
        return (
            F.softplus(-discriminator(real)).mean()
            + F.softplus(discriminator(fake.detach())).mean()
        ) / 2


# %% wrong: other input
def cyclegan_discriminator_loss(discriminator, real, fake):
    return (
        F.softplus(-discriminator(real.flip(-1))).mean()
        + F.softplus(discriminator(fake.detach())).mean()
    ) / 2


# %% wrong: least squares
def cyclegan_discriminator_loss(discriminator, real, fake):
    return (
        (discriminator(real) - 1).square().mean() + discriminator(fake.detach()).square().mean()
    ) / 2


# %% wrong: discriminator cut off in the real part
def cyclegan_discriminator_loss(discriminator, real, fake):
    return (
        F.softplus(-discriminator(real)).mean().detach()
        + F.softplus(discriminator(fake.detach())).mean()
    ) / 2
