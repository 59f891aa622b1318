/// Model files: the reference of format 1 against what Python predicted with it, derivatives, and damaged files, of
/// which none may do more than throw.
#include <doctest/doctest.h>

#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "extxyz.hpp"
#include "mercer/core/checksum.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/model/model_contents.hpp"
#include "mercer/model/potential.hpp"
#include "mercer/neighbors/verlet_list.hpp"

using namespace mercer;

namespace {

const std::string reference = MERCER_REFERENCE_FOLDER "/potential_v1";

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

StructureBatch reference_frames() {
  std::ifstream file(reference + ".extxyz");
  StructureBatch batch;
  for (example::Frame frame; example::read_frame(file, frame);) {
    batch.append({frame.positions[0].data(), static_cast<index_t>(frame.size()), 3}, frame.numbers, frame.cell,
                 frame.pbc);
  }
  return batch;
}

/// The list of numbers behind "key": in JSON.
std::vector<double> numbers(const std::string& json, const std::string& key) {
  std::vector<double> found;
  const std::size_t start = json.find("\"" + key + "\": [");
  REQUIRE(start != std::string::npos);
  std::istringstream words(json.substr(json.find('[', start) + 1));
  for (char separator = ','; separator == ',';) {
    double value = 0;
    words >> value >> separator;
    REQUIRE(words.good());
    found.push_back(value);
  }
  return found;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= largest)) largest = std::abs(a[i] - b[i]);
  }
  return largest;
}

/// A file that is deleted at the end of a test.
struct TemporaryFile {
  std::string path;
  explicit TemporaryFile(const std::string& data) {
    const std::string name = "mercer-model-" + std::to_string(std::random_device()());
    path = (std::filesystem::temp_directory_path() / name).string();
    write(data);
  }
  ~TemporaryFile() { std::remove(path.c_str()); }
  void write(const std::string& data) const {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << data;
    file.flush();
    REQUIRE(file.good());
  }
};

/// What load says about a file; empty if it is satisfied.
std::string complaint(const std::string& path) {
  try {
    Potential::load(path);
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

/// A safetensors file from a header and the data of its arrays.
std::string safetensors(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + data;
}

}  // namespace

TEST_CASE("the reference model gives what Python predicted") {
  const Potential potential = Potential::load(reference + ".safetensors");
  CHECK(potential.cutoff() == 4.5);
  CHECK(potential.species() == std::vector<std::int32_t>{6, 14});
  CHECK(potential.n_terms() == 2);
  CHECK(potential.n_points() == 18);
  CHECK(potential.has_variance());
  CHECK(potential.writer() == "0.1.0");
  PotentialRequest request;
  request.energy_std = request.energies_std = true;
  const PotentialResult result = potential.evaluate(reference_frames(), request);
  const std::string expected = content(reference + ".json");
  CHECK(largest_difference(result.energy, numbers(expected, "energy")) <= 1e-10);
  CHECK(largest_difference(result.energies, numbers(expected, "energies")) <= 1e-10);
  CHECK(largest_difference(result.energy_std, numbers(expected, "energy_std")) <= 1e-10);
  CHECK(largest_difference(result.energies_std, numbers(expected, "energies_std")) <= 1e-10);
}

TEST_CASE("forces and virial are derivatives of the energy") {
  const Potential potential = Potential::load(reference + ".safetensors", false);
  CHECK_FALSE(potential.has_variance());
  const StructureBatch frames = reference_frames();
  const PotentialResult result = potential.evaluate(frames);
  REQUIRE(result.forces.size() == frames.positions.size());
  REQUIRE(result.virial.size() == frames.cells.size());
  const double h = 1e-5;
  PotentialRequest energies;
  energies.forces = energies.virial = false;
  CHECK(potential.evaluate(frames, energies).forces.empty());
  for (int a = 0; a < 3; ++a) {
    StructureBatch plus = frames, minus = frames;
    plus.positions[5][a] += h;
    minus.positions[5][a] -= h;
    const double up = potential.evaluate(plus, energies).energy[0];
    const double down = potential.evaluate(minus, energies).energy[0];
    const double slope = (up - down) / (2 * h);
    CHECK(std::abs(slope + result.forces[5][a]) <= 1e-6);
  }
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 3; ++b) {
      const auto strained = [&](double e) {
        StructureBatch moved = frames;
        for (Vec3& r : moved.positions) r[a] += e * r[b];
        for (Mat3& cell : moved.cells) {
          for (Vec3& row : cell) row[a] += e * row[b];
        }
        return potential.evaluate(moved, energies).energy[1];
      };
      const double slope = (strained(h) - strained(-h)) / (2 * h);
      CHECK(std::abs(slope + result.virial[1][a][b]) <= 1e-5);
    }
  }
}

