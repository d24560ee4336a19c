#pragma once

#include <matrixos/abi/host.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::test {

/// What a route answered.
struct Answer {
  std::uint32_t status = 0;
  std::string body;
  bool given = false;
};

/// The HTTP of a FakeHost: keeps the plugin's routes and sends them what a test asks. Whole answers only. Any thread.
class FakeHttp {
public:
  FakeHttp();
  FakeHttp(const FakeHttp &) = delete;
  FakeHttp &operator=(const FakeHttp &) = delete;

  const mos_host_http_v1 *table() const noexcept { return &table_; }

  /// Calls the route's handler and does not wait for its answer. Throws Error(NotFound) when no route fits.
  std::uint64_t send(const std::string &method, const std::string &path, const std::string &body);
  /// Waits up to 30 seconds for the answer of send().
  Answer answerTo(std::uint64_t exchange);

private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    void *ctx;
    void (*handle)(void *ctx, std::uint64_t exchange);
  };
  using Params = std::map<std::string, std::string, std::less<>>;
  struct Exchange {
    std::string method, path, query, body;
    Params params;
    Answer answer;
  };

  const Route *match(const Exchange &exchange, Params &params) const;
  Exchange &exchange(std::uint64_t id);
  void answer(std::uint64_t id, std::uint32_t status, mos_str body);
  void fillTable();

  mos_host_http_v1 table_{};
  std::mutex mutex_;
  std::condition_variable answered_;
  std::vector<Route> routes_;
  std::map<std::uint64_t, std::unique_ptr<Exchange>> exchanges_;
  std::uint64_t last_ = 0;
};

} // namespace matrixos::test
