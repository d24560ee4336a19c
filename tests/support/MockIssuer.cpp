#include "MockIssuer.h"

#include <matrixos/text/base64.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace matrixos::test {

namespace {

std::string decoded(const std::string &text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

FetchAnswer json(std::uint32_t status, const MockIssuer::Json &body) {
  return {status, {{"Content-Type", "application/json"}}, body.dump()};
}

FetchAnswer refuse(std::uint32_t status, const char *error) {
  return json(status, {{"error", error}, {"error_description", "<b>s3cr:t</b>"}});
}

std::string header(const FetchRequest &request, const std::string &name) {
  for (const auto &[key, value] : request.headers)
    if (key == name) return value;
  return {};
}

} // namespace

std::multimap<std::string, std::string> formDecode(const std::string &text) {
  std::multimap<std::string, std::string> form;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('&', at), text.size());
    const std::string field = text.substr(at, end - at);
    const std::size_t equals = std::min(field.find('='), field.size());
    form.emplace(decoded(field.substr(0, equals)), decoded(field.substr(std::min(equals + 1, field.size()))));
    at = end + 1;
  }
  return form;
}

std::string valueOf(const std::multimap<std::string, std::string> &form, const std::string &name) {
  const auto found = form.find(name);
  return found == form.end() ? std::string() : found->second;
}

MockIssuer::MockIssuer(std::string name, SigningKey signingKey) : key(std::move(signingKey)), name_(std::move(name)) {
  discovery = {{"issuer", name_},
               {"authorization_endpoint", name_ + "/authorize"},
               {"token_endpoint", name_ + "/token"},
               {"jwks_uri", name_ + "/jwks"},
               {"userinfo_endpoint", name_ + "/userinfo"},
               {"response_types_supported", {"code"}},
               {"authorization_response_iss_parameter_supported", true}};
  keys = {{"keys", Json::array({Json::parse(key.jwk())})}};
  claims = {{"iss", name_},
            {"sub", "user-1"},
            {"aud", clientId},
            {"name", "Alice Example"},
            {"email", "alice@ok.com"},
            {"email_verified", true}};
  mint = [this](const Json &payload) { return key.token(payload.dump()); };
}

std::string MockIssuer::code(const std::string &location) {
  const std::lock_guard lock(mutex_);
  std::string code = "code-" + std::to_string(pending_.size());
  pending_[code] = formDecode(location.substr(location.find('?') + 1));
  return code;
}

int MockIssuer::asked(const std::string &path) const {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find(path);
  return found == asked_.end() ? 0 : found->second;
}

std::vector<FetchRequest> MockIssuer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

FetchAnswer MockIssuer::answer(const FetchRequest &request) {
  const bool isOurs = request.url.compare(0, name_.size(), name_) == 0;
  const std::string path = isOurs ? request.url.substr(name_.size()) : request.url;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    ++asked_[path];
  }
  if (before) {
    FetchAnswer first = before(request, path);
    if (first.status != 0) return first;
  }
  if (path == "/.well-known/openid-configuration") return json(200, discovery);
  if (path == "/jwks" || path == "/.well-known/jwks.json") return json(200, keys);
  if (path == "/token" && request.method == "POST") return exchange(request);
  if (path == "/userinfo" && header(request, "Authorization") == "Bearer access-1" && !userinfo.is_null())
    return json(200, userinfo);
  return json(404, Json::object());
}

FetchAnswer MockIssuer::exchange(const FetchRequest &request) {
  const auto form = formDecode(request.body);
  const std::string basic = header(request, "Authorization");
  // RFC 6749 §2.3.1
  const std::string credentials = base64Decode(basic.substr(std::min<std::size_t>(basic.size(), 6))).value_or("");
  const std::size_t colon = std::min(credentials.find(':'), credentials.size());
  const std::string id = basic.empty() ? valueOf(form, "client_id") : decoded(credentials.substr(0, colon));
  const std::string secret = basic.empty() ? valueOf(form, "client_secret")
                                           : decoded(credentials.substr(std::min(colon + 1, credentials.size())));
  if (id != clientId || secret != clientSecret) return refuse(401, "invalid_client");
  std::multimap<std::string, std::string> begun;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(valueOf(form, "code"));
    if (found == pending_.end()) return refuse(400, "invalid_grant");
    begun = found->second;
    // A code counts once (RFC 6749 §4.1.2).
    found->second.clear();
  }
  const bool isProven = base64Url(sha256(valueOf(form, "code_verifier"))) == valueOf(begun, "code_challenge");
  if (!isProven || valueOf(form, "redirect_uri") != valueOf(begun, "redirect_uri") ||
      valueOf(form, "grant_type") != "authorization_code")
    return refuse(400, "invalid_grant");
  Json payload = {{"iat", now}, {"exp", now + 300}, {"nonce", valueOf(begun, "nonce")}};
  for (const auto &[claim, value] : claims.items())
    payload[claim] = value;
  // A test takes a claim away by making it a null.
  for (auto at = payload.begin(); at != payload.end();)
    at = at->is_null() ? payload.erase(at) : std::next(at);
  return json(200, {{"access_token", "access-1"}, {"token_type", "Bearer"}, {"id_token", mint(payload)}});
}

} // namespace matrixos::test
