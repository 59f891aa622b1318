// Core, neighbour list and a model, linked from an installed copy; the model file is the argument. Exit status 0 if all
// is well.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include <mercer/core/memory.hpp>
#include <mercer/core/parallel.hpp>
#include <mercer/core/version.hpp>
#include <mercer/model/potential.hpp>
#include <mercer/neighbors/pair_list.hpp>
#include <mercer/structure/structure_batch.hpp>

namespace {

bool core_works() {
  const mercer::Buffer<double> squares(1000);
  mercer::parallel_chunks(squares.size(), 64, [&](mercer::index_t begin, mercer::index_t end) {
    for (mercer::index_t i = begin; i < end; ++i) squares[i] = static_cast<double>(i * i);
  });
  double sum = 0;
  for (const double value : squares.span()) sum += value;
  return sum == 332833500.0;
}

bool errors_arrive() {
  try {
    mercer::parallel_for(10, [](mercer::index_t) { throw std::runtime_error("from a loop"); });
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

// Simple cubic, one atom a cell: 6 neighbours at distance a, 12 at a sqrt(2).
bool neighbors_work() {
  const std::vector<double> position{0.1, 0.2, 0.3};
  const std::vector<std::int32_t> number{84};
  mercer::StructureBatch polonium;
  polonium.append({position.data(), 1, 3}, number, {{{3.35, 0, 0}, {0, 3.35, 0}, {0, 0, 3.35}}}, {true, true, true});
  const mercer::PairList pairs = mercer::build_pair_list(polonium, 5.0);
  double sum = 0;
  for (const double distance : pairs.distances.span()) sum += distance;
  return pairs.n_pairs() == 18 && std::abs(sum - 3.35 * (6 + 12 * std::sqrt(2.0))) < 1e-12;
}

// Silicon carbide, two atoms a cell: the energy that Python gives, no forces by symmetry, a virial like a pressure.
bool model_works(const char* path) {
  const mercer::Potential potential = mercer::Potential::load(path);
  const std::vector<double> positions{0, 0, 0, 1.1, 1.1, 1.1};
  const std::vector<std::int32_t> numbers{14, 6};
  const mercer::Mat3 cell{{{0, 2.2, 2.2}, {2.2, 0, 2.2}, {2.2, 2.2, 0}}};
  const auto result = potential.evaluate({positions.data(), 2, 3}, numbers, cell, {true, true, true});
  double force = 0;
  for (const mercer::Vec3& f : result.forces) force += std::abs(f[0]) + std::abs(f[1]) + std::abs(f[2]);
  const mercer::Mat3& virial = result.virial[0];
  return std::abs(result.energy[0] - -11.211546633767702) < 1e-9 && force < 1e-10 && std::abs(virial[0][0]) > 0.01 &&
         std::abs(virial[0][0] - virial[2][2]) < 1e-10;
}

bool model_errors_arrive() {
  try {
    mercer::Potential::load("/nowhere");
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::printf("mercer %s, %d threads\n", mercer::version, mercer::num_threads());
  const bool good = core_works() && errors_arrive() && neighbors_work() && model_works(argv[1]) &&
                    model_errors_arrive();
  std::puts(good ? "ok" : "FAILED");
  return good ? 0 : 1;
}
