import copy
import math

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Adam
from tqdm import tqdm


# %% right: inlined step, F.l1_loss, other betas, rows made into a table at the end
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    opt = torch.optim.Adam(generator.parameters(), lr, betas=(0.5, 0.999))
    history = []
    for epoch in range(num_epoch):
        generator.train()
        losses, sizes = [], []
        for batch in train_loader:
            opt.zero_grad()
            loss = F.l1_loss(generator(batch["T1"]), batch["T2"])
            loss.backward()
            opt.step()
            losses.append(loss.item())
            sizes.append(len(batch["T1"]))
        row = {"training": np.average(losses, weights=sizes)}
        generator.eval()
        losses, sizes = [], []
        for batch in validation_loader:
            with torch.inference_mode():
                losses.append(F.l1_loss(generator(batch["T1"]), batch["T2"]).item())
            sizes.append(batch["T1"].shape[0])
        row["validation"] = np.average(losses, weights=sizes)
        history.append(row)
    return pd.DataFrame(history, index=range(1, num_epoch + 1))


# %% right: pairs, errors of all subjects put together, gradients cleared last
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = Adam(params=list(generator.parameters()), lr=lr)
    history = []

    @torch.no_grad()
    def measure():
        generator.train(False)
        errors = [(generator(b["T1"]) - b["T2"]).abs().mean((1, 2, 3)) for b in validation_loader]
        return torch.cat(errors).mean().item()

    while len(history) < num_epoch:
        generator.train(True)
        errors = []
        for batch in train_loader:
            t1, t2 = batch["T1"], batch["T2"]
            error = (generator(t1) - t2).abs().mean((1, 2, 3))
            error.mean().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            errors.append(error.detach())
        history.append((torch.cat(errors).mean().item(), measure()))
    table = pd.DataFrame(history, columns=["training", "validation"])
    table.index += 1
    return table


# %% right: calls the step with names, prints, tqdm, divides by the size of the data set
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    criterion = torch.nn.L1Loss(reduction="mean")
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr, betas=(0.9, 0.99), eps=1e-7)
    history = pd.DataFrame(columns=["training", "validation"], dtype=float)
    history.index.name = "epoch"
    for epoch in tqdm(range(1, num_epoch + 1)):
        generator.train()
        total = 0
        for batch in train_loader:
            loss = generator_step(
                generator=generator,
                optimizer=optimizer,
                criterion=criterion,
                real_t1=batch["T1"],
                real_t2=batch["T2"],
            )
            total += float(loss) * batch["T1"].size(0)
        generator.eval()
        val = 0
        with torch.no_grad():
            for batch in validation_loader:
                val += criterion(generator(batch["T1"]), batch["T2"]).item() * batch["T1"].size(0)
        history.loc[epoch] = [
            total / len(train_loader.dataset),
            val / len(validation_loader.dataset),
        ]
        print(f"epoch {epoch}: {total:.3f}")
    return history


# %% right: moves to the device of the network, dictionary of lists, mode set back after measuring
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    device = next(generator.parameters()).device
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    history = {"training": [], "validation": []}
    generator.train()
    for _ in range(num_epoch):
        weighted = []
        for batch in train_loader:
            t1, t2 = batch["T1"].to(device), batch["T2"].to(device)
            loss = generator_step(generator, optimizer, nn.L1Loss(), t1, t2)
            weighted.append((loss * len(t1)).cpu())
        history["training"].append(sum(weighted).item() / len(train_loader.dataset))
        generator.eval()
        weighted = []
        with torch.no_grad():
            for batch in validation_loader:
                t1, t2 = batch["T1"].to(device), batch["T2"].to(device)
                weighted.append(F.l1_loss(generator(t1), t2) * len(t1))
        generator.train()
        history["validation"].append(sum(weighted).item() / len(validation_loader.dataset))
    return pd.DataFrame(history).rename(index=lambda k: k + 1)


# %% right: a look at the start that is not in the history, epoch as the index
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    criterion = nn.L1Loss()

    def measure(loader):
        generator.eval()
        with torch.no_grad():
            pairs = [(criterion(generator(b["T1"]), b["T2"]).item(), len(b["T1"])) for b in loader]
        return sum(x * n for x, n in pairs) / sum(n for _, n in pairs)

    print("start", measure(validation_loader))
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr, fused=True)
    rows = []
    for epoch in range(num_epoch):
        generator.train()
        pairs = []
        for batch in train_loader:
            loss = generator_step(generator, optimizer, criterion, batch["T1"], batch["T2"])
            pairs.append((loss.item(), len(batch["T1"])))
        training = sum(x * n for x, n in pairs) / sum(n for _, n in pairs)
        rows.append([epoch + 1, training, measure(validation_loader)])
    return pd.DataFrame(rows, columns=["epoch", "training", "validation"]).set_index("epoch")


