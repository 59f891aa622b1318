/// Extended-XYZ files, as far as molecular dynamics needs them.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <istream>
#include <map>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <mercer/structure/structure_batch.hpp>

#include "elements.hpp"

namespace example {

struct Frame {
  mercer::Mat3 cell{};
  std::array<bool, 3> pbc{};
  std::vector<std::int32_t> numbers;
  std::vector<mercer::Vec3> positions;  ///< Angstrom
  std::vector<mercer::Vec3> momenta;    ///< sqrt(u eV), the unit of ASE; empty where the file has none
  std::map<std::string, std::string> info;

  std::size_t size() const { return numbers.size(); }

  mercer::StructureBatch batch() const {
    mercer::StructureBatch frame;
    frame.append({positions.empty() ? nullptr : positions[0].data(), static_cast<mercer::index_t>(size()), 3}, numbers,
                 cell, pbc);
    return frame;
  }
};

/// `key=value key="a value" flag` of the second line.
inline std::map<std::string, std::string> parse_info(const std::string& line) {
  std::map<std::string, std::string> info;
  for (std::size_t at = 0; at < line.size();) {
    const auto take = [&](const char* stops) {
      std::string text;
      if (at < line.size() && (line[at] == '"' || line[at] == '\'')) {
        const std::size_t end = line.find(line[at], at + 1);
        if (end == std::string::npos) throw std::runtime_error("a quotation mark is not closed");
        text = line.substr(at + 1, end - at - 1);
        at = end + 1;
      } else {
        const std::size_t end = std::min(line.find_first_of(stops, at), line.size());
        text = line.substr(at, end - at);
        at = end;
      }
      return text;
    };
    if (std::isspace(static_cast<unsigned char>(line[at]))) {
      ++at;
      continue;
    }
    const std::string key = take("= \t\r");
    std::string value = "T";
    if (at < line.size() && line[at] == '=') {
      ++at;
      value = take(" \t\r");
    }
    info[key] = value;
  }
  return info;
}

inline double to_double(const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size()) throw std::runtime_error("'" + text + "' is no number");
  return value;
}

/// The next frame of the file, or false at its end. `momenta` are read; `velo` or `velocities` (Angstrom sqrt(eV / u))
/// are multiplied by the masses.
/// @throws std::runtime_error saying what is wrong.
inline bool read_frame(std::istream& file, Frame& frame) {
  frame = {};
  std::string line;
  while (std::getline(file, line) && line.find_first_not_of(" \t\r") == std::string::npos) {
  }
  if (!file) return false;
  const double count = to_double(line.substr(0, line.find_last_not_of(" \t\r") + 1));
  if (!(count >= 0 && count < 1e9 && count == static_cast<double>(static_cast<long>(count)))) {
    throw std::runtime_error("'" + line + "' is no number of atoms");
  }
  if (!std::getline(file, line)) throw std::runtime_error("the second line is missing");
  frame.info = parse_info(line);

  const auto lattice = frame.info.find("Lattice");
  if (lattice != frame.info.end()) {
    std::istringstream words(lattice->second);
    for (mercer::Vec3& row : frame.cell) {
      for (double& x : row) {
        if (!(words >> x)) throw std::runtime_error("Lattice: expected nine numbers, got '" + lattice->second + "'");
      }
    }
    frame.pbc = {true, true, true};
  }
  const auto pbc = frame.info.find("pbc");
  if (pbc != frame.info.end()) {
    std::istringstream words(pbc->second);
    for (bool& periodic : frame.pbc) {
      std::string word;
      if (!(words >> word)) throw std::runtime_error("pbc: expected three of T and F, got '" + pbc->second + "'");
      periodic = word[0] == 'T' || word[0] == 't' || word[0] == '1';
    }
  }

  const auto properties = frame.info.find("Properties");
  std::istringstream words(properties == frame.info.end() ? "species:S:1:pos:R:3" : properties->second);
  struct Column {
    std::string name;
    int width;
    bool is_vector;
  };
  std::vector<Column> columns;
  bool has_positions = false, has_species = false;
  for (std::string name, kind, width; std::getline(words, name, ':');) {
    if (!std::getline(words, kind, ':') || !std::getline(words, width, ':')) {
      throw std::runtime_error("Properties: expected name:type:columns, again and again");
    }
    const int n = static_cast<int>(to_double(width));
    const bool vector = name == "pos" || name == "momenta" || name == "velo" || name == "velocities";
    if (n < 1 || (vector && n != 3) || (name == "species" && n != 1)) {
      throw std::runtime_error("Properties: " + name + " cannot have " + width + " columns");
    }
    has_positions |= name == "pos";
    has_species |= name == "species";
    columns.push_back({name, n, vector});
  }
  if (!has_positions || !has_species) throw std::runtime_error("Properties: species and pos are needed");

  for (long atom = 0; atom < static_cast<long>(count); ++atom) {
    if (!std::getline(file, line)) throw std::runtime_error("the file ends before atom " + std::to_string(atom));
    std::istringstream fields(line);
    mercer::Vec3 velocity{};
    bool moves = false;
    for (const Column& column : columns) {
      std::string text;
      std::array<double, 3> values{};
      for (int k = 0; k < column.width; ++k) {
        if (!(fields >> text)) throw std::runtime_error("atom " + std::to_string(atom) + ": columns are missing");
        if (column.is_vector) values[k] = to_double(text);
      }
      if (column.name == "species") frame.numbers.push_back(number_of(text));
      if (column.name == "pos") frame.positions.push_back(values);
      if (column.name == "momenta") frame.momenta.push_back(values);
      if (column.name == "velo" || column.name == "velocities") velocity = values, moves = true;
    }
    if (moves && frame.momenta.size() == static_cast<std::size_t>(atom)) {
      const double mass = element_of(frame.numbers.back()).mass;
      frame.momenta.push_back({mass * velocity[0], mass * velocity[1], mass * velocity[2]});
    }
  }
  return true;
}

/// Appends a frame with its momenta (where it has them) and forces, and the words `info` on its second line.
inline void write_frame(std::ostream& file, const Frame& frame, const std::vector<mercer::Vec3>& forces,
                        const std::string& info) {
  char text[128];
  file << frame.size() << '\n';
  if (frame.pbc[0] || frame.pbc[1] || frame.pbc[2]) {
    file << "Lattice=\"";
    for (int a = 0; a < 9; ++a) {
      std::snprintf(text, sizeof text, "%s%.12g", a ? " " : "", frame.cell[a / 3][a % 3]);
      file << text;
    }
    file << "\" ";
  }
  file << "Properties=species:S:1:pos:R:3" << (frame.momenta.empty() ? "" : ":momenta:R:3") << ":forces:R:3 " << info
       << " pbc=\"" << (frame.pbc[0] ? 'T' : 'F') << ' ' << (frame.pbc[1] ? 'T' : 'F') << ' '
       << (frame.pbc[2] ? 'T' : 'F') << "\"\n";
  for (std::size_t i = 0; i < frame.size(); ++i) {
    file << element_of(frame.numbers[i]).symbol;
    const auto put = [&](const mercer::Vec3& v) {
      std::snprintf(text, sizeof text, " %.12f %.12f %.12f", v[0], v[1], v[2]);
      file << text;
    };
    put(frame.positions[i]);
    if (!frame.momenta.empty()) put(frame.momenta[i]);
    put(forces[i]);
    file << '\n';
  }
}

}  // namespace example
