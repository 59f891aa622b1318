"""Interatomic potentials: sums of sparse Gaussian processes, learnt from energies, forces and virials of frames."""

from __future__ import annotations

import logging
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from mercer import baselines, targets
from mercer._validation import (
    check_callable,
    check_choice,
    check_flag,
    check_items,
    check_mapping,
    check_number,
    check_out,
)
from mercer.errors import ConfigError, DataError, ModelFileError
from mercer.io import write_model
from mercer.linalg import SparseSystem
from mercer.models import calibration, cross_validation, free_atoms, short_range
from mercer.models import virial_offset as virial_offsets
from mercer.models._base import block_rows
from mercer.models.frame_data import FrameData, by_number, symbol
from mercer.models.free_atoms import FreeAtoms
from mercer.models.memory import Plan, parse_bytes
from mercer.models.potential_arguments import as_terms, check_arguments, check_sparse_points
from mercer.models.potential_file import potential_to_file
from mercer.models.row_kinds import ROW_KINDS, Targets, given_sigma, stack
from mercer.models.sparse_points import choose_points, count_points, group_name
from mercer.models.term import SparseTerm
from mercer.models.term_sums import PRIOR_VARIANCES, evaluate, standard_deviation
from mercer.models.timing import fit_seconds
from mercer.structures import LABEL_KINDS, read_labels

_log = logging.getLogger("mercer")

#: Part of `max_memory` for the small model that looks for an offset of the virials.
_SMALL_SHARE = 0.55
#: Atoms per chunk where standard deviations of forces are wanted.
_FORCE_STD_ATOMS = 256


def _silent(stage, done, total):
    pass


