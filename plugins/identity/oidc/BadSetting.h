#pragma once

#include <matrixos/status.hpp>

#include <string>
#include <utility>

namespace matrixos::identity {

/// A key of [identity] with which nobody could sign in. what() is a sentence that begins with the key; end() is the
/// rest of it: "is missing; …".
class BadSetting : public Error {
public:
  BadSetting(std::string key, std::string end, const char *reason)
      : Error(Status::InvalidArgument, key + " " + end, reason), key_(std::move(key)), end_(std::move(end)) {}

  const std::string &key() const noexcept { return key_; }
  const std::string &end() const noexcept { return end_; }

private:
  std::string key_, end_;
};

} // namespace matrixos::identity
