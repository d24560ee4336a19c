#pragma once

#include "Child.h"
#include "Settings.h"

#include <matrixos/abi/runtime.h>

#include <nlohmann/json.hpp>

#include <memory>
#include <mutex>
#include <string>

namespace matrixos::conformance {

/// A runtime whose plugin lives in another process, which can be ended and replaced by a new one while the table stays
/// the same. Offers what the restart cases need: capabilities, create, start, stop, remove, inspect, list, endpoints.
class RemoteRuntime {
public:
  explicit RemoteRuntime(const Settings &settings);

  const mos_runtime_v1 *table() const noexcept { return &table_; }
  /// Ends the process with a stop() of the plugin, and begins another. Throws std::runtime_error when it will not
  /// start.
  void restart();
  /// Kills the process with SIGKILL and begins another.
  void kill();
  /// Sends a call and does not wait for its answer; the next thing to do is kill().
  void sendOnly(const nlohmann::json &request);

private:
  void begin();
  mos_status call(nlohmann::json request, const mos_call *context, mos_buf *out, const mos_sink *items,
                  mos_error *error);
  void fill();

  const Settings &settings_;
  std::mutex mutex_;
  std::unique_ptr<Child> child_;
  mos_runtime_v1 table_{};
};

/// In the other process: carries out one request against the real table.
nlohmann::json carryOut(const mos_runtime_v1 &table, const nlohmann::json &request);

} // namespace matrixos::conformance
