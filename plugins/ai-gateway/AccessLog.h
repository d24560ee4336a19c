/// One line for each request, written apart from the loops.
#pragma once

#include <matrixos/host.hpp>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

/// What is said of a request. No query, no body, no credential.
struct AccessRecord {
  std::int64_t atMs = 0; ///< wall clock, when it ended
  std::string requestId;
  std::string route;
  std::string handle;
  std::string method;
  std::string path;
  std::string peer;
  std::string reason;
  std::string traceparent;
  std::string model; ///< of a call with a price
  std::string costUsd;
  std::uint64_t outputTokens = 0;
  std::int64_t status = 0;
  std::uint64_t bytesIn = 0;
  std::uint64_t bytesOut = 0;
  std::int64_t tookMicros = 0;
};

/// Takes lines from the loops and hands them to the host's log from a thread that may wait for it. Thread-safe.
class AccessLog {
public:
  explicit AccessLog(const mos_host_v1 *host) : log_(host) {}

  void add(AccessRecord record) noexcept;
  /// Has operators told, once for each model, that one has no price.
  void unknownModel(std::string_view model) noexcept;
  void write();

private:
  static constexpr std::size_t kMost = 8192;
  static constexpr std::size_t kMostModels = 64; ///< callers name them

  const Log log_;
  std::mutex mutex_;
  std::vector<AccessRecord> records_;
  std::uint64_t dropped_ = 0;
  std::map<std::string, bool, std::less<>> unknownModels_; // whether its line is written
};

} // namespace matrixos::gateway
