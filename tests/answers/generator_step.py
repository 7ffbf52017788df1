# ruff: noqa: F811
import torch


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


# %% wrong: gradients never cleared
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return loss


# %% wrong: cleared after backward
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss


# %% wrong: no step
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    return loss


# %% wrong: arguments of the criterion exchanged
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(real_t2, generator(real_t1))
    loss.backward()
    optimizer.step()
    return loss


# %% wrong: own loss instead of the criterion
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = torch.nn.functional.l1_loss(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return loss


# %% wrong: loss after the update
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    criterion(generator(real_t1), real_t2).backward()
    optimizer.step()
    return criterion(generator(real_t1), real_t2)


# %% wrong: returns a number
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% wrong: returns nothing
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()


# %% wrong: two steps
def generator_step(generator, optimizer, criterion, real_t1, real_t2):
    optimizer.zero_grad()
    loss = criterion(generator(real_t1), real_t2)
    loss.backward()
    optimizer.step()
    optimizer.step()
    return loss
