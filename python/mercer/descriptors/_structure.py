"""What descriptors of whole structures share: a row for every frame."""

from mercer._parameters import choice
from mercer.descriptors._base import Descriptor

#: Of distances.
Unit = choice(("angstrom", "bohr"))


class StructureDescriptor(Descriptor):
    """Base of descriptors with one row per frame: models of such rows learn energies of frames, and forces follow from
    the reverse pass.

    `gradients` hold an entry for every atom: the derivative of the row of its frame.
    """

    per_frame = True
    #: Any element may occur, unless a subclass says otherwise.
    species = None

    @property
    def ignore_unknown(self):
        """Without species, any element may occur."""
        return self.species is None

    def kind_labels(self):
        """Name of the one group that the rows are in."""
        return [("structure",)]
