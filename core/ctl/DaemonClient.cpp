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

[[noreturn]] void unreachable(const Error &error, const std::string &endpoint) {
  if (error.status() == Status::PermissionDenied) {
    throw Failure(EX_NOPERM, "you may not open " + endpoint + ": run matrixosctl as root or as the daemon's user");
  }
  if (error.status() == Status::Unavailable) {
    throw Failure(EX_UNAVAILABLE, "no daemon answers at " + endpoint +
                                      "; is it running (systemctl status matrixosd), and is this its configuration "
                                      "(--config=FILE)?");
  }
  throw Failure(EX_UNAVAILABLE, std::string("the daemon at ") + endpoint + " gave no proper answer: " + error.what());
}

} // namespace

DaemonClient::DaemonClient(const Invocation &invocation) : url_(urlOf(invocation)) {
  if (invocation.has("secret-file")) {
    secret_ = auth::loadSecret(invocation.get("secret-file"));
  } else if (givenUrl(invocation) && url_.socketPath().empty()) {
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
    unreachable(error, url_.text());
  }
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
  if (answer.status == 401 && isSignIn_)
    sentence += "; sign in again: matrixosctl login --url " + url_.text();
  else if (answer.status == 401)
    sentence += "; give the secret with --secret-file=FILE, or sign in with matrixosctl login";
  throw Failure(answer.status == 401 || answer.status == 403 ? EX_NOPERM : 1, sentence, reason);
}

} // namespace matrixos::ctl
