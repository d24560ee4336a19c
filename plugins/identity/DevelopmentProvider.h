#pragma once

#include "SignInProvider.h"

#include <string>

namespace matrixos::identity {

/// mode=none: everybody is who he says. For machines that nobody else reaches.
class DevelopmentProvider final : public SignInProvider {
public:
  /// The page that asks for the name, below the origin of the callback.
  static constexpr const char *kPath = "/auth/development";

  SignInStart begin(const std::string &callback) override;
  /// `query`: name, which becomes the user's id.
  ProviderUser finish(const std::multimap<std::string, std::string> &query, const std::string &secret,
                      const std::string &callback) override;
  ProviderUser redeem(const std::string &token) override;

  /// What the page shows: HTML for an element `main`.
  static std::string form(const std::string &state);
};

} // namespace matrixos::identity
