#include "EngineHttp.h"

#include <matrixos/abi/runtime.h>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

namespace matrixos::docker {

namespace {

using http::ClientError;
using http::ClientResponse;

constexpr std::size_t kKeptConnections = 8;
constexpr std::int64_t kRetryAfterMs = 5000;

Error unreachable(const std::string &text) {
  return Error(Status::Unavailable, text, MOS_REASON_ENGINE_UNREACHABLE, kRetryAfterMs);
}

std::string userName(uid_t uid) {
  std::array<char, 4096> space{};
  passwd entry{};
  passwd *found = nullptr;
  if (::getpwuid_r(uid, &entry, space.data(), space.size(), &found) == 0 && found != nullptr) return entry.pw_name;
  return "uid " + std::to_string(uid);
}

std::string groupName(gid_t gid) {
  std::array<char, 4096> space{};
  group entry{};
  group *found = nullptr;
  if (::getgrgid_r(gid, &entry, space.data(), space.size(), &found) == 0 && found != nullptr) return entry.gr_name;
  return "gid " + std::to_string(gid);
}

http::BaseUrl urlOf(const EngineEndpoint &endpoint) {
  // Engines want a Host without a slash.
  if (!endpoint.socketPath.empty()) return http::BaseUrl::unixSocket(endpoint.socketPath, "engine");
  return http::BaseUrl::parse("http://" + endpoint.host + ":" + std::to_string(endpoint.port));
}

const char *outcomeOf(const Error &error) {
  if (error.reason() == MOS_REASON_ENGINE_UNREACHABLE) return "unreachable";
  if (error.reason() == MOS_REASON_ENGINE_DENIED) return "denied";
  if (error.reason() == MOS_REASON_ENGINE_REPLY) return "reply";
  return "given_up";
}

} // namespace

EngineEndpoint EngineEndpoint::parse(std::string_view text) {
  const auto refuse = [&](const std::string &why) {
    return Error(Status::InvalidArgument, "the engine endpoint \"" + std::string(text) + "\" " + why +
                                              "; write unix:/var/run/docker.sock or tcp://127.0.0.1:2375");
  };
  EngineEndpoint endpoint;
  if (text.substr(0, 5) == "unix:") {
    std::string_view path = text.substr(5);
    if (path.substr(0, 2) == "//") path.remove_prefix(2);
    if (path.empty() || path.front() != '/') throw refuse("names no absolute path");
    if (path.size() > 107) throw refuse("is longer than a socket's path can be (107 bytes)");
    endpoint.socketPath.assign(path);
    return endpoint;
  }
  if (text.substr(0, 6) != "tcp://") throw refuse("is neither unix: nor tcp://");
  const std::string_view rest = text.substr(6);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) throw refuse("names no port");
  const std::string_view port = rest.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc{} || end != port.data() + port.size() || endpoint.port == 0) throw refuse("has a bad port");
  endpoint.host.assign(rest.substr(0, colon));
  if (endpoint.host != "127.0.0.1" && endpoint.host != "localhost" && endpoint.host != "[::1]") {
    throw refuse("is not on loopback, and an engine's API without TLS may be reached by nobody else");
  }
  return endpoint;
}

std::string EngineEndpoint::text() const {
  return socketPath.empty() ? "tcp://" + host + ":" + std::to_string(port) : "unix:" + socketPath;
}

std::string EngineRequest::title() const {
  std::string_view shown(target);
  shown = shown.substr(0, shown.find('?'));
  if (shown.substr(0, 2) == "/v" && shown.size() > 2 && shown[2] >= '0' && shown[2] <= '9') {
    const std::size_t slash = shown.find('/', 1);
    if (slash != std::string_view::npos) shown.remove_prefix(slash);
  }
  return method + " " + std::string(shown);
}

EngineHttp::EngineHttp(EngineEndpoint endpoint, ObserverFn observer)
    : endpoint_(std::move(endpoint)), url_(urlOf(endpoint_)), observer_(std::move(observer)),
      client_({kKeptConnections, {}}) {}

