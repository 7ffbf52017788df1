"""What it costs to watch and to keep a training is measured side by side."""

from labhelpers.data import IXIDataset
from labhelpers.instructor.experiments.watching import WAYS, cost_of_watching
from labhelpers.phantom import write_phantom


def test_all_ways_are_measured_against_the_plain_one(tmp_path, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    dataset = IXIDataset(write_phantom(tmp_path / "phantom", 8))
    table = cost_of_watching("generator", dataset, num_epoch=1, repeats=1)
    assert list(table.index) == list(WAYS)
    assert table.loc["plain", ["seconds_ratio", "cpu_seconds_ratio"]].tolist() == [1, 1]
    assert (table > 0).all(axis=None)
