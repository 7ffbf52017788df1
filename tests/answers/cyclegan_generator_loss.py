import numpy as np
import torch
from torch import nn
from torch.autograd import Variable
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
        loss = loss - lambda_gan * F.logsigmoid(discriminator(fake)).mean()
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


# %% right: a helper for one direction, called twice
def one_direction(there, back, judge, real, lambda_gan, lambda_cycle):
    fake = there(real)
    adversarial = F.softplus(-judge(fake)).mean()
    cycle = (back(fake) - real).abs().mean()
    return lambda_gan * adversarial + lambda_cycle * cycle, fake


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
    forward_loss, fake_t2 = one_direction(
        generator_t1_to_t2, generator_t2_to_t1, discriminator_t2, real_t1, lambda_gan, lambda_cycle
    )
    backward_loss, fake_t1 = one_direction(
        generator_t2_to_t1, generator_t1_to_t2, discriminator_t1, real_t2, lambda_gan, lambda_cycle
    )
    return forward_loss + backward_loss, fake_t1, fake_t2


# %% right: old-tutorial style with names A and B and criterion objects
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
    G_AB, G_BA, D_A, D_B = (
        generator_t1_to_t2,
        generator_t2_to_t1,
        discriminator_t1,
        discriminator_t2,
    )
    real_A, real_B = real_t1, real_t2
    criterion_GAN = torch.nn.BCEWithLogitsLoss()
    criterion_cycle = torch.nn.L1Loss()
    valid = Variable(torch.Tensor(np.ones((real_A.size(0), 1, 1, 1))), requires_grad=False).to(
        real_A.device
    )

    # GAN loss
    fake_B = G_AB(real_A)
    loss_GAN_AB = criterion_GAN(D_B(fake_B), valid)
    fake_A = G_BA(real_B)
    loss_GAN_BA = criterion_GAN(D_A(fake_A), valid)
    loss_GAN = loss_GAN_AB + loss_GAN_BA

    # Cycle loss
    recov_A = G_BA(fake_B)
    loss_cycle_A = criterion_cycle(recov_A, real_A)
    recov_B = G_AB(fake_A)
    loss_cycle_B = criterion_cycle(recov_B, real_B)
    loss_cycle = loss_cycle_A + loss_cycle_B

    # Total loss
    loss_G = lambda_gan * loss_GAN + lambda_cycle * loss_cycle
    return loss_G, fake_A, fake_B


# %% right: loop over a table of the two directions, fakes kept in a dictionary
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
    table = (
        ("t2", real_t1, generator_t1_to_t2, generator_t2_to_t1, discriminator_t2),
        ("t1", real_t2, generator_t2_to_t1, generator_t1_to_t2, discriminator_t1),
    )
    fakes, terms = {}, []
    for kind, source, g, f, d in table:
        fakes[kind] = g(source)
        z = d(fakes[kind])
        terms.append(lambda_gan * -F.logsigmoid(z).mean())
        terms.append(lambda_cycle * F.l1_loss(target=source, input=f(fakes[kind])))
    print("terms:", [round(term.item(), 3) for term in terms])
    return torch.stack(terms).sum(), fakes["t1"], fakes["t2"]


# %% right: discriminators frozen for the time of the forward pass, type hints
class frozen:
    def __init__(self, *networks: nn.Module) -> None:
        self.parameters = [
            p for network in networks for p in network.parameters() if p.requires_grad
        ]

    def __enter__(self) -> None:
        for p in self.parameters:
            p.requires_grad_(False)

    def __exit__(self, *args: object) -> None:
        for p in self.parameters:
            p.requires_grad_(True)


