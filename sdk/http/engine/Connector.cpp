#include "Connector.h"

#include "ClientConnection.h"
#include "Forward.h"
#include "Loop.h"

#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

namespace matrixos::http {

void Connector::begin(const Upstream &upstream, bool mayReuse) {
  upstream_ = &upstream;
  mayReuse_ = mayReuse;
  candidate_ = place_ = 0;
  host_.reset();
  tryNext(ForwardFailure::Unreachable, "");
}

void Connector::cancel() noexcept {
  if (wait_) std::exchange(wait_, nullptr)->connector = nullptr;
  if (socket_) std::exchange(socket_, nullptr)->close();
}

PoolKey Connector::poolKey() const noexcept {
  const Upstream::Candidate &to = candidate();
  return {to.key, host_ ? host_->places[place_].id : 0, to.tls ? to.tls->id() : 0};
}

/// `failure`: what became of the attempt before, should there be none left.
void Connector::tryNext(ForwardFailure failure, const char *reason) {
  for (; candidate_ < upstream_->candidates.size(); skip()) {
    if (const auto &host = candidate().host) {
      if (!host_) host_ = host->find();
      if (!host_) return waitForName(*host);
      if (host_->places.empty()) {
        failure = ForwardFailure::NameUnknown;
        reason = host_->failure;
        continue;
      }
    }
    if (tryThis()) return;
    failure = ForwardFailure::Unreachable; // refused at once: a UNIX socket nobody listens on, no route
    reason = "";
    if (decides(false)) break;
  }
  forward_.onConnectFailed(failure, reason);
}

/// To the next address of the name, or to the next candidate.
void Connector::skip() noexcept {
  if (host_ && ++place_ < host_->places.size()) return;
  host_.reset();
  place_ = 0;
  ++candidate_;
}

bool Connector::tryThis() {
  Loop &loop = client_.loop();
  if (auto pooled = candidate().key != 0 ? loop.upstreams().take(poolKey()) : nullptr) {
    if (mayReuse_) {
      forward_.onConnected(std::move(pooled), true);
      return true;
    }
    pooled->close(); // the new connection takes its place among the idle ones
  }
  try {
    socket_ = Socket::connect(loop, host_ ? host_->places[place_].address : candidate().address);
  } catch (const std::system_error &) {
    return false;
  }
  socket_->setUser(this);
  socket_->waitWritable();
  forward_.onConnecting();
  return true;
}

void Connector::waitForName(HostName &host) {
  wait_ = std::make_shared<Wait>(Wait{this});
  forward_.onConnecting();
  host.wait([wait = wait_, loop = client_.loop().weak_from_this()](const HostName::Answer &answer) {
    const auto living = loop.lock();
    if (!living) return;
    living->post([wait, answer] {
      if (wait->connector != nullptr) wait->connector->onName(answer);
    });
  });
}

void Connector::onName(HostName::Answer answer) {
  client_.shielded([&] {
    wait_.reset();
    host_ = std::move(answer);
    tryNext(ForwardFailure::Unreachable, "");
  });
}

void Connector::onWritable() {
  client_.shielded([this] {
    const int error = socket_->finishConnect();
    if (error != 0) return failThis(ForwardFailure::Unreachable, "", error == ECONNREFUSED);
    if (!candidate().tls) return connected();
    socket_->startTls(candidate().tls);
    shakeHands();
  });
}

void Connector::shakeHands() {
  const Io io = socket_->handshake();
  if (io.kind == Io::Kind::WouldBlock) return socket_->waitReadable();
  if (io.kind == Io::Kind::Bytes) return connected();
  failThis(ForwardFailure::Untrusted, socket_->tlsFailure());
}

/// Whether no other candidate is to be tried after this one.
bool Connector::decides(bool refused) const noexcept {
  const auto &reached = candidate().reached;
  return reached && (refused || reached->load(std::memory_order_relaxed));
}

void Connector::connected() {
  if (const auto &reached = candidate().reached; reached && !reached->load(std::memory_order_relaxed))
    reached->store(true, std::memory_order_relaxed);
  // A pooled connection is answered by whoever took it; a new one by whoever has the address now.
  const bool current = client_.session().isCurrent(client_, *upstream_);
  if (!socket_) return; // it broke the exchange off
  if (!current) return forward_.onConnectFailed(ForwardFailure::Moved, "");
  forward_.onConnected(std::exchange(socket_, nullptr), false);
}

void Connector::failThis(ForwardFailure failure, const char *reason, bool refused) {
  cancel();
  if (decides(refused)) return forward_.onConnectFailed(failure, reason);
  skip();
  tryNext(failure, reason);
}

void Connector::onDeadline() {
  if (wait_) {
    cancel();
    host_ = candidate().host->settle();
    return tryNext(ForwardFailure::Unreachable, "");
  }
  const bool inHandshake = socket_->isEncrypted();
  failThis(ForwardFailure::ConnectTimeout, inHandshake ? "the upstream stalls inside the TLS handshake" : "");
}

void Connector::onReadable() {
  client_.shielded([this] { shakeHands(); });
}

} // namespace matrixos::http
