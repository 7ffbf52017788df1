import copy

import torch
from torch import nn
from torch.autograd import Variable
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


# %% right: old-tutorial style, own losses, gradients cleared first, one step after the other
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
    criterion_GAN = nn.BCEWithLogitsLoss()
    criterion_pixelwise = nn.L1Loss()
    valid = Variable(torch.ones(real_t1.size(0), 1, 1, 1), requires_grad=False).to(real_t1)
    fake = Variable(torch.zeros(real_t1.size(0), 1, 1, 1), requires_grad=False).to(real_t1)
    # ------------------
    #  Train Generators
    # ------------------
    optimizer_generator.zero_grad()
    fake_t2 = generator(real_t1)
    pred_fake = discriminator(fake_t2, real_t1)
    loss_G = lambda_gan * criterion_GAN(pred_fake, valid) + lambda_pixel * criterion_pixelwise(
        fake_t2, real_t2
    )
    loss_G.backward()
    optimizer_generator.step()
    # ---------------------
    #  Train Discriminator
    # ---------------------
    optimizer_discriminator.zero_grad()
    loss_real = criterion_GAN(discriminator(real_t2, real_t1), valid)
    loss_fake = criterion_GAN(discriminator(fake_t2.detach(), real_t1), fake)
    loss_D = 0.5 * (loss_real + loss_fake)
    loss_D.backward()
    optimizer_discriminator.step()
    return loss_G, loss_D


# %% right: a new fake from the updated generator under no_grad, gradients to None
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
    optimizer_generator.zero_grad(set_to_none=True)
    loss_generator = cgan_generator_loss(
        discriminator=discriminator,
        real_t1=real_t1,
        real_t2=real_t2,
        fake_t2=generator(real_t1),
        lambda_gan=lambda_gan,
        lambda_pixel=lambda_pixel,
    )
    loss_generator.backward()
    optimizer_generator.step()

    with torch.no_grad():
        new_fake = generator(real_t1)
    optimizer_discriminator.zero_grad(set_to_none=True)
    loss_discriminator = cgan_discriminator_loss(discriminator, real_t1, real_t2, new_fake)
    loss_discriminator.backward()
    optimizer_discriminator.step()
    return loss_generator.detach().clone(), loss_discriminator.detach().clone()


# %% right: discriminator frozen for the generator part, gradients cleared last
def set_requires_grad(network: nn.Module, requires_grad: bool = False) -> None:
    for parameter in network.parameters():
        parameter.requires_grad = requires_grad


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
    fake_t2 = generator(real_t1)

    set_requires_grad(discriminator, False)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel)
    loss_g.backward()
    optimizer_generator.step()
    optimizer_generator.zero_grad()

    set_requires_grad(discriminator, True)
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)
    loss_d.backward()
    optimizer_discriminator.step()
    optimizer_discriminator.zero_grad()
    return loss_g, loss_d


# %% right: torch.autograd.grad, gradients put into .grad by hand
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
    def update(loss, optimizer):
        weights = [
            w for group in optimizer.param_groups for w in group["params"] if w.requires_grad
        ]
        for w, gradient in zip(weights, torch.autograd.grad(loss, weights, allow_unused=True)):
            w.grad = gradient
        optimizer.step()
        return loss.detach()

    fake_t2 = generator(real_t1)
    first = update(
        cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel),
        optimizer_generator,
    )
    second = update(
        cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2), optimizer_discriminator
    )
    return first, second


# %% right: both backward passes first, both steps at the end, same numbers
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
    fake_t2 = generator(real_t1)
    loss_generator = cgan_generator_loss(
        discriminator, real_t1, real_t2, fake_t2, lambda_pixel=lambda_pixel, lambda_gan=lambda_gan
    )
    loss_discriminator = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)

    optimizer_generator.zero_grad()
    loss_generator.backward(retain_graph=True)
    optimizer_discriminator.zero_grad()  # throws away what the line above left in the discriminator
    loss_discriminator.backward()
    optimizer_generator.step()
    optimizer_discriminator.step()
    return loss_generator, loss_discriminator


# %% right: loop over lazy losses, print of both, network.zero_grad
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
    generator.train()
    discriminator.train()
    fake_t2 = generator(real_t1)
    parts = [
        (
            optimizer_generator,
            lambda: cgan_generator_loss(
                discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel
            ),
        ),
        (
            optimizer_discriminator,
            lambda: cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2),
        ),
    ]
    losses = []
    for optimizer, make_loss in parts:
        loss = make_loss()
        for network in (generator, discriminator):
            network.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    print("G %.4f  D %.4f" % tuple(float(loss) for loss in losses))
    return tuple(losses)


