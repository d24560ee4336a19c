/// matrixos/access_log.hpp: the fields of access log lines, the same for everything that serves requests.
#pragma once

#include <cstdint>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// What an access log says of a request that is over. The message of such a line is kAccessMessage, what each member
/// means stands in core/log/README.md. Texts are borrowed; those that are empty are left out of the line.
struct AccessEntry {
  std::string_view requestId;
  std::string_view endedAt; ///< when the line is written later than the request ended
  std::string_view route;
  std::string_view handle;
  std::string_view method;
  std::string_view path; ///< without the query, which may hold secrets
  std::int64_t status = 0;
  std::uint64_t bytesIn = 0;
  std::uint64_t bytesOut = 0;
  std::int64_t durationUs = 0;
  std::string_view peer;
  std::string_view principal;
  bool upgraded = false;
  bool woken = false;
  std::string_view reason;
};

inline constexpr std::string_view kAccessMessage = "request";

/// Gives each field to field(name, value), in the order of the line; 15 at most.
template <typename Fn>
void eachAccessField(const AccessEntry &entry, Fn &&field) {
  const auto text = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) field(name, value);
  };
  text("requestId", entry.requestId);
  text("endedAt", entry.endedAt);
  text("route", entry.route);
  text("handle", entry.handle);
  text("method", entry.method);
  text("path", entry.path);
  field("status", entry.status);
  field("bytesIn", entry.bytesIn);
  field("bytesOut", entry.bytesOut);
  field("durationUs", entry.durationUs);
  text("peer", entry.peer);
  text("principal", entry.principal);
  if (entry.upgraded) field("upgraded", true);
  if (entry.woken) field("woken", true);
  text("reason", entry.reason);
}

} // namespace v1
} // namespace matrixos
