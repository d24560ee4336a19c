/// A client and an instance that play dialogues through a proxy, cut off where the test wants it.
#pragma once

#include "Kit.h"
#include "Wire.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kit {

/// What a client sends at once, and what the instance answers to each of the requests in it. The target of a request is
/// its index and room for the number of the play, such as "/0?000000".
struct Dialogue {
  std::string name;
  std::vector<std::string> requests;
  std::vector<std::string> answers;
  bool mayBeSentTwice = true; ///< idempotent, and without a body
  bool webSocket = false;     ///< frames follow both heads
  bool untilClose = false;    ///< the answer ends with its connection
  bool oldClient = false;     ///< HTTP/1.0

  std::string said() const { return join(requests); }
  std::string answered() const { return join(answers); }
  static std::string join(const std::vector<std::string> &parts) {
    std::string all;
    for (const std::string &part : parts)
      all += part;
    return all;
  }
};

/// What is done to a dialogue. Positions count the bytes of all requests, or of all answers.
struct Fault {
  enum class Kind : std::uint8_t {
    None,
    Client,        ///< the client is cut off after `at` bytes of its requests
    Upstream,      ///< the instance is, after `at` bytes of its answers
    ClientLeaves,  ///< the client is, when the instance has sent `at` bytes of its answers
    ClientPieces,  ///< the client sends `at` bytes, then pieces of `piece` bytes
    UpstreamPieces ///< the instance does
  };
  Kind kind = Kind::None;
  Cut cut = Cut::Reset;
  std::size_t at = 0;
  std::size_t piece = SIZE_MAX;
  bool patient = false; ///< what was sent before the cut has been read
};

/// A connection the proxy made to the instance.
struct Line {
  explicit Line(int fd) : end(fd) {}
  End end;
  bool fresh = true;    ///< has not been used before
  bool spoiled = false; ///< must not be used again
  bool tunnel = false;
};

/// Plays one dialogue after the other, with a fault each, on one thread, and checks what came of it.
class Stage {
public:
  Stage();

  void play(const Dialogue &dialogue, const Fault &fault);
  std::size_t plays() const { return plays_; }
  std::size_t connections() const { return fixture_.proxy->connections(); }
  std::size_t inFlight() { return fixture_.inFlight("alice"); }
  /// Ends the pooled connections.
  void rest();

private:
  bool step();
  bool until(const std::function<bool()> &holds);
  void acceptLines();
  std::string playDigits() const;
  void hear(Line &line);
  void answer(Line &line, std::size_t index);
  void finishLines();
  void clientStep();
  void checkClientCut(std::size_t answers);
  void checkUpstreamCut(std::size_t answers);
  void checkWhole(std::size_t answers);
  std::vector<std::string> takeAnswers();
  bool clientIsDone();
  std::string expectedPayload(std::size_t index) const;
  std::size_t answersStart(std::size_t index) const;

  ProxyFixture fixture_;
  matrixos::test::LoopbackPort listener_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::size_t plays_ = 0;

  // of the present play
  const Dialogue *dialogue_ = nullptr;
  Fault fault_;
  std::unique_ptr<End> client_;
  std::vector<int> arrived_; // whole requests, by their number
  std::string framesHeard_;  // by the instance
  bool cutDone_ = false;
  bool cutLineWasFresh_ = false;
  std::size_t cutIndex_ = 0;
  std::string heldBack_; // of an answer, until the client has left
  Line *heldLine_ = nullptr;
  std::vector<std::string> got_; // whole final answers
  std::size_t interims_ = 0;
  std::string rest_; // what the client got of an answer that is not whole, or of frames
  bool upgraded_ = false;
};

} // namespace kit
