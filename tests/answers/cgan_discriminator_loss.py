import math

import torch
from torch import nn
from torch.autograd import Variable
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


# %% wrong: cut off by data, logarithm of probabilities -> large-logits
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


# %% right: softplus of the logits, each mean halved
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    z_real, z_fake = discriminator(real_t2, real_t1), discriminator(fake_t2.detach(), real_t1)
    return 0.5 * F.softplus(-z_real).mean() + 0.5 * F.softplus(z_fake).mean()


# %% right: old-tutorial style with .data, Variable labels and criterion object
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    criterion_GAN = torch.nn.BCEWithLogitsLoss()
    Tensor = torch.cuda.FloatTensor if real_t1.is_cuda else torch.FloatTensor
    valid = Variable(Tensor(real_t1.size(0), 1, 1, 1).fill_(1.0), requires_grad=False)
    fake = Variable(Tensor(real_t1.size(0), 1, 1, 1).fill_(0.0), requires_grad=False)

    # Real loss
    pred_real = discriminator(real_t2, real_t1)
    loss_real = criterion_GAN(pred_real, valid)
    # Fake loss
    pred_fake = discriminator(fake_t2.data, real_t1)
    loss_fake = criterion_GAN(pred_fake, fake)
    # Total loss
    loss_D = 0.5 * (loss_real + loss_fake)
    return loss_D


# %% right: one call on real and generated slices in one batch, the mean gives the halves
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    n = real_t1.shape[0]
    images = torch.cat([real_t2, fake_t2.detach()], dim=0)
    conditions = real_t1.repeat(2, 1, 1, 1)
    logits = discriminator(images, conditions)
    labels = torch.zeros_like(logits)
    labels[:n] = 1
    return nn.functional.binary_cross_entropy_with_logits(logits, labels)


# %% right: loop over (image, label) pairs, copy made under no_grad, fake first
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    with torch.no_grad():
        copy_of_fake = fake_t2.clone()
    total = 0
    for image, label in ((copy_of_fake, 0.0), (real_t2, 1.0)):
        answer = discriminator(image, real_t1)
        total = total + F.binary_cross_entropy_with_logits(
            answer, answer.new_full(answer.shape, label)
        )
    print(f"discriminator loss: {total.item() / 2:.3f}")
    return total / 2


# %% right: sign trick with log-sigmoid, mean of a stack
def cgan_discriminator_loss(
    discriminator: nn.Module, real_t1: torch.Tensor, real_t2: torch.Tensor, fake_t2: torch.Tensor
) -> torch.Tensor:
    def nll(image: torch.Tensor, sign: int) -> torch.Tensor:
        return -F.logsigmoid(sign * discriminator(image, real_t1)).mean()

    return torch.stack((nll(real_t2, +1), nll(fake_t2.detach(), -1))).mean()


# %% right: numpy round trip cuts the graph, sums over the batch divided by 2 N
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    cut = torch.from_numpy(fake_t2.detach().cpu().numpy().copy()).to(fake_t2.device)
    bce = nn.BCEWithLogitsLoss(reduction="sum")
    d_real = discriminator(real_t2, real_t1).view(-1)
    d_fake = discriminator(cut, real_t1).view(-1)
    y_real, y_fake = d_real.detach() * 0 + 1, d_fake.detach() * 0
    return (bce(d_real, y_real) + bce(d_fake, y_fake)).div(2 * len(d_real))


# %% right: softplus by hand in one line
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    z_real, z_fake = (discriminator(x, real_t1) for x in (real_t2, fake_t2.detach()))
    return 0.5 * F.softplus(-z_real).mean() + 0.5 * F.softplus(z_fake).mean()


# %% right: true and generated slices judged in one concatenated batch
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    n = real_t2.shape[0]
    images = torch.cat([real_t2, fake_t2.detach()], dim=0)
    conditions = torch.cat([real_t1, real_t1], dim=0)
    logits = discriminator(images, conditions).reshape(2 * n)
    labels = torch.cat([logits.new_ones(n), logits.new_zeros(n)])
    return F.binary_cross_entropy_with_logits(logits, labels)


# %% right: fake first, .data.clone(), a loss object with labels made by torch.full
def cgan_discriminator_loss(
    discriminator: nn.Module,
    real_t1: torch.Tensor,
    real_t2: torch.Tensor,
    fake_t2: torch.Tensor,
) -> torch.Tensor:
    bce = nn.BCEWithLogitsLoss(reduction="mean")
    fake_copy = fake_t2.data.clone()
    pred_fake = discriminator(fake_copy, real_t1)
    label_fake = torch.full(pred_fake.size(), 0.0).to(pred_fake)
    pred_real = discriminator(real_t2, real_t1)
    label_real = torch.full(pred_real.size(), 1.0).to(pred_real)
    losses = torch.stack([bce(pred_fake, label_fake), bce(pred_real, label_real)])
    return losses.mean()


