import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F


# %% right: attached loss, gradients cleared last
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss


# %% right: gradients cleared through the network, in between
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    generator.train()
    prediction = generator.forward(real_t1)
    loss = criterion(prediction, real_t2)
    generator.zero_grad()
    loss.backward()
    optimizer.step()
    return torch.tensor(loss.item())


# %% right: keywords
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    for parameter in generator.parameters():
        parameter.grad = None
    with torch.enable_grad():
        value = criterion(target=real_t2, input=generator(real_t1))
    torch.autograd.backward([value])
    optimizer.step()
    return value.clone().detach()


# %% right: closure
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    def closure():
        optimizer.zero_grad()
        loss = criterion(generator(real_t1), real_t2)
        loss.backward()
        return loss

    return optimizer.step(closure)


# %% right: a closure handed to optimizer.step
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    def closure():
        optimizer.zero_grad()
        loss = criterion(generator(real_t1), real_t2)
        loss.backward()
        return loss

    return optimizer.step(closure)


# %% right: gradients cleared last, loss returned attached
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    prediction = generator(real_t1)
    loss = criterion(prediction, real_t2)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss


# %% right: torch.autograd.grad, gradients put into place by hand
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    weights = [w for group in optimizer.param_groups for w in group["params"] if w.requires_grad]
    loss = criterion(generator(real_t1), real_t2)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    for w, g in zip(weights, gradients):
        w.grad = g
    optimizer.step()
    return loss.detach()


# %% right: generator.zero_grad, .forward and torch.autograd.backward
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    generator.zero_grad()
    output = generator.forward(real_t1)
    error = criterion(output, real_t2)
    torch.autograd.backward([error])
    optimizer.step()
    return error.data


# %% right: every gradient zeroed in place in a loop
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.zero_()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        result = loss * 1
    return result


# %% right: train mode and gradients switched on, a new tensor made from item()
def generator_step(
    generator: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: nn.Module,
    real_t1: Tensor,
    real_t2: Tensor,
) -> Tensor:
    """One step."""
    generator.train()
    with torch.set_grad_enabled(True):
        fake_t2 = generator(real_t1)
        optimizer.zero_grad(set_to_none=False)
        loss = criterion(fake_t2, real_t2)
        loss.backward()
    optimizer.step()
    return torch.tensor(loss.item(), dtype=loss.dtype)


# %% right: compact, walrus and a lambda
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    objective = lambda: criterion(generator(real_t1), real_t2)  # noqa: E731
    optimizer.zero_grad(), (loss := objective()).backward(), optimizer.step()
    return loss


# %% right: moves to the device, keeps the graph, copies the loss before the update, prints
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    parameter = next(iter(generator.parameters()))
    source = real_t1.to(device=parameter.device, dtype=parameter.dtype)
    target = real_t2.to(device=parameter.device, dtype=parameter.dtype)
    try:
        optimizer.zero_grad()
        loss = criterion(generator(source), target)
        value = loss.detach().clone()
        loss.backward(retain_graph=True)
        optimizer.step()
    finally:
        optimizer.zero_grad()
    print(f"loss: {value:.4f}", end="\r")
    return value


# %% right: closure handed to the optimizer
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    def closure():
        optimizer.zero_grad()
        loss = criterion(generator(real_t1), real_t2)
        loss.backward()
        return loss

    return optimizer.step(closure)


# %% right: gradients from torch.autograd.grad, put in place by hand
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    weights = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    loss = criterion(generator.forward(real_t1), real_t2)
    for weight, grad in zip(weights, torch.autograd.grad(loss, weights)):
        weight.grad = grad
    optimizer.step()
    return loss


# %% right: gradients cleared last, loss kept as a detached copy
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    prediction = generator(real_t1)
    loss = criterion(prediction, real_t2)
    before = loss.detach().clone()
    loss.backward(retain_graph=True)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    print(f"loss {before.item():.4f}")
    return before