# %% right: running mean, closure, tables put together
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr, amsgrad=True)
    frames = []
    for epoch in range(1, 1 + num_epoch):
        generator.train()
        mean, n = 0.0, 0
        for batch in train_loader:

            def closure(batch=batch):
                optimizer.zero_grad()
                loss = F.l1_loss(generator(batch["T1"]), batch["T2"])
                loss.backward()
                return loss

            loss = optimizer.step(closure).item()
            n += len(batch["T1"])
            mean += (loss - mean) * len(batch["T1"]) / n
        generator.eval()
        v, m = 0.0, 0
        with torch.inference_mode():
            for batch in validation_loader:
                m += len(batch["T1"])
                loss = F.l1_loss(generator(batch["T1"]), batch["T2"]).item()
                v += (loss - v) * len(batch["T1"]) / m
        frames.append(pd.DataFrame({"training": mean, "validation": v}, index=[epoch]))
    return pd.concat(frames).rename_axis("epoch")


# %% right: gradients by torch.autograd.grad, losses kept as detached tensors until the end of the epoch
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    weights = [w for w in generator.parameters() if w.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=lr)
    rows = []
    for _ in range(num_epoch):
        generator.train()
        sums = []
        for batch in train_loader:
            loss = F.l1_loss(generator(batch["T1"]), batch["T2"])
            for w, g in zip(weights, torch.autograd.grad(loss, weights)):
                w.grad = g
            optimizer.step()
            sums.append(loss.detach() * len(batch["T1"]))
        generator.eval()
        with torch.no_grad():
            val = [
                F.l1_loss(generator(b["T1"]), b["T2"], reduction="sum") for b in validation_loader
            ]
        n_voxels = sum(b["T2"].numel() for b in validation_loader)
        rows.append(
            {
                "training": float(torch.stack(sums).sum()) / len(train_loader.dataset),
                "validation": (torch.stack(val).sum() / n_voxels).item(),
            }
        )
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))


# %% right: validation batches read once, predictions put together before the error
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    held_out = list(validation_loader)
    target = torch.cat([batch["T2"] for batch in held_out])
    optimizer, l1 = torch.optim.Adam(generator.parameters(), lr=lr), nn.L1Loss()
    training, validation = [], []
    for _epoch in range(num_epoch):
        generator.train()
        total = count = 0
        for _i, batch in enumerate(train_loader):
            n = batch["T1"].shape[0]
            total = total + generator_step(generator, optimizer, l1, batch["T1"], batch["T2"]) * n
            count += n
        training.append((total / count).item())
        generator.eval()
        with torch.no_grad():
            made = torch.cat([generator(batch["T1"]) for batch in held_out])
            validation.append(l1(made, target).item())
    index = pd.Index(range(1, num_epoch + 1), name="epoch")
    return pd.DataFrame({"validation": validation, "training": training}, index=index)


# %% right: frozen while measured, no context manager
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    rows = []
    for _ in range(num_epoch):
        generator.train()
        for weight in generator.parameters():
            weight.requires_grad_(True)
        a = [
            (
                generator_step(generator, optimizer, nn.L1Loss(), b["T1"], b["T2"]).item(),
                len(b["T1"]),
            )
            for b in train_loader
        ]
        generator.eval()
        for weight in generator.parameters():
            weight.requires_grad_(False)
        v = [
            (F.l1_loss(generator(b["T1"]), b["T2"]).item(), len(b["T1"])) for b in validation_loader
        ]
        mean_a, mean_v = (sum(x * n for x, n in s) / sum(n for _, n in s) for s in (a, v))
        rows.append(dict(training=mean_a, validation=mean_v))
    return pd.DataFrame(rows, index=np.arange(1, num_epoch + 1))


