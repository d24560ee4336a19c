/// http/engine/Pump.h: moves one body from one socket to another.
#pragma once

#include "Buffer.h"
#include "Socket.h"

#include <http/codec/BodyDecoder.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace matrixos::http {

class Pump;

enum class PumpFailure : std::uint8_t { SourceEnded, SourceFailed, BadFraming, TooLarge, DestinationFailed };

/// Is told what a pump does. In onPumpDone and onPumpFailed the pump has let go of everything and may be started anew.
class PumpOwner {
public:
  /// Bytes were read or written.
  virtual void onPumpProgress() = 0;
  /// Payload that is about to be written. Returns what is written in its place, which stays valid until the next call.
  /// `last`: nothing follows. The owner may stop the pump here.
  virtual std::string_view onPumpBytes(Pump &pump, std::string_view payload, bool last) = 0;
  virtual void onPumpDone(Pump &pump) = 0;
  virtual void onPumpFailed(Pump &pump, PumpFailure failure) = 0;

protected:
  ~PumpOwner() = default;
};

/// Reads, takes the framing off, puts the other side's framing on, writes; a head that stands ahead of the body goes
/// out in the same write. It reads only once everything before has been written, so a slow reader slows its sender
/// and one block per direction is all that is ever held.
class Pump {
public:
  explicit Pump(PumpOwner &owner) noexcept : owner_(owner) {}

  /// Text to send ahead of the body. Add to it before start(), or between, for 1xx heads, followed by run().
  std::string &ahead() noexcept { return prefix_; }
  /// Text to send behind the payload that has been handed over; run() follows, unless this is said in onPumpBytes.
  void append(std::string_view text) {
    suffix_ += text;
    writing_ = true;
  }
  /// Where to write to; needed before the first run().
  void setDestination(Socket &to) noexcept { to_ = &to; }

  struct Route {
    Socket &from;
    Buffer &buffer; ///< may hold the body's first bytes already
    Socket &to;
    BodyFraming framing;
    bool chunkedOut = false;
    bool trailersOut = false;
    bool endShown = false;           ///< onPumpBytes is called also for an end without payload, unless there is no body
    std::uint64_t most = UINT64_MAX; ///< payload
  };
  void start(const Route &route);
  /// Goes on as far as possible. The owner may be called from inside, as the last thing it does.
  void run();
  void stop() noexcept;
  /// In onPumpBytes: the body ends behind what that returns.
  void end() noexcept { last_ = true; }
  /// Stops; somebody else reads on where it stood.
  BodyDecoder handOver() noexcept {
    stop();
    return std::move(decoder_);
  }
  /// Gives back the memory of texts that have been sent, before it is idle for long.
  void settle() noexcept {
    if (prefix_.empty()) release(prefix_);
  }

  /// Payload that was taken from the source.
  std::uint64_t passed() const noexcept { return passed_; }
  bool started() const noexcept { return from_ != nullptr; }
  /// Something waits for the destination.
  bool writing() const noexcept { return writing_ || !prefix_.empty(); }

private:
  enum class Flush : std::uint8_t { Done, Blocked, Failed };

  Flush flush() noexcept;
  void decode();
  bool fill();
  void take(std::string_view payload, bool last);
  void finishBody();
  void fail(PumpFailure failure);

  PumpOwner &owner_;
  Socket *from_ = nullptr;
  Socket *to_ = nullptr;
  Buffer *buffer_ = nullptr;
  BodyDecoder decoder_;
  std::string prefix_;
  std::string suffix_;
  std::uint64_t passed_ = 0;
  std::uint64_t most_ = UINT64_MAX;
  std::size_t written_ = 0;  // of prefix, payload and suffix together
  std::string_view payload_; // at the start of the buffer's window, or the owner's
  std::size_t consumed_ = 0; // wire bytes that it came in
  bool chunkedOut_ = false;
  bool trailersOut_ = false;
  bool endShown_ = false;
  bool writing_ = false;
  bool last_ = false;
};

} // namespace matrixos::http
