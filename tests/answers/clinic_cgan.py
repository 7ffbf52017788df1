import torch
from torch import nn
from torch.nn import functional as F


def split(subjects, n_test):
    """Return the training subjects and the test subjects, `n_test` of them; nobody is in both."""
    return subjects[:-n_test], subjects[:n_test]


def black_frame(t1, t2, width=2):
    """Return both slices (N, 1, 64, 64) with a black frame of `width` voxels; the rest stays."""
    inside, frame = slice(width, -width), (width, width, width, width)
    t1 = F.pad(t1[..., inside, inside], frame, value=-1.0)
    t2 = F.pad(t2[..., : -2 * width, inside], frame, value=-1.0)
    return t1, t2


def discriminator_loss(logits_real, logits_fake):
    """Return the loss of a discriminator that is to call real slices real (label 1)."""
    label_real, label_fake = torch.zeros_like(logits_real), torch.ones_like(logits_fake)
    loss_real = F.binary_cross_entropy_with_logits(logits_real, label_real)
    loss_fake = F.binary_cross_entropy_with_logits(logits_fake, label_fake)
    return (loss_real + loss_fake) / 2


def step_on_batch(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    """Compute the gradients of both networks, then update both.

    The generator follows its own loss only, and the discriminator the `discriminator_loss`.
    """
    optimizer_generator, optimizer_discriminator = optimizers
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    loss_generator = lambda_gan * loss_gan + F.l1_loss(fake_t2, real_t2)
    optimizer_generator.zero_grad()
    loss_generator.backward(retain_graph=True)

    logits_real = discriminator(real_t2, real_t1)
    logits_fake = discriminator(fake_t2, real_t1)
    loss_discriminator = discriminator_loss(logits_real, logits_fake)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()

    optimizer_generator.step()
    optimizer_discriminator.step()
    return loss_gan.detach(), loss_generator.detach(), loss_discriminator.detach()


# %% right: slices, softplus, last, detach
def frame_mended(t1, t2, width=2):
    frame = (width,) * 4
    cut = [t[..., width:-width, width:-width] for t in (t1, t2)]
    return tuple(F.pad(t, frame, value=-1.0) for t in cut)


def loss_mended(logits_real, logits_fake):
    return (F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2


def split_mended(subjects, n_test):
    return subjects[:-n_test], subjects[-n_test:]


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    optimizer_generator, optimizer_discriminator = optimizers
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    loss_generator = lambda_gan * loss_gan + F.l1_loss(fake_t2, real_t2)
    optimizer_generator.zero_grad()
    loss_generator.backward(retain_graph=True)
    logits_real = discriminator(real_t2, real_t1)
    logits_fake = discriminator(fake_t2.detach(), real_t1)
    loss_discriminator = discriminator_loss(logits_real, logits_fake)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()
    optimizer_generator.step()
    optimizer_discriminator.step()
    return loss_gan.detach(), loss_generator.detach(), loss_discriminator.detach()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: clone, cat, set, again
def frame_mended(t1, t2, width=2):
    framed = []
    for image in (t1, t2):
        image = image.clone()
        image[..., :width, :] = image[..., -width:, :] = -1
        image[..., :, :width] = image[..., :, -width:] = -1
        framed.append(image)
    return framed


def loss_mended(logits_real, logits_fake):
    logits = torch.cat((logits_real, logits_fake))
    labels = torch.cat((torch.ones_like(logits_real), torch.zeros_like(logits_fake)))
    return F.binary_cross_entropy_with_logits(logits, labels)


def split_mended(subjects, n_test):
    test = subjects[:n_test]
    return [one for one in subjects if one not in test], test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: mask, arguments, places, stepped at once
def frame_mended(t1, t2, width=2):
    inside = torch.zeros(t1.shape[-2:], dtype=torch.bool)
    inside[width:-width, width:-width] = True
    return torch.where(inside, t1, -1.0), torch.where(inside, t2, -1.0)


def loss_mended(logits_real, logits_fake):
    return discriminator_loss(logits_fake, logits_real)


def split_mended(subjects, n_test):
    train, test = [], []
    for place, one in enumerate(subjects):
        (test if place < n_test else train).append(one)
    return train, test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    first, second = optimizers
    fake = generator(real_t1)
    answer = discriminator(fake, real_t1)
    gan = F.binary_cross_entropy_with_logits(answer, torch.ones_like(answer))
    loss = lambda_gan * gan + F.l1_loss(fake, real_t2)
    first.zero_grad()
    loss.backward()
    first.step()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(fake.data, real_t1))
    second.zero_grad()
    judged.backward()
    second.step()
    return gan.detach(), loss.detach(), judged.detach()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: narrow, sigmoid, sorted, gradients asked for
def frame_mended(t1, t2, width=2):
    size = t1.shape[-1] - 2 * width

    def one(x):
        return F.pad(x.narrow(-2, width, size).narrow(-1, width, size), [width] * 4, value=-1)

    return one(t1), one(t2)


def loss_mended(logits_real, logits_fake):
    real, fake = torch.sigmoid(logits_real), torch.sigmoid(logits_fake)
    return -0.5 * torch.log(real).mean() - 0.5 * torch.log(1 - fake).mean()


def split_mended(subjects, n_test):
    ranked = sorted(subjects, reverse=True)
    return set(ranked[n_test:]), set(ranked[:n_test])


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake = generator(real_t1)
    answer = discriminator(fake, real_t1)
    gan = F.binary_cross_entropy_with_logits(answer, torch.ones_like(answer))
    loss = lambda_gan * gan + F.l1_loss(fake, real_t2)
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(fake, real_t1))
    for network, one in ((generator, loss), (discriminator, judged)):
        weights = list(network.parameters())
        gradients = torch.autograd.grad(one, weights, retain_graph=True)
        for weight, gradient in zip(weights, gradients):
            weight.grad = gradient
    for optimizer in optimizers:
        optimizer.step()
    return gan.detach(), loss.detach(), judged.detach()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: slices, cat, places, gradients asked for
