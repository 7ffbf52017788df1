import numpy as np
import torch
from torch import nn
from torch.autograd import Variable
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


# %% wrong: sigmoid and cross-entropy of probabilities -> large-logits
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


# %% right: log-sigmoid and absolute values written out in one line
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    return (
        -F.logsigmoid(discriminator(fake_t2, real_t1)).mean() * lambda_gan
        + (real_t2 - fake_t2).abs().mean() * lambda_pixel
    )


# %% right: old-tutorial style, Variable labels (N, 1, 1, 1) and criterion objects
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    criterion_GAN = nn.BCEWithLogitsLoss()
    criterion_pixelwise = nn.L1Loss()
    # Adversarial ground truths
    valid = Variable(torch.FloatTensor(np.ones((real_t1.size(0), 1, 1, 1))), requires_grad=False)
    valid = valid.to(real_t1.device)
    # GAN loss
    pred_fake = discriminator(fake_t2, real_t1)
    loss_GAN = criterion_GAN(pred_fake, valid)
    # Pixel-wise loss
    loss_pixel = criterion_pixelwise(fake_t2, real_t2)
    # Total loss
    loss_G = lambda_gan * loss_GAN + lambda_pixel * loss_pixel
    return loss_G


# %% right: loop over the patients, one call of the discriminator each
def cgan_generator_loss(
    discriminator: nn.Module,
    real_t1: torch.Tensor,
    real_t2: torch.Tensor,
    fake_t2: torch.Tensor,
    lambda_gan: float = 1.0,
    lambda_pixel: float = 1.0,
) -> torch.Tensor:
    losses = []
    for t1, t2, fake in zip(real_t1, real_t2, fake_t2):
        z = discriminator(fake.unsqueeze(0), t1.unsqueeze(0)).squeeze()
        adversarial = torch.logaddexp(torch.zeros_like(z), -z)
        pixel = torch.mean(torch.abs(fake - t2))
        losses.append(lambda_gan * adversarial + lambda_pixel * pixel)
    return torch.stack(losses).mean()


# %% right: discriminator frozen during its forward pass, flags restored afterwards
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    flags = [p.requires_grad for p in discriminator.parameters()]
    for p in discriminator.parameters():
        p.requires_grad_(False)
    prediction = discriminator(fake_t2, real_t1)
    for p, flag in zip(discriminator.parameters(), flags):
        p.requires_grad_(flag)
    weighted = dict(
        gan=lambda_gan
        * F.binary_cross_entropy_with_logits(prediction, torch.full_like(prediction, 1.0)),
        pixel=lambda_pixel * F.l1_loss(input=fake_t2, target=real_t2),
    )
    return sum(weighted.values())


# %% right: a GANLoss class as in the pix2pix repository
class GANLoss(nn.Module):
    def __init__(self, target_real_label=1.0, target_fake_label=0.0):
        super().__init__()
        self.register_buffer("real_label", torch.tensor(target_real_label))
        self.register_buffer("fake_label", torch.tensor(target_fake_label))
        self.loss = nn.BCEWithLogitsLoss()

    def get_target_tensor(self, prediction, target_is_real):
        target_tensor = self.real_label if target_is_real else self.fake_label
        return target_tensor.to(prediction).expand_as(prediction)

    def __call__(self, prediction, target_is_real):
        return self.loss(prediction, self.get_target_tensor(prediction, target_is_real))


def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    criterionGAN = GANLoss()
    criterionL1 = torch.nn.L1Loss()
    loss_G_GAN = criterionGAN(discriminator(fake_t2, real_t1), True) * lambda_gan
    loss_G_L1 = criterionL1(fake_t2, real_t2) * lambda_pixel
    return loss_G_GAN + loss_G_L1


# %% right: two-class cross entropy with a zero logit for "generated", L1 norm over the count
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    z = discriminator(image=fake_t2, condition=real_t1).flatten()
    two_classes = torch.stack([torch.zeros_like(z), z], dim=1)
    always_real = torch.ones(len(z), dtype=torch.long, device=z.device)
    total = fake_t2.new_zeros(())
    total += lambda_gan * F.cross_entropy(two_classes, always_real)
    total += lambda_pixel * torch.linalg.vector_norm(fake_t2 - real_t2, ord=1) / fake_t2.numel()
    return total


# %% right: loss objects, labels of a fixed shape (N, 1, 1, 1)
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    criterion_gan = nn.BCEWithLogitsLoss()
    criterion_pixel = nn.L1Loss()
    valid = torch.ones((real_t1.size(0), 1, 1, 1), device=real_t1.device, dtype=real_t1.dtype)
    pred_fake = discriminator(fake_t2, real_t1)
    return lambda_gan * criterion_gan(pred_fake, valid) + lambda_pixel * criterion_pixel(
        fake_t2, real_t2
    )


