#include "isolation/HostCalls.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

namespace matrixos::isolation {

namespace {

template <typename Table>
const Table *tableOf(const mos_host_v1 *host, const char *id) {
  return static_cast<const Table *>(host->get_interface(host->self, id));
}

void checkCounts(const ServedCall &call, std::size_t texts, std::size_t numbers) {
  if (call.texts.size() != texts || call.numbers.size() != numbers) refuseFrame("a call with the wrong arguments");
}

/// Passes an answer on as items.
class FetchItems {
public:
  explicit FetchItems(mos_sink to) : to_(to) {}

  mos_fetch_sink abi() noexcept {
    return {this,
            [](void *self, std::uint32_t status, const mos_pair *headers, std::uint32_t count) {
              return of(self).safely([&] {
                HeadFields head;
                head.status = status;
                for (std::uint32_t i = 0; i < count; ++i)
                  head.headers.emplace_back(fromAbi(headers[i].key), fromAbi(headers[i].value));
                return of(self).give("h", encodeFields(head));
              });
            },
            [](void *self, mos_str bytes) {
              return of(self).safely([&] {
                std::string_view rest = fromAbi(bytes);
                for (; !rest.empty(); rest.remove_prefix(std::min(rest.size(), kPiece))) {
                  if (of(self).give("b", rest.substr(0, kPiece)) == MOS_SINK_STOP) return MOS_SINK_STOP;
                }
                return MOS_SINK_CONTINUE;
              });
            }};
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

private:
  static constexpr std::size_t kPiece = 65'536;

  static FetchItems &of(void *self) { return *static_cast<FetchItems *>(self); }
  std::int32_t give(const char *kind, std::string_view bytes) const {
    const std::string item = kind + std::string(bytes);
    return to_.item(to_.ctx, toAbi(item));
  }
  std::int32_t safely(auto &&body) noexcept {
    try {
      return body();
    } catch (...) {
      failure_ = std::current_exception();
      return MOS_SINK_STOP;
    }
  }

  const mos_sink to_;
  std::exception_ptr failure_;
};

} // namespace

HostCalls::HostCalls(const mos_host_v1 *host, CallPlugin callPlugin)
    : callPlugin_(std::move(callPlugin)), fetch_(tableOf<mos_host_fetch_v1>(host, MOS_HOST_FETCH_1)),
      outbox_(tableOf<mos_host_outbox_v1>(host, MOS_HOST_OUTBOX_1)) {}

mos_status HostCalls::run(const ServedCall &call, const Answers &answers) {
  const auto function = static_cast<HostFunction>(call.function);
  mos_error *error = answers.error;
  if ((function == HostFunction::Fetch ? static_cast<const void *>(fetch_) : outbox_) == nullptr)
    return fail(error, Status::Unimplemented, "this host has no such interface", "ISOLATED");
  std::int64_t count = 0;
  const auto parked = [&](auto change) {
    checkCounts(call, 2, 0);
    const mos_status status = change(outbox_->self, toAbi(call.texts[0]), toAbi(call.texts[1]), &count, error);
    *answers.number = static_cast<std::uint64_t>(count);
    return status;
  };
  switch (function) {
  case HostFunction::Fetch:
    return fetch(call, answers);
  case HostFunction::OutboxPut: {
    checkCounts(call, 1, 0);
    const auto fields = decode<OutboxFields>(call.texts[0]);
    std::vector<mos_outbox_item> items;
    for (const OutboxFields::Item &item : fields.items)
      items.push_back({toAbi(item.target), toAbi(item.id), toAbi(item.payload)});
    return outbox_->put(outbox_->self, items.data(), static_cast<std::uint32_t>(items.size()), nullptr, 0, nullptr,
                        error);
  }
  case HostFunction::OutboxBegin:
    return begin(call, error);
  case HostFunction::OutboxEnd:
    return end(call, error);
  case HostFunction::OutboxList:
    checkCounts(call, 0, 1);
    return outbox_->list(outbox_->self, call.numbers[0] != 0 ? 1 : 0, answers.sink, error);
  case HostFunction::OutboxRetry:
    return parked(outbox_->retry);
  case HostFunction::OutboxDiscard:
    return parked(outbox_->discard);
  }
  return fail(error, Status::Unimplemented, "the host has no such function", "UNIMPLEMENTED");
}

mos_status HostCalls::fetch(const ServedCall &call, const Answers &answers) const {
  checkCounts(call, 5, 5);
  const auto head = decode<HeadFields>(call.texts[4]);
  const std::vector<mos_pair> headers = toPairs(head.headers);
  mos_fetch_request request{};
  request.struct_size = sizeof request;
  request.url = toAbi(call.texts[0]);
  request.method = toAbi(call.texts[1]);
  request.body = toAbi(call.texts[2]);
  request.ca_file = toAbi(call.texts[3]);
  request.headers = headers.data();
  request.headers_count = static_cast<std::uint32_t>(headers.size());
  request.flags = static_cast<std::uint32_t>(call.numbers[0]);
  request.max_redirects = static_cast<std::uint32_t>(call.numbers[1]);
  request.max_body = static_cast<std::uint64_t>(call.numbers[2]);
  request.timeout_ms = call.numbers[3];
  request.silence_ms = call.numbers[4];
  FetchItems items(answers.sink);
  const mos_status status = fetch_->fetch(fetch_->self, call.context(), &request, items.abi(), answers.error);
  items.rethrow();
  return status;
}

mos_status HostCalls::begin(const ServedCall &call, mos_error *error) {
  const std::lock_guard lock(turn_);
  if (delivering_) return fail(error, Status::FailedPrecondition, "the plugin delivers already", "OUTBOX_BEGUN");
  if (!begun_) {
    const mos_status status = outbox_->begin(outbox_->self, &HostCalls::deliver, this, error);
    if (status != MOS_OK) return status;
  }
  begun_ = delivering_ = true;
  // Of a process that has gone: the next one, which has its turn after this, begins anew.
  if (Call(call.context()).cancelled()) delivering_ = false;
  return MOS_OK;
}

mos_status HostCalls::end(const ServedCall &call, mos_error *error) {
  const std::lock_guard lock(turn_);
  if (Call(call.context()).cancelled()) return fail(error, Status::Cancelled, "the process has gone");
  begun_ = delivering_ = false;
  return outbox_->end(outbox_->self, error);
}

std::int32_t HostCalls::deliver(void *self, const mos_call *call, const mos_outbox_delivery *delivery,
                                mos_error *error) {
  std::uint64_t verdict = MOS_OUTBOX_RETRY;
  guarded(error, [&] {
    CallRequest request{kDeliver};
    const mos_outbox_item &item = delivery->item;
    request.texts = {fromAbi(item.target), fromAbi(item.id), fromAbi(item.payload)};
    request.numbers = {delivery->attempt, delivery->created_ms};
    request.number = &verdict;
    return static_cast<HostCalls *>(self)->callPlugin_(request, call, error);
  });
  return static_cast<std::int32_t>(verdict);
}

} // namespace matrixos::isolation