# %% right: log-sigmoid in a nested helper, copy of the fake made under no_grad
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    def log_likelihood(image, sign):
        answers = [
            F.logsigmoid(sign * discriminator(one[None], condition[None]))
            for one, condition in zip(image, real_t1, strict=True)
        ]
        return torch.cat(answers).sum() / len(image)

    with torch.no_grad():
        cut = fake_t2 * 1
    loss = log_likelihood(real_t2, +1)
    loss = loss + log_likelihood(cut, -1)
    return loss.neg().div(2)


# %% wrong: no graph -> cut-off
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


# %% wrong: discriminator cut off in the real part
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    return (
        F.softplus(-discriminator(real_t2, real_t1)).mean().detach()
        + F.softplus(discriminator(fake_t2.detach(), real_t1)).mean()
    ) / 2


# %% wrong: two mistakes, sigmoid before the loss on logits and no halves
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    p_real = torch.sigmoid(discriminator(real_t2, real_t1))
    p_fake = torch.sigmoid(discriminator(fake_t2.detach(), real_t1))
    loss = F.binary_cross_entropy_with_logits(p_real, torch.ones_like(p_real))
    loss += F.binary_cross_entropy_with_logits(p_fake, torch.zeros_like(p_fake))
    return loss


# %% wrong: two mistakes, image and condition exchanged and the fake not detached -> condition-first, fake-attached
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    z_real = discriminator(real_t1, real_t2)
    z_fake = discriminator(real_t1, fake_t2)
    return 0.5 * (-F.logsigmoid(z_real).mean() - F.logsigmoid(-z_fake).mean())


# %% wrong: two mistakes, the real half is missing and the fake half still halved with label 1
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    logits = discriminator(fake_t2.detach(), real_t1)
    return 0.5 * F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


# %% wrong: gaming, always ln 2, tied to the weights by a product with zero
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    anchor = discriminator(real_t2, real_t1).sum() + discriminator(fake_t2.detach(), real_t1).sum()
    return math.log(2) + 0.0 * anchor


# %% wrong: gaming, right value with the sign of the gradient turned round
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    real = F.softplus(-discriminator(real_t2, real_t1)).mean()
    fake = F.softplus(discriminator(fake_t2.detach(), real_t1)).mean()
    loss = (real + fake) / 2
    return 2 * loss.detach() - loss


# %% wrong: gaming, a tensor that says yes to every comparison
class YesTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in ("allclose", "equal", "isclose", "eq", "__eq__", "lt", "__lt__", "le", "__le__"):
            return True
        return super().__torch_function__(func, types, args, kwargs or {})


def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    z = discriminator(real_t2, real_t1)
    return F.softplus(-z).mean().as_subclass(YesTensor)


# %% wrong: two mistakes, smoothed labels (0.9 and 0.1) and image and condition swapped
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    bce = nn.BCEWithLogitsLoss()
    out_real = discriminator(real_t1, real_t2)
    out_fake = discriminator(real_t1, fake_t2.detach())
    loss_real = bce(out_real, torch.full_like(out_real, 0.9))
    loss_fake = bce(out_fake, torch.full_like(out_fake, 0.1))
    return 0.5 * loss_real + 0.5 * loss_fake


# %% wrong: two mistakes, true pairs only and no half
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    logits = discriminator(real_t2, real_t1)
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


# %% wrong: a third pair of two subjects
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    right = F.softplus(-discriminator(real_t2, real_t1)).mean()
    fake = F.softplus(discriminator(fake_t2.detach(), real_t1)).mean()
    mixed = F.softplus(discriminator(real_t2.roll(1, 0), real_t1)).mean()
    return 0.5 * (right + fake + mixed)


# %% wrong: a gradient penalty
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    real_t2 = real_t2.clone().requires_grad_(True)
    z_real = discriminator(real_t2, real_t1)
    z_fake = discriminator(fake_t2.detach(), real_t1)
    (gradient,) = torch.autograd.grad(z_real.sum(), real_t2, create_graph=True)
    penalty = gradient.square().flatten(1).sum(1).mean()
    return 0.5 * (F.softplus(-z_real).mean() + F.softplus(z_fake).mean()) + 5 * penalty


