# ruff: noqa: F811
import torch
from torch import nn
from torch.nn import functional as F


# %% right: loss objects, labels by size
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    valid = torch.ones(real_t1.size(0), 1, 1, 1, dtype=real_t1.dtype)
    gan = nn.BCEWithLogitsLoss()(discriminator(fake_t2, real_t1), valid)
    return gan * lambda_gan + nn.L1Loss()(real_t2, fake_t2) * lambda_pixel


# %% right: softplus
def cgan_generator_loss(discriminator, t1, t2, fake, lambda_gan=1, lambda_pixel=1):
    return (
        lambda_pixel * (fake - t2).abs().mean()
        + lambda_gan * F.softplus(-discriminator(image=fake, condition=t1)).mean()
    )


# %% right: sigmoid and cross-entropy of probabilities
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    probability = torch.sigmoid(discriminator(fake_t2, real_t1)).view(-1)
    gan = F.binary_cross_entropy(probability, torch.ones_like(probability))
    loss = torch.tensor(0.0)
    loss = loss + lambda_gan * gan
    loss = loss + lambda_pixel * torch.mean(torch.abs(torch.sub(real_t2, fake_t2)))
    return loss


# %% right: frozen discriminator
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    discriminator.requires_grad_(False)
    logits = discriminator(fake_t2, real_t1)
    discriminator.requires_grad_(True)
    return -lambda_gan * F.logsigmoid(logits).mean() + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: label 0
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: condition first
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(real_t1, fake_t2)
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: squares
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return lambda_gan * gan + lambda_pixel * F.mse_loss(fake_t2, real_t2)


# %% wrong: weights exchanged
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return lambda_pixel * gan + lambda_gan * F.l1_loss(fake_t2, real_t2)


# %% wrong: detached
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(fake_t2.detach(), real_t1)
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: no graph
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return torch.tensor((lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)).item())


# %% wrong: sigmoid twice
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = torch.sigmoid(discriminator(fake_t2, real_t1))
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: other default
def cgan_generator_loss(
    discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=100.0
):
    logits = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)