# %% right: softplus by hand, pixel term first, weights as keywords of a dictionary
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    terms = {
        "pixel": (real_t2 - fake_t2).abs().mean(),
        "gan": F.softplus(-discriminator(fake_t2, real_t1)).mean(),
    }
    weights = {"pixel": lambda_pixel, "gan": lambda_gan}
    return sum(weights[name] * term for name, term in terms.items())


# %% right: cross-entropy of the two classes (generated, real), L1 as smooth L1 with beta 0
def cgan_generator_loss(
    discriminator,
    real_t1: torch.Tensor,
    real_t2: torch.Tensor,
    fake_t2: torch.Tensor,
    lambda_gan: float = 1.0,
    lambda_pixel: float = 1.0,
) -> torch.Tensor:
    z = discriminator(fake_t2, real_t1).flatten()
    two_classes = torch.stack((torch.zeros_like(z), z), dim=1)
    is_real = torch.ones(len(z), dtype=torch.long, device=z.device)
    adversarial = F.cross_entropy(two_classes, is_real)
    pixel = F.smooth_l1_loss(fake_t2, real_t2, beta=0.0)
    return adversarial.mul(lambda_gan).add(pixel.mul(lambda_pixel))


# %% right: loop over the subjects, log-sigmoid, accumulated and divided at the end
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    n = fake_t2.shape[0]
    total = fake_t2.new_zeros(())
    for i in range(n):
        logit = discriminator(fake_t2[i : i + 1], real_t1[i : i + 1])
        total = total - lambda_gan * F.logsigmoid(logit).squeeze()
        total = total + lambda_pixel * torch.mean(torch.abs(fake_t2[i] - real_t2[i]))
    return total / n


# %% wrong: no graph -> gradients-switched-off
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return torch.tensor((lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)).item())


# %% wrong: other default
def cgan_generator_loss(
    discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=100.0
):
    logits = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: two mistakes, saturating loss of the first GAN paper and lambda_gan forgotten
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    d_fake = torch.sigmoid(discriminator(fake_t2, real_t1))
    loss_gan = torch.mean(torch.log(1 - d_fake + 1e-8))
    return loss_gan + lambda_pixel * torch.mean(torch.abs(fake_t2 - real_t2))


# %% wrong: two mistakes, sum over voxels in place of the mean and pix2pix's weight 100 written in
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return lambda_gan * gan + 100 * F.l1_loss(fake_t2, real_t2, reduction="sum")


# %% wrong: two mistakes, half of the adversarial term and its weight on the whole sum -> adversarial-term-halved
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    z = discriminator(fake_t2, real_t1)
    loss = 0.5 * F.binary_cross_entropy_with_logits(z, torch.ones_like(z))
    loss = loss + lambda_pixel * F.l1_loss(fake_t2, real_t2)
    return lambda_gan * loss


# %% wrong: gaming, right value whose gradient is that of the pixel term only -> detached-from-the-discriminator
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    loss_pixel = F.l1_loss(fake_t2, real_t2)
    total = lambda_gan * loss_gan + lambda_pixel * loss_pixel
    surrogate = lambda_pixel * loss_pixel + 0.0 * loss_gan
    return surrogate + (total - surrogate).detach()


# %% wrong: two mistakes, the fake is detached for the discriminator and the sum replaces the mean -> sum-over-voxels
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    logits = discriminator(fake_t2.detach(), real_t1)
    labels = torch.ones(logits.shape, dtype=logits.dtype, device=logits.device)
    loss_gan = nn.BCEWithLogitsLoss()(logits, labels)
    loss_pixel = nn.L1Loss(reduction="sum")(fake_t2, real_t2)
    return lambda_gan * loss_gan + lambda_pixel * loss_pixel


# %% wrong: looks right, the value is right and it has a graph, but only the voxel-wise term trains -> detached-from-the-discriminator
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    with torch.no_grad():
        logits = discriminator(fake_t2, real_t1)
        loss_gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    loss_pixel = F.l1_loss(fake_t2, real_t2)
    return lambda_gan * loss_gan.requires_grad_() + lambda_pixel * loss_pixel


# %% wrong: the absolute value of the mean
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    return lambda_gan * gan + lambda_pixel * (fake_t2 - real_t2).mean().abs()


# %% wrong: two mistakes, the true pair judged as well and its weight forgotten
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = lambda_gan * F.softplus(-discriminator(fake_t2, real_t1)).mean()
    gan = gan + F.softplus(-discriminator(real_t2, real_t1)).mean()
    return gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: a backward pass that keeps its graph -> backward-inside
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    loss = lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)
    loss.backward(retain_graph=True)
    return loss


# %% wrong: a loss class called with tensors
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    pixel = nn.L1Loss(fake_t2, real_t2)
    return lambda_gan * gan + lambda_pixel * pixel


# %% wrong: two mistakes, an own discriminator and squares
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    own = nn.Conv2d(2, 1, 64).to(real_t1)
    gan = F.softplus(-own(torch.cat((fake_t2, real_t1), dim=1))).mean()
    return lambda_gan * gan + lambda_pixel * F.mse_loss(fake_t2, real_t2)


