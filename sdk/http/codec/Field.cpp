#include "Field.h"

#include "Grammar.h"

#include <array>
#include <utility>

namespace matrixos::http {

namespace {

constexpr std::string_view kForwardedPrefix = "x-forwarded-";

/// Grouped by length, so that a lookup compares with the few names of the right length only.
constexpr std::array<std::pair<std::string_view, Name>, 39> kNames{{
    {"te", Name::Te},
    {"via", Name::Via},
    {"date", Name::Date},
    {"host", Name::Host},
    {"accept", Name::Accept},
    {"cookie", Name::Cookie},
    {"expect", Name::Expect},
    {"origin", Name::Origin},
    {"server", Name::Server},
    {"trailer", Name::Trailer},
    {"upgrade", Name::Upgrade},
    {"forwarded", Name::Forwarded},
    {"x-real-ip", Name::XRealIp},
    {"connection", Name::Connection},
    {"keep-alive", Name::KeepAlive},
    {"set-cookie", Name::SetCookie},
    {"tracestate", Name::Tracestate},
    {"user-agent", Name::UserAgent},
    {"traceparent", Name::Traceparent},
    {"content-type", Name::ContentType},
    {"x-request-id", Name::XRequestId},
    {"authorization", Name::Authorization},
    {"server-timing", Name::ServerTiming},
    {"x-matrix-role", Name::XMatrixRole},
    {"x-matrix-user", Name::XMatrixUser},
    {"content-length", Name::ContentLength},
    {"sec-fetch-mode", Name::SecFetchMode},
    {"x-matrix-email", Name::XMatrixEmail},
    {"x-forwarded-for", Name::XForwardedFor},
    {"cf-connecting-ip", Name::CfConnectingIp},
    {"proxy-connection", Name::ProxyConnection},
    {"x-forwarded-host", Name::XForwardedHost},
    {"sec-websocket-key", Name::SecWebSocketKey},
    {"transfer-encoding", Name::TransferEncoding},
    {"x-forwarded-proto", Name::XForwardedProto},
    {"proxy-authenticate", Name::ProxyAuthenticate},
    {"proxy-authorization", Name::ProxyAuthorization},
    {"sec-websocket-accept", Name::SecWebSocketAccept},
    {"sec-websocket-version", Name::SecWebSocketVersion},
}};

constexpr std::size_t kLongest = 21;

/// First index in kNames of each length.
constexpr std::array<std::uint8_t, kLongest + 2> makeStarts() {
  std::array<std::uint8_t, kLongest + 2> starts{};
  std::size_t at = 0;
  for (std::size_t length = 0; length < starts.size(); ++length) {
    while (at < kNames.size() && kNames[at].first.size() < length)
      ++at;
    starts[length] = static_cast<std::uint8_t>(at);
  }
  return starts;
}

constexpr auto kStarts = makeStarts();

} // namespace

Name findName(std::string_view name) noexcept {
  if (name.size() <= kLongest) {
    for (std::size_t i = kStarts[name.size()]; i < kStarts[name.size() + 1]; ++i) {
      if (sameAsLower(name, kNames[i].first)) return kNames[i].second;
    }
  }
  if (name.size() > kForwardedPrefix.size() && sameAsLower(name.substr(0, kForwardedPrefix.size()), kForwardedPrefix)) {
    return Name::XForwardedOther;
  }
  return Name::Other;
}

bool imitatesKnownName(std::string_view name) noexcept {
  constexpr std::size_t kMost = 40; // longer than any known name; X-Forwarded-… is recognised by its prefix
  if (isPlainName(name)) return false;
  std::array<char, kMost> folded{};
  const std::size_t length = name.size() < kMost ? name.size() : kMost;
  for (std::size_t i = 0; i < length; ++i)
    folded[i] = isPlainName(name.substr(i, 1)) ? name[i] : '-';
  return findName({folded.data(), length}) != Name::Other;
}

const Field *FieldList::find(Name id) const noexcept {
  for (const Field &field : items_) {
    if (field.id == id) return &field;
  }
  return nullptr;
}

std::string_view FieldList::value(Name id) const noexcept {
  const Field *field = find(id);
  return field != nullptr ? field->value : std::string_view{};
}

std::size_t FieldList::count(Name id) const noexcept {
  std::size_t found = 0;
  for (const Field &field : items_)
    found += field.id == id ? 1 : 0;
  return found;
}

} // namespace matrixos::http
