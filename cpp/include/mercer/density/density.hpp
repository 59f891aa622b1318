/// The neighbour density of an atom expanded in radial functions and spherical harmonics, and its reverse pass.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "mercer/basis/cutoff.hpp"
#include "mercer/basis/radial_basis.hpp"
#include "mercer/basis/radial_scaling.hpp"
#include "mercer/basis/radial_table.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/math/spherical_harmonics.hpp"
#include "mercer/neighbors/pair_list.hpp"
#include "mercer/structure/structure_batch.hpp"

namespace mercer {

struct DensityParameters {
  std::vector<std::int32_t> species;            ///< atomic numbers, ascending
  RadialBasisParameters radial;                 ///< n_max, l_max, r_cut, sigma, width
  std::string radial_basis = "gto";
  std::string cutoff = "shifted_cosine";
  RadialScaling scaling;
  double central_weight = 1.0;                  ///< u0, weight of the Gaussian on the centre
  bool central_in_all_species = false;          ///< the centre counts as an atom of every species
  /// Species -> channel matrix, row-major (species, n_channels); empty: one channel a species.
  std::vector<double> channels;
  /// Neighbours of other species are left out, instead of being an error.
  bool ignore_unknown = false;
};

/// c[channel, lm, n] = sum_s W[s, channel] (sum_{j of species s} f_c(r_ij) u(r_ij) I_nl(r_ij) Y_lm(r_ij / |r_ij|)
///                     + [s = species of i, or central_in_all_species] u0 I_n0(0) Y_00)
/// Bartok, Kondor & Csanyi, PRB 87 (2013) 184115, eq. 25; Willatt, Musil & Ceriotti, PCCP 20 (2018) 29661, eq. 14.
class Density {
 public:
  /// @throws std::invalid_argument for parameters outside their ranges.
  explicit Density(DensityParameters parameters);

  const DensityParameters& parameters() const { return parameters_; }
  int n_species() const { return static_cast<int>(parameters_.species.size()); }
  int n_channels() const { return n_channels_; }
  int n_max() const { return table_.n_max(); }
  int l_max() const { return table_.l_max(); }
  int n_lm() const { return (l_max() + 1) * (l_max() + 1); }
  /// Whether channels are the species.
  bool channels_are_species() const { return parameters_.channels.empty(); }
  /// W[species, channel] of a channel matrix.
  double weight(int species, int channel) const { return parameters_.channels[species * n_channels_ + channel]; }
  /// Coefficients of a channel are stored as [lm][n_pad]; n sits behind `pad` zeros: element (lm, n) is
  /// c[lm * n_pad + pad + n].
  int n_pad() const { return table_.n_pad(); }
  int pad() const { return n_pad() - n_max(); }
  index_t channel_size() const { return static_cast<index_t>(n_lm()) * n_pad(); }

  /// The species of every atom as index into `species`, -1 for ignored ones.
  /// @throws std::invalid_argument naming frame, atom and element where it is unknown; or for a pair list that does
  ///         not belong to the structures or has a smaller cutoff than r_cut.
  std::vector<std::int16_t> species_of(const StructureBatch& structures, const PairList& pairs) const;

  /// The channels that `expand` will find present around a centre, ascending.
  std::vector<int> present_channels(const PairList& pairs, Span<const std::int16_t> species, index_t centre) const;

  /// What follows the expansion: nothing, `reverse`, or `pair_factors`.
  enum class Purpose { values, reverse, factors };
  /// Scratch of one thread, and the result for one centre.
  struct Workspace {
    /// Channels that are not identically zero, ascending, and their coefficients (Density::n_pad for the layout).
    int n_present = 0;
    std::vector<int> present;
    std::vector<double*> coefficients;
    /// Input of the reverse pass: dY/dc of the present channels, in the layout of the coefficients.
    std::vector<double*> adjoints;
    /// The neighbours, gathered in groups of one species (ascending; a group without neighbours is that of a centre):
    /// group g holds the group_size[g] neighbours from group_begin[g] on. For the reverse pass groups begin at multiples
    /// of the vector width, with padding between them.
    int n_groups = 0;
    std::vector<int> group_species;    ///< as index into `species`
    std::vector<index_t> group_begin;  ///< n_groups + 1
    std::vector<index_t> group_size;
    std::vector<index_t> pair;         ///< index into the pair list of a gathered neighbour, -1 for padding

