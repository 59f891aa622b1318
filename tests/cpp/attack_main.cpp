/// Loads models and evaluates them, for bench/python/attack_models.py: lines "model TAB frames" come in, and what became of
/// each goes out, in the words of that script.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "extxyz.hpp"
#include "mercer/model/potential.hpp"

namespace {

using mercer::Potential;
using mercer::PotentialRequest;
using mercer::PotentialResult;
using mercer::StructureBatch;

StructureBatch read_frames(const std::string& path) {
  std::ifstream file(path);
  StructureBatch batch;
  for (example::Frame frame; example::read_frame(file, frame);) {
    batch.append({frame.positions[0].data(), static_cast<mercer::index_t>(frame.size()), 3}, frame.numbers, frame.cell,
                 frame.pbc);
  }
  return batch;
}

/// With forces, unless the model has none.
PotentialResult evaluate(const Potential& potential, const StructureBatch& frames) {
  PotentialRequest request;
  request.energy_std = potential.has_variance();
  try {
    return potential.evaluate(frames, request);
  } catch (const std::invalid_argument& error) {
    if (std::string(error.what()).find("derivatives") == std::string::npos) throw;
    request.forces = request.virial = false;
    return potential.evaluate(frames, request);
  }
}

void print_numbers(const PotentialResult& result) {
  std::string text;
  bool finite = true;
  const auto add = [&](double value) {
    char number[32];
    std::snprintf(number, sizeof number, "%s%.17g", text.empty() ? "" : ", ", value);
    text += number;
    finite = finite && std::isfinite(value);
  };
  for (const double value : result.energy) add(value);
  for (const double value : result.energies) add(value);
  for (const mercer::Vec3& force : result.forces) {
    for (const double value : force) add(value);
  }
  for (const double value : result.energy_std) add(value);
  std::cout << (finite ? "[\"loads\", [" + text + "]]" : "[\"not finite\", null]") << std::endl;
}

}  // namespace

int main() {
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const std::size_t tab = line.find('\t');
    try {
      const Potential potential = Potential::load(line.substr(0, tab));
      print_numbers(evaluate(potential, read_frames(line.substr(tab + 1))));
    } catch (const std::invalid_argument&) {
      std::cout << "[\"refused by predict\", \"\"]" << std::endl;
    } catch (const std::runtime_error&) {
      std::cout << "[\"refused\", \"\"]" << std::endl;
    } catch (const std::bad_alloc&) {
      std::cout << "[\"raw std::bad_alloc\", \"\"]" << std::endl;
    }
  }
}
