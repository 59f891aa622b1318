#include "mercer/core/memory.hpp"

#include <cstdlib>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

#include <pthread.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, size) ((void)(begin), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(begin, size) ((void)(begin), (void)(size))
#endif

namespace mercer {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t alignment = 64;

/// Sizes are rounded up to an eighth of their power of two, so that similar requests share blocks.
std::size_t block_size(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() / 2) throw std::bad_alloc();
  std::size_t step = alignment;
  while (step * 16 < bytes) step *= 2;
  return bytes == 0 ? step : (bytes + step - 1) / step * step;
}

struct Pool {
  std::mutex mutex;
  std::multimap<std::size_t, void*> free_blocks;
  std::unordered_map<void*, std::size_t> sizes;  // of all blocks, used and free
  std::size_t free_bytes = 0;
  std::size_t limit = std::size_t{1} << 30;

  void free_block(void* memory, std::size_t size) {
    ASAN_UNPOISON_MEMORY_REGION(memory, size);
    sizes.erase(memory);
    std::free(memory);
  }

  void drop_to(std::size_t kept) {
    while (free_bytes > kept) {
      const auto largest = std::prev(free_blocks.end());
      free_bytes -= largest->first;
      free_block(largest->second, largest->first);
      free_blocks.erase(largest);
    }
  }
};

/// Never destroyed: arrays may outlive static destruction at interpreter exit.
Pool& pool() {
  static Pool* instance = new Pool;
  return *instance;
}

// A fork while another thread holds the mutex would leave it locked in the child for ever.
void lock_pool() { pool().mutex.lock(); }
void unlock_pool() { pool().mutex.unlock(); }
[[maybe_unused]] const int fork_handler = pthread_atfork(lock_pool, unlock_pool, unlock_pool);

void* fresh_block(std::size_t size) {
  void* memory = nullptr;
  if (posix_memalign(&memory, size >= huge_page ? huge_page : alignment, size) != 0) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (size >= huge_page) madvise(memory, size, MADV_HUGEPAGE);
#endif
  return memory;
}

}  // namespace

void* pool_allocate(std::size_t bytes) {
  const std::size_t size = block_size(bytes);
  Pool& p = pool();
  void* memory = nullptr;
  {
    const std::lock_guard<std::mutex> lock(p.mutex);
    const auto found = p.free_blocks.find(size);
    if (found != p.free_blocks.end()) {
      memory = found->second;
      p.free_blocks.erase(found);
      p.free_bytes -= size;
    }
  }
  if (!memory) {
    memory = fresh_block(size);
    const std::lock_guard<std::mutex> lock(p.mutex);
    try {
      p.sizes.emplace(memory, size);
    } catch (...) {
      std::free(memory);
      throw;
    }
  }
  // Under AddressSanitizer, reading past the request or after the release is an error although the block lives on.
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(memory) + bytes, size - bytes);
  return memory;
}

void pool_release(void* memory) noexcept {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const std::size_t size = p.sizes.at(memory);
  try {
    p.free_blocks.emplace(size, memory);
  } catch (...) {  // no memory for the entry: do not keep the block
    p.free_block(memory, size);
    return;
  }
  p.free_bytes += size;
  ASAN_POISON_MEMORY_REGION(memory, size);
  p.drop_to(p.limit);
}

void pool_trim() noexcept {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  p.drop_to(0);
}

void set_pool_limit(std::size_t bytes) {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  p.limit = bytes;
  p.drop_to(bytes);
}

std::size_t pool_unused_bytes() {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  return p.free_bytes;
}

}  // namespace mercer
