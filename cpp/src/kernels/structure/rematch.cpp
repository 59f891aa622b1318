#include "kernels/kernel_base.hpp"
#include "kernels/structure/coupling.hpp"

namespace mercer {
namespace {

/// K = sum_ij W_ij k_ij with the coupling W. Rows whose weights are 1 have margins 1 / n.
class Rematch final : public Matching {
 public:
  explicit Rematch(const CouplingOptions& options) : options_(options) {}

  index_t scratch_size(index_t n, index_t m) const override { return Coupling::scratch_size(n, m); }
  double cost() const override { return 200; }

  double value(const PairBlock& block, double* scratch, MatchStatus& status) const override {
    Coupling coupling(block, scratch);
    coupling.solve(options_, status);
    return coupling.value();
  }

  double gradient(const PairBlock& block, MatView<double> dk, double* scratch, MatchStatus& status) const override {
    Coupling coupling(block, scratch);
    coupling.solve(options_, status);
    coupling.gradient(options_.gamma, dk);
    return coupling.value();
  }

 private:
  CouplingOptions options_;
};

}  // namespace

std::unique_ptr<Matching> make_rematch(const KernelParameters& parameters) {
  return std::make_unique<Rematch>(CouplingOptions{
      positive_parameter(parameters, "rematch", "gamma"), positive_parameter(parameters, "rematch", "tolerance"),
      static_cast<index_t>(positive_parameter(parameters, "rematch", "max_sweeps")),
      parameters.at("stop_at_scalings") != 0});
}

}  // namespace mercer
