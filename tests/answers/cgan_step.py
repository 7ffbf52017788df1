# ruff: noqa: F811
import torch
from torch import nn
from torch.nn import functional as F


# %% right: fake made again after the update, gradients cleared late
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    loss_g = cgan_generator_loss(
        discriminator,
        real_t1,
        real_t2,
        generator(real_t1),
        lambda_gan=lambda_gan,
        lambda_pixel=lambda_pixel,
    )
    loss_g.backward()
    optimizer_generator.step()
    optimizer_discriminator.zero_grad()
    with torch.no_grad():
        fake = generator(real_t1)
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    loss_d.backward()
    optimizer_discriminator.step()
    optimizer_generator.zero_grad()
    return loss_g, loss_d


# %% right: both losses written out
def cgan_step(G, D, opt_g, opt_d, t1, t2, lambda_gan=1.0, lambda_pixel=1.0):
    bce, mae = nn.BCEWithLogitsLoss(), nn.L1Loss()
    valid = torch.ones(t1.size(0), 1, 1, 1, dtype=t1.dtype)
    opt_g.zero_grad()
    fake = G(t1)
    loss_g = lambda_gan * bce(D(fake, t1), valid) + lambda_pixel * mae(fake, t2)
    loss_g.backward()
    opt_g.step()
    opt_d.zero_grad()
    loss_d = 0.5 * bce(D(t2, t1), valid) + 0.5 * bce(D(fake.detach(), t1), torch.zeros_like(valid))
    loss_d.backward()
    opt_d.step()
    return [loss_g, loss_d]


# %% right: discriminator frozen, one loss written out
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    for parameter in discriminator.parameters():
        parameter.requires_grad = False
    optimizer_generator.zero_grad()
    fake = generator(real_t1)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake, lambda_gan, lambda_pixel)
    loss_g.backward()
    optimizer_generator.step()
    for parameter in discriminator.parameters():
        parameter.requires_grad = True
    loss_d = (
        F.softplus(-discriminator(real_t2, real_t1)).mean()
        + F.softplus(discriminator(fake.detach(), real_t1)).mean()
    ) / 2
    loss_d.backward()
    optimizer_discriminator.step()
    optimizer_discriminator.zero_grad()
    return torch.tensor(loss_g.item()), torch.tensor(loss_d.item())


# %% right: helper functions
def update(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def train_discriminator(discriminator, optimizer, real_t1, real_t2, fake):
    return update(
        optimizer, cgan_discriminator_loss(discriminator, real_t1, real_t2, fake.detach())
    )


def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1)
    weights = {"lambda_pixel": lambda_pixel, "lambda_gan": lambda_gan}
    loss = cgan_generator_loss(discriminator, real_t1, real_t2, fake, **weights)
    return update(optimizer_generator, loss), train_discriminator(
        discriminator, optimizer_discriminator, real_t1, real_t2, fake
    )


# %% right: own loss with another signature
def cgan_generator_loss(logits, fake, real, a, b):
    return a * F.softplus(-logits).mean() + b * (fake - real).abs().mean()


def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1)
    loss_g = cgan_generator_loss(
        discriminator(fake, real_t1), fake, real_t2, lambda_gan, lambda_pixel
    )
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    optimizer_discriminator.zero_grad()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_g, loss_d


# %% right: while both earlier losses are wrong
def cgan_generator_loss(*args, **kwargs):
    return torch.zeros(())


def cgan_discriminator_loss(*args):
    raise NotImplementedError("not written yet")


def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake, lambda_gan, lambda_pixel)
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    optimizer_discriminator.zero_grad()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_g, loss_d


# %% wrong: gradients of the discriminator not cleared
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake, lambda_gan, lambda_pixel)
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_g, loss_d


# %% wrong: both cleared at the start
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    optimizer_generator.zero_grad()
    optimizer_discriminator.zero_grad()
    fake = generator(real_t1)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake, lambda_gan, lambda_pixel)
    loss_g.backward()
    optimizer_generator.step()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_g, loss_d


# %% wrong: weights not passed on
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake)
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    optimizer_discriminator.zero_grad()
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_g, loss_d


# %% wrong: discriminator first
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1)
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    optimizer_discriminator.zero_grad()
    loss_d.backward()
    optimizer_discriminator.step()
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake, lambda_gan, lambda_pixel)
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    return loss_g, loss_d


# %% wrong: losses returned in the other order
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake, lambda_gan, lambda_pixel)
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    optimizer_discriminator.zero_grad()
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_d, loss_g


# %% wrong: generator never trained
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1).detach()
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake, lambda_gan, lambda_pixel)
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    optimizer_discriminator.zero_grad()
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_g, loss_d


# %% wrong: discriminator not trained
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake, lambda_gan, lambda_pixel)
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    return loss_g, cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)


# %% wrong: written out with exchanged labels
def cgan_step(
    generator,
    discriminator,
    optimizer_generator,
    optimizer_discriminator,
    real_t1,
    real_t2,
    lambda_gan=1.0,
    lambda_pixel=1.0,
):
    fake = generator(real_t1)
    loss_g = lambda_gan * F.softplus(
        discriminator(fake, real_t1)
    ).mean() + lambda_pixel * F.l1_loss(fake, real_t2)
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake)
    optimizer_discriminator.zero_grad()
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_g, loss_d