TEST_CASE("one frame, a batch, a longer neighbour list and a Verlet list give the same") {
  const Potential potential = Potential::load(reference + ".safetensors");
  const StructureBatch frames = reference_frames();
  const PotentialResult all = potential.evaluate(frames);
  const PotentialResult longer = potential.evaluate(frames, build_pair_list(frames, 6.0));
  VerletList list(potential.cutoff(), 0.3);
  const PotentialResult verlet = potential.evaluate(frames, list.update(frames));
  for (index_t f = 0; f < frames.n_frames(); ++f) {
    const index_t begin = frames.offsets[f], n = frames.offsets[f + 1] - begin;
    const PotentialResult one = potential.evaluate({frames.positions[begin].data(), n, 3},
                                                   {frames.numbers.data() + begin, n}, frames.cells[f], frames.pbc[f]);
    CHECK(std::abs(one.energy[0] - all.energy[f]) <= 1e-12 * std::abs(all.energy[f]));
    CHECK(longer.energy[f] == all.energy[f]);
    CHECK(verlet.energy[f] == all.energy[f]);
    for (index_t i = 0; i < n; ++i) {
      for (int a = 0; a < 3; ++a) {
        CHECK(std::abs(one.forces[i][a] - all.forces[begin + i][a]) <= 1e-12);
        CHECK(longer.forces[begin + i][a] == all.forces[begin + i][a]);
        CHECK(verlet.forces[begin + i][a] == all.forces[begin + i][a]);
      }
    }
  }
  CHECK_THROWS_WITH_AS(potential.evaluate(frames, build_pair_list(frames, 4.0)),
                       doctest::Contains("at least 4.5"), std::invalid_argument);
}

TEST_CASE("copies are shared between threads and outlive their source") {
  const StructureBatch frames = reference_frames();
  std::vector<double> energies(8);
  {
    const Potential copy = [] { return Potential(Potential::load(reference + ".safetensors")); }();
    parallel_for(static_cast<index_t>(energies.size()),
                 [&](index_t k) { energies[k] = Potential(copy).evaluate(frames).energy[0]; });
  }
  for (const double energy : energies) CHECK(energy == energies[0]);
}

