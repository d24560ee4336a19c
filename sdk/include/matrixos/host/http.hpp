/// matrixos/host/http.hpp: the plugin's routes and the requests to them, abi/host.h mos_host_http_v1.
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/host/table.hpp>
#include <matrixos/status.hpp>

#include <charconv>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// A parameter of a path or a query that is a number from 1 to `most`. Throws Error(InvalidArgument, "BAD_PARAMETER").
inline std::int64_t parameterNumber(std::string_view name, std::string_view text, std::int64_t most) {
  std::int64_t number = 0;
  const char *end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec == std::errc() && read.ptr == end && number >= 1 && number <= most) return number;
  throw Error(Status::InvalidArgument,
              "\"" + std::string(name) + "\" has to be a number from 1 to " + std::to_string(most), "BAD_PARAMETER");
}

/// One request to the plugin's routes and the duty to answer it. Movable to another thread. Destroyed without an
/// answer it answers 500.
class Exchange {
public:
  Exchange(const mos_host_http_v1 *table, std::uint64_t id) noexcept : table_(table), id_(id) {}
  Exchange(Exchange &&other) noexcept : table_(other.table_), id_(std::exchange(other.id_, 0)) {}
  Exchange &operator=(Exchange &&) = delete;
  ~Exchange() {
    if (id_ != 0) fail(Error(Status::Internal, "the plugin gave no answer"));
  }

  std::string_view method() const { return fromAbi(request().method); }
  std::string_view path() const { return fromAbi(request().path); }
  std::string_view body() const { return fromAbi(request().body); }
  std::string_view principal() const { return fromAbi(request().principal); }
  std::string_view requestId() const { return fromAbi(request().request_id); }
  /// Who asks, as JSON; caller.hpp reads it. Empty on a host of ABI 1.0.
  std::string_view caller() const { return fromAbi(request().caller); }
  /// The address it comes from, "203.0.113.7", which clients cannot choose; empty where nobody says it.
  std::string_view client() const { return fromAbi(request().client); }
  /// As it came, without the "?".
  std::string_view query() const { return fromAbi(request().query); }

  std::string_view param(std::string_view name) const {
    mos_str out{};
    check([&](mos_error *e) { return table_->param(table_->self, id_, toAbi(name), &out, e); });
    return fromAbi(out);
  }
  std::optional<std::string_view> queryParam(std::string_view name) const {
    mos_str out{};
    if (table_->query_param(table_->self, id_, toAbi(name), &out, nullptr) != MOS_OK) return std::nullopt;
    return fromAbi(out);
  }
  /// The same of the query; `otherwise` when there is none of that name.
  std::int64_t queryNumber(std::string_view name, std::int64_t most, std::int64_t otherwise) const {
    const auto text = queryParam(name);
    return text ? parameterNumber(name, *text, most) : otherwise;
  }
  std::optional<std::string_view> header(std::string_view name) const {
    mos_str out{};
    if (table_->header(table_->self, id_, toAbi(name), &out, nullptr) != MOS_OK) return std::nullopt;
    return fromAbi(out);
  }
  bool gone() const noexcept { return table_->gone(table_->self, id_) != 0; }
  /// Still to be answered through this object.
  bool open() const noexcept { return id_ != 0; }

  /// The whole answer, as application/json. A client that has gone meanwhile is no error.
  void json(std::uint32_t status, std::string_view body) noexcept {
    respond(status, "application/json; charset=utf-8", body);
  }
  void respond(std::uint32_t status, std::string_view contentType, std::string_view body) noexcept {
    const std::uint64_t id = std::exchange(id_, 0);
    table_->respond(table_->self, id, status, toAbi(contentType), nullptr, 0, toAbi(body), nullptr);
  }
  /// With header fields of its own; of some names there may be several.
  void respond(std::uint32_t status, std::string_view contentType, std::string_view body,
               const std::vector<std::pair<std::string, std::string>> &headers) {
    std::vector<mos_pair> pairs;
    for (const auto &[name, value] : headers)
      pairs.push_back({toAbi(name), toAbi(value)});
    const std::uint64_t id = std::exchange(id_, 0);
    table_->respond(table_->self, id, status, toAbi(contentType), pairs.data(),
                    static_cast<std::uint32_t>(pairs.size()), toAbi(body), nullptr);
  }
  /// application/problem+json with the HTTP status that belongs to error.status().
  void fail(const Error &error) noexcept {
    mos_error what{};
    v1::fail(&what, error.status(), error.what(), error.reason(), error.retryAfterMs());
    failWith(what);
  }
  void failWith(const mos_error &what) noexcept { table_->fail(table_->self, std::exchange(id_, 0), &what, nullptr); }

