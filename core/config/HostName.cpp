#include "config/HostName.h"

#include <algorithm>
#include <cstddef>

namespace matrixos::config {

namespace {

constexpr std::size_t kLongestLabel = 63;
constexpr std::size_t kLongestName = 253;
/// Leaves room for the names of instances below it.
constexpr std::size_t kLongestDomain = 200;

} // namespace

bool isHostName(std::string_view text, bool underscores) noexcept {
  if (text.size() > kLongestName) return false;
  std::size_t length = 0;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    const char c = at < text.size() ? text[at] : '.';
    const char before = at > 0 ? text[at - 1] : '.';
    const bool edge = c == '.' ? length == 0 || length > kLongestLabel || before == '-' : c == '-' && before == '.';
    const bool known = c == '.' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                       (c >= 'A' && c <= 'Z') || (c == '_' && underscores);
    if (edge || !known) return false;
    length = c == '.' ? 0 : length + 1;
  }
  return true;
}

const char *whyNoDomain(std::string_view text) noexcept {
  if (text.find("://") != std::string_view::npos) return "it names a scheme";
  if (text.find(':') != std::string_view::npos) return "it names a port";
  if (text.find('/') != std::string_view::npos) return "it names a path";
  if (text.find('*') != std::string_view::npos) return "wildcards are not needed, instances get names below it";
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
    return "letters beyond ASCII travel in their xn-- form (idn2 NAME prints it)";
  return isHostName(text) && text.size() <= kLongestDomain ? nullptr : "it is no host name";
}

} // namespace matrixos::config
