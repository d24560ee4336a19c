#include "support/FakeHttp.h"

#include <matrixos/status.hpp>

#include <chrono>
#include <sstream>

namespace matrixos::test {

namespace {

std::vector<std::string> segmentsOf(const std::string &path) {
  std::vector<std::string> segments;
  std::istringstream in(path);
  for (std::string segment; std::getline(in, segment, '/');) {
    if (!segment.empty()) segments.push_back(segment);
  }
  return segments;
}

FakeHttp &of(void *self) {
  return *static_cast<FakeHttp *>(self);
}

} // namespace

FakeHttp::FakeHttp() {
  fillTable();
}

void FakeHttp::fillTable() {
  table_.struct_size = sizeof table_;
  table_.minor = MOS_HOST_MINOR;
  table_.self = this;
  table_.add_routes = [](void *self, const mos_http_route *routes, std::uint32_t count, mos_error *) -> mos_status {
    const std::lock_guard lock(of(self).mutex_);
    for (std::uint32_t i = 0; i < count; ++i) {
      of(self).routes_.push_back({std::string(fromAbi(routes[i].method)),
                                  segmentsOf(std::string(fromAbi(routes[i].pattern))), routes[i].ctx,
                                  routes[i].handle});
    }
    return MOS_OK;
  };
  table_.request = [](void *self, std::uint64_t id, mos_http_request *out, mos_error *) -> mos_status {
    const Exchange &it = of(self).exchange(id);
    out->method = toAbi(it.method);
    out->path = toAbi(it.path);
    out->query = toAbi(it.query);
    out->body = toAbi(it.body);
    return MOS_OK;
  };
  table_.param = [](void *self, std::uint64_t id, mos_str name, mos_str *out, mos_error *error) -> mos_status {
    const Params &params = of(self).exchange(id).params;
    const auto found = params.find(fromAbi(name));
    if (found == params.end()) return fail(error, Status::NotFound, "no such parameter");
    *out = toAbi(found->second);
    return MOS_OK;
  };
  table_.query_param = [](void *self, std::uint64_t id, mos_str name, mos_str *out, mos_error *error) -> mos_status {
    const std::string &query = of(self).exchange(id).query;
    const std::string prefix = std::string(fromAbi(name)) + "=";
    if (query.compare(0, prefix.size(), prefix) != 0) return fail(error, Status::NotFound, "absent", "NO_PARAMETER");
    *out = toAbi(std::string_view(query).substr(prefix.size()));
    return MOS_OK;
  };
  table_.respond = [](void *self, std::uint64_t id, std::uint32_t status, mos_str, const mos_pair *, std::uint32_t,
                      mos_str body, mos_error *) -> mos_status {
    of(self).answer(id, status, body);
    return MOS_OK;
  };
  table_.fail = [](void *self, std::uint64_t id, const mos_error *what, mos_error *) -> mos_status {
    const int status = httpStatus(static_cast<Status>(what->status));
    of(self).answer(id, static_cast<std::uint32_t>(status), toAbi(what->message));
    return MOS_OK;
  };
}

FakeHttp::Exchange &FakeHttp::exchange(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  return *exchanges_.at(id);
}

void FakeHttp::answer(std::uint64_t id, std::uint32_t status, mos_str body) {
  const std::lock_guard lock(mutex_);
  exchanges_.at(id)->answer = {status, std::string(fromAbi(body)), true};
  answered_.notify_all();
}

const FakeHttp::Route *FakeHttp::match(const Exchange &exchange, Params &params) const {
  const auto parts = segmentsOf(exchange.path);
  for (const Route &route : routes_) {
    if (route.method != exchange.method || route.segments.size() != parts.size()) continue;
    bool fits = true;
    params.clear();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (route.segments[i][0] == ':')
        params[route.segments[i].substr(1)] = parts[i];
      else
        fits = fits && route.segments[i] == parts[i];
    }
    if (fits) return &route;
  }
  return nullptr;
}

std::uint64_t FakeHttp::send(const std::string &method, const std::string &path, const std::string &body) {
  auto exchange = std::make_unique<Exchange>();
  const std::size_t mark = path.find('?');
  exchange->method = method;
  exchange->path = path.substr(0, mark);
  if (mark != std::string::npos) exchange->query = path.substr(mark + 1);
  exchange->body = body;
  Route route{};
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    const Route *found = match(*exchange, exchange->params);
    if (found == nullptr) throw Error(Status::NotFound, "no route for " + method + " " + path);
    route = *found;
    id = ++last_;
    exchanges_.emplace(id, std::move(exchange));
  }
  route.handle(route.ctx, id);
  return id;
}

Answer FakeHttp::answerTo(std::uint64_t exchange) {
  std::unique_lock lock(mutex_);
  const Exchange &it = *exchanges_.at(exchange);
  answered_.wait_for(lock, std::chrono::seconds(30), [&] { return it.answer.given; });
  return it.answer;
}

} // namespace matrixos::test