# %% wrong: logarithm of an exponential, larger of two differences -> large-logits
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = discriminator(fake_t2, real_t1).neg().exp().log1p().mean()
    pixel = torch.maximum(fake_t2 - real_t2, real_t2 - fake_t2).mean()
    return lambda_gan * gan + lambda_pixel * pixel


# %% right: the generated slice kept in the range that it has
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    fake_t2 = fake_t2.clamp(-1, 1)
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: the error where the true slice is no air
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    error = (fake_t2 - real_t2).abs()[real_t2 > -1].mean()
    return lambda_gan * gan + lambda_pixel * error


# %% wrong: the error where T1 is no air
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    error = (fake_t2 - real_t2).abs()[real_t1 > -1].mean()
    return lambda_gan * gan + lambda_pixel * error


# %% wrong: air counts as no error
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    error = ((fake_t2 - real_t2).abs() * (real_t2 > -1)).mean()
    return lambda_gan * gan + lambda_pixel * error


# %% wrong: the generated slice cut off a little
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    fake = fake_t2.clamp(-0.99, 0.99)
    gan = F.softplus(-discriminator(fake, real_t1)).mean()
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake, real_t2)


# %% wrong: the generated slice cut off a little in the error
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    error = F.l1_loss(fake_t2.clamp(-0.99, 0.99), real_t2)
    return lambda_gan * gan + lambda_pixel * error


# %% wrong: logits cut off -> large-logits
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1).clamp(-10, 10)).mean()
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: divided by the sum of the weights
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    loss = lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)
    return loss / (lambda_gan + lambda_pixel)


# %% wrong: the probability rounded
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    real = (discriminator(fake_t2, real_t1).sigmoid() > 0.5).to(fake_t2.dtype)
    gan = F.binary_cross_entropy(real, torch.ones_like(real))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: the border left out
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    error = (fake_t2 - real_t2)[..., 1:-1, 1:-1].abs().mean()
    return lambda_gan * gan + lambda_pixel * error


# %% wrong: large differences cut off
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    error = (fake_t2 - real_t2).clamp(-1.5, 1.5).abs().mean()
    return lambda_gan * gan + lambda_pixel * error


# %% wrong: the median
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1)).mean()
    return lambda_gan * gan + lambda_pixel * (fake_t2 - real_t2).abs().median()


# %% right: logarithm of a sum of exponentials by hand, larger of two differences
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    z = discriminator(fake_t2, real_t1)
    gan = ((-z).clamp(min=0) + (-z.abs()).exp().log1p()).mean()
    pixel = torch.maximum(fake_t2 - real_t2, real_t2 - fake_t2).mean()
    return lambda_gan * gan + lambda_pixel * pixel


# %% wrong: no graph of the adversarial term, and a result that is not kept -> detached-from-the-discriminator
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    fake_t2.clamp(-1, 1)
    with torch.no_grad():
        z = discriminator(fake_t2, real_t1)
    return lambda_gan * F.softplus(-z).mean() + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% right: the stable formula of relu and abs, whose slope is another one at a logit of exactly 0
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    z = discriminator(fake_t2, real_t1)
    y = torch.ones_like(z)
    gan = F.relu(z) - z * y + torch.log1p(torch.exp(-torch.abs(z)))
    return lambda_gan * gan.mean() + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% right: all in 32-bit numbers
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    z = discriminator(fake_t2, real_t1).float()
    gan = F.binary_cross_entropy_with_logits(z, torch.ones_like(z))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2.float(), real_t2.float())


# %% wrong: evaluation mode for a while
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    discriminator.eval()
    z = discriminator(fake_t2, real_t1)
    discriminator.train()
    gan = F.binary_cross_entropy_with_logits(z, torch.ones_like(z))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: training mode, whatever the mode was
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    discriminator.train()
    z = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(z, torch.ones_like(z))
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: softplus with a threshold
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    gan = F.softplus(-discriminator(fake_t2, real_t1), threshold=5).mean()
    return lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)


# %% wrong: gradients switched off at the end
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    z = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(z, torch.ones_like(z))
    loss = lambda_gan * gan + lambda_pixel * F.l1_loss(fake_t2, real_t2)
    torch.set_grad_enabled(False)
    return loss


# %% wrong: a root in place of the absolute value
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    z = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(z, torch.ones_like(z))
    error = torch.sqrt((fake_t2 - real_t2) ** 2 + 1e-6).mean()
    return lambda_gan * gan + lambda_pixel * error


# %% wrong: a bend around 0
def cgan_generator_loss(discriminator, real_t1, real_t2, fake_t2, lambda_gan=1.0, lambda_pixel=1.0):
    z = discriminator(fake_t2, real_t1)
    gan = F.binary_cross_entropy_with_logits(z, torch.ones_like(z))
    return lambda_gan * gan + lambda_pixel * F.smooth_l1_loss(fake_t2, real_t2, beta=0.01)