class Potential(BaseEstimator):
    """Sum of sparse Gaussian processes for local energies, learnt from energies, forces and virials.

    The energy of a frame is sum_i (E0(species of i) + sum_t f_t(x_i^t)), where f_t(x) = sum_m c_m delta_t^2 k_t(x, x_m)
    is the sum over the sparse points of term t. All terms are solved at once, from the labels of all frames.

    Parameters
    ----------
    terms : Term or list of Term
    sigma : mapping, optional
        Standard deviation of the labels: ``energy`` in eV per atom (see `sigma_scaling`), ``energies`` (local energies)
        in eV, ``forces`` in eV/Angstrom per component, ``virial`` in eV per atom (of stresses too). A kind that is
        missing or None is not trained on. Default: 0.001 eV per atom, 0.01 eV, 0.1 eV/Angstrom, 0.05 eV per atom: those
        of published potentials (Bartok et al., Phys. Rev. X 8, 041048 (2018)); with terms on whole structures, which
        cannot learn forces and virials, these are None.
    sigma_scaling : {"sqrt", "per_atom", "total"}
        The sigma of the energy, and of each component of the virial, of a frame of n atoms is sigma sqrt(n) (the rule
        of gap_fit; published GAP settings need it), sigma n, or sigma.
    e0 : {"auto", "isolated", "lstsq", "average", "none"}, mapping, float or None
        Energies of free atoms, subtracted before the fit and added back. "auto": from isolated atoms, and by least
        squares on the compositions for elements without one. "isolated": isolated atoms are demanded. "lstsq": least
        squares only (minimum norm where compositions are not independent). "average": mean energy per atom. "none" or
        None: zero. A number: the same for all. A mapping {"Si": -0.8}: given.
    baseline : Baseline, ASE calculator, list of these, or None
        What is subtracted from the labels before the fit and added to every prediction, such as
        ``mercer.baselines.ZBL(1.0, 2.0)``; stored in the model file (of a calculator, the name).
    config_type_sigma : mapping, optional
        {config_type: {kind: sigma}} in place of `sigma` for these frames, scaled in the same way; None: not trained on.
        A frame with `energy_sigma` (eV, of its total energy), `energies_sigma` (eV), `force_sigma` (eV/Angstrom) or
        `virial_sigma` (eV, of its total virial) in its info uses that as it is, unscaled; atoms with
        `force_atom_sigma`, `force_component_sigma` or `force_mask` (left out) in the arrays of their frame, too.
    solver : {"whitened", "qr", "normal"}
        See `mercer.linalg.SparseSystem`.
    seed : int
        Of the choice of sparse points.
    max_selection : int, optional
        Sparse points are chosen among at most so many environments per term, drawn at random (evenly over species), so
        that the choice keeps to bounded memory. Default: 20000, or what fits into 256 MB.
    cross_validation : int, default 10
        Groups of training frames that are predicted in turn by a model that has not learnt from them: standard
        deviations are scaled to the errors on them, and these errors are reported. No frame is lost for the fit. It
        takes about the time of predicting the training frames once and, for each group, that of solving (of a few
        groups only, where there are thousands of sparse points). 0: standard deviations stay as the model gives them,
        often 2 to 20 times too small, until `calibrate` is called.
    max_memory : int or str, optional
        Bytes, or a text such as "2GB", that `fit` may take beyond what the frames take and what was there before: the
        sizes of its pieces follow. Default: pieces of 64 MB.
    repulsive : bool
        After the fit, follow dimers of all pairs of elements to short distances, and crystals of the training set to a
        third of their volume; where the energy of a dimer or the pressure of a crystal does not rise, condition the
        weights on energies that do (`mercer.models.short_range`). Needs a ZBL baseline, and terms of atoms or clusters.

    Attributes
    ----------
    terms_ : list of SparseTerm
    sparse_points_ : list of SparsePoints
        Per term: features, species, and the (frame, atom) each came from.
    weights_ : (M,) array
        Of all sparse points, term after term.
    e0_ : dict
        {element: eV}.
    species_ : (n_species,) int array
        Atomic numbers the potential knows.
    log_marginal_likelihood_ : float
    path_ : str or None
        The file that holds this potential, once it was saved or loaded.
    calibration_ : dict
        {"energy", "energies", "forces": factor of these standard deviations}; empty while they are not calibrated.
    held_out_ : dict of ndarray
        What `predict` gives, of the training frames in the order given, by the models that had not seen them; NaN where
        a frame was not held out or has no such label. Empty without cross-validation, and after loading.
    fit_report_ : dict
        Labels found and used, frames and atoms, sources of E0, rank, jitter, condition numbers, residuals on the
        training set, seconds per stage; JSON types.

    Notes
    -----
    Frames with config_type IsolatedAtom (any case, with or without underscore), and frames of one atom without
    neighbours, give E0 where `e0` asks for it. Beside that, the energy of the first one of each element is learnt with
    a standard deviation of 1e-4 eV (or that of energies, if smaller; `config_type_sigma` and `energy_sigma` of the
    frame override it), and its environment is a further sparse point of every term that has a row for it: the row of a
    lone atom is not zero where rows are normalised, so that without this a free atom would get what the kernels
    extrapolate to. The same can be had by subtracting k(x, x0) k(x0, y) / k(x0, x0) from the kernel, with the lone atom
    x0; as a label it needs no other kernel in C++, has an error bar, and holds for any E0 and baseline. Molecules that
    are pulled apart then become free atoms. Clusters of atoms give nothing for one atom by their form; terms on whole
    structures leave isolated atoms out. Without isolated atoms the energy of a free atom is an extrapolation;
    ``fit_report_["free_atoms"]`` says which it is, E0 as a mapping does not change that.

    Training streams over chunks of frames: memory is a chunk plus a few matrices of M^2 numbers (`estimate` says how
    much).

    References
    ----------
    A. P. Bartok, M. C. Payne, R. Kondor and G. Csanyi, Phys. Rev. Lett. 104, 136403 (2010); A. P. Bartok and G. Csanyi,
    Int. J. Quantum Chem. 115, 1051 (2015).

    Examples
    --------
    >>> import mercer, numpy as np
    >>> from ase.build import bulk
    >>> frames = []
    >>> for seed in range(8):
    ...     atoms = bulk("Si", cubic=True)
    ...     atoms.rattle(0.1, seed=seed)
    ...     atoms.info["REF_energy"] = float(np.sum(atoms.positions**2)) * 1e-3
    ...     frames.append(atoms)
    >>> soap = mercer.SOAP(["Si"], r_cut=4.0, n_max=4, l_max=3, sigma=0.5)
    >>> potential = mercer.Potential(mercer.Term(soap, mercer.kernels.Polynomial(zeta=4), n_sparse=20))
    >>> potential.fit(frames).predict(frames, std=["energy"])["energy_std"].shape
    (8,)
    """

    def __init__(
        self,
        terms,
        *,
        sigma=None,
        sigma_scaling="sqrt",
        e0="auto",
        baseline=None,
        config_type_sigma=None,
        solver="whitened",
        seed=0,
        max_selection=None,
        cross_validation=10,
        max_memory=None,
        repulsive=False,
    ):
        self.terms = terms
        self.sigma = sigma
        self.sigma_scaling = sigma_scaling
        self.e0 = e0
        self.baseline = baseline
        self.config_type_sigma = config_type_sigma
        self.solver = solver
        self.seed = seed
        self.max_selection = max_selection
        self.cross_validation = cross_validation
        self.max_memory = max_memory
        self.repulsive = repulsive
        check_arguments(self)

    #: Weights that a warning of standard deviations was given for.
    _silent_about = None

    @property
    def e0_(self):
        """{element: energy of the free atom, eV}."""
        return {symbol(z): float(e) for z, e in zip(self.species_, self.free_atoms_.energies, strict=True)}

    @property
    def species_(self):
        return self.free_atoms_.species

    @property
    def sparse_points_(self):
        return [term.points for term in self.terms_]

    # ------------------------------------------------------------------------------------------------ fit

    def fit(self, frames, labels=None, *, sparse_points=None, virial_offset="auto", progress=None):
        """Choose sparse points, and learn the weights from every label that the frames carry.

        Parameters
        ----------
        frames : Atoms or list of Atoms
        labels : structures.Labels, optional
            What `structures.read_labels` returned for these frames, where keys or units are not the usual ones. By
            default the usual ones are read.
        sparse_points : list of SparsePoints, optional
            One per term, in place of the choice.
        virial_offset : {"auto"}, float or None
            Constant isotropic part of the virials (eV per atom and diagonal component) that energies do not follow, as
            Pulay stress is: taken out before training, so that predictions are without it. "auto": where a small model
            of energies and forces shows it; `fit_report_` says its size. None: virials are trained on as they are.
        progress : callable, optional
            Called as ``progress(stage, done, total)``; stages are "select", "rows" and "cross-validation", counted in
            frames, and "solve".

        Returns
        -------
        self

        Raises
        ------
        DataError
            No labels to train on, labels that are not finite, elements that a descriptor does not know, fewer
            environments than sparse points.
        """
        check_arguments(self)
        virial_offset = _offset(virial_offset)
        clock, progress = _Clock(), _silent if progress is None else check_callable(progress, "progress")
        terms = self._terms()
        with clock("read"):
            labelled = FrameData.read_labelled(frames, labels)
            self._check_config_types(labelled.labels)
            data, isolated, training, e0, all_targets, offset = self._training_data(labelled, terms, virial_offset)
            free = self._free_atoms(labelled, data, isolated, e0)
            probes = self._probes(training, e0)
            plan = self._plan(training, all_targets, terms, free, probes)
        with clock("selection"):
            if sparse_points is None:
                sparse_points = [
                    choose_points(term, training, (self.seed, t), self.max_selection, progress, plan.selection_bytes)
                    for t, term in enumerate(terms)
                ]
                sparse_points = [
                    points.with_more(free.points(term)).with_more(probes and probes.points(term))
                    for term, points in zip(terms, sparse_points, strict=True)
                ]
            check_sparse_points(sparse_points, terms)
            sparse_terms = [SparseTerm(term, points) for term, points in zip(terms, sparse_points, strict=True)]
            gram = _block_diagonal([term.gram() for term in sparse_terms])
            system = SparseSystem(
                gram,
                solver=self.solver,
                pivot_floor=np.concatenate([np.full(len(term), term.pivot_floor) for term in sparse_terms]),
            )
            if not _rows_are_points(terms, training, sparse_points, all_targets):
                gram = None
            groups = cross_validation.groups_of(training, min(self.cross_validation, len(training)))
            held_out = cross_validation.HeldOut(system, groups, 0 if gram is not None else plan.n_held_out)
            del system
        progress("rows", 0, len(training))
        for frames_of_rows, K, y, sigma in _row_blocks(sparse_terms, training, all_targets, plan, clock, gram):
            with clock("solver"):
                held_out.update(frames_of_rows, K, y, sigma)
            del K
            progress("rows", int(frames_of_rows[-1]) + 1, len(training))
        if len(free):
            held_out.keep(free.rows(sparse_terms, self.r_cut), free.targets, free.sigma)
        with clock("cross-validation"):
            if held_out.n_held_out:
                predictions = cross_validation.predict_held_out(
                    held_out, sparse_terms, training, all_targets, plan, self.seed, progress
                )
            elif gram is not None and self.cross_validation and len(training) > 1:
                predictions = cross_validation.leave_out_structures(gram, all_targets[0], groups)
            else:
                predictions = cross_validation.Predictions({}, {})
        with clock("solver"):
            progress("solve", 0, 1)
            solution = held_out.merged().solve()
            del held_out
            progress("solve", 1, 1)

        self.terms_ = sparse_terms
        self.weights_ = solution.weights
        self.covariance_ = solution.covariance
        self.free_atoms_ = e0
        self.log_marginal_likelihood_ = solution.log_marginal_likelihood
        self.baselines_ = baselines.as_baselines(self.baseline)
        self.path_ = None
        with clock("short range"):
            mended = short_range.mend(self, probes) if probes else {}
        with clock("residuals"):
            residuals = self._residuals(training, all_targets, plan, gram)
            del gram
        self.fit_report_ = {
            "n_frames": len(data),
            "n_atoms": int(data.offsets[-1]),
            "n_training_frames": len(training),
            "n_training_atoms": int(training.offsets[-1]),
            "n_isolated_atoms": int(isolated.sum()),
            "labels": _label_report(data, training, all_targets),
            "e0": {symbol(z): float(e) for z, e in zip(e0.species, e0.energies, strict=True)},
            "e0_undetermined": [symbol(z) for z in e0.undetermined_species()],
            "e0_sources": {symbol(z): source for z, source in zip(e0.species, e0.sources, strict=True)},
            "n_sparse": [
                {group_name(t.descriptor, z): int(n) for z, n in sorted(Counter(t.points.species.tolist()).items())}
                for t in sparse_terms
            ],
            "solver": solution.solver,
            "n_labels": int(solution.n_rows),
            "rank": int(solution.rank),
            "n_dropped": len(solution.dropped),
            "jitter": float(solution.jitter),
            "condition_number": _number(solution.condition_number),
            "condition_number_kmm": _number(solution.condition_number_kmm),
            "log_marginal_likelihood": float(solution.log_marginal_likelihood),
            "residuals": residuals,
            "cross_validation": predictions.summary(training.n_atoms),
            "short_range": mended,
            "virial_offset": offset,
            "seconds": clock.seconds,
        }
        self._set_calibration(predictions.calibration())
        self.fit_report_["free_atoms"] = {} if self._of_structures() is not None else free_atoms.report(self, free)
        if offset:
            labelled = replace(labelled, labels=virial_offsets.without(labelled.labels, offset["value"]))
        self.held_out_ = predictions.in_order(labelled, training.origin)
        for kind, factor in self.calibration_.items():
            if f"{kind}_std" in self.held_out_:
                self.held_out_[f"{kind}_std"] *= factor
        _log.info("%s", solution.report())
        return self

    def estimate(self, frames, labels=None):
        """Memory and time that `fit` would take, without doing it.

        Features and rows of K are made for a few frames and few sparse points, the solver is run on few of both, and
        the times are scaled by the number of operations. The memory is planned, not measured.

        Parameters
        ----------
        frames, labels
            As for `fit`.

        Returns
        -------
        dict
            "memory" (bytes at the highest point, beyond the frames), "seconds" (in all), "stages" (seconds of each),
            "n_labels" (rows of K by kind), "n_sparse" (in all), "rows_bytes" (what K would take at once).

        Raises
        ------
        DataError, ConfigError
            As `fit`, where the data or `max_memory` do not allow it.
        """
        terms = self._terms()
        data = FrameData.read_labelled(frames, labels)
        less, isolated, training, e0, all_targets, _ = self._training_data(data, terms, None)
        free = self._free_atoms(data, less, isolated, e0)
        plan = self._plan(training, all_targets, terms, free, self._probes(training, e0))
        n_labels = {target.kind.name: int(target.used.sum()) for target in all_targets}
        stages = fit_seconds(terms, training, n_labels)
        return {
            "memory": plan.peak,
            "seconds": sum(stages.values()),
            "stages": stages,
            "n_labels": n_labels,
            "n_sparse": plan.n_points,
            "rows_bytes": 8 * plan.n_points * sum(n_labels.values()),
        }

    def isolated_atoms(self, frames, labels=None):
        """Which frames are isolated atoms: by their config_type, or one atom without neighbours within the cutoffs.

        Returns
        -------
        (n_frames,) bool array
        """
        if labels is None:
            labels = read_labels(frames, dict.fromkeys(LABEL_KINDS), required=False)
        return self._isolated(FrameData.read(frames, labels))

    # -------------------------------------------------------------------------------------------- predict

    def predict(self, frames, *, forces="auto", std=False, out=None, progress=None):
        """Energies, forces, virials and stresses, with standard deviations on request.

        Parameters
        ----------
        frames : Atoms, list of Atoms, or Environments
            Environments have the neighbours already, up to at least `r_cut`.
        forces : bool or "auto"
            Whether forces, virials and stresses are wanted, which cost several times what energies do. "auto": wherever
            the kernels have derivatives.
        std : bool or collection of str
            Kinds ("energy", "energies", "forces") whose standard deviation is wanted; True is the energies. It is that
            of the model (DTC), times `calibration_`, without the noise of a label, and without that of E0.
        out : dict of ndarray, optional
            Arrays to write the results into, by key.
        progress : callable, optional
            Called as ``progress("predict", done, total)``, in frames.

        Returns
        -------
        dict
            "energy" (n_frames,) and "energies" (n_atoms,), eV, the sum of the latter over a frame being the former;
            "forces" (n_atoms, 3), eV/Angstrom; "virial" (n_frames, 3, 3), eV, -d energy / d strain; "stress"
            (n_frames, 6), eV/Angstrom^3 in ASE's order xx, yy, zz, yz, xz, xy and sign (tension positive), NaN where a
            frame is not periodic in three directions; "energy_std", "energies_std", "forces_std" as asked for.

        Raises
        ------
        DataError
            An element that the potential does not know, naming the frame.
        ConfigError
            Forces of a kernel without derivatives; a key of `out` that is not among the results.
        ModelFileError
            Standard deviations of a model that was saved without them.

        Warns
        -----
        UserWarning
            Where E0 comes from least squares, and the training compositions did not determine that of a frame. Once for
            a potential, where standard deviations are not calibrated.
        """
        self._check_fitted()
        gradients = self._wants_gradients(forces)
        wanted = self._wanted_std(std)
        progress = _silent if progress is None else check_callable(progress, "progress")
        self._warn_uncalibrated(wanted)
        return self._predict(FrameData.read(frames), gradients, wanted, self.calibration_, out, progress)

    def _predict(self, data, gradients, wanted, factors, out=None, progress=_silent):
        """See `predict`; `factors` of standard deviations, by kind."""
        self._check_known(data)
        n_frames, n_atoms = len(data), int(data.offsets[-1])
        shapes = {"energy": (n_frames,), "energies": (n_atoms,), "forces": (n_atoms, 3)}
        shapes |= {"virial": (n_frames, 3, 3), "stress": (n_frames, 6)}
        shapes |= {f"{kind}_std": shapes[kind] for kind in wanted}
        if not gradients:
            shapes = {key: shape for key, shape in shapes.items() if key not in ("forces", "virial", "stress")}
        for key in check_mapping({} if out is None else out, "out", "a mapping of arrays"):
            check_choice(key, shapes, "out: key")
        result = {key: check_out((out or {}).get(key), shape, f"out[{key!r}]") for key, shape in shapes.items()}
        chunking = (_FORCE_STD_ATOMS,) if "forces" in wanted else _chunking(self.terms_, data.n_atoms, self.r_cut)
        for chunk in data.chunks(*chunking):
            environments = chunk.environments(self.r_cut)
            energies, positions, strain = evaluate(self.terms_, environments, self.weights_, gradients)
            energies += self.free_atoms_.per_atom(chunk.numbers)
            result["energies"][chunk.atoms] = energies
            if gradients:
                np.negative(positions, out=result["forces"][chunk.atoms])
                np.negative(strain, out=result["virial"][chunk.span])
            if self.baselines_:
                base = baselines.evaluate(self.baselines_, chunk.frames, gradients)
                for key, where, part in zip(
                    ("energies", "forces", "virial"), (chunk.atoms, chunk.atoms, chunk.span), base, strict=True
                ):
                    if part is not None:
                        result[key][where] += part
            result["energy"][chunk.span] = targets.sum_over_frames(result["energies"][chunk.atoms], chunk.offsets)
            if gradients:
                result["stress"][chunk.span] = _stress(result["virial"][chunk.span], environments.structures)
            for kind in wanted:
                span = chunk.span if kind == "energy" else chunk.atoms
                std = standard_deviation(kind, self.terms_, environments, self.covariance_)
                result[f"{kind}_std"][span] = factors.get(kind, 1.0) * std
            progress("predict", chunk.span.stop, len(data))
        _require_finite({key: result[key] for key in result if key not in ("virial", "stress")}, data)
        return result

    def _warn_uncalibrated(self, kinds):
        """Once for a fit: standard deviations that nothing was compared with."""
        missing = [kind for kind in kinds if kind not in self.calibration_]
        if missing and self._silent_about is not self.weights_:
            self._silent_about = self.weights_
            warnings.warn(
                f"standard deviations of {' and '.join(missing)} are not calibrated: they may be many times too small; "
                "call potential.calibrate(frames) with labelled frames that were not trained on, or fit with "
                f"cross_validation=10 and at least {calibration.FEWEST} frames",
                stacklevel=3,
            )

    def calibrate(self, frames, labels=None, *, kinds=None):
        """Scale the standard deviations so that they match the errors on frames that were not trained on.

        For each kind of label, the factor puts 68 % of the errors on these frames within one standard deviation (of
        fewer than 20 labels: their root mean square). It is kept with the model, and `predict` applies it. Where it
        cannot be determined, the earlier factors stay.

        Parameters
        ----------
        frames, labels
            As for `fit`.
        kinds : collection of str, optional
            Of "energy", "energies" and "forces"; default: those that the frames are labelled with. Standard deviations
            of forces take longest.

        Returns
        -------
        dict
            {"energy" or "energies" or "forces": factor}, of the kinds that the frames are labelled with.

        Raises
        ------
        DataError
            If the frames have no labels, or fewer than two.
        """
        self._check_fitted()
        data = FrameData.read_labelled(frames, labels)
        data = data.take(np.flatnonzero(~self._isolated(data)))
        possible = [kind for kind in PRIOR_VARIANCES if kind != "forces" or self._wants_gradients("auto")]
        wanted = possible if kinds is None else self._wanted_std(kinds, "kinds")
        kinds = [kind for kind in wanted if data.labels.has(kind).any()]
        if not kinds or not len(data):
            raise DataError("calibrate: no frames with labels of energies or forces; give validation frames")
        predicted = self._predict(data, "forces" in kinds, kinds, factors={})
        found = {}
        for kind in kinds:
            ratio = calibration.known_ratios(predicted[kind] - getattr(data.labels, kind), predicted[f"{kind}_std"])
            if len(ratio) < 2:
                raise DataError(f"calibrate: {len(ratio)} labels of {kind}; expected at least 2")
            found[kind] = calibration.measured(ratio, "validation frames")
        self.path_ = None
        self._set_calibration(found)
        return {kind: entry["factor"] for kind, entry in found.items()}

    def _set_calibration(self, found):
        """Take factors that were measured (`calibration.measured`); kinds that were measured before keep theirs."""
        entries = calibration.completed(self.fit_report_.get("calibration", {}) | found)
        self.fit_report_ = self.fit_report_ | {"calibration": entries}
        self.calibration_ = {kind: entry["factor"] for kind, entry in entries.items()}

    @property
    def r_cut(self):
        """Cutoff of the neighbour list that serves all terms, Angstrom."""
        return max(term.descriptor.r_cut for term in self._terms())

    def calculator(self, *, std=(), warn_above=None, skin=0.5):
        """An ASE calculator of this potential.

        Parameters
        ----------
        std : bool or collection of {"energy", "energies", "forces"}, default ()
            Standard deviations to compute with every result.
        warn_above : float, optional
            eV. Warn once when the standard deviation of the energy of an atom exceeds this.
        skin : float, default 0.5
            Angstrom. Neighbours are searched again when atoms have moved by that much.

        Returns
        -------
        mercer.calculators.PotentialCalculator
        """
        from mercer.calculators import PotentialCalculator

        self._check_fitted()
        return PotentialCalculator(self, std=std, warn_above=warn_above, skin=skin)

    # ------------------------------------------------------------------------------------------- save, load

    def save(self, path, *, variance=True):
        """Write the potential into one file; `mercer.load` reads it and predicts bit for bit the same.

        Parameters
        ----------
        path : path-like
            A file that is there is replaced, once the new one is complete.
        variance : bool
            Keep what standard deviations need: about M^2 numbers.

        Raises
        ------
        ModelFileError
            If the file cannot be written.
        """
        self._check_fitted()
        header, arrays = potential_to_file(self, variance=variance)
        write_model(path, header, arrays)
        if variance or self.covariance_ is None:
            self.path_ = str(Path(path).resolve())

    # ------------------------------------------------------------------------------------------------ parts

    def _check_config_types(self, labels):
        unknown = sorted(set(self.config_type_sigma or {}) - set(labels.config_type))
        if unknown:
            _log.warning(
                "config_type_sigma: no frame has config_type %s; there are: %s",
                ", ".join(unknown),
                ", ".join(sorted(set(labels.config_type) - {""})) or "none",
            )

    def _terms(self):
        return as_terms(self.terms)

    def _sigma(self):
        """{kind: sigma or None} for every kind."""
        given = targets.DEFAULT_SIGMA if self.sigma is None else targets.check_sigma(self.sigma)
        return {kind: given.get(kind) for kind in targets.DEFAULT_SIGMA}

    def _check_fitted(self):
        if not hasattr(self, "weights_"):
            raise NotFittedError("This Potential is not fitted: call fit(frames), or mercer.load(path)")

    def _check_elements(self, data, terms):
        for term in terms:
            if term.descriptor.species is not None:
                data.require_species(term.descriptor.species, f"the descriptor {type(term.descriptor).__name__}")

    def _check_gradients(self, data):
        """Terms on whole structures learn no forces and virials."""
        descriptor = self._of_structures()
        for name, kind in ROW_KINDS.items():
            if descriptor is not None and kind.gradient and self._trains_on(name) and data.labels.has(name).any():
                raise ConfigError(
                    f"{type(descriptor).__name__} describes whole structures, and terms on it learn energies only, but "
                    f"the frames are labelled with {name}; leave them out of the fit, sigma={{'{name}': None, ...}} "
                    "(none in a YAML file), or take a descriptor of atoms, such as SOAP"
                )

    def _check_known(self, data):
        data.require_species(self.species_, "the potential")
        outside = np.flatnonzero(self.free_atoms_.outside_span(data.numbers, data.offsets))
        if len(outside):
            warnings.warn(
                f"{data.where(outside[0])}: its composition is no combination of those that e0 was fitted to, so that "
                f"the energy has an unknown offset ({len(outside)} of {len(data)} frames); give e0 or isolated atoms",
                stacklevel=3,
            )

    def _isolated(self, data):
        """See `isolated_atoms`."""
        config_type = data.labels.config_type
        isolated = np.array([targets.is_isolated_config(name) for name in config_type], bool)
        n_atoms = data.n_atoms
        wrong = np.flatnonzero(isolated & (n_atoms != 1))
        if len(wrong):
            raise DataError(
                f"{data.where(wrong[0])}: config_type {config_type[wrong[0]]!r}, but {n_atoms[wrong[0]]} atoms; "
                f"expected one atom, or another config_type"
            )
        single = np.flatnonzero(~isolated & (n_atoms == 1))
        isolated[single] = ~data.take(single).has_neighbours(self.r_cut)
        return isolated

    def _usable(self, data, isolated):
        """Indices of the frames to train on."""
        trained = [kind for kind in ROW_KINDS if self._trains_on(kind)]
        labelled = np.zeros(len(data), bool)
        for kind in trained:
            labelled |= data.labels.has(kind)
        usable = np.flatnonzero(labelled & ~isolated & (data.n_atoms > 0))
        if not len(usable):
            found = ", ".join(f"{kind} in {n}" for kind, (_, n) in data.labels.found.items()) or "none"
            raise DataError(
                f"no labels to train on in {len(data)} frames, of which {int(isolated.sum())} are isolated atoms; "
                f"labels found: {found}; trained on, having a sigma: {', '.join(trained) or 'none'} (this version "
                f"trains on {', '.join(ROW_KINDS)})"
            )
        return usable

    def _training_data(self, data, terms, virial_offset):
        """All frames less the baseline; which are isolated atoms; those to train on, sorted by the kinds of labels that
        they have; E0; targets; the offset of the virials that was taken out of these."""
        self._check_elements(data, terms)
        self._check_gradients(data)
        data = self._less_baseline(data)
        isolated = self._isolated(data)
        usable = self._usable(data, isolated)
        training = data if len(usable) == len(data) else data.take(usable)
        e0 = self._resolve_e0(data, training, isolated)
        offset = self._virial_offset(training, terms, e0) if virial_offset == "auto" else virial_offset
        if offset:
            training = replace(training, labels=virial_offsets.without(training.labels, offset["value"]))
        all_targets = self._targets(training, e0)
        order = np.argsort(_signature(training, all_targets), kind="stable")
        if np.any(np.diff(order) < 0):
            training = training.take(order)
            all_targets = self._targets(training, e0)
        return data, isolated, training, e0, all_targets, offset

    def _virial_offset(self, training, terms, e0):
        """See `virial_offset.estimate`; None where virials are not trained on."""
        if not self._trains_on("virial") or self._of_structures() is not None:
            return None
        sigma = self._sigma() | {"virial": None}
        if sigma["energy"] is None:
            return None

        def make(few):
            e0_of = {symbol(z): float(e) for z, e in zip(e0.species, e0.energies, strict=True)}
            options = {"sigma_scaling": self.sigma_scaling, "e0": e0_of, "seed": self.seed}
            return Potential(few, sigma=sigma, max_memory=limit, cross_validation=0, **options)

        # what the small model leaves in pools of memory is there beside the fit
        limit = None if self.max_memory is None else int(_SMALL_SHARE * parse_bytes(self.max_memory))
        try:
            return virial_offsets.estimate(make, terms, training, self.r_cut)
        except ConfigError:  # too little for it; the fit itself says what it needs
            limit = self.max_memory
            return virial_offsets.estimate(make, terms, training, self.r_cut)

    def _free_atoms(self, labelled, data, isolated, e0):
        """Energies of isolated atoms to learn: labels as given, and less the baseline; terms on whole structures have
        none."""
        kind = next((name for name in ("energy", "energies") if self._trains_on(name)), None)
        if kind is None or self._of_structures() is not None:
            return FreeAtoms.of([])
        frames = np.flatnonzero(isolated)
        frames = frames[np.isin(data.numbers[data.offsets[frames]], e0.species)]
        part, given = data.take(frames), labelled.take(frames)
        sigma = self._label_sigma(kind, part)
        settled = ~np.isnan(given_sigma(ROW_KINDS[kind], part.frames))
        per_config = self.config_type_sigma or {}
        settled |= np.array([kind in per_config.get(name, {}) for name in part.labels.config_type], bool)
        sigma = np.where(settled, sigma, np.minimum(sigma, free_atoms.SIGMA))
        # the energy of a frame of one atom is that of the atom
        less, total = (np.where(np.isnan(d.labels.energy), d.labels.energies, d.labels.energy) for d in (part, given))
        targets = less - e0.per_atom(part.numbers)
        rows = np.stack([part.numbers, total, targets, sigma, part.origin], axis=1)
        return FreeAtoms.of(rows[~np.isnan(rows).any(axis=1)])

    def _less_baseline(self, data):
        """Labels without what the baseline gives."""
        parts = baselines.as_baselines(self.baseline)
        if not parts:
            return data
        labels = data.labels
        gradients = any(labels.has(kind).any() for kind in ("forces", "virial") if self._trains_on(kind))
        energies, forces, virial = baselines.evaluate(parts, data.frames, gradients)
        less = {"energies": labels.energies - energies}
        less["energy"] = labels.energy - targets.sum_over_frames(energies, data.offsets)
        if gradients:
            less |= {"forces": labels.forces - forces, "virial": labels.virial - virial}
        without = replace(labels, **less)
        for kind in ("energy", "energies", "forces", "virial"):
            lost = np.flatnonzero(labels.has(kind) & ~without.has(kind))
            if len(lost) and self._trains_on(kind):
                raise DataError(
                    f"{data.where(lost[0])}: the baseline gives no {kind}, but the frame is labelled with it; train "
                    f"without (sigma={{'{kind}': None, ...}}), or take another baseline"
                )
        return replace(data, labels=without)

    def _wants_gradients(self, forces):
        possible = all(term.term.kernel.differentiable and term.descriptor.differentiable for term in self.terms_)
        if isinstance(forces, str):
            check_choice(forces, ("auto",), "forces")
            return possible
        forces = check_flag(forces, "forces")
        if forces and not possible:
            parts = [part for term in self.terms_ for part in (term.term.kernel, term.descriptor)]
            part = next(part for part in parts if not part.differentiable)
            raise ConfigError(
                f"{part} has no derivative everywhere, so this potential has no forces. Predict energies alone "
                "(forces=False), or fit with a kernel and a descriptor that have derivatives."
            )
        return forces

    def _residuals(self, data, all_targets, plan, gram=None):
        """{kind: number, MAE, RMSE, and RMS of residual / sigma} on the training rows; `gram`: as for `_row_blocks`."""
        sums = defaultdict(lambda: np.zeros(4))
        gradients = any(target.kind.gradient for target in all_targets)
        for chunk in data.chunks(plan.chunk_bytes, plan.frame_bytes):
            parts = None
            if gram is None:
                parts = evaluate(self.terms_, chunk.environments(self.r_cut), self.weights_, gradients)
            for target in all_targets:
                span = target.kind.span(chunk)
                used = target.used[span]
                predicted = target.kind.predicted(chunk, *parts) if gram is None else gram[span] @ self.weights_
                r = (target.values[span] - predicted)[used]
                sigma = target.sigma[span][used]
                sums[target.kind.name] += [len(r), np.abs(r).sum(), r @ r, np.sum((r / sigma) ** 2)]
        return {
            kind: {
                "n": int(n),
                "mae": float(absolute / n),
                "rmse": float(np.sqrt(squares / n)),
                "rms_over_sigma": float(np.sqrt(weighted / n)),
            }
            for kind, (n, absolute, squares, weighted) in sums.items()
        }

    def _probes(self, training, e0):
        """Paths out of the data that are followed after the fit, or None."""
        zbl = [part for part in baselines.as_baselines(self.baseline) if isinstance(part, baselines.ZBL)]
        return short_range.Probes(training, e0, zbl[0]) if self.repulsive and zbl else None

    def _plan(self, training, all_targets, terms, free, probes):
        sizes = []
        for t in terms:
            more = [points for points in (free.points(t), probes and probes.points(t)) if points is not None]
            count = count_points(t, training) + sum(map(len, more))
            sizes.append((t.descriptor.n_features, count, t.descriptor.per_frame))
        n_groups = 0 if self._of_structures() is not None else min(self.cross_validation, len(training))
        return Plan.of(training, all_targets, sizes, self.max_memory, n_groups if n_groups > 1 else 0)

    def _trains_on(self, kind):
        if self.sigma is None and ROW_KINDS[kind].gradient and self._of_structures() is not None:
            return False
        per_config = (self.config_type_sigma or {}).values()
        return self._sigma()[kind] is not None or any(values.get(kind) is not None for values in per_config)

    def _of_structures(self):
        """The first descriptor of whole structures, or None."""
        return next((term.descriptor for term in self._terms() if term.descriptor.per_frame), None)

    def _resolve_e0(self, data, training, isolated):
        """E0 of the elements of the training frames."""
        e0 = by_number(self.e0) if isinstance(self.e0, Mapping) else self.e0
        species = np.unique(training.numbers)
        labelled = training.labels.has("energy")
        energies = training.labels.energy[labelled]
        counts = targets.count_species(training.numbers, training.offsets, species)[labelled]
        missing = species[~np.any(counts, axis=0)]
        # elements with local energies alone: every atom is a composition
        atoms = np.isin(training.numbers, missing) & ~np.isnan(training.labels.energies)
        energies = np.concatenate([energies, training.labels.energies[atoms]])
        counts = np.concatenate([counts, training.numbers[atoms, None] == species])
        found = defaultdict(list)
        for f in np.flatnonzero(isolated):
            atom = data.offsets[f]
            for energy in (data.labels.energy[f], data.labels.energies[atom]):  # of one atom they are the same
                if not np.isnan(energy):
                    found[int(data.numbers[atom])].append(energy)
        return targets.resolve_e0(e0, species, counts, energies, found, scaling=self.sigma_scaling, symbols=symbol)

    def _targets(self, data, e0):
        """Targets of every kind that is trained on."""
        found = []
        for name, kind in ROW_KINDS.items():
            if self._trains_on(name) and data.labels.has(name).any():
                sigma = kind.per_row(self._label_sigma(name, data), data)
                found.append(Targets(kind, kind.values(data, e0), sigma))
        return found

    def _label_sigma(self, kind, data):
        """Standard deviation of this kind of label of every frame: (n_frames,)."""
        return targets.label_sigma(
            kind,
            data.n_atoms,
            data.labels.config_type,
            self._sigma(),
            scaling=self.sigma_scaling,
            config_type_sigma=self.config_type_sigma,
            absolute=given_sigma(ROW_KINDS[kind], data.frames),
        )

    def _wanted_std(self, std, name="std"):
        kinds = ("energy", "energies")
        if isinstance(std, str):
            std = [std]
        if std is None or isinstance(std, (bool, np.bool_)):
            wanted = kinds if std else ()
        else:
            wanted = tuple(check_items(std, name, f"True, False, or some of {', '.join(PRIOR_VARIANCES)}"))
        for kind in wanted:
            check_choice(kind, PRIOR_VARIANCES, name)
        if "forces" in wanted:
            self._wants_gradients(True)
        if wanted and self.covariance_ is None:
            raise ModelFileError(
                "this potential was saved without its covariance: no standard deviations; save it with variance=True"
            )
        return wanted