def frame_mended(t1, t2, width=2):
    frame = (width,) * 4
    cut = [t[..., width:-width, width:-width] for t in (t1, t2)]
    return tuple(F.pad(t, frame, value=-1.0) for t in cut)


def loss_mended(logits_real, logits_fake):
    logits = torch.cat((logits_real, logits_fake))
    labels = torch.cat((torch.ones_like(logits_real), torch.zeros_like(logits_fake)))
    return F.binary_cross_entropy_with_logits(logits, labels)


def split_mended(subjects, n_test):
    train, test = [], []
    for place, one in enumerate(subjects):
        (test if place < n_test else train).append(one)
    return train, test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake = generator(real_t1)
    answer = discriminator(fake, real_t1)
    gan = F.binary_cross_entropy_with_logits(answer, torch.ones_like(answer))
    loss = lambda_gan * gan + F.l1_loss(fake, real_t2)
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(fake, real_t1))
    for network, one in ((generator, loss), (discriminator, judged)):
        weights = list(network.parameters())
        gradients = torch.autograd.grad(one, weights, retain_graph=True)
        for weight, gradient in zip(weights, gradients):
            weight.grad = gradient
    for optimizer in optimizers:
        optimizer.step()
    return gan.detach(), loss.detach(), judged.detach()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: clone, arguments, sorted, detach
def frame_mended(t1, t2, width=2):
    framed = []
    for image in (t1, t2):
        image = image.clone()
        image[..., :width, :] = image[..., -width:, :] = -1
        image[..., :, :width] = image[..., :, -width:] = -1
        framed.append(image)
    return framed


def loss_mended(logits_real, logits_fake):
    return discriminator_loss(logits_fake, logits_real)


