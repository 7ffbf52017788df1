"""What is seen of a training: in a notebook a picture in its place, elsewhere a line per epoch."""

import textwrap

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from torch import nn
from torch.utils.data import DataLoader

from labhelpers import live
from labhelpers.data import IXIDataset
from labhelpers.live import LiveView, duration
from labhelpers.recipes import GeneratorRecipe
from labhelpers.training import TrainingRun


class Notebook:
    """Stands in for a front end: what it shows, place by place, and how often each was replaced."""

    def __init__(self):
        self.places, self.updates = [], []

    def display(self, bundle, raw, display_id):
        assert raw and display_id
        self.places.append(bundle)
        self.updates.append(0)
        return Place(self, len(self.places) - 1)


class Place:
    def __init__(self, notebook, number):
        self.notebook, self.number = notebook, number

    def update(self, bundle, raw):
        assert raw
        self.notebook.places[self.number] = bundle
        self.notebook.updates[self.number] += 1


@pytest.fixture
def clock(monkeypatch):
    """A clock that only goes on when it is told to."""
    now = [100.0]
    monkeypatch.setattr(live.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def notebook(monkeypatch):
    shown = Notebook()
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    monkeypatch.setattr(live, "display", shown.display)
    return shown


def run_view(clock, seconds_per_batch=1.0, num_epoch=2, n_batches=10):
    view = LiveView("demo", num_epoch, n_batches)
    view.begin([], [])
    for epoch in range(1, num_epoch + 1):
        for number in range(1, n_batches + 1):
            clock[0] += seconds_per_batch
            view.batch(epoch, number, {"generator": torch.tensor(1.0 / number)})
        view.epoch({"epoch": epoch, "generator": 0.5}, {"epoch": epoch, "PSNR": 12.0 + epoch}, None)
    return view


def test_time_left_and_curves_are_replaced_in_their_place(notebook, clock):
    view = run_view(clock)
    text, picture = notebook.places
    assert text["text/plain"].splitlines() == [
        "Epoch 1/2: generator loss 0.5000",
        "Epoch 2 of 2, batch 10 of 10: about 0 s left",
    ]
    assert "width: 100.0%" in text["text/html"]
    assert "Training of &#x27;demo&#x27;, 1 of 2 epochs" in picture["text/html"]
    assert picture["text/html"].startswith('<img alt="')
    view.end("Trained: 2 epochs.")
    text, picture = notebook.places
    assert len(notebook.places) == 2
    assert text["text/plain"].splitlines()[1:] == [
        "Epoch 2/2: generator loss 0.5000",
        "Trained: 2 epochs.",
    ]
    assert "width" not in text["text/html"]  # no bar that says less than all
    assert "PSNR of the sample slices: 14.00 dB." in picture["text/plain"]


def test_the_middle_of_a_training_says_what_is_left(notebook, clock):
    view = LiveView("demo", 20, 100)
    view.begin([], [])
    for number in range(1, 11):
        clock[0] += 2.0
        view.batch(1, number, {"generator": torch.tensor(1.0)})
    assert notebook.places[0]["text/plain"] == (
        "Epoch 1 of 20, batch 10 of 100: about 1 h 6 min left"
    )


def test_drawing_takes_a_small_part_of_the_time(notebook, clock, monkeypatch):
    draws = []
    draw = live.plots.training_progress

    def slow(*arguments):
        draws.append(clock[0])
        clock[0] += 1.0
        return draw(*arguments)

    monkeypatch.setattr(live.plots, "training_progress", slow)
    run_view(clock, seconds_per_batch=0.1, num_epoch=4, n_batches=500)
    assert 0 < len(draws) <= 0.02 * (clock[0] - 100)
    assert notebook.updates[0] > 300  # the text costs next to nothing


def test_losses_stay_where_they_are_between_two_points(notebook, clock):
    """A GPU is not waited for in each batch."""

    class Watched(torch.Tensor):
        reads = 0

        @classmethod
        def __torch_function__(cls, function, types, arguments=(), named=None):
            cls.reads += function is torch.Tensor.item
            return super().__torch_function__(function, types, arguments, named or {})

    view = LiveView("demo", 1, 1000)
    view.begin([], [])
    for number in range(1, 1001):
        clock[0] += 0.01
        view.batch(1, number, {"generator": torch.tensor(1.0).as_subclass(Watched)})
    assert 1 <= Watched.reads <= 6


def test_a_curve_of_many_batches_keeps_its_shape_in_few_points(notebook, clock, monkeypatch):
    monkeypatch.setattr(live, "_MOST_POINTS", 20)
    monkeypatch.setattr(LiveView, "_draw", lambda view: None)
    view = LiveView("demo", 1, 400)
    view.begin([], [])
    for number in range(1, 401):
        clock[0] += 3.0
        view.batch(1, number, {"generator": torch.tensor(float(number))})
    points = view._parts
    assert len(points) <= 20
    assert [point["generator"] / 400 for point in points] == pytest.approx(
        [point["place"] for point in points], abs=0.01
    )


def test_a_loss_that_is_no_number_is_not_drawn(notebook, clock):
    view = LiveView("demo", 1, 3)
    view.begin([], [])
    clock[0] += 3.0
    view.batch(1, 1, {"generator": torch.tensor(float("nan"))})
    view.end("Training failed in epoch 1 of 1.")
    assert notebook.places[0]["text/plain"] == "Training failed in epoch 1 of 1."


def test_no_front_end_one_line_for_each_epoch(clock, capsys):
    run_view(clock).end("Trained: 2 epochs.")
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "Epoch 1/2: generator loss 0.5000",
        "Epoch 2/2: generator loss 0.5000",
        "Trained: 2 epochs.",
    ]
    assert printed.err == ""