TEST_CASE("files that are no models are refused with their name and the reason") {
  CHECK(complaint("/nowhere/model") == "/nowhere/model: no such model file");
  CHECK(complaint(std::filesystem::temp_directory_path().string()).find("no such model file") != std::string::npos);
  const TemporaryFile file("");
  const auto says = [&](const std::string& data, const char* part) {
    file.write(data);
    const std::string text = complaint(file.path);
    CHECK_MESSAGE(text.rfind(file.path + ": ", 0) == 0, text);
    CHECK_MESSAGE(text.find(part) != std::string::npos, text);
  };
  says("", "0 bytes only");
  says("<GAP_params label=\"x\"/>", "not a mercer model");
  says(safetensors("", ""), "not a JSON object");
  says(safetensors("[1]", ""), "not a JSON object");
  says(safetensors("{\"a\":", ""), "not a JSON object");
  says(safetensors("{}", ""), "another program");
  says(safetensors(R"({"__metadata__":{"mercer":7}})", ""), "another program");
  says(safetensors(R"({"__metadata__":{"mercer":"no"}})", ""), "not a JSON object");
  const auto metadata = [](const std::string& entries) { return R"({"__metadata__":{"mercer":"{)" + entries + "}\"}"; };
  says(safetensors(metadata("") + "}", ""), "format is missing");
  says(safetensors(metadata(R"(\"format\":\"gap\",\"mercer_version\":\"1\",\"format_version\":1)") + "}", ""),
       "expected one of mercer-potential");
  const std::string format = R"(\"format\":\"mercer-potential\",\"mercer_version\":\"9.1\")";
  says(safetensors(metadata(format + R"(,\"format_version\":999)") + "}", ""), "mercer 9.1 or newer");
  says(safetensors(metadata(format + R"(,\"format_version\":1.5)") + "}", ""), "format_version = 1.5");
  const std::string good = metadata(format + R"(,\"format_version\":1,\"header\":{})");
  says(safetensors(good + "}", ""), "kind is missing");
  const auto array = [&](const std::string& entry) { return good + ",\"a\":" + entry + "}"; };
  const std::string eight(8, '\0');
  says(safetensors(array("3"), ""), "expected an object");
  says(safetensors(array(R"({"dtype":"C64","shape":[1],"data_offsets":[0,8]})"), eight), "C64");
  says(safetensors(array(R"({"dtype":"F64","shape":[2],"data_offsets":[0,8]})"), eight), "needs 16");
  says(safetensors(array(R"({"dtype":"F64","shape":[-1],"data_offsets":[0,8]})"), eight), "something else than sizes");
  says(safetensors(array(R"({"dtype":"F64","shape":[1],"data_offsets":[8,0]})"), eight), "no pair that rises");
  says(safetensors(array(R"({"dtype":"F64","shape":[1],"data_offsets":[0]})"), eight), "no pair that rises");
  says(safetensors(array(R"({"dtype":"F64","shape":[1]})"), eight), "data_offsets is missing");
  says(safetensors(array(R"({"dtype":"F64","shape":[1],"data_offsets":[8,16]})"), eight + eight), "gap");
  says(safetensors(array(R"({"dtype":"F64","shape":[1],"data_offsets":[0,8]})"), ""), "truncated");
  says(safetensors(array(R"({"dtype":"F64","shape":[1],"data_offsets":[0,8]})"), eight + "x"), "1 bytes follow");
  says(safetensors(array(R"({"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]})"), ""), "too large");
  says(safetensors(array(R"({"dtype":"F64","shape":[1],"data_offsets":[0,9223372036854775807]})"), ""),
       "something else than sizes");
  says(std::string(8, '\xff'), "not a mercer model");
}

TEST_CASE("a file of format 2 ends with its checksum") {
  const std::string header = R"({"__metadata__":{"mercer":"{\"format\":\"mercer-potential\",\"mercer_version\":\"1\",)"
                             R"(\"format_version\":2,\"header\":{\"kind\":\"test\"}}"},)"
                             R"("a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
                             R"("checksum":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}})";
  const double value = 1.5;
  std::string data = safetensors(header, std::string(reinterpret_cast<const char*>(&value), 8));
  const std::uint64_t sum = crc64(data.data(), data.size());
  for (int k = 7; k >= 0; --k) data += static_cast<char>(sum >> 8 * k);
  const TemporaryFile file(data);
  const ModelContents contents = read_model(file.path);
  CHECK(contents.header == R"({"kind":"test"})");
  REQUIRE(contents.arrays.size() == 1);
  CHECK(std::get<Buffer<double>>(contents.arrays[0].values)[0] == value);
  for (std::size_t bit = 0; bit < 8 * data.size(); bit += 3) {
    std::string damaged = data;
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    file.write(damaged);
    CHECK_THROWS_AS(read_model(file.path), std::invalid_argument);
  }
}

TEST_CASE("sizes are compared before anything is made of them") {
  std::string data = content(reference + ".safetensors");
  const std::size_t n_max = data.find(R"(n_max\": 3)");
  REQUIRE(n_max != std::string::npos);
  std::uint64_t header = 0;
  std::memcpy(&header, data.data(), 8);
  header += 9;  // characters more
  std::memcpy(data.data(), &header, 8);
  const TemporaryFile file(data.replace(n_max, 10, R"(n_max\": 2000000000)"));
  CHECK(complaint(file.path).find("features, but the sparse points have 63") != std::string::npos);
}

TEST_CASE("a truncated model is refused wherever it ends") {
  const std::string data = content(reference + ".safetensors");
  const TemporaryFile file(data);
  REQUIRE(complaint(file.path).empty());
  for (std::size_t length = 0; length < data.size(); length += 1 + data.size() / 200) {
    file.write(data.substr(0, length));
    CHECK_FALSE(complaint(file.path).empty());
  }
}