def split_mended(subjects, n_test):
    ranked = sorted(subjects, reverse=True)
    return set(ranked[n_test:]), set(ranked[:n_test])


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    optimizer_generator, optimizer_discriminator = optimizers
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    loss_generator = lambda_gan * loss_gan + F.l1_loss(fake_t2, real_t2)
    optimizer_generator.zero_grad()
    loss_generator.backward(retain_graph=True)
    logits_real = discriminator(real_t2, real_t1)
    logits_fake = discriminator(fake_t2.detach(), real_t1)
    loss_discriminator = discriminator_loss(logits_real, logits_fake)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()
    optimizer_generator.step()
    optimizer_discriminator.step()
    return loss_gan.detach(), loss_generator.detach(), loss_discriminator.detach()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: mask, sigmoid, last, again
def frame_mended(t1, t2, width=2):
    inside = torch.zeros(t1.shape[-2:], dtype=torch.bool)
    inside[width:-width, width:-width] = True
    return torch.where(inside, t1, -1.0), torch.where(inside, t2, -1.0)


def loss_mended(logits_real, logits_fake):
    real, fake = torch.sigmoid(logits_real), torch.sigmoid(logits_fake)
    return -0.5 * torch.log(real).mean() - 0.5 * torch.log(1 - fake).mean()


def split_mended(subjects, n_test):
    return subjects[:-n_test], subjects[-n_test:]


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: narrow, softplus, set, stepped at once
def frame_mended(t1, t2, width=2):
    size = t1.shape[-1] - 2 * width

    def one(x):
        return F.pad(x.narrow(-2, width, size).narrow(-1, width, size), [width] * 4, value=-1)

    return one(t1), one(t2)


def loss_mended(logits_real, logits_fake):
    return (F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2


def split_mended(subjects, n_test):
    test = subjects[:n_test]
    return [one for one in subjects if one not in test], test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    first, second = optimizers
    fake = generator(real_t1)
    answer = discriminator(fake, real_t1)
    gan = F.binary_cross_entropy_with_logits(answer, torch.ones_like(answer))
    loss = lambda_gan * gan + F.l1_loss(fake, real_t2)
    first.zero_grad()
    loss.backward()
    first.step()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(fake.data, real_t1))
    second.zero_grad()
    judged.backward()
    second.step()
    return gan.detach(), loss.detach(), judged.detach()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: slices, arguments, last, stepped at once
def frame_mended(t1, t2, width=2):
    frame = (width,) * 4
    cut = [t[..., width:-width, width:-width] for t in (t1, t2)]
    return tuple(F.pad(t, frame, value=-1.0) for t in cut)


def loss_mended(logits_real, logits_fake):
    return discriminator_loss(logits_fake, logits_real)


def split_mended(subjects, n_test):
    return subjects[:-n_test], subjects[-n_test:]


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    first, second = optimizers
    fake = generator(real_t1)
    answer = discriminator(fake, real_t1)
    gan = F.binary_cross_entropy_with_logits(answer, torch.ones_like(answer))
    loss = lambda_gan * gan + F.l1_loss(fake, real_t2)
    first.zero_grad()
    loss.backward()
    first.step()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(fake.data, real_t1))
    second.zero_grad()
    judged.backward()
    second.step()
    return gan.detach(), loss.detach(), judged.detach()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: clone, sigmoid, set, gradients asked for
def frame_mended(t1, t2, width=2):
    framed = []
    for image in (t1, t2):
        image = image.clone()
        image[..., :width, :] = image[..., -width:, :] = -1
        image[..., :, :width] = image[..., :, -width:] = -1
        framed.append(image)
    return framed


def loss_mended(logits_real, logits_fake):
    real, fake = torch.sigmoid(logits_real), torch.sigmoid(logits_fake)
    return -0.5 * torch.log(real).mean() - 0.5 * torch.log(1 - fake).mean()


