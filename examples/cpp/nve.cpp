/// Molecular dynamics at constant energy with a fitted potential: no Python at run time.
///
///     nve model.mercer start.extxyz --steps 1000 --timestep 1.0 --temperature 300
///
/// writes <prefix>.extxyz (structures with momenta and forces) and <prefix>.csv (energies of every step), and prints
/// the drift of the total energy and the time per atom and step. Units are those of ASE: eV, Angstrom, u; so time is in
/// Angstrom sqrt(u / eV) inside and in fs outside.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <mercer/core/parallel.hpp>
#include <mercer/core/version.hpp>
#include <mercer/model/potential.hpp>
#include <mercer/neighbors/verlet_list.hpp>

#include "extxyz.hpp"

namespace {

using mercer::Vec3;

// CODATA 2014, as in ASE.
constexpr double femtosecond = 0.09822694788464063;     // Angstrom sqrt(u / eV)
constexpr double boltzmann = 8.617330337217213e-05;     // eV / K

struct Options {
  std::string model, start, prefix = "nve";
  long steps = 1000, every = 10;
  double timestep = 1.0;      // fs
  double temperature = -1.0;  // K; below 0: the momenta of the file
  double skin = 0.5;          // Angstrom
  unsigned long seed = 0;
};

const char* const usage =
    "usage: nve MODEL START [options]\n"
    "  MODEL            a file that mercer saved\n"
    "  START            extended XYZ; its first frame is taken\n"
    "  --steps N        1000\n"
    "  --timestep FS    1.0\n"
    "  --temperature K  draw velocities of this temperature; by default the file's momenta are used\n"
    "  --seed N         0, of the velocities\n"
    "  --skin A         0.5, how far the neighbour list reaches beyond the cutoff\n"
    "  --every N        10, steps from one written structure to the next\n"
    "  -o PREFIX        nve\n";

Options parse(int argc, char** argv) {
  Options options;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "-h" || name == "--help") {
      std::cout << usage;
      std::exit(0);
    }
    if (name[0] != '-') {
      files.push_back(name);
      continue;
    }
    if (i + 1 == argc) throw std::runtime_error(name + " needs a value\n" + usage);
    const std::string value = argv[++i];
    const auto number = [&](double least) {
      const double x = example::to_double(value);
      if (!(x >= least && std::isfinite(x))) throw std::runtime_error(name + " " + value + ": too small");
      return x;
    };
    if (name == "--steps") options.steps = static_cast<long>(number(0));
    else if (name == "--every") options.every = static_cast<long>(number(1));
    else if (name == "--timestep") options.timestep = number(1e-9);
    else if (name == "--temperature") options.temperature = number(0);
    else if (name == "--skin") options.skin = number(0);
    else if (name == "--seed") options.seed = static_cast<unsigned long>(number(0));
    else if (name == "-o") options.prefix = value;
    else throw std::runtime_error("unknown option " + name + "\n" + usage);
  }
  if (files.size() != 2) throw std::runtime_error(usage);
  options.model = files[0];
  options.start = files[1];
  return options;
}

double kinetic_energy(const std::vector<Vec3>& momenta, const std::vector<double>& masses) {
  double energy = 0;
  for (std::size_t i = 0; i < masses.size(); ++i) {
    const Vec3& p = momenta[i];
    energy += (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) / (2 * masses[i]);
  }
  return energy;
}

/// Momenta of the Maxwell-Boltzmann distribution, scaled to exactly this temperature, then the centre of mass at rest.
std::vector<Vec3> draw_momenta(const std::vector<double>& masses, double temperature, unsigned long seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<Vec3> momenta(masses.size());
  for (std::size_t i = 0; i < masses.size(); ++i) {
    for (double& p : momenta[i]) p = std::sqrt(masses[i] * boltzmann * temperature) * normal(random);
  }
  const double drawn = kinetic_energy(momenta, masses);
  const double scale = drawn > 0 ? std::sqrt(1.5 * masses.size() * boltzmann * temperature / drawn) : 0;
  double mass = 0;
  Vec3 total{};
  for (std::size_t i = 0; i < masses.size(); ++i) {
    mass += masses[i];
    for (int a = 0; a < 3; ++a) total[a] += momenta[i][a] *= scale;
  }
  if (masses.size() > 1) {
    for (std::size_t i = 0; i < masses.size(); ++i) {
      for (int a = 0; a < 3; ++a) momenta[i][a] -= masses[i] / mass * total[a];
    }
  }
  return momenta;
}