# %% right: discriminator frozen during the generator part, keyword calls, floats kept attached
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
    discriminator.requires_grad_(False)
    optimizer_generator.zero_grad(set_to_none=False)
    fake_t2 = generator(real_t1)
    loss_g = cgan_generator_loss(
        discriminator=discriminator,
        real_t1=real_t1,
        real_t2=real_t2,
        fake_t2=fake_t2,
        lambda_pixel=lambda_pixel,
        lambda_gan=lambda_gan,
    )
    loss_g.backward()
    optimizer_generator.step()

    discriminator.requires_grad_(True)
    optimizer_discriminator.zero_grad(set_to_none=False)
    loss_d = cgan_discriminator_loss(
        discriminator=discriminator, real_t1=real_t1, real_t2=real_t2, fake_t2=fake_t2
    )
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_g, loss_d


# %% right: new fake from the updated generator under no_grad, gradients cleared last
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
    losses = []

    loss = cgan_generator_loss(
        discriminator, real_t1, real_t2, generator(real_t1), lambda_gan, lambda_pixel
    )
    loss.backward()
    optimizer_generator.step()
    losses.append(loss.detach().clone())
    generator.zero_grad()
    discriminator.zero_grad()

    with torch.no_grad():
        new_fake = generator(real_t1)
    loss = cgan_discriminator_loss(discriminator, real_t1, real_t2, new_fake)
    loss.backward()
    optimizer_discriminator.step()
    losses.append(loss.detach().clone())
    generator.zero_grad()
    discriminator.zero_grad()
    return tuple(losses)


# %% right: everything written out (no call of the losses), backward into one network only
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
    g = lambda_gan * F.softplus(-discriminator(fake, real_t1)).mean()
    g = g + lambda_pixel * (fake - real_t2).abs().mean()
    g.backward(inputs=list(generator.parameters()))
    optimizer_generator.step()

    fake = fake.detach()
    d = F.softplus(-discriminator(real_t2, real_t1)).mean() / 2
    d = d + F.softplus(discriminator(fake, real_t1)).mean() / 2
    d.backward(inputs=list(discriminator.parameters()))
    optimizer_discriminator.step()
    return g.detach(), d.detach()


# %% right: torch.autograd.grad, the gradients put in place by a helper
def _apply(loss, network, optimizer, retain_graph=False):
    weights = [p for p in network.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, weights, retain_graph=retain_graph)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


def cgan_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_generator: torch.optim.Optimizer,
    optimizer_discriminator: torch.optim.Optimizer,
    real_t1: torch.Tensor,
    real_t2: torch.Tensor,
    lambda_gan: float = 1.0,
    lambda_pixel: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    fake = generator(real_t1)
    loss = cgan_generator_loss(discriminator, real_t1, real_t2, fake, lambda_gan, lambda_pixel)
    first = _apply(loss, generator, optimizer_generator, retain_graph=True)
    loss = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake.clone().detach())
    return first, _apply(loss, discriminator, optimizer_discriminator)


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


# %% wrong: two mistakes, weights exchanged and the two losses returned in the other order
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
    fake_t2 = generator(real_t1)
    loss_generator = cgan_generator_loss(
        discriminator, real_t1, real_t2, fake_t2, lambda_pixel, lambda_gan
    )
    optimizer_generator.zero_grad()
    loss_generator.backward()
    optimizer_generator.step()

    loss_discriminator = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()
    optimizer_discriminator.step()
    return loss_discriminator.detach(), loss_generator.detach()


# %% wrong: two mistakes, own discriminator loss not detached with the generator stepping again, no halves
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
    bce = nn.BCEWithLogitsLoss()
    fake_t2 = generator(real_t1)
    optimizer_generator.zero_grad()
    loss_G = cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel)
    loss_G.backward()
    optimizer_generator.step()

    optimizer_generator.zero_grad()
    optimizer_discriminator.zero_grad()
    z_real = discriminator(real_t2, real_t1)
    z_fake = discriminator(generator(real_t1), real_t1)
    loss_D = bce(z_real, torch.ones_like(z_real)) + bce(z_fake, torch.zeros_like(z_fake))
    loss_D.backward()
    optimizer_discriminator.step()
    optimizer_generator.step()
    return loss_G.detach(), loss_D.detach()


# %% wrong: gaming, both networks copied and the copies trained
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
    g, d = copy.deepcopy(generator), copy.deepcopy(discriminator)
    fake_t2 = g(real_t1)
    loss_generator = cgan_generator_loss(d, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel)
    optimizer_generator.zero_grad()
    loss_generator.backward()
    optimizer_generator.step()
    loss_discriminator = cgan_discriminator_loss(d, real_t1, real_t2, fake_t2)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()
    optimizer_discriminator.step()
    return loss_generator.detach(), loss_discriminator.detach()


