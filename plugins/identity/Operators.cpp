#include "Operators.h"

#include <http/codec/Grammar.h>

#include <algorithm>

namespace matrixos::identity {

std::string_view emailDomain(std::string_view email) noexcept {
  const std::size_t at = email.find('@');
  if (at == std::string_view::npos || at == 0 || email.find('@', at + 1) != std::string_view::npos) return {};
  return email.substr(at + 1);
}

std::string Operators::itemFor(const ProviderUser &user) const {
  const auto means = [&](const std::string &item) {
    if (item == user.id) return true;
    if (user.emailVerified && !emailDomain(user.email).empty() && http::sameText(item, user.email)) return true;
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos) return false;
    const auto [first, last] = user.claims.equal_range(item.substr(0, equals));
    return std::any_of(first, last, [&](const auto &claim) { return claim.second == item.substr(equals + 1); });
  };
  const auto found = std::find_if(items_.begin(), items_.end(), means);
  return found == items_.end() ? std::string() : *found;
}

bool Operators::has(std::string_view item) const {
  return !item.empty() && std::find(items_.begin(), items_.end(), item) != items_.end();
}

std::string Operators::whyNot(std::string_view item) {
  const std::size_t equals = item.find('=');
  if (equals == 0) return "has no claim before =";
  return equals == item.size() - 1 ? "has no value behind =" : "";
}

} // namespace matrixos::identity
