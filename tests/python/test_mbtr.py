"""The many-body tensor representation: values against plain loops, gradients for everything in its tables."""

import numpy as np
import pytest
from ase.build import molecule
from mercer.descriptors import MBTR


def test_labels_and_channels():
    part = {"geometry": "inverse_distance", "grid": (0, 1.5, 5), "sigma": 0.2}
    mbtr = MBTR(["O", "H"], k2=part)
    assert mbtr.channel_labels() == [(2, ("H", "H")), (2, ("H", "O")), (2, ("O", "O"))]
    assert mbtr.feature_labels()[6] == (2, ("H", "O"), 0.375)
    frames = [molecule("H2O"), molecule("O2"), molecule("H2")]
    X, channels = mbtr.transform(frames), mbtr.channels(frames)
    np.testing.assert_array_equal(np.concatenate(list(channels.values()), axis=1), X)
    np.testing.assert_array_equal(mbtr.sparse(frames).toarray(), X)
    assert list(mbtr.channels(frames[2:])) == [(2, ("H", "H"))]


def test_the_grid_misses_the_data():
    part = {"geometry": "inverse_distance", "grid": (0, 0.5, 5), "sigma": 0.1}
    with pytest.warns(UserWarning, match="k2: 100 % of the weight .* beside the grid from 0 to 0.5"):
        MBTR(["O"], k2=part).transform(molecule("O2"))
