#pragma once

#include <matrixos/abi/host.h>

#include <http/client/HttpClient.h>
#include <http/client/Url.h>

#include <atomic>
#include <functional>

namespace matrixos::plugin {

/// The HTTP client of one life of one plugin: mos_host_fetch_v1. Any thread.
class Fetcher {
public:
  /// Told of each fetch that began, with what became of it: "2xx", "4xx", "failed". Must not
  /// throw.
  using Observer = std::function<void(const char *result)>;

  explicit Fetcher(Observer observer);

  /// Throws Error as mos_host_fetch_v1.fetch fails.
  void fetch(const mos_call *call, const mos_fetch_request &request, const mos_fetch_sink &sink);
  /// Ends what is under way, and refuses what comes.
  void close() noexcept { client_.shutdown(); }

private:
  class Exchange;

  const Observer observer_;
  http::HttpClient client_;
  std::atomic<unsigned> running_{0};
};

} // namespace matrixos::plugin