def test_grading_is_no_front_end(notebook, clock, monkeypatch, capsys):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    run_view(clock)
    assert notebook.places == []
    assert "Epoch 2/2" in capsys.readouterr().out


def test_a_run_shows_its_samples_and_the_answers_of_its_discriminator(
    notebook, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "_LEAST", 0.0)
    images = torch.linspace(-1, 1, 10 * 16 * 16).reshape(10, 1, 16, 16)
    dataset = IXIDataset.from_tensors(images, -images)
    loaders = DataLoader(dataset, batch_size=4, shuffle=True), DataLoader(dataset, batch_size=5)
    discriminator = nn.Conv2d(2, 1, 16)
    with torch.no_grad():
        discriminator.weight[:, :1], discriminator.weight[:, 1:] = 1.0, 0.0

    class Judge(nn.Module):
        def forward(self, image, condition):
            return discriminator(torch.cat((image, condition), dim=1))

    with TrainingRun("demo", *loaders, 2, "cpu", GeneratorRecipe()) as run:
        for _ in run.epochs():
            for _ in run.batches():
                run.log(generator=1.0, discriminator=0.7)
            run.save_samples(nn.Conv2d(1, 1, 1), Judge(), conditional=True)
    text, picture = notebook.places
    assert text["text/plain"].splitlines()[-1].startswith("Trained: 2 epochs, in ")
    assert picture["text/html"].count("<img alt=") == 2
    assert "T1-w, generated and true T2-w slices, epoch-2" in picture["text/html"]
    assert "P(true), true slices:" in picture["text/plain"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_times_as_people_say_them(seconds, text):
    assert duration(seconds) == text


@pytest.mark.slow
def test_in_a_kernel_without_a_front_end_the_last_picture_stays(tmp_path):
    """As nbclient leaves it: one text, one picture, no widget, nothing on stderr."""
    code = """
        import torch
        from torch import nn
        from labhelpers.data import IXIDataset
        from labhelpers.recipes import GeneratorRecipe
        from labhelpers.training import TrainingRun

        images = torch.linspace(-1, 1, 10 * 16 * 16).reshape(10, 1, 16, 16)
        dataset = IXIDataset.from_tensors(images, -images)
        recipe = GeneratorRecipe(batch_size=4)
        network = nn.Conv2d(1, 1, 1)
        loader = recipe.loader(dataset)
        with TrainingRun("demo", loader, loader, 2, "cpu", recipe) as run:
            for _ in run.epochs():
                for _ in run.batches():
                    run.log(generator=1.0)
                run.save_samples(network)
    """
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(code))])
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text, picture = notebook.cells[0].outputs
    assert text.data["text/plain"].splitlines()[:2] == [
        "Epoch 1/2: generator loss 1.0000",
        "Epoch 2/2: generator loss 1.0000",
    ]
    assert "Trained: 2 epochs, in" in text.data["text/html"]
    assert picture.data["text/html"].count('<img alt="') == 2
    assert picture.data.keys() == {"text/plain", "text/html"}
