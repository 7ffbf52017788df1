# ruff: noqa: F811
import torch
from torch.nn import functional as F


# %% right: fakes made again, one discriminator after the other
def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    t1_to_t2, t2_to_t1 = generators
    optimizer_generators.zero_grad()
    loss_g, _, _ = cyclegan_generator_loss(
        t1_to_t2,
        t2_to_t1,
        discriminators[0],
        discriminators[1],
        real_t1,
        real_t2,
        lambda_gan=lambda_gan,
        lambda_cycle=lambda_cycle,
    )
    loss_g.backward()
    optimizer_generators.step()
    optimizer_discriminators.zero_grad()
    total = 0
    with torch.no_grad():
        fakes = t2_to_t1(real_t2), t1_to_t2(real_t1)
    for discriminator, real, fake in zip(discriminators, (real_t1, real_t2), fakes, strict=True):
        loss = cyclegan_discriminator_loss(discriminator, real, fake)
        loss.backward()
        total = total + loss.detach()
    optimizer_discriminators.step()
    return loss_g.detach(), total


# %% right: cleared last, discriminators frozen
def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    for discriminator in discriminators:
        discriminator.requires_grad_(False)
    loss_g, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    loss_g.backward()
    optimizer_generators.step()
    optimizer_generators.zero_grad()
    for discriminator in discriminators:
        discriminator.requires_grad_(True)
    loss_d = cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    loss_d = loss_d + cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    loss_d.backward()
    optimizer_discriminators.step()
    optimizer_discriminators.zero_grad()
    return loss_g, loss_d


# %% right: all written out
def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    (a, b), (d1, d2) = generators, discriminators
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(b(fake_t2), real_t1) + F.l1_loss(a(fake_t1), real_t2)
    loss_g = lambda_gan * gan + lambda_cycle * cycle
    optimizer_generators.zero_grad()
    loss_g.backward()
    optimizer_generators.step()
    loss_d = 0
    for d, real, fake in ((d1, real_t1, fake_t1), (d2, real_t2, fake_t2)):
        loss_d += 0.5 * F.softplus(-d(real)).mean() + 0.5 * F.softplus(d(fake.detach())).mean()
    optimizer_discriminators.zero_grad()
    loss_d.backward()
    optimizer_discriminators.step()
    return loss_g, loss_d


# %% right: while both earlier losses are missing
def cyclegan_generator_loss(*args):
    raise NotImplementedError("not written yet")


cyclegan_discriminator_loss = None


def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    loss_g, *fakes = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    optimizer_generators.zero_grad()
    loss_g.backward()
    optimizer_generators.step()
    optimizer_discriminators.zero_grad()
    losses = [
        cyclegan_discriminator_loss(discriminator, real, fake.detach())
        for discriminator, real, fake in zip(discriminators, (real_t1, real_t2), fakes, strict=True)
    ]
    loss_d = torch.stack(losses).sum()
    loss_d.backward()
    optimizer_discriminators.step()
    return loss_g, loss_d


# %% wrong: losses of the discriminators averaged
def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    loss_g, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    optimizer_generators.zero_grad()
    loss_g.backward()
    optimizer_generators.step()
    loss_d = cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    loss_d = (loss_d + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)) / 2
    optimizer_discriminators.zero_grad()
    loss_d.backward()
    optimizer_discriminators.step()
    return loss_g, loss_d


# %% wrong: fakes exchanged
def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    loss_g, fake_t2, fake_t1 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    optimizer_generators.zero_grad()
    loss_g.backward()
    optimizer_generators.step()
    loss_d = cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    loss_d = loss_d + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    optimizer_discriminators.zero_grad()
    loss_d.backward()
    optimizer_discriminators.step()
    return loss_g, loss_d


# %% wrong: gradients of the discriminators not cleared
def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    loss_g, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    optimizer_generators.zero_grad()
    loss_g.backward()
    optimizer_generators.step()
    loss_d = cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    loss_d = loss_d + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    loss_d.backward()
    optimizer_discriminators.step()
    return loss_g, loss_d


# %% wrong: one discriminator trained
def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    loss_g, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    optimizer_generators.zero_grad()
    loss_g.backward()
    optimizer_generators.step()
    loss_1 = cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    loss_2 = cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    optimizer_discriminators.zero_grad()
    loss_2.backward()
    optimizer_discriminators.step()
    return loss_g, loss_1 + loss_2


# %% wrong: weights exchanged
def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    loss_g, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_cycle, lambda_gan
    )
    optimizer_generators.zero_grad()
    loss_g.backward()
    optimizer_generators.step()
    loss_d = cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    loss_d = loss_d + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    optimizer_discriminators.zero_grad()
    loss_d.backward()
    optimizer_discriminators.step()
    return loss_g, loss_d


# %% wrong: nothing trained
def cyclegan_step(
    generators,
    discriminators,
    optimizer_generators,
    optimizer_discriminators,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_cycle=1.0,
):
    loss_g, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    loss_d = cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    return loss_g, loss_d + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