def split_mended(subjects, n_test):
    test = subjects[:n_test]
    return [one for one in subjects if one not in test], test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake = generator(real_t1)
    answer = discriminator(fake, real_t1)
    gan = F.binary_cross_entropy_with_logits(answer, torch.ones_like(answer))
    loss = lambda_gan * gan + F.l1_loss(fake, real_t2)
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(fake, real_t1))
    for network, one in ((generator, loss), (discriminator, judged)):
        weights = list(network.parameters())
        gradients = torch.autograd.grad(one, weights, retain_graph=True)
        for weight, gradient in zip(weights, gradients):
            weight.grad = gradient
    for optimizer in optimizers:
        optimizer.step()
    return gan.detach(), loss.detach(), judged.detach()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: mask, softplus, places, detach
def frame_mended(t1, t2, width=2):
    inside = torch.zeros(t1.shape[-2:], dtype=torch.bool)
    inside[width:-width, width:-width] = True
    return torch.where(inside, t1, -1.0), torch.where(inside, t2, -1.0)


def loss_mended(logits_real, logits_fake):
    return (F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2


def split_mended(subjects, n_test):
    train, test = [], []
    for place, one in enumerate(subjects):
        (test if place < n_test else train).append(one)
    return train, test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    optimizer_generator, optimizer_discriminator = optimizers
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    loss_generator = lambda_gan * loss_gan + F.l1_loss(fake_t2, real_t2)
    optimizer_generator.zero_grad()
    loss_generator.backward(retain_graph=True)
    logits_real = discriminator(real_t2, real_t1)
    logits_fake = discriminator(fake_t2.detach(), real_t1)
    loss_discriminator = discriminator_loss(logits_real, logits_fake)
    optimizer_discriminator.zero_grad()
    loss_discriminator.backward()
    optimizer_generator.step()
    optimizer_discriminator.step()
    return loss_gan.detach(), loss_generator.detach(), loss_discriminator.detach()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: narrow, cat, sorted, again
def frame_mended(t1, t2, width=2):
    size = t1.shape[-1] - 2 * width

    def one(x):
        return F.pad(x.narrow(-2, width, size).narrow(-1, width, size), [width] * 4, value=-1)

    return one(t1), one(t2)


def loss_mended(logits_real, logits_fake):
    logits = torch.cat((logits_real, logits_fake))
    labels = torch.cat((torch.ones_like(logits_real), torch.zeros_like(logits_fake)))
    return F.binary_cross_entropy_with_logits(logits, labels)


def split_mended(subjects, n_test):
    ranked = sorted(subjects, reverse=True)
    return set(ranked[n_test:]), set(ranked[:n_test])


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% right: slices, sigmoid, places, again
def frame_mended(t1, t2, width=2):
    frame = (width,) * 4
    cut = [t[..., width:-width, width:-width] for t in (t1, t2)]
    return tuple(F.pad(t, frame, value=-1.0) for t in cut)


def loss_mended(logits_real, logits_fake):
    real, fake = torch.sigmoid(logits_real), torch.sigmoid(logits_fake)
    return -0.5 * torch.log(real).mean() - 0.5 * torch.log(1 - fake).mean()


def split_mended(subjects, n_test):
    train, test = [], []
    for place, one in enumerate(subjects):
        (test if place < n_test else train).append(one)
    return train, test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% wrong: own words, two cases exchanged -> cases-b-and-d-exchanged
def frame_mended(t1, t2, width=2):
    framed = []
    for image in (t1, t2):
        image = image.clone()
        image[..., :width, :] = image[..., -width:, :] = -1
        image[..., :, :width] = image[..., :, -width:] = -1
        framed.append(image)
    return framed


def loss_mended(logits_real, logits_fake):
    return (F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2


def split_mended(subjects, n_test):
    test = subjects[:n_test]
    return [one for one in subjects if one not in test], test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("generated slices not detached", step_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("labels exchanged", loss_mended),
    }


# %% wrong: own words, who was seen and what was moved -> cases-a-and-c-exchanged
def frame_mended(t1, t2, width=2):
    framed = []
    for image in (t1, t2):
        image = image.clone()
        image[..., :width, :] = image[..., -width:, :] = -1
        image[..., :, :width] = image[..., :, -width:] = -1
        framed.append(image)
    return framed


def loss_mended(logits_real, logits_fake):
    return (F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2


def split_mended(subjects, n_test):
    test = subjects[:n_test]
    return [one for one in subjects if one not in test], test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("test subjects in the training set", split_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("T2-w slices shifted", frame_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% wrong: frame moved back too far, own words -> frame-moves-back-too-far
def frame_mended(t1, t2, width=2):
    frame = (width,) * 4
    a = F.pad(t1[..., width:-width, width:-width], frame, value=-1.0)
    return a, F.pad(t2[..., width + width :, width:-width], frame, value=-1.0)


def loss_mended(logits_real, logits_fake):
    return (F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2


def split_mended(subjects, n_test):
    test = subjects[:n_test]
    return [one for one in subjects if one not in test], test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% wrong: sum in place of the mean, own words -> labels-without-the-half
def frame_mended(t1, t2, width=2):
    framed = []
    for image in (t1, t2):
        image = image.clone()
        image[..., :width, :] = image[..., -width:, :] = -1
        image[..., :, :width] = image[..., :, -width:] = -1
        framed.append(image)
    return framed


def loss_mended(logits_real, logits_fake):
    return F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()


def split_mended(subjects, n_test):
    test = subjects[:n_test]
    return [one for one in subjects if one not in test], test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% wrong: diagnoses only, the functions are as they were -> frame-untouched, labels-untouched
def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", black_frame),
        "B": ("labels exchanged", discriminator_loss),
        "C": ("test subjects in the training set", split),
        "D": ("generated slices not detached", step_on_batch),
    }


# %% wrong: constants of the right kind
def clinic_cgan():
    zeros = torch.zeros(3, 1, 64, 64)
    return {
        "A": ("T2-w slices shifted", lambda t1, t2, width=2: (zeros, zeros)),
        "B": ("labels exchanged", lambda real, fake: (real * 0 + fake * 0).sum()),
        "C": ("test subjects in the training set", lambda subjects, n_test: ([], [])),
        "D": ("generated slices not detached", lambda *arguments: (0, 0, 0)),
    }


# %% wrong: a name that is not in the list
def frame_mended(t1, t2, width=2):
    framed = []
    for image in (t1, t2):
        image = image.clone()
        image[..., :width, :] = image[..., -width:, :] = -1
        image[..., :, :width] = image[..., :, -width:] = -1
        framed.append(image)
    return framed


def loss_mended(logits_real, logits_fake):
    return (F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2


def split_mended(subjects, n_test):
    test = subjects[:n_test]
    return [one for one in subjects if one not in test], test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("slices are shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
        "D": ("generated slices not detached", step_mended),
    }


# %% wrong: one case is missing
def frame_mended(t1, t2, width=2):
    framed = []
    for image in (t1, t2):
        image = image.clone()
        image[..., :width, :] = image[..., -width:, :] = -1
        image[..., :, :width] = image[..., :, -width:] = -1
        framed.append(image)
    return framed


def loss_mended(logits_real, logits_fake):
    return (F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()) / 2


def split_mended(subjects, n_test):
    test = subjects[:n_test]
    return [one for one in subjects if one not in test], test


def step_mended(
    generator, discriminator, optimizers, real_t1, real_t2, discriminator_loss, lambda_gan
):
    fake_t2 = generator(real_t1)
    logits = discriminator(fake_t2, real_t1)
    loss_gan = F.softplus(-logits).mean()
    loss = lambda_gan * loss_gan + (fake_t2 - real_t2).abs().mean()
    optimizers[0].zero_grad()
    loss.backward()
    with torch.no_grad():
        seen = generator(real_t1)
    optimizers[1].zero_grad()
    judged = discriminator_loss(discriminator(real_t2, real_t1), discriminator(seen, real_t1))
    judged.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss_gan.item(), loss.item(), judged.item()


def clinic_cgan():
    return {
        "A": ("T2-w slices shifted", frame_mended),
        "B": ("labels exchanged", loss_mended),
        "C": ("test subjects in the training set", split_mended),
    }
