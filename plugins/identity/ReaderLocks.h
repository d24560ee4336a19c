#pragma once

#include <matrixos/cache_line.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>

namespace matrixos::identity {

/// Guards what many threads read all the time and few change now and then: a reader takes a lock that is its thread's
/// own as long as there are no more threads than locks, a writer takes all of them. So readers do not meet, not even in
/// a cache line. Readers and writers have to be brief; whoever looks at everything scans, and holds up writers alone.
class ReaderLocks {
public:
  class Reading {
  public:
    explicit Reading(const ReaderLocks &locks) : lock_(locks.slots_[ownSlot()].mutex) {}

  private:
    std::lock_guard<std::mutex> lock_;
  };

  class Scanning {
  public:
    explicit Scanning(const ReaderLocks &locks) : lock_(locks.writers_) {}

  private:
    std::lock_guard<std::mutex> lock_;
  };

  class Writing {
  public:
    explicit Writing(const ReaderLocks &locks) : scanning_(locks), locks_(locks) {
      for (Slot &slot : locks_.slots_)
        slot.mutex.lock();
    }
    Writing(const Writing &) = delete;
    Writing &operator=(const Writing &) = delete;
    ~Writing() {
      for (Slot &slot : locks_.slots_)
        slot.mutex.unlock();
    }

  private:
    const Scanning scanning_; ///< first, so that nobody who reads waits for a scan
    const ReaderLocks &locks_;
  };

private:
  struct alignas(kCacheLine) Slot {
    std::mutex mutex;
  };
  static constexpr std::size_t kSlots = 32;

  static std::size_t ownSlot() noexcept {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t own = next.fetch_add(1, std::memory_order_relaxed) % kSlots;
    return own;
  }

  mutable std::mutex writers_;
  mutable std::array<Slot, kSlots> slots_;
};

} // namespace matrixos::identity
