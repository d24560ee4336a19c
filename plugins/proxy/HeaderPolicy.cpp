#include "HeaderPolicy.h"

#include <matrixos/status.hpp>

#include <http/codec/Authority.h>
#include <http/codec/Bearer.h>
#include <http/codec/Grammar.h>
#include <http/codec/PlatformCookie.h>
#include <http/codec/Traceparent.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

namespace matrixos::proxy {

namespace {

using http::Name;
using http::sameText;
using http::trim;

constexpr std::size_t kMaxRequestId = 64;

bool isPlatformCookie(std::string_view pair) {
  // One without a name is sent back as its value alone, which is then read as if it had one.
  while (!pair.empty() && (pair.front() == '=' || pair.front() == ' ' || pair.front() == '\t'))
    pair.remove_prefix(1);
  return http::isPlatformCookie(trim(pair.substr(0, pair.find('='))));
}

/// Fields about the client or its user: ours are written in their place, the inbound ones never travel.
bool isClaim(Name id) {
  return http::isOneOf<Name::CfConnectingIp, Name::Forwarded, Name::Traceparent, Name::XForwardedFor,
                       Name::XForwardedHost, Name::XForwardedOther, Name::XForwardedProto, Name::XMatrixEmail,
                       Name::XMatrixRole, Name::XMatrixUser, Name::XRealIp, Name::XRequestId>(id);
}

/// A token of the platform's, which some policy may have taken for the way in.
bool isPlatformToken(const http::Field &field) {
  if (field.id == Name::Authorization) return http::hasPlatformToken(field.value);
  return field.id == Name::Other && http::isInstanceToken(trim(field.value)) && sameText(field.name, "x-api-key");
}

/// The same name to frameworks that hand fields over as CGI variables: HTTP_X_MATRIX_USER.
bool isFolded(std::string_view name, std::string_view other) {
  const auto fold = [](char c) { return http::isPlainName({&c, 1}) ? http::lower(c) : '-'; };
  return name.size() == other.size() &&
         std::equal(name.begin(), name.end(), other.begin(), [&](char a, char b) { return fold(a) == fold(b); });
}

bool isRequestId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestId && std::all_of(text.begin(), text.end(), [](char c) {
    const char l = http::lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

/// Fields of an answer that a browser takes for the word of the whole host.
bool concernsWholeHost(const http::Field &field) {
  constexpr std::array<std::string_view, 13> kFields{"accept-ch",
                                                     "alt-svc",
                                                     "clear-site-data",
                                                     "expect-ct",
                                                     "nel",
                                                     "public-key-pins",
                                                     "public-key-pins-report-only",
                                                     "report-to",
                                                     "reporting-endpoints",
                                                     "service-worker-allowed",
                                                     "set-cookie2",
                                                     "set-login",
                                                     "strict-transport-security"};
  if (field.id == Name::SetCookie) return true;
  return field.id == Name::Other && std::any_of(kFields.begin(), kFields.end(), [&](std::string_view name) {
           return http::sameAsLower(field.name, name);
         });
}

/// What an instance could tell a front ahead of us to do: fetch another file, keep an answer for everybody. nginx,
/// Apache, lighttpd, LiteSpeed, perlbal; Surrogate-Control and -Key, Edge-Control, CDN-Cache-Control (RFC 9213).
bool isForFrontsAlone(const http::Field &field) {
  if (field.id != Name::Other) return false;
  constexpr std::array<std::string_view, 9> kPrefixes{"x-accel-",     "x-sendfile", "x-lighttpd-",
                                                      "x-litespeed-", "x-reproxy-", "surrogate-",
                                                      "edge-control", "cdn-",       "cache-tag"};
  constexpr std::string_view kTargeted = "-cdn-cache-control"; // Cloudflare-, Vercel-, Netlify-
  const std::string_view name = field.name;
  const auto startsWith = [&](std::string_view prefix) {
    return http::lower(name.front()) == prefix.front() && http::sameAsLower(name.substr(0, prefix.size()), prefix);
  };
  if (std::any_of(kPrefixes.begin(), kPrefixes.end(), startsWith)) return true;
  return name.size() > kTargeted.size() && http::sameAsLower(name.substr(name.size() - kTargeted.size()), kTargeted);
}

/// Calls `item` for the elements of all lines of that name as if they were one list, the last one first, until it says
/// that it has seen enough (RFC 9110 §5.3).
void forEachFromLast(const http::FieldList &fields, Name id, auto &&item) {
  for (auto field = std::make_reverse_iterator(fields.end()); field != std::make_reverse_iterator(fields.begin());
       ++field) {
    if (field->id != id) continue;
    std::string_view list = field->value;
    for (std::size_t comma = 0; comma != std::string_view::npos; list = list.substr(0, comma)) {
      comma = list.rfind(',');
      if (!item(trim(comma == std::string_view::npos ? list : list.substr(comma + 1)))) return;
    }
  }
}

std::string_view lastOf(const http::FieldList &fields, Name id) {
  std::string_view last;
  forEachFromLast(fields, id, [&](std::string_view item) {
    last = item;
    return false;
  });
  return last;
}

/// The value of a parameter of one element of Forwarded, without quotes: `for="[2001:db8::1]:80";proto=https`.
std::string_view forwardedParameter(std::string_view element, std::string_view name) {
  while (!element.empty()) {
    const std::size_t end = element.find(';');
    const std::string_view pair = trim(element.substr(0, end));
    element.remove_prefix(end == std::string_view::npos ? element.size() : end + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || !http::sameAsLower(pair.substr(0, equals), name)) continue;
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return value;
  }
  return {};
}

/// "203.0.113.7", "203.0.113.7:4711", "2001:db8::7", "[2001:db8::7]:4711": some fronts add the port.
std::optional<Address> hopAddress(std::string_view text) {
  if (!text.empty() && text.front() == '[') {
    const std::size_t close = text.find(']');
    return close == std::string_view::npos ? std::nullopt : Address::tryIp(text.substr(1, close - 1));
  }
  const std::size_t colon = text.find(':');
  const bool port = colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
  return Address::tryIp(port ? text.substr(0, colon) : text);
}

/// RFC 7239 §6: an IPv6 address stands in brackets and quotes.
void writeForwarded(const ClientFacts &facts, std::string_view host, http::HeadWriter &writer) {
  const bool v6 = facts.ip.find(':') != std::string::npos;
  const std::string_view ip = facts.ip.empty() ? std::string_view("unknown") : std::string_view(facts.ip);
  writer.field("Forwarded", {"for=", v6 ? "\"[" : "", ip, v6 ? "]\"" : "", ";host=\"", host, "\";proto=", facts.proto});
}

bool contains(std::string_view text, std::string_view secret) noexcept {
  return !secret.empty() && text.find(secret) != std::string_view::npos;
}

} // namespace

std::string withoutPlatformCookies(std::string_view cookies) {
  std::string out;
  while (!cookies.empty()) {
    const std::size_t end = cookies.find(';');
    const std::string_view pair = trim(cookies.substr(0, end));
    cookies.remove_prefix(end == std::string_view::npos ? cookies.size() : end + 1);
    if (pair.empty() || isPlatformCookie(pair)) continue;
    if (!out.empty()) out += "; ";
    out += pair;
  }
  return out;
}

std::string tenantCookie(std::string_view cookie, std::string_view host) {
  if (isPlatformCookie(cookie)) return {};
  const auto authority = http::Authority::parse(host, 0);
  const std::string_view name = authority ? authority->name : std::string_view{};
  std::string out;
  bool first = true;
  while (!cookie.empty()) {
    const std::size_t end = cookie.find(';');
    const std::string_view part = cookie.substr(0, end);
    cookie.remove_prefix(end == std::string_view::npos ? cookie.size() : end + 1);
    const std::size_t equals = part.find('=');
    if (!first && sameText(trim(part.substr(0, equals)), "domain")) {
      std::string_view domain = equals == std::string_view::npos ? std::string_view{} : trim(part.substr(equals + 1));
      if (!domain.empty() && domain.front() == '.') domain.remove_prefix(1);
      if (domain.empty() || !sameText(domain, name)) continue;
    }
    if (!first) out += ';';
    out += part;
    first = false;
  }
  return out;
}

HeaderPolicy::HeaderPolicy(TrustedPeers trusted, std::string secret, std::string metricsToken, ClientAddress source)
    : trusted_(std::move(trusted)), secret_(std::move(secret)), metricsToken_(std::move(metricsToken)),
      source_(source) {}

void HeaderPolicy::describe(const http::RequestHead &head, const PeerFacts &peer, bool encrypted,
                            ClientFacts &out) const {
  out.ip = peer.ip;
  out.proto = encrypted ? "https" : "http";
  out.trusted = peer.trusted;
  if (!out.trusted) return;
  // Of several lines the last one is what the peer itself added; those before may be the client's own.
  if (sameText(lastOf(head.fields, Name::XForwardedProto), "https")) out.proto = "https";
  readClientAddress(head.fields, out);
  const std::string_view id = lastOf(head.fields, Name::XRequestId);
  if (isRequestId(id) && !holds(id)) out.requestId = id;
}

/// The last hop that is none of ours: each front adds whom it heard, so what stands before that one is hearsay.
void HeaderPolicy::readClientAddress(const http::FieldList &fields, ClientFacts &out) const {
  const auto isOneOfOurs = [&](std::string_view hop) {
    const auto address = hopAddress(hop);
    if (address) out.ip = address->ip();
    return address && trusted_.contains(*address);
  };
  switch (source_) {
  case ClientAddress::Peer:
    return;
  case ClientAddress::CfConnectingIp:
    if (fields.count(Name::CfConnectingIp) == 1) isOneOfOurs(fields.value(Name::CfConnectingIp));
    return;
  case ClientAddress::XForwardedFor:
    return forEachFromLast(fields, Name::XForwardedFor, isOneOfOurs);
  case ClientAddress::Forwarded:
    return forEachFromLast(fields, Name::Forwarded, [&](std::string_view element) {
      const std::string_view proto = forwardedParameter(element, "proto");
      if (!proto.empty()) out.proto = sameText(proto, "https") ? "https" : "http";
      return isOneOfOurs(forwardedParameter(element, "for"));
    });
  }
}

/// In whatever form: as another scheme's, with a tab or a comma, under another name. One byte more or less and it is
/// worth nothing, so how long a guess was compared tells nobody more than how long it was.
bool HeaderPolicy::holds(std::string_view text) const noexcept {
  return contains(text, secret_) || contains(text, metricsToken_);
}

bool HeaderPolicy::knowsSecret(const http::RequestHead &head) const noexcept {
  const http::Field *field = head.fields.find(Name::Authorization);
  return field != nullptr && contains(field->value, secret_);
}

void HeaderPolicy::writeRequest(const http::RequestHead &head, const ClientFacts &facts, bool toTenant,
                                const AddedFields &added, http::HeadWriter &writer) const {
  const std::string_view trace = http::traceparentOf(head.fields);
  for (const http::Field &field : head.fields) {
    if (field.dropped || isClaim(field.id)) continue;
    if (std::any_of(added.begin(), added.end(), [&](const auto &own) { return isFolded(field.name, own.first); }))
      continue;
    if (field.id == Name::Tracestate && trace.empty()) continue;
    if (toTenant && (holds(field) || isPlatformToken(field))) continue;
    if (toTenant && field.id == Name::Cookie) {
      const std::string kept = withoutPlatformCookies(field.value);
      if (!kept.empty()) writer.field("Cookie", kept);
      continue;
    }
    writer.parsed(field);
  }
  for (const auto &[name, value] : added)
    writer.field(name, value);
  if (!facts.ip.empty()) writer.field("X-Forwarded-For", facts.ip);
  writer.field("X-Forwarded-Proto", facts.proto);
  writer.field("X-Forwarded-Host", head.host);
  writeForwarded(facts, head.host, writer);
  if (facts.trusted && source_ == ClientAddress::CfConnectingIp && head.fields.count(Name::CfConnectingIp) == 1)
    writer.field("CF-Connecting-IP", facts.ip);
  writer.field("X-Request-Id", facts.requestId);
  if (!trace.empty())
    writer.field("traceparent", trace);
  else if (const std::string_view id = facts.requestId; id.size() == 32)
    writer.field("traceparent", {"00-", id, "-", id.substr(16), "-01"});
}

void HeaderPolicy::writeResponse(const http::ResponseHead &head, Answerer from, std::string_view host,
                                 std::string_view requestId, http::HeadWriter &writer) const {
  const bool byPath = from == Answerer::InstanceByPath;
  for (const http::Field &field : head.fields) {
    if (field.dropped || field.id == Name::XRequestId) continue;
    if (byPath && concernsWholeHost(field)) continue;
    if (from != Answerer::Api && isForFrontsAlone(field)) continue;
    if (from == Answerer::Instance && field.id == Name::SetCookie) {
      const std::string cookie = tenantCookie(field.value, host);
      if (!cookie.empty()) writer.field("Set-Cookie", cookie);
      continue;
    }
    writer.parsed(field);
  }
  // Beside what the tenant itself may have said: of several policies each counts.
  if (byPath) writer.field("Content-Security-Policy", "sandbox");
  writer.field("X-Request-Id", requestId);
}

} // namespace matrixos::proxy