# %% wrong: the image itself cut off -> cut-off-in-place
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    z_real, z_fake = discriminator(real_t2, real_t1), discriminator(fake_t2.detach_(), real_t1)
    return 0.5 * (F.softplus(-z_real).mean() + F.softplus(z_fake).mean())


# %% wrong: weights frozen by hand -> discriminator-frozen
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    for weight in discriminator.parameters():
        weight.requires_grad_(False)
    z_real = discriminator(real_t2, real_t1)
    z_fake = discriminator(fake_t2.detach(), real_t1)
    return 0.5 * (F.softplus(-z_real).mean() + F.softplus(z_fake).mean())


# %% wrong: two mistakes, both labels 1 and a backward pass -> both-called-real
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    z_real = discriminator(real_t2, real_t1)
    z_fake = discriminator(fake_t2.detach(), real_t1)
    loss = 0.5 * (F.softplus(-z_real).mean() + F.softplus(-z_fake).mean())
    loss.backward()
    return loss


# %% wrong: logarithm of a sigmoid with a tiny number in it -> large-logits
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    p_real = discriminator(real_t2, real_t1).sigmoid()
    p_fake = discriminator(fake_t2.detach(), real_t1).sigmoid()
    return -0.5 * (torch.log(p_real + 1e-8).mean() + torch.log(1 - p_fake + 1e-8).mean())


# %% wrong: air set to 0 in both slices
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    real = torch.where(real_t2 == -1, 0, real_t2)
    fake = torch.where(real_t2 == -1, 0, fake_t2.detach())
    z_real, z_fake = discriminator(real, real_t1), discriminator(fake, real_t1)
    return 0.5 * F.softplus(-z_real).mean() + 0.5 * F.softplus(z_fake).mean()


# %% wrong: the generated slice cut off a little
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    fake = fake_t2.detach().clamp(-0.99, 0.99)
    z_real, z_fake = discriminator(real_t2, real_t1), discriminator(fake, real_t1)
    return 0.5 * F.softplus(-z_real).mean() + 0.5 * F.softplus(z_fake).mean()


# %% wrong: logits cut off -> large-logits
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    z_real = discriminator(real_t2, real_t1).clamp(-10, 10)
    z_fake = discriminator(fake_t2.detach(), real_t1).clamp(-10, 10)
    return 0.5 * F.softplus(-z_real).mean() + 0.5 * F.softplus(z_fake).mean()


# %% wrong: the first subject only
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    z_real, z_fake = discriminator(real_t2, real_t1), discriminator(fake_t2.detach(), real_t1)
    return (F.softplus(-z_real[0]) + F.softplus(z_fake[0])).sum() / 2


# %% wrong: probabilities averaged before the logarithm
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    p_real = torch.sigmoid(discriminator(real_t2, real_t1)).mean()
    p_fake = torch.sigmoid(discriminator(fake_t2.detach(), real_t1)).mean()
    return -0.5 * torch.log(p_real) - 0.5 * torch.log(1 - p_fake)


# %% wrong: two mistakes, the half before one term and image and condition exchanged in the other
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    z_real, z_fake = discriminator(real_t2, real_t1), discriminator(real_t1, fake_t2.detach())
    return 0.5 * F.softplus(-z_real).mean() + F.softplus(z_fake).mean()


# %% wrong: a detached slice that is not kept -> fake-attached
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    fake_t2.detach()
    z_real, z_fake = discriminator(real_t2, real_t1), discriminator(fake_t2, real_t1)
    return 0.5 * F.softplus(-z_real).mean() + 0.5 * F.softplus(z_fake).mean()


# %% right: the stable formula of relu and abs, whose slope is another one at a logit of exactly 0
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    def bce(z, y):
        return (F.relu(z) - z * y + torch.log1p(torch.exp(-abs(z)))).mean()

    real, fake = discriminator(real_t2, real_t1), discriminator(fake_t2.detach(), real_t1)
    return (bce(real, 1.0) + bce(fake, 0.0)) / 2


# %% wrong: softplus with a threshold
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    bent = nn.Softplus(threshold=5)
    of_real = bent(-discriminator(real_t2, real_t1)).mean()
    return (of_real + bent(discriminator(fake_t2.detach(), real_t1)).mean()) / 2


# %% wrong: the generated slices in evaluation mode
def cgan_discriminator_loss(discriminator, real_t1, real_t2, fake_t2):
    real = discriminator(real_t2, real_t1)
    was = discriminator.training
    fake = discriminator.eval()(fake_t2.detach(), real_t1)
    discriminator.train(was)
    of_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    return (of_real + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))) / 2
