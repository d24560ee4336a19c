/// Builds one line of the log. Internal to core/log.
#pragma once

#include "log/Log.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::log {

/// What a line is made of.
struct LogEntry {
  Level level = Level::Info;
  std::int64_t timeMs = 0; ///< since the epoch
  std::string_view logger;
  std::string_view message;
  std::string_view requestId;
  std::span<const Field> fields;
  const Field *named = nullptr; ///< of the fields, the one that requestId was taken from; it is not written again
};

/// The line with its newline, at most kLongestLine bytes, valid UTF-8 without control bytes whatever is put in.
/// Secrets are taken out of texts before they are cut, so that no part of one is left at an edge.
std::string buildLine(const LogEntry &entry, Format format, const std::vector<std::string> &secrets);

} // namespace matrixos::log
