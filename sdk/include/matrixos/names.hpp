/// matrixos/names.hpp: what may be a name or a path before it reaches an engine or a filesystem.
#pragma once

#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// True for `[a-zA-Z0-9][a-zA-Z0-9_.-]*` of at most 128 characters: what engines take as a name, and what is safe as
/// one part of a path.
inline bool isEngineName(std::string_view text) noexcept {
  if (text.empty() || text.size() > 128) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && (i == 0 || (c != '_' && c != '.' && c != '-'))) return false;
  }
  return true;
}

/// True for `[a-z0-9]([a-z0-9-]*[a-z0-9])?` of at most 63 characters: one label of a host's name (RFC 1035 §2.3.1), as
/// it is compared.
inline bool isHostLabel(std::string_view text) noexcept {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  for (const char c : text)
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-') return false;
  return true;
}

/// True for a path that is absolute, in normal form, without ".", "..", empty parts, colons and control characters: it
/// means the same to everybody who resolves it.
inline bool isPlainPath(std::string_view path) noexcept {
  if (path.empty() || path.front() != '/' || path.size() > 1024) return false;
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == ':' || c == '\\') return false;
  }
  if (path == "/") return true;
  path.remove_prefix(1);
  for (;;) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

/// A stranger's text in a message: short and without line breaks.
inline std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 60)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7F ? '?' : c;
  }
  return "\"" + out + (text.size() > 60 ? "…\"" : "\"");
}

} // namespace v1
} // namespace matrixos
