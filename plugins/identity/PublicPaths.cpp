#include "PublicPaths.h"

#include <matrixos/text/hex.hpp>

#include <algorithm>

namespace matrixos::identity {

namespace {

constexpr std::string_view kBelow = "/*";

/// A byte that means the same to everybody who splits and decodes paths. ';' begins parameters for servlets.
bool isPlain(char c) noexcept {
  return c > ' ' && c < '\x7f' && c != '\\' && c != ';' && c != '%' && c != '?' && c != '#';
}

/// What is encoded is neither a separator, a dot, a percent sign nor a control character.
bool isHarmless(int byte) noexcept {
  return byte > ' ' && byte != 0x7f && byte != '/' && byte != '\\' && byte != '.' && byte != '%' && byte != ';' &&
         byte != '?' && byte != '#';
}

/// Of segments that are neither empty nor dots, but for an empty last one, all in plain bytes.
bool isPlainPath(std::string_view path) noexcept {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      if (!isPlain(path[i])) return false;
      continue;
    }
    if (i + 2 >= path.size()) return false;
    const int high = hexValue(path[i + 1]), low = hexValue(path[i + 2]);
    if (high < 0 || low < 0 || !isHarmless(high * 16 + low)) return false;
    i += 2;
  }
  for (;;) {
    const std::size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    if (segment == "." || segment == ".." || (segment.empty() && slash != std::string_view::npos)) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool covers(std::string_view item, std::string_view path) noexcept {
  if (item.size() < kBelow.size() || item.substr(item.size() - kBelow.size()) != kBelow) return item == path;
  const std::string_view folder = item.substr(0, item.size() - 1); // with its slash
  return path.size() >= folder.size() && path.substr(0, folder.size()) == folder &&
         isPlainPath(path.substr(folder.size()));
}

} // namespace

bool PublicPaths::contains(std::string_view path) const noexcept {
  return std::any_of(list_.begin(), list_.end(), [&](const std::string &item) { return covers(item, path); });
}

std::string PublicPaths::whyNot(std::string_view item) {
  if (item.empty() || item.front() != '/') return "is no path; it begins with /";
  const std::string_view stem = item.substr(0, item.find('*'));
  if (stem.size() + 1 < item.size() || (stem.size() < item.size() && stem.back() != '/'))
    return "has a * that is no segment of its own at the end; write it like /blog/*";
  if (stem != "/" && !isPlainPath(stem.substr(1)))
    return "is read in more than one way; write it without dot segments, empty ones and encoded characters";
  if (stem.substr(0, 10) == "/.matrixos") return "belongs to the platform";
  return {};
}

} // namespace matrixos::identity
