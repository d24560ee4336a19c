#include "HeaderPolicy.h"

#include <matrixos/status.hpp>

#include <http/codec/Authority.h>
#include <http/codec/Grammar.h>

#include <algorithm>
#include <array>

namespace matrixos::proxy {

namespace {

using http::Name;
using http::sameText;
using http::trim;

constexpr std::string_view kPlatformCookie = "__Host-matrixos";
constexpr std::size_t kMaxRequestId = 64;

bool isPlatformCookie(std::string_view pair) {
  // One without a name is sent back as its value alone, which is then read as if it had one.
  while (!pair.empty() && (pair.front() == '=' || pair.front() == ' ' || pair.front() == '\t'))
    pair.remove_prefix(1);
  // Browsers compare prefixes without regard to case, and so must we.
  return pair.size() >= kPlatformCookie.size() && sameText(pair.substr(0, kPlatformCookie.size()), kPlatformCookie);
}

/// Fields about the client or its user: ours are written in their place, the inbound ones never travel.
bool isClaim(Name id) {
  return http::isOneOf<Name::CfConnectingIp, Name::Forwarded, Name::Traceparent, Name::XForwardedFor,
                       Name::XForwardedHost, Name::XForwardedOther, Name::XForwardedProto, Name::XMatrixUser,
                       Name::XRealIp, Name::XRequestId>(id);
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

std::string_view lastListItem(std::string_view list) {
  const std::size_t comma = list.rfind(',');
  return trim(comma == std::string_view::npos ? list : list.substr(comma + 1));
}

/// RFC 7239 §6: an IPv6 address stands in brackets and quotes.
void writeForwarded(const ClientFacts &facts, std::string_view host, http::HeadWriter &writer) {
  const bool v6 = facts.ip.find(':') != std::string::npos;
  const std::string_view ip = facts.ip.empty() ? std::string_view("unknown") : std::string_view(facts.ip);
  writer.field("Forwarded", {"for=", v6 ? "\"[" : "", ip, v6 ? "]\"" : "", ";host=\"", host, "\";proto=", facts.proto});
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

bool isTraceparent(std::string_view text) noexcept {
  // 00-<32 hex>-<16 hex>-<2 hex>
  if (text.size() != 55 || text.substr(0, 3) != "00-" || text[35] != '-' || text[52] != '-') return false;
  const auto hex = [](std::string_view part) {
    return std::all_of(part.begin(), part.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  };
  const auto zero = [](std::string_view part) { return part.find_first_not_of('0') == std::string_view::npos; };
  const std::string_view trace = text.substr(3, 32);
  const std::string_view span = text.substr(36, 16);
  return hex(trace) && hex(span) && hex(text.substr(53)) && !zero(trace) && !zero(span);
}

HeaderPolicy::HeaderPolicy(TrustedPeers trusted, std::string secret)
    : trusted_(std::move(trusted)), secret_(std::move(secret)) {}

void HeaderPolicy::describe(const http::RequestHead &head, const PeerFacts &peer, bool encrypted, ClientFacts &out) {
  out.ip = peer.ip;
  out.proto = encrypted ? "https" : "http";
  out.trusted = peer.trusted;
  if (!out.trusted) return;
  const http::FieldList &fields = head.fields;
  const std::string_view cloudflare = fields.value(Name::CfConnectingIp);
  // The last entry is the one that the trusted peer itself added.
  const std::string_view said = cloudflare.empty() ? lastListItem(fields.value(Name::XForwardedFor)) : cloudflare;
  if (Address::tryIp(said)) out.ip = said;
  if (sameText(fields.value(Name::XForwardedProto), "https")) out.proto = "https";
  if (isRequestId(fields.value(Name::XRequestId))) out.requestId = fields.value(Name::XRequestId);
}

bool HeaderPolicy::isOurSecret(std::string_view authorization) const noexcept {
  constexpr std::string_view kScheme = "bearer ";
  if (secret_.empty() || authorization.size() <= kScheme.size()) return false;
  if (!sameText(authorization.substr(0, kScheme.size()), kScheme)) return false;
  const std::string_view token = trim(authorization.substr(kScheme.size()));
  if (token.size() != secret_.size()) return false;
  unsigned difference = 0; // in constant time: the answer must not tell how much of a guess was right
  for (std::size_t i = 0; i < token.size(); ++i)
    difference |= static_cast<unsigned>(token[i] ^ secret_[i]);
  return difference == 0;
}

void HeaderPolicy::writeRequest(const http::RequestHead &head, const ClientFacts &facts, bool toTenant,
                                http::HeadWriter &writer) const {
  const std::string_view trace = head.fields.value(Name::Traceparent);
  const bool traced = head.fields.count(Name::Traceparent) == 1 && isTraceparent(trace);
  for (const http::Field &field : head.fields) {
    if (field.dropped || isClaim(field.id)) continue;
    if (field.id == Name::Tracestate && !traced) continue;
    if (toTenant && field.id == Name::Authorization && isOurSecret(field.value)) continue;
    if (toTenant && field.id == Name::Cookie) {
      const std::string kept = withoutPlatformCookies(field.value);
      if (!kept.empty()) writer.field("Cookie", kept);
      continue;
    }
    writer.parsed(field);
  }
  if (!facts.ip.empty()) writer.field("X-Forwarded-For", facts.ip);
  writer.field("X-Forwarded-Proto", facts.proto);
  writer.field("X-Forwarded-Host", head.host);
  writeForwarded(facts, head.host, writer);
  if (facts.trusted && !head.fields.value(Name::CfConnectingIp).empty()) writer.field("CF-Connecting-IP", facts.ip);
  writer.field("X-Request-Id", facts.requestId);
  if (traced)
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
