#include "kernels/structure/coupling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "mercer/core/simd.hpp"
#include "mercer/math/vector_exp.hpp"

namespace mercer {
namespace {

/// exp(-range) and its inverse stay far from the limits of a double.
constexpr double largest_range = 300;
/// Of 2 k / gamma, where a few sweeps from nothing converge; smaller gammas start from the result of twice themselves,
/// found to this tolerance.
constexpr double easy_range = 16, rough_tolerance = 1e-3;
/// A Newton step costs about as much as this many sweeps, which is also how often the rate is looked at.
constexpr index_t newton_cost = 24;
/// Of ln u in the first Newton step; less after steps that went too far.
constexpr double largest_step = 20;
/// Links between blocks of W that are too weak to count: always, and where a block is balanced to rounding.
constexpr double smallest_pivot = 1e-280, weak_pivot = 1e-12, rounding = 1e-15;

index_t padded(index_t n) { return (n + block_padding - 1) / block_padding * block_padding; }

template <int V>
void multiply_strip(const double* E, index_t rows, index_t stride, const double* x, double* out) {
  constexpr int unroll = V > 2 ? 2 : 4;  // enough independent sums to hide the latency of multiply-adds
  simd::Vector sums[unroll][V] = {};
  index_t i = 0;
  for (; i + unroll <= rows; i += unroll) {
#pragma GCC unroll 4
    for (int r = 0; r < unroll; ++r) {
      const double factor = x[i + r];
      const double* row = E + (i + r) * stride;
#pragma GCC unroll 4
      for (int c = 0; c < V; ++c) sums[r][c] += factor * simd::load(row + c * simd::width);
    }
  }
  for (; i < rows; ++i) {
#pragma GCC unroll 4
    for (int c = 0; c < V; ++c) sums[0][c] += x[i] * simd::load(E + i * stride + c * simd::width);
  }
#pragma GCC unroll 4
  for (int c = 0; c < V; ++c) {
    simd::Vector sum = sums[0][c];
#pragma GCC unroll 4
    for (int r = 1; r < unroll; ++r) sum += sums[r][c];
    simd::store(out + c * simd::width, sum);
  }
}

/// out_j = sum_i x_i E_ij for all `stride` columns.
void multiply_columns(const double* E, index_t rows, index_t stride, const double* x, double* out) {
  index_t left = stride / simd::width;
  for (; left >= 4; left -= 4, E += 4 * simd::width, out += 4 * simd::width) multiply_strip<4>(E, rows, stride, x, out);
  if (left == 3) multiply_strip<3>(E, rows, stride, x, out);
  if (left == 2) multiply_strip<2>(E, rows, stride, x, out);
  if (left == 1) multiply_strip<1>(E, rows, stride, x, out);
}

/// out_j = ln sum_i exp(z_ij + x_i); `largest` is scratch.
void log_sum_columns(const double* z, index_t rows, index_t stride, const double* x, double* largest, double* out) {
  std::fill_n(largest, stride, -std::numeric_limits<double>::infinity());
  for (index_t i = 0; i < rows; ++i) {
    for (index_t j = 0; j < stride; ++j) largest[j] = std::max(largest[j], z[i * stride + j] + x[i]);
  }
  std::fill_n(out, stride, 0.0);
  for (index_t i = 0; i < rows; ++i) {
    for (index_t j = 0; j < stride; ++j) out[j] += vector_exp(z[i * stride + j] + x[i] - largest[j]);
  }
  for (index_t j = 0; j < stride; ++j) out[j] = largest[j] + std::log(out[j]);
}

/// |x - y|^2 / |x|^2
double relative_change(const double* x, const double* y, index_t n) {
  double change = 0, norm = 0;
  for (index_t i = 0; i < n; ++i) {
    change += (x[i] - y[i]) * (x[i] - y[i]);
    norm += x[i] * x[i];
  }
  return change / norm;
}

/// When sweeps give way to a Newton step: where, at the rate of the last ones, more of them are left than one costs.
class Pace {
 public:
  explicit Pace(index_t first_step) : next_(first_step) {}
  bool newton_pays(index_t sweep, double error, double tolerance) {
    if (sweep < next_) return false;
    const double decay = std::log(error / last_error_) / static_cast<double>(sweep - last_sweep_);
    const bool soon = decay < 0 && std::log(tolerance / error) > newton_cost * decay;
    remember(sweep, error);
    next_ = sweep + wait_;
    return wait_ == 1 || !soon;
  }
  /// After a step, which is followed at once by another one if it was good.
  void judge(index_t sweep, double error, bool good) {
    wait_ = good ? 1 : std::min<index_t>(2 * wait_ + newton_cost / 2, 1000);
    next_ = good ? sweep : sweep + wait_;
    remember(sweep, error);
  }

