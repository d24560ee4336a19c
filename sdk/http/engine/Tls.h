/// http/engine/Tls.h: TLS by OpenSSL: a certificate for client connections, and one encrypted connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

struct ssl_ctx_st;
struct bio_st;
struct ssl_st;

namespace matrixos::http {

/// A certificate with its key, read from PEM files. Thread-safe.
class TlsContext {
public:
  /// Reads both. Throws matrixos::Error that names the file and the reason.
  TlsContext(std::string certificateFile, std::string keyFile);

  /// Reads the files anew when they have changed, for the connections that come from now on: true when it did. When it
  /// throws, all is as before, and the next call tries again. One thread at a time.
  bool refresh();

  /// When the certificate in use expires, in seconds since the epoch.
  std::int64_t expiresAt() const;

  const std::string &certificateFile() const noexcept { return certificateFile_; }
  const std::string &keyFile() const noexcept { return keyFile_; }

private:
  friend class TlsStream;
  using Stamp = std::pair<std::filesystem::file_time_type, std::filesystem::file_time_type>;
  Stamp stamp() const noexcept;
  void load();
  std::shared_ptr<ssl_ctx_st> current() const;

  const std::string certificateFile_;
  const std::string keyFile_;
  Stamp loaded_;
  mutable std::mutex mutex_;
  std::shared_ptr<ssl_ctx_st> context_;
};

class TlsPeer;

/// Our side of one encrypted connection. It does not own the descriptor, and never blocks. Whoever has it waits for
/// events of the descriptor, and calls arrived() at each.
class TlsStream {
public:
  enum class Result { Bytes, WantMore, End, Failed };

  /// As the server. Throws matrixos::Error when there is no memory for it.
  TlsStream(const TlsContext &context, int fd);
  /// As the client, of that server and no other. Throws likewise.
  TlsStream(std::shared_ptr<TlsPeer> peer, int fd);
  ~TlsStream();
  TlsStream(const TlsStream &) = delete;
  TlsStream &operator=(const TlsStream &) = delete;

  /// A client begins with it, before anything else. Bytes: it is complete, and the server has proven its name. Failed:
  /// failure() says why.
  Result handshake() noexcept;
  /// Static text.
  const char *failure() const noexcept { return failure_; }
  /// A server's handshake happens in the first calls. WantMore: try again after the next event of the descriptor,
  /// whichever.
  Result read(char *to, std::size_t size, std::size_t &got) noexcept;
  /// The next read gives nothing, unless something arrives.
  bool exhausted() const noexcept;
  Result write(const char *from, std::size_t size, std::size_t &put) noexcept;
  /// Bytes may have come, or the end of them: before that the kernel is not asked again for what it did not have.
  void arrived(bool end) noexcept {
    drained_ = false;
    ended_ = ended_ || end;
  }
  /// Tells the peer that nothing follows.
  void finish() noexcept;
  bool established() const noexcept;

private:
  Result resultOf(int code) noexcept;
  const char *reasonOf(int code) const noexcept;
  void attach(int fd);
  static long onRead(bio_st *bio, int step, const char *to, std::size_t room, int, long, int result,
                     std::size_t *got) noexcept;
  std::shared_ptr<TlsPeer> peer_; // of a client; a session may reach it as long as ssl_ lives
  ssl_st *ssl_;
  const char *failure_ = "";
  bool drained_ = false; // the kernel has had no more
  bool ended_ = false;
};

} // namespace matrixos::http
