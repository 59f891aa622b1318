#include "mercer/core/memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

namespace mercer {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t alignment = 64;

/// Sizes are rounded up to an eighth of their power of two, so that similar requests share blocks.
std::size_t block_size(std::size_t bytes) {
  std::size_t step = alignment;
  while (step * 16 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

struct Pool {
  std::mutex mutex;
  std::multimap<std::size_t, void*> free_blocks;
  std::unordered_map<void*, std::size_t> sizes;
  std::size_t free_bytes = 0;
  std::size_t limit = std::size_t{1} << 30;

  void drop_largest() {
    const auto last = std::prev(free_blocks.end());
    free_bytes -= last->first;
    sizes.erase(last->second);
    std::free(last->second);
    free_blocks.erase(last);
  }
};

/// Never destroyed: arrays may outlive static destruction at interpreter exit.
Pool& pool() {
  static Pool* instance = new Pool;
  return *instance;
}

}  // namespace

void* pool_allocate(std::size_t bytes) {
  const std::size_t size = block_size(bytes);
  Pool& p = pool();
  {
    const std::lock_guard<std::mutex> lock(p.mutex);
    const auto found = p.free_blocks.find(size);
    if (found != p.free_blocks.end()) {
      void* memory = found->second;
      p.free_blocks.erase(found);
      p.free_bytes -= size;
      return memory;
    }
  }
  void* memory = nullptr;
  if (posix_memalign(&memory, size >= huge_page ? huge_page : alignment, size) != 0) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (size >= huge_page) madvise(memory, size, MADV_HUGEPAGE);
#endif
  const std::lock_guard<std::mutex> lock(p.mutex);
  p.sizes.emplace(memory, size);
  return memory;
}

void pool_release(void* memory) noexcept {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const std::size_t size = p.sizes.at(memory);
  p.free_blocks.emplace(size, memory);
  p.free_bytes += size;
  while (p.free_bytes > p.limit) p.drop_largest();
}

void pool_trim() noexcept {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  while (!p.free_blocks.empty()) p.drop_largest();
}

void set_pool_limit(std::size_t bytes) {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  p.limit = bytes;
  while (p.free_bytes > p.limit) p.drop_largest();
}

}  // namespace mercer
