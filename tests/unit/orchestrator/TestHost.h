/// A host for one plugin in a test: the daemon's own database, executor and timers; the rest notes what it is told.
#pragma once

#include "common/Executor.h"
#include "common/Timers.h"
#include "storage/Database.h"

#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::test {

/// A fresh directory, removed at the end.
class TempDir {
public:
  TempDir();
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;
  ~TempDir();
  const std::filesystem::path &path() const noexcept { return path_; }

private:
  std::filesystem::path path_;
};

/// What a route answered.
struct Answer {
  std::uint32_t status = 0;
  std::string body;
  bool given = false;
};

/// Looks on until `condition` holds; false after 20 s.
bool eventually(const std::function<bool()> &condition);

class TestHost {
public:
  explicit TestHost(const std::filesystem::path &database);
  TestHost(const TestHost &) = delete;
  TestHost &operator=(const TestHost &) = delete;
  ~TestHost();

  const mos_host_v1 *abi() const noexcept { return &abi_; }
  storage::Database &database() noexcept { return *database_; }

  /// Called before every batch with its statements' text; what it throws is the batch's failure.
  void onBatch(std::function<void(const std::string &sql)> hook);

  /// Sends a request to the plugin's routes and waits for its answer.
  Answer request(const std::string &method, const std::string &path, const std::string &body = {});
  /// Sends it and does not wait.
  std::uint64_t send(const std::string &method, const std::string &path, const std::string &body = {});
  /// Waits for the answer of send().
  Answer answerTo(std::uint64_t exchange);

  /// Topics published so far.
  std::vector<std::string> topics() const;
  std::string degraded() const;
  /// Value of a metric, e.g. `matrixos_instances{status="running"}`.
  double metric(const std::string &series) const;

private:
  friend struct HostTables;

  struct Route {
    std::string method;
    std::vector<std::string> segments;
    void *ctx;
    void (*handle)(void *ctx, std::uint64_t exchange);
  };
  struct Exchange {
    std::string method, path, query, body;
    std::map<std::string, std::string, std::less<>> params;
    Answer answer;
  };

  const Route *match(const Exchange &exchange, std::map<std::string, std::string, std::less<>> &params) const;

  std::unique_ptr<storage::Database> database_;
  common::Owner owner_;
  common::Executor executor_;
  common::Timers timers_;
  mos_host_v1 abi_{};
  mutable std::mutex mutex_;
  std::condition_variable answered_;
  std::function<void(const std::string &)> onBatch_;
  std::vector<Route> routes_;
  std::map<std::uint64_t, std::unique_ptr<Exchange>> exchanges_;
  std::uint64_t nextExchange_ = 1;
  std::vector<std::string> topics_;
  std::string degraded_;
  std::map<std::string, std::uint64_t> series_;
  std::map<std::uint64_t, double> values_;
};

} // namespace matrixos::test
