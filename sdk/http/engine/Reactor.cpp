#include "Reactor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace matrixos::http {

Reactor::Reactor() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET; // never read: each write is an edge of its own
  if (epoll_ >= 0 && wake_ >= 0 && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0) return;
  const int error = errno;
  ::close(epoll_);
  ::close(wake_);
  throw std::system_error(error, std::generic_category(), "epoll");
}

Reactor::~Reactor() {
  ::close(epoll_);
  ::close(wake_);
}

void Reactor::add(int fd, unsigned events, Pollable &target) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.ptr = &target;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

void Reactor::remove(int fd, const Pollable &target) noexcept {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  for (int i = next_; i < count_; ++i) {
    epoll_event &event = events_[static_cast<std::size_t>(i)];
    if (event.data.ptr == &target) event.data.ptr = nullptr;
  }
  for (auto *list : {&again_, &calling_})
    std::replace(list->begin(), list->end(), const_cast<Pollable *>(&target), static_cast<Pollable *>(nullptr));
}

void Reactor::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  // Whoever finds the flag set knows that the loop has been woken and has not looked yet.
  if (posted_.exchange(true, std::memory_order_acq_rel)) return;
  if (thread_.load(std::memory_order_relaxed) == std::this_thread::get_id()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

void Reactor::wait(int timeoutMs) noexcept {
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  const bool busy = !again_.empty() || posted_.load(std::memory_order_acquire);
  // Negative after a signal: nothing came.
  count_ = ::epoll_wait(epoll_, events_.data(), static_cast<int>(kMostEvents), busy ? 0 : timeoutMs);
  next_ = 0;
}

void Reactor::dispatch() {
  runEvents();
  runAgain();
  runTasks();
}

void Reactor::runEvents() {
  while (next_ < count_) {
    const epoll_event event = events_[static_cast<std::size_t>(next_++)];
    if (event.data.ptr != nullptr) static_cast<Pollable *>(event.data.ptr)->onEvents(event.events);
  }
  next_ = count_ = 0;
}

void Reactor::runAgain() {
  calling_.swap(again_);
  for (std::size_t i = 0; i < calling_.size(); ++i) {
    if (calling_[i] != nullptr) calling_[i]->onEvents(0);
  }
  calling_.clear();
}

void Reactor::runTasks() {
  if (!posted_.exchange(false, std::memory_order_acq_rel)) return;
  {
    const std::lock_guard lock(mutex_);
    running_.swap(tasks_);
  }
  for (const auto &task : running_)
    task();
  running_.clear();
}

} // namespace matrixos::http
