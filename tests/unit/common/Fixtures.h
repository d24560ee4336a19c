/// What the tests of core's lower rooms share.
#pragma once

#include <matrixos/status.hpp>

#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

namespace matrixos::test {

/// A fresh folder that goes away with everything in it.
class TempDir {
public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "matrixos-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;

  const std::filesystem::path &path() const { return path_; }
  std::filesystem::path operator/(const std::string &name) const { return path_ / name; }

private:
  std::filesystem::path path_;
};

constexpr std::chrono::seconds kPatience{30};

/// Waits until the condition holds; false when it never did.
inline bool eventually(const std::function<bool()> &condition, std::chrono::nanoseconds patience = kPatience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// A door that stays shut until it is opened.
class Gate {
public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return open_; })) throw std::runtime_error("the gate stayed shut");
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

/// The status that the action fails with; Ok when it does not.
template <typename Action>
Status statusOf(Action &&action) {
  try {
    action();
  } catch (const Error &e) {
    return e.status();
  }
  return Status::Ok;
}

/// The whole error; Status::Ok and no text when there was none.
template <typename Action>
Error errorOf(Action &&action) {
  try {
    action();
  } catch (const Error &e) {
    return e;
  }
  return Error(Status::Ok, "");
}

} // namespace matrixos::test
