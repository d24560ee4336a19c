#include "http/HttpInterface.h"

#include "http/SiteFile.h"

#include <matrixos/json.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <utility>

namespace matrixos::api {

namespace {

std::string text(mos_str from) {
  return std::string(fromAbi(from));
}

http::FieldPairs fieldsOf(const mos_pair *headers, std::uint32_t count) {
  http::FieldPairs fields;
  for (std::uint32_t i = 0; i < count; ++i)
    fields.emplace_back(text(headers[i].key), text(headers[i].value));
  return fields;
}

Problem problemOf(const mos_error *what) {
  if (what == nullptr) return toProblem(Error(Status::Internal, "the handler failed without saying why"));
  return toProblem(toError(what->status, *what));
}

/// What an Operation Object may have (https://spec.openapis.org/oas/v3.1.0#operation-object) and the host does not say.
void checkOperation(const std::string &operation) {
  constexpr std::array<std::string_view, 7> kKnown{"description", "operationId", "parameters", "requestBody",
                                                   "responses",   "tags",        "deprecated"};
  const auto bad = [](const std::string &why) {
    return Error(Status::InvalidArgument, "the description of a route " + why, "BAD_ROUTE");
  };
  json::Object::Ptr object;
  try {
    object = json::parseObject(operation);
  } catch (const Error &e) {
    throw bad(std::string("is no JSON object: ") + e.what());
  }
  for (const auto &member : *object) {
    if (std::find(kKnown.begin(), kKnown.end(), member.first) == kKnown.end())
      throw bad("has \"" + member.first +
                "\", which is none of description, operationId, parameters, requestBody, "
                "responses, tags, deprecated");
  }
}

[[noreturn]] void throwOver() {
  throw Error(Status::NotFound, "the exchange was answered or given up", "EXCHANGE_OVER");
}

} // namespace

/// The functions of the table. `self` is the HttpInterface.
struct HttpInterface::Calls {
  static HttpInterface &of(void *self) {
    auto &interface = *static_cast<HttpInterface *>(self);
    if (interface.closed_) throw Error(Status::Unavailable, "the plugin was stopped", "STOPPED");
    return interface;
  }

  static std::shared_ptr<ApiExchange> find(HttpInterface &interface, std::uint64_t id) {
    auto exchange = interface.server_.findExchange(id);
    if (!exchange || exchange->data().route->owner != interface.options_.owner) throwOver();
    return exchange;
  }

  /// Only while it is open, so that what is handed out stays valid until the plugin answers.
  static std::shared_ptr<ApiExchange> findOpen(HttpInterface &interface, std::uint64_t id) {
    auto exchange = find(interface, id);
    if (!exchange->open()) throwOver();
    return exchange;
  }

  /// Runs an answering call after which the number is stale, whether the answer still reached somebody or not.
  static void answer(void *self, std::uint64_t id, auto &&body) {
    HttpInterface &interface = of(self);
    const auto exchange = find(interface, id);
    body(*exchange);
    interface.server_.forgetExchange(id);
  }

  /// A failed attempt leaves an open exchange to another one, and ends one that nobody waits for.
  static void forgetIfOver(HttpInterface &interface, std::uint64_t id) {
    const auto exchange = interface.server_.findExchange(id);
    if (exchange && !exchange->open()) interface.server_.forgetExchange(id);
  }

  static mos_status answering(void *self, std::uint64_t id, mos_error *error, auto &&body) {
    const mos_status status = guarded(error, [&] { answer(self, id, body); });
    if (status != MOS_OK) guarded(nullptr, [&] { forgetIfOver(of(self), id); });
    return status;
  }

  static Route routeOf(HttpInterface &interface, const mos_http_route &from) {
    if (from.handle == nullptr) throw Error(Status::InvalidArgument, "a route has no handler", "BAD_ROUTE");
    Route route;
    route.method = text(from.method);
    route.pattern = text(from.pattern);
    route.permission = text(from.permission);
    if (!auth::isPermission(route.permission)) {
      throw Error(Status::InvalidArgument,
                  "a route asks for the permission \"" + route.permission +
                      "\"; there are public, signed-in, owner, owner:manage, owner:use, instance, operator and "
                      "operator:SCOPE",
                  "BAD_ROUTE");
    }
    route.summary = text(from.summary);
    route.maxBody = from.max_body;
    admit(interface, route);
    route.handle = [around = interface.options_.around, handle = from.handle,
                    ctx = from.ctx](const std::shared_ptr<ApiExchange> &exchange) {
      const std::uint64_t id = exchange->id();
      const auto call = [&] { handle(ctx, id); };
      if (around)
        around(std::cref(call));
      else
        call();
    };
    return route;
  }

  /// What is the plugin's to serve; what wants to be public and may not becomes the operators'.
  static void admit(HttpInterface &interface, Route &route) {
    if (interface.options_.admit) interface.options_.admit(route.pattern);
    if (route.permission != MOS_PERMISSION_PUBLIC ||
        auth::isPublicRoute(route.pattern, interface.options_.publicRoutes))
      return;
    route.permission = MOS_PERMISSION_OPERATOR;
    if (interface.options_.onNotPublic) interface.options_.onNotPublic(route);
  }

  static Route routeOf(HttpInterface &interface, const mos_http_file &from, const http::FieldPairs &fields) {
    SiteFile file;
    file.contentType = text(from.content_type);
    file.body = text(from.body);
    file.gzip = text(from.gzip_body);
    file.isImmutable = (from.flags & MOS_FILE_IMMUTABLE) != 0;
    file.fields = fields;
    Route route;
    route.method = "GET";
    route.pattern = text(from.path);
    route.permission = MOS_PERMISSION_PUBLIC;
    route.summary = "a file";
    admit(interface, route);
    route.handle = serveFile(std::move(file));
    return route;
  }

