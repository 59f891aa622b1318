#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>
#include <chrono>
#include <atomic>

#include "mercer/core/array.hpp"
#include "mercer/core/error.hpp"
#include "mercer/core/memory.hpp"
#include "mercer/core/parallel.hpp"
#include "mercer/core/version.hpp"

using mercer::Buffer;
using mercer::index_t;

namespace {

/// Holds the number of threads for one scope.
struct Threads {
  explicit Threads(int n) { mercer::set_num_threads(n); }
  ~Threads() { mercer::set_num_threads(0); }
};

/// The message of the exception that `action` throws; empty if it throws none.
template <class Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// Runs `child` in a forked process; its exit status, or -1 if it hung for ten seconds or died.
template <class Child>
int run_forked(const Child& child) {
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    alarm(10);
    _exit(child());
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("version is the one of the build") { CHECK(std::string(mercer::version).find('.') != std::string::npos); }

TEST_CASE("views") {
  std::vector<double> values{0, 1, 2, 3, 4, 5};
  const mercer::Span<double> span(values);
  CHECK(span.size == 6);
  CHECK(span[4] == 4);
  const mercer::Span<const double> constant = span;
  CHECK(constant.data == values.data());
  double sum = 0;
  for (const double value : constant) sum += value;
  CHECK(sum == 15);
  CHECK(mercer::Span<double>().empty());
  static_assert(!std::is_convertible_v<mercer::Span<const double>, mercer::Span<double>>, "const must stay const");
  static_assert(!std::is_convertible_v<const std::vector<double>&, mercer::Span<double>>, "const must stay const");

  const mercer::MatView<double> matrix(values.data(), 2, 3);
  CHECK(matrix(1, 2) == 5);
  CHECK(matrix.row(1) == values.data() + 3);
  matrix(1, 0) = 7;
  CHECK(values[3] == 7);
  const mercer::MatView<const double> columns(values.data(), 2, 2, 3);  // the first two columns of it
  CHECK(columns(1, 1) == 4);
  static_assert(!std::is_convertible_v<mercer::MatView<const double>, mercer::MatView<double>>, "const must stay const");
}

TEST_CASE("MERCER_REQUIRE throws with the whole message, and NaN fails") {
  CHECK_NOTHROW(MERCER_REQUIRE(1 < 2, "never"));
  const double cutoff = std::numeric_limits<double>::quiet_NaN();
  const auto check = [&] { MERCER_REQUIRE(cutoff > 0, "list: cutoff = ", cutoff, ", expected > ", 0); };
  CHECK_THROWS_AS(check(), std::invalid_argument);
  CHECK(message_of(check) == "list: cutoff = nan, expected > 0");
}

TEST_CASE("parallel_for runs every chunk once and gives the same bits for 1, 2 and 3 threads") {
  const index_t n = 10007;
  const auto sum_of_chunks = [&](int threads) {
    const Threads guard(threads);
    std::vector<int> visits(n, 0);
    std::vector<double> partial((n + 63) / 64, 0.0);
    mercer::parallel_chunks(n, 64, [&](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        ++visits[i];
        partial[begin / 64] += std::sin(static_cast<double>(i));
      }
    });
    for (const int count : visits) REQUIRE(count == 1);
    double sum = 0;
    for (const double value : partial) sum += value;
    return sum;
  };
  const double serial = sum_of_chunks(1);
  CHECK(sum_of_chunks(2) == serial);
  CHECK(sum_of_chunks(3) == serial);
}

TEST_CASE("parallel_for with nothing to do makes no workspace") {
  mercer::parallel_for(0, [] { FAIL("workspace"); return 0; }, [](int&, index_t) { FAIL("body"); });
  mercer::parallel_chunks(0, 8, [](index_t, index_t) { FAIL("body"); });
}

TEST_CASE("parallel_chunks clips the last chunk and refuses a chunk size below one") {
  std::vector<index_t> ends;
  const Threads guard(1);
  mercer::parallel_chunks(10, 4, [&](index_t, index_t end) { ends.push_back(end); });
  CHECK(ends == std::vector<index_t>{4, 8, 10});
  CHECK_THROWS_AS(mercer::parallel_chunks(10, 0, [](index_t, index_t) {}), std::invalid_argument);
}

TEST_CASE("each thread has one workspace of its own") {
  for (const int threads : {1, 2, 3}) {
    const Threads guard(threads);
    std::atomic<int> workspaces{0};
    std::vector<int> owner(1000, -1);
    mercer::parallel_for(1000, [&] { return workspaces++; }, [&](int& workspace, index_t chunk) {
      owner[chunk] = workspace;
    });
    CHECK(workspaces <= threads);
    CHECK(workspaces >= 1);
    for (const int workspace : owner) CHECK(workspace >= 0);
  }
}

TEST_CASE("exceptions reach the caller: the one of the first failing chunk, for any number of threads") {
  for (const int threads : {1, 2, 3}) {
    CAPTURE(threads);
    const Threads guard(threads);
    const auto loop = [](index_t first_bad) {
      return message_of([&] {
        mercer::parallel_for(2000, [&](index_t chunk) {
          if (chunk >= first_bad) throw std::invalid_argument("chunk " + std::to_string(chunk));
        });
      });
    };
    for (int repeat = 0; repeat < 20; ++repeat) {
      CHECK(loop(0) == "chunk 0");
      CHECK(loop(137) == "chunk 137");
      CHECK(loop(1999) == "chunk 1999");
    }
    CHECK_THROWS_AS(
        mercer::parallel_for(100, []() -> int { throw std::bad_alloc(); }, [](int&, index_t) {}), std::bad_alloc);
    // what is not a std::exception passes too, and the next loop is not harmed
    CHECK_THROWS_AS(mercer::parallel_for(100, [](index_t) { throw 42; }), int);
    std::atomic<index_t> count{0};
    mercer::parallel_for(100, [&](index_t) { ++count; });
    CHECK(count == 100);
  }
}

TEST_CASE("a loop inside a parallel loop runs on the thread that calls it") {
  const Threads guard(2);
  std::atomic<int> foreign{0};
  std::atomic<index_t> count{0};
  mercer::parallel_for(16, [&](index_t) {
    if (omp_get_num_threads() > 1 && mercer::num_threads() != 1) ++foreign;
    const auto self = std::this_thread::get_id();
    mercer::parallel_for(50, [&](index_t) {
      ++count;
      if (std::this_thread::get_id() != self) ++foreign;
    });
  });
  CHECK(foreign == 0);
  CHECK(count == 16 * 50);
}

TEST_CASE("number of threads: fixed, or OpenMP's") {
  CHECK_THROWS_AS(mercer::set_num_threads(-1), std::invalid_argument);
  mercer::set_num_threads(3);
  CHECK(mercer::num_threads() == 3);
  CHECK(mercer::fixed_num_threads() == 3);
  mercer::set_num_threads(0);
  CHECK(mercer::fixed_num_threads() == 0);
  const int before = omp_get_max_threads();
  omp_set_num_threads(2);
  CHECK(mercer::num_threads() == 2);
  omp_set_num_threads(before);
}

TEST_CASE("loops may be started from several threads at once") {
  std::vector<std::thread> callers;
  std::atomic<index_t> count{0};
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 10; ++repeat) mercer::parallel_for(100, [&](index_t) { ++count; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(count == 3 * 10 * 100);
}

TEST_CASE("a forked child uses one thread and does not hang") {
  const Threads guard(2);
  mercer::parallel_for(64, [](index_t) {});  // the parent's team of threads, which the child does not have
  const int status = run_forked([] {
    std::atomic<index_t> count{0};
    mercer::parallel_for(64, [&](index_t) { ++count; });
    mercer::set_num_threads(2);
    return mercer::num_threads() == 1 && count == 64 ? 0 : 1;
  });
  CHECK(status == 0);
  CHECK(mercer::num_threads() == 2);
}

TEST_CASE("pool: alignment, reuse, trimming") {
  mercer::pool_trim();
  CHECK(mercer::pool_unused_bytes() == 0);
  for (const index_t size : {1, 7, 64, 1000, 123457, 5000000}) {
    CAPTURE(size);
    double* first = nullptr;
    {
      const Buffer<double> buffer(size);
      first = buffer.data();
      CHECK(buffer.size() == size);
      CHECK(reinterpret_cast<std::uintptr_t>(first) % (size * 8 >= (2 << 20) ? 2 << 20 : 64) == 0);
      buffer[0] = 1;
      buffer[size - 1] = 2;
    }
    CHECK(mercer::pool_unused_bytes() >= static_cast<std::size_t>(size) * 8);
    const Buffer<double> again(size);
    CHECK(again.data() == first);
  }
  mercer::pool_trim();
  CHECK(mercer::pool_unused_bytes() == 0);
}

TEST_CASE("pool: wastes at most an eighth") {
  for (index_t size = 1024; size < (1 << 22); size = size * 5 / 4 + 1) {
    mercer::pool_trim();
    { const Buffer<char> buffer(size); }
    CHECK(mercer::pool_unused_bytes() >= static_cast<std::size_t>(size));
    CHECK(mercer::pool_unused_bytes() <= static_cast<std::size_t>(size) * 9 / 8 + 64);
  }
  mercer::pool_trim();
}

TEST_CASE("pool: keeps no more than its limit") {
  mercer::pool_trim();
  mercer::set_pool_limit(1 << 20);
  {
    const Buffer<char> a(700000);
    const Buffer<char> b(600000);
    const Buffer<char> c(3000000);
  }
  CHECK(mercer::pool_unused_bytes() <= (1 << 20));
  CHECK(mercer::pool_unused_bytes() > 0);
  mercer::set_pool_limit(0);
  CHECK(mercer::pool_unused_bytes() == 0);
  mercer::set_pool_limit(std::size_t{1} << 30);
}

TEST_CASE("parallel loops end when the program wants it") {
  static std::atomic<bool> wanted{false};
  struct Stopped {};
  mercer::set_interrupt_check([] {
    if (wanted) throw Stopped();
  });
  for (const int threads : {1, 3}) {
    mercer::set_num_threads(threads);
    wanted = false;
    std::atomic<int> done{0};
    const auto work = [&](index_t) {
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
      if (++done == 100) wanted = true;
    };
    CHECK_THROWS_AS(mercer::parallel_for(100000, work), Stopped);
    CHECK(done < 300);  // 0.1 s later at the most
    CHECK_NOTHROW(mercer::parallel_for(0, work));
  }
  mercer::set_interrupt_check(nullptr);
  mercer::set_num_threads(0);
  int count = 0;
  mercer::parallel_for(1, [&](index_t) { ++count; });
  CHECK(count == 1);
}

TEST_CASE("pool: impossible sizes are std::bad_alloc") {
  CHECK_THROWS_AS(Buffer<double>{-1}, std::bad_alloc);
  CHECK_THROWS_AS(Buffer<double>{std::numeric_limits<index_t>::max()}, std::bad_alloc);
  CHECK_THROWS_AS(mercer::pool_allocate(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
}

TEST_CASE("pool: a buffer belongs to one thread at a time") {
  const auto work = [](int id) {
    for (int repeat = 0; repeat < 2000; ++repeat) {
      const Buffer<int> buffer(1 + (repeat * 37) % 500);
      for (int& value : buffer.span()) value = id;
      for (const int value : buffer.span()) {
        if (value != id) return false;
      }
    }
    return true;
  };
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int id = 0; id < 4; ++id) threads.emplace_back([&, id] { good += work(id); });
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 4);
}

TEST_CASE("pool: usable in a child that was forked while other threads allocate") {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop) const Buffer<double> buffer(100);
    });
  }
  for (int repeat = 0; repeat < 50; ++repeat) {
    CHECK(run_forked([] { return Buffer<double>(100).size() == 100 ? 0 : 1; }) == 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("buffers move and hand over") {
  Buffer<int> a(10);
  int* memory = a.data();
  Buffer<int> b(std::move(a));
  CHECK(b.data() == memory);
  CHECK(a.data() == nullptr);  // NOLINT: a moved-from buffer is empty
  a = std::move(b);
  CHECK(a.data() == memory);
  CHECK(a.release() == memory);
  CHECK(a.size() == 0);
  mercer::pool_release(memory);
  CHECK(Buffer<int>(0).data() == nullptr);
  static_assert(!std::is_copy_constructible_v<Buffer<int>>, "two owners");
}
