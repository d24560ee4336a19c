#include "SocialApi.h"

#include "HttpFetch.h"
#include "Message.h"

#include <matrixos/handle.hpp>
#include <matrixos/json.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace matrixos::social {

namespace {

constexpr std::int64_t kBusyRetryMs = 1000;

Error unknown(std::string_view handle) {
  return Error(Status::NotFound, "there is no instance \"" + std::string(handle) + "\"", "INSTANCE_NOT_FOUND");
}

/// "http://address:port", empty when the endpoint is no IP literal: names of tenants' making are never resolved.
std::string baseUrl(const json::Object &endpoint) {
  const std::string address = json::findString(endpoint, "address").value_or("");
  const std::int64_t port = json::getInt(endpoint, "port", 0);
  std::array<unsigned char, sizeof(in6_addr)> binary{};
  if (port < 1 || port > 65535) return {};
  if (::inet_pton(AF_INET, address.c_str(), binary.data()) == 1) {
    return "http://" + address + ":" + std::to_string(port);
  }
  if (::inet_pton(AF_INET6, address.c_str(), binary.data()) == 1) {
    return "http://[" + address + "]:" + std::to_string(port);
  }
  return {};
}

/// Where the running instance's gateway is, best first.
std::vector<std::string> gatewaysOf(const OrchestratorClient &orchestrator, std::string_view handle) {
  if (!isHandle(handle)) throw unknown(handle);
  const json::Object::Ptr record = json::parseObject(orchestrator.get(handle));
  const std::string status = json::getString(*record, "status");
  if (status != "running") {
    throw Error(Status::Unavailable, "the instance of \"" + std::string(handle) + "\" is not running (" + status + ")",
                "INSTANCE_NOT_RUNNING");
  }
  std::vector<std::string> urls;
  const json::Array::Ptr endpoints = json::findArray(*record, "endpoints");
  for (unsigned i = 0; endpoints && i < endpoints->size(); ++i) {
    const json::Object::Ptr endpoint = endpoints->getObject(i);
    if (!endpoint || json::findString(*endpoint, "name") != "gateway") continue;
    if (std::string url = baseUrl(*endpoint); !url.empty()) urls.push_back(std::move(url));
  }
  return urls;
}

void append(std::vector<std::string> &urls, std::string_view path) {
  for (std::string &url : urls)
    url += path;
}

bool isJsonType(std::string_view contentType) {
  std::string type(contentType.substr(0, contentType.find(';')));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t'))
    type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  return type == "application/json";
}

/// The body, if the answer may be passed on.
std::string accept(FetchReply reply, bool mayBeEmpty) {
  if (reply.status < 200 || reply.status > 299) {
    throw BadGateway("the instance answered with status " + std::to_string(reply.status));
  }
  if (mayBeEmpty && reply.body.empty()) return R"({"ok":true})";
  if (!isJsonType(reply.contentType)) throw BadGateway("the instance's answer is not application/json");
  try {
    json::parse(reply.body);
  } catch (const Error &error) {
    throw BadGateway(std::string("the instance's answer is not JSON: ") + error.what());
  }
  return std::move(reply.body);
}

SocialApi::Settings checked(SocialApi::Settings settings) {
  while (!settings.proxyUrl.empty() && settings.proxyUrl.back() == '/')
    settings.proxyUrl.pop_back();
  if (settings.proxyUrl.empty()) return settings;
  const std::string fault = checkBaseUrl(settings.proxyUrl);
  if (!fault.empty()) {
    throw Error(Status::InvalidArgument, "[social] proxy_url is no base URL like http://proxy:8080: " + fault);
  }
  return settings;
}

} // namespace

SocialApi::SocialApi(OrchestratorClient orchestrator, Settings settings, Observer observer)
    : orchestrator_(orchestrator), observer_(std::move(observer)), settings_(checked(std::move(settings))) {}

void SocialApi::configure(Settings settings) {
  Settings next = checked(std::move(settings));
  const std::lock_guard lock(mutex_);
  settings_ = std::move(next);
}

SocialApi::Settings SocialApi::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

std::string SocialApi::users() const {
  std::string out = "[";
  orchestrator_.list("", [&out](std::string_view item) {
    const json::Object::Ptr record = json::parseObject(item);
    const std::string status = json::getString(*record, "status");
    if (out.size() > 1) out += ',';
    out += R"({"handle":)" + json::dump(json::Value(json::getString(*record, "handle")));
    out += R"(,"status":)" + json::dump(json::Value(status));
    out += status == "running" ? R"(,"online":true})" : R"(,"online":false})";
    return true;
  });
  return out + "]";
}

std::string SocialApi::profile(std::string_view handle, bool ai) {
  std::vector<std::string> urls = gatewaysOf(orchestrator_, handle);
  append(urls, ai ? "/api/ai-profile" : "/api/profile");
  return exchange(handle, urls, {}, settings());
}

std::string SocialApi::send(std::string_view handle, std::string_view body) {
  const std::string message = canonicalMessage(body);
  std::vector<std::string> urls = gatewaysOf(orchestrator_, handle);
  const Settings now = settings();
  if (now.proxyUrl.empty())
    append(urls, "/api/message");
  else
    urls = {now.proxyUrl + "/send/" + std::string(handle)};
  return exchange(handle, urls, message, now);
}

std::string SocialApi::exchange(std::string_view handle, const std::vector<std::string> &urls, const std::string &body,
                                const Settings &settings) {
  const InFlight::Place place = places_.enter(handle, settings.maxInFlight, settings.maxPerInstance);
  if (!place) {
    throw Error(Status::Unavailable, "too many requests to instances are under way; try again", "BUSY", kBusyRetryMs);
  }
  const auto began = std::chrono::steady_clock::now();
  FetchResult result = FetchResult::BadAnswer;
  try {
    std::string answer = fetchFirst(urls, body, settings);
    result = FetchResult::Ok;
    observer_(result, std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began));
    return answer;
  } catch (const FetchError &error) {
    result = error.connected() ? FetchResult::BadAnswer : FetchResult::Unreachable;
    observer_(result, std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began));
    throw BadGateway(std::string("the instance could not be asked: ") + error.what());
  } catch (const BadGateway &) {
    observer_(result, std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began));
    throw;
  }
}

std::string SocialApi::fetchFirst(const std::vector<std::string> &urls, const std::string &body,
                                  const Settings &settings) {
  const auto end = std::chrono::steady_clock::now() + settings.timeout;
  for (std::size_t i = 0; i < urls.size(); ++i) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    try {
      return accept(fetch({urls[i], body, settings.connectTimeout, left, settings.maxResponse}), !body.empty());
    } catch (const FetchError &error) {
      // Nothing was sent, so the instance's next address may be asked, also with a message.
      if (error.connected() || i + 1 == urls.size()) throw;
    }
  }
  throw FetchError("it has no gateway address that can be reached", false);
}

} // namespace matrixos::social
