/// What a request brings along to say who asks.
#pragma once

#include <http/codec/Field.h>

#include <cstdint>
#include <string_view>

namespace matrixos::gateway {

/// Begins every key of Anthropic's.
inline constexpr std::string_view kOwnKeyPrefix = "sk-ant-";

/// The one credential of a request, from Authorization or x-api-key.
struct Credential {
  enum class Kind : std::uint8_t {
    None,
    Two,      ///< that differ
    Instance, ///< looks like a token of an instance
    OwnKey,   ///< looks like a key of Anthropic's
    Other,    ///< perhaps the platform's secret
  };
  Kind kind = Kind::None;
  std::string_view text; ///< a part of the request
  bool isBearer = false; ///< it came as a bearer token
};

Credential credentialOf(const http::FieldList &fields) noexcept;

} // namespace matrixos::gateway
