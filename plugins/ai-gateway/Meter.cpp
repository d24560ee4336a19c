#include "Meter.h"

#include <matrixos/text/time.hpp>

#include <algorithm>

namespace matrixos::gateway {

namespace {

/// By how much a hold grows that was too small, so that not every piece of an answer asks for more.
constexpr std::int64_t kGrowth = 4;

} // namespace

std::variant<std::unique_ptr<Meter>, Refused> Meter::open(Shared &shared, Order order) {
  const std::int64_t now = shared.to.ledger.nowMs();
  const Hold most = worstCase(order.request, *order.prices, now);
  Money hold = most.money;
  if (!order.worstCase) {
    std::unique_lock lock(shared.outputsMutex);
    const auto output = shared.outputs.percentile(order.instanceId, order.request.model);
    lock.unlock();
    hold = estimate(order.request, *order.prices, now, output, most.money);
  }
  const bool covered = most.bounded && order.worstCase;
  // Made first: between a hold and its meter nothing may fail.
  std::unique_ptr<Meter> meter(new Meter(shared, std::move(order), most, hold, now));
  const Order &of = meter->order_;
  const auto reserved =
      shared.to.ledger.reserve({of.instanceId, of.handle, of.request.model, of.session, covered}, hold);
  if (const auto *refused = std::get_if<Refused>(&reserved)) return *refused;
  meter->id_ = std::get<HoldId>(reserved);
  meter->ended_ = false;
  return meter;
}

void Meter::head(int status, bool isEventStream) {
  free_ = status < 200 || status >= 300;
  if (!free_) reader_.emplace(isEventStream);
}

bool Meter::feed(std::string_view bytes) {
  if (!reader_ || ended_) return true;
  reader_->feed(bytes);
  if (most_.bounded && hold_ >= most_.money) return true;
  const Money soFar = gateway::cost(reader_->usage(), order_.request, *order_.prices, startedMs_).money;
  if (soFar <= hold_) return true;
  const Money wanted = soFar + Money::ofPico(soFar.pico() / kGrowth);
  for (const Money next : {most_.bounded ? std::min(wanted, most_.money) : wanted, soFar}) {
    if (!shared_.to.ledger.raise(id_, next)) continue;
    hold_ = next;
    return true;
  }
  return false;
}

void Meter::end(bool complete) noexcept {
  if (std::exchange(ended_, true)) return;
  try {
    settle(complete);
  } catch (const std::exception &) {
    // Out of memory: what is held for it is what it costs, rather than nothing.
    shared_.to.ledger.settle(id_, {hold_, {}, order_.request.model, true});
  }
}

void Meter::settle(bool complete) {
  if (free_ || !sent_) return shared_.to.ledger.release(id_);
  if (!reader_) {
    reader_.emplace(order_.request.stream);
    complete = false;
  }
  reader_->finish(complete);
  cost_ = settled(gateway::cost(reader_->usage(), order_.request, *order_.prices, startedMs_), most_);
  shared_.to.ledger.settle(id_, {cost_->money, cost_->sums, cost_->model, cost_->partial});
  shared_.figures.spent(cost_->model, cost_->sums, cost_->money);
  if (cost_->unknownModel) {
    shared_.figures.unknownModel();
    shared_.log.unknownModel(cost_->model);
  }
  if (cost_->partial) return;
  const std::lock_guard lock(shared_.outputsMutex);
  shared_.outputs.add(order_.instanceId, order_.request.model, cost_->sums.output);
}

} // namespace matrixos::gateway
