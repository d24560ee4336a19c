#include "ctl/SignInCommands.h"

#include "ctl/Credentials.h"
#include "ctl/DaemonClient.h"
#include "ctl/Output.h"
#include "ctl/Table.h"

#include <matrixos/address.hpp>

#include <sysexits.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <iostream>
#include <thread>

namespace matrixos::ctl {

namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr const char *kForm = "application/x-www-form-urlencoded";
constexpr const char *kClient = "client_id=matrixosctl";
constexpr seconds kPatience{15};
constexpr std::int64_t kLongestPause = 60, kLongestWait = 1800;

/// What a platform said to "may I come in?".
struct Grant {
  std::string deviceCode, userCode, page, pageWithCode;
  seconds pause{5}, wait{600};
};

/// The name or address in "http://name:port", IPv6 without its brackets, in lower case.
std::string hostOf(const std::string &origin) {
  std::string host = origin.substr(origin.find("://") + 3);
  const bool isV6 = host.front() == '[';
  host = isV6 ? host.substr(1, host.find(']') - 1) : host.substr(0, host.find(':'));
  std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) { return std::tolower(c); });
  return host;
}

bool isThisMachine(const std::string &host) {
  const std::string local = ".localhost", named = "." + host;
  if (named.size() >= local.size() && named.compare(named.size() - local.size(), local.size(), local) == 0) return true;
  const auto address = Address::tryIp(host);
  return address && (address->ip() == "::1" || address->ip().rfind("127.", 0) == 0);
}

/// A token goes there: over TLS, or to this very machine.
http::BaseUrl urlOf(const Invocation &invocation) {
  const http::BaseUrl url = *DaemonClient::givenUrl(invocation);
  if (!url.socketPath().empty()) throw UsageError("people sign in at https://…, not at \"" + url.text() + "\"");
  if (!url.isTls() && !isThisMachine(hostOf(url.origin())))
    throw UsageError("\"" + url.text() +
                     "\" is not encrypted, and everybody on the way could read the token; write https://…");
  return url;
}

std::string memberOr(const std::string &body, const char *name, const char *otherwise) {
  try {
    return json::findString(*json::parseObject(body), name).value_or(otherwise);
  } catch (const Error &) {
    return otherwise;
  }
}

Grant begin(const DaemonClient &client) {
  const http::ClientResponse answer = client.send("POST", "/auth/device", kClient, kForm, kPatience);
  if (answer.status == 404)
    throw Failure(1, client.endpoint() + " lets no programs in: its plugin identity does not run");
  if (!answer.isSuccess()) client.refused(answer);
  try {
    const json::Object::Ptr object = json::parseObject(answer.body);
    Grant grant;
    grant.deviceCode = json::getString(*object, "device_code");
    grant.userCode = json::getString(*object, "user_code");
    grant.page = json::getString(*object, "verification_uri");
    grant.pageWithCode = json::findString(*object, "verification_uri_complete").value_or(grant.page);
    grant.pause = seconds{std::clamp<std::int64_t>(json::getInt(*object, "interval", 5), 1, kLongestPause)};
    grant.wait = seconds{std::clamp<std::int64_t>(json::getInt(*object, "expires_in", 600), 1, kLongestWait)};
    return grant;
  } catch (const Error &error) {
    throw Failure(EX_UNAVAILABLE, client.endpoint() + " gave no proper answer: " + error.what());
  }
}

void tell(const Invocation &invocation, const Grant &grant) {
  if (invocation.has("json")) {
    std::cout << json::dump(*json::object({{"verificationUri", grant.page},
                                           {"verificationUriComplete", grant.pageWithCode},
                                           {"userCode", grant.userCode},
                                           {"expiresIn", static_cast<Poco::Int64>(grant.wait.count())}}))
              << std::endl;
    return;
  }
  std::cout << "Open " << printable(grant.pageWithCode) << "\nand make sure that it shows the code "
            << printable(grant.userCode) << ". Or open " << printable(grant.page) << " and type it.\n"
            << "Waiting…" << std::endl;
}

/// Asks until somebody has answered (RFC 8628 §3.4, §3.5).
std::string waitForToken(const DaemonClient &client, const Grant &grant) {
  const std::string form = std::string(kClient) +
                           "&grant_type=" + http::percentEncode("urn:ietf:params:oauth:grant-type:device_code") +
                           "&device_code=" + http::percentEncode(grant.deviceCode);
  seconds pause = grant.pause;
  for (const auto end = Clock::now() + grant.wait; Clock::now() + pause < end;) {
    std::this_thread::sleep_for(pause);
    http::ClientResponse answer;
    try {
      answer = client.send("POST", "/auth/device/token", form, kForm, kPatience);
    } catch (const Failure &) {
      pause = std::min(2 * pause, seconds{kLongestPause}); // the way there may be down for a moment
      continue;
    }
    if (answer.isSuccess()) return memberOr(answer.body, "access_token", "");
    const std::string error = memberOr(answer.body, "error", "");
    if (error == "authorization_pending") continue;
    if (error == "access_denied") throw Failure(EX_NOPERM, "matrixosctl was not let in", "ACCESS_DENIED");
    if (error == "expired_token") break;
    const bool isBusy = error == "slow_down" || answer.status == 429 || answer.status >= 500;
    if (!isBusy) throw Failure(1, memberOr(answer.body, "error_description", "the sign-in was refused"));
    pause = std::min(pause + seconds{5}, seconds{kLongestPause});
  }
  throw Failure(1, "nobody let matrixosctl in in time; try again", "EXPIRED");
}