def _label_report(data, training, all_targets):
    """{kind: key, labelled frames, rows trained on} of every label found; stresses are trained on as virials."""
    rows = {target.kind.name: target.used for target in all_targets}
    if "virial" in rows:
        stressed = np.repeat(training.labels.from_stress, 9)
        rows["stress"], rows["virial"] = rows["virial"] & stressed, rows["virial"] & ~stressed
    report = {}
    for kind, (key, n_frames) in data.labels.found.items():
        report[kind] = {"key": key, "frames": n_frames, "rows": int(np.sum(rows.get(kind, 0)))}
        if not report[kind]["rows"]:
            _log.info("labels found but not used: %s (%s) in %d frames: no sigma is given for it", kind, key, n_frames)
    if not report.get("energy", {}).get("rows") and not report.get("energies", {}).get("rows"):
        _log.warning(
            "no energies were trained on: energies of this model are undetermined up to a constant for each element "
            "(E0); only differences between structures of one composition mean something"
        )
    return report


def _signature(data, all_targets):
    """A number per frame that tells which kinds of labels it is trained on."""
    return sum(
        (target.in_frames(data).astype(int) << k for k, target in enumerate(all_targets)), np.zeros(len(data), int)
    )


def _rows_are_points(terms, training, points, all_targets):
    """Whether the rows of K are those of K_MM: energies of structures that are the sparse points, in their order."""
    return (
        len(terms) == 1
        and terms[0].descriptor.per_frame
        and np.array_equal(points[0].origin[:, 0], training.origin)
        and all(target.kind is ROW_KINDS["energy"] for target in all_targets)
    )


