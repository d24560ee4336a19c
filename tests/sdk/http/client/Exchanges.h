#pragma once

#include <doctest/doctest.h>
#include <http/client/HttpClient.h>
#include <support/ScriptedHttp.h>

#include <optional>
#include <string>

namespace matrixos::http::test {

using matrixos::test::Peer;
using ClosedPort = matrixos::test::LoopbackPort;
using Gateway = matrixos::test::ScriptedHttp;

using Cause = ClientError::Cause;

inline ClientRequest get(std::string target = "/") {
  ClientRequest request;
  request.target = std::move(target);
  return request;
}

inline ClientRequest post(std::string body, std::string target = "/") {
  ClientRequest request;
  request.method = "POST";
  request.target = std::move(target);
  request.body = std::move(body);
  return request;
}

inline BaseUrl urlOf(const Gateway &gateway) {
  return BaseUrl::parse(gateway.url());
}

/// Why `exchange` failed; nothing when it did not.
template <typename Exchange>
std::optional<ClientError> failureOf(Exchange &&exchange) {
  try {
    exchange();
  } catch (const ClientError &error) {
    return error;
  }
  return std::nullopt;
}

inline Gateway::Serve says(std::string bytes) {
  return [bytes = std::move(bytes)](const Peer &peer) { peer.say(bytes); };
}

} // namespace matrixos::http::test
