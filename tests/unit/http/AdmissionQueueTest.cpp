#include "http/AdmissionQueue.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::api;

namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLong{60'000};

std::unique_ptr<Connection> connection() {
  return std::make_unique<Connection>(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), auth::ApiSocket::Api, true,
                                      std::nullopt);
}

bool offer(AdmissionQueue &queue) {
  auto next = connection();
  return queue.offer(next);
}

/// Poco's dispatcher with as many threads as it may have: what the acceptor takes waits for one that comes back.
class Dispatcher {
public:
  Dispatcher(AdmissionQueue &queue, int workers) : queue_(queue) {
    threads_.emplace_back([this] { accept(); });
    for (int i = 0; i < workers; ++i)
      threads_.emplace_back([this] { work(); });
  }
  ~Dispatcher() {
    queue_.close();
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      changed_.notify_all();
    }
    for (std::thread &thread : threads_)
      thread.join();
  }

private:
  void accept() {
    for (;;) {
      const bool there = queue_.wait(milliseconds(20));
      auto taken = there ? queue_.take() : nullptr;
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      if (taken) handed_.push_back(std::move(taken));
      changed_.notify_one();
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ended_ || !handed_.empty(); });
      if (handed_.empty()) return;
      auto current = std::move(handed_.front());
      handed_.pop_front();
      lock.unlock();
      queue_.begun();
      do {
        queue_.leave();
        current = queue_.takeNext(kLong);
      } while (current);
      lock.lock();
    }
  }

  AdmissionQueue &queue_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Connection>> handed_;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

} // namespace

TEST_CASE("a worker does not linger while a connection is on its way to a thread") {
  AdmissionQueue queue(4);
  REQUIRE(offer(queue));
  REQUIRE(queue.wait(kLong));
  REQUIRE(queue.take() != nullptr);
  REQUIRE(offer(queue));
  CHECK(queue.takeNext(kLong) == nullptr); // though one waits: the thread is needed for the first
  queue.begun();
  CHECK(queue.takeNext(kLong) != nullptr);
  CHECK(queue.takeNext(milliseconds(0)) == nullptr);
  CHECK(queue.open() == 2);
}

TEST_CASE("the acceptor is given what exceeds the lingering workers") {
  AdmissionQueue queue(4);
  std::unique_ptr<Connection> taken;
  std::thread worker([&] { taken = queue.takeNext(kLong); });
  REQUIRE(offer(queue));
  worker.join(); // whether it lingered before or came after, the first is its own
  CHECK(taken != nullptr);
  CHECK(queue.take() == nullptr);
  REQUIRE(offer(queue));
  CHECK(queue.wait(kLong));
  CHECK(queue.take() != nullptr);
}

TEST_CASE("closing ends lingering") {
  AdmissionQueue queue(4);
  std::thread worker([&] { CHECK(queue.takeNext(kLong) == nullptr); });
  queue.close();
  worker.join();
}

TEST_CASE("no connection is left to a thread that never comes, however bursts and workers meet") {
  for (const int workers : {1, 2, 3}) {
    AdmissionQueue queue(8);
    const Dispatcher dispatcher(queue, workers);
    bool served = true;
    for (int burst = 0; served && burst < 3000; ++burst) {
      for (int i = 0; i <= burst % 5; ++i)
        CHECK(offer(queue));
      served = queue.waitEmpty(Clock::now() + std::chrono::seconds(20)); // a lingering worker would stay a minute
    }
    CHECK(served);
  }
}
