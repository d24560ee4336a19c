#include "DomainNames.h"

#include "Grammar.h"

#include <matrixos/names.hpp>

namespace matrixos::http {

DomainNames::DomainNames(std::string_view domain, std::string_view consoleHost)
    : suffix_("." + toLower(domain)),
      console_(consoleHost.empty() ? std::string(kConsoleLabel) + suffix_ : toLower(consoleHost)) {}

std::optional<DomainNames::Name> DomainNames::find(std::string_view host) const {
  const std::string name = toLower(host);
  if (name == console_) return Name{std::string(kConsoleLabel), suffix_};
  for (const std::string_view suffix : {std::string_view(suffix_), kLocalSuffix}) {
    if (name.size() <= suffix.size() || std::string_view(name).substr(name.size() - suffix.size()) != suffix) continue;
    std::string label = name.substr(0, name.size() - suffix.size());
    if (!isHostLabel(label)) continue;
    if (label == kConsoleLabel && suffix == suffix_) return {}; // it has another host
    return Name{std::move(label), suffix};
  }
  return {};
}

bool DomainNames::isThisMachine(std::string_view host) noexcept {
  return sameAsLower(host, kLocalSuffix.substr(1)) || host == "127.0.0.1" || host == "[::1]";
}

std::string DomainNames::consoleFor(std::string_view suffix) const {
  return suffix == suffix_ ? console_ : std::string(kConsoleLabel).append(suffix);
}

} // namespace matrixos::http
