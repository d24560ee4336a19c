#include "RealProvider.h"

#include <Poco/RegularExpression.h>
#include <support/NodePackages.h>
#include <support/Wait.h>

#include <cctype>
#include <cstdio>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <utility>

namespace matrixos::test {

namespace {

std::vector<std::string> with(std::vector<std::string> command, const std::string &last) {
  command.push_back(last);
  return command;
}

std::string encoded(const std::string &text) {
  std::string out;
  for (const char c : text) {
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? std::string(1, c) : std::string(hex);
  }
  return out;
}

/// The value of an attribute of a tag; empty when it has none.
std::string attribute(const std::string &tag, const std::string &name) {
  std::vector<std::string> found;
  return Poco::RegularExpression(" " + name + "=\"([^\"]*)\"").split(tag, found) > 1 ? found[1] : std::string();
}

/// The fields of a page's forms, as who has that name and that password fills them.
std::string filledIn(const std::string &page, const std::string &name) {
  const Poco::RegularExpression input("<input[^>]*>");
  std::string form;
  Poco::RegularExpression::Match at{0, 0};
  while (input.match(page, at.offset + at.length, at) > 0) {
    const std::string tag = page.substr(at.offset, at.length), field = attribute(tag, "name");
    if (field.empty()) continue;
    form.append(form.empty() ? "" : "&").append(field).append("=");
    form.append(encoded(attribute(tag, "type") == "hidden" ? attribute(tag, "value") : name));
  }
  return form;
}

} // namespace

std::unique_ptr<RealProvider> RealProvider::start(const std::string &kind, const std::vector<std::string> &callbacks) {
  const auto folder = nodePackages(OIDC_PROVIDER_SOURCE, "oidc-provider");
  if (!folder) return nullptr;
  std::vector<std::string> command{"node", (*folder / "server.mjs").string(), kind};
  command.insert(command.end(), callbacks.begin(), callbacks.end());
  return std::unique_ptr<RealProvider>(new RealProvider(command));
}

std::unique_ptr<RealProvider> RealProvider::startLemonLdap(const std::string &callback) {
  const bool found = run({"perl", "-MLemonldap::NG::Portal::Issuer::OpenIDConnect", "-e", "1"}).status == 0;
  if (!isHere(found, "LemonLDAP::NG")) return nullptr;
  return std::unique_ptr<RealProvider>(new RealProvider({"perl", LEMONLDAP_PORTAL, callback}, true));
}

RealProvider::RealProvider(const std::vector<std::string> &command, bool keepsFiles)
    : process_(keepsFiles ? with(command, dir_.path().string()) : command, dir_ / "log") {
  const Poco::RegularExpression line("port ([0-9]+)\n");
  std::vector<std::string> found;
  std::string log;
  const bool listens = eventually([&] {
    log = std::filesystem::exists(dir_ / "log") ? readFile(dir_ / "log") : std::string();
    return line.split(log, found) > 0 || !process_.running();
  });
  if (!listens || found.empty()) throw std::runtime_error("the OpenID provider does not start: " + log);
  port_ = static_cast<std::uint16_t>(std::stoi(found[1]));
}

std::string SignInVisitor::target(const std::string &location) const {
  const std::string issuer = provider_.issuer();
  if (location.rfind(issuer + "/", 0) == 0) return location.substr(issuer.size());
  return location.rfind('/', 0) == 0 ? location : std::string();
}

Response SignInVisitor::go(const std::string &method, const std::string &target, const std::string &body) {
  std::string cookies;
  for (const auto &[name, value] : cookies_)
    cookies.append(cookies.empty() ? "" : "; ").append(name).append("=").append(value);
  Headers headers = {{"Host", "127.0.0.1:" + std::to_string(provider_.port())}, {"Cookie", cookies}};
  if (!body.empty()) headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  at_ = target;
  Response response = request(provider_.port(), method, target, headers, body);
  const Poco::RegularExpression cookie("(^|, )([A-Za-z0-9_.]+)=([^;,]*)");
  const std::string &set = response.headers["set-cookie"];
  Poco::RegularExpression::MatchVec found;
  for (std::size_t at = 0; cookie.match(set, at, found) > 0; at = found[0].offset + found[0].length)
    cookies_[set.substr(found[2].offset, found[2].length)] = set.substr(found[3].offset, found[3].length);
  return response;
}

Response SignInVisitor::follow(Response response, std::string &away) {
  for (int hops = 0; hops < 10 && response.status / 100 == 3; ++hops) {
    const std::string location = response.headers["location"];
    if (target(location).empty()) {
      away = location;
      break;
    }
    response = go("GET", target(location));
  }
  return response;
}

std::string SignInVisitor::signIn(const std::string &location, const std::string &name) {
  std::string away;
  Response page = follow(go("GET", target(location)), away);
  // One form to sign in with, and where the provider asks for it another to agree.
  for (int forms = 0; forms < 2 && away.empty(); ++forms)
    page = follow(go("POST", at_, filledIn(page.body, name)), away);
  return away;
}

std::string SignInVisitor::cancel(const std::string &location) {
  std::string away;
  follow(go("GET", target(location)), away);
  if (away.empty()) follow(go("GET", at_ + "/abort"), away);
  return away;
}

} // namespace matrixos::test
