import torch
from torch import nn
from torch.nn import functional as F

from labhelpers.checks.report import Report
from labhelpers.checks.trace import LayerTrace, layer_table, output_entry


class Net(nn.Module):
    def __init__(self, slope: float = 0.2, width: int = 4, kernel: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.second = nn.ConvTranspose2d(width, 2, 4, 2, 1)
        torch.manual_seed(1)
        self.first = nn.Conv2d(1, width, kernel, padding=1)
        self.slope = slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.second(F.leaky_relu(self.first(x), self.slope)))


def watch(network: nn.Module, numbers: bool = True) -> tuple[list, list[nn.Parameter]]:
    watched = LayerTrace(numbers)
    with watched:
        output = network(torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8))
    return [*watched.layers, output_entry(output, numbers)], watched.parameters


def test_layers_come_in_the_order_of_execution_with_their_shapes() -> None:
    net = Net()
    trace, parameters = watch(net, numbers=False)
    assert trace == [
        {"layer": "Conv2d 1→4, 3×3", "input": [1, 1, 8, 8], "output": [1, 4, 8, 8]},
        {"layer": "ConvTranspose2d 4→2, 4×4", "input": [1, 4, 8, 8], "output": [1, 2, 16, 16]},
        {"layer": "output", "input": [1, 2, 16, 16], "output": [1, 2, 16, 16]},
    ]
    expected = [net.first.weight, net.first.bias, net.second.weight, net.second.bias]
    assert len(parameters) == 4
    assert all(one is other for one, other in zip(parameters, expected, strict=True))


def test_functional_calls_are_layers_as_well() -> None:
    class Functional(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.conv2d(x, bias=self.first.bias, weight=self.first.weight, padding=1)
            x = torch.where(x > 0, x, 0.2 * x)
            x = F.conv_transpose2d(
                x, self.second.weight, self.second.bias, stride=(2, 2), padding=1
            )
            return x.tanh()

    assert layer_table(watch(Functional())[0], watch(Net())[0], 1e-4) is None


def test_a_difference_between_layers_is_found_at_the_next_one() -> None:
    table = layer_table(watch(Net(slope=0.01))[0], watch(Net())[0], 1e-4)
    assert [row[-1] for row in table.rows] == ["as expected", "other numbers"]
    assert table.note == "Look at what lies between steps 1 and 2."


def test_a_difference_after_the_last_layer_is_found_at_the_output() -> None:
    class Squashed(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(super().forward(x))

    table = layer_table(watch(Squashed())[0], watch(Net())[0], 1e-4)
    assert table.rows[-1][1] == "output of the network"
    assert table.rows[-1][-1] == "other numbers"


def test_another_layer_is_shown_beside_the_expected_one() -> None:
    table = layer_table(watch(Net(width=5))[0], watch(Net())[0], 1e-4)
    assert table.lines == [
        "step  layer            input -> output",
        " 1    Conv2d 1→5, 3×3  (1, 1, 8, 8) -> (1, 5, 8, 8)  got",
        "      Conv2d 1→4, 3×3  (1, 1, 8, 8) -> (1, 4, 8, 8)  expected",
    ]


def test_a_missing_and_a_superfluous_layer_are_found() -> None:
    trace = watch(Net())[0]
    assert layer_table(trace[:1], trace, 1e-4).rows[1][1] == "nothing more"
    assert layer_table([*trace, trace[0]], trace, 1e-4).rows[-1][1] == "nothing more"


def test_asking_a_weight_for_its_size_is_no_layer() -> None:
    class Curious(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert self.second.weight.numel() and self.second.weight.shape
            return super().forward(x)

    assert [entry["layer"] for entry in watch(Curious())[0]] == [
        entry["layer"] for entry in watch(Net())[0]
    ]


def test_the_report_shows_the_table_as_text_and_as_html() -> None:
    table = layer_table(watch(Net(slope=0.01))[0], watch(Net())[0], 1e-4)
    report = Report("generator-unet", "GeneratorUNet", "wrong", 0.0, 5.0, table=table)
    lines = report.text.splitlines()
    assert lines[1] == "layers, down to the first difference:"
    assert lines[-2].endswith("other numbers")
    assert lines[-1] == table.note
    assert report._repr_html_().count("<tr>") == 1 + len(table.rows)
    assert "(1, 1, 8, 8) -&gt; (1, 4, 8, 8)" in report._repr_html_()