 private:
  void remember(index_t sweep, double error) {
    last_error_ = error;
    last_sweep_ = sweep;
  }

  double last_error_ = 2;
  index_t last_sweep_ = 0, wait_ = newton_cost / 2, next_;
};

}  // namespace

index_t Coupling::scratch_size(index_t n, index_t m) {
  const index_t np = padded(n), mp = padded(m), least = padded(std::min(n, m));
  return 2 * n * mp + 2 * m * np + std::max(n * mp, m * np) + 7 * np + 5 * mp + least * least;
}

Coupling::Coupling(const PairBlock& block, double* scratch)
    : n_(block.k.rows), m_(block.k.cols), n_pad_(padded(n_)), m_pad_(padded(m_)), k_(block.k) {
  const auto take = [&](index_t size) {
    double* const memory = scratch;
    scratch += size;
    return memory;
  };
  E_ = take(n_ * m_pad_);
  Et_ = take(m_ * n_pad_);
  W_ = take(n_ * m_pad_);
  transposed_ = take(m_ * n_pad_);
  scaled_ = take(std::max(n_ * m_pad_, m_ * n_pad_));
  for (double** vector : {&a_, &u_, &s_, &p_, &x_, &saved_, &last_step_}) *vector = take(n_pad_);
  for (double** vector : {&b_, &v_, &t_, &q_, &y_}) *vector = take(m_pad_);
  system_ = take(padded(std::min(n_, m_)) * padded(std::min(n_, m_)));
  const auto margin = [](const double* weights, index_t n, index_t n_pad, double* out) {
    const double total = std::accumulate(weights, weights + n, 0.0);
    for (index_t i = 0; i < n; ++i) out[i] = weights[i] / total;
    std::fill(out + n, out + n_pad, 0.0);
  };
  margin(block.x_weights, n_, n_pad_, a_);
  margin(block.y_weights, m_, m_pad_, b_);
}

void Coupling::transpose(const double* from, double padding, double* to) const {
  for (index_t j = 0; j < m_; ++j) {
    double* row = to + j * n_pad_;
    for (index_t i = 0; i < n_; ++i) row[i] = from[i * m_pad_ + j];
    std::fill(row + n_, row + n_pad_, padding);
  }
}

/// E = exp(rate (k - largest)); u and v themselves. Padding: columns and rows of weight 0.
struct Coupling::Linear {
  Coupling& c;