# %% right: gradients set to None through the network, training mode, value wrapped anew
def generator_step(generator: nn.Module, optimizer, criterion, real_t1, real_t2) -> torch.Tensor:
    generator.train()
    with torch.enable_grad():
        error = criterion(generator(real_t1), real_t2)
    for p in generator.parameters():
        p.grad = None
    torch.autograd.backward([error])
    optimizer.step()
    return torch.tensor(error.item(), dtype=error.dtype, device=error.device)


# %% wrong: gradients never cleared -> gradients-not-cleared
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return loss


# %% wrong: no step -> no-step-made
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    return loss


# %% wrong: returns a number -> number-returned
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% wrong: two mistakes, gradients never cleared and arguments of the criterion exchanged -> prediction-and-target-exchanged
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    pred = generator(real_t1)
    loss = criterion(real_t2, pred)
    loss.backward()
    optimizer.step()
    return loss


# %% wrong: two mistakes, compares with the T1 slice and does not call zero_grad (no brackets) -> compared-with-the-input
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad
    fake_t2 = generator(real_t1)
    loss = criterion(fake_t2, real_t1)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% wrong: two mistakes, gradients clipped to 0.01 and the loss has shape (1,)
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    fake_t2 = generator(real_t1)
    loss = criterion(fake_t2, real_t2)
    loss.backward()
    nn.utils.clip_grad_value_(generator.parameters(), 0.01)
    optimizer.step()
    return loss.detach().reshape(1)


# %% wrong: looks right, true loss without graph and weights shaken at random
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    with torch.no_grad():
        loss = criterion(generator(real_t1), real_t2)
        for weight in generator.parameters():
            weight.add_(1e-3 * torch.randn_like(weight))
            weight.grad = torch.zeros_like(weight)
    optimizer.step()
    return loss


# %% wrong: looks right, returns a tensor that is equal to everything
class Anything(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in ("equal", "allclose", "eq", "isclose", "__eq__"):
            return True
        return super().__torch_function__(func, types, args, kwargs or {})

    def __eq__(self, other):
        return True

    __hash__ = torch.Tensor.__hash__


def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    F.l1_loss(generator(real_t1), real_t2).backward()
    optimizer.step()
    return torch.tensor(0.0).as_subclass(Anything)


# %% wrong: two mistakes, gradients never cleared and F.l1_loss instead of the criterion -> own-l1-loss
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    output = generator(real_t1)
    loss = F.l1_loss(output, real_t2)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% wrong: a step only where the loss is positive
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    if loss > 0:
        optimizer.step()
    return loss.detach()


# %% wrong: no step where the loss is large
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    if loss.item() < 100:
        loss.backward()
        optimizer.step()
    return loss.detach()


# %% wrong: leaves the generator in evaluation mode
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    generator.eval()
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% wrong: two mistakes, changes its input and counts the gradient twice
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    real_t1 -= real_t1.mean()
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward(retain_graph=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% right: evaluation mode for a moment, and back
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    generator.eval()
    with torch.no_grad():
        generator(real_t1)
    generator.train()
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% wrong: gradient descent by hand, with the optimizer's learning rate
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    with torch.no_grad():
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight -= group["lr"] * weight.grad
    return loss.detach()


# %% wrong: the prediction is cut to the range of the slices
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1).clamp(-1, 1), real_t2)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% wrong: the loss is rounded to three decimals
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return torch.round(loss.detach(), decimals=3)


# %% wrong: predicts in evaluation mode, and switches back
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    generator.eval()
    prediction = generator(real_t1)
    generator.train()
    loss = criterion(prediction, real_t2)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% wrong: gradients beyond 1000 are clipped
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    nn.utils.clip_grad_norm_(generator.parameters(), 1000.0)
    optimizer.step()
    return loss.detach()


# %% wrong: clears the gradients of the first group of weights alone
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    for weight in optimizer.param_groups[0]["params"]:
        weight.grad = None
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% wrong: slices mirrored at random
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    if torch.rand(1).item() < 0.5:
        real_t1, real_t2 = real_t1.flip(-1), real_t2.flip(-1)
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return loss.detach()
