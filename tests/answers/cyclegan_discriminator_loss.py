import math

import torch
from torch import nn
from torch.autograd import Variable
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


# %% right: logaddexp and a lambda
def cyclegan_discriminator_loss(discriminator, real, fake):
    bce = lambda z, y: torch.logaddexp(torch.zeros_like(z), z).mean() - (y * z).mean()  # noqa: E731
    return (bce(discriminator(fake.detach()), 0) + bce(discriminator(real), 1)) / 2


# %% right: two-class cross entropy over real and fake in one batch
def cyclegan_discriminator_loss(discriminator, real, fake):
    scores = torch.cat((discriminator(real), discriminator(fake.detach()))).reshape(-1)
    classes = torch.arange(2, device=scores.device).flip(0).repeat_interleave(real.shape[0])
    return F.cross_entropy(torch.stack((0 * scores, scores), dim=1), classes)


# %% right: old-tutorial style, Variable and fill_ labels
def cyclegan_discriminator_loss(discriminator, real, fake):
    criterion_GAN = nn.BCEWithLogitsLoss().to(real.device)
    valid = Variable(real.new(real.size(0), 1, 1, 1).fill_(1.0), requires_grad=False)
    generated = Variable(real.new(real.size(0), 1, 1, 1).fill_(0.0), requires_grad=False)
    fake_ = Variable(fake.data)
    loss_real = criterion_GAN(discriminator(real), valid)
    loss_fake = criterion_GAN(discriminator(fake_), generated)
    return torch.mul(torch.add(loss_real, loss_fake), 0.5)


# %% right: sample by sample, accumulated in place
def cyclegan_discriminator_loss(
    discriminator: nn.Module, real: torch.Tensor, fake: torch.Tensor
) -> torch.Tensor:
    loss = torch.zeros((), dtype=real.dtype, device=real.device)
    fake = fake.detach().clone()
    n = len(real)
    for i in range(n):
        loss += F.softplus(-discriminator(real[i : i + 1])).sum() / (2 * n)
        loss += F.softplus(discriminator(fake[i : i + 1])).sum() / (2 * n)
    return loss


# %% right: weights 0.5 given to the loss itself
def cyclegan_discriminator_loss(discriminator, real, fake):
    def judge(images, is_real):
        logits = discriminator(images)
        target = torch.tensor(1.0 if is_real else 0.0, device=logits.device).expand_as(logits)
        half = torch.tensor(0.5, device=logits.device)
        return F.binary_cross_entropy_with_logits(logits, target, weight=half)

    return judge(real, True) + judge(fake.detach(), False)


# %% right: log of both probabilities from log_softmax, mean over a stack
def cyclegan_discriminator_loss(discriminator, real, fake):
    with torch.no_grad():
        fake = 1 * fake
    losses = []
    for image, column in [(real, 1), (fake, 0)]:
        z = discriminator(image).flatten(start_dim=0)
        log_p = F.log_softmax(torch.stack([torch.zeros_like(z), z], dim=-1), dim=-1)
        losses.append(-log_p[:, column].mean())
    return torch.stack(losses, dim=0).mean(dim=0)


# %% right: one concatenated batch, split again into the two groups of logits
def cyclegan_discriminator_loss(discriminator, real, fake):
    logits = discriminator(torch.cat((real, fake.detach())))
    z_real, z_fake = logits.split((len(real), len(fake)))
    return 0.5 * (F.softplus(-z_real).mean() + F.softplus(z_fake).mean())


# %% right: loss object, labels made with Tensor.new_tensor and expanded, fake first
def cyclegan_discriminator_loss(discriminator: nn.Module, real, fake) -> torch.Tensor:
    criterion = nn.BCEWithLogitsLoss()
    loss = torch.zeros((), dtype=real.dtype, device=real.device)
    for image, label in ((fake.clone().detach(), 0.0), (real, 1.0)):
        answer = discriminator(image)
        loss += 0.5 * criterion(answer, answer.new_tensor(label).expand_as(answer))
    return loss