  explicit Linear(Coupling& coupling) : c(coupling) {
    std::copy_n(c.a_, c.n_pad_, c.u_);
    std::copy_n(c.b_, c.m_pad_, c.v_);
  }
  void set_rate(double rate, double largest) const {
    for (index_t i = 0; i < c.n_; ++i) {
      double* row = c.E_ + i * c.m_pad_;
      for (index_t j = 0; j < c.m_; ++j) row[j] = vector_exp(rate * (c.k_(i, j) - largest));
      std::fill(row + c.m_, row + c.m_pad_, 1.0);
    }
    c.transpose(c.E_, 1.0, c.Et_);
  }
  /// u for twice the rate, near the solution if it was the solution.
  void double_rate() const {
    for (index_t i = 0; i < c.n_pad_; ++i) c.u_[i] *= c.u_[i];
  }
  /// t of u, what v follows from.
  void columns() const { multiply_columns(c.E_, c.n_, c.m_pad_, c.u_, c.t_); }
  /// sum_j |column sum_j - b_j| of the last u and the v before it.
  double error() const {
    double sum = 0;
    for (index_t j = 0; j < c.m_; ++j) sum += std::abs(c.v_[j] * c.t_[j] - c.b_[j]);
    return sum;
  }
  /// v and then u, so that row sums are a.
  void update() const {
    for (index_t j = 0; j < c.m_pad_; ++j) c.v_[j] = c.b_[j] / c.t_[j];
    multiply_columns(c.Et_, c.m_, c.n_pad_, c.v_, c.s_);
    for (index_t i = 0; i < c.n_pad_; ++i) c.u_[i] = c.a_[i] / c.s_[i];
  }
  /// Multiplies u by exp(p).
  void step() const {
    for (index_t i = 0; i < c.n_pad_; ++i) c.u_[i] *= vector_exp(c.p_[i]);
  }
  void couple() const {
    for (index_t i = 0; i < c.n_; ++i) {
      const index_t row = i * c.m_pad_;
      for (index_t j = 0; j < c.m_pad_; ++j) c.W_[row + j] = c.u_[i] * c.E_[row + j] * c.v_[j];
    }
  }
};

/// E = rate (k - largest); the logarithms of u and v, and of t.
struct Coupling::Logarithmic {
  Coupling& c;

