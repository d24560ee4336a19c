#include "Claims.h"

#include "Refusal.h"

#include <algorithm>

namespace matrixos::identity {

namespace {

/// RFC 5321 §4.5.3.1.
constexpr std::size_t kMaxAddress = 254;
/// The first second of the year 10000: what is above is no time.
constexpr double kEndOfTime = 253'402'300'800.0;

Error badClaim(const char *name) {
  return refusal("BAD_CLAIM", std::string("The provider's word about \"") + name + "\" is malformed");
}

bool hasControls(const std::string &text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

bool isAddress(const std::string &text) {
  const std::size_t at = text.find('@');
  return text.size() <= kMaxAddress && at != std::string::npos && at != 0 && at + 1 != text.size() &&
         text.find('@', at + 1) == std::string::npos && text.find(' ') == std::string::npos && !hasControls(text);
}

/// Some providers write the boolean as a text.
bool isTrue(const Json &object, const char *name) {
  const auto found = object.find(name);
  return found != object.end() && (*found == true || *found == "true");
}

/// A text for people; an odd one is no reason to turn somebody away.
std::string label(const Json &object, const char *name) {
  const std::string *text = textIn(object, name);
  return text != nullptr && !hasControls(*text) ? *text : std::string();
}

} // namespace

std::optional<std::string> Claims::text(const char *name) const {
  if (!has(name)) return std::nullopt;
  const std::string *text = textIn(object_, name);
  if (text == nullptr) throw badClaim(name);
  return *text;
}

std::string Claims::subject() const {
  const std::string *text = textIn(object_, "sub");
  if (text == nullptr || text->empty() || text->size() > kMaxSubject || hasControls(*text))
    throw refusal("NO_SUBJECT", "The provider does not say who you are");
  return *text;
}

std::vector<std::string> Claims::texts(const char *name) const {
  const auto found = object_.find(name);
  if (found == object_.end()) return {};
  if (found->is_string()) return {found->get<std::string>()};
  const auto isText = [](const Json &item) { return item.is_string(); };
  if (!found->is_array() || !std::all_of(found->begin(), found->end(), isText)) throw badClaim(name);
  return found->get<std::vector<std::string>>();
}

std::optional<double> Claims::time(const char *name) const {
  const auto found = object_.find(name);
  if (found == object_.end()) return std::nullopt;
  if (!found->is_number()) throw badClaim(name);
  const auto seconds = found->get<double>();
  if (!(seconds >= 0 && seconds < kEndOfTime)) throw badClaim(name);
  return seconds;
}

void Claims::checkTimes(std::int64_t nowMs, std::chrono::seconds skew) const {
  const double now = static_cast<double>(nowMs) / 1000, slack = static_cast<double>(skew.count());
  const auto expires = time("exp");
  if (!expires) throw badClaim("exp");
  if (now >= *expires + slack) throw refusal("TOKEN_EXPIRED", "The sign-in token has expired; sign in again");
  for (const char *name : {"nbf", "iat"}) {
    if (time(name).value_or(0) > now + slack)
      throw refusal("TOKEN_NOT_YET_VALID", "The sign-in token is from the future; the clocks differ");
  }
}

ProviderUser Claims::user() const {
  ProviderUser user;
  user.id = subject();
  user.name = label(object_, "name");
  user.username = label(object_, "preferred_username");
  if (user.username.empty()) user.username = label(object_, "username");
  user.email = label(object_, "email");
  if (!isAddress(user.email)) user.email.clear();
  user.emailVerified = !user.email.empty() && isTrue(object_, "email_verified");
  for (const auto &[name, value] : object_.items()) {
    if (value.is_string()) user.claims.emplace(name, value.get<std::string>());
    if (!value.is_array()) continue;
    for (const Json &item : value) {
      if (item.is_string()) user.claims.emplace(name, item.get<std::string>());
    }
  }
  return user;
}

} // namespace matrixos::identity
