#include "SocialApi.h"

#include "Message.h"

#include <matrixos/address.hpp>
#include <matrixos/handle.hpp>
#include <matrixos/instance_record.hpp>
#include <matrixos/json.hpp>

#include <algorithm>
#include <cctype>
#include <utility>

namespace matrixos::social {

namespace {

constexpr std::int64_t kBusyRetryMs = 1000;

Error unknown(std::string_view handle) {
  return Error(Status::NotFound, "there is no instance \"" + std::string(handle) + "\"", "INSTANCE_NOT_FOUND");
}

/// "http://address:port", empty when the endpoint is no IP literal: names of tenants' making are never resolved.
std::string baseUrl(const InstanceEndpoint &endpoint) {
  const auto address = Address::tryIp(endpoint.address, endpoint.port);
  return address ? "http://" + address->text() : std::string();
}

/// Where the running instance's gateway is, best first.
std::vector<std::string> gatewaysOf(const OrchestratorClient &orchestrator, std::string_view handle) {
  if (!isHandle(handle)) throw unknown(handle);
  const auto record = InstanceRecord::parse(orchestrator.get(handle));
  if (!record.running()) {
    throw Error(Status::Unavailable,
                "the instance of \"" + std::string(handle) + "\" is not running (" +
                    std::string(wordOf(record.status)) + ")",
                "INSTANCE_NOT_RUNNING");
  }
  std::vector<std::string> urls;
  for (const InstanceEndpoint &endpoint : record.endpoints) {
    if (endpoint.name != "gateway") continue;
    if (std::string url = baseUrl(endpoint); !url.empty()) urls.push_back(std::move(url));
  }
  return urls;
}

bool isJsonType(std::string_view contentType) {
  std::string type(contentType.substr(0, contentType.find(';')));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t'))
    type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  return type == "application/json";
}

/// The body, if the answer may be passed on.
std::string accept(http::ClientResponse reply, bool mayBeEmpty) {
  if (!reply.isSuccess()) {
    throw BadGateway("the instance answered with status " + std::to_string(reply.status));
  }
  if (mayBeEmpty && reply.body.empty()) return R"({"ok":true})";
  if (!isJsonType(reply.find("Content-Type").value_or("")))
    throw BadGateway("the instance's answer is not application/json");
  try {
    json::parse(reply.body);
  } catch (const Error &error) {
    throw BadGateway(std::string("the instance's answer is not JSON: ") + error.what());
  }
  return std::move(reply.body);
}

http::ClientRequest requestFor(std::string target, std::string message) {
  http::ClientRequest request;
  request.target = std::move(target);
  request.fields = {{"Accept", "application/json"}, {"User-Agent", "matrixos-social"}};
  if (!message.empty()) {
    request.method = "POST";
    request.body = std::move(message);
    request.fields.push_back({"Content-Type", "application/json"});
  }
  return request;
}

SocialApi::Settings checked(SocialApi::Settings settings) {
  if (settings.proxyUrl.empty()) return settings;
  const http::BaseUrl url = http::BaseUrl::parse(settings.proxyUrl);
  if (url.isTls() || !url.socketPath().empty()) {
    throw Error(Status::InvalidArgument, "\"" + settings.proxyUrl + "\" does not begin with http://");
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
  JsonArray users;
  orchestrator_.list("", [&users](std::string_view item) {
    const auto record = InstanceRecord::parse(item);
    JsonObject user;
    user.add("handle", record.handle).add("status", wordOf(record.status)).add("online", record.running());
    users.add(std::move(user).str());
    return true;
  });
  return std::move(users).str();
}

std::string SocialApi::profile(std::string_view handle, bool ai) {
  return exchange(handle, gatewaysOf(orchestrator_, handle), requestFor(ai ? "/api/ai-profile" : "/api/profile", {}),
                  settings());
}

/// Nobody speaks in another's name.
void SocialApi::checkSender(const std::string &from, const Caller &caller) const {
  bool may = caller.kind == Caller::Kind::Operator;
  if (caller.kind == Caller::Kind::Instance) may = caller.name() == from; // whoever has no name is nobody
  if (caller.kind == Caller::Kind::User) {
    try {
      may = caller.owns(InstanceRecord::parse(orchestrator_.get(from)).clerkUserId);
    } catch (const Error &e) {
      if (e.status() != Status::NotFound) throw;
    }
  }
  if (may) return;
  throw Error(Status::PermissionDenied, "\"from.handle\" is not yours: you cannot send as \"" + from + "\"",
              "NOT_YOURS");
}

std::string SocialApi::send(std::string_view handle, std::string_view body, const Caller &caller) {
  const bool isInstance = caller.kind == Caller::Kind::Instance;
  const auto [from, message] = canonicalMessage(body, isInstance ? caller.name() : std::string_view());
  checkSender(from, caller);
  const std::vector<std::string> gateways = gatewaysOf(orchestrator_, handle);
  const Settings now = settings();
  if (now.proxyUrl.empty()) return exchange(handle, gateways, requestFor("/api/message", message), now);
  http::ClientRequest request = requestFor("/send/" + std::string(handle), message);
  if (!now.secret.empty()) request.fields.push_back({"Authorization", "Bearer " + now.secret});
  return exchange(handle, {now.proxyUrl}, request, now);
}

std::string SocialApi::exchange(std::string_view handle, const std::vector<std::string> &urls,
                                const http::ClientRequest &request, const Settings &settings) {
  const InFlight::Place place = places_.enter(handle, settings.maxInFlight, settings.maxPerInstance);
  if (!place) {
    throw Error(Status::Unavailable, "too many requests to instances are under way; try again", "BUSY", kBusyRetryMs);
  }
  const auto began = std::chrono::steady_clock::now();
  FetchResult result = FetchResult::BadAnswer;
  try {
    std::string answer = fetchFirst(urls, request, settings);
    result = FetchResult::Ok;
    observer_(result, std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began));
    return answer;
  } catch (const http::ClientError &error) {
    result = error.sent() ? FetchResult::BadAnswer : FetchResult::Unreachable;
    observer_(result, std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began));
    throw BadGateway(std::string("the instance could not be asked: ") + error.what());
  } catch (const BadGateway &) {
    observer_(result, std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began));
    throw;
  }
}

std::string SocialApi::fetchFirst(const std::vector<std::string> &urls, http::ClientRequest request,
                                  const Settings &settings) {
  request.connectTimeout = settings.connectTimeout;
  request.maxBody = settings.maxResponse;
  const auto end = std::chrono::steady_clock::now() + settings.timeout;
  for (std::size_t i = 0; i < urls.size(); ++i) {
    request.timeout = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (request.timeout.count() <= 0) break;
    try {
      return accept(client_.send(Call(nullptr), http::BaseUrl::parse(urls[i]), request), !request.body.empty());
    } catch (const http::ClientError &error) {
      // Nothing was sent, so the instance's next address may be asked, also with a message.
      if (error.sent() || i + 1 == urls.size()) throw;
    }
  }
  throw http::ClientError(http::ClientError::Cause::Unreachable, "it has no gateway address that can be reached",
                          false);
}

} // namespace matrixos::social
