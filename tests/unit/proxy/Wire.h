/// One end of a connection under full control: what is sent goes out piece by piece, and the end comes how and when the
/// test wants it. Non-blocking; one thread drives all ends of a test with step().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kit {

/// How an end stops talking.
enum class Cut : std::uint8_t {
  Reset,    ///< RST
  Close,    ///< FIN, and nothing is read any more
  HalfClose ///< FIN, and what comes is read
};
const char *nameOf(Cut cut);

class End {
public:
  explicit End(int fd);
  End(const End &) = delete;
  End &operator=(const End &) = delete;
  ~End() { close(); }
  /// Pieces: the first has `first` bytes, the others `others`. The next one is sent when the other side, which has to
  /// be a socket of this process, has read all before.
  void say(std::string_view text, std::size_t first = SIZE_MAX, std::size_t others = SIZE_MAX);
  /// Once everything has been sent; `patient`: and read by the other side.
  void cutAfter(Cut cut, bool patient);
  /// How much is read with each step; all there is, unless told otherwise.
  void setAppetite(std::size_t bytes) noexcept { appetite_ = bytes; }
  /// Sends, cuts and reads what is possible now.
  void step();
  /// Now.
  void cut(Cut cut);
  void close();

  /// All that came.
  const std::string &heard() const noexcept { return heard_; }
  void forget(std::size_t bytes) { heard_.erase(0, bytes); }
  /// Nothing more will come: the other side closed or reset, or this one did.
  bool over() const noexcept { return fd_ < 0 || ended_; }
  bool wasReset() const noexcept { return reset_; }
  bool isCut() const noexcept { return cutDone_; }
  bool saidAll() const noexcept { return toSay_.empty(); }
  /// The other side has read everything, or is gone.
  bool consumed();
  int fd() const noexcept { return fd_; }

private:
  void speak();
  void listen();
  bool isOtherSide(int fd) const;

  int fd_;
  int otherSide_ = -1;
  std::string toSay_;
  std::size_t said_ = 0; // of it
  std::size_t piece_ = SIZE_MAX;
  std::size_t others_ = SIZE_MAX;
  std::string heard_;
  std::size_t appetite_ = SIZE_MAX;
  Cut cut_ = Cut::Close;
  bool paced_ = false;
  bool cutPending_ = false;
  bool cutDone_ = false;
  bool patient_ = false;
  bool ended_ = false;
  bool reset_ = false;
};

/// Where a message that begins at the start of the text ends; npos: it is not whole. An answer without a framing of its
/// own lasts until the connection's end, and is whole only then.
std::size_t endOfMessage(std::string_view text, bool answer, bool connectionEnded = false);
/// The payload of a whole message.
std::string payloadOf(std::string_view message);

/// Open descriptors of this process.
std::size_t openDescriptors();
/// Bytes that malloc has handed out; 0 in an instrumented build, where it cannot be asked.
std::size_t bytesInUse();

} // namespace kit
