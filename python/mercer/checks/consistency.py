"""Energies, forces and virials against each other: which way of reading them agrees with one potential.

The quick model is fitted to all kinds of labels together, once as they are and once for every known way of misreading
them: another unit, the opposite sign, another order of components, virial for stress. Labels that are right are
predicted on frames left out; where another reading is predicted many times better, the labels have to be read that way.
What the data do not determine, several readings fit equally well, and nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from mercer.structures import unit_factor

#: Frames with a label that are needed for a judgement.
MOST_NEEDED = 8
#: Another reading must predict labels that were left out with a mean square error so many times smaller; this many for
#: certainty.
BETTER, CERTAIN = 12.0, 50.0
#: ... and in this part of the frames.
PART = 0.7
#: Variance that the other reading may leave unexplained at most: of the label read otherwise, of the others.
UNEXPLAINED, OTHERS_UNEXPLAINED = 0.3, 0.5
#: A factor within this of a known unit (logarithm) is taken for that unit.
SAME_FACTOR = 0.12
#: Noise (relative to the spread) with which readings are compared first.
_NOISE = 0.01

_ENERGY_UNITS = ("kcal/mol", "kJ/mol", "hartree", "rydberg", "meV")
_FORCE_UNITS = ("hartree/bohr", "rydberg/bohr", "kcal/mol/angstrom", "kJ/mol/angstrom", "eV/bohr", "meV/angstrom")
_STRESS_UNITS = ("GPa", "kbar", "bar", "hartree/bohr^3", "rydberg/bohr^3", "eV/bohr^3", "kcal/mol/angstrom^3")
_VIRIAL_UNITS = ("hartree", "rydberg", "kcal/mol", "kJ/mol", "meV")
#: Where the components that were read as xx, yy, zz, yz, xz, xy belong, in orders of six numbers.
_ORDERS = {
    "vasp": (0, 1, 2, 4, 5, 3),
    "lammps": (0, 1, 2, 5, 4, 3),
    "upper": (0, 3, 5, 4, 2, 1),
    "lower": (0, 2, 5, 4, 3, 1),
}
_ORDER_NAMES = {
    "vasp": "xx yy zz xy yz zx, as VASP prints them",
    "lammps": "xx yy zz xy xz yz, as LAMMPS does",
    "upper": "xx xy xz yy yz zz, the upper triangle row by row",
    "lower": "xx xy yy xz yz zz, the lower triangle row by row",
    "xz-yz": "with xz and yz exchanged",
    "xy-yz": "with xy and yz exchanged",
    "xy-xz": "with xy and xz exchanged",
}
#: Exchanges that no order of six numbers makes, but a chain of two wrong orders.
_EXCHANGES = {"xz-yz": (0, 1, 2, 4, 3, 5), "xy-yz": (0, 1, 2, 5, 4, 3), "xy-xz": (0, 1, 2, 3, 5, 4)}


@dataclass(frozen=True)
class Reading:
    """A way to read a label: the values it gives for a factor, what it is called, and the options that make it so."""

    kind: str
    text: str
    remedy: tuple
    factor: float
    shape: str = ""  #: readings of one shape differ by a factor alone
    order: str = ""


class Judge:
    """Compares readings of labels by their errors on frames left out.

    Parameters
    ----------
    model : QuickModel
    keep : (n_frames,) bool array, optional
        Frames that take part.
    kinds : sequence of str
        Labels that take part, where there are enough of them.
    """

    def __init__(self, model, keep=None, kinds=("energy", "forces", "virial")):
        self.model = model
        self._floors = {}
        self.keep = np.ones(len(model.frames), bool) if keep is None else keep
        self.values = dict(model.values)
        self.kinds = tuple(
            kind
            for kind in kinds
            if self.count(kind) >= MOST_NEEDED and model.spread(kind, model.values[kind], self.keep) > 0
        )
        if "forces" in self.kinds:  # where they are zero by symmetry, what is left is noise
            forces = {"forces": self.values["forces"]}
            alone = min(model.judge(forces, ("forces",), noise, self.keep)["forces"] for noise in (0.1, 0.01))
            if alone > OTHERS_UNEXPLAINED:
                self.kinds = tuple(kind for kind in self.kinds if kind != "forces")

    def count(self, kind):
        """Frames that have the label."""
        return int((self.model.labels.has(kind) & self.keep).sum())

    def errors(self, values, noise=None, offset=True):
        """Errors of the kinds that are there with some of the values replaced."""
        values = {kind: values.get(kind, self.values[kind]) for kind in self.kinds}
        return self.model.judge(values, self.kinds, noise, self.keep, offset)

    def compare(self, kind, readings, apply):
        """The reading that predicts far better than the labels as they are.

        Parameters
        ----------
        kind : str
        readings : list of Reading
            With known factors.
        apply : callable
            apply(reading, factor) -> values of `kind`.

        Returns
        -------
        (Reading, float, float) or None
            The reading, its factor measured, and how many times smaller its mean square error is.
        """
        null = self.errors({})
        screened = [(self.quick_cost(kind, apply, reading), k, reading) for k, reading in enumerate(readings)]
        best = []
        for _, _, reading in sorted(screened)[:3]:
            errors = self.errors({kind: apply(reading, reading.factor)})
            best.append((self._cost(kind, errors), len(best), reading, errors))
        _, _, reading, errors = min(best)
        factor, errors = self._refine(kind, reading, apply, errors)
        gain = np.exp(self._cost(kind, null) - self._cost(kind, errors))
        # it agrees better by itself, or only then the others agree
        telling = kind
        if null[kind] < 4.0 * errors[kind]:
            telling = max((k for k in self.kinds if k != kind), key=lambda k: null[k] / max(errors[k], 1e-12))
            if null[telling] < 10.0 * errors[telling] or null[telling] < UNEXPLAINED:
                return None
        known = np.isfinite(null.squares[telling])
        part = np.mean(errors.squares[telling][known] < null.squares[telling][known])
        explained = errors[kind] <= UNEXPLAINED and all(errors[other] <= OTHERS_UNEXPLAINED for other in self.kinds)
        worse = any(errors[other] > 3.0 * null[other] + 0.02 for other in self.kinds if other != kind)
        if gain >= BETTER and part >= PART and explained and not worse:
            return reading, factor, gain
        return None

    def quick_cost(self, kind, apply, reading):
        """Misfit of all kinds with this reading, at one level of noise."""
        return self._cost(kind, self.errors({kind: apply(reading, reading.factor)}, _NOISE))

    def _cost(self, kind, errors):
        """Sum of the logarithms of the errors; those of other labels count from where they are without this one."""
        if kind not in self._floors:
            others = tuple(other for other in self.kinds if other != kind)
            values = {other: self.values[other] for other in others}
            self._floors[kind] = self.model.judge(values, others, None, self.keep).relative
        floors = self._floors[kind]
        return np.log(errors[kind] + 1e-6) + sum(np.log(errors[k] + 3.0 * floors[k] + 1e-6) for k in floors)

    def _refine(self, kind, reading, apply, errors):
        """The factor with the smallest error, near that of the reading."""

        def cost(log):
            read = apply(reading, reading.factor * np.exp(log))
            return self._cost(kind, self.errors({kind: read}, errors.noise))

        found = minimize_scalar(cost, bounds=(-0.9, 0.9), method="bounded", options={"xatol": 0.01, "maxiter": 16})
        factor = reading.factor * float(np.exp(found.x))
        return factor, self.errors({kind: apply(reading, factor)}, errors.noise)


def energies_and_forces(judge):
    """Energies that do not follow from the forces -> (Reading, slope, gain) or None.

    The slope is that of energies against what the forces give; the reading puts one of the two right.
    """
    if not {"energy", "forces"} <= set(judge.kinds):
        return None
    model = judge.model

    def apply(reading, factor):
        totals = model.labels.energy * (model.n_atoms if reading.shape == "per atom" else 1.0)
        return model.energies(totals / factor)

    return judge.compare("energy", energy_readings(model), apply)


def energy_readings(model):
    """Known ways in which energies and forces differ; factors are energies by what forces give."""
    readings = [
        Reading(
            "both",
            "energies seem to be in hartree and forces in hartree/bohr, so forces are per bohr",
            ("--units energy=hartree", "--units forces=hartree/bohr"),
            unit_factor("forces", "hartree/bohr") / unit_factor("energy", "hartree"),
        )
    ]
    readings += [
        Reading("energy", f"energies seem to be in {u}", (f"--units energy={u}",), 1 / unit_factor("energy", u))
        for u in _ENERGY_UNITS
    ]
    readings += [
        Reading("forces", f"forces seem to be in {u}", (f"--units forces={u}",), unit_factor("forces", u))
        for u in _FORCE_UNITS
    ]
    readings.append(Reading("positions", "positions seem to be in bohr", ("--units positions=bohr",), 0.529177))
    readings.append(
        Reading("forces", "forces seem to be gradients, with the opposite sign", ("--units forces=-eV/angstrom",), -1.0)
    )
    if model.n_atoms.max() > 1:
        per_atom = ("--units energy=eV/atom",)
        readings.append(Reading("energy", "energies seem to be per atom", per_atom, 1.0, "per atom"))
    return readings


def virial_readings(from_stress, stress_key, virial_key):
    """Known ways to misread stresses and virials; `shape`: the power of the volume, or "n" for the number of atoms."""
    readings = []
    for sign, minus in ((1.0, ""), (-1.0, "-")):
        reverse = " with the opposite sign" if minus else ""
        if from_stress:
            key = stress_key.removesuffix(" (calculator)")
            if minus:
                readings.append(
                    Reading(
                        "virial",
                        f"the stress (key {key}) seems to have the opposite sign, positive in compression",
                        ("--units stress=-eV/angstrom^3",),
                        -1.0,
                        "0",
                    )
                )
            for unit in _STRESS_UNITS:
                readings.append(
                    Reading(
                        "virial",
                        f"the stress (key {key}) seems to be in {unit}{reverse}",
                        (f"--units stress={minus}{unit}",),
                        sign * unit_factor("stress", unit),
                        "0",
                    )
                )
            what = "a virial" if minus else "a stress times the volume, that is a virial with the opposite sign"
            unit = () if minus else ("--units virial=-eV",)
            readings.append(
                Reading(
                    "virial",
                    f"what is named stress (key {key}) seems to be {what}, in eV",
                    (f"--key virial={key}", "--key stress=none", *unit),
                    sign,
                    "-1",
                )
            )
            continue
        if minus:
            readings.append(
                Reading(
                    "virial",
                    f"the virial (key {virial_key}) seems to have the opposite sign, positive in tension",
                    ("--units virial=-eV",),
                    -1.0,
                    "0",
                )
            )
        for unit in _VIRIAL_UNITS:
            readings.append(
                Reading(
                    "virial",
                    f"the virial (key {virial_key}) seems to be in {unit}{reverse}",
                    (f"--units virial={minus}{unit}",),
                    sign * unit_factor("virial", unit),
                    "0",
                )
            )
        readings.append(
            Reading(
                "virial",
                f"the virial (key {virial_key}) seems to be per atom{reverse}",
                (f"--units virial={minus}eV/atom",),
                sign,
                "n",
            )
        )
        for unit in ("eV/angstrom^3", *_STRESS_UNITS):
            # a stress is positive in tension, the virial in compression
            other = "" if minus else "-"
            convention = "" if minus else ", positive in compression"
            readings.append(
                Reading(
                    "virial",
                    f"what is named virial (key {virial_key}) seems to be a stress in {unit}{convention}",
                    (f"--key stress={virial_key}", "--key virial=none", f"--units stress={other}{unit}"),
                    sign * unit_factor("stress", unit),
                    "1",
                )
            )
    return readings


def components(labels):
    """Virials as (n, 6): xx, yy, zz, yz, xz, xy."""
    return labels.virial[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def virials(judge):
    """Virials that do not follow from the energies and forces -> (Reading, factor, order or None, gain) or None.

    Parameters
    ----------
    judge : Judge
        With energies and forces that agree.
    """
    model, labels = judge.model, judge.model.labels
    if "virial" not in judge.kinds or len(judge.kinds) < 2:
        return None
    mine = judge.keep & labels.has("virial")
    volume = np.array([abs(np.linalg.det(atoms.cell.array)) for atoms in model.frames])
    volume = np.where(volume > 0, volume, 1.0)
    given = components(labels)
    from_stress = bool(np.any(labels_from_stress(labels)[mine]))
    keys = {kind: labels.found.get(kind, ("",))[0] for kind in ("stress", "virial")}

    def apply(reading, factor):
        values = given
        if reading.order:
            places = ({**_ORDERS, **_EXCHANGES})[reading.order]
            values = given[:, places]
        scale = model.n_atoms if reading.shape == "n" else volume ** int(reading.shape or 0)
        read = factor * values * scale[:, None]
        return model.virials(read)

    plain = Reading("virial", "", (), 1.0, "0")
    readings = [plain, *virial_readings(from_stress, keys["stress"], keys["virial"])]
    costs = [(judge.quick_cost("virial", apply, reading), k) for k, reading in enumerate(readings)]
    ranked = [readings[k] for _, k in sorted(costs)]
    found = None
    for first in (True, False):
        if not first and (found or judge.errors({})["virial"] <= UNEXPLAINED):
            break  # the less likely ones only where the labels fit in no way yet
        best = ranked[:4] if first else ranked[4:]
        best = [*best, *([] if plain in best else [plain])]
        ordered = [replace(reading, order=order) for reading in best for order in ("", *_ORDERS, *_EXCHANGES)]
        found = judge.compare("virial", [reading for reading in ordered if reading != plain], apply)
    return found and (*found, readings)


def labels_from_stress(labels):
    """Which virials were made from a stress: (n_frames,) bool array."""
    known = getattr(labels, "from_stress", None)
    return np.full(labels.n_frames, "stress" in labels.found) if known is None else known


def _order_option(name, matrices):
    """The option for an order of components; matrices were filled as if six numbers were in the usual order."""
    if matrices.any() and not matrices.all():
        return ()
    if name in _EXCHANGES:
        places = dict(zip(_EXCHANGES[name], ("xx", "yy", "zz", "yz", "xz", "xy"), strict=True))
        name = ",".join(places[k] for k in range(6))
    return (f"--stress-order {'matrix-' if matrices.all() else ''}{name}",)


def read_virials(judge, reading, factor, readings):
    """What a factor and a shape mean.

    Where all frames have one volume and one size, a power of these is no more than a factor, so that readings of every
    shape are considered.

    Returns
    -------
    named : list or None
        The Reading whose factor is nearest, its factor in units of the measured one's, and others that are as near.
    size : float
        Factor of the label, in the middle of the frames: label by what the others give.
    order : (name, text, options) or None
    """
    model = judge.model
    mine = judge.keep & model.labels.has("virial")
    volume = np.array([abs(np.linalg.det(atoms.cell.array)) for atoms in model.frames])[mine]
    n_atoms = model.n_atoms[mine]

    def typical(shape):
        return float(np.exp(np.mean(np.log(n_atoms if shape == "n" else volume ** int(shape or 0)))))

    def constant(shape):
        scale = n_atoms if shape == "n" else volume ** float(shape or 0)
        return np.std(scale) <= 0.1 * np.mean(scale)

    scale = factor * typical(reading.shape)
    near = []
    plain = abs(np.log(scale)) if scale > 0 and (reading.shape in ("", "0") or constant(reading.shape)) else np.inf
    for k, other in enumerate(readings):
        if other.factor == 1.0 and other.shape == "0":
            continue
        if other.shape != reading.shape and not (constant(other.shape) and constant(reading.shape)):
            continue
        expected = other.factor * typical(other.shape)
        if expected * scale > 0 and abs(np.log(scale / expected)) <= 2 * SAME_FACTOR:
            near.append((abs(np.log(scale / expected)), k, other, 1.0 / expected))
    near.sort()
    order = None
    if reading.order:
        order = reading.order, _ORDER_NAMES[reading.order], _order_option(reading.order, model.labels.from_matrix[mine])
    if not near or (order and plain < near[0][0]):
        return None, 1.0 / scale, order
    return [near[0][2], near[0][3], *(entry[2] for entry in near[1:] if entry[0] < SAME_FACTOR)], 1.0 / scale, order
