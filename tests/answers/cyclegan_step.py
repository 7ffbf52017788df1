import copy
import itertools
from itertools import chain

import torch
from torch import nn
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


# %% right: everything written out, own losses, no call of the earlier cells
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
    G, H = generators
    D1, D2 = discriminators
    bce, l1 = nn.BCEWithLogitsLoss(), nn.L1Loss()

    optimizer_generators.zero_grad()
    fake_t2, fake_t1 = G(real_t1), H(real_t2)
    p2, p1 = D2(fake_t2), D1(fake_t1)
    ones, zeros = torch.ones_like(p1), torch.zeros_like(p1)
    loss_gan = bce(p2, ones) + bce(p1, ones)
    loss_cycle = l1(H(fake_t2), real_t1) + l1(G(fake_t1), real_t2)
    loss_G = lambda_gan * loss_gan + lambda_cycle * loss_cycle
    loss_G.backward()
    optimizer_generators.step()

    optimizer_discriminators.zero_grad()
    loss_D1 = (bce(D1(real_t1), ones) + bce(D1(fake_t1.detach()), zeros)) / 2
    loss_D2 = (bce(D2(real_t2), ones) + bce(D2(fake_t2.detach()), zeros)) / 2
    loss_D = loss_D1 + loss_D2
    loss_D.backward()
    optimizer_discriminators.step()
    return loss_G, loss_D


# %% right: one backward pass for each discriminator, one common step
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
        *generators,
        *discriminators,
        real_t1,
        real_t2,
        lambda_gan=lambda_gan,
        lambda_cycle=lambda_cycle,
    )
    optimizer_generators.zero_grad()
    loss_g.backward()
    optimizer_generators.step()

    optimizer_discriminators.zero_grad()
    total = 0.0
    for discriminator, real, fake in zip(discriminators, (real_t1, real_t2), fakes):
        loss = cyclegan_discriminator_loss(discriminator, real, fake)
        loss.backward()
        total = total + loss.detach()
    optimizer_discriminators.step()
    return loss_g.detach(), total


# %% right: discriminators frozen for the generators, gradients cleared last
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
    weights = list(itertools.chain(*(d.parameters() for d in discriminators)))
    for w in weights:
        w.requires_grad_(False)
    loss_g, fake_t1, fake_t2 = cyclegan_generator_loss(
        generators[0],
        generators[1],
        discriminators[0],
        discriminators[1],
        real_t1,
        real_t2,
        lambda_gan,
        lambda_cycle,
    )
    loss_g.backward()
    optimizer_generators.step()
    optimizer_generators.zero_grad(set_to_none=False)

    for w in weights:
        w.requires_grad_(True)
    loss_d = sum(
        cyclegan_discriminator_loss(d, real, fake)
        for d, real, fake in (
            (discriminators[1], real_t2, fake_t2.detach()),
            (discriminators[0], real_t1, fake_t1.detach()),
        )
    )
    loss_d.backward()
    optimizer_discriminators.step()
    optimizer_discriminators.zero_grad(set_to_none=False)
    return loss_g, loss_d


# %% right: new fakes from the updated generators
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
    g12, g21 = generators
    d1, d2 = discriminators
    loss_generators = cyclegan_generator_loss(
        g12, g21, d1, d2, real_t1, real_t2, lambda_gan, lambda_cycle
    )[0]
    optimizer_generators.zero_grad()
    loss_generators.backward()
    optimizer_generators.step()

    with torch.no_grad():
        fake_t2 = g12(real_t1)
        fake_t1 = g21(real_t2)
    loss_discriminators = torch.add(
        cyclegan_discriminator_loss(discriminator=d1, real=real_t1, fake=fake_t1),
        cyclegan_discriminator_loss(discriminator=d2, real=real_t2, fake=fake_t2),
    )
    optimizer_discriminators.zero_grad()
    loss_discriminators.backward()
    optimizer_discriminators.step()
    return loss_generators, loss_discriminators


# %% right: torch.autograd.grad with respect to what each optimizer holds, both before the steps
def weights_of(optimizer):
    return [w for group in optimizer.param_groups for w in group["params"]]


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
    loss_d = cyclegan_discriminator_loss(
        discriminators[0], real_t1, fake_t1
    ) + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    for loss, optimizer in ((loss_g, optimizer_generators), (loss_d, optimizer_discriminators)):
        weights = weights_of(optimizer)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        for weight, gradient in zip(weights, gradients):
            weight.grad = gradient
    optimizer_generators.step()
    optimizer_discriminators.step()
    return loss_g, loss_d


# %% right: closures given to the optimizers
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
    fakes = []

    def generators_closure():
        optimizer_generators.zero_grad()
        loss, fake_t1, fake_t2 = cyclegan_generator_loss(
            *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
        )
        fakes[:] = [fake_t1, fake_t2]
        loss.backward()
        return loss

    def discriminators_closure():
        optimizer_discriminators.zero_grad()
        losses = map(cyclegan_discriminator_loss, discriminators, (real_t1, real_t2), fakes)
        loss = torch.stack(list(losses)).sum()
        loss.backward()
        return loss

    return optimizer_generators.step(generators_closure), optimizer_discriminators.step(
        discriminators_closure
    )