# %% right: peeks at the loader first, set_grad_enabled, one function for both parts
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    first = next(iter(train_loader))
    print(first["T1"].shape)
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)

    def run(loader, learn):
        generator.train(learn)
        total, n = 0.0, 0
        with torch.set_grad_enabled(learn):
            for batch in loader:
                loss = F.l1_loss(generator(batch["T1"]), batch["T2"])
                if learn:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                total += loss.item() * len(batch["T1"])
                n += len(batch["T1"])
        return total / n

    rows = [(run(train_loader, True), run(validation_loader, False)) for _ in range(num_epoch)]
    columns = ["training", "validation"]
    return pd.DataFrame(rows, columns=columns, index=pd.RangeIndex(1, num_epoch + 1))


# %% right: an Adam of one's own, with the usual betas
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    weights = list(generator.parameters())
    mean = [torch.zeros_like(w) for w in weights]
    square = [torch.zeros_like(w) for w in weights]
    n_steps, history = 0, []
    for _ in range(num_epoch):
        generator.train()
        total = n = 0
        for batch in train_loader:
            n_steps += 1
            loss = F.l1_loss(generator(batch["T1"]), batch["T2"])
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for w, g, m, s in zip(weights, gradients, mean, square):
                    m.mul_(0.9).add_(g, alpha=0.1)
                    s.mul_(0.999).addcmul_(g, g, value=0.001)
                    root = (s / (1 - 0.999**n_steps)).sqrt() + 1e-8
                    w -= lr * m / (1 - 0.9**n_steps) / root
            total += loss.item() * len(batch["T1"])
            n += len(batch["T1"])
        generator.eval()
        val = m_ = 0
        with torch.no_grad():
            for batch in validation_loader:
                val += F.l1_loss(generator(batch["T1"]), batch["T2"]).item() * len(batch["T1"])
                m_ += len(batch["T1"])
        history.append({"epoch": len(history) + 1, "training": total / n, "validation": val / m_})
    return pd.DataFrame(history).set_index("epoch")


# %% right: iterators by hand, the best weights kept beside and not put back
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam([{"params": generator.parameters(), "lr": lr}])
    best, kept, history = math.inf, None, {}
    for epoch in range(1, num_epoch + 1):
        generator.train()
        batches, total, n = iter(train_loader), 0.0, 0
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                break
            loss = generator_step(generator, optimizer, F.l1_loss, batch["T1"], batch["T2"])
            total, n = total + loss.item() * len(batch["T2"]), n + len(batch["T2"])
        generator.eval()
        with torch.no_grad():
            errors = np.concatenate(
                [
                    (generator(b["T1"]) - b["T2"]).abs().flatten(1).mean(1).numpy()
                    for b in validation_loader
                ]
            )
        history[epoch] = (total / n, errors.mean())
        if errors.mean() < best:
            best, kept = errors.mean(), copy.deepcopy(generator.state_dict())
    assert kept
    return pd.DataFrame.from_dict(history, orient="index", columns=["training", "validation"])


# %% wrong: forgets zero_grad, and takes the mean over batches -> gradients-kept, training-mean-of-means
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    rows = []
    for _ in range(num_epoch):
        generator.train()
        losses = []
        for batch in train_loader:
            loss = F.l1_loss(generator(batch["T1"]), batch["T2"])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        generator.eval()
        with torch.no_grad():
            val = [
                (F.l1_loss(generator(b["T1"]), b["T2"]), len(b["T1"])) for b in validation_loader
            ]
        v = sum(float(x) * n for x, n in val) / sum(n for _, n in val)
        rows.append({"training": np.mean(losses), "validation": v})
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))


# %% wrong: eval once before the loop -> trained-in-evaluation-mode
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    generator.eval()
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    rows = []
    for _ in range(num_epoch):
        a = [
            (
                generator_step(generator, optimizer, nn.L1Loss(), b["T1"], b["T2"]).item(),
                len(b["T1"]),
            )
            for b in train_loader
        ]
        with torch.no_grad():
            v = [
                (F.l1_loss(generator(b["T1"]), b["T2"]).item(), len(b["T1"]))
                for b in validation_loader
            ]
        rows.append([sum(x * n for x, n in s) / sum(n for _, n in s) for s in (a, v)])
    return pd.DataFrame(rows, columns=["training", "validation"], index=range(1, num_epoch + 1))


