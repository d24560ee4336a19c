#pragma once

#include "support/MockIssuer.h"
#include "support/ScriptedServer.h"

#include <matrixos/text/time.hpp>

#include <functional>
#include <memory>
#include <string>

namespace matrixos::test {

/// A MockIssuer at a loopback port of its own.
class ServedIssuer {
public:
  /// What a connection is answered instead; false leaves it to the issuer.
  using Script = std::function<bool(const Peer &peer, const std::string &path)>;

  ServedIssuer()
      : issuer(*(owned_ = std::make_unique<MockIssuer>("http://127.0.0.1:" + std::to_string(server_.port())))) {
    issuer.now = wallClockMs() / 1000;
    server_.listen();
  }

  /// Has the first word on each request.
  Script script = [](const Peer &, const std::string &) { return false; };

private:
  /// A connection has one request. Those that have none come from strangers who try a port that was theirs.
  void serve(const Peer &peer) {
    const std::string text = peer.readRequest();
    const std::size_t blank = text.find(' '), body = text.find("\r\n\r\n");
    if (body == std::string::npos) return;
    const std::string path = text.substr(blank + 1, text.find(' ', blank + 1) - blank - 1);
    if (script(peer, path)) return;
    FetchRequest request;
    request.method = text.substr(0, blank);
    request.url = issuer.name() + path;
    request.body = text.substr(body + 4);
    for (std::size_t at = text.find("\r\n") + 2; at < body;) {
      const std::size_t end = text.find("\r\n", at), colon = text.find(": ", at);
      request.headers.emplace_back(text.substr(at, colon - at), text.substr(colon + 2, end - colon - 2));
      at = end + 2;
    }
    const FetchAnswer answer = issuer.answer(request);
    peer.say("HTTP/1.1 " + std::to_string(answer.status) + " X\r\nContent-Type: application/json\r\nContent-Length: " +
             std::to_string(answer.body.size()) + "\r\nConnection: close\r\n\r\n" + answer.body);
  }

  std::unique_ptr<MockIssuer> owned_; // before the server, whose threads end first
  ScriptedServer server_{[this](const Peer &peer) { serve(peer); }};

public:
  MockIssuer &issuer;
};

} // namespace matrixos::test
