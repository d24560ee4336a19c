#pragma once

#include "../edge/AnswerReader.h"
#include "../edge/Net.h"

#include <http/engine/Tls.h>
#include <http/engine/TlsPeer.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace bench {

/// Whom the load asks.
struct Target {
  std::uint16_t port = 0;
  std::shared_ptr<matrixos::http::TlsPeer> tls; ///< null: in clear
};

/// One kept connection that asks the same thing again and again. Never blocks; the poller's events come here.
class Client {
public:
  using Clock = std::chrono::steady_clock;
  enum class Turn { Waits, Started, Done, Failed };

  Client(Poller &poller, const Target &target, std::string_view request);
  ~Client();

  /// The poller has seen something; go() follows until it waits.
  void onEvent() noexcept;
  /// Something may go on. Started: the first event of a stream is here, once for each answer; Done: the answer is
  /// whole, and the next request has to be asked for.
  Turn go();
  /// Sends the request once more.
  void ask();
  Clock::time_point asked() const noexcept { return asked_; }

private:
  bool shakeHands();
  bool send();
  Turn receive();
  /// Bytes read, 0: none now, -1: the connection has ended.
  ssize_t read(char *to, std::size_t size);

  Poller &poller_;
  int fd_;
  std::unique_ptr<matrixos::http::TlsStream> tls_;
  bool ready_ = false; // its handshake is done
  const std::string_view request_;
  std::string_view out_;
  bool writing_ = true;
  bool started_ = false;
  AnswerReader answer_;
  Clock::time_point asked_;
};

} // namespace bench
