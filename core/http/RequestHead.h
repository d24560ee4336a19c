#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::api {

/// One header field as it stood in the message: name in its own case, value without surrounding white space, undecoded.
struct Field {
  std::string name;
  std::string value;
};

/// How the end of a request's body is found (RFC 9112 §6.3). The gate admits no other way.
enum class BodyFraming { None, Length, Chunked };

/// The head of a request that passed the gate: every statement it makes about framing is unambiguous.
struct RequestHead {
  std::string method;
  /// Origin form: path and query, or "*".
  std::string target;
  /// 0 for HTTP/1.0, 1 for HTTP/1.1.
  int minorVersion = 1;
  std::vector<Field> fields;
  BodyFraming framing = BodyFraming::None;
  /// Bytes of the body when framing is Length.
  std::uint64_t contentLength = 0;
  bool keepAlive = true;
  bool expectContinue = false;

  /// The first field of that name, in any case.
  std::optional<std::string_view> find(std::string_view name) const;
  /// The values of all fields of that name, in any case.
  std::vector<std::string_view> findAll(std::string_view name) const;
  /// The target up to the query.
  std::string_view path() const;
  /// The query without the "?"; empty when there is none.
  std::string_view query() const;
};

/// ASCII comparison without case, for header names and tokens.
bool equalsIgnoreCase(std::string_view left, std::string_view right) noexcept;

/// Whether the text is a token (RFC 9110 §5.6.2).
bool isToken(std::string_view text) noexcept;

/// Whether the text may stand in a field value: no control bytes but HTAB (RFC 9110 §5.5).
bool isFieldValue(std::string_view text) noexcept;

} // namespace matrixos::api