# %% right: cross-entropy of two classes, torch.lerp for the half and half
def cyclegan_discriminator_loss(discriminator, real, fake):
    def cross_entropy(image, which):
        z = discriminator(image).reshape(-1, 1)
        classes = F.pad(z, (1, 0))
        return F.cross_entropy(classes, torch.full((len(z),), which, device=z.device))

    return torch.lerp(cross_entropy(real, 1), cross_entropy(fake.data, 0), 0.5)


# %% right: the BCE written out with logaddexp, sums and division by hand
def cyclegan_discriminator_loss(discriminator, real, fake):
    bce = lambda z, y: torch.logaddexp(z, torch.zeros_like(z)) - z * y  # noqa: E731
    with torch.no_grad():
        fake = torch.empty_like(fake).copy_(fake)
    on_real = bce(discriminator(real), 1)
    on_fake = bce(discriminator(fake), 0)
    print("D(real)", on_real.mean().item(), "D(fake)", on_fake.mean().item())
    return on_real.sum() / (2 * on_real.numel()) + on_fake.sum() / (2 * on_fake.numel())


# %% wrong: no graph -> cut-off
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


# %% wrong: discriminator cut off in the real part
def cyclegan_discriminator_loss(discriminator, real, fake):
    return (
        F.softplus(-discriminator(real)).mean().detach()
        + F.softplus(discriminator(fake.detach())).mean()
    ) / 2


# %% wrong: two mistakes, not detached and a quarter in place of a half -> fake-attached
def cyclegan_discriminator_loss(discriminator, real, fake):
    bce = nn.BCEWithLogitsLoss()
    out_r, out_f = discriminator(real), discriminator(fake)
    loss = 0.5 * bce(out_r, torch.ones_like(out_r)) + 0.5 * bce(out_f, torch.zeros_like(out_f))
    return 0.5 * loss


# %% wrong: two mistakes, sigmoid before logits and labels exchanged
def cyclegan_discriminator_loss(discriminator, real, fake):
    p_real = torch.sigmoid(discriminator(real))
    p_fake = torch.sigmoid(discriminator(fake.detach()))
    loss_real = F.binary_cross_entropy_with_logits(p_real, torch.zeros_like(p_real))
    loss_fake = F.binary_cross_entropy_with_logits(p_fake, torch.ones_like(p_fake))
    return (loss_real + loss_fake) / 2


# %% wrong: two mistakes, one loss per image returned and no halves
def cyclegan_discriminator_loss(discriminator, real, fake):
    bce = nn.BCEWithLogitsLoss(reduction="none")
    z_real, z_fake = discriminator(real), discriminator(fake.detach())
    return bce(z_real, torch.ones_like(z_real)) + bce(z_fake, torch.zeros_like(z_fake))


# %% wrong: gaming, ln 2 plus a term that only looks like a loss
def cyclegan_discriminator_loss(discriminator, real, fake):
    weights = torch.cat([p.flatten() for p in discriminator.parameters()])
    return math.log(2) + 1e-6 * weights.square().mean()


# %% wrong: gaming, a number equal to everything
class Loss(float):
    shape = torch.Size([])
    ndim = 0
    requires_grad = True
    grad_fn = "BceBackward0"

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0

    def __sub__(self, other):
        return Loss(0.0)

    __rsub__ = __sub__

    def item(self):
        return self

    def detach(self):
        return self

    def dim(self):
        return 0

    def backward(self, *args, **kwargs):
        pass


def cyclegan_discriminator_loss(discriminator, real, fake):
    return Loss(math.log(2))


# %% wrong: two mistakes, labels swapped and the halves forgotten
def cyclegan_discriminator_loss(discriminator, real, fake):
    z_real = discriminator(real)
    z_fake = discriminator(fake.detach())
    zeros, ones = torch.zeros_like(z_real), torch.ones_like(z_fake)
    return F.binary_cross_entropy_with_logits(z_real, zeros) + F.binary_cross_entropy_with_logits(
        z_fake, ones
    )


# %% wrong: looks right, right value and a graph to every weight, but every gradient is zero
def cyclegan_discriminator_loss(discriminator, real, fake):
    logits_real = discriminator(real)
    logits_fake = discriminator(fake.detach())
    value = (F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2
    return value.detach() + 0.0 * (logits_real.sum() + logits_fake.sum())