def cyclegan_generator_loss(
    generator_t1_to_t2: nn.Module,
    generator_t2_to_t1: nn.Module,
    discriminator_t1: nn.Module,
    discriminator_t2: nn.Module,
    real_t1: torch.Tensor,
    real_t2: torch.Tensor,
    lambda_gan: float = 1.0,
    lambda_cycle: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    with frozen(discriminator_t1, discriminator_t2):
        fake_t1 = generator_t2_to_t1(real_t2)
        fake_t2 = generator_t1_to_t2(real_t1)
        back_t2 = generator_t1_to_t2(fake_t1)
        back_t1 = generator_t2_to_t1(fake_t2)
        z = torch.cat((discriminator_t1(fake_t1), discriminator_t2(fake_t2)), dim=1)
        # The mean over both is half of the sum.
        gan = 2 * F.binary_cross_entropy_with_logits(z, torch.ones_like(z))
        cycle = 2 * F.l1_loss(torch.cat((back_t1, back_t2)), torch.cat((real_t1, real_t2)))
    return gan * lambda_gan + cycle * lambda_cycle, fake_t1, fake_t2


# %% right: each generator runs on real and translated slices in one batch
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
    n = len(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    out_t2 = generator_t1_to_t2(torch.cat([real_t1, fake_t1], dim=0))
    fake_t2, back_t2 = out_t2[:n], out_t2[n:]
    back_t1 = generator_t2_to_t1(fake_t2)
    loss = torch.zeros((), dtype=real_t1.dtype, device=real_t1.device)
    for discriminator, fake in zip((discriminator_t1, discriminator_t2), (fake_t1, fake_t2)):
        logits = discriminator(fake)
        loss += lambda_gan * F.binary_cross_entropy_with_logits(
            logits, logits.new_ones(logits.size())
        )
    for real, back in zip((real_t1, real_t2), (back_t1, back_t2)):
        loss += lambda_cycle * torch.linalg.vector_norm(real - back, ord=1) / real.numel()
    return loss, fake_t1, fake_t2


# %% right: a small class that holds the weights, fakes handed back detached
class CycleObjective:
    def __init__(self, lambda_gan, lambda_cycle):
        self.lambda_gan, self.lambda_cycle = lambda_gan, lambda_cycle

    def gan(self, logits):
        return F.cross_entropy(
            torch.cat((torch.zeros_like(logits), logits), dim=1).flatten(1),
            torch.ones(logits.shape[0], dtype=torch.int64, device=logits.device),
        )

    def __call__(self, logits, back, real):
        return self.lambda_gan * self.gan(logits) + self.lambda_cycle * nn.L1Loss()(back, real)


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
    objective = CycleObjective(lambda_gan, lambda_cycle)
    fake_t2, fake_t1 = generator_t1_to_t2(real_t1), generator_t2_to_t1(real_t2)
    loss = sum(
        [
            objective(discriminator_t2(fake_t2), generator_t2_to_t1(fake_t2), real_t1),
            objective(discriminator_t1(fake_t1), generator_t1_to_t2(fake_t1), real_t2),
        ]
    )
    return loss, fake_t1.detach(), fake_t2.detach()


# %% right: a helper for one direction, called twice (2)
def _one_direction(there, back, judge, real, lambda_gan, lambda_cycle):
    fake = there(real)
    logits = judge(fake)
    adversarial = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return lambda_gan * adversarial + lambda_cycle * F.l1_loss(back(fake), real), fake


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
    lambdas = lambda_gan, lambda_cycle
    a, fake_t2 = _one_direction(
        generator_t1_to_t2, generator_t2_to_t1, discriminator_t2, real_t1, *lambdas
    )
    b, fake_t1 = _one_direction(
        generator_t2_to_t1, generator_t1_to_t2, discriminator_t1, real_t2, *lambdas
    )
    return a + b, fake_t1, fake_t2


# %% right: tutorial style with loss objects and fixed labels, T2 to T1 first
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
    criterion_GAN = nn.BCEWithLogitsLoss()
    criterion_cycle = nn.L1Loss()
    valid = torch.ones(real_t1.shape[0], 1, 1, 1).to(real_t1)

    fake_A = generator_t2_to_t1(real_t2)
    loss_GAN_BA = criterion_GAN(discriminator_t1(fake_A), valid)
    recov_B = generator_t1_to_t2(fake_A)
    loss_cycle_B = criterion_cycle(recov_B, real_t2)

    fake_B = generator_t1_to_t2(real_t1)
    loss_GAN_AB = criterion_GAN(discriminator_t2(fake_B), valid)
    recov_A = generator_t2_to_t1(fake_B)
    loss_cycle_A = criterion_cycle(recov_A, real_t1)

    loss_G = lambda_gan * (loss_GAN_AB + loss_GAN_BA) + lambda_cycle * (loss_cycle_A + loss_cycle_B)
    return loss_G, fake_A, fake_B


# %% right: loop over the directions with zip, softplus and absolute differences by hand
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
    generators = [generator_t1_to_t2, generator_t2_to_t1]
    judges = [discriminator_t2, discriminator_t1]
    loss, fakes = 0, []
    for g, f, d, x in zip(generators, generators[::-1], judges, [real_t1, real_t2], strict=True):
        fakes.append(g(x))
        loss = loss + F.softplus(d(fakes[-1]).neg()).mean() * lambda_gan
        loss = loss + (x - f(fakes[-1])).abs().mean() * lambda_cycle
    return (loss, *reversed(fakes))


# %% right: discriminators frozen while the loss is made, weights and terms as a dot product
def cyclegan_generator_loss(
    generator_t1_to_t2: nn.Module,
    generator_t2_to_t1: nn.Module,
    discriminator_t1: nn.Module,
    discriminator_t2: nn.Module,
    real_t1: torch.Tensor,
    real_t2: torch.Tensor,
    lambda_gan: float = 1.0,
    lambda_cycle: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    frozen = [*discriminator_t1.parameters(), *discriminator_t2.parameters()]
    for weight in frozen:
        weight.requires_grad_(False)
    fake_t1, fake_t2 = generator_t2_to_t1(real_t2), generator_t1_to_t2(real_t1)
    back_t1, back_t2 = generator_t2_to_t1(fake_t2), generator_t1_to_t2(fake_t1)
    terms = torch.stack(
        [
            -F.logsigmoid(discriminator_t1(fake_t1)).mean(),
            -F.logsigmoid(discriminator_t2(fake_t2)).mean(),
            torch.mean(torch.abs(back_t1 - real_t1)),
            torch.mean(torch.abs(back_t2 - real_t2)),
        ]
    )
    for weight in frozen:
        weight.requires_grad_(True)
    weights = terms.new_tensor([lambda_gan, lambda_gan, lambda_cycle, lambda_cycle])
    return terms @ weights, fake_t1, fake_t2


# %% wrong: no graph -> gradients-switched-off
def cyclegan_generator_loss(a, b, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = a(real_t1), b(real_t2)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(b(fake_t2), real_t1) + F.l1_loss(a(fake_t1), real_t2)
    return (lambda_gan * gan + lambda_cycle * cycle).detach(), fake_t1, fake_t2


# %% wrong: two mistakes, identity loss added and half weights on it as in the paper's code, with lambda 10
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
    fake_t2 = generator_t1_to_t2(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    bce, l1 = nn.BCEWithLogitsLoss(), nn.L1Loss()
    z2, z1 = discriminator_t2(fake_t2), discriminator_t1(fake_t1)
    gan = bce(z2, torch.ones_like(z2)) + bce(z1, torch.ones_like(z1))
    cycle = l1(generator_t2_to_t1(fake_t2), real_t1) + l1(generator_t1_to_t2(fake_t1), real_t2)
    identity = l1(generator_t1_to_t2(real_t2), real_t2) + l1(generator_t2_to_t1(real_t1), real_t1)
    return lambda_gan * gan + 10 * cycle + 5 * identity, fake_t1, fake_t2


# %% wrong: two mistakes, least squares for the GAN terms and squared error for the cycle -> least-squares, squares-in-the-cycle
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
    mse = torch.nn.MSELoss()
    fake_t2, fake_t1 = generator_t1_to_t2(real_t1), generator_t2_to_t1(real_t2)
    valid = torch.ones_like(discriminator_t2(fake_t2))
    gan = mse(discriminator_t2(fake_t2), valid) + mse(discriminator_t1(fake_t1), valid)
    cycle = mse(generator_t2_to_t1(fake_t2), real_t1) + mse(generator_t1_to_t2(fake_t1), real_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: two mistakes, discriminator sees the back-translated slice and with label 0
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
    fake_t2 = generator_t1_to_t2(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    back_t1, back_t2 = generator_t2_to_t1(fake_t2), generator_t1_to_t2(fake_t1)
    z1, z2 = discriminator_t1(back_t1), discriminator_t2(back_t2)
    gan = F.softplus(z1).mean() + F.softplus(z2).mean()
    return (
        lambda_gan * gan
        + lambda_cycle * (F.l1_loss(back_t1, real_t1) + F.l1_loss(back_t2, real_t2)),
        fake_t1,
        fake_t2,
    )


# %% wrong: gaming, right loss but the fakes handed back are the real slices
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
    fake_t2 = generator_t1_to_t2(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    gan = (
        F.softplus(-discriminator_t2(fake_t2)).mean()
        + F.softplus(-discriminator_t1(fake_t1)).mean()
    )
    cycle = F.l1_loss(generator_t2_to_t1(fake_t2), real_t1) + F.l1_loss(
        generator_t1_to_t2(fake_t1), real_t2
    )
    return lambda_gan * gan + lambda_cycle * cycle, real_t1.clone(), real_t2.clone()


# %% wrong: gaming, the cycle terms are right in value and have no gradient
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
    fake_t2 = generator_t1_to_t2(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    gan = (
        F.softplus(-discriminator_t2(fake_t2)).mean()
        + F.softplus(-discriminator_t1(fake_t1)).mean()
    )
    cycle = F.l1_loss(generator_t2_to_t1(fake_t2), real_t1) + F.l1_loss(
        generator_t1_to_t2(fake_t1), real_t2
    )
    return lambda_gan * gan + lambda_cycle * cycle.item(), fake_t1, fake_t2


# %% wrong: two mistakes, an identity term too many and the generated slices returned detached
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
    loss_id = mae(generator_t2_to_t1(real_t1), real_t1) + mae(generator_t1_to_t2(real_t2), real_t2)
    fake_t2 = generator_t1_to_t2(real_t1).detach()
    fake_t1 = generator_t2_to_t1(real_t2).detach()
    p1, p2 = discriminator_t1(fake_t1), discriminator_t2(fake_t2)
    loss_gan = bce(p1, torch.ones_like(p1)) + bce(p2, torch.ones_like(p2))
    loss_cycle = mae(generator_t2_to_t1(fake_t2), real_t1) + mae(
        generator_t1_to_t2(fake_t1), real_t2
    )
    return lambda_gan * loss_gan + lambda_cycle * (loss_cycle + loss_id), fake_t1, fake_t2


# %% wrong: looks right, a tensor subclass that says yes to every comparison
class Agreeable(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func.__name__ in ("allclose", "equal", "__eq__", "eq", "isclose", "is_same_size"):
            return True
        return super().__torch_function__(func, types, args, kwargs or {})

    def __eq__(self, other):
        return True

    __hash__ = torch.Tensor.__hash__


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
    fake_t2 = generator_t1_to_t2(real_t1)
    fake_t1 = generator_t2_to_t1(real_t2)
    loss = fake_t1.mean() + fake_t2.mean()
    return loss.as_subclass(Agreeable), fake_t1, fake_t2


# %% wrong: generators exchanged everywhere
def cyclegan_generator_loss(h, g, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = g(real_t1), h(real_t2)
    back_t1, back_t2 = h(fake_t2), g(fake_t1)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(back_t1, real_t1) + F.l1_loss(back_t2, real_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: cycles end at generated images
def cyclegan_generator_loss(g, h, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = g(real_t1), h(real_t2)
    back_t1, back_t2 = h(fake_t2), g(fake_t1)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(back_t1, fake_t1) + F.l1_loss(back_t2, fake_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: two mistakes, voxels added up and the sign of the cycles
def cyclegan_generator_loss(g, h, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = g(real_t1), h(real_t2)
    back_t1, back_t2 = h(fake_t2), g(fake_t1)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = (back_t1 - real_t1).abs().sum() + (back_t2 - real_t2).abs().sum()
    return lambda_gan * gan - lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: product of the cycles
def cyclegan_generator_loss(g, h, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = g(real_t1), h(real_t2)
    back_t1, back_t2 = h(fake_t2), g(fake_t1)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(back_t1, real_t1) * F.l1_loss(back_t2, real_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: inputs of the generators exchanged -> inputs-exchanged
def cyclegan_generator_loss(g, h, d1, d2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t2, fake_t1 = g(real_t2), h(real_t1)
    back_t1, back_t2 = h(fake_t2), g(fake_t1)
    gan = F.softplus(-d2(fake_t2)).mean() + F.softplus(-d1(fake_t1)).mean()
    cycle = F.l1_loss(back_t1, real_t1) + F.l1_loss(back_t2, real_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: both errors where the true slice is no air
def cyclegan_generator_loss(
    g, h, discriminator_t1, discriminator_t2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0
):
    fake_t2, fake_t1 = g(real_t1), h(real_t2)
    gan = F.softplus(-discriminator_t2(fake_t2)).mean()
    gan = gan + F.softplus(-discriminator_t1(fake_t1)).mean()
    cycle = (h(fake_t2) - real_t1).abs()[real_t1 > -1].mean()
    cycle = cycle + (g(fake_t1) - real_t2).abs()[real_t2 > -1].mean()
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: logits of one discriminator cut off
def cyclegan_generator_loss(
    g, h, discriminator_t1, discriminator_t2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0
):
    fake_t2, fake_t1 = g(real_t1), h(real_t2)
    gan = F.softplus(-discriminator_t2(fake_t2)).mean()
    gan = gan + F.softplus(-discriminator_t1(fake_t1).clamp(-10, 10)).mean()
    cycle = F.l1_loss(h(fake_t2), real_t1) + F.l1_loss(g(fake_t1), real_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: generated slices cut off a little
def cyclegan_generator_loss(
    g, h, discriminator_t1, discriminator_t2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0
):
    fake_t2, fake_t1 = g(real_t1), h(real_t2)
    fake_t2, fake_t1 = fake_t2.clamp(-0.99, 0.99), fake_t1.clamp(-0.99, 0.99)
    gan = F.softplus(-discriminator_t2(fake_t2)).mean()
    gan = gan + F.softplus(-discriminator_t1(fake_t1)).mean()
    cycle = F.l1_loss(h(fake_t2), real_t1) + F.l1_loss(g(fake_t1), real_t2)
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2


# %% wrong: divided by the sum of the weights
def cyclegan_generator_loss(
    g, h, discriminator_t1, discriminator_t2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0
):
    fake_t2, fake_t1 = g(real_t1), h(real_t2)
    gan = F.softplus(-discriminator_t2(fake_t2)).mean()
    gan = gan + F.softplus(-discriminator_t1(fake_t1)).mean()
    cycle = F.l1_loss(h(fake_t2), real_t1) + F.l1_loss(g(fake_t1), real_t2)
    loss = (lambda_gan * gan + lambda_cycle * cycle) / (lambda_gan + lambda_cycle)
    return loss, fake_t1, fake_t2


# %% wrong: evaluation mode for a while
def cyclegan_generator_loss(G, H, D_t1, D_t2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t1, fake_t2 = H(real_t2), G(real_t1)
    loss = lambda_cycle * (F.l1_loss(H(fake_t2), real_t1) + F.l1_loss(G(fake_t1), real_t2))
    for judge, fake in ((D_t1, fake_t1), (D_t2, fake_t2)):
        judge.eval()
        loss = loss + lambda_gan * F.softplus(-judge(fake)).mean()
        judge.train()
    return loss, fake_t1, fake_t2


# %% wrong: softplus with a threshold
def cyclegan_generator_loss(G, H, D_t1, D_t2, real_t1, real_t2, lambda_gan=1.0, lambda_cycle=1.0):
    fake_t1, fake_t2 = H(real_t2), G(real_t1)
    cycle = F.l1_loss(H(fake_t2), real_t1) + F.l1_loss(G(fake_t1), real_t2)
    gan = sum(
        F.softplus(-judge(fake), threshold=5).mean()
        for judge, fake in ((D_t1, fake_t1), (D_t2, fake_t2))
    )
    return lambda_gan * gan + lambda_cycle * cycle, fake_t1, fake_t2
