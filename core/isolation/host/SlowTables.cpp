#include "isolation/host/SlowTables.h"

#include "common/HostTable.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace matrixos::isolation::host {

namespace {

/// The fields that its maker knows; others are 0.
mos_fetch_request readRequest(const mos_fetch_request &given) {
  mos_fetch_request request{};
  std::memcpy(&request, &given, std::min<std::size_t>(given.struct_size, sizeof request));
  return request;
}

} // namespace

SlowTables::SlowTables(NeededProxies &daemon) : daemon_(daemon) {
  fetch_ = common::hostTable<decltype(fetch_)>(this);
  fetch_.fetch = [](void *self, const mos_call *call, const mos_fetch_request *request, mos_fetch_sink sink,
                    mos_error *error) {
    return guarded(error, [&] { return of(self).fetchIt(call, readRequest(*request), sink, error); });
  };
  outbox_ = common::hostTable<decltype(outbox_)>(this);
  outbox_.put = [](void *self, const mos_outbox_item *items, std::uint32_t count, const mos_sql_statement *,
                   std::uint32_t statements, std::int64_t *, mos_error *error) {
    return guarded(error, [&] { return of(self).put(items, count, statements, error); });
  };
  outbox_.begin = [](void *self, mos_outbox_deliver_fn function, void *ctx, mos_error *error) {
    return guarded(error, [&] { return of(self).begin(function, ctx, error); });
  };
  outbox_.end = [](void *self, mos_error *error) {
    return of(self).daemon_.callHost(HostFunction::OutboxEnd, "end() of the outbox", {}, nullptr, error);
  };
  outbox_.list = [](void *self, std::uint32_t parkedOnly, mos_sink items, mos_error *error) {
    return guarded(error, [&] {
      CallRequest request{};
      request.numbers = {parkedOnly != 0 ? 1 : 0};
      request.sink = &items;
      return of(self).daemon_.callHost(HostFunction::OutboxList, "list() of the outbox", request, nullptr, error);
    });
  };
  outbox_.retry = [](void *self, mos_str target, mos_str id, std::int64_t *count, mos_error *error) {
    return of(self).changeParked(HostFunction::OutboxRetry, target, id, count, error);
  };
  outbox_.discard = [](void *self, mos_str target, mos_str id, std::int64_t *count, mos_error *error) {
    return of(self).changeParked(HostFunction::OutboxDiscard, target, id, count, error);
  };
}

mos_status SlowTables::fetchIt(const mos_call *call, const mos_fetch_request &request, const mos_fetch_sink &sink,
                               mos_error *error) {
  HeadFields head;
  for (std::uint32_t i = 0; i < request.headers_count; ++i)
    head.headers.emplace_back(fromAbi(request.headers[i].key), fromAbi(request.headers[i].value));
  const std::string headers = encodeFields(head);
  SinkOf items([&](std::string_view item) {
    const std::string_view bytes = item.substr(1);
    if (item.front() == 'b') return sink.body(sink.ctx, toAbi(bytes)) == MOS_SINK_CONTINUE;
    const auto answer = decode<HeadFields>(bytes);
    const std::vector<mos_pair> pairs = toPairs(answer.headers);
    return sink.head(sink.ctx, answer.status, pairs.data(), static_cast<std::uint32_t>(pairs.size())) ==
           MOS_SINK_CONTINUE;
  });
  const mos_sink given = items.abi();
  CallRequest asked{};
  asked.texts = {fromAbi(request.url), fromAbi(request.method), fromAbi(request.body), fromAbi(request.ca_file),
                 headers};
  asked.numbers = {request.flags, request.max_redirects, static_cast<std::int64_t>(request.max_body),
                   request.timeout_ms, request.silence_ms};
  asked.sink = &given;
  const mos_status status = daemon_.callHost(HostFunction::Fetch, "fetch()", asked, call, error);
  items.rethrow();
  return status;
}

mos_status SlowTables::put(const mos_outbox_item *items, std::uint32_t count, std::uint32_t statements,
                           mos_error *error) {
  if (statements != 0) {
    return fail(error, Status::Unimplemented,
                "a plugin with isolation=process has no tables to write beside its outbox", "ISOLATED");
  }
  OutboxFields fields;
  for (std::uint32_t i = 0; i < count; ++i)
    fields.items.push_back({fromAbi(items[i].target), fromAbi(items[i].id), fromAbi(items[i].payload)});
  const std::string text = encodeFields(fields);
  CallRequest request{};
  request.texts = {text};
  return daemon_.callHost(HostFunction::OutboxPut, "put() of the outbox", request, nullptr, error);
}

mos_status SlowTables::begin(mos_outbox_deliver_fn function, void *ctx, mos_error *error) {
  {
    const std::lock_guard lock(mutex_);
    if (deliver_ == nullptr) {
      deliver_ = function;
      deliverCtx_ = ctx;
    }
  }
  return daemon_.callHost(HostFunction::OutboxBegin, "begin() of the outbox", {}, nullptr, error);
}

mos_status SlowTables::changeParked(HostFunction function, mos_str target, mos_str id, std::int64_t *count,
                                    mos_error *error) {
  return guarded(error, [&] {
    std::uint64_t found = 0;
    CallRequest request{};
    request.texts = {fromAbi(target), fromAbi(id)};
    request.number = &found;
    const mos_status status = daemon_.callHost(function, "a change of parked items", request, nullptr, error);
    if (status == MOS_OK && count != nullptr) *count = static_cast<std::int64_t>(found);
    return status;
  });
}

mos_status SlowTables::deliver(const ServedCall &call, std::uint64_t &verdict, mos_error *error) {
  mos_outbox_deliver_fn function = nullptr;
  void *ctx = nullptr;
  {
    const std::lock_guard lock(mutex_);
    function = deliver_;
    ctx = deliverCtx_;
  }
  if (function == nullptr || call.texts.size() != 3 || call.numbers.size() != 2)
    return fail(error, Status::Unavailable, "the plugin does not deliver at the moment", "OUTBOX_NOT_BEGUN");
  const mos_outbox_delivery delivery{sizeof delivery,
                                     static_cast<std::uint32_t>(call.numbers[0]),
                                     {toAbi(call.texts[0]), toAbi(call.texts[1]), toAbi(call.texts[2])},
                                     call.numbers[1]};
  const std::int32_t said = function(ctx, call.context(), &delivery, error);
  verdict = static_cast<std::uint64_t>(said);
  if (said == MOS_OUTBOX_DONE || said == MOS_OUTBOX_DROP) return MOS_OK;
  if (error->status != MOS_OK) return error->status;
  return fail(error, Status::Unavailable, "it asks for another attempt");
}

} // namespace matrixos::isolation::host
