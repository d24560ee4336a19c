#include "Connector.h"

#include "ClientConnection.h"
#include "Forward.h"
#include "Loop.h"

#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

namespace matrixos::http {

void Connector::begin(const Upstream &upstream) {
  upstream_ = &upstream;
  candidate_ = place_ = 0;
  host_.reset();
  tryNext(true, ForwardFailure::Unreachable, "");
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
void Connector::tryNext(bool fromPool, ForwardFailure failure, const char *reason) {
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
    if (tryThis(fromPool)) return;
    failure = ForwardFailure::Unreachable; // refused at once: a UNIX socket nobody listens on, no route
    reason = "";
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

bool Connector::tryThis(bool fromPool) {
  Loop &loop = client_.loop();
  if (fromPool && candidate().key != 0) {
    if (auto pooled = loop.upstreams().take(poolKey())) {
      forward_.onConnected(std::move(pooled), true);
      return true;
    }
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
    tryNext(true, ForwardFailure::Unreachable, "");
  });
}

void Connector::onWritable() {
  client_.shielded([this] {
    const int error = socket_->finishConnect();
    if (error == ECONNREFUSED && candidate().decides) {
      cancel();
      return forward_.onConnectFailed(ForwardFailure::Unreachable, "");
    }
    if (error != 0) return failThis(ForwardFailure::Unreachable, "");
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

void Connector::connected() {
  // A pooled connection is answered by whoever took it; a new one by whoever has the address now.
  if (!client_.session().isCurrent(client_, *upstream_)) return forward_.onConnectFailed(ForwardFailure::Moved, "");
  forward_.onConnected(std::exchange(socket_, nullptr), false);
}

void Connector::failThis(ForwardFailure failure, const char *reason) {
  cancel();
  skip();
  tryNext(true, failure, reason);
}

void Connector::onDeadline() {
  if (wait_) {
    cancel();
    host_ = candidate().host->settle();
    return tryNext(true, ForwardFailure::Unreachable, "");
  }
  const bool inHandshake = socket_->isEncrypted();
  failThis(ForwardFailure::ConnectTimeout, inHandshake ? "the upstream stalls inside the TLS handshake" : "");
}

void Connector::onReadable() {
  client_.shielded([this] { shakeHands(); });
}

} // namespace matrixos::http
