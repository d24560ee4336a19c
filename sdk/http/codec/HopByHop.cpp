#include "HopByHop.h"

#include "Grammar.h"

namespace matrixos::http {

namespace {

bool endsHere(Name id) noexcept {
  switch (id) {
  case Name::Connection:
  case Name::ContentLength:
  case Name::Expect:
  case Name::KeepAlive:
  case Name::ProxyAuthenticate:
  case Name::ProxyAuthorization:
  case Name::ProxyConnection:
  case Name::Te:
  case Name::Trailer:
  case Name::TransferEncoding:
  case Name::Upgrade:
    return true;
  default:
    return false;
  }
}

bool survivesNomination(Name id) noexcept {
  switch (id) {
  case Name::Host:
  case Name::XForwardedFor:
  case Name::XForwardedHost:
  case Name::XForwardedProto:
  case Name::XForwardedOther:
    return true;
  default:
    return false;
  }
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
