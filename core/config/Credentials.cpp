#include "config/Credentials.h"

#include "config/Text.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <system_error>

namespace matrixos::config {

namespace {

constexpr std::string_view kPrefix = "credential:";
constexpr std::size_t kLongestName = 255;

/// systemd's own rule: the name of a file, and of a descriptor.
bool isName(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return plain && !name.empty() && name.size() <= kLongestName && name != "." && name != ".." &&
         name.find_first_of("/:") == std::string_view::npos;
}

} // namespace

bool Credentials::isNamedBy(std::string_view value) noexcept {
  return value.starts_with(kPrefix);
}

void Credentials::checkName(std::string_view value) {
  if (isName(value.substr(kPrefix.size()))) return;
  throw Error(Status::InvalidArgument, quote(value) + " names no credential; write credential:NAME, with the NAME of "
                                                      "LoadCredential=NAME:/path/to/file, without / and :");
}

std::string Credentials::fileOf(std::string_view value) const {
  checkName(value);
  const std::string name(value.substr(kPrefix.size()));
  const std::string remedy = "write LoadCredential=" + name + ":/path/to/file into the daemon's unit, and restart it";
  if (!areGiven()) {
    throw Error(Status::NotFound,
                "there is no credential " + quote(name) + ", since $CREDENTIALS_DIRECTORY is not set; " + remedy);
  }
  std::error_code error;
  const std::filesystem::path file = folder_ / name;
  if (std::filesystem::status(file, error).type() == std::filesystem::file_type::not_found) {
    throw Error(Status::NotFound, "there is no credential " + quote(name) + " in " + folder_.string() + "; " + remedy);
  }
  return file.string();
}

} // namespace matrixos::config