   private:
    friend class Density;
    Purpose purpose = Purpose::values;
    index_t n = 0, n_padded = 0, stride = 0;  ///< gathered neighbours, up to full vectors, distance of rows
    std::vector<index_t> species_begin;
    std::vector<double*> species_coefficients;
    std::vector<double*> species_adjoints;
    Buffer<double> geometry;                   ///< x, y, z of the unit vector, r, w = f_c u, dw/dr
    Buffer<double> radial, radial_derivative;  ///< w I and its derivative, [neighbour][l][n_pad]
    Buffer<double> harmonics, harmonics_gradient;
    Buffer<double> species_memory, channel_memory, species_adjoint_memory, channel_adjoint_memory;
    Buffer<double> lanes;                      ///< radial values of a few neighbours, transposed; sums over n
  };
  Workspace make_workspace(const PairList& pairs, Purpose purpose) const;

  /// Coefficients of one centre into the workspace.
  void expand(const PairList& pairs, Span<const std::int16_t> species, index_t centre, Workspace& workspace) const;

  /// Expands centres begin .. end - 1 in parallel and calls body(workspace, scratch, centre), with one workspace and one
  /// `make_scratch()` per thread. Chunks are large enough to pay for a thread; `flops` is what body costs per centre.
  template <class MakeScratch, class Body>
  void for_each_centre(const PairList& pairs, Span<const std::int16_t> species, index_t begin, index_t end, Purpose purpose,
                       double flops, const MakeScratch& make_scratch, const Body& body) const {
    const index_t n = end - begin, n_pairs = pairs.offsets[end] - pairs.offsets[begin];
    const double pairs_per_centre = n > 0 ? static_cast<double>(n_pairs) / static_cast<double>(n) : 0;
    flops += 1e3 + 2 * pairs_per_centre * static_cast<double>(channel_size());
    const index_t chunk_size = std::clamp(static_cast<index_t>(4e5 / flops), index_t{1}, index_t{64});
    parallel_for(
        (n + chunk_size - 1) / chunk_size,
        [&] { return std::make_pair(make_workspace(pairs, purpose), make_scratch()); },
        [&](auto& state, index_t chunk) {
          const index_t last = std::min(end, begin + (chunk + 1) * chunk_size);
          for (index_t i = begin + chunk * chunk_size; i < last; ++i) {
            expand(pairs, species, i, state.first);
            body(state.first, state.second, i);
          }
        });
  }
  /// The same for all centres.
  template <class MakeScratch, class Body>
  void for_each_centre(const PairList& pairs, Span<const std::int16_t> species, Purpose purpose, double flops,
                       const MakeScratch& make_scratch, const Body& body) const {
    for_each_centre(pairs, species, 0, species.size, purpose, flops, make_scratch, body);
  }

  /// The coefficients of all centres themselves, (n_atoms, n_channels * n_lm * n_max): [channel][lm][n].
  void coefficients(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const;

  /// After `expand` with a workspace made for the reverse pass, and with workspace.adjoints filled: dY/d(vector of a
  /// pair) for every pair of the centre.
  void reverse(const PairList& pairs, index_t centre, Workspace& workspace, Vec3* gradients) const;

  /// What the gradient of the coefficients of its species with respect to the vector of gathered neighbour k is made of:
  /// dc[lm][n] / dv_a = U[l][n] u_a Y_lm + V[l][n] grad_a Y_lm, with u = v / |v| and grad the gradient on the sphere.
  struct PairFactors {
    double direction[3];      ///< u
    const double* harmonics;  ///< Y_lm is harmonics[lm * stride]; those of neighbour k + 1 lie behind
    const double* gradients;  ///< grad_a Y_lm is gradients[(3 * lm + a) * stride]
    index_t stride;
  };
  /// After `expand` with a workspace for them; writes U and V as [l][n_pad], n behind `pad` zeros.
  PairFactors pair_factors(const Workspace& workspace, index_t k, double* U, double* V) const;

 private:
  /// Doubles between the radial values of two neighbours: full cache lines.
  index_t radial_stride() const { return table_.stride(); }
  void gather(const PairList& pairs, Span<const std::int16_t> species, index_t centre, Workspace& ws) const;
  void accumulate(Workspace& ws) const;
  /// Whether the Gaussian on a centre counts for species s.
  bool has_centre(int species_of_centre, int s) const {
    return parameters_.central_weight != 0 && (s == species_of_centre || parameters_.central_in_all_species);
  }

  DensityParameters parameters_;
  int n_channels_;
  Cutoff cutoff_;
  RadialTable table_;
  SphericalHarmonics harmonics_;
  std::vector<double> central_;        ///< u0 I_n0(0) Y_00
  std::vector<std::int16_t> index_of_; ///< atomic number -> species
};

/// Adds gradients of the pairs of centres begin .. end - 1 to gradients with respect to positions (n_atoms, 3) and strain
/// (n_frames, 9), in a fixed order.
void scatter_pair_gradients(const StructureBatch& structures, const PairList& pairs, index_t begin, index_t end,
                            Span<const Vec3> pair_gradients, MatView<double> dY_dpositions, MatView<double> dY_dstrain);

}  // namespace mercer
