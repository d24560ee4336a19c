#include "HopByHop.h"

#include "Grammar.h"

namespace matrixos::http {

namespace {

bool endsHere(Name id) noexcept {
  return isOneOf<Name::Connection, Name::ContentLength, Name::Expect, Name::KeepAlive, Name::ProxyAuthenticate,
                 Name::ProxyAuthorization, Name::ProxyConnection, Name::Te, Name::Trailer, Name::TransferEncoding,
                 Name::Upgrade>(id);
}

bool survivesNomination(Name id) noexcept {
  return isOneOf<Name::Host, Name::XForwardedFor, Name::XForwardedHost, Name::XForwardedProto, Name::XForwardedOther>(
      id);
}

} // namespace

void dropHopByHop(FieldList &fields) noexcept {
  for (const Field &connection : fields) {
    if (connection.id != Name::Connection) continue;
    forEachListItem(connection.value, [&](std::string_view nominated) {
      for (Field &field : fields) {
        if (!survivesNomination(field.id) && sameText(field.name, nominated)) field.dropped = true;
      }
    });
  }
  for (Field &field : fields)
    field.dropped = field.dropped || endsHere(field.id);
}

void dropUnsafeTrailers(FieldList &trailers) noexcept {
  for (Field &field : trailers) {
    const bool known = field.id != Name::Other && field.id != Name::ServerTiming;
    constexpr std::string_view kContent = "content-";
    const bool content =
        field.name.size() > kContent.size() && sameText(field.name.substr(0, kContent.size()), kContent);
    if (known || content) field.dropped = true;
  }
}

} // namespace matrixos::http
