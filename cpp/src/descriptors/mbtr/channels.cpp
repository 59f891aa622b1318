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

std::vector<Elements> ordered_channels(int order, int n) {
  std::vector<Elements> out{Elements{}};
  for (int t = 0; t < order; ++t) {
    std::vector<Elements> longer;
    for (Elements z : out) {
      for (z[t] = 0; z[t] < n; ++z[t]) longer.push_back(z);
    }
    out = std::move(longer);
  }
  return out;
}

}  // namespace

std::vector<Elements> all_channels(const ChannelBlock& block, int n) {
  if (!block.symmetric || block.order == 1) return ordered_channels(block.order, n);
  std::vector<Elements> out;
  if (block.order == 2) {
    for (int i = 0; i < n; ++i) {
      for (int j = i; j < n; ++j) out.push_back({i, j});
    }
  } else if (block.order == 3) {
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

Channels::Channels(const std::vector<ChannelBlock>& blocks, int n_elements, const std::vector<double>& correlation) {
  const int n_rows = correlation.empty() ? n_elements : static_cast<int>(correlation.size()) / n_elements;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const auto raw = all_channels(blocks[b], n_elements), out = all_channels(blocks[b], n_rows);
    for (const Elements& z : raw) raw_.push_back({z, static_cast<int>(b)});
    const auto n_raw = static_cast<index_t>(raw.size()), n_out = static_cast<index_t>(out.size());
    n_out_ += n_out;
    if (correlation.empty()) continue;
    MERCER_REQUIRE(n_raw * n_out <= most_mixed, "correlation: ", n_raw, " tuples of elements become ", n_out,
                   ", too many to mix; use fewer elements or a smaller k");
    const int order = blocks[b].order;
    const auto product = [&](const Elements& z, const Elements& from) {
      double p = 1;
      for (int t = 0; t < order; ++t) p *= correlation[z[t] * n_elements + from[t]];
      return p;
    };
    // A tuple of atoms counts in both of its directions; where z reads the same backwards both are the same.
    Mix mix{n_out, n_raw, {}};
    for (const Elements& z : out) {
      const Elements back = reversed(z, order);
      const bool once = !blocks[b].symmetric || back == z;
      for (const Elements& from : raw) mix.factors.push_back(product(z, from) + (once ? 0.0 : product(back, from)));
    }
    mixes_.push_back(std::move(mix));
  }
}

void Channels::forward(const double* raw, index_t n, double* row) const {
  if (!mixes()) {
    std::copy_n(raw, n_out_ * n, row);
    return;
  }
  for (const Mix& mix : mixes_) {
    std::fill_n(row, mix.n_out * n, 0.0);
    for (index_t c = 0; c < mix.n_raw; ++c, raw += n) {
      if (std::all_of(raw, raw + n, [](double x) { return x == 0; })) continue;
      for (index_t z = 0; z < mix.n_out; ++z) {
        const double factor = mix.factors[z * mix.n_raw + c];
        for (index_t b = 0; b < n; ++b) row[z * n + b] += factor * raw[b];
      }
    }
    row += mix.n_out * n;
  }
}

void Channels::backward(const double* row, index_t n, double* raw) const {
  if (!mixes()) {
    std::copy_n(row, n_out_ * n, raw);
    return;
  }
  for (const Mix& mix : mixes_) {
    std::fill_n(raw, mix.n_raw * n, 0.0);
    for (index_t c = 0; c < mix.n_raw; ++c, raw += n) {
      for (index_t z = 0; z < mix.n_out; ++z) {
        const double factor = mix.factors[z * mix.n_raw + c];
        for (index_t b = 0; b < n; ++b) raw[b] += factor * row[z * n + b];
      }
    }
    row += mix.n_out * n;
  }
}

}  // namespace mercer::mbtr
