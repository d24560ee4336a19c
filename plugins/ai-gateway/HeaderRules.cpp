#include "HeaderRules.h"

#include <http/codec/Bearer.h>
#include <http/codec/Grammar.h>
#include <http/codec/Traceparent.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace matrixos::gateway {

namespace {

bool startsWith(std::string_view name, std::string_view lowered) noexcept {
  return http::sameAsLower(name.substr(0, lowered.size()), lowered);
}

bool isOneOf(std::string_view name, const auto &list) noexcept {
  return std::any_of(list.begin(), list.end(), [&](std::string_view one) { return http::sameAsLower(name, one); });
}

constexpr std::array<std::string_view, 6> kUp{"accept",          "content-type",    "user-agent",
                                              "accept-language", "idempotency-key", "sec-fetch-mode"};
constexpr std::array<std::string_view, 8> kDown{"content-type", "content-language", "date",          "request-id",
                                                "retry-after",  "retry-after-ms",   "cache-control", "traceresponse"};

/// Application servers read "_" and "." in a name as "-".
bool names(std::string_view name, std::string_view lowered) noexcept {
  const auto same = [](char a, char b) { return http::lower(a) == b || (b == '-' && (a == '_' || a == '.')); };
  return name.size() >= lowered.size() &&
         std::equal(lowered.begin(), lowered.end(), name.begin(), [&](char b, char a) { return same(a, b); });
}

/// Who the client is, by whose word: an upstream has no use for it.
bool isPrivate(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 7> kPrivate{"x-api-key",   "x-forwarded-",  "x-real-ip",    "x-matrix-",
                                                     "x-original-", "x-rewrite-url", "x-http-method"};
  return std::any_of(kPrivate.begin(), kPrivate.end(), [&](std::string_view one) { return names(name, one); });
}

bool holds(std::string_view value, std::string_view secret) noexcept {
  return !secret.empty() && value.find(secret) != std::string_view::npos;
}

} // namespace

void writeUpstreamFields(const http::RequestHead &head, std::string_view secret, http::HeadWriter &writer) {
  const bool traced = !http::traceparentOf(head.fields).empty();
  for (const http::Field &field : head.fields) {
    if (field.dropped) continue;
    const bool passes = startsWith(field.name, "anthropic-") || isOneOf(field.name, kUp) ||
                        (traced && field.id == http::Name::Tracestate) ||
                        (startsWith(field.name, "x-") && !isPrivate(field.name));
    if (!passes || holds(field.value, http::kInstanceTokenPrefix) || holds(field.value, secret)) continue;
    writer.parsed(field);
  }
}

void writeDownstreamFields(const http::ResponseHead &head, const KeyList *hidden, http::HeadWriter &writer) {
  for (const http::Field &field : head.fields) {
    if (field.dropped) continue;
    const bool passes = (startsWith(field.name, "anthropic-") && !startsWith(field.name, "anthropic-ratelimit-")) ||
                        startsWith(field.name, "x-") || isOneOf(field.name, kDown);
    if (!passes || (hidden != nullptr && hidden->isIn(field.name))) continue;
    if (hidden == nullptr || !hidden->isIn(field.value)) {
      writer.parsed(field);
      continue;
    }
    std::string value(field.value);
    hidden->cutOut(value.data(), value.size());
    writer.field(field.name, value);
  }
}

std::string_view valueOf(const http::FieldList &fields, std::string_view name) noexcept {
  for (const http::Field &field : fields)
    if (!field.dropped && http::sameAsLower(field.name, name)) return field.value;
  return {};
}

std::int64_t pauseMs(const http::FieldList &fields) noexcept {
  const auto number = [&](std::string_view name) {
    const std::string_view text = valueOf(fields, name);
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool good = read.ec == std::errc{} && read.ptr == text.data() + text.size();
    return good ? std::clamp<std::int64_t>(value, 0, 1'000'000'000) : 0;
  };
  const std::int64_t ms = number("retry-after-ms");
  return ms != 0 ? ms : number("retry-after") * 1000;
}

} // namespace matrixos::gateway
