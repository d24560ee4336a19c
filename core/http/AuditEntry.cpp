#include "http/AuditEntry.h"

#include <matrixos/handle.hpp>
#include <matrixos/json.hpp>
#include <matrixos/json_member.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/text/utf8.hpp>

#include <http/codec/Head.h>

#include <algorithm>
#include <array>
#include <utility>

namespace matrixos::api {

namespace {

/// Members of bodies that say what was asked for, and are nobody's secret.
constexpr std::array kKept{"handle", "clerkUserId", "role", "name", "scopes"};
/// Longer bodies carry data, not orders.
constexpr std::size_t kMostBody = std::size_t{16} * 1024;
// With all of them, each character escaped, an event stays below MOS_AUDIT_EVENT_SIZE.
constexpr std::size_t kMostParams = 8;
constexpr std::size_t kMostText = 256;

/// An event that is no UTF-8, or too long once it is JSON, would be refused: nobody gets around the log by that.
std::string cut(std::string_view text) {
  std::string fit(cutUtf8(cleanUtf8(text), kMostText));
  std::replace_if(
      fit.begin(), fit.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return fit;
}

/// A text as it is, of all else the JSON.
std::string textOf(const json::Value &value) {
  return cut(value.isString() ? value.convert<std::string>() : json::dump(value));
}

const char *wordOf(auth::Identity::Kind kind) noexcept {
  switch (kind) {
  case auth::Identity::Kind::User:
    return "user";
  case auth::Identity::Kind::Operator:
    return "operator";
  case auth::Identity::Kind::Instance:
    return "instance";
  case auth::Identity::Kind::Unknown:
  case auth::Identity::Kind::Refused:
  case auth::Identity::Kind::Signed:
    break;
  }
  return "public";
}

} // namespace

AuditEntry::AuditEntry(std::string_view method, std::shared_ptr<const RouteEntry> route,
                       std::vector<std::string> params)
    : what_(http::isSafe(method) ? What::Nothing : What::Change), method_(method), route_(std::move(route)),
      params_(std::move(params)), kind_("public") {
  for (std::size_t i = 0; i < route_->names.size() && i < params_.size(); ++i)
    if (route_->names[i] == "handle" && isHandle(params_[i])) handle_ = params_[i];
}

bool AuditEntry::mayMatter(std::string_view method, const RouteEntry &route) noexcept {
  // What comes of those is told by who signs people in, and only that: a program asks every five seconds.
  if (route.kind == RouteClass::SignIn) return false;
  return !http::isSafe(method) || std::find(route.names.begin(), route.names.end(), "handle") != route.names.end();
}

void AuditEntry::setWho(const auth::Identity &who) {
  if (!route_) return;
  principal_ = cut(who.id);
  kind_ = wordOf(who.kind);
  const bool reads = what_ == What::Nothing && who.kind == auth::Identity::Kind::Operator && !handle_.empty();
  if (reads) what_ = What::Read;
}

void AuditEntry::setBody(std::string_view body) {
  if (body.empty() || body.size() > kMostBody) return;
  JsonObject given;
  try {
    // Read as handlers read it: of a member that comes twice the log tells the one that counts.
    const json::Object::Ptr object = json::parseObject(body);
    bool any = false;
    for (const char *name : kKept) {
      const json::Value value = object->get(name);
      if (value.isEmpty()) continue;
      const std::string text = textOf(value);
      given.add(name, text);
      any = true;
      if (handle_.empty() && std::string_view(name) == "handle" && isHandle(text)) handle_ = text;
    }
    if (any) given_ = std::move(given).str();
  } catch (const Error &) { // no JSON: the route may take other things
    given_.clear();
  }
}

void AuditEntry::setAnswer(std::string_view body) {
  const std::string_view reason = memberText(body.substr(0, kMostBody), "reason");
  if (!reason.empty()) reason_ = cut(reason);
}

std::string AuditEntry::take(int status, std::string_view requestId, std::string_view after) {
  what_ = What::Nothing;
  JsonObject event(512);
  event.add("action", method_ + " " + cut(route_->route.pattern)).add("kind", kind_);
  const auto add = [&](const char *name, std::string_view text) {
    if (!text.empty()) event.add(name, text);
  };
  add("principal", principal_);
  add("address", address_);
  add("requestId", requestId);
  add("handle", handle_);
  event.add("status", status);
  add("reason", reason_);
  add("before", before_);
  add("after", after);
  JsonObject target;
  for (std::size_t i = 0; i < route_->names.size() && i < params_.size() && i < kMostParams; ++i)
    target.add(route_->names[i], cut(params_[i]));
  if (!params_.empty()) event.addRaw("target", std::move(target).str());
  if (!given_.empty()) event.addRaw("given", given_);
  return std::move(event).str();
}

} // namespace matrixos::api
