/// endpoints: where an instance can be reached, and until when.
#include "Cases.h"

#include <matrixos/address.hpp>

#include <sys/time.h>
#include <unistd.h>

#include <thread>

namespace matrixos::conformance {

namespace {

constexpr const char *kEndpoint = "runtime.h: endpoint: best first; empty while the instance does not run";

std::vector<Json> endpointsOf(CaseSession &t, const std::string &ref) {
  const Answer answer = t.rt().endpoints(ref, t.how());
  t.ok(answer, "endpoints()");
  t.expect(answer.json.is_array(), "an array from endpoints()", answer.text());
  return answer.json.get<std::vector<Json>>();
}

void onlyWhileRunning(CaseSession &t) {
  const std::string ref = t.create(t.spec(t.name()));
  t.expect(endpointsOf(t, ref).empty(), "no endpoint before start()", Json(endpointsOf(t, ref)).dump(), kEndpoint);
  t.start(ref);
  const std::vector<Json> running = endpointsOf(t, ref);
  t.stop(ref);
  t.expect(endpointsOf(t, ref).empty(), "no endpoint after stop()", Json(endpointsOf(t, ref)).dump(), kEndpoint);
  t.expect(!running.empty(), "an endpoint for the spec's port while it runs", "none", kEndpoint);
}

void shape(CaseSession &t) {
  const std::string ref = t.running(t.spec(t.name()));
  const std::vector<Json> endpoints = endpointsOf(t, ref);
  for (const Json &endpoint : endpoints) {
    t.expect(textOf(endpoint, "name") == "gateway", "\"name\": \"gateway\" as in the spec", endpoint.dump());
    t.expect(!textOf(endpoint, "address").empty(), "an address", endpoint.dump());
    const Json port = endpoint.value("port", Json());
    t.expect(port.is_number_integer() && port > 0 && port <= 65535, "a port", endpoint.dump());
    t.expect(!textOf(endpoint, "scope").empty(), "a scope", endpoint.dump());
    t.expect(!textOf(endpoint, "epoch").empty(), "an epoch", endpoint.dump());
  }
  const Json described = t.inspect(ref).value("endpoints", Json());
  t.expect(described == Json(endpoints), "the same in inspect(): " + Json(endpoints).dump(), described.dump(),
           "runtime.h endpoints(): as in the description");
}

void epoch(CaseSession &t) {
  const std::string ref = t.running(t.spec(t.name()));
  const std::vector<Json> before = endpointsOf(t, ref);
  t.stop(ref);
  t.start(ref);
  const std::vector<Json> after = endpointsOf(t, ref);
  if (before.empty() || after.empty()) t.skip("the runtime tells no endpoint");
  t.expect(textOf(before[0], "epoch") != textOf(after[0], "epoch"), "another epoch after a restart",
           textOf(after[0], "epoch"),
           "runtime.h endpoint: epoch changes whenever the address may have passed to somebody else");
  t.expect(endpointsOf(t, ref) == after, "the same epoch while it runs on", Json(endpointsOf(t, ref)).dump());
}

/// The first line of the answer to GET /, or "" when there is none.
std::string statusLine(const Json &endpoint) {
  const auto to = Address::tryIp(textOf(endpoint, "address"), endpoint.value("port", std::uint16_t{0}));
  if (!to) return {};
  const int fd = ::socket(to->family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{2, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  static constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: instance\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (::connect(fd, to->data(), to->size()) == 0 &&
      ::send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(kRequest.size())) {
    char bytes[512];
    const ssize_t got = ::read(fd, bytes, sizeof bytes);
    if (got > 0) answer.assign(bytes, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return answer.substr(0, answer.find('\r'));
}

void answers(CaseSession &t) {
  if (!t.options().realProcesses) t.skip("real_processes is not set: instances are not known to answer HTTP");
  const std::string ref = t.running(t.spec(t.name()));
  const std::vector<Json> endpoints = endpointsOf(t, ref);
  t.expect(!endpoints.empty(), "an endpoint", "none", kEndpoint);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  std::string line;
  while (line.empty() && std::chrono::steady_clock::now() < end) {
    line = statusLine(endpoints[0]);
    if (line.empty()) std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  t.expect(line.rfind("HTTP/1.", 0) == 0, "an HTTP answer at the first endpoint, " + endpoints[0].dump(),
           line.empty() ? "none" : line, "runtime.h endpoint: best first");
}

} // namespace

void addEndpoints(CaseList &list) {
  list.push_back({"endpoints.running", "there are endpoints while it runs, and only then", kEndpoint, kOptional,
                  onlyWhileRunning});
  list.push_back({"endpoints.shape", "an endpoint has name, address, port, scope and epoch", "runtime.h: endpoint",
                  kOptional, shape});
  list.push_back({"endpoints.epoch", "the epoch changes with a restart, and only then", "runtime.h: endpoint, epoch",
                  kOptional, epoch});
  list.push_back({"endpoints.answers", "what runs answers at its first endpoint", "runtime.h: endpoint: best first",
                  kOptional, answers});
}

} // namespace matrixos::conformance
