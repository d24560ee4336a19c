/// http/codec/Field.h: header fields as spans of the buffer they arrived in.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace matrixos::http {

/// The field names that framing, routing or forwarding cares about.
enum class Name : std::uint8_t {
  Other,
  Accept,
  Authorization,
  CfConnectingIp,
  Connection,
  ContentLength,
  ContentType,
  Cookie,
  Date,
  Expect,
  Forwarded,
  Host,
  KeepAlive,
  Origin,
  ProxyAuthenticate,
  ProxyAuthorization,
  ProxyConnection,
  SecFetchMode,
  SecWebSocketAccept,
  SecWebSocketKey,
  SecWebSocketVersion,
  Server,
  ServerTiming,
  SetCookie,
  Te,
  Traceparent,
  Tracestate,
  Trailer,
  TransferEncoding,
  Upgrade,
  UserAgent,
  Via,
  XForwardedFor,
  XForwardedHost,
  XForwardedProto,
  XForwardedOther, ///< any other X-Forwarded-…
  XMatrixEmail,
  XMatrixRole,
  XMatrixUser,
  XRealIp,
  XRequestId,
};

/// Whether it is one of the set.
template <Name... Set>
constexpr bool isOneOf(Name name) noexcept {
  return ((name == Set) || ...);
}

/// Looks a name up without regard to case; Name::Other when it is none of the known ones.
Name findName(std::string_view name) noexcept;

/// True for a name that equals a known one once all but letters and digits is read as "-", like X_Forwarded.For: CGI
/// (RFC 3875 §4.1.18) and application servers make one variable of all these spellings, so a forged field could slip
/// past a filter.
bool imitatesKnownName(std::string_view name) noexcept;

/// One field line. Both spans point into the buffer that was parsed, the value without surrounding blanks.
struct Field {
  std::string_view name;
  std::string_view value;
  Name id = Name::Other;
  bool dropped = false;  ///< left out when the head is written again
  bool verbatim = false; ///< in the buffer, "name: value" CR LF stand as they would be written
};

/// The fields of one head in the order they came.
class FieldList {
public:
  void clear() noexcept { items_.clear(); }
  void add(Field field) { items_.push_back(field); }

  std::vector<Field>::iterator begin() noexcept { return items_.begin(); }
  std::vector<Field>::iterator end() noexcept { return items_.end(); }
  std::vector<Field>::const_iterator begin() const noexcept { return items_.begin(); }
  std::vector<Field>::const_iterator end() const noexcept { return items_.end(); }
  std::size_t size() const noexcept { return items_.size(); }

  /// The first field of that name, dropped ones too; null when there is none.
  const Field *find(Name id) const noexcept;
  /// The value of the first such field, or an empty text.
  std::string_view value(Name id) const noexcept;
  std::size_t count(Name id) const noexcept;

private:
  std::vector<Field> items_;
};

} // namespace matrixos::http
