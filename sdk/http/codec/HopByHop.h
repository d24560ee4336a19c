/// http/codec/HopByHop.h: which fields end at this hop (RFC 9110 §7.6.1).
#pragma once

#include "Field.h"

namespace matrixos::http {

/// Marks as dropped what concerns one connection only: Connection and the fields it nominates, Keep-Alive,
/// Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, TE, Trailer, Transfer-Encoding, Upgrade; also
/// Content-Length and Host or Expect where the writer states them anew. Host and X-Forwarded-* cannot be removed by
/// nomination: who could do that could make an application believe in another client or another site.
void dropHopByHop(FieldList &fields) noexcept;

/// Marks as dropped the trailers that must not be sent on: framing, routing, credentials and content description
/// (RFC 9110 §6.5.1).
void dropUnsafeTrailers(FieldList &trailers) noexcept;

} // namespace matrixos::http
