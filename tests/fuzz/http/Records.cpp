/// TLS as an upstream's client, while somebody changes the bytes between the two.
#include "Checks.h"

#include <http/engine/Tls.h>
#include <http/engine/TlsPeer.h>
#include <sdk/http/Authority.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace matrixos::http::fuzz {

namespace {

constexpr char kMark = '\xff'; // between two steps of the input
constexpr std::size_t kMostSaid = 1U << 16U;

/// Made once: an authority, a server that it vouches for, and who trusts it.
struct Setup {
  Setup() {
    ::signal(SIGPIPE, SIG_IGN); // as the loops have it
    char folder[] = "/tmp/fuzz-tls-XXXXXX";
    if (::mkdtemp(folder) == nullptr) std::abort();
    const std::string file = std::string(folder) + "/ca.pem";
    const stand::Authority authority;
    std::ofstream(file) << authority.pem();
    client = TlsClientContext::create({false, file});
    std::filesystem::remove_all(folder);
    const stand::Certificate certificate = authority.issue();
    server.reset(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    SSL_CTX_use_certificate(server.get(), certificate.shown.get());
    SSL_CTX_use_PrivateKey(server.get(), certificate.key.get());
  }
  std::shared_ptr<TlsClientContext> client;
  std::shared_ptr<SSL_CTX> server;
};

/// The server keeps to the rules; what it writes waits in `wire_` until the script lets it pass, or does not.
class Line {
public:
  Line(const Setup &setup, unsigned variant) : wrongName_((variant & 2U) != 0) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_.data()) != 0) std::abort();
    server_.reset(SSL_new(setup.server.get()), SSL_free);
    const int version = (variant & 1U) != 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    SSL_set_min_proto_version(server_.get(), version);
    SSL_set_max_proto_version(server_.get(), version);
    SSL_set_bio(server_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(server_.get());
    // Nobody keeps the peer, so that each input finds one without sessions.
    client_ = std::make_unique<TlsStream>(setup.client->peer(wrongName_ ? "other.example" : "up.example"), ends_[0]);
  }
  ~Line() {
    client_.reset();
    for (const int fd : ends_)
      if (fd >= 0) ::close(fd);
  }
  Line(const Line &) = delete;
  Line &operator=(const Line &) = delete;

  void step(char op, std::string_view data) {
    const std::size_t count = data.empty() ? wire_.size() : static_cast<unsigned char>(data.front());
    switch (op) {
    case 'p': // some bytes pass, or all
      pass(std::min(count, wire_.size()));
      break;
    case 'x': // one is changed
      if (!wire_.empty() && data.size() > 1) wire_[count % wire_.size()] ^= data[1];
      break;
    case 'd': // some are lost
      wire_.erase(0, std::min(count, wire_.size()));
      break;
    case 'i': // others come in between
      wire_.insert(0, data);
      break;
    case 's': // the server says something
      say(data);
      break;
    case 'k': // and changes its keys, or asks for another handshake
      SSL_version(server_.get()) == TLS1_3_VERSION ? SSL_key_update(server_.get(), SSL_KEY_UPDATE_REQUESTED)
                                                   : SSL_renegotiate(server_.get());
      break;
    case 'z':
      SSL_shutdown(server_.get());
      break;
    case 'c': // the connection ends
      if (ends_[1] >= 0) ::close(std::exchange(ends_[1], -1));
      break;
    default:
      return;
    }
    turn();
  }

  void turn() {
    for (int i = 0; i < 4; ++i) {
      client();
      server();
    }
  }

  void check() const {
    if (said_.compare(0, heard_.size(), heard_) != 0) throw std::logic_error("bytes that the upstream did not say");
    if (wrongName_ && complete_) throw std::logic_error("somebody else was believed");
    if (failed_ && !complete_ && *client_->failure() == '\0') throw std::logic_error("a failure without a reason");
  }

private:
  void client() {
    if (failed_) return;
    client_->arrived(ends_[1] < 0);
    if (!complete_) {
      const TlsStream::Result result = client_->handshake();
      complete_ = result == TlsStream::Result::Bytes;
      failed_ = !complete_ && result != TlsStream::Result::WantMore;
      return;
    }
    std::array<char, 4096> block{};
    std::size_t got = 0;
    const TlsStream::Result result = client_->read(block.data(), block.size(), got);
    if (result == TlsStream::Result::Bytes) heard_.append(block.data(), got);
    failed_ = result == TlsStream::Result::Failed || result == TlsStream::Result::End;
  }

  void server() {
    std::array<char, 4096> block{};
    if (ends_[1] >= 0) {
      for (ssize_t got = 0; (got = ::recv(ends_[1], block.data(), block.size(), 0)) > 0;)
        BIO_write(SSL_get_rbio(server_.get()), block.data(), static_cast<int>(got));
    }
    std::size_t ignored = 0;
    SSL_read_ex(server_.get(), block.data(), block.size(), &ignored); // and with it the handshake
    for (int got = 0; (got = BIO_read(SSL_get_wbio(server_.get()), block.data(), block.size())) > 0;)
      wire_.append(block.data(), static_cast<std::size_t>(got));
  }

  void say(std::string_view data) {
    if (data.empty() || said_.size() > kMostSaid || SSL_is_init_finished(server_.get()) == 0) return;
    std::size_t put = 0;
    if (SSL_write_ex(server_.get(), data.data(), data.size(), &put) == 1) said_.append(data.substr(0, put));
  }

  void pass(std::size_t count) {
    if (ends_[1] >= 0) [[maybe_unused]]
      const ssize_t put = ::send(ends_[1], wire_.data(), count, MSG_NOSIGNAL);
    wire_.erase(0, count);
  }

  const bool wrongName_;
  std::array<int, 2> ends_{};
  std::shared_ptr<SSL> server_;
  std::unique_ptr<TlsStream> client_;
  std::string wire_;
  std::string said_;
  std::string heard_;
  bool complete_ = false;
  bool failed_ = false;
};

} // namespace

void checkRecords(std::string_view input) {
  static const Setup setup;
  const unsigned variant = input.empty() ? 0 : static_cast<unsigned char>(input.front());
  if (!input.empty()) input.remove_prefix(1);
  Line line(setup, variant);
  line.turn();
  while (!input.empty()) {
    const std::size_t mark = input.find(kMark);
    const std::string_view part = input.substr(0, mark);
    input.remove_prefix(mark == std::string_view::npos ? input.size() : mark + 1);
    if (!part.empty()) line.step(part.front(), part.substr(1));
    line.check();
  }
}

} // namespace matrixos::http::fuzz
