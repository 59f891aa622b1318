#include "mercer/core/checksum.hpp"

#include <array>
#include <cstring>

namespace mercer {
namespace {

/// table[k][b]: what byte b does to the checksum when k more bytes follow.
using Table = std::array<std::array<std::uint64_t, 256>, 8>;

constexpr Table make_table() {
  Table table{};
  for (std::uint64_t byte = 0; byte < 256; ++byte) {
    std::uint64_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ (rest & 1 ? 0xC96C5795D7870F42u : 0);
    table[0][byte] = rest;
  }
  for (int k = 1; k < 8; ++k) {
    for (int byte = 0; byte < 256; ++byte) {
      table[k][byte] = (table[k - 1][byte] >> 8) ^ table[0][table[k - 1][byte] & 0xFF];
    }
  }
  return table;
}

constexpr Table table = make_table();

}  // namespace

std::uint64_t crc64(const void* bytes, std::size_t size, std::uint64_t before) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  std::uint64_t rest = ~before;
  for (; size >= 8; size -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);  // little-endian
    rest ^= word;
    std::uint64_t next = 0;
    for (int k = 0; k < 8; ++k) next ^= table[7 - k][(rest >> (8 * k)) & 0xFF];
    rest = next;
  }
  for (; size > 0; --size, ++at) rest = (rest >> 8) ^ table[0][(rest ^ *at) & 0xFF];
  return ~rest;
}

}  // namespace mercer
