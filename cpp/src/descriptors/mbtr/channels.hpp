/// Tuples of elements: the channels of a tensor.
#pragma once

#include <array>
#include <vector>

#include "mercer/core/array.hpp"

namespace mercer::mbtr {

/// Elements of a tuple along its chain, as indices; places behind the last are 0.
using Elements = std::array<int, 4>;

/// A run of channels: all tuples of `order` elements, where `symmetric` only those that differ by more than the direction
/// in which they are read (in the order of `Mbtr`); else in lexicographic order.
struct ChannelBlock {
  int order;
  bool symmetric;
};

std::vector<Elements> all_channels(const ChannelBlock& block, int n_elements);

/// Channels before and after the correlation of elements: f(z) = sum_Z prod_t C(z_t, Z_t) f(Z).
class Channels {
 public:
  /// correlation (n_out, n_elements), or empty for the unit matrix.
  Channels(const std::vector<ChannelBlock>& blocks, int n_elements, const std::vector<double>& correlation);

  struct Channel {
    Elements z;
    int block;
  };
  const std::vector<Channel>& raw() const { return raw_; }
  index_t n_raw() const { return static_cast<index_t>(raw_.size()); }
  index_t n_out() const { return n_out_; }
  bool mixes() const { return !mixes_.empty(); }
  /// row (n_out, n) = matrix times raw (n_raw, n).
  void forward(const double* raw, index_t n, double* row) const;
  /// raw (n_raw, n) = transposed matrix times row (n_out, n).
  void backward(const double* row, index_t n, double* raw) const;

 private:
  /// The matrix of one block.
  struct Mix {
    index_t n_out, n_raw;
    std::vector<double> factors;  ///< (n_out, n_raw)
  };
  std::vector<Channel> raw_;
  index_t n_out_ = 0;
  std::vector<Mix> mixes_;  ///< none: unit matrix
};

}  // namespace mercer::mbtr