TEST_CASE("random damage gives an exception or a model, nothing else") {
  const std::string data = content(reference + ".safetensors");
  std::uint64_t header = 0;
  std::memcpy(&header, data.data(), 8);
  const TemporaryFile file(data);
  std::mt19937 random(7);
  const StructureBatch frames = reference_frames();
  PotentialRequest request;
  request.energy_std = request.energies_std = true;
  int refused = 0, evaluated = 0;
  for (int trial = 0; trial < 400; ++trial) {
    std::string damaged = data;
    // In the header mostly digits for digits, which keeps it readable; beyond it any byte.
    const std::size_t range = trial % 4 ? 8 + header : data.size();
    for (unsigned k = 0; k < 1 + random() % 3; ++k) {
      std::size_t at = random() % range;
      while (trial % 4 && !std::isdigit(static_cast<unsigned char>(damaged[at]))) at = 8 + random() % header;
      damaged[at] = static_cast<char>(trial % 4 ? '0' + random() % 10 : random() % 256);
    }
    file.write(damaged);
    try {
      const Potential potential = Potential::load(file.path);
      ++evaluated;
      if (potential.cutoff() <= 10) potential.evaluate(frames, request);  // larger ones take long
    } catch (const std::runtime_error&) {
      ++refused;
    } catch (const std::invalid_argument&) {  // of evaluate, for example an unknown element
    }
  }
  CHECK(refused > 50);
  CHECK(evaluated > 50);
}

TEST_CASE("extended XYZ: what is read, and what is refused") {
  const auto read = [](const std::string& text) {
    std::istringstream file(text);
    example::Frame frame;
    REQUIRE(example::read_frame(file, frame));
    return frame;
  };
  const example::Frame frame = read(
      "\n2\nLattice=\"4 0 0 0 5 0 1 0 6\" pbc='T F T' note energy=-1 "
      "Properties=id:I:1:species:S:1:pos:R:3:momenta:R:3\n"
      "1 Si 0 1 2 0.5 0 -1e-3\r\n2 C 3 4 5 1 1 1\n");
  CHECK(frame.numbers == std::vector<std::int32_t>{14, 6});
  CHECK(frame.cell[2] == Vec3{1, 0, 6});
  CHECK(frame.pbc == std::array<bool, 3>{true, false, true});
  CHECK(frame.positions[1] == Vec3{3, 4, 5});
  CHECK(frame.momenta[0] == Vec3{0.5, 0, -1e-3});
  CHECK(frame.info.at("note") == "T");
  const example::Frame plain = read("1\ncomment\nHe 0 0 1\n");
  CHECK(plain.pbc == std::array<bool, 3>{false, false, false});
  CHECK(plain.momenta.empty());
  const example::Frame fast = read("1\nProperties=species:S:1:pos:R:3:velo:R:3\nHe 0 0 1 1 0 0\n");
  CHECK(fast.momenta[0] == Vec3{4.002602, 0, 0});
  std::ostringstream written;
  example::write_frame(written, frame, frame.positions, "step=3");
  const example::Frame again = read(written.str());
  CHECK(again.positions == frame.positions);
  CHECK(again.momenta == frame.momenta);
  CHECK(again.cell == frame.cell);
  CHECK(again.pbc == frame.pbc);
  for (const char* bad :
       {"x\n\n", "-1\n\n", "1.5\n\n", "1\n", "2\n\nH 0 0 0\n", "1\n\nH 0 0\n", "1\n\nH 0 0 z\n", "1\n\nQq 0 0 0\n",
        "1\nLattice=\"1 2 3\"\nH 0 0 0\n", "1\npbc=T\nH 0 0 0\n", "1\na=\"b\nH 0 0 0\n",
        "1\nProperties=pos:R:3\n0 0 0\n", "1\nProperties=species:S:1:pos:R:2\nH 0 0\n",
        "1\nProperties=species:S\nH\n"}) {
    std::istringstream file(bad);
    example::Frame none;
    CHECK_THROWS_AS(example::read_frame(file, none), std::runtime_error);
  }
}
