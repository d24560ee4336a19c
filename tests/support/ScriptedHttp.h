#pragma once

#include "support/ScriptedServer.h"

#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::test {

/// An HTTP server that reads the first request of each connection, keeps it, and does to it what the test says.
class ScriptedHttp {
public:
  using Serve = ScriptedServer::Script;

  /// On a loopback port of its own.
  explicit ScriptedHttp(Serve serve) : server_(keeping(std::move(serve))) { server_.listen(); }
  /// At a unix socket.
  ScriptedHttp(Serve serve, const std::filesystem::path &path) : server_(keeping(std::move(serve)), path) {}

  std::uint16_t port() const noexcept { return server_.port(); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
  /// Whole, in the order in which they came.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return requests_.size();
  }
  /// Empty when there was none.
  std::string last() const {
    const std::lock_guard lock(mutex_);
    return requests_.empty() ? std::string() : requests_.back();
  }

private:
  Serve keeping(Serve serve) {
    return [this, serve = std::move(serve)](const Peer &peer) {
      std::string request = peer.readRequest();
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(std::move(request));
      }
      serve(peer);
    };
  }

  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  ScriptedServer server_; // last: its threads end first
};

} // namespace matrixos::test
