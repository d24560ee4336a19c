/// Which header fields pass, in either direction. Lists of what passes, so that nothing new slips through.
#pragma once

#include "upstream/KeyList.h"

#include <http/codec/Head.h>
#include <http/codec/HeadWriter.h>

#include <cstdint>
#include <string_view>

namespace matrixos::gateway {

/// Writes the end-to-end fields of a request for an upstream: what describes the body and the client, anthropic-*, x-*
/// but for what names the client, its user or a credential. A field that holds a token of an instance or `secret`, the
/// platform's, is left out, whatever its name. The traceparent is the session's to write.
void writeUpstreamFields(const http::RequestHead &head, std::string_view secret, http::HeadWriter &writer);

/// Writes the end-to-end fields of an upstream's answer: what describes the body, anthropic-* but for the rate limits
/// of the shared key, x-*, request-id and retry-after. Keys in values become `x`.
void writeDownstreamFields(const http::ResponseHead &head, const KeyList *hidden, http::HeadWriter &writer);

/// The first value of a field that the codec has no number for; empty when there is none. `name` in lower case.
std::string_view valueOf(const http::FieldList &fields, std::string_view name) noexcept;

/// For how long the answer asks to be left alone: retry-after-ms, else retry-after in seconds; 0: it does not say.
std::int64_t pauseMs(const http::FieldList &fields) noexcept;

} // namespace matrixos::gateway
