/// http/engine/HostName.h: an upstream that is known by its name.
#pragma once

#include "Resolver.h"

#include <matrixos/address.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::http {

/// What a name stands for now. Immutable.
struct HostAnswer {
  struct Place {
    Address address;
    /// Stays as long as the address stays among the answers, and is never given to another one: names its connections
    /// in the pool.
    std::uint64_t id = 0;
  };
  std::vector<Place> places; ///< to be tried in this order; none: the name is not known
  const char *failure = "";  ///< why not; static text
};

/// A host name with a port, and the addresses that were last found for it. They count for as long as the answer says,
/// but for a second at least and an hour at most. A name in use is asked for again before its answer lapses, without
/// anybody having to wait. When that fails, or takes long, the last good answer goes on counting for up to an hour
/// (RFC 8767), unless the failure is a definite one. A failure counts for five seconds. [any-thread]
class HostName : public std::enable_shared_from_this<HostName> {
public:
  using Answer = std::shared_ptr<const HostAnswer>;
  using Then = std::function<void(const Answer &)>;
  /// Milliseconds that never go back.
  using Clock = std::function<std::int64_t()>;

  /// "api.example.com:443" or "[::1]:80", for which nobody is asked. Throws matrixos::Error(InvalidArgument). An empty
  /// clock: the machine's.
  static std::shared_ptr<HostName> parse(std::string_view text, std::shared_ptr<Resolver> resolver, Clock clock = {});

  const std::string &name() const noexcept { return name_; }
  std::uint16_t port() const noexcept { return port_; }

  /// What can be used now; null: wait() for it.
  Answer find();
  /// `then` is called once, from whichever thread, as soon as the question has been answered or has failed.
  void wait(Then then);
  /// For who waited too long: the last good answer, or a failure.
  Answer settle();

private:
  HostName(std::string name, std::uint16_t port, std::shared_ptr<Resolver> resolver, Clock clock);

  bool isAsking(std::int64_t now) const noexcept;
  Answer lastGood(std::int64_t now) const noexcept;
  void ask();
  void answered(const Resolution &resolution);
  void accept(const Resolution &resolution, std::int64_t now);

  const std::string name_;
  const std::uint16_t port_;
  const std::shared_ptr<Resolver> resolver_;
  const Clock clock_;

  std::mutex mutex_;
  Answer answer_; // the last good one
  std::int64_t refreshAt_ = 0;
  std::int64_t freshUntil_ = 0;
  std::int64_t askedAt_ = 0; // the question that has not been answered yet; 0: none
  std::int64_t retryAt_ = 0; // nobody is asked before, since that has just failed
  const char *failure_ = "";
  std::vector<Then> waiting_;
};

} // namespace matrixos::http