  explicit Logarithmic(Coupling& coupling) : c(coupling) {
    std::fill_n(c.u_, c.n_pad_, 0.0);
    std::fill_n(c.v_, c.m_pad_, 0.0);
  }
  void set_rate(double rate, double largest) const {
    for (index_t i = 0; i < c.n_; ++i) {
      double* row = c.E_ + i * c.m_pad_;
      for (index_t j = 0; j < c.m_; ++j) row[j] = rate * (c.k_(i, j) - largest);
      std::fill(row + c.m_, row + c.m_pad_, 0.0);
    }
    c.transpose(c.E_, 0.0, c.Et_);
  }
  void double_rate() const {
    for (index_t i = 0; i < c.n_; ++i) c.u_[i] *= 2;
  }
  void columns() const { log_sum_columns(c.E_, c.n_, c.m_pad_, c.u_, c.y_, c.t_); }
  double error() const {
    double sum = 0;
    for (index_t j = 0; j < c.m_; ++j) sum += std::abs(vector_exp(c.v_[j] + c.t_[j]) - c.b_[j]);
    return sum;
  }
  void update() const {
    for (index_t j = 0; j < c.m_pad_; ++j) c.v_[j] = std::log(c.b_[j]) - c.t_[j];
    log_sum_columns(c.Et_, c.m_, c.n_pad_, c.v_, c.x_, c.s_);
    for (index_t i = 0; i < c.n_pad_; ++i) c.u_[i] = std::log(c.a_[i]) - c.s_[i];
  }
  void step() const {
    for (index_t i = 0; i < c.n_; ++i) c.u_[i] += c.p_[i];
  }
  void couple() const {
    for (index_t i = 0; i < c.n_; ++i) {
      const index_t row = i * c.m_pad_;
      for (index_t j = 0; j < c.m_pad_; ++j) c.W_[row + j] = vector_exp(c.E_[row + j] + c.u_[i] + c.v_[j]);
    }
  }
};

/// From a large gamma, whose u is easily found, to the one that is wanted, halving it.
template <class Domain>
void Coupling::anneal(const Domain& domain, double range, double largest, const CouplingOptions& options,
                      MatchStatus& status) {
  double rate = 2 / options.gamma;
  index_t halvings = 0;
  for (; rate * range > easy_range; rate *= 0.5) ++halvings;
  CouplingOptions rough = options;
  rough.tolerance = std::max(options.tolerance, rough_tolerance);
  rough.max_sweeps = std::min<index_t>(options.max_sweeps, 100);
  index_t first_step = newton_cost / 2;
  for (; halvings > 0; --halvings, rate *= 2, first_step = 2) {
    MatchStatus ignored;
    domain.set_rate(rate, largest);
    iterate(domain, rough, first_step, ignored);
    status.sweeps += ignored.sweeps;
    domain.double_rate();
  }
  domain.set_rate(rate, largest);
  iterate(domain, options, first_step, status);
  domain.couple();
}

template <class Domain>
void Coupling::iterate(const Domain& domain, const CouplingOptions& options, index_t first_step, MatchStatus& status) {
  domain.columns();
  Pace pace(first_step);
  double error = 0, error_before = 0, limit = largest_step;
  std::fill_n(last_step_, n_pad_, 0.0);
  bool stepped = false, cut = false;
  for (index_t sweep = 1;; ++sweep) {
    domain.update();
    ++status.sweeps;
    domain.columns();
    error = domain.error();
    if (!(error > options.tolerance)) break;
    if (stepped) {
      // a step that was cut short may change little: it moves blocks of W towards each other until they are linked
      pace.judge(sweep, error, error < 0.6 * error_before || (cut && error <= error_before * 1.01));
      stepped = false;
      if (!(error <= error_before * 1.01)) {  // back to u before the step
        std::copy_n(saved_, n_pad_, u_);
        domain.columns();
        limit = std::max(0.5 * limit, 1.0);
        continue;
      }
    }
    if (sweep >= options.max_sweeps) {
      ++status.unconverged;
      status.error = std::max(status.error, error);
      break;
    }
    if (!pace.newton_pays(sweep, error, options.tolerance)) continue;
    // the Jacobian of row and column sums with respect to ln u and ln v is the matrix of solve_margins
    domain.couple();
    std::copy_n(u_, n_pad_, saved_);
    std::fill_n(x_, n_pad_, 0.0);
    for (index_t j = 0; j < m_pad_; ++j) {
      double sum = 0;
      for (index_t i = 0; i < n_; ++i) sum += W_[i * m_pad_ + j];
      y_[j] = b_[j] - sum;
    }
    solve_margins();
    if (simd::dot(p_, last_step_, n_pad_) < 0) limit = std::max(0.5 * limit, 1.0);  // the last one went too far
    cut = false;
    for (index_t i = 0; i < n_pad_; ++i) {
      cut |= !(std::abs(p_[i]) <= limit);
      last_step_[i] = p_[i] = std::clamp(p_[i], -limit, limit);
    }
    domain.step();
    domain.columns();
    error_before = error;
    stepped = true;
  }
}

/// The same number of sweeps as DScribe: its test is left out in every fifth sweep, counted from 0.
void Coupling::iterate_scalings(const Linear& domain, const CouplingOptions& options, MatchStatus& status) {
  for (index_t sweep = 0;; ++sweep) {
    std::copy_n(u_, n_pad_, saved_);
    std::copy_n(v_, m_pad_, y_);
    domain.columns();
    domain.update();
    ++status.sweeps;
    if (sweep % 5 == 0) continue;
    const double change = relative_change(u_, saved_, n_) + relative_change(v_, y_, m_);
    if (!(change > options.tolerance)) break;
    if (sweep >= options.max_sweeps) {
      ++status.unconverged;
      status.error = std::max(status.error, change);
      break;
    }
  }
  domain.couple();
}

void Coupling::solve(const CouplingOptions& options, MatchStatus& status) {
  double least = k_(0, 0), largest = least;
  for (index_t i = 0; i < n_; ++i) {
    for (index_t j = 0; j < m_; ++j) {
      least = std::min(least, k_(i, j));
      largest = std::max(largest, k_(i, j));
    }
  }
  const double rate = 2 / options.gamma, range = largest - least;
  if (rate * range > largest_range) {
    anneal(Logarithmic(*this), range, largest, options, status);
  } else if (options.stop_at_scalings) {
    const Linear domain(*this);
    domain.set_rate(rate, largest);
    iterate_scalings(domain, options, status);
  } else {
    anneal(Linear(*this), range, largest, options, status);
  }
}

double Coupling::value() const {
  double sum = 0;
  for (index_t i = 0; i < n_; ++i) sum += simd::dot(W_ + i * m_pad_, k_.row(i), m_);
  return sum;
}

/// Solves (diag(r) W; W^T diag(c)) (p; q) = (x; y), with r and c the row and column sums of W: p by the Schur complement
/// T = diag(r) - W diag(1 / c) W^T if there are fewer rows than columns, else q in the same way. Vectors (1, -1) are in
/// the kernel of the matrix: the last p (or q) is 0, and so is any other that a block of W without links to the rest
/// leaves undetermined.
///
/// T is the Laplacian of a graph: elements beside the diagonal are negative and rows add up to 0, also after a row has
/// been eliminated. Pivots as sums of these elements involve no subtraction (W. Grassmann, M. Taksar and D. Heyman, Oper.
/// Res. 33, 1107 (1985)), so that weak links between blocks, which small gammas bring, keep all their digits.
void Coupling::solve_margins() {
  const bool by_rows = n_ <= m_;
  const index_t n = by_rows ? n_ : m_, stride = by_rows ? m_pad_ : n_pad_, m = by_rows ? m_ : n_, ld = padded(n);
  const double* M = W_;
  if (!by_rows) {
    transpose(W_, 0.0, transposed_);
    M = transposed_;
  }
  double *x = by_rows ? x_ : y_, *y = by_rows ? y_ : x_, *p = by_rows ? p_ : q_, *q = by_rows ? q_ : p_;
  double* const c = by_rows ? t_ : s_;  // 1 / column sum
  std::fill_n(c, stride, 0.0);
  for (index_t i = 0; i < n; ++i) {
    for (index_t j = 0; j < stride; ++j) c[j] += M[i * stride + j];
  }
  for (index_t j = 0; j < stride; ++j) {
    c[j] = j < m && c[j] > 0 ? 1 / c[j] : 0;
    y[j] *= c[j];
  }
  for (index_t i = 0; i < n; ++i) {
    for (index_t j = 0; j < stride; ++j) scaled_[i * stride + j] = M[i * stride + j] * c[j];
  }
  for (index_t i = 0; i < n; ++i) {  // -T, above the diagonal
    for (index_t j = i + 1; j < n; ++j) {
      system_[i * ld + j] = simd::dot(M + i * stride, scaled_ + j * stride, stride);
    }
    p[i] = x[i] - simd::dot(M + i * stride, y, stride);
  }
  for (index_t i = 0; i + 1 < n; ++i) {
    double* row = system_ + i * ld;
    const double pivot = std::accumulate(row + i + 1, row + n, 0.0);
    const bool linked = pivot > smallest_pivot && (pivot > weak_pivot || std::abs(p[i]) > rounding);
    row[i] = linked ? 1 / pivot : 0;
    p[i] *= row[i];
    for (index_t j = i + 1; j < n; ++j) {
      const double factor = row[j] * row[i];
      double* other = system_ + j * ld;
      for (index_t k = j + 1; k < n; ++k) other[k] += factor * row[k];
      p[j] += row[j] * p[i];
    }
  }
  std::fill(p + n - 1, p + ld, 0.0);
  for (index_t i = n - 2; i >= 0; --i) {
    const double* row = system_ + i * ld;
    double sum = 0;
    for (index_t j = i + 1; j < n; ++j) sum += row[j] * p[j];
    p[i] += row[i] * sum;
  }
  std::copy_n(y, stride, q);
  for (index_t i = 0; i < n; ++i) {
    for (index_t j = 0; j < stride; ++j) q[j] -= scaled_[i * stride + j] * p[i];
  }
}

/// dk_ij = W_ij (1 + 2 / gamma (k_ij - p_i - q_j)), where p and q solve the system above for the row and column sums of
/// W_ij k_ij.
void Coupling::gradient(double gamma, MatView<double> dk) {
  std::fill_n(y_, m_pad_, 0.0);
  std::fill_n(x_, n_pad_, 0.0);
  for (index_t i = 0; i < n_; ++i) {
    const double *w = W_ + i * m_pad_, *k = k_.row(i);
    x_[i] = simd::dot(w, k, m_);
    for (index_t j = 0; j < m_; ++j) y_[j] += w[j] * k[j];
  }
  solve_margins();
  const double rate = 2 / gamma;
  for (index_t i = 0; i < n_; ++i) {
    for (index_t j = 0; j < m_; ++j) dk(i, j) = W_[i * m_pad_ + j] * (1 + rate * (k_(i, j) - p_[i] - q_[j]));
  }
}

}  // namespace mercer
