#pragma once

#include "services/desk.h"

#include <matrixos/call.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace matrixos::test {

/// Provides example.desk/1.
class DeskProvider {
public:
  DeskProvider();
  ~DeskProvider();
  DeskProvider(const DeskProvider &) = delete;
  DeskProvider &operator=(const DeskProvider &) = delete;

  const example_desk_v1 *table() const noexcept { return &table_; }
  /// How many calls are in echo() that wait.
  int waiting() const noexcept { return waiting_; }
  /// How many of them were cancelled.
  int cancelled() const noexcept { return cancelled_; }
  /// Items that count() has given.
  int given() const noexcept { return given_; }
  /// Called in place of echo() for texts that begin with "back:".
  std::function<std::string(const std::string &)> back;

private:
  std::string echo(const Call &call, const std::string &text);
  void answerLater(mos_completion done, std::string text);

  example_desk_v1 table_{};
  std::atomic<int> waiting_{0}, cancelled_{0}, given_{0};
  std::mutex mutex_;
  std::vector<std::thread> answering_;
};

} // namespace matrixos::test
