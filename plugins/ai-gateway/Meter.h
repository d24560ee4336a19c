/// The money of one call.
#pragma once

#include "Gateway.h"
#include "money/Cost.h"
#include "money/UsageReader.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace matrixos::gateway {

/// Has a hold from before the call goes out until it is settled, which happens exactly once, whatever becomes of the
/// call: what nothing was sent for, or the upstream refused, is free; everything else costs what the answer says, or an
/// estimate. One loop's own.
class Meter {
public:
  /// Who pays, and what for.
  struct Order {
    std::string instanceId;
    std::string handle;
    std::string session; ///< a label
    MessageRequest request;
    std::shared_ptr<const PriceTable> prices;
    bool worstCase = true; ///< the hold is the most that it can cost
  };
  /// The meter, or why there is none. `shared` outlives it.
  static std::variant<std::unique_ptr<Meter>, Refused> open(Shared &shared, Order order);
  ~Meter() { end(false); }
  Meter(const Meter &) = delete;
  Meter &operator=(const Meter &) = delete;

  /// Bytes of the request may have reached an upstream.
  void sent() noexcept { sent_ = true; }
  /// The upstream has refused what was sent.
  void declined() noexcept { sent_ = false; }
  /// The answer begins.
  void head(int status, bool isEventStream);
  /// The next bytes of the answer. False: it costs more than may be spent.
  bool feed(std::string_view bytes);
  /// Nothing follows. `complete`: the answer came whole. Does nothing the second time.
  void end(bool complete) noexcept;

  /// What it cost, once it has ended; null: nothing.
  const Cost *cost() const noexcept { return cost_ ? &*cost_ : nullptr; }
  const Order &order() const noexcept { return order_; }
  /// For limits of tokens: how many it may take.
  std::uint64_t mostTokens() const noexcept { return order_.request.promptTokens + order_.request.maxTokens; }
  /// The model has no price.
  bool isUnknownModel() const noexcept { return most_.unknownModel; }

private:
  Meter(Shared &shared, Order order, const Hold &most, Money hold, std::int64_t startedMs)
      : shared_(shared), order_(std::move(order)), most_(most), hold_(hold), startedMs_(startedMs) {}
  void settle(bool complete);

  Shared &shared_;
  const Order order_;
  HoldId id_{};
  const Hold most_;
  Money hold_;
  const std::int64_t startedMs_; ///< wall clock
  std::optional<UsageReader> reader_;
  std::optional<Cost> cost_;
  bool sent_ = false;
  bool free_ = false;
  bool ended_ = true; ///< nothing is held, or not yet
};

} // namespace matrixos::gateway