ClientResponse EngineHttp::observed(const Call &call, const EngineRequest &request, auto &&exchange) {
  const auto began = std::chrono::steady_clock::now();
  const auto report = [&](const char *outcome) {
    if (observer_) observer_(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(), outcome);
  };
  try {
    call.throwIfDone();
    EngineRequest complete = request;
    if (!request.body.empty()) complete.fields.push_back({"Content-Type", "application/json"});
    try {
      ClientResponse response = exchange(complete);
      report(response.status < 400 ? "ok" : "refused");
      return response;
    } catch (const ClientError &e) {
      fail(e, request);
    }
  } catch (const Error &e) {
    report(outcomeOf(e));
    throw;
  }
}

ClientResponse EngineHttp::send(const Call &call, const EngineRequest &request) {
  return observed(call, request, [&](const EngineRequest &what) { return client_.send(call, url_, what); });
}

ClientResponse EngineHttp::stream(const Call &call, const EngineRequest &request,
                                  const http::HttpClient::BytesFn &bytes) {
  return observed(call, request, [&](const EngineRequest &what) { return client_.stream(call, url_, what, bytes); });
}

ClientResponse EngineHttp::streamLines(const Call &call, const EngineRequest &request,
                                       const http::LineCutter::LineFn &line) {
  const auto unlessBlank = [&line](std::string_view text) {
    return text.find_first_not_of(" \t\r") == std::string_view::npos || line(text);
  };
  return observed(call, request,
                  [&](const EngineRequest &what) { return client_.streamLines(call, url_, what, unlessBlank); });
}

void EngineHttp::fail(const ClientError &error, const EngineRequest &request) const {
  using Cause = ClientError::Cause;
  const std::string what = request.title();
  const std::string engine = "the engine at " + endpoint_.text();
  switch (error.cause()) {
  case Cause::Unreachable:
  case Cause::Denied:
    failUnconnected(error.cause() == Cause::Denied, what);
  case Cause::ConnectTimeout:
    throw unreachable(engine + " accepts no connection");
  case Cause::NoAnswer:
    throw unreachable(engine + " closed the connection during " + what + "; whether it acted is unknown");
  case Cause::Timeout:
    throw unreachable(engine + " did not answer " + what + " within " + std::to_string(request.timeout.count()) +
                      " ms; look at its load and its log");
  case Cause::Silent:
    throw unreachable(engine + " fell silent during " + what + " for " + std::to_string(request.maxSilence.count()) +
                      " ms; look at its load and its log");
  case Cause::Deadline:
    throw Error(Status::DeadlineExceeded, "the engine did not finish " + what + " in the time given",
                MOS_REASON_ENGINE_UNREACHABLE);
  case Cause::Cancelled:
    throw Error(Status::Cancelled, what + " was cancelled");
  case Cause::Stopping:
    throw Error(Status::Unavailable, "the Docker runtime is stopping", "STOPPING");
  case Cause::Incomplete:
  case Cause::Malformed:
  case Cause::TooLarge:
  case Cause::Tls:
  case Cause::NotPublic: // not asked for
    break;
  }
  const char *hint = error.cause() == Cause::TooLarge ? " (see [runtime-docker] max_reply)" : "";
  throw Error(Status::Unavailable, "the engine failed to answer " + what + ": " + error.what() + hint,
              MOS_REASON_ENGINE_REPLY, kRetryAfterMs);
}

void EngineHttp::failUnconnected(bool denied, const std::string &what) const {
  const std::string at = endpoint_.text();
  if (endpoint_.socketPath.empty()) {
    throw unreachable("no engine answers at " + at + " (" + what + "): start it, or set [runtime-docker] endpoint");
  }
  struct stat info {};
  const bool exists = ::stat(endpoint_.socketPath.c_str(), &info) == 0;
  if (denied || (!exists && errno == EACCES)) {
    const std::string user = userName(::geteuid());
    const std::string owner =
        exists ? "user " + userName(info.st_uid) + " and group " + groupName(info.st_gid) : "others";
    throw Error(Status::PermissionDenied,
                "the engine's socket " + endpoint_.socketPath + " is open to " + owner + ", and the daemon runs as " +
                    user + (exists ? ": usermod -aG " + groupName(info.st_gid) + " " + user + ", then restart it" : ""),
                MOS_REASON_ENGINE_DENIED);
  }
  if (!exists) {
    throw unreachable("there is no engine socket at " + endpoint_.socketPath +
                      ": install and start Docker (systemctl start docker), or set [runtime-docker] endpoint");
  }
  throw unreachable("nobody listens on the engine's socket " + endpoint_.socketPath +
                    ": start the engine (systemctl start docker) and look at its log");
}

} // namespace matrixos::docker