def _row_blocks(terms, data, all_targets, plan, clock, gram=None):
    """Rows of K with their targets, chunk by chunk: yields (frame of each row, K, y, sigma). `gram`: they are those of
    K_MM, which is this."""
    signature = _signature(data, all_targets)
    r_cut = max(term.descriptor.r_cut for term in terms)
    for chunk in data.chunks(plan.chunk_bytes, plan.frame_bytes, 1 + np.flatnonzero(np.diff(signature))):
        present = [target for k, target in enumerate(all_targets) if signature[chunk.span.start] >> k & 1]
        with clock("rows"):
            if gram is None:
                environments = chunk.environments(r_cut)
                blocks = [term.rows(environments, [target.kind.name for target in present]) for term in terms]
            else:
                blocks = [{"energy": gram[chunk.span]}]
        for target in present:
            span = target.kind.span(chunk)
            used = target.used[span]
            K = stack([block.pop(target.kind.name) for block in blocks])
            if not used.all():
                K = K[used]
            frames = np.repeat(np.arange(chunk.span.start, chunk.span.stop), target.kind.n_rows(np.diff(chunk.offsets)))
            yield frames[used], K, target.values[span][used], target.sigma[span][used]
            del K  # not to be there beside that of the next chunk


def _stress(virial, structures):
    """-virial / volume in Voigt order, of frames that are periodic in three directions; else NaN: (n_frames, 6)."""
    volume = np.abs(np.linalg.det(np.asarray(structures.cells).reshape(-1, 3, 3)))
    volume = np.where(np.asarray(structures.pbc).reshape(-1, 3).all(axis=1), volume, np.nan)
    return -virial.reshape(-1, 9)[:, [0, 4, 8, 5, 2, 1]] / volume[:, None]