# %% wrong: gaming, right losses, weights merely shaken so that they change
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
    with torch.no_grad():
        fake_t2 = generator(real_t1)
        loss_generator = cgan_generator_loss(
            discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel
        )
        loss_discriminator = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)
        for network in (generator, discriminator):
            for weight in network.parameters():
                weight.add_(1e-4 * torch.randn_like(weight))
    return loss_generator, loss_discriminator


# %% wrong: gaming, generator honest, discriminator updated with the loss of the real slices only, right value returned
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
    fake_t2 = generator(real_t1)
    loss_generator = cgan_generator_loss(
        discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel
    )
    optimizer_generator.zero_grad()
    loss_generator.backward()
    optimizer_generator.step()

    loss_discriminator = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2).detach()
    logits = discriminator(real_t2, real_t1)
    optimizer_discriminator.zero_grad()
    F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)).backward()
    optimizer_discriminator.step()
    return loss_generator.detach(), loss_discriminator


# %% wrong: two mistakes, the weights are not handed on and the losses come back in reverse order
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
    fake_t2 = generator(real_t1)
    optimizer_generator.zero_grad()
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2)
    loss_g.backward()
    optimizer_generator.step()

    optimizer_discriminator.zero_grad()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_d.detach(), loss_g.detach()


# %% wrong: the discriminator learns only while its loss is above 0.3
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
    fake_t2 = generator(real_t1)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel)
    optimizer_generator.zero_grad()
    loss_g.backward()
    optimizer_generator.step()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)
    if loss_d.item() > 0.3:
        optimizer_discriminator.zero_grad()
        loss_d.backward()
        optimizer_discriminator.step()
    return loss_g.detach(), loss_d.detach()


# %% wrong: two mistakes, discriminator in evaluation mode afterwards and the generator moved only by small losses
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
    fake_t2 = generator(real_t1)
    loss_g = cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel)
    optimizer_generator.zero_grad()
    if loss_g < 4:
        loss_g.backward()
        optimizer_generator.step()
    discriminator.eval()
    optimizer_discriminator.zero_grad()
    loss_d = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)
    loss_d.backward()
    optimizer_discriminator.step()
    return loss_g.detach(), loss_d.detach()


# %% wrong: weights of the discriminator are kept within 0.5
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
    fake_t2 = generator(real_t1)
    loss_generator = cgan_generator_loss(
        discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel
    )
    optimizer_generator.zero_grad()
    loss_generator.backward()
    optimizer_generator.step()
    loss_discriminator = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()
    optimizer_discriminator.step()
    for weight in discriminator.parameters():
        weight.data.clamp_(-0.5, 0.5)
    return loss_generator.detach(), loss_discriminator.detach()


# %% wrong: gradients of the discriminator beyond 100 are clipped
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
    fake_t2 = generator(real_t1)
    loss_generator = cgan_generator_loss(
        discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel
    )
    optimizer_generator.zero_grad()
    loss_generator.backward()
    optimizer_generator.step()
    loss_discriminator = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()
    nn.utils.clip_grad_value_(discriminator.parameters(), 100.0)
    optimizer_discriminator.step()
    return loss_generator.detach(), loss_discriminator.detach()


# %% wrong: leaves a mark on the images
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
    real_t1.requires_grad_()
    fake_t2 = generator(real_t1)
    loss_generator = cgan_generator_loss(
        discriminator, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel
    )
    optimizer_generator.zero_grad()
    loss_generator.backward()
    optimizer_generator.step()
    loss_discriminator = cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()
    optimizer_discriminator.step()
    return loss_generator.detach(), loss_discriminator.detach()


# %% wrong: the second image in evaluation mode
def cgan_step(G, D, opt_g, opt_d, real_t1, real_t2, lambda_gan=1.0, lambda_pixel=1.0):
    loss_g = cgan_generator_loss(D, real_t1, real_t2, G(real_t1), lambda_gan, lambda_pixel)
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    G.eval()
    with torch.no_grad():
        fake_t2 = G(real_t1)
    G.train()
    loss_d = cgan_discriminator_loss(D, real_t1, real_t2, fake_t2)
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()
    return loss_g, loss_d


# %% right: looks at the slices in evaluation mode, and uses others
def cgan_step(G, D, opt_g, opt_d, real_t1, real_t2, lambda_gan=1.0, lambda_pixel=1.0):
    G.eval()
    with torch.no_grad():
        G(real_t1).mean()
    G.train()
    fake_t2 = G(real_t1)
    loss_g = cgan_generator_loss(D, real_t1, real_t2, fake_t2, lambda_gan, lambda_pixel)
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    loss_d = cgan_discriminator_loss(D, real_t1, real_t2, fake_t2)
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()
    return loss_g, loss_d
