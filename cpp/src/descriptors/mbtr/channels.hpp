/// Tuples of elements: the channels of a tensor.
#pragma once

#include <array>
#include <vector>

#include "mercer/core/array.hpp"

namespace mercer::mbtr {

/// Elements of a tuple along its chain, as indices; places behind the last atom are 0.
using Elements = std::array<int, 4>;

/// All tuples of k elements that differ by more than the direction in which they are read, in the order of `Mbtr`.
std::vector<Elements> all_channels(int order, int n_elements);

/// Channels before and after the correlation of elements: f(z) = sum_Z prod_t C(z_t, Z_t) f(Z).
class Channels {
 public:
  /// correlation (n_out, n_in), or empty for the unit matrix.
  Channels(int order, int n_elements, const std::vector<double>& correlation);

  const std::vector<Elements>& raw() const { return raw_; }
  index_t n_out() const { return n_out_; }
  bool mixes() const { return !mix_.empty(); }
  /// row (n_out, n) = matrix times raw (n_raw, n).
  void forward(const double* raw, index_t n, double* row) const;
  /// raw (n_raw, n) = transposed matrix times row (n_out, n).
  void backward(const double* row, index_t n, double* raw) const;

 private:
  std::vector<Elements> raw_;
  index_t n_out_;
  std::vector<double> mix_;  ///< (n_out, n_raw); empty: unit matrix
};

}  // namespace mercer::mbtr
