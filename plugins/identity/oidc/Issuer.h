#pragma once

#include "StrictJson.h"
#include "World.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::identity {

/// A provider as its operator named it, and the way to it.
///
/// Immutable; any thread.
class Issuer {
public:
  /// `name`: an https URL without query, fragment and credentials, or http on loopback; compared byte by byte with what
  /// others say. Throws BadSetting, "BAD_ISSUER".
  Issuer(std::string name, World world);

  const std::string &name() const noexcept { return name_; }
  const World &world() const noexcept { return world_; }

  /// Whether a URL that the provider gave may be used: https, or http where the issuer itself is http on loopback and
  /// this is, too.
  bool allows(std::string_view url) const;
  /// Asks a URL that the provider gave or that `byOperator` named. No redirects are followed; 10 seconds, 1 MB. What
  /// the provider only gave may be on a private network when it is of the issuer's own origin. Throws
  /// Error(Unavailable, "ISSUER_UNREACHABLE"), which tells people no more than that.
  FetchAnswer ask(FetchRequest request, bool byOperator = false) const;
  /// A JSON object with status 200 from there. Throws Error(Unavailable): "ISSUER_UNREACHABLE", "BAD_ISSUER_ANSWER".
  Json document(const std::string &url, bool byOperator = false) const;
  /// Says that the provider's answer is no use, and why to the operators.
  Error unusable(const std::string &why) const;

private:
  const std::string name_;
  const World world_;
  std::string origin_;
  bool isPlain_ = false;
};

/// Scheme, host and, unless the scheme implies it, port of an http or https URL, as browsers write it; empty for what
/// is none.
std::string originOf(std::string_view url);
/// Whether it is letters, digits and hyphens with single dots between, at most 253 bytes.
bool isHostName(std::string_view text) noexcept;
/// Whether a URL is http on this machine: 127.0.0.0/8, ::1, localhost and names below it.
bool isPlainLoopback(std::string_view url);

} // namespace matrixos::identity
