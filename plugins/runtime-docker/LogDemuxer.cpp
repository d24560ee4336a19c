#include "LogDemuxer.h"

#include <matrixos/status.hpp>

namespace matrixos::docker {

namespace {

Error broken(const char *text) {
  return Error(Status::InvalidArgument, text, "BAD_JSON");
}

} // namespace

bool LogDemuxer::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (frameLeft_ == 0) {
      header_[headerFilled_++] = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      if (headerFilled_ < header_.size()) continue;
      headerFilled_ = 0;
      if (header_[0] < 1 || header_[0] > 2 || header_[1] != 0 || header_[2] != 0 || header_[3] != 0) {
        throw broken("the log stream is not framed as the engine's API says");
      }
      frameLeft_ = static_cast<std::uint32_t>(header_[4]) << 24U | static_cast<std::uint32_t>(header_[5]) << 16U |
                   static_cast<std::uint32_t>(header_[6]) << 8U | header_[7];
      continue;
    }
    const std::string_view part = bytes.substr(0, frameLeft_);
    bytes.remove_prefix(part.size());
    frameLeft_ -= static_cast<std::uint32_t>(part.size());
    if (!text(part)) return false;
  }
  return true;
}

bool LogDemuxer::text(std::string_view bytes) {
  const auto stream = static_cast<Stream>(header_[0]);
  std::string &rest = rest_[header_[0] - 1U];
  while (!bytes.empty()) {
    const std::size_t room = kMaxLine - rest.size();
    const std::size_t end = bytes.substr(0, room + 1).find('\n');
    if (end == std::string_view::npos && bytes.size() <= room) {
      rest += bytes;
      return true;
    }
    const std::size_t length = end == std::string_view::npos ? room : end;
    rest += bytes.substr(0, length);
    bytes.remove_prefix(end == std::string_view::npos ? length : length + 1);
    const std::string line = std::exchange(rest, {});
    if (!line_(stream, line)) return false;
  }
  return true;
}

bool LogDemuxer::finish() {
  if (frameLeft_ != 0 || headerFilled_ != 0) throw broken("the log stream ends inside a frame");
  for (std::size_t i = 0; i < rest_.size(); ++i) {
    const std::string line = std::exchange(rest_[i], {});
    if (!line.empty() && !line_(static_cast<Stream>(i + 1), line)) return false;
  }
  return true;
}

} // namespace matrixos::docker