  static mos_status addFiles(void *self, const mos_http_file *files, std::uint32_t count, const mos_pair *headers,
                             std::uint32_t headersCount, mos_error *error) {
    return guarded(error, [&] {
      HttpInterface &interface = of(self);
      const http::FieldPairs fields = fieldsOf(headers, headersCount);
      std::vector<Route> list;
      for (std::uint32_t i = 0; i < count; ++i)
        list.push_back(routeOf(interface, files[i], fields));
      interface.server_.addRoutes(interface.options_.owner, std::move(list));
    });
  }

  static mos_status describeRoute(void *self, mos_str method, mos_str pattern, mos_str operation, mos_error *error) {
    return guarded(error, [&] {
      HttpInterface &interface = of(self);
      checkOperation(text(operation));
      interface.server_.describeRoute(interface.options_.owner, fromAbi(method), fromAbi(pattern), text(operation));
    });
  }

  static mos_status addRoutes(void *self, const mos_http_route *routes, std::uint32_t count, mos_error *error) {
    return guarded(error, [&] {
      HttpInterface &interface = of(self);
      std::vector<Route> list;
      for (std::uint32_t i = 0; i < count; ++i)
        list.push_back(routeOf(interface, routes[i]));
      interface.server_.addRoutes(interface.options_.owner, std::move(list));
    });
  }

  static mos_status request(void *self, std::uint64_t id, mos_http_request *out, mos_error *error) {
    return guarded(error, [&] {
      const auto exchange = findOpen(of(self), id);
      const ApiRequest &data = exchange->data();
      mos_http_request full{};
      full.struct_size = out->struct_size;
      full.method = toAbi(data.copy->head().method);
      full.path = toAbi(data.path);
      full.query = toAbi(data.copy->query());
      full.body = toAbi(data.body);
      full.principal = toAbi(data.principal);
      full.request_id = toAbi(data.requestId);
      full.caller = toAbi(data.caller);
      full.client = toAbi(data.client);
      // An older plugin's struct is shorter, a newer one's tail stays as it was.
      std::memcpy(out, &full, std::min<std::size_t>(out->struct_size, sizeof(full)));
    });
  }

  static mos_status give(std::optional<std::string_view> value, const char *reason, mos_str name, mos_str *out,
                         mos_error *error) {
    if (!value) return matrixos::fail(error, Status::NotFound, "the request has no \"" + text(name) + "\"", reason);
    *out = toAbi(*value);
    return MOS_OK;
  }

  static mos_status param(void *self, std::uint64_t id, mos_str name, mos_str *out, mos_error *error) {
    return guarded(
        error, [&] { return give(findOpen(of(self), id)->param(fromAbi(name)), "NO_PARAMETER", name, out, error); });
  }

  static mos_status queryParam(void *self, std::uint64_t id, mos_str name, mos_str *out, mos_error *error) {
    return guarded(error, [&] {
      return give(findOpen(of(self), id)->queryParam(fromAbi(name)), "NO_PARAMETER", name, out, error);
    });
  }

  static mos_status header(void *self, std::uint64_t id, mos_str name, mos_str *out, mos_error *error) {
    return guarded(error,
                   [&] { return give(findOpen(of(self), id)->header(fromAbi(name)), "NO_HEADER", name, out, error); });
  }

  static std::int32_t gone(void *self, std::uint64_t id) {
    std::int32_t result = 1;
    guarded(nullptr, [&] { result = find(of(self), id)->gone() ? 1 : 0; });
    return result;
  }

  static mos_status respond(void *self, std::uint64_t id, std::uint32_t status, mos_str contentType,
                            const mos_pair *headers, std::uint32_t count, mos_str body, mos_error *error) {
    return answering(self, id, error, [&](ApiExchange &exchange) {
      exchange.respond(static_cast<int>(status), text(contentType), fieldsOf(headers, count), text(body));
    });
  }

  static mos_status fail(void *self, std::uint64_t id, const mos_error *what, mos_error *error) {
    return answering(self, id, error, [&](ApiExchange &exchange) { exchange.fail(problemOf(what)); });
  }

  static mos_status begin(void *self, std::uint64_t id, std::uint32_t status, mos_str contentType,
                          const mos_pair *headers, std::uint32_t count, mos_error *error) {
    return guarded(error, [&] {
      find(of(self), id)->begin(static_cast<int>(status), text(contentType), fieldsOf(headers, count));
    });
  }

  static mos_status write(void *self, std::uint64_t id, mos_str bytes, mos_error *error) {
    return guarded(error, [&] { find(of(self), id)->write(fromAbi(bytes)); });
  }

  static mos_status end(void *self, std::uint64_t id, mos_error *error) {
    return answering(self, id, error, [](ApiExchange &exchange) { exchange.end(); });
  }
};

HttpInterface::HttpInterface(ApiServer &server, Options options) : server_(server), options_(std::move(options)) {
  table_.struct_size = sizeof(table_);
  table_.minor = 1;
  table_.self = this;
  table_.add_routes = Calls::addRoutes;
  table_.request = Calls::request;
  table_.param = Calls::param;
  table_.query_param = Calls::queryParam;
  table_.header = Calls::header;
  table_.gone = Calls::gone;
  table_.respond = Calls::respond;
  table_.fail = Calls::fail;
  table_.begin = Calls::begin;
  table_.write = Calls::write;
  table_.end = Calls::end;
  table_.add_files = Calls::addFiles;
  table_.describe_route = Calls::describeRoute;
}

} // namespace matrixos::api
