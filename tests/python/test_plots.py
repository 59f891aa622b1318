"""Pictures of representations hold the numbers that they should."""

import numpy as np
import pytest
from ase.build import molecule
from mercer import MBTR, SOAP
from mercer.errors import ConfigError, DataError
from mercer.plots import _AXES, tensor_plot

PARTS = {
    "k2": {"geometry": "inverse_distance", "grid": (0, 1.5, 30), "sigma": 0.05},
    "k3": {"geometry": "angle", "grid": (0, np.pi, 20), "sigma": 0.2},
}


def test_lines_are_the_channels_and_their_derivatives(tmp_path):
    mbtr, atoms = MBTR(["H", "C", "N", "O"], **PARTS), molecule("CH3OH")
    figure = tensor_plot(mbtr, atoms, tmp_path / "tensor.png", k=2, atom=1, title="methanol")
    assert (tmp_path / "tensor.png").stat().st_size > 1000
    top, bottom = figure.axes
    channels = mbtr.channels(atoms)
    names = [line.get_label() for line in top.lines]
    gradients = mbtr.gradients(atoms)
    dense = gradients.values[gradients.neighbors == 1][0]  # the oxygen moves: nothing without it changes
    assert names == ["HH", "HC", "HO", "CO"]
    labels = mbtr.channel_labels()
    assert len(bottom.lines) == 2 * 3
    for n, line in enumerate(top.lines):
        key = (2, tuple(line.get_label()))
        np.testing.assert_array_equal(line.get_ydata(), channels[key][0])
        start = 30 * labels.index(key)
        for a in range(3 if "O" in line.get_label() else 0):
            np.testing.assert_array_equal(bottom.lines[3 * (n - 2) + a].get_ydata(), dense[a, start : start + 30])
    assert top.get_title() == "methanol"


def test_the_largest_tuples_of_the_largest_k():
    mbtr, atoms = MBTR(["H", "C", "N", "O"], **PARTS), molecule("CH3OH")
    (axes,) = tensor_plot(mbtr, atoms, most=2).axes
    channels = {label: row for label, row in mbtr.channels(atoms).items() if label[0] == 3}
    largest = sorted(channels, key=lambda label: -channels[label].max())[:2]
    assert {line.get_label() for line in axes.lines} == {"".join(elements) for _, elements in largest}
    assert "angle" in axes.get_xlabel()
    np.testing.assert_allclose(axes.lines[0].get_xdata(), np.linspace(0, 180, 20), atol=1e-12)


def test_every_geometry_has_an_axis():
    from mercer._core import core

    assert set(_AXES) == {name for name, _ in core.mbtr_geometries()}


def test_what_cannot_be_drawn():
    mbtr, atoms = MBTR(["H", "O"], **PARTS), molecule("H2O")
    with pytest.raises(ConfigError, match="draws an MBTR, got SOAP"):
        tensor_plot(SOAP(["H", "O"], 3.0, 2, 1, 0.5), atoms)
    with pytest.raises(ConfigError, match="k=4: the MBTR has k2, k3"):
        tensor_plot(mbtr, atoms, k=4)
    with pytest.raises(DataError, match="one structure, got 2"):
        tensor_plot(mbtr, [atoms, atoms])
    with pytest.raises(DataError, match="atom=3: expected 0 to 2"):
        tensor_plot(mbtr, atoms, atom=3)
