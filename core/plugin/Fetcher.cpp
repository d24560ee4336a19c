#include "plugin/Fetcher.h"

#include <matrixos/call.hpp>
#include <matrixos/header_fields.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

namespace matrixos::plugin {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kKeptConnections = 8;
constexpr std::uint64_t kMaxBody = 1U << 20U;
constexpr milliseconds kTimeout{30'000};
constexpr milliseconds kSilence{60'000};

/// The request as this host knows it; what its maker does not have stays 0.
mos_fetch_request whole(const mos_fetch_request &given) {
  mos_fetch_request request{};
  std::memcpy(&request, &given, std::min<std::size_t>(given.struct_size, sizeof request));
  return request;
}

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view other) { return detail::isSameField(name, other); });
}

[[noreturn]] void refuseRedirect(const std::string &why) {
  throw Error(Status::FailedPrecondition, "it redirects " + why + ", which is not followed", "FETCH_REDIRECT");
}

bool isRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

const char *classOf(int status) {
  constexpr std::array<const char *, 6> kClasses{"failed", "1xx", "2xx", "3xx", "4xx", "5xx"};
  const auto index = static_cast<std::size_t>(status / 100);
  return index < kClasses.size() ? kClasses[index] : kClasses[0];
}

} // namespace

/// One fetch, with the redirects that it follows.
class Fetcher::Exchange {
public:
  Exchange(http::HttpClient &client, const mos_fetch_request &request, const mos_fetch_sink &sink)
      : client_(client), sink_(sink), url_(http::Url::parse(fromAbi(request.url))),
        redirects_(std::min<std::uint32_t>(request.max_redirects, MOS_FETCH_MOST_REDIRECTS)),
        maxBody_(request.max_body != 0 ? request.max_body : kMaxBody) {
    out_.method = request.method.len == 0 ? "GET" : std::string(fromAbi(request.method));
    for (std::uint32_t i = 0; i < request.headers_count; ++i) {
      out_.fields.push_back(
          {std::string(fromAbi(request.headers[i].key)), std::string(fromAbi(request.headers[i].value))});
      // Whom a request reaches is what its URL says.
      if (isOneOf(out_.fields.back().name, {"host"}))
        throw Error(Status::InvalidArgument, "the Host field is made of the URL", "BAD_REQUEST");
    }
    out_.body = fromAbi(request.body);
    out_.onlyPublic = (request.flags & MOS_FETCH_PRIVATE) == 0;
    out_.moreRootsFile = fromAbi(request.ca_file);
    out_.timeout = request.timeout_ms == 0 ? kTimeout : milliseconds{std::max<std::int64_t>(request.timeout_ms, 0)};
    out_.maxSilence = request.silence_ms > 0 ? milliseconds{request.silence_ms} : kSilence;
  }

  /// The status of the last answer.
  int run(const Call &call) {
    const auto end = std::chrono::steady_clock::now() + out_.timeout;
    while (follow(call)) {
      if (out_.timeout.count() == 0) continue;
      // All of them share the time.
      const auto left = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
      out_.timeout = std::max(left, milliseconds{1});
    }
    return status_;
  }

private:
  /// True when the answer says to go on elsewhere.
  bool follow(const Call &call) {
    out_.target = url_.target;
    std::optional<http::Url> next;
    client_.receive(
        call, http::BaseUrl::parse(url_.origin), out_,
        [&](const http::ClientResponse &head) {
          status_ = head.status;
          next = redirectOf(head);
          return !next && passHead(head);
        },
        [&](std::string_view bytes) { return passBody(bytes); });
    if (!next) return false;
    goTo(std::move(*next));
    return true;
  }

  std::optional<http::Url> redirectOf(const http::ClientResponse &head) const {
    const auto location = head.find("Location");
    if (redirects_ == 0 || !isRedirect(head.status) || !location) return std::nullopt;
    if (followed_ == redirects_) refuseRedirect("more than " + std::to_string(redirects_) + " times");
    try {
      http::Url next = url_.resolve(*location);
      if (url_.isTls() && !next.isTls()) refuseRedirect("from https to http");
      return next;
    } catch (const Error &e) {
      if (e.reason() != "BAD_URL") throw;
      refuseRedirect("to what is no URL of http or https without credentials");
    }
  }

  void goTo(http::Url next) {
    ++followed_;
    const bool elsewhere = next.origin != url_.origin;
    const bool asGet = (status_ == 303 && out_.method != "HEAD") ||
                       ((status_ == 301 || status_ == 302) && out_.method == "POST"); // RFC 9110 §15.4
    if (elsewhere && !asGet && !out_.body.empty()) refuseRedirect("a body to another origin");
    if (asGet) {
      out_.method = "GET";
      out_.body.clear();
    }
    std::erase_if(out_.fields, [&](const http::ClientField &field) {
      return (elsewhere && isOneOf(field.name, {"authorization", "cookie", "proxy-authorization", "x-api-key"})) ||
             (asGet &&
              isOneOf(field.name, {"content-type", "content-encoding", "content-language", "content-location"}));
    });
    url_ = std::move(next);
  }

  bool passHead(const http::ClientResponse &head) const {
    if (sink_.head == nullptr) return true;
    std::vector<mos_pair> fields;
    fields.reserve(head.fields.size());
    for (const http::ClientField &field : head.fields)
      fields.push_back({toAbi(field.name), toAbi(field.value)});
    return sink_.head(sink_.ctx, static_cast<std::uint32_t>(head.status), fields.data(),
                      static_cast<std::uint32_t>(fields.size())) != MOS_SINK_STOP;
  }

  bool passBody(std::string_view bytes) {
    received_ += bytes.size();
    if (received_ > maxBody_)
      throw Error(Status::ResourceExhausted, "its answer is longer than " + std::to_string(maxBody_) + " bytes",
                  "TOO_LARGE");
    return sink_.body == nullptr || sink_.body(sink_.ctx, toAbi(bytes)) != MOS_SINK_STOP;
  }

  http::HttpClient &client_;
  const mos_fetch_sink &sink_;
  http::Url url_;
  const std::uint32_t redirects_;
  const std::uint64_t maxBody_;
  http::ClientRequest out_;
  std::uint32_t followed_ = 0;
  std::uint64_t received_ = 0;
  int status_ = 0;
};

Fetcher::Fetcher(Observer observer) : observer_(std::move(observer)), client_({kKeptConnections, {}}) {}

void Fetcher::fetch(const mos_call *call, const mos_fetch_request &given, const mos_fetch_sink &sink) {
  struct Place {
    explicit Place(std::atomic<unsigned> &running) : count(running), taken(running.fetch_add(1) < MOS_FETCH_AT_ONCE) {}
    ~Place() { count.fetch_sub(1); }
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;
    std::atomic<unsigned> &count;
    const bool taken;
  };
  const Place place(running_);
  if (!place.taken)
    throw Error(Status::ResourceExhausted,
                "the plugin fetches " + std::to_string(MOS_FETCH_AT_ONCE) + " things at once already", "FETCH_BUSY");
  Exchange exchange(client_, whole(given), sink);
  int status = 0;
  try {
    status = exchange.run(Call(call));
  } catch (...) {
    observer_(classOf(0));
    throw;
  }
  observer_(classOf(status));
}

} // namespace matrixos::plugin
