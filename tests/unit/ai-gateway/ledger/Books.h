/// A ledger on a database of its own, with a clock that the test sets.
#pragma once

#include "ai-gateway/ledger/Ledger.h"
#include "support/TempDir.h"
#include "support/Wait.h"
#include "unit/orchestrator/TestHost.h"

#include <matrixos/status.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>

namespace matrixos::gateway::test {

using matrixos::test::eventually;

/// "2026-11-30T12:00:00Z" in ms.
inline std::int64_t at(const char *time) {
  return parseTime(time).value();
}

inline Money pico(std::int64_t amount) {
  return Money::ofPico(amount);
}

class Books {
public:
  explicit Books(Ledger::Settings limits = {}, std::uint32_t mostCalls = 65536)
      : settings(std::move(limits)), mostCalls_(mostCalls), folder_(dir_.path()) {
    open();
  }
  /// In a folder that stays.
  explicit Books(std::filesystem::path folder, Ledger::Settings limits = {})
      : settings(std::move(limits)), folder_(std::move(folder)) {
    open();
  }

  void open() {
    host = std::make_unique<matrixos::test::TestHost>(folder_ / "one.db");
    host->onBatch([this](const std::string &sql) {
      if (refusesRows && sql.find("ai_gateway_calls") != std::string::npos)
        throw Error(Status::ResourceExhausted, "the disk is full", "DISK_FULL");
    });
    ledger = std::make_unique<Ledger>(host->abi(), folder_ / "ai-gateway",
                                      Ledger::Surroundings{[this] { return now.load(); }, nullptr, mostCalls_});
    ledger->start(settings);
  }
  void close() {
    ledger.reset();
    host.reset();
  }
  void reopen() {
    close();
    open();
  }
  /// As if the process ended before any more rows were written.
  void crash() {
    refusesRows = true;
    close();
    refusesRows = false;
    open();
  }

  std::variant<HoldId, Refused> reserve(const std::string &who, Money hold, bool worstCase = true) const {
    return ledger->reserve({who, "handle-" + who, "claude-haiku-4-5", "session", worstCase}, hold);
  }
  HoldId held(const std::string &who, Money hold, bool worstCase = true) const {
    return std::get<HoldId>(reserve(who, hold, worstCase));
  }
  /// Who refused; throws when nobody did.
  Refused refused(const std::string &who, Money hold) const { return std::get<Refused>(reserve(who, hold)); }
  void settle(HoldId id, Money cost, bool partial = false) const {
    ledger->settle(id, {cost, {100, 0, 0, 0, 10, 0}, "claude-haiku-4-5", partial});
  }
  void spend(const std::string &who, Money cost) const { settle(held(who, cost), cost); }

  /// Until all that is settled has its row.
  bool flush() const { return ledger->flush(matrixos::test::kPatience); }

  /// What all rows say.
  std::vector<CallRow> rows() const {
    return ledger->store().rows({"", 0, std::numeric_limits<std::int64_t>::max()}, {}, 1'000'000);
  }
  std::filesystem::path slots() const { return folder_ / "ai-gateway" / "calls.slots"; }

  std::atomic<std::int64_t> now{at("2026-11-30T12:00:00Z")};
  std::atomic<bool> refusesRows{false};
  Ledger::Settings settings;
  std::unique_ptr<matrixos::test::TestHost> host;
  std::unique_ptr<Ledger> ledger;

private:
  std::uint32_t mostCalls_ = 65536;
  matrixos::test::TempDir dir_;
  std::filesystem::path folder_;
};

} // namespace matrixos::gateway::test
