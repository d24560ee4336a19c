#pragma once

#include "SignInProvider.h"

#include <string>
#include <string_view>
#include <vector>

namespace matrixos::identity {

/// [identity] operators: ids, verified emails in any case, or "claim=value".
class Operators {
public:
  Operators() = default;
  explicit Operators(std::vector<std::string> items) : items_(std::move(items)) {}

  /// The item that makes an operator of the user; empty: none does.
  std::string itemFor(const ProviderUser &user) const;
  /// Whether an item of an earlier sign-in still counts.
  bool has(std::string_view item) const;

  /// The end of a sentence that says why an item, which is not empty, names nobody; empty for one that may. An id that
  /// ends with its only "=" is written as a claim: "sub=YQ=".
  static std::string whyNot(std::string_view item);

private:
  std::vector<std::string> items_;
};

/// What stands behind the @; empty for what is no address, such as one with two of them.
std::string_view emailDomain(std::string_view email) noexcept;

} // namespace matrixos::identity
