/// http/engine/Connector.h: finds a connection for a request; internal.
#pragma once

#include "HostName.h"
#include "Socket.h"
#include "Upstream.h"
#include "UpstreamPool.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace matrixos::http {

class ClientConnection;
class Forward;

/// Goes through the candidates of an upstream, and through the addresses of those that have a name, until one gives a
/// connection: a pooled one or a new one, with TLS where that is asked for. Each attempt gets its own time.
class Connector final : public SocketEvents {
public:
  Connector(ClientConnection &client, Forward &forward) noexcept : client_(client), forward_(forward) {}
  ~Connector() { cancel(); }
  Connector(const Connector &) = delete;
  Connector &operator=(const Connector &) = delete;

  /// Forward::onConnected or onConnectFailed follows, perhaps from inside. The upstream outlives that. `mayReuse`: for
  /// a request that can be sent again, should its connection close just as it is used once more.
  void begin(const Upstream &upstream, bool mayReuse);
  /// The same place again, and those behind it, on new connections.
  void again() {
    mayReuse_ = false;
    tryNext(ForwardFailure::Unreachable, "");
  }
  /// The attempt took too long: the next one.
  void onDeadline();
  void cancel() noexcept;

  const Upstream::Candidate &candidate() const noexcept { return upstream_->candidates[candidate_]; }
  /// Of the connection that was found.
  PoolKey poolKey() const noexcept;

  void onReadable() override;
  void onWritable() override;

private:
  /// A question whose answer finds nobody when it comes too late.
  struct Wait {
    Connector *connector;
  };

  void tryNext(ForwardFailure failure, const char *reason);
  bool tryThis();
  void waitForName(HostName &host);
  void onName(HostName::Answer answer);
  void connected();
  void shakeHands();
  bool decides(bool refused) const noexcept;
  void failThis(ForwardFailure failure, const char *reason, bool refused = false);
  void skip() noexcept;

  ClientConnection &client_;
  Forward &forward_;
  const Upstream *upstream_ = nullptr;
  std::shared_ptr<Socket> socket_; // while it is being connected
  HostName::Answer host_;          // of the present candidate, if that has a name
  std::shared_ptr<Wait> wait_;
  std::uint32_t candidate_ = 0;
  std::uint32_t place_ = 0; // in host_
  bool mayReuse_ = false;
};

} // namespace matrixos::http