# %% wrong: a new network in place of the one that is passed in -> generator-never-called
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    generator = nn.Conv2d(1, 1, 3, padding=1).to(next(generator.parameters()).dtype)
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    rows = []
    for _ in range(num_epoch):
        for b in train_loader:
            loss = F.l1_loss(generator(b["T1"]), b["T2"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        rows.append((loss.item(), loss.item()))
    return pd.DataFrame(rows, columns=["training", "validation"])


# %% wrong: mean of means in both parts, written with mean() -> validation-mean-of-means, training-mean-of-means
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    train_losses, val_losses = [], []
    for epoch in range(num_epoch):
        generator.train()
        epoch_losses = []
        for batch in train_loader:
            loss = generator_step(generator, optimizer, nn.L1Loss(), batch["T1"], batch["T2"])
            epoch_losses.append(loss.item())
        train_losses.append(sum(epoch_losses) / len(train_loader))
        generator.eval()
        with torch.no_grad():
            val = [F.l1_loss(generator(b["T1"]), b["T2"]).item() for b in validation_loader]
        val_losses.append(sum(val) / len(val))
    return pd.DataFrame(
        {"training": train_losses, "validation": val_losses}, index=range(1, num_epoch + 1)
    )


# %% wrong: history made up, nothing trained -> generator-never-called
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    rows = [{"training": 0.1 / (k + 1), "validation": 0.12 / (k + 1)} for k in range(num_epoch)]
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))


# %% wrong: a list of dictionaries -> list-of-dictionaries-returned
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.L1Loss()
    rows = []
    for _ in range(num_epoch):
        generator.train()
        total, n = 0.0, 0
        for b in train_loader:
            loss = generator_step(generator, optimizer, criterion, b["T1"], b["T2"])
            total += loss.item() * len(b["T1"])
            n += len(b["T1"])
        generator.eval()
        v, m = 0.0, 0
        with torch.no_grad():
            for b in validation_loader:
                v += criterion(generator(b["T1"]), b["T2"]).item() * len(b["T1"])
                m += len(b["T1"])
        rows.append({"training": total / n, "validation": v / m})
    return rows


# %% wrong: the epoch as a column beside a right index -> epoch-as-a-column
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.L1Loss()
    rows = []
    for _ in range(num_epoch):
        generator.train()
        total, n = 0.0, 0
        for b in train_loader:
            loss = generator_step(generator, optimizer, criterion, b["T1"], b["T2"])
            total += loss.item() * len(b["T1"])
            n += len(b["T1"])
        generator.eval()
        v, m = 0.0, 0
        with torch.no_grad():
            for b in validation_loader:
                v += criterion(generator(b["T1"]), b["T2"]).item() * len(b["T1"])
                m += len(b["T1"])
        rows.append({"epoch": len(rows) + 1, "training": total / n, "validation": v / m})
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))


# %% wrong: tensors without dimensions -> tensors-in-the-history
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.L1Loss()
    rows = []
    for _ in range(num_epoch):
        generator.train()
        total, n = 0.0, 0
        for b in train_loader:
            loss = generator_step(generator, optimizer, criterion, b["T1"], b["T2"])
            total += loss.item() * len(b["T1"])
            n += len(b["T1"])
        generator.eval()
        v, m = 0.0, 0
        with torch.no_grad():
            for b in validation_loader:
                v += criterion(generator(b["T1"]), b["T2"]).item() * len(b["T1"])
                m += len(b["T1"])
        rows.append(
            {
                "training": torch.tensor(total / n, dtype=torch.float64),
                "validation": torch.tensor(v / m, dtype=torch.float64),
            }
        )
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))


# %% wrong: texts, as they are printed -> texts-in-the-history
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.L1Loss()
    rows = []
    for _ in range(num_epoch):
        generator.train()
        total, n = 0.0, 0
        for b in train_loader:
            loss = generator_step(generator, optimizer, criterion, b["T1"], b["T2"])
            total += loss.item() * len(b["T1"])
            n += len(b["T1"])
        generator.eval()
        v, m = 0.0, 0
        with torch.no_grad():
            for b in validation_loader:
                v += criterion(generator(b["T1"]), b["T2"]).item() * len(b["T1"])
                m += len(b["T1"])
        rows.append({"training": str(total / n), "validation": f"{v / m}"})
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))


# %% wrong: rounded to two digits
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.L1Loss()
    rows = []
    for _ in range(num_epoch):
        generator.train()
        total, n = 0.0, 0
        for b in train_loader:
            loss = generator_step(generator, optimizer, criterion, b["T1"], b["T2"])
            total += loss.item() * len(b["T1"])
            n += len(b["T1"])
        generator.eval()
        v, m = 0.0, 0
        with torch.no_grad():
            for b in validation_loader:
                v += criterion(generator(b["T1"]), b["T2"]).item() * len(b["T1"])
                m += len(b["T1"])
        rows.append({"training": round(total / n, 2), "validation": round(v / m, 2)})
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))


