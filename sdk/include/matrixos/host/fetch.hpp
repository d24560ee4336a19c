/// matrixos/host/fetch.hpp: HTTP as a client, abi/host.h mos_host_fetch_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

using FetchHeaders = std::vector<std::pair<std::string, std::string>>;

/// What to ask for, within which limits.
struct FetchRequest {
  std::string url;
  std::string method = "GET";
  FetchHeaders headers{};
  std::string body{};
  /// Redirects to follow, at most MOS_FETCH_MOST_REDIRECTS; see mos_fetch_request.
  std::uint32_t maxRedirects = 0;
  /// In bytes. A stream has none unless you set it.
  std::optional<std::uint64_t> maxBody{};
  /// For all of it. A stream has none unless you set it, but for that of its call.
  std::optional<std::chrono::milliseconds> timeout{};
  /// Longest time without a byte of the answer.
  std::chrono::milliseconds maxSilence{60'000};
  /// PEM file with authorities to trust beside the system's.
  std::string caFile{};
  /// Also addresses that are not of the public internet. For servers that your operator names, never for URLs that come
  /// from tenants.
  bool allowPrivate = false;
};

/// A complete answer, whatever its status.
struct FetchAnswer {
  std::uint32_t status = 0;
  FetchHeaders headers;
  std::string body; ///< empty when it was streamed

  bool isSuccess() const noexcept { return status >= 200 && status < 300; }
  /// The first of that name, in any case.
  std::optional<std::string_view> header(std::string_view name) const {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (const auto &[key, value] : headers) {
      const bool same = std::equal(key.begin(), key.end(), name.begin(), name.end(),
                                   [&](char a, char b) { return lower(a) == lower(b); });
      if (same) return value;
    }
    return std::nullopt;
  }
};

/// The plugin's HTTP client. Calls block, on any thread where that is allowed; each failure to get a complete answer is
/// an Error with the reasons of mos_host_fetch_v1. A `call` that ends, ends the fetch; it may be null.
class Fetch {
public:
  /// Takes the head of an answer, borrowed for the call; false ends the exchange.
  using HeadFn = std::function<bool(const FetchAnswer &head)>;
  /// Takes a piece of the body; false ends the exchange.
  using BytesFn = std::function<bool(std::string_view bytes)>;

  explicit Fetch(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_fetch_v1>(host, MOS_HOST_FETCH_1)) {}

  FetchAnswer send(const FetchRequest &request, const mos_call *call = nullptr) const {
    Exchange exchange;
    exchange.run(table_, request, call, 0, 0);
    return std::move(exchange.answer);
  }

  /// Hands over head and body as they come; `head` may be null. What they throw ends the exchange and is thrown on.
  FetchAnswer stream(const FetchRequest &request, const HeadFn &head, const BytesFn &bytes,
                     const mos_call *call = nullptr) const {
    Exchange exchange;
    exchange.head = head ? &head : nullptr;
    exchange.bytes = &bytes;
    exchange.run(table_, request, call, MOS_FETCH_NO_LIMIT, -1);
    return std::move(exchange.answer);
  }

private:
  struct Exchange {
    FetchAnswer answer;
    const HeadFn *head = nullptr;
    const BytesFn *bytes = nullptr;
    std::exception_ptr failure;

    void run(const mos_host_fetch_v1 *table, const FetchRequest &from, const mos_call *call, std::uint64_t maxBody,
             std::int64_t timeout) {
      std::vector<mos_pair> fields;
      for (const auto &[name, value] : from.headers)
        fields.push_back({toAbi(name), toAbi(value)});
      mos_fetch_request request{};
      request.struct_size = sizeof request;
      request.flags = from.allowPrivate ? MOS_FETCH_PRIVATE : 0;
      request.url = toAbi(from.url);
      request.method = toAbi(from.method);
      request.headers = fields.data();
      request.headers_count = static_cast<std::uint32_t>(fields.size());
      request.max_redirects = from.maxRedirects;
      request.body = toAbi(from.body);
      request.max_body = from.maxBody.value_or(maxBody);
      request.timeout_ms = from.timeout ? from.timeout->count() : timeout;
      request.silence_ms = from.maxSilence.count();
      request.ca_file = toAbi(from.caFile);
      check([&](mos_error *e) { return table->fetch(table->self, call, &request, sink(), e); });
      if (failure) std::rethrow_exception(failure);
    }

    mos_fetch_sink sink() {
      return {this,
              [](void *ctx, std::uint32_t status, const mos_pair *fields, std::uint32_t count) -> std::int32_t {
                auto *self = static_cast<Exchange *>(ctx);
                return self->guard([&] {
                  self->answer.status = status;
                  for (std::uint32_t i = 0; i < count; ++i)
                    self->answer.headers.emplace_back(fromAbi(fields[i].key), fromAbi(fields[i].value));
                  return self->head == nullptr || (*self->head)(self->answer);
                });
              },
              [](void *ctx, mos_str part) -> std::int32_t {
                auto *self = static_cast<Exchange *>(ctx);
                return self->guard([&] {
                  if (self->bytes != nullptr) return (*self->bytes)(fromAbi(part));
                  self->answer.body += fromAbi(part);
                  return true;
                });
              }};
    }

    template <typename Body>
    std::int32_t guard(Body &&body) noexcept {
      try {
        return body() ? MOS_SINK_CONTINUE : MOS_SINK_STOP;
      } catch (...) {
        failure = std::current_exception();
        return MOS_SINK_STOP;
      }
    }
  };

  const mos_host_fetch_v1 *table_;
};

} // namespace v1
} // namespace matrixos
