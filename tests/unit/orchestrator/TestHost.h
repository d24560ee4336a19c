/// A host for one plugin in a test: the daemon's own database, executor and timers.
#pragma once

#include "common/Executor.h"
#include "common/Timers.h"
#include "storage/Database.h"
#include "support/FakeHost.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace matrixos::test {

class TestHost : public FakeHost {
public:
  explicit TestHost(const std::filesystem::path &database);
  ~TestHost() override;

  storage::Database &database() noexcept { return *database_; }

  /// Called before every batch with its statements' text; what it throws is the batch's failure.
  void onBatch(std::function<void(const std::string &sql)> hook);

protected:
  const void *find(std::string_view interfaceId) const override;

private:
  static TestHost &of(void *self) { return *static_cast<TestHost *>(self); }
  void fillSql();
  void fillTimers();

  std::unique_ptr<storage::Database> database_;
  common::Owner owner_;
  common::Executor executor_;
  common::Timers timers_;
  mos_host_sql_v1 sqlTable_{};
  mos_host_timers_v1 timersTable_{};
  mos_host_executor_v1 executorTable_{};
  std::mutex hookMutex_;
  std::function<void(const std::string &)> onBatch_;
};

} // namespace matrixos::test
