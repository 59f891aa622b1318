/// CRC-64/XZ (ECMA-182, reflected), which finds every burst of errors up to 64 bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mercer {

/// The checksum of `size` bytes that follow those of which `before` is the checksum.
std::uint64_t crc64(const void* bytes, std::size_t size, std::uint64_t before = 0);

}  // namespace mercer
