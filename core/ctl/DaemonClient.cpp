#include "ctl/DaemonClient.h"

#include "auth/Secret.h"
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

http::BaseUrl givenUrl(const std::string &text) {
  try {
    return http::BaseUrl::parse(text);
  } catch (const Error &error) {
    throw UsageError("--api takes unix:/path/of.sock or http://host:port, not \"" + text + "\": " + error.what());
  }
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

DaemonClient::DaemonClient(const Invocation &invocation)
    : url_(invocation.has("api") ? givenUrl(invocation.get("api"))
                                 : http::BaseUrl::parse(adminSocket(invocation.get("config")))) {
  if (invocation.has("secret-file")) secret_ = auth::loadSecret(invocation.get("secret-file"));
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
  http::ClientRequest request;
  request.method = method;
  request.target = path;
  request.body = body;
  request.timeout = patience;
  request.maxBody = kMaxAnswer;
  if (!body.empty()) request.fields.push_back({"Content-Type", "application/json"});
  if (!secret_.empty()) request.fields.push_back({"Authorization", "Bearer " + secret_});
  http::ClientResponse response;
  try {
    const Call call(nullptr);
    response = line ? client_.streamLines(call, url_, request, line) : client_.send(call, url_, request);
  } catch (const Error &error) {
    unreachable(error, url_.text());
  }
  if (response.isSuccess()) return response.body;
  std::string sentence = "HTTP status " + std::to_string(response.status), reason;
  try {
    const json::Object::Ptr problem = json::parseObject(response.body);
    sentence = json::getString(*problem, "error");
    reason = json::findString(*problem, "reason").value_or("");
  } catch (const Error &) {
    // Not one of our answers: the status is all there is to say.
  }
  if (response.status == 401) sentence += "; give the secret with --secret-file=FILE";
  throw Failure(response.status == 401 || response.status == 403 ? EX_NOPERM : 1, sentence, reason);
}

} // namespace matrixos::ctl
