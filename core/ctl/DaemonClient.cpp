#include "ctl/DaemonClient.h"

#include "auth/Secret.h"
#include "ctl/Credentials.h"
#include "ctl/Settings.h"

#include <sysexits.h>

namespace matrixos::ctl {

namespace {

/// A list of 100,000 instances fits.
constexpr std::size_t kMaxAnswer = 64U * 1024 * 1024;

std::string adminSocket(const std::string &file) {
  std::string socket = Settings::read(file).adminSocket;
  if (socket.empty()) throw Failure(EX_CONFIG, "the configuration has no [api] admin socket; use --api=URL");
  return socket;
}

http::BaseUrl urlOf(const Invocation &invocation) {
  if (auto given = DaemonClient::givenUrl(invocation)) return *std::move(given);
  return http::BaseUrl::parse(adminSocket(invocation.get("config")));
}

/// A file that is not as it should be is for its owner to put right, like a configuration.
std::string secretIn(const std::string &file) {
  try {
    return auth::loadSecret(file);
  } catch (const Error &error) {
    throw Failure(EX_CONFIG, error.what());
  }
}

/// For whoever left out --url: `lead` and where they are signed in; empty for nowhere.
std::string signIns(const char *lead) {
  try {
    const std::vector<std::string> urls = Credentials().urls();
    if (urls.empty()) return {};
    return lead + (" signed in at " + listed(urls)) + ": add --url " + (urls.size() == 1 ? urls.front() : "URL");
  } catch (const Failure &) {
    return {}; // the command did not ask for that file
  }
}

} // namespace

DaemonClient::DaemonClient(const Invocation &invocation)
    : url_(urlOf(invocation)), isGiven_(givenUrl(invocation).has_value()), secretFile_(invocation.get("secret-file")) {
  if (invocation.has("secret-file")) {
    secret_ = secretIn(secretFile_);
  } else if (isGiven_ && !isSocket()) {
    secret_ = Credentials().tokenFor(url_.text());
    isSignIn_ = !secret_.empty();
  }
}

std::optional<http::BaseUrl> DaemonClient::givenUrl(const Invocation &invocation) {
  if (invocation.has("api") && invocation.has("url"))
    throw UsageError("--api and --url say the same: give one of them");
  const std::string option = invocation.has("url") ? "url" : "api";
  if (!invocation.has(option)) return std::nullopt;
  const std::string text = invocation.get(option);
  try {
    return http::BaseUrl::parse(text);
  } catch (const Error &error) {
    const char *what =
        option == "api" ? " takes unix:/path/of.sock or http://host:port, not \"" : " takes https://host, not \"";
    throw UsageError("--" + option + what + text + "\": " + error.what());
  }
}

std::string DaemonClient::call(const std::string &method, const std::string &path, const std::string &body,
                               std::chrono::milliseconds patience) const {
  return exchange(method, path, body, patience, {});
}

void DaemonClient::stream(const std::string &method, const std::string &path, const std::string &body,
                          const LineFn &line) const {
  exchange(method, path, body, std::chrono::milliseconds{0}, line);
}

std::string DaemonClient::exchange(const std::string &method, const std::string &path, const std::string &body,
                                   std::chrono::milliseconds patience, const LineFn &line) const {
  http::ClientResponse response = send(method, path, body, body.empty() ? "" : "application/json", patience, line);
  if (!response.isSuccess()) refused(response);
  return std::move(response.body);
}

http::ClientResponse DaemonClient::send(const std::string &method, const std::string &path, const std::string &body,
                                        const std::string &contentType, std::chrono::milliseconds patience,
                                        const LineFn &line) const {
  http::ClientRequest request;
  request.method = method;
  request.target = path;
  request.body = body;
  request.timeout = patience;
  request.maxBody = kMaxAnswer;
  if (!contentType.empty()) request.fields.push_back({"Content-Type", contentType});
  if (!secret_.empty()) request.fields.push_back({"Authorization", "Bearer " + secret_});
  try {
    const Call call(nullptr);
    return line ? client_.streamLines(call, url_, request, line) : client_.send(call, url_, request);
  } catch (const Error &error) {
    unreachable(error);
  }
}

void DaemonClient::unreachable(const Error &error) const {
  if (error.status() == Status::PermissionDenied) {
    throw Failure(EX_NOPERM, "you may not open " + endpoint() + ": run matrixosctl as root or as the daemon's user" +
                                 (isGiven_ ? "" : signIns("; you are")));
  }
  if (error.status() != Status::Unavailable)
    throw Failure(EX_UNAVAILABLE, "the daemon at " + endpoint() + " gave no proper answer: " + error.what());
  if (isGiven_) {
    throw Failure(EX_UNAVAILABLE, "cannot reach " + endpoint() + ": " + error.what() + "; check the address" +
                                      (url_.isTls() ? ", and that this machine trusts the certificate" : ""));
  }
  throw Failure(EX_UNAVAILABLE, "no daemon answers at " + endpoint() +
                                    "; is it running (systemctl status matrixosd), and is this its configuration "
                                    "(--config=FILE)?" +
                                    signIns(" You are"));
}

void DaemonClient::refused(const http::ClientResponse &answer) const {
  std::string sentence = "HTTP status " + std::to_string(answer.status), reason;
  try {
    const json::Object::Ptr problem = json::parseObject(answer.body);
    sentence = json::getString(*problem, "error");
    reason = json::findString(*problem, "reason").value_or("");
  } catch (const Error &) {
    // Not one of our answers: the status is all there is to say.
  }
  // How programs prove who they are, as the daemon says it, is of no use to whoever runs this one.
  if (answer.status == 401 && secretFile_.empty())
    sentence = howToSignIn();
  else if (answer.status == 401)
    sentence =
        "the secret or token in " + secretFile_ + " is wrong" + (reason == "WRONG_SECRET" ? "" : ": " + sentence);
  throw Failure(answer.status == 401 || answer.status == 403 ? EX_NOPERM : 1, sentence, reason);
}

std::string DaemonClient::howToSignIn() const {
  const std::string file = "--secret-file=FILE with an API token or the platform's secret";
  if (isSocket()) return endpoint() + " asks who you are: give " + file;
  return "you are not signed in at " + endpoint() + (isSignIn_ ? " any more" : "") + ": matrixosctl login --url " +
         endpoint() + ", or " + file;
}

} // namespace matrixos::ctl