  /// A streamed answer: begin, any number of writes, end.
  void begin(std::uint32_t status, std::string_view contentType) {
    check([&](mos_error *e) { return table_->begin(table_->self, id_, status, toAbi(contentType), nullptr, 0, e); });
  }
  /// Blocks while the client is slow. Throws Error(Cancelled) once it has gone.
  void write(std::string_view bytes) {
    check([&](mos_error *e) { return table_->write(table_->self, id_, toAbi(bytes), e); });
  }
  void end() noexcept {
    const std::uint64_t id = std::exchange(id_, 0);
    table_->end(table_->self, id, nullptr);
  }

private:
  mos_http_request request() const {
    mos_http_request out{};
    out.struct_size = sizeof out;
    check([&](mos_error *e) { return table_->request(table_->self, id_, &out, e); });
    return out;
  }

  const mos_host_http_v1 *table_;
  std::uint64_t id_;
};

/// A file that the host serves. "//wiki/" is what a site opens with.
struct SiteFile {
  std::string path, contentType, body;
  std::string gzip{};       ///< the body compressed, if it is
  bool isImmutable = false; ///< its path changes with its content: clients keep it for good
};

/// The plugin's routes. Keep it alive until the plugin is destroyed: requests in flight refer to it.
class Routes {
public:
  /// Answers the exchange, or moves it away to answer later, from any thread. What it throws becomes the answer,
  /// unless the exchange was moved away.
  using Handler = std::function<void(Exchange &)>;
  static constexpr std::uint64_t kDefaultMaxBody = 64 * 1024;

  explicit Routes(const mos_host_v1 *host) : table_(detail::hostTable<mos_host_http_v1>(host, MOS_HOST_HTTP_1)) {}
  Routes(const Routes &) = delete;
  Routes &operator=(const Routes &) = delete;

  /// Notes a route; publish() registers all of them.
  Routes &add(std::string method, std::string pattern, std::string permission, std::string summary, Handler handler,
              std::uint64_t maxBody = kDefaultMaxBody) {
    entries_.push_back({table_, std::move(method), std::move(pattern), std::move(permission), std::move(summary),
                        std::move(handler), maxBody});
    return *this;
  }

  /// Says more about the route that was added last, for the description of the API: an OpenAPI Operation Object as
  /// JSON.
  Routes &describe(std::string operation) {
    entries_.back().operation = std::move(operation);
    return *this;
  }

  void publish() {
    std::vector<mos_http_route> list;
    for (Entry &entry : entries_) {
      list.push_back({toAbi(entry.method), toAbi(entry.pattern), toAbi(entry.permission), toAbi(entry.summary),
                      entry.maxBody, &entry, &Routes::serve});
    }
    check([&](mos_error *e) {
      return table_->add_routes(table_->self, list.data(), static_cast<std::uint32_t>(list.size()), e);
    });
    if (!MOS_HAS(table_, mos_host_http_v1, describe_route)) return;
    for (const Entry &entry : entries_) {
      if (entry.operation.empty()) continue;
      check([&](mos_error *e) {
        return table_->describe_route(table_->self, toAbi(entry.method), toAbi(entry.pattern), toAbi(entry.operation),
                                      e);
      });
    }
  }

  /// Serves files, to anybody; `headers` go with each of them. Call it once, all or none are served. Throws
  /// Error(Unimplemented) on a host of ABI 1.0.
  void publishFiles(const std::vector<SiteFile> &files,
                    const std::vector<std::pair<std::string, std::string>> &headers = {}) const {
    if (!MOS_HAS(table_, mos_host_http_v1, add_files))
      throw Error(Status::Unimplemented, "the host serves no files", "UNIMPLEMENTED");
    std::vector<mos_http_file> list;
    for (const SiteFile &file : files) {
      list.push_back({toAbi(file.path), toAbi(file.contentType), toAbi(file.body), toAbi(file.gzip),
                      file.isImmutable ? MOS_FILE_IMMUTABLE : 0, 0});
    }
    std::vector<mos_pair> pairs;
    for (const auto &[name, value] : headers)
      pairs.push_back({toAbi(name), toAbi(value)});
    check([&](mos_error *e) {
      return table_->add_files(table_->self, list.data(), static_cast<std::uint32_t>(list.size()), pairs.data(),
                               static_cast<std::uint32_t>(pairs.size()), e);
    });
  }

private:
  struct Entry {
    const mos_host_http_v1 *table;
    std::string method, pattern, permission, summary;
    Handler handler;
    std::uint64_t maxBody;
    std::string operation{};
  };

  static void serve(void *ctx, std::uint64_t id) noexcept {
    const auto *entry = static_cast<const Entry *>(ctx);
    Exchange exchange(entry->table, id);
    mos_error error{};
    const mos_status status = guarded(&error, [&] { entry->handler(exchange); });
    if (status != MOS_OK && exchange.open()) exchange.failWith(error);
  }

  const mos_host_http_v1 *table_;
  std::list<Entry> entries_;
};

} // namespace v1
} // namespace matrixos