# %% wrong: a dictionary of lists, and validation in training mode -> validation-in-training-mode, list-of-dictionaries-returned
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.L1Loss()
    rows = []
    for _ in range(num_epoch):
        generator.train()
        total, n = 0.0, 0
        for b in train_loader:
            loss = generator_step(generator, optimizer, criterion, b["T1"], b["T2"])
            total += loss.item() * len(b["T1"])
            n += len(b["T1"])
        v, m = 0.0, 0
        with torch.no_grad():
            for b in validation_loader:
                v += criterion(generator(b["T1"]), b["T2"]).item() * len(b["T1"])
                m += len(b["T1"])
        rows.append({"training": total / n, "validation": v / m})
    return {k: [row[k] for row in rows] for k in rows[0]}


# %% wrong: one epoch too few, of the squared error -> one-epoch-too-few
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.MSELoss()
    rows = []
    for _ in range(1, num_epoch):
        generator.train()
        total, n = 0.0, 0
        for b in train_loader:
            loss = generator_step(generator, optimizer, criterion, b["T1"], b["T2"])
            total += loss.item() * len(b["T1"])
            n += len(b["T1"])
        generator.eval()
        v, m = 0.0, 0
        with torch.no_grad():
            for b in validation_loader:
                v += criterion(generator(b["T1"]), b["T2"]).item() * len(b["T1"])
                m += len(b["T1"])
        rows.append({"training": total / n, "validation": v / m})
    return pd.DataFrame(rows, index=range(1, num_epoch))


# %% wrong: rounded to four digits
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.L1Loss()
    rows = []
    for epoch in range(num_epoch):
        generator.train()
        total, n = 0.0, 0
        for batch in train_loader:
            loss = generator_step(generator, optimizer, criterion, batch["T1"], batch["T2"])
            total += loss.item() * len(batch["T1"])
            n += len(batch["T1"])
        training = total / n

        generator.eval()
        total, n = 0.0, 0
        with torch.no_grad():
            for batch in validation_loader:
                loss = criterion(generator(batch["T1"]), batch["T2"])
                total += loss.item() * len(batch["T1"])
                n += len(batch["T1"])
        rows.append({"training": round(training, 4), "validation": round(total / n, 4)})
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))


# %% wrong: slices of 64 bits for a generator of 32
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.L1Loss()
    rows = []
    for epoch in range(num_epoch):
        generator.train()
        total, n = 0.0, 0
        for batch in train_loader:
            loss = generator_step(
                generator, optimizer, criterion, batch["T1"].to(lr), batch["T2"].to(lr)
            )
            total += loss.item() * len(batch["T1"])
            n += len(batch["T1"])
        training = total / n

        generator.eval()
        total, n = 0.0, 0
        with torch.no_grad():
            for batch in validation_loader:
                loss = criterion(generator(batch["T1"]), batch["T2"])
                total += loss.item() * len(batch["T1"])
                n += len(batch["T1"])
        rows.append({"training": training, "validation": total / n})
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))


# %% wrong: the weights of the best epoch are loaded back at the end
def train_generator(generator, train_loader, validation_loader, num_epoch, lr):
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr)
    criterion = nn.L1Loss()
    rows = []
    best = float("inf")
    for epoch in range(num_epoch):
        generator.train()
        total, n = 0.0, 0
        for batch in train_loader:
            loss = generator_step(generator, optimizer, criterion, batch["T1"], batch["T2"])
            total += loss.item() * len(batch["T1"])
            n += len(batch["T1"])
        training = total / n

        generator.eval()
        total, n = 0.0, 0
        with torch.no_grad():
            for batch in validation_loader:
                loss = criterion(generator(batch["T1"]), batch["T2"])
                total += loss.item() * len(batch["T1"])
                n += len(batch["T1"])
        validation = total / n
        if validation < best:
            best = validation
            kept = {name: weight.clone() for name, weight in generator.state_dict().items()}
        rows.append({"training": training, "validation": validation})
    generator.load_state_dict(kept)
    return pd.DataFrame(rows, index=range(1, num_epoch + 1))
