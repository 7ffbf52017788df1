# ruff: noqa: F811
import torch
from torch import nn
from torch.nn import functional as F


# %% right: loss objects, labels by size
def cyclegan_generator_loss(
    generator_t1_to_t2,
    generator_t2_to_t1,
    discriminator_t1,
    discriminator_t2,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    bce, mae = nn.BCEWithLogitsLoss(), nn.L1Loss()
    valid = torch.ones(real_t1.size(0), 1, 1, 1, dtype=real_t1.dtype)
    fake_t2 = generator_t1_to_t2(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    gan = bce(discriminator_t2(fake_t2), valid) + bce(discriminator_t1(fake_t1), valid)
    cycle = mae(real_t1, generator_t2_to_t1(fake_t2)) + mae(real_t2, generator_t1_to_t2(fake_t1))
    return gan * lambda_gan + cycle * lambda_cycle, fake_t1, fake_t2


# %% right: a helper for one direction
def one_way(forward, backward, discriminator, real, lambda_gan, lambda_cycle):
    fake = forward(real)
    gan = F.softplus(-discriminator(fake)).mean()
    return fake, lambda_gan * gan + lambda_cycle * (backward(fake) - real).abs().mean()


def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, there = one_way(a, b, d2, real_t1, lambda_gan, lambda_cycle)
    fake_t1, back = one_way(b, a, d1, real_t2, lambda_gan, lambda_cycle)
    return [there + back, fake_t1, fake_t2]


# %% right: detached images returned
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fakes = b(real_t2), a(real_t1)
    loss = 0
    for fake, discriminator in zip(fakes, (d1, d2), strict=True):
        loss = loss - lambda_gan * torch.log(discriminator(fake).sigmoid()).mean()
    for image, back in ((real_t2, a(fakes[0])), (real_t1, b(fakes[1]))):
        loss = loss + lambda_cycle * F.l1_loss(back, image)
    return loss, fakes[0].detach(), fakes[1].detach()


# %% right: discriminators frozen
def cyclegan_generator_loss(
    generator_t1_to_t2,
    generator_t2_to_t1,
    discriminator_t1,
    discriminator_t2,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    for network in (discriminator_t1, discriminator_t2):
        network.requires_grad_(False)
    fake_t2, fake_t1 = generator_t1_to_t2(real_t1), generator_t2_to_t1(real_t2)
    logits = torch.cat((discriminator_t1(fake_t1), discriminator_t2(fake_t2)))
    gan = 2 * F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    cycle = F.l1_loss(generator_t2_to_t1(fake_t2), real_t1)
    cycle += F.l1_loss(generator_t1_to_t2(fake_t1), real_t2)
    for network in (discriminator_t1, discriminator_t2):
        network.requires_grad_(True)
    return lambda_cycle * cycle + lambda_gan * gan, fake_t1, fake_t2


# %% wrong: one direction
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d2(fake_t2)).mean()
    cycle = F.l1_loss(b(fake_t2), real_t1)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: halved
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(b(fake_t2), real_t1) + F.l1_loss(a(fake_t1), real_t2)
    return (lambda_gan * gan + lambda_cycle * cycle) / 2, fake_t1, fake_t2


# %% wrong: discriminators exchanged
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d1(fake_t2)).mean() + F.softplus(-d2(fake_t1)).mean()
    cycle = F.l1_loss(b(fake_t2), real_t1) + F.l1_loss(a(fake_t1), real_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: images returned in the other order
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(b(fake_t2), real_t1) + F.l1_loss(a(fake_t1), real_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t2, fake_t1


# %% wrong: cycle detached
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(b(fake_t2.detach()), real_t1) + F.l1_loss(a(fake_t1.detach()), real_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: supervised
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(fake_t2, real_t2) + F.l1_loss(fake_t1, real_t1)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: loss only
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(b(fake_t2), real_t1) + F.l1_loss(a(fake_t1), real_t2)
    return lambda_gan * gan + lambda_cycle * cycle


# %% wrong: no graph
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(b(fake_t2), real_t1) + F.l1_loss(a(fake_t1), real_t2)
    return (lambda_gan * gan + lambda_cycle * cycle).detach(), fake_t1, fake_t2
