#include "channels.hpp"

#include <algorithm>

#include "mercer/core/error.hpp"

namespace mercer::mbtr {
namespace {

constexpr index_t most_mixed = 1 << 24;

Elements reversed(const Elements& z, int order) {
  Elements r = z;
  std::reverse(r.begin(), r.begin() + order);
  return r;
}

}  // namespace

std::vector<Elements> all_channels(int order, int n) {
  std::vector<Elements> out;
  if (order == 1) {
    for (int i = 0; i < n; ++i) out.push_back({i});
  } else if (order == 2) {
    for (int i = 0; i < n; ++i) {
      for (int j = i; j < n; ++j) out.push_back({i, j});
    }
  } else if (order == 3) {
    for (int j = 0; j < n; ++j) {
      for (int i = 0; i < n; ++i) {
        for (int k = i; k < n; ++k) out.push_back({i, j, k});
      }
    }
  } else {
    for (int j = 0; j < n; ++j) {
      for (int k = j; k < n; ++k) {
        for (int i = 0; i < n; ++i) {
          for (int l = j == k ? i : 0; l < n; ++l) out.push_back({i, j, k, l});
        }
      }
    }
  }
  return out;
}

Channels::Channels(int order, int n_elements, const std::vector<double>& correlation)
    : raw_(all_channels(order, n_elements)), n_out_(static_cast<index_t>(raw_.size())) {
  if (correlation.empty()) return;
  const auto n_rows = static_cast<int>(correlation.size()) / n_elements;
  const auto out = all_channels(order, n_rows);
  const auto n_raw = static_cast<index_t>(raw_.size());
  n_out_ = static_cast<index_t>(out.size());
  MERCER_REQUIRE(n_raw * n_out_ <= most_mixed, "correlation: ", n_raw, " tuples of elements become ", n_out_,
                 ", too many to mix; use fewer elements or a smaller k");
  const auto product = [&](const Elements& z, const Elements& raw) {
    double p = 1;
    for (int t = 0; t < order; ++t) p *= correlation[z[t] * n_elements + raw[t]];
    return p;
  };
  // A tuple of atoms counts in both of its directions; where z reads the same backwards both are the same.
  for (const Elements& z : out) {
    const Elements back = reversed(z, order);
    for (const Elements& raw : raw_) mix_.push_back(product(z, raw) + (back == z ? 0.0 : product(back, raw)));
  }
}

void Channels::forward(const double* raw, index_t n, double* row) const {
  const auto n_raw = static_cast<index_t>(raw_.size());
  if (!mixes()) {
    std::copy_n(raw, n_raw * n, row);
    return;
  }
  std::fill_n(row, n_out_ * n, 0.0);
  for (index_t c = 0; c < n_raw; ++c) {
    const double* from = raw + c * n;
    if (std::all_of(from, from + n, [](double x) { return x == 0; })) continue;
    for (index_t z = 0; z < n_out_; ++z) {
      const double factor = mix_[z * n_raw + c];
      if (factor == 0) continue;
      for (index_t b = 0; b < n; ++b) row[z * n + b] += factor * from[b];
    }
  }
}

void Channels::backward(const double* row, index_t n, double* raw) const {
  const auto n_raw = static_cast<index_t>(raw_.size());
  if (!mixes()) {
    std::copy_n(row, n_raw * n, raw);
    return;
  }
  std::fill_n(raw, n_raw * n, 0.0);
  for (index_t c = 0; c < n_raw; ++c) {
    for (index_t z = 0; z < n_out_; ++z) {
      const double factor = mix_[z * n_raw + c];
      if (factor == 0) continue;
      for (index_t b = 0; b < n; ++b) raw[c * n + b] += factor * row[z * n + b];
    }
  }
}

}  // namespace mercer::mbtr
