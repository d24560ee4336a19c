#include "Verdict.h"

#include <matrixos/json.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>
#include <array>

namespace matrixos::proxy {

namespace {

using http::sameText;

constexpr std::size_t kMostText = 8192; // of all texts of a verdict

/// What no policy has a say in: how a message is framed, where it goes, and who the client is.
bool isReserved(std::string_view name) {
  constexpr std::array<std::string_view, 22> kNames{"connection",
                                                    "content-length",
                                                    "content-type",
                                                    "cookie",
                                                    "date",
                                                    "expect",
                                                    "forwarded",
                                                    "host",
                                                    "http2-settings",
                                                    "keep-alive",
                                                    "server",
                                                    "te",
                                                    "traceparent",
                                                    "tracestate",
                                                    "trailer",
                                                    "upgrade",
                                                    "via",
                                                    "x-request-id",
                                                    "x-real-ip",
                                                    "cf-connecting-ip",
                                                    "transfer-encoding",
                                                    "content-encoding"};
  const auto startsWith = [&](std::string_view prefix) {
    return name.size() >= prefix.size() && sameText(name.substr(0, prefix.size()), prefix);
  };
  return startsWith("x-forwarded-") || startsWith("proxy-") || startsWith("sec-") ||
         std::any_of(kNames.begin(), kNames.end(), [&](std::string_view reserved) { return sameText(name, reserved); });
}

bool isAddress(std::string_view location) {
  const bool path = location.size() >= 1 && location[0] == '/' && (location.size() < 2 || location[1] != '/');
  const bool url = location.rfind("https://", 0) == 0 || location.rfind("http://", 0) == 0;
  return (path || url) && std::all_of(location.begin(), location.end(),
                                      [](char c) { return c > ' ' && c < '\x7f' && c != '\\' && c != '"'; });
}

} // namespace

Verdict Verdict::failed() {
  return {MOS_VERDICT_DENY,
          503,
          "who may do this cannot be found out right now, since what decides about it does not run or gives no answer; "
          "try again",
          {},
          {},
          {},
          "POLICY_UNAVAILABLE"};
}

void Verdict::clear() noexcept {
  kind = 0;
  status = 0;
  message.clear();
  location.clear();
  principal.clear();
  fields.clear();
  reason = {};
}

bool Verdict::complete() {
  std::size_t texts = message.size() + location.size() + principal.size();
  for (const auto &[name, value] : fields) {
    texts += name.size() + value.size();
    if (!http::isToken(name) || !http::isFieldValue(value) || isReserved(name)) return false;
  }
  if (fields.size() > kMostFields || texts > kMostText) return false;
  switch (kind) {
  case MOS_VERDICT_ALLOW:
  case MOS_VERDICT_PENDING: // never of parse()
    return true;
  case MOS_VERDICT_DENY:
    if (status == 0) status = 403;
    if (message.empty()) message = "you may not do this";
    return status >= 400 && status <= 599;
  case MOS_VERDICT_REDIRECT:
    if (status == 0) status = 302;
    return isAddress(location) && (status == 302 || status == 303 || status == 307 || status == 308);
  default:
    return false;
  }
}

Verdict Verdict::parse(const std::string &text) {
  const json::Object::Ptr object = json::parseObject(text);
  Verdict verdict;
  const std::string word = json::getString(*object, "verdict");
  verdict.kind = word == "allow"      ? MOS_VERDICT_ALLOW
                 : word == "deny"     ? MOS_VERDICT_DENY
                 : word == "redirect" ? MOS_VERDICT_REDIRECT
                                      : 0;
  verdict.status = static_cast<int>(json::getInt(*object, "status", 0));
  verdict.message = json::findString(*object, "message").value_or("");
  verdict.location = json::findString(*object, "location").value_or("");
  verdict.principal = json::findString(*object, "principal").value_or("");
  const json::Array::Ptr fields = json::findArray(*object, "fields");
  for (unsigned i = 0; fields && i < fields->size(); ++i) {
    const json::Array::Ptr field = fields->getArray(i);
    if (!field || field->size() != 2) throw Error(Status::Internal, "a field is [name, value]");
    verdict.fields.emplace_back(field->getElement<std::string>(0), field->getElement<std::string>(1));
  }
  return verdict;
}

} // namespace matrixos::proxy