/// At the platform; whether it ended it, or it had ended before.
bool end(const http::BaseUrl &url, const std::string &token) {
  try {
    const http::ClientResponse answer = DaemonClient(url, token).send("POST", "/auth/logout", "", "", kPatience);
    return answer.isSuccess() || answer.status == 401;
  } catch (const Failure &) {
    return false;
  }
}

std::string nameOf(const json::Object &me) {
  const std::string id = memberText(me, "user.id"), email = memberText(me, "user.email");
  return email.empty() || email == id ? id : id + " (" + email + ")";
}

} // namespace

int login(const Invocation &invocation) {
  if (!DaemonClient::givenUrl(invocation)) throw UsageError("\"login\" needs --url URL: https://api.example.com");
  const http::BaseUrl url = urlOf(invocation);
  const Credentials credentials;
  credentials.prepare();
  const std::string before = credentials.tokenFor(url.text());
  const DaemonClient client(url);
  const Grant grant = begin(client);
  tell(invocation, grant);
  const std::string token = waitForToken(client, grant);
  if (token.empty()) throw Failure(EX_UNAVAILABLE, url.text() + " gave no proper answer: there is no token in it");
  try {
    credentials.put(url.text(), token);
  } catch (const Failure &) {
    end(url, token); // which nobody could use
    throw;
  }
  if (!before.empty()) end(url, before);
  const DaemonClient own(url, token);
  const http::ClientResponse answer = own.send("GET", "/auth/me", "", "", kPatience);
  if (answer.status == 401) { // the console's host takes cookies alone
    credentials.remove(url.text());
    throw Failure(EX_NOPERM, url.text() + " does not take the token that it gave; give the API's address, such as "
                                          "https://api.example.com, not the console's");
  }
  if (!answer.isSuccess()) own.refused(answer);
  if (printedJson(invocation, answer.body)) return 0;
  const json::Object::Ptr me = json::parseObject(answer.body);
  std::cout << "signed in at " << url.text() << " as " << printable(nameOf(*me)) << " until "
            << printable(memberText(*me, "session.expiresAt")) << '\n';
  return 0;
}

int logout(const Invocation &invocation) {
  const Credentials credentials;
  std::vector<std::string> urls{};
  if (DaemonClient::givenUrl(invocation))
    urls.push_back(urlOf(invocation).text());
  else
    urls = credentials.urls();
  if (urls.size() > 1) throw UsageError("there are several sign-ins: say --url, one of " + joined(urls));
  const std::string token = urls.empty() ? std::string() : credentials.tokenFor(urls.front());
  if (token.empty()) throw Failure(1, "you are not signed in" + (urls.empty() ? "" : " at " + urls.front()));
  const bool ended = end(http::BaseUrl::parse(urls.front()), token);
  credentials.remove(urls.front());
  if (!ended)
    throw Failure(EX_UNAVAILABLE,
                  "the sign-in is forgotten here, but " + urls.front() + " could not be told; end it there");
  if (!printedJson(invocation, json::dump(*json::object({{"url", urls.front()}, {"ok", true}}))))
    std::cout << "signed out at " << urls.front() << '\n';
  return 0;
}

int whoami(const Invocation &invocation) {
  const std::string body = DaemonClient(invocation).call("GET", "/auth/me");
  if (printedJson(invocation, body)) return 0;
  const json::Object::Ptr me = json::parseObject(body);
  std::string roles, instances;
  if (const auto list = json::findArray(*me, "roles")) {
    for (unsigned i = 0; i < list->size(); ++i)
      roles += (i == 0 ? "" : ", ") + list->getElement<std::string>(i);
  }
  for (const auto &instance : objects(me->get("instances")))
    instances += (instances.empty() ? "" : ", ") + text(*instance, "handle") + " (" + text(*instance, "role") + ")";
  std::cout << printable(nameOf(*me)) << ": " << printable(roles) << '\n';
  if (!instances.empty()) std::cout << "instances: " << printable(instances) << '\n';
  if (const std::string until = memberText(*me, "session.expiresAt"); !until.empty())
    std::cout << "signed in until " << printable(until) << '\n';
  return 0;
}

} // namespace matrixos::ctl
