/// Visitor.h: a client that asks many instances over kept connections and believes no answer.
#pragma once

#include <support/HttpClient.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace matrixos::test {

/// What all visitors of a test saw. Thread-safe.
struct Visits {
  std::atomic<std::size_t> whole{0};       ///< complete answers of an instance, each the one to its request
  std::atomic<std::size_t> frames{0};      ///< of WebSockets, the same
  std::atomic<std::size_t> unavailable{0}; ///< 502, 503, 504
  std::atomic<std::size_t> broken{0};      ///< connections that ended inside an answer, or before it
  std::atomic<std::size_t> gone{0};        ///< 404
  std::atomic<std::size_t> wrong{0};
  bool mayBeGone = false; ///< 404 is right, too: instances are deleted. Set before the first visit

  void complain(const std::string &what);
  /// An answer of this life of that instance came.
  void noteBoot(const std::string &boot);
  std::size_t boots() const;
  /// "", or the first complaint.
  std::string firstComplaint() const;

private:
  mutable std::mutex mutex_;
  std::string first_;
  std::set<std::string> boots_;
};

/// One client on a thread of its own: requests of all kinds, each for an instance picked at random, many over one
/// connection, by host name and by path, now and then two in a row, WebSockets, and visits that are given up halfway.
class Visitor {
public:
  Visitor(std::uint16_t port, std::vector<std::string> handles, unsigned seed, Visits &visits);

  /// One visit, whatever comes of it.
  void visit();

private:
  struct Request {
    std::string text;
    std::string handle;
    std::string stamp; ///< of the answer, and each line of its body
    std::size_t lines = 1;
  };
  Request make();
  void exchange(const std::vector<Request> &requests);
  bool takeRefusal(int status);
  bool check(const Request &request, const Response &response);
  void webSocket();
  void giveUp();
  std::size_t pick(std::size_t below) { return static_cast<std::size_t>(random_() % below); }
  std::string nonce();

  const std::uint16_t port_;
  const std::vector<std::string> handles_;
  const unsigned seed_;
  Visits &visits_;
  std::mt19937_64 random_;
  std::uint64_t requests_ = 0;
  std::unique_ptr<RawConnection> connection_;
};

/// So many visitors go on until at least that many visits have been made and `meanwhile`, which is called again and
/// again, says false; or until one of them complains. What `meanwhile` throws is a complaint.
void talk(std::uint16_t port, const std::vector<std::string> &handles, unsigned visitors, Visits &visits,
          std::size_t least, const std::function<bool()> &meanwhile);

} // namespace matrixos::test
