/// The coupling W of two sets of atoms that maximises sum_ij W_ij (2 k_ij - gamma ln W_ij) with row sums a and column
/// sums b: optimal transport with entropy, W_ij = u_i exp(2 k_ij / gamma) v_j. M. Cuturi, Adv. Neural Inf. Process. Syst.
/// 26, 2292 (2013); S. De et al., Phys. Chem. Chem. Phys. 18, 13754 (2016), section 3.3.
///
/// u and v by turns (Sinkhorn's scaling), in the logarithmic domain where exp(2 k / gamma) does not fit a double. Sweeps
/// converge linearly, at small gamma slowly; where many more are to be expected, a Newton step for ln u and ln v
/// (quadratic) takes their place, and small gammas start from the solution for larger ones.
#pragma once

#include "mercer/core/array.hpp"
#include "mercer/kernels/structure_kernel.hpp"

namespace mercer {

struct CouplingOptions {
  double gamma;
  double tolerance;        ///< of sum_j |column sum_j - b_j|, while row sums are a
  index_t max_sweeps;
  bool stop_at_scalings;   ///< instead stop where |du|^2 / |u|^2 + |dv|^2 / |v|^2 <= tolerance: DScribe's rule
};

class Coupling {
 public:
  static index_t scratch_size(index_t n, index_t m);
  Coupling(const PairBlock& block, double* scratch);

  /// Computes W.
  void solve(const CouplingOptions& options, MatchStatus& status);
  /// sum_ij W_ij k_ij
  double value() const;
  /// dk = d value / dk by implicit differentiation of the conditions on row and column sums.
  void gradient(double gamma, MatView<double> dk);

 private:
  struct Linear;
  struct Logarithmic;
  template <class Domain>
  void anneal(const Domain& domain, double range, double largest, const CouplingOptions& options, MatchStatus& status);
  template <class Domain>
  void iterate(const Domain& domain, const CouplingOptions& options, index_t first_step, MatchStatus& status);
  void iterate_scalings(const Linear& domain, const CouplingOptions& options, MatchStatus& status);
  void transpose(const double* from, double padding, double* to) const;
  void solve_margins();

  index_t n_, m_, n_pad_, m_pad_;
  MatView<const double> k_;
  double *E_, *Et_;         // (n, m_pad), (m, n_pad): exp(2 k / gamma) or its logarithm, and the transpose
  double *W_, *transposed_, *scaled_;  // (n, m_pad), (m, n_pad), and either
  double *a_, *b_, *u_, *v_, *s_, *t_, *saved_, *last_step_;  // of rows n_pad, of columns m_pad: margins, scalings, products
  double *x_, *y_, *p_, *q_, *system_;           // of solve_margins: right-hand sides, solution, matrix
};

}  // namespace mercer
