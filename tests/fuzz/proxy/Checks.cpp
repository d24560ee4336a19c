#include "Checks.h"

#include <matrixos/handle.hpp>

#include <http/codec/HopByHop.h>
#include <http/codec/RequestParser.h>
#include <http/codec/ResponseParser.h>
#include <http/codec/Traceparent.h>
#include <http/pages/Page.h>
#include <proxy/ErrorPage.h>
#include <proxy/HeaderPolicy.h>
#include <proxy/HostRouter.h>
#include <proxy/WaitingPage.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <string>
#include <vector>

namespace matrixos::proxy::fuzz {

namespace {

constexpr const char *kSecret = "s3cret";
constexpr std::string_view kId = "0123456789abcdef0123456789abcdef";

void require(bool holds, const char *what) {
  if (!holds) throw std::logic_error(what);
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char &c : out)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string stripped(std::string_view text) {
  const std::size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return std::string(text.substr(from, text.find_last_not_of(" \t") - from + 1));
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> out;
  for (;;) {
    const std::size_t end = text.find(at);
    out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

/// The host without its port and one dot at its end, in lower case.
std::string nameOf(std::string_view host) {
  std::string name = lowered(host.substr(0, host.find(':')));
  if (!name.empty() && name.back() == '.') name.pop_back();
  return name;
}

/// The name a browser or server takes a cookie for. One without a name is sent as its value alone, and is then read as
/// if that had a name (RFC 6265bis §5.7).
std::string cookieName(std::string_view pair) {
  std::string text = stripped(pair);
  while (!text.empty() && text.front() == '=')
    text = stripped(std::string_view(text).substr(1));
  return lowered(stripped(std::string_view(text).substr(0, text.find('='))));
}

/// All values of a name, in which all but letters and digits counts as "-", as CGI has it.
std::vector<std::string_view> valuesOf(const http::FieldList &fields, std::string_view lowerName) {
  std::vector<std::string_view> out;
  for (const http::Field &field : fields) {
    std::string name = lowered(field.name);
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '-');
    if (name == lowerName) out.push_back(field.value);
  }
  return out;
}

void requireOne(const http::FieldList &fields, std::string_view lowerName, std::string_view value) {
  const auto values = valuesOf(fields, lowerName);
  require(values.size() == 1 && values.front() == value, "a field that is not exactly ours");
}

void checkDecision(const RoutingDecision &decision, const http::RequestHead &head) {
  // The rest is answered here, and has no target.
  if (decision.kind != RoutingDecision::Kind::Instance && !decision.isApi()) return;
  require(head.target.find(decision.target) != std::string_view::npos, "a target from elsewhere");
  const std::string target = (decision.slashMissing ? "/" : "") + std::string(decision.target);
  require(!target.empty() && (target.front() == '/' || target == "*"), "a target that is no path");
  if (decision.kind != RoutingDecision::Kind::Instance) return;
  require(isHandle(decision.handle), "a handle that is none");
  const std::string path = target.substr(0, target.find('?'));
  const bool gateway = path == "/api" || path.substr(0, 5) == "/api/" || path == "/ws" || path.substr(0, 4) == "/ws/";
  require(decision.gateway == gateway, "the wrong endpoint");
  // Whose instance it is stands in the host or at the start of the path, and nowhere else.
  const std::string host = nameOf(head.host);
  // "api" is nobody's handle, though it looks like one: under that host instances are reached by path.
  const bool byHost =
      (host == decision.handle + ".matrix.test" && host != "api.matrix.test") || host == decision.handle + ".localhost";
  const std::string prefix = "/proxy/" + decision.handle;
  const bool byPath =
      head.target.substr(0, prefix.size()) == prefix &&
      (head.target.size() == prefix.size() || head.target[prefix.size()] == '/' || head.target[prefix.size()] == '?');
  require(decision.byPath ? byPath && !byHost : byHost, "somebody else's instance");
}

void checkRequestFields(const http::FieldList &fields, const ClientFacts &client, std::string_view host,
                        bool toTenant) {
  if (client.ip.empty())
    require(valuesOf(fields, "x-forwarded-for").empty(), "an address that nobody has");
  else
    requireOne(fields, "x-forwarded-for", client.ip);
  requireOne(fields, "x-forwarded-proto", client.proto);
  requireOne(fields, "x-forwarded-host", host);
  requireOne(fields, "x-request-id", client.requestId);
  require(valuesOf(fields, "forwarded").size() == 1, "not exactly one Forwarded");
  require(valuesOf(fields, "traceparent").size() <= 1, "two traces");
  for (const std::string_view trace : valuesOf(fields, "traceparent"))
    require(http::isTraceparent(trace), "a trace that is none");
  for (const char *never :
       {"x-matrix-user", "x-matrix-email", "x-matrix-role", "x-real-ip", "x-forwarded-port", "x-forwarded-server"})
    require(valuesOf(fields, never).empty(), "a claim of the client's own");
  for (const std::string_view ip : valuesOf(fields, "cf-connecting-ip"))
    require(client.trusted && ip == client.ip, "an address that nobody trusted says");
  if (!toTenant) return;
  for (const http::Field &field : fields) {
    const bool own = lowered(field.name).substr(0, 11) == "x-forwarded" || lowered(field.name) == "forwarded" ||
                     lowered(field.name) == "host";
    require(own || field.value.find(kSecret) == std::string_view::npos, "the platform's secret at a tenant's");
  }
  for (const std::string_view value : valuesOf(fields, "cookie")) {
    for (const std::string &pair : split(value, ';'))
      require(cookieName(pair).substr(0, 15) != "__host-matrixos", "a platform cookie at a tenant's");
  }
}

void checkSetCookie(std::string_view value, std::string_view host) {
  const auto parts = split(value, ';');
  require(cookieName(parts.front()).substr(0, 15) != "__host-matrixos", "a platform cookie from a tenant");
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::size_t equals = parts[i].find('=');
    if (lowered(stripped(std::string_view(parts[i]).substr(0, equals))) != "domain") continue;
    std::string domain = equals == std::string::npos ? std::string() : lowered(stripped(parts[i].substr(equals + 1)));
    if (!domain.empty() && domain.front() == '.') domain.erase(0, 1);
    require(!host.empty() && domain == nameOf(host), "a cookie for somebody else's host");
  }
}

} // namespace

void checkPolicy(std::string_view input) {
  static const HostRouter router("matrix.test");
  static const HeaderPolicy policy(TrustedPeers({"10.0.0.0/8"}), kSecret);
  const unsigned choice = input.empty() ? 0 : static_cast<unsigned char>(input.front());
  if (!input.empty()) input.remove_prefix(1);
  const std::size_t mark = input.find('\xff');
  const std::string_view request = input.substr(0, mark);
  const std::string_view response = mark == std::string_view::npos ? std::string_view{} : input.substr(mark + 1);

  http::RequestParser parser;
  http::RequestHead head;
  if (parser.parse(request, http::HeadLimits{}, head) != http::ParseResult::Complete) return;
  const RoutingDecision decision = router.route(head, {"wiki"});
  checkDecision(decision, head);
  http::wantsPage(head);
  http::isNavigation(head);

  const PeerFacts peer = policy.peer((choice & 2U) != 0   ? Address()
                                     : (choice & 1U) != 0 ? Address::fromIp("10.1.2.3", 80)
                                                          : Address::fromIp("192.0.2.1", 80));
  require(peer.trusted == ((choice & 3U) == 1), "trust in the wrong peer");
  ClientFacts client;
  client.requestId = kId;
  policy.describe(head, peer, (choice & 4U) != 0, client);
  if (!peer.trusted) require(client.ip == peer.ip && client.requestId == kId, "a stranger's word");
  const bool tenant = (choice & 8U) == 0;
  if (tenant && policy.tellsSecret(head)) return; // refused
  http::dropHopByHop(head.fields);
  std::string out;
  http::HeadWriter writer(out);
  writer.requestLine(head.method, head.target);
  policy.writeRequest(head, client, tenant, {}, writer);
  writer.end();
  http::RequestParser second;
  http::RequestHead copy;
  require(second.parse(out, http::HeadLimits{64 * 1024, 200, 8 * 1024}, copy) == http::ParseResult::Complete,
          "our own request is refused");
  require(second.size() == out.size(), "our own request ends early");
  checkRequestFields(copy.fields, client, head.host, tenant);

  http::ResponseParser answerParser;
  http::ResponseHead answer;
  if (answerParser.parse(response, http::HeadLimits{}, false, answer) != http::ParseResult::Complete) return;
  http::dropHopByHop(answer.fields);
  const Answerer from = !tenant ? Answerer::Api : decision.byPath ? Answerer::InstanceByPath : Answerer::Instance;
  out.clear();
  writer.statusLine(answer.status);
  policy.writeResponse(answer, from, head.host, client.requestId, writer);
  writer.end();
  http::ResponseParser third;
  http::ResponseHead result;
  require(third.parse(out, http::HeadLimits{64 * 1024, 200, 8 * 1024}, false, result) == http::ParseResult::Complete,
          "our own answer is refused");
  requireOne(result.fields, "x-request-id", client.requestId);
  if (!tenant) return;
  for (const std::string_view cookie : valuesOf(result.fields, "set-cookie")) {
    require(from == Answerer::Instance, "a tenant's cookie on the platform's host");
    checkSetCookie(cookie, head.host);
  }
  for (const char *front : {"x-accel-redirect", "x-sendfile", "surrogate-control", "cdn-cache-control"}) {
    for (const http::Field &field : result.fields)
      require(lowered(field.name) != front, "a tenant speaks to the front");
  }
  if (from == Answerer::Instance) return;
  const auto policies = valuesOf(result.fields, "content-security-policy");
  require(!policies.empty() && policies.back() == "sandbox", "a tenant's document of the platform's origin");
  for (const char *never : {"service-worker-allowed", "clear-site-data", "nel", "report-to"})
    require(valuesOf(result.fields, never).empty(), "a tenant speaks for the platform's host");
}

} // namespace matrixos::proxy::fuzz
