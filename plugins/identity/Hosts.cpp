#include "Hosts.h"

#include <http/codec/Authority.h>
#include <http/codec/Grammar.h>

#include <algorithm>

namespace matrixos::identity {

namespace {

constexpr std::size_t kMostReturn = 4096;

bool endsWith(std::string_view text, std::string_view end) noexcept {
  return text.size() > end.size() && http::sameText(text.substr(text.size() - end.size()), end);
}

} // namespace

std::string OurHost::origin(std::string_view other) const {
  return (plain ? "http://" : "https://") + name(other);
}

bool Hosts::isPlain(std::string_view host, std::string_view scheme) noexcept {
  const auto authority = http::Authority::parse(host, 0);
  return authority && scheme != "https" && endsWith(authority->name, http::kLocalSuffix);
}

std::optional<OurHost> Hosts::parse(std::string_view host, std::string_view scheme) const {
  const auto authority = http::Authority::parse(host, 0);
  if (!authority) return {};
  auto name = names_.find(authority->name);
  if (!name) return {};
  OurHost out;
  out.label = std::move(name->label);
  out.suffix = name->suffix;
  out.console = names_.consoleFor(name->suffix);
  out.plain = isPlain(host, scheme);
  const unsigned usual = http::Authority::defaultPort(out.plain ? "http" : "https");
  if (authority->port != 0 && authority->port != usual) out.port = ":" + std::to_string(authority->port);
  return out;
}

std::optional<OurHost> Hosts::consoleBy(std::string_view host, std::string_view scheme) const {
  auto at = parse(host, scheme);
  if (!at) {
    const auto authority = http::Authority::parse(host, 0);
    if (!authority) return {};
    const bool here = http::DomainNames::isThisMachine(authority->name);
    if (!here && !http::sameText(authority->name, names_.domain())) return {};
    const std::string port = authority->port != 0 ? ":" + std::to_string(authority->port) : "";
    at = parse((here ? std::string(kConsole).append(http::kLocalSuffix) : names_.console()) + port, scheme);
  }
  if (at) at->label = kConsole;
  return at;
}

bool Hosts::isPath(std::string_view text) noexcept {
  if (text.empty() || text.front() != '/' || text.size() > kMostReturn) return false;
  if (text.size() > 1 && text[1] == '/') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < '\x7f' && c != '\\' && c != '"' && c != '<' && c != '>'; });
}

std::string Hosts::safeReturn(std::string_view wanted, const OurHost &at) const {
  if (isPath(wanted)) return std::string(wanted);
  const std::string_view scheme = at.plain ? "http://" : "https://";
  if (wanted.substr(0, scheme.size()) != scheme) return "/";
  const std::string_view rest = wanted.substr(scheme.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view host = rest.substr(0, slash);
  const std::string_view path = slash == rest.size() ? std::string_view("/") : rest.substr(slash);
  const auto to = parse(host, at.plain ? "http" : "https");
  // Whole, and as we write it: who spells it in another way can write it so, too.
  if (!to || to->suffix != at.suffix || host != at.name(to->label) || !isPath(path)) return "/";
  return at.origin(to->label) + std::string(path);
}

std::string setCookie(CookieKind kind, bool plain, std::string_view value, std::int64_t seconds) {
  std::string out(http::nameOf(kind, plain));
  out.append("=").append(value).append("; Path=/; HttpOnly; SameSite=Lax; Max-Age=").append(std::to_string(seconds));
  return plain ? out : out + "; Secure";
}

} // namespace matrixos::identity