def _require_finite(result, data):
    """DataError where sums overflowed; virials of baselines without them, and stresses without a volume, are NaN."""
    for key, values in result.items():
        if not np.isfinite(values).all():
            first = int(np.argwhere(~np.isfinite(values))[0][0])
            frame = first if len(values) == len(data) else int(np.searchsorted(data.offsets, first, side="right")) - 1
            raise DataError(
                f"{data.where(frame)}: the potential gives {key} that are not finite: its parameters, or the distances "
                "of the atoms, are out of range"
            )


def _chunking(terms, n_atoms, r_cut):
    """Arguments of `FrameData.chunks` for predictions: features, rows of K and, where the cutoff is infinite, pairs of
    atoms take about `_base.BLOCK_BYTES`."""
    of_atoms, of_frames = (
        sum(term.points.features.shape[1] + len(term) for term in terms if term.descriptor.per_frame == frames)
        for frames in (False, True)
    )
    if not of_frames:
        return (block_rows(of_atoms),)
    pairs = 10 * n_atoms.astype(float) ** 2 if np.isinf(r_cut) else 0.0
    costs = n_atoms * of_atoms + of_frames + pairs
    return float(block_rows(1)), costs


def _block_diagonal(blocks):
    size = sum(map(len, blocks))
    out, start = np.zeros((size, size)), 0
    for block in blocks:
        out[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return out


def _offset(value):
    """A given offset of virials as `virial_offset.estimate` would return it."""
    if value is None or (isinstance(value, str) and value == "auto"):
        return value
    return {"value": check_number(value, "virial_offset"), "spread": None, "n": 0}


def _number(value):
    """A float for JSON, which knows no infinity."""
    return float(value) if np.isfinite(value) else None


class _Clock:
    """Seconds per stage."""

    def __init__(self):
        self.seconds = {}

    @contextmanager
    def __call__(self, stage):
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