/// The slope of a straight line through y at t = 0, dt, 2 dt, ...
double slope(const std::vector<double>& y, double dt) {
  const double n = static_cast<double>(y.size()), middle = (n - 1) / 2;
  double sum = 0, squares = 0, mean = 0;
  for (const double value : y) mean += value / n;
  for (std::size_t k = 0; k < y.size(); ++k) {
    sum += (k - middle) * (y[k] - mean);
    squares += (k - middle) * (k - middle);
  }
  return squares > 0 ? sum / (squares * dt) : NAN;
}

void run(const Options& options) {
  const mercer::Potential potential = mercer::Potential::load(options.model, false);
  std::ifstream file(options.start);
  if (!file) throw std::runtime_error(options.start + ": cannot be read");
  example::Frame frame;
  try {
    if (!example::read_frame(file, frame)) throw std::runtime_error("holds no structure");
  } catch (const std::exception& error) {
    throw std::runtime_error(options.start + ": " + error.what());
  }
  const std::size_t n = frame.size();
  if (n == 0) throw std::runtime_error(options.start + ": holds no atoms");
  std::vector<double> masses;
  for (const std::int32_t number : frame.numbers) masses.push_back(example::element_of(number).mass);
  if (options.temperature >= 0) frame.momenta = draw_momenta(masses, options.temperature, options.seed);
  if (frame.momenta.empty()) frame.momenta.assign(n, Vec3{});

  mercer::StructureBatch structures = frame.batch();
  mercer::VerletList neighbors(potential.cutoff(), options.skin);
  mercer::PotentialRequest request;
  request.virial = false;
  const auto evaluate = [&] { return potential.evaluate(structures, neighbors.update(structures), request); };

  std::ofstream trajectory(options.prefix + ".extxyz"), log(options.prefix + ".csv");
  if (!trajectory || !log) throw std::runtime_error(options.prefix + ".*: cannot be written");
  log << "step,time_fs,potential_eV,kinetic_eV,total_eV,temperature_K\n";
  std::vector<double> total;  // per atom
  const auto report = [&](long step, const mercer::PotentialResult& result) {
    const double kinetic = kinetic_energy(frame.momenta, masses), energy = result.energy[0] + kinetic;
    if (!std::isfinite(energy)) throw std::runtime_error("step " + std::to_string(step) + ": the energy is not finite");
    total.push_back(energy / n);
    char text[200];
    std::snprintf(text, sizeof text, "%ld,%.6g,%.12g,%.12g,%.12g,%.6g\n", step, step * options.timestep,
                  result.energy[0], kinetic, energy, kinetic / (1.5 * boltzmann * n));
    log << text;
    if (step % options.every == 0) {
      frame.positions = structures.positions;
      std::snprintf(text, sizeof text, "step=%ld time_fs=%.6g energy=%.12g", step, step * options.timestep,
                    result.energy[0]);
      write_frame(trajectory, frame, result.forces, text);
    }
  };

  // Velocity Verlet: W. C. Swope, H. C. Andersen, P. H. Berens & K. R. Wilson, J. Chem. Phys. 76, 637 (1982).
  const double dt = options.timestep * femtosecond;
  mercer::PotentialResult result = evaluate();
  report(0, result);
  double seconds = 0;
  for (long step = 1; step <= options.steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < n; ++i) {
      for (int a = 0; a < 3; ++a) {
        frame.momenta[i][a] += 0.5 * dt * result.forces[i][a];
        structures.positions[i][a] += dt * frame.momenta[i][a] / masses[i];
      }
    }
    result = evaluate();
    for (std::size_t i = 0; i < n; ++i) {
      for (int a = 0; a < 3; ++a) frame.momenta[i][a] += 0.5 * dt * result.forces[i][a];
    }
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    report(step, result);
  }
  if (!trajectory.flush() || !log.flush()) throw std::runtime_error(options.prefix + ".*: writing failed");

  std::printf("mercer %s, %d threads, %zu atoms, %ld steps of %g fs\n", mercer::version, mercer::num_threads(), n,
              options.steps, options.timestep);
  if (options.steps < 2) return;
  std::printf("drift of the total energy  %.3g eV/atom/ps\n", slope(total, options.timestep * 1e-3));
  std::printf("time per atom and step     %.3g us (%ld searches of neighbours)\n",
              1e6 * seconds / (static_cast<double>(options.steps) * n), static_cast<long>(neighbors.n_builds()));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << "nve: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
