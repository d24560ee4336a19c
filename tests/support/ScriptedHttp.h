#pragma once

#include "support/ScriptedServer.h"

#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::test {

/// An HTTP server on a loopback port of its own that reads one request on each connection, keeps it, and does to it
/// what the test says.
class ScriptedHttp {
public:
  using Serve = ScriptedServer::Script;

  explicit ScriptedHttp(Serve serve)
      : server_([this, serve = std::move(serve)](const Peer &peer) {
          std::string request = peer.readRequest();
          {
            const std::lock_guard lock(mutex_);
            requests_.push_back(std::move(request));
          }
          serve(peer);
        }) {
    server_.listen();
  }

  std::uint16_t port() const noexcept { return server_.port(); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
  /// Whole, in the order in which they came.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

private:
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  ScriptedServer server_; // last: its threads end first
};

} // namespace matrixos::test
