#include "mercer/descriptors/bag_of_bonds.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "mercer/core/error.hpp"
#include "mercer/descriptors/atom_matrix.hpp"

namespace mercer {

BagOfBonds::BagOfBonds(std::vector<std::int32_t> species, std::vector<int> max_atoms, bool diagonal,
                       const std::string& unit)
    : max_atoms_(std::move(max_atoms)), diagonal_(diagonal), length_(length_unit(unit)) {
  const auto n = static_cast<index_t>(species.size());
  MERCER_REQUIRE(n > 0 && max_atoms_.size() == species.size(), "BagOfBonds: ", species.size(), " species and ",
                 max_atoms_.size(), " numbers of atoms, expected as many of both, at least one");
  species_index_.fill(-1);
  for (index_t k = 0; k < n; ++k) {
    MERCER_REQUIRE(species[k] > 0 && species[k] < 128 && (k == 0 || species[k] > species[k - 1]),
                   "BagOfBonds: species has ", species[k], ", expected rising atomic numbers");
    MERCER_REQUIRE(max_atoms_[k] > 0 && max_atoms_[k] <= 1000000, "BagOfBonds: room for ", max_atoms_[k],
                   " atoms of element ", species[k], ", expected 1 to 1000000");
    species_index_[species[k]] = static_cast<int>(k);
  }
  columns_ = {0};
  for (index_t a = 0; diagonal && a < n; ++a) columns_.push_back(columns_.back() + max_atoms_[a]);
  bags_.resize(n * n);
  for (index_t a = 0; a < n; ++a) {
    for (index_t b = a; b < n; ++b) {
      bags_[a * n + b] = bags_[b * n + a] = static_cast<index_t>(columns_.size()) - 1;
      const index_t m = max_atoms_[a];
      columns_.push_back(columns_.back() + (a == b ? m * (m - 1) / 2 : m * max_atoms_[b]));
    }
  }
  MERCER_REQUIRE(n_features() > 0, "BagOfBonds: no room for any bond; give the numbers of atoms of the largest structure");
}

double BagOfBonds::cutoff() const { return std::numeric_limits<double>::infinity(); }

void BagOfBonds::transform(const StructureBatch& structures, const PairList& pairs, MatView<double> out) const {
  const auto n_species = static_cast<index_t>(max_atoms_.size());
  for_each_frame(
      structures, [] { return std::vector<index_t>(); },
      [&](std::vector<index_t>& ends, index_t f) {  // of what the bags hold so far
        double* row = out.row(f);
        std::fill_n(row, n_features(), 0.0);
        ends.assign(columns_.begin(), columns_.end() - 1);
        const index_t first = structures.offsets[f], last = structures.offsets[f + 1];
        std::vector<int> counts(n_species, 0);
        for (index_t i = first; i < last; ++i) {
          const std::int32_t Z = structures.numbers[i];
          const int a = Z >= 0 && Z < 128 ? species_index_[Z] : -1;
          MERCER_REQUIRE(a >= 0, "frame ", f, ": atom ", i - first, " is of element ", Z,
                         ", which BagOfBonds does not know; add it to max_atoms");
          if (++counts[a] > max_atoms_[a]) {
            const auto all = std::count(structures.numbers.begin() + first, structures.numbers.begin() + last, Z);
            MERCER_REQUIRE(false, "frame ", f, ": has ", all, " atoms of element ", Z, ", but BagOfBonds has room for ",
                           max_atoms_[a], "; set max_atoms to the numbers of atoms of the largest structures");
          }
          if (diagonal_) row[ends[a]++] = coulomb_diagonal(Z);
        }
        for (index_t i = first; i < last; ++i) {
          const std::int32_t Z = structures.numbers[i];
          for (index_t p = pairs.offsets[i]; p < pairs.offsets[i + 1]; ++p) {
            const index_t j = pairs.neighbors[p];
            if (j <= i) continue;
            const index_t bag = bags_[species_index_[Z] * n_species + species_index_[structures.numbers[j]]];
            row[ends[bag]++] = length_ * Z * structures.numbers[j] / pairs.distances[p];
          }
        }
        for (std::size_t bag = 0; bag < ends.size(); ++bag) {
          std::sort(row + columns_[bag], row + ends[bag], std::greater<double>());
        }
      });
}

void BagOfBonds::vjp(const StructureBatch&, const PairList&, MatView<const double>, MatView<double>,
                     MatView<double>) const {
  require_differentiable("BagOfBonds");
}

void BagOfBonds::gradients(const StructureBatch&, const PairList&, MatView<double>) const {
  require_differentiable("BagOfBonds");
}

}  // namespace mercer
