/// What an instance proves with that it is itself.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace matrixos::orchestrator {

/// A fresh token. The text goes to the container and nowhere else: whoever keeps something keeps the hash.
struct InstanceToken {
  static constexpr std::size_t kLength = 47;

  std::string text; ///< "mxi_" and 43 characters of base64url: 256 bits
  std::string hash; ///< hashOf(text)

  /// From the system's random source. Throws Error(Unavailable) when that has nothing to give.
  static InstanceToken make();
  /// SHA-256 in hexadecimal. Enough, and no slow hash needed: nobody guesses 256 random bits.
  static std::string hashOf(std::string_view text);
};

} // namespace matrixos::orchestrator