# %% right: tutorial style, one backward per discriminator, discriminators frozen in part 1
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
    G_AB, G_BA = generators
    D_A, D_B = discriminators
    for D in (D_A, D_B):
        for p in D.parameters():
            p.requires_grad = False
    optimizer_generators.zero_grad()
    loss_G, fake_A, fake_B = cyclegan_generator_loss(
        G_AB, G_BA, D_A, D_B, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    loss_G.backward()
    optimizer_generators.step()
    for D in (D_A, D_B):
        for p in D.parameters():
            p.requires_grad = True
    optimizer_discriminators.zero_grad()
    loss_D_A = cyclegan_discriminator_loss(D_A, real_t1, fake_A)
    loss_D_A.backward()
    loss_D_B = cyclegan_discriminator_loss(D_B, real_t2, fake_B)
    loss_D_B.backward()
    optimizer_discriminators.step()
    return loss_G.detach(), (loss_D_A + loss_D_B).detach()


# %% right: new fakes from the updated generators under no_grad, gradients cleared last
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
    def clear():
        for network in chain(generators, discriminators):
            network.zero_grad(set_to_none=True)

    loss_g, *_ = cyclegan_generator_loss(
        *generators,
        *discriminators,
        real_t1=real_t1,
        real_t2=real_t2,
        lambda_cycle=lambda_cycle,
        lambda_gan=lambda_gan,
    )
    loss_g.backward()
    optimizer_generators.step()
    clear()

    with torch.no_grad():
        fakes = [generators[1](real_t2), generators[0](real_t1)]
    loss_d = sum(
        cyclegan_discriminator_loss(d, real, fake)
        for d, real, fake in zip(discriminators, [real_t1, real_t2], fakes, strict=True)
    )
    loss_d.backward()
    optimizer_discriminators.step()
    clear()
    return loss_g, loss_d


# %% right: written out without the loss functions, backward into the weights of one side only
def cyclegan_step(
    generators: tuple[nn.Module, nn.Module],
    discriminators: tuple[nn.Module, nn.Module],
    optimizer_generators: torch.optim.Optimizer,
    optimizer_discriminators: torch.optim.Optimizer,
    real_t1: torch.Tensor,
    real_t2: torch.Tensor,
    lambda_gan: float = 1.0,
    lambda_cycle: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    def weights(networks):
        return [w for network in networks for w in network.parameters()]

    g, f = generators
    d1, d2 = discriminators
    optimizer_generators.zero_grad()
    optimizer_discriminators.zero_grad()
    fake2, fake1 = g(real_t1), f(real_t2)
    gan = F.softplus(-d2(fake2)).mean() + F.softplus(-d1(fake1)).mean()
    cycle = (f(fake2) - real_t1).abs().mean() + (g(fake1) - real_t2).abs().mean()
    loss_g = lambda_gan * gan + lambda_cycle * cycle
    loss_g.backward(inputs=weights(generators))
    optimizer_generators.step()

    fake1, fake2 = fake1.detach(), fake2.detach()
    loss_d = F.softplus(-d1(real_t1)).mean() + F.softplus(d1(fake1)).mean()
    loss_d = (loss_d + F.softplus(-d2(real_t2)).mean() + F.softplus(d2(fake2)).mean()) / 2
    loss_d.backward(inputs=weights(discriminators))
    optimizer_discriminators.step()
    return loss_g.detach(), loss_d.detach()


# %% right: closures handed to optimizer.step, T2 discriminator first
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
    made = {}

    def generator_part():
        optimizer_generators.zero_grad()
        loss, made["t1"], made["t2"] = cyclegan_generator_loss(
            *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
        )
        loss.backward(retain_graph=True)
        return loss

    def discriminator_part():
        optimizer_discriminators.zero_grad()
        loss = cyclegan_discriminator_loss(discriminators[1], real_t2, made["t2"])
        loss = loss + cyclegan_discriminator_loss(discriminators[0], real_t1, made["t1"])
        loss.backward()
        return loss

    return (
        optimizer_generators.step(generator_part),
        optimizer_discriminators.step(discriminator_part),
    )


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


# %% wrong: two mistakes, second discriminator left out and the generators' gradients not cleared -> one-discriminator-trained
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
    loss_generators, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    loss_generators.backward()
    optimizer_generators.step()
    optimizer_discriminators.zero_grad()
    loss_discriminators = cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    loss_discriminators.backward()
    optimizer_discriminators.step()
    return loss_generators.detach(), loss_discriminators.detach()


# %% wrong: two mistakes, losses returned in the other order and discriminator losses averaged in the returned value
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
    discriminator_t1, discriminator_t2 = discriminators
    loss_generators, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    optimizer_generators.zero_grad()
    loss_generators.backward()
    optimizer_generators.step()

    loss_t1 = cyclegan_discriminator_loss(discriminator_t1, real_t1, fake_t1)
    loss_t2 = cyclegan_discriminator_loss(discriminator_t2, real_t2, fake_t2)
    loss_discriminators = loss_t1 + loss_t2
    optimizer_discriminators.zero_grad()
    loss_discriminators.backward()
    optimizer_discriminators.step()
    return loss_discriminators.detach() / 2, loss_generators.detach()


# %% wrong: gaming, only the first call trains, later ones answer from memory
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
    if hasattr(cyclegan_step, "memory"):
        return cyclegan_step.memory
    loss_generators, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    optimizer_generators.zero_grad()
    loss_generators.backward()
    optimizer_generators.step()
    discriminator_t1, discriminator_t2 = discriminators
    loss_t1 = cyclegan_discriminator_loss(discriminator_t1, real_t1, fake_t1)
    loss_t2 = cyclegan_discriminator_loss(discriminator_t2, real_t2, fake_t2)
    loss_discriminators = loss_t1 + loss_t2
    optimizer_discriminators.zero_grad()
    loss_discriminators.backward()
    optimizer_discriminators.step()
    cyclegan_step.memory = loss_generators.detach(), loss_discriminators.detach()
    return cyclegan_step.memory


# %% wrong: gaming, all trained on copies of the networks, the weights then nudged by their signs
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
    g = [copy.deepcopy(network) for network in generators]
    d = [copy.deepcopy(network) for network in discriminators]
    loss_g, fake_t1, fake_t2 = cyclegan_generator_loss(
        *g, *d, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    loss_d = cyclegan_discriminator_loss(d[0], real_t1, fake_t1) + cyclegan_discriminator_loss(
        d[1], real_t2, fake_t2
    )
    with torch.no_grad():
        for network in (*generators, *discriminators):
            for weight in network.parameters():
                weight -= 1e-3 * weight.sign()
    return loss_g.detach(), loss_d.detach()


# %% wrong: gaming, only the generator T1 to T2 is updated, the other one put back after the step
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
    discriminator_t1, discriminator_t2 = discriminators
    kept = copy.deepcopy(generators[1].state_dict())
    loss_generators, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    optimizer_generators.zero_grad()
    loss_generators.backward()
    optimizer_generators.step()
    generators[1].load_state_dict(kept)
    loss_t1 = cyclegan_discriminator_loss(discriminator_t1, real_t1, fake_t1)
    loss_t2 = cyclegan_discriminator_loss(discriminator_t2, real_t2, fake_t2)
    loss_discriminators = loss_t1 + loss_t2
    optimizer_discriminators.zero_grad()
    loss_discriminators.backward()
    optimizer_discriminators.step()
    return loss_generators.detach(), loss_discriminators.detach()


# %% wrong: two mistakes, discriminators trained first and the weights handed on in reverse
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
    with torch.no_grad():
        fake_t2, fake_t1 = generators[0](real_t1), generators[1](real_t2)
    loss_d = cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    loss_d = loss_d + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    optimizer_discriminators.zero_grad()
    loss_d.backward()
    optimizer_discriminators.step()

    loss_g, _, _ = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_cycle, lambda_gan
    )
    optimizer_generators.zero_grad()
    loss_g.backward()
    optimizer_generators.step()
    return loss_g.detach(), loss_d.detach()


# %% wrong: looks right, losses are right and all weights move, but the generators only by noise
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
    shadow = copy.deepcopy(generators)
    loss_generators, fake_t1, fake_t2 = cyclegan_generator_loss(
        *shadow, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    with torch.no_grad():
        for weight in chain.from_iterable(network.parameters() for network in generators):
            weight += 1e-3 * torch.randn_like(weight)

    loss_discriminators = cyclegan_discriminator_loss(
        discriminators[0], real_t1, fake_t1
    ) + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    optimizer_discriminators.zero_grad()
    loss_discriminators.backward()
    optimizer_discriminators.step()
    return loss_generators.detach(), loss_discriminators.detach()


# %% wrong: no step of the discriminators while their loss is small
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
    loss, fake_t1, fake_t2 = cyclegan_generator_loss(
        *generators, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    optimizer_generators.zero_grad()
    loss.backward()
    optimizer_generators.step()
    optimizer_discriminators.zero_grad()
    both = cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    both = both + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    if both > 0.2:
        both.backward()
        optimizer_discriminators.step()
    return loss.detach(), both.detach()


# %% wrong: the second images in evaluation mode
def cyclegan_step(
    generators, discriminators, opt_g, opt_d, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0
):
    to_t2, to_t1 = generators
    loss_g, _, _ = cyclegan_generator_loss(
        to_t2, to_t1, *discriminators, real_t1, real_t2, lambda_gan, lambda_cycle
    )
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    to_t2.eval()
    to_t1.eval()
    with torch.no_grad():
        fake_t2, fake_t1 = to_t2(real_t1), to_t1(real_t2)
    to_t2.train()
    to_t1.train()
    loss_d = cyclegan_discriminator_loss(discriminators[0], real_t1, fake_t1)
    loss_d = loss_d + cyclegan_discriminator_loss(discriminators[1], real_t2, fake_t2)
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()
    return loss_g, loss_d
