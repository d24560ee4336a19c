#include "GatewaySession.h"

#include <matrixos/handle.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/managed/json_reader.hpp>
#include <matrixos/text/time.hpp>

/// Routes about instances: gateways that are registered by hand, and messages.
namespace matrixos::gateway {

namespace {

constexpr std::size_t kMostText = 16'384;
constexpr std::size_t kMostName = 512; // bytes of 128 characters

/// The message as the receiver gets it; the sender is `from` if that is not empty. Throws Error(InvalidArgument).
std::string messageJson(std::string_view body, std::string_view from) {
  using namespace managed;
  const Json object = parseObject(body);
  const std::string words = text(object, "text");
  if (words.empty() || words.size() > kMostText)
    throw Error(Status::InvalidArgument, "text has to have 1 to 16384 bytes");
  const Json *sender = find(object, "from");
  if (sender != nullptr && !sender->is_object()) throw badField("\"from\" has to be an object");
  std::string handle(from);
  if (from.empty()) handle = sender == nullptr ? std::string() : text(*sender, "handle");
  if (!isHandle(handle)) throw Error(Status::InvalidArgument, "from.handle has to name the sender");
  const std::string name = sender == nullptr ? std::string() : textOr(*sender, "displayName", {});
  if (name.size() > kMostName) throw Error(Status::InvalidArgument, "from.displayName is too long");
  JsonObject whose;
  whose.add("handle", handle);
  if (!name.empty()) whose.add("displayName", name);
  JsonObject out;
  out.add("text", words).addRaw("from", std::move(whose).str());
  return std::move(out).str();
}

} // namespace

void GatewaySession::registerGateway(http::ClientExchange &exchange) {
  later(exchange, [&instances = shared_.to.instances, body = body_] {
    const managed::Json object = managed::parseObject(body);
    instances.enter(managed::text(object, "handle"), managed::text(object, "gatewayUrl"), wallClockMs());
    return http::LocalResponse{201, "application/json", R"({"ok":true})", {}};
  });
}

void GatewaySession::forgetGateway(http::ClientExchange &exchange) {
  later(exchange, [&instances = shared_.to.instances, handle = std::string(match_.handle)] {
    if (!instances.forget(handle)) throw Error(Status::NotFound, "no gateway is registered for that handle");
    return http::LocalResponse{200, "application/json", R"({"ok":true})", {}};
  });
}

void GatewaySession::sendMessage(http::ClientExchange &exchange) {
  target_ = shared_.to.instances.find(match_.handle);
  if (!target_) return refuse(exchange, {404, "not_found_error", "there is no such instance"});
  if (!target_->gateway) {
    target_.reset();
    return refuse(exchange, {503, "overloaded_error", "the instance does not run", {{"retry-after", "5"}}});
  }
  try {
    std::string message = messageJson(body_, owner_ ? owner_->handle : std::string());
    shared_.bodyBytes.fetch_add(message.size(), std::memory_order_relaxed);
    shared_.bodyBytes.fetch_sub(body_.size(), std::memory_order_relaxed);
    body_ = std::move(message);
  } catch (const Error &error) {
    target_.reset();
    return refuse(exchange, {400, "invalid_request_error", error.what()});
  }
  exchange.forwardTaken(target_->gateway, body_);
}

} // namespace matrixos::gateway
