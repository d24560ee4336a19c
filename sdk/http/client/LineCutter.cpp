#include "LineCutter.h"

#include "ClientError.h"

#include <utility>

namespace matrixos::http {

bool LineCutter::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (rest_.size() + part.size() > kMaxLine) {
      throw ClientError(ClientError::Cause::TooLarge, "a line of the answer is longer than 1 MiB", true);
    }
    if (end == std::string_view::npos) {
      rest_ += part;
      return true;
    }
    bytes.remove_prefix(end + 1);
    if (rest_.empty()) {
      if (!handOut(part)) return false;
    } else {
      const std::string line = std::exchange(rest_, {}).append(part);
      if (!handOut(line)) return false;
    }
  }
  return true;
}

bool LineCutter::finish() {
  const std::string line = std::exchange(rest_, {});
  return line.empty() || handOut(line);
}

bool LineCutter::handOut(std::string_view line) const {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line_(line);
}

} // namespace matrixos::http
