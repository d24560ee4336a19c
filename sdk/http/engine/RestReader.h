/// http/engine/RestReader.h: reads the rest of an answer whose client has gone; internal.
#pragma once

#include "BodyObserver.h"
#include "Buffer.h"
#include "Socket.h"
#include "Timers.h"
#include "Upstream.h"
#include "UpstreamPool.h"

#include <http/codec/BodyDecoder.h>
#include <http/codec/ResponseParser.h>

#include <cstdint>
#include <list>
#include <memory>

namespace matrixos::http {

/// Shows an observer what is left of an answer, within its limits, and then gives the connection back to the pool if it
/// is in good order. It holds one block while bytes are there, and none while it waits. Its loop owns it, and destroys
/// it once the stack has unwound.
class RestReader final : public SocketEvents, public Timer {
public:
  /// An answer that a Forward has begun to read, or waits for.
  struct Answer {
    std::shared_ptr<Socket> socket;
    Buffer buffer;       ///< what was read and not shown
    BodyDecoder decoder; ///< of a body that has begun
    PoolKey key;
    std::shared_ptr<const Retirement> retirement; ///< null: its address stays for ever
    bool inBody = false;                          ///< its head has been passed on
    bool toHead = false;                          ///< it answers a HEAD request
    bool reusable = false;                        ///< the connection, as far as it is known
  };

  RestReader(Loop &loop, Answer &&answer, BodyObserver::Rest &&rest) noexcept;

  using Place = std::list<RestReader>::iterator;
  /// Nothing is shown from inside: it is called from the midst of whatever made the client go. `place`: its own, in the
  /// loop's list.
  void start(Place place) noexcept;
  void end(bool complete) noexcept;

  void onReadable() override { run(); }
  void onWritable() override {}
  void onTimer() override;

private:
  void run() noexcept;
  void show();
  bool takeHead();
  bool fill();
  bool isRetired() const noexcept;

  Loop &loop_;
  Answer answer_;
  ResponseParser parser_;
  const std::shared_ptr<BodyObserver> observer_;
  std::uint64_t left_; // bytes that it may still read
  std::int64_t untilMs_;
  Place place_;
  bool ended_ = false;
};

} // namespace matrixos::http
